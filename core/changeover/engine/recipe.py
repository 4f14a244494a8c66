"""What the new vectors of a point are made from, and how: the one place where a job's `makes` become numbers."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from changeover.cluster.api import Column, Inference, SparseValue
from changeover.embed.protocol import TextRejected
from changeover.engine.hashes import text_hash
from changeover.errors import AwayError
from changeover.plan.model import FromTerms, FromText, FromVector, Job, Kept, Make
from changeover.survey.template import paths, render

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from changeover.cluster.api import Page
    from changeover.engine.context import Context

Entry = SparseValue | Inference | Any
AWAY_S = 900.0
"""How long a model's endpoint that gives no answer is waited for, beside the attempts of each call."""
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 60.0
SAME_COSINE = 0.99
"""Two embeddings of one text by one model are at least this close (quantised models vary with the batch)."""


@dataclass
class Made:
    """New vectors of some rows: a column per vector name, an entry per row; and rows that the model refused."""

    columns: dict[str, Column]
    refused: dict[int, str] = field(default_factory=dict)
    """Position in the call -> reason."""

    def has(self, position: int) -> list[bool]:
        """Per new vector, whether that row got one."""
        return [present(column, position) for column in self.columns.values()]


class Recipe:
    """How one run makes its new vectors. Thread-safe: it only reads the plan and asks the context's encoders."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self.makes: tuple[Make, ...] = ctx.job.makes
        self.names = tuple(make.vector for make in self.makes)
        self._away = threading.Event()
        """Whether somebody was told that the model is away."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Stored vectors that new ones are computed from."""
        return reads(self._ctx.job)

    @property
    def watches(self) -> tuple[str, ...]:
        """Stored vectors whose change matters: those read and, in a thorough run, those that are carried over."""
        job = self._ctx.job
        return tuple(dict.fromkeys((*self.reads, *(job.carry if job.thorough else ()))))

    @property
    def from_text(self) -> bool:
        """Whether the text matters: some new vector is made from it, or stays with it."""
        computed = bool(self.makes) and all(isinstance(make, FromVector) for make in self.makes)
        return bool(self._ctx.job.template) and not computed

    def text(self, page: Page, row: int) -> str:
        """The row's text; "" for a job without text."""
        return render(self._ctx.job.template, page.payload(row)) if self.from_text else ""

    def basis(self, page: Page, row: int) -> bytes:
        """Hash of everything that the row's new vectors are made from: equal means that they are still right."""
        if not self.reads:
            return text_hash(self.text(page, row))
        hasher = blake2b(self.text(page, row).encode("utf-8", "surrogatepass"), digest_size=16)
        return self._contents(hasher, self.reads, page, row)

    def carried(self, page: Page, row: int, *, new_side: bool = False) -> bytes:
        """Hash of the vectors that are carried over; b"" where the run does not watch them."""
        carry = self._ctx.job.carry
        if not self._ctx.job.thorough:
            return b""
        return self._contents(blake2b(digest_size=16), carry.values() if new_side else carry, page, row)

    @staticmethod
    def _contents(hasher: blake2b, names: Iterable[str], page: Page, row: int) -> bytes:
        for name in names:
            hasher.update(_content(page.vector(row, name)))
        return hasher.digest()

    def can_make(self, make: Make, page: Page, row: int) -> bool:
        """Whether the row has what this vector is made from."""
        if isinstance(make, FromVector):
            return page.has_vector(row, make.source)
        if isinstance(make, Kept):
            return False
        return bool(self.text(page, row).strip())

    def make(self, page: Page, rows: Sequence[int]) -> Made:
        """The new vectors of these rows; blocking. A row without text or source vector gets none."""
        made = Made(columns={})
        texts = [self.text(page, row) for row in rows]
        for make in self.makes:
            if isinstance(make, FromVector):
                made.columns[make.vector] = self._computed(make, page, rows)
            elif isinstance(make, Kept):
                made.columns[make.vector] = [None] * len(rows)
            else:
                column, refused = self._encoded(make, texts)
                made.columns[make.vector] = column
                made.refused |= refused
        for position in made.refused:  # a point that one model refuses gets none of its new vectors
            for column in made.columns.values():
                _forget(column, position)
        return made

    def fits(self, page: Page, row: int, made: Made, position: int) -> bool:
        """Whether the stored new vectors of the row are already those that were made."""
        return all(
            likeness(page.vector(row, name), entry(column, position)) >= SAME_COSINE
            for name, column in made.columns.items()
        )

    def _computed(self, make: FromVector, page: Page, rows: Sequence[int]) -> NDArray[np.float32]:
        out = np.full((len(rows), make.dimension), np.nan, dtype=np.float32)
        there = [i for i, row in enumerate(rows) if page.has_vector(row, make.source)]
        if there:
            stored = np.asarray([page.vector(rows[i], make.source) for i in there], dtype=np.float32)
            out[there] = self._ctx.matrix.apply(stored)
        return out

    def _encoded(self, make: FromText | FromTerms, texts: Sequence[str]) -> tuple[Column, dict[int, str]]:
        wanted = [i for i, text in enumerate(texts) if text.strip()]
        refused: dict[int, str] = {}
        values: Any = ()
        if wanted:
            self._ctx.within_budget()
            with self._ctx.meter.busy("embed"):
                try:
                    values = self._patiently(make, [texts[i] for i in wanted])
                except TextRejected as error:
                    values = error.vectors
                    refused = {wanted[r.index]: r.reason for r in error.rejected}
        if not isinstance(make, FromText) or make.multi or self._ctx.server_embeds:
            listed: list[Entry] = [None] * len(texts)
            for i, value in zip(wanted, values, strict=True):
                listed[i] = value
                if isinstance(make, FromText) and isinstance(value, np.ndarray) and i not in refused:
                    refused |= _unusable(i, value, make.dimension)
            return listed, refused
        dense = np.full((len(texts), make.dimension), np.nan, dtype=np.float32)
        for i, value in zip(wanted, values, strict=True):
            refused = _unusable(i, value, make.dimension) | refused
            if i not in refused:
                dense[i] = value
        return dense, refused

    def _patiently(self, make: FromText | FromTerms, texts: list[str]) -> Any:
        """What the encoder makes of the texts; while its endpoint is away it is waited for. Raises AwayError at last."""
        waited, pause = 0.0, FIRST_PAUSE_S
        while True:
            try:
                made = self._ctx.encoder(make).embed_documents(texts)
                break
            except AwayError as error:
                if waited >= AWAY_S:
                    raise
                if not self._away.is_set():
                    self._away.set()
                    self._ctx.log(f"the model is away and waited for: {error}", "warning")
            self._ctx.throttle.sleep(pause)
            waited, pause = waited + pause, min(LONGEST_PAUSE_S, 2 * pause)
        if self._away.is_set():
            self._away.clear()
            self._ctx.log("the model answers again")
        return made


