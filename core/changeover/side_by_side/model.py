"""What a comparison answers, as plain values."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from changeover.errors import UsageError
from changeover.survey.model import PointId

TOP = 10
"""Points of each list."""
BEGUN_BY = ("load", "change-storage", "create-text-index")
"""Kinds of steps that make the new side; before one of them has begun there is nothing to compare."""

SideName: TypeAlias = Literal["old", "new"]
Way: TypeAlias = Literal["dense", "sparse", "fused"]
Move: TypeAlias = Literal["same", "up", "down", "new", "gone", "absent", "aside", "alone"]
"""From the old list to the new one. new: only the new list has it. gone: only the old one. absent: the other side does
not hold the point (or its vector) at all, so its rank says nothing about the model. aside: neither list has it.
alone: the other side was not asked."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One point of a list; ranks count from 1, None where that list does not have it."""

    id: PointId
    rank: int
    score: float
    """Of this list alone: scores of two models or of two ways of searching cannot be compared."""
    title: str
    text: str
    old: int | None
    new: int | None
    move: Move


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """The list of one way of searching one side, and what it took."""

    side: SideName
    way: Way
    rows: tuple[Row, ...]
    embed_ms: float | None
    """Turning the query into a vector here; None where the server does it as part of the search."""
    search_ms: float
    """From the request to the answer."""

    def rank(self, point: PointId) -> int | None:
        """Where the point is in this list."""
        return next((row.rank for row in self.rows if row.id == point), None)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One query on both sides; a side that cannot be asked has no list, and one line that says why."""

    query: str
    old: Ranking | None
    new: Ranking | None
    """What the application searches after the cutover: fused where a sparse part was added."""
    parts: tuple[Ranking, ...] = ()
    """The lists that the new one is fused from, each by itself."""
    why_no_old: str = ""
    why_no_new: str = ""

    @property
    def both(self) -> bool:
        """Whether there is something to compare."""
        return self.old is not None and self.new is not None

    @property
    def shared(self) -> int:
        """Points that both lists have."""
        return sum(row.old is not None and row.new is not None for row in self.new.rows) if self.new else 0

    @property
    def merged(self) -> tuple[Row, ...]:
        """The new list, then what only the old one has."""
        new = self.new.rows if self.new else ()
        return (*new, *(row for row in (self.old.rows if self.old else ()) if row.new is None))


def query_of(text: str) -> str:
    """A typed query as it is asked and kept; raises UsageError for an empty one."""
    query = text.encode("utf-8", "replace").decode().strip()
    if not query:
        raise UsageError("the query is empty; type a few words")
    return query
