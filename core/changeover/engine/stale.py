"""What a point must lose: a new vector whose text became blank or is refused, or what its source does not have any more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from changeover.cluster.errors import Action, ClusterError
from changeover.engine.by_ids import existing, in_parts
from changeover.engine.context import Context
from changeover.engine.deliver import unless_gone
from changeover.engine.hashes import payload_hash
from changeover.engine.ledger import Entry
from changeover.engine.recipe import present
from changeover.plan.model import Kept
from changeover.survey.model import PointId

if TYPE_CHECKING:
    from changeover.cluster.api import Column, Page

NO_PAYLOAD = payload_hash({})


def remove(ctx: Context, rows: Sequence[tuple[PointId, bytes, Sequence[bool]]], *, sweeping: bool) -> None:
    """`rows`: id, what the point holds now, and per new vector whether it got one.

    Only what this run wrote from another text is taken away. A point that the ledger does not know may have been
    written right before a crash; while `sweeping` the application writes new vectors itself, and these stay.
    """
    crashed = bool(ctx.begun_before) and not sweeping
    lacking = [(point_id, basis, has) for point_id, basis, has in rows if not all(has)]
    known = ctx.ledger.get([point_id for point_id, _, _ in lacking])
    for position, make in enumerate(ctx.recipe.makes):
        name = make.vector
        perhaps = crashed and not isinstance(make, Kept)  # nobody here has ever written one of those
        ids = [
            point_id
            for point_id, basis, has in lacking
            if not has[position] and (known[point_id].text != basis if point_id in known else perhaps)
        ]
        _from_all(ctx, ids, lambda part, name=name: ctx.wire.delete_vectors(ctx.job.target, part, [name]))  # type: ignore[misc]


def clear_former(
    ctx: Context, page: Page, rows: Sequence[int], columns: Mapping[str, Column], known: Mapping[PointId, Entry]
) -> bool:
    """Blue-green, before points are written again: take away what the other side has and the new state lacks.

    Returns whether anything was sent.

    Up to 1.18 an upsert over a point of an indexed segment leaves the vectors that it does not name and, over gRPC, the
    payload where the new one is empty (measured on 1.17.1 and 1.18.3; not on 1.19.0).
    """
    perhaps = bool(ctx.begun_before or ctx.plan.follows or ctx.job.insert_only)
    there = [i for i, row in enumerate(rows) if perhaps or page.ids[row] in known]
    ids = {i: page.ids[rows[i]] for i in there}
    lacking = {name: [ids[i] for i in there if not present(column, i)] for name, column in columns.items()}
    lacking |= {
        name: [ids[i] for i in there if page.vector(rows[i], was) is None] for was, name in ctx.job.carry.items()
    }
    for name, points in lacking.items():
        _from_all(ctx, points, lambda part, name=name: ctx.wire.delete_vectors(ctx.job.target, part, [name]))  # type: ignore[misc]
    bare = [ids[i] for i in there if not page.payload(rows[i])]
    bare = [point_id for point_id in bare if point_id not in known or known[point_id].payload != NO_PAYLOAD]
    _from_all(ctx, bare, lambda part: ctx.wire.clear_payload(ctx.job.target, part))
    return bool(bare) or any(lacking.values())


def _from_all(ctx: Context, ids: Sequence[PointId], request: Callable[[list[PointId]], None]) -> None:
    """Send `request` for those of the points that are there."""
    for _ in in_parts(ctx, ids, lambda part: _unless_gone(ctx, part, request)):
        pass


def _unless_gone(ctx: Context, ids: list[PointId], request: Callable[[list[PointId]], None]) -> None:
    left = ids
    while left:
        now = left
        try:
            unless_gone(ctx, now, lambda now=now: request(now))  # type: ignore[misc]
            return
        except ClusterError as error:
            if error.action is not Action.MISSING:
                raise
        there = existing(ctx, ctx.job.target, now)
        left = [point_id for point_id in now if point_id in there]
