"""Sampled points, ids that cut the id space into equal parts, and how large the stored vectors are."""

from __future__ import annotations

from typing import Any

import msgspec

from changeover.cluster.api import Gateway, Point
from changeover.cluster.errors import Action, ClusterError
from changeover.ids import id_key
from changeover.survey.model import PointId, Sampled

KEPT = 200
"""Points whose payload is kept in the survey."""
ASKED = 1_500
ROUNDS = 20
"""Requests at most, where strict mode allows only a few points in each."""
CUTS = 255
MEASURED = 32
"""Points whose vectors are looked at to learn the size of multivectors and sparse vectors."""
AT_ONCE = 50


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What was sampled: points in random order, cuts in ascending order, and a note when it is not random."""

    points: tuple[Sampled, ...] = ()
    cuts: tuple[PointId, ...] = ()
    note: str = ""


async def sample_of(gateway: Gateway, name: str) -> Sample:
    """Up to KEPT random points with payload, and up to CUTS ids that divide a larger random sample.

    Where random sampling is refused or the server is too old, the first points are taken and the note says so.
    """
    try:
        ids = await _random_ids(gateway, name)
    except ClusterError as error:
        if error.action is Action.RETRY:
            raise
        points, following = await gateway.scroll(name, limit=KEPT)
        cuts = cuts_of([p.id for p in points]) if following is None else ()
        note = f"no random sample, the first {len(points)} points were taken: {error}"
        return Sample(points=tuple(map(_sampled, points)), cuts=cuts, note=note)
    points = await _retrieved(gateway, name, ids[:KEPT])
    return Sample(points=tuple(map(_sampled, points)), cuts=cuts_of(sorted(ids, key=id_key)))


def cuts_of(ids: list[PointId], most: int = CUTS) -> tuple[PointId, ...]:
    """Up to `most` of the ascending ids, evenly spread, the first left out: nothing lies below it."""
    if len(ids) <= 1:
        return ()
    count = min(most, len(ids) - 1)
    picked = {ids[(i + 1) * len(ids) // (count + 1)] for i in range(count)} - {ids[0]}
    return tuple(sorted(picked, key=id_key))


async def vector_bytes(gateway: Gateway, name: str, sample: tuple[Sampled, ...]) -> dict[str, float]:
    """Mean bytes of each vector over the sampled points that have it, counting 4 for a number and 8 for a sparse one.

    Raises ClusterError.
    """
    ids = [point.id for point in sample[:MEASURED]]
    if not ids:
        return {}
    sizes: dict[str, list[int]] = {}
    for point in await gateway.retrieve(name, ids, payload=False, vectors=True):
        for vector, value in point.vectors.items():
            sizes.setdefault(vector, []).append(_bytes_of(value))
    return {vector: sum(found) / len(found) for vector, found in sizes.items()}


def beyond_grpc(point: Sampled) -> bool:
    """Whether the payload holds an integer that gRPC cannot carry (from 2^63 up it becomes a double, measured)."""
    return _beyond(point.payload)


def _beyond(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_beyond, value.values()))
    if isinstance(value, list):
        return any(map(_beyond, value))
    return isinstance(value, int) and value >= 1 << 63


def _bytes_of(value: Any) -> int:
    if isinstance(value, dict):
        return 8 * len(value.get("indices", ()))
    if value and isinstance(value[0], list):
        return 4 * sum(len(row) for row in value)
    return 4 * len(value)


async def _random_ids(gateway: Gateway, name: str) -> list[PointId]:
    """Distinct random ids; strict mode can allow only a few at once, then several samples are put together."""
    found: dict[PointId, None] = {}
    for _ in range(ROUNDS):
        before = len(found)
        page = await gateway.sample(name, ASKED, payload=False)
        found.update(dict.fromkeys(point.id for point in page))
        if len(page) >= CUTS or len(found) >= CUTS or len(found) == before:
            break
        if len(page) >= await _points(gateway, name):
            break
    return list(found)


async def _points(gateway: Gateway, name: str) -> int:
    return int((await gateway.collection(name)).get("points_count") or 0)


async def _retrieved(gateway: Gateway, name: str, ids: list[PointId]) -> list[Point]:
    """The points of these ids that are still there, in the order of the ids."""
    points: dict[PointId, Point] = {}
    for begin in range(0, len(ids), AT_ONCE):
        part = await gateway.retrieve(name, ids[begin : begin + AT_ONCE])
        points.update({point.id: point for point in part})
    return [points[i] for i in ids if i in points]


def _sampled(point: Point) -> Sampled:
    return Sampled(id=point.id, payload=point.payload, shard_key=point.shard_key)
