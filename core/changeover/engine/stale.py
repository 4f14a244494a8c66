"""In place: new vectors that a point must lose, since its text became blank or one that the model refuses."""

from __future__ import annotations

from collections.abc import Sequence

from changeover.cluster.errors import Action, ClusterError
from changeover.engine.by_ids import existing, in_parts
from changeover.engine.context import Context
from changeover.engine.deliver import unless_gone
from changeover.plan.model import Kept
from changeover.survey.model import PointId


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
        if ids:
            for _ in in_parts(ctx, ids, lambda part, name=name: _delete(ctx, part, name)):  # type: ignore[misc]
                pass


def _delete(ctx: Context, ids: list[PointId], name: str) -> None:
    left = ids
    while left:
        now = left
        try:
            unless_gone(ctx, now, lambda now=now: ctx.wire.delete_vectors(ctx.job.target, now, [name]))  # type: ignore[misc]
            return
        except ClusterError as error:
            if error.action is not Action.MISSING:
                raise
        there = existing(ctx, ctx.job.target, now)
        left = [point_id for point_id in now if point_id in there]
