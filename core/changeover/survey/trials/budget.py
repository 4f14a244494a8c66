"""Time for a trial: embedding in a thread that ends when the time is up or the trial is given up, and says how far it is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from changeover.embed.protocol import Encoder, TextRejected
from changeover.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]

Progress = Callable[[int, int, str], None]
"""(done, total, what is being done); called on the event loop's thread."""
Partly = Callable[[Any], None]
"""Told what a trial has measured so far, as the value that it ends with; called on the event loop's thread."""
BATCH = 32
"""Texts embedded between two looks at the clock."""
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Budget:
    """Seconds after which a trial embeds no more (None: no limit), and whom to tell how far it is."""

    def __init__(self, seconds: float | None, progress: Progress | None = None, partly: Partly | None = None) -> None:
        self.seconds = seconds
        self._ends = None if seconds is None else monotonic() + seconds
        self._given_up = threading.Event()
        self._progress = progress
        self._partly = partly
        self._loop = asyncio.get_running_loop()

    def spent(self, share: float = 1.0) -> bool:
        """Whether this share of the time is over, or the trial was given up."""
        if self._given_up.is_set():
            return True
        return self._ends is not None and monotonic() >= self._ends - (1 - share) * (self.seconds or 0)

    def tell(self, done: int, total: int, words: str) -> None:
        """Report progress from any thread."""
        if self._progress is not None and not self._given_up.is_set():
            self._loop.call_soon_threadsafe(self._progress, done, total, words)

    def show(self, partly: Any) -> None:
        """Report what is measured so far, from any thread."""
        if self._partly is not None and not self._given_up.is_set():
            self._loop.call_soon_threadsafe(self._partly, partly)

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do blocking work in a thread; when the caller is cancelled, embedding there ends after its batch."""
        try:
            return await asyncio.to_thread(work, *args, **kwargs)
        except asyncio.CancelledError:
            self._given_up.set()
            raise


def embedded(model: Encoder, texts: Sequence[str], budget: Budget, words: str) -> list[Any]:
    """An entry per text as far as the time reached: its vector, or None where the model refused it. Blocking.

    At least one batch is embedded. Raises ChangeoverError for what is wrong with the model.
    """
    done: list[Any] = []
    for begin in range(0, len(texts), BATCH):
        if begin and budget.spent():
            break
        budget.tell(begin, len(texts), words)
        part = texts[begin : begin + BATCH]
        refused: set[int] = set()
        try:
            vectors: Any = model.embed_documents(part)
        except TextRejected as error:
            vectors, refused = error.vectors, {rejected.index for rejected in error.rejected}
        done += [None if i in refused or not _usable(v) else v for i, v in enumerate(vectors)]
    budget.tell(len(done), len(texts), words)
    return done


def asked(model: Encoder, texts: Sequence[str], budget: Budget, share: float, words: str) -> list[Any]:
    """The same for queries, which models take one by one; ends at this share of the time."""
    done: list[Any] = []
    for number, text in enumerate(texts):
        if number and budget.spent(share):
            break
        if number % BATCH == 0:
            budget.tell(number, len(texts), words)
        try:
            vector = model.embed_query(text)
        except TextRejected:
            vector = None
        done.append(vector if _usable(vector) else None)
    return done


def spread(few: Sequence[T], many: Sequence[T], every: int = 2) -> list[T]:
    """`few` and then `every` of `many` in turns, so that any beginning of the list holds enough of both."""
    out: list[T] = []
    rest = iter(many)
    for item in few:
        out.append(item)
        out += [other for _, other in zip(range(every), rest, strict=False)]
    return [*out, *rest]


def merged(first: Sequence[T], second: Sequence[T]) -> list[T]:
    """Both in one order, such that any beginning holds the same share of each."""
    placed = [((i + 0.5) / len(items), items[i]) for items in (first, second) for i in range(len(items))]
    return [item for _, item in sorted(placed, key=lambda pair: pair[0])]


def require_size(vectors: Rows, size: int, whose: str) -> None:
    """Raise UsageError when the model's vectors cannot be compared with the stored ones."""
    if vectors.shape[-1] != size:
        raise UsageError(
            f"{whose} makes vectors of {vectors.shape[-1]} numbers, and the stored ones have {size}; "
            "it is not the model that they were made with"
        )


def _usable(vector: Any) -> bool:
    import numpy as np

    return vector is not None and bool(np.size(vector)) and bool(np.isfinite(vector).all())
