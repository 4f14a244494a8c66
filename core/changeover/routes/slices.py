"""Fixed slices over the whole id space, decided once in the plan."""

from __future__ import annotations

from itertools import pairwise

from changeover.ids import id_key
from changeover.plan.model import Slice
from changeover.survey.model import PointId, ShardKey

POINTS_PER_SLICE = 20_000
PER_STREAM = 4
MOST = 256


def slices_of_keys(keys: tuple[ShardKey, ...]) -> tuple[Slice, ...]:
    """Under custom sharding: the whole id space of every key, since the same id can stand under several."""
    return tuple(Slice(number=number, shard_key=key) for number, key in enumerate(keys))


def slices(cuts: tuple[PointId, ...], points: int, streams: int) -> tuple[Slice, ...]:
    """Slices that cover every possible id exactly once; the cuts only make them about equally large.

    An id that is inserted later falls into one of them too: the first is open downwards, the last upwards.
    """
    wanted = min(MOST, max(PER_STREAM * streams, points // POINTS_PER_SLICE))
    ordered = sorted(set(cuts), key=id_key)
    if len(ordered) >= wanted:
        ordered = [ordered[(i + 1) * len(ordered) // wanted] for i in range(wanted - 1)]
    edges: list[PointId | None] = [None, *ordered, None]
    return tuple(Slice(number=n, start=low, end=high) for n, (low, high) in enumerate(pairwise(edges)))
