"""Labelled queries as the models of both sides see them; one that a model refuses is left out of all of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from changeover.cluster.api import Inference, SparseValue
from changeover.cluster.errors import Action, ClusterError
from changeover.embed.protocol import Encoder, TextRejected
from changeover.engine.steps.searches import plain
from changeover.quality.queries import LabelledQuery
from changeover.safe_text import clean

T = TypeVar("T")
SHOWN = 40
"""Terminal cells of a refused query in the words about it."""


class Asked:
    """The queries of an evaluation, and which of them were refused."""

    def __init__(self, queries: Sequence[LabelledQuery]) -> None:
        self.queries = queries
        self._refused: dict[int, str] = {}

    @property
    def left(self) -> int:
        """How many are not refused."""
        return len(self.queries) - len(self._refused)

    def of(self, values: Sequence[T]) -> list[T]:
        """The entries of the queries that are left, of a list with one for each query."""
        return [value for i, value in enumerate(values) if i not in self._refused]

    def embedded(self, encoder: Encoder, side: str) -> list[Any]:
        """An entry per query, None where it was refused (now or before). Blocking; raises what is no refusal."""
        found: list[Any] = []
        for i, query in enumerate(self.queries):
            value = None
            if i not in self._refused:
                try:
                    value = encoder.embed_query(query.query)
                except TextRejected as error:
                    self._refuse(i, side, error.rejected[0].reason)
                else:
                    if not _finite(value):
                        self._refuse(i, side, "it gave a number that is not finite")
            found.append(plain(value) if i not in self._refused else None)
        return found

    async def tried(self, values: Sequence[Any], search: Callable[[Any], Awaitable[Any]]) -> None:
        """Search once with each text that the server embeds itself: only so it tells which ones it refuses."""
        for i, value in enumerate(values):
            if i in self._refused or not isinstance(value, Inference):
                continue
            try:
                await search(value)
            except ClusterError as error:
                if error.action is not Action.SKIP:
                    raise
                self._refuse(i, "new", str(error))

    @property
    def words(self) -> str:
        """What was left out and why; "" for nothing."""
        if not self._refused:
            return ""
        return f"{len(self._refused):,} of {len(self.queries):,} queries left out: {self._first()}."

    def all_refused(self, side: str, asked: int) -> str:
        """That this side's model refused every query that it was asked."""
        return (
            f"The {side} model refused every query that it was asked, {asked:,} of {len(self.queries):,}:"
            f" {self._first(side)}."
        )

    def _first(self, side: str = "") -> str:
        return next(words for _, words in sorted(self._refused.items()) if words.startswith(f"the {side}"))

    def _refuse(self, position: int, side: str, reason: str) -> None:
        text = clean(self.queries[position].query, SHOWN)
        self._refused[position] = f"the {side} model refused {text!r}: {reason.rstrip('.')}"


def _finite(value: Any) -> bool:
    import numpy as np

    if isinstance(value, Inference) or value is None:
        return True
    return bool(np.isfinite(value.values if isinstance(value, SparseValue) else value).all())
