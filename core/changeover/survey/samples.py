"""Sampled points, and ids that cut the id space into equal parts."""

from __future__ import annotations

from changeover.cluster.api import Gateway
from changeover.cluster.errors import ClusterError
from changeover.ids import id_key
from changeover.survey.model import PointId, Sampled

KEPT = 200
ASKED = 1_000
CUTS = 255


async def sample_of(gateway: Gateway, name: str) -> tuple[tuple[Sampled, ...], tuple[PointId, ...], str]:
    """(points, cuts, note): up to KEPT random points with payload, and up to CUTS ids that divide a larger sample.

    Where random sampling is refused or the server is too old, the first points are taken and the note says so.
    """
    note = ""
    try:
        points = await gateway.sample(name, ASKED)
    except ClusterError as error:
        points, _ = await gateway.scroll(name, limit=KEPT)
        note = f"no random sample, the first {len(points)} points were taken: {error}"
    ids = sorted({p.id for p in points}, key=id_key)
    kept = tuple(Sampled(id=p.id, payload=p.payload, shard_key=p.shard_key) for p in points[:KEPT])
    return kept, cuts_of(ids), note


def cuts_of(ids: list[PointId], most: int = CUTS) -> tuple[PointId, ...]:
    """Up to `most` of the ascending ids, evenly spread, the first left out: nothing lies below it."""
    if len(ids) <= 1:
        return ()
    count = min(most, len(ids) - 1)
    picked = {ids[(i + 1) * len(ids) // (count + 1)] for i in range(count)} - {ids[0]}
    return tuple(sorted(picked, key=id_key))
