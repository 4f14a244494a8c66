"""From the hits of every list to rows that say where both sides rank a point, and how it moved. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from changeover.cluster.api import Hit
from changeover.side_by_side.excerpt import Excerpt
from changeover.side_by_side.model import Move, Ranking, Row, SideName, Way
from changeover.survey.model import PointId


class Found(NamedTuple):
    """One list as the server answered it."""

    side: SideName
    way: Way
    hits: Sequence[Hit]
    embed_ms: float | None
    search_ms: float


class Held(NamedTuple):
    """What one side holds of the points in question: those that it can find, and what they say."""

    points: Collection[PointId]
    excerpts: Mapping[PointId, Excerpt]


def rankings(
    lists: Sequence[Found], old: Found | None, new: Found | None, held: Mapping[SideName, Held]
) -> tuple[Ranking, ...]:
    """`lists` with rows; ranks are those in `old` and `new`, the two lists that are compared."""
    before = {hit.id: rank for rank, hit in enumerate(old.hits, 1)} if old else {}
    after = {hit.id: rank for rank, hit in enumerate(new.hits, 1)} if new else {}
    return tuple(
        Ranking(
            side=found.side,
            way=found.way,
            rows=tuple(
                _row(found, rank, hit, before, after, held, compared=old is not None and new is not None)
                for rank, hit in enumerate(found.hits, 1)
            ),
            embed_ms=found.embed_ms,
            search_ms=found.search_ms,
        )
        for found in lists
    )


def move(old: int | None, new: int | None, *, held: bool = True) -> Move:
    """How a point moved; `held`: the side whose list lacks it does hold the point."""
    if old is not None and new is not None:
        return "same" if old == new else "up" if new < old else "down"
    if old is None and new is None:
        return "aside"
    if not held:
        return "absent"
    return "gone" if new is None else "new"


def _row(
    found: Found,
    rank: int,
    hit: Hit,
    before: Mapping[PointId, int],
    after: Mapping[PointId, int],
    held: Mapping[SideName, Held],
    *,
    compared: bool,
) -> Row:
    old, new = before.get(hit.id), after.get(hit.id)
    other: SideName = "old" if old is None else "new"
    excerpt = held[found.side].excerpts.get(hit.id, Excerpt("", ""))
    return Row(
        id=hit.id,
        rank=rank,
        score=hit.score,
        title=excerpt.title,
        text=excerpt.text,
        old=old,
        new=new,
        move=move(old, new, held=hit.id in held[other].points) if compared else "alone",
    )