def _content(stored: Any) -> bytes:
    """A stored vector of any kind as bytes."""
    if stored is None:
        return b"-"
    if isinstance(stored, dict):
        order = np.argsort(stored["indices"])
        parts = (np.asarray(stored["indices"], "<u4")[order], np.asarray(stored["values"], "<f4")[order])
        return b"".join(part.tobytes() for part in parts)
    return np.asarray(stored, dtype="<f4").tobytes()


def _unusable(position: int, value: NDArray[np.float32], dimension: int) -> dict[int, str]:
    """Why the server could not take this vector (or one of its tokens), by its position; {} when it can."""
    if value.shape[-1] != dimension:
        return {position: f"the model returned {value.shape[-1]} numbers instead of {dimension}"}
    if not np.isfinite(value).all():
        return {position: "the model returned numbers that are not finite"}
    return {}


def reads(job: Job) -> tuple[str, ...]:
    """Stored vectors that a job computes new ones from."""
    return tuple(dict.fromkeys(make.source for make in job.makes if isinstance(make, FromVector)))


def text_paths(job: Job) -> tuple[str, ...]:
    """Payload paths of the job's text; () when no text is read."""
    return tuple(paths(job.template)) if any(not isinstance(make, FromVector) for make in job.makes) else ()


def present(column: Column, position: int) -> bool:
    """Whether the column has a vector there."""
    return entry(column, position) is not None


def entry(column: Column, position: int) -> Any:
    """The vector of that position, or None."""
    value: Any = column[position]
    if isinstance(column, np.ndarray):
        return value if np.isfinite(value).all() else None
    return value


def take(column: Column, positions: Sequence[int]) -> Column:
    """The column of these positions only."""
    if isinstance(column, np.ndarray):
        return column[list(positions)]
    return [column[i] for i in positions]


def likeness(stored: Any, fresh: Any) -> float:
    """How alike a stored vector (as REST gives it) and a fresh one are: 1 for the same, 0 for nothing in common.

    A text that the server embeds itself cannot be compared here: a stored vector counts as alike.
    """
    if stored is None or fresh is None:
        return 1.0 if stored is fresh else 0.0
    if isinstance(fresh, Inference):
        return 1.0
    if isinstance(fresh, SparseValue):
        return _sparse_cosine(stored, fresh)
    a, b = np.asarray(stored, dtype=np.float32), np.asarray(fresh, dtype=np.float32)
    if a.shape != b.shape:
        return 0.0
    if a.ndim == 1:
        return cosine(a, b)
    return float(np.mean([cosine(one, other) for one, other in zip(a, b, strict=True)])) if len(a) else 1.0


def cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Cosine of two vectors; 0 when one of them is zero."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.dot(a, b)) / lengths if lengths else 0.0


def _sparse_cosine(stored: Any, fresh: SparseValue) -> float:
    old = dict(zip(stored["indices"], stored["values"], strict=True))
    new = dict(zip(fresh.indices.tolist(), fresh.values.tolist(), strict=True))
    lengths = float(np.linalg.norm(list(old.values())) * np.linalg.norm(list(new.values())))
    return sum(value * old.get(index, 0.0) for index, value in new.items()) / lengths if lengths else 0.0


def _forget(column: Column, position: int) -> None:
    if isinstance(column, np.ndarray):
        column[position] = np.nan
    else:
        column[position] = None  # type: ignore[index]
