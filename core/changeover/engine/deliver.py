"""Get a batch of points onto the server: retry, split, isolate the one that is rejected, re-send without those gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from changeover.cluster.errors import Action, ClusterError
from changeover.engine.by_ids import existing
from changeover.engine.context import Context
from changeover.engine.patience import patiently
from changeover.engine.recipe import take
from changeover.survey.model import PointId

if TYPE_CHECKING:
    from changeover.cluster.api import Column, Page

    Columns = Mapping[str, Column]


class Outcome:
    """What became of a batch: rows that the server took, rows that it rejected for good, rows that are gone."""

    def __init__(self) -> None:
        self.written: list[int] = []
        self.rejected: dict[int, str] = {}
        self.gone: list[int] = []


def deliver(ctx: Context, page: Page, rows: Sequence[int], columns: Columns, *, guard: bool) -> Outcome:
    """Write entry i of every column for `rows[i]` of the page; a point without an entry gets no such vector.

    In place only the new vectors are written; blue-green the whole point. Raises ClusterError(STOP), StoppedError.
    """
    outcome = Outcome()
    size = max(1, ctx.throttle.effective_batch)
    positions = list(range(len(rows)))
    for start in range(0, len(positions), size):
        _deliver(ctx, page, rows, columns, positions[start : start + size], outcome, guard)
    return outcome


def _deliver(
    ctx: Context,
    page: Page,
    rows: Sequence[int],
    columns: Columns,
    part: list[int],
    outcome: Outcome,
    guard: bool,
) -> None:
    chosen = [rows[i] for i in part]

    def send() -> None:
        begun = time.monotonic()
        _write(ctx, page, chosen, {name: take(column, part) for name, column in columns.items()}, guard)
        ctx.throttle.wrote(len(part), time.monotonic() - begun)

    try:
        unless_gone(ctx, [page.ids[row] for row in chosen], send)
        outcome.written += chosen
        return
    except ClusterError as error:
        if error.action is Action.MISSING:
            _without_gone(ctx, page, rows, columns, part, outcome, guard)
            return
        if error.action not in (Action.SPLIT, Action.SKIP):
            raise
        if len(part) == 1:
            outcome.rejected[chosen[0]] = str(error)
            return
        if error.action is Action.SPLIT:
            ctx.throttle.learn_ceiling(len(part) // 2)
    middle = len(part) // 2
    for half in (part[:middle], part[middle:]):
        _deliver(ctx, page, rows, columns, half, outcome, guard)


def _write(ctx: Context, page: Page, rows: list[int], columns: Columns, guard: bool) -> None:
    job = ctx.job
    if ctx.in_place:
        ids = [page.ids[row] for row in rows]
        ctx.wire.update_vectors(job.target, ids, columns, only_absent=guard)
    else:
        ctx.wire.upsert(job.target, page, rows, columns, carry=job.carry, insert_only=guard)


def _without_gone(
    ctx: Context,
    page: Page,
    rows: Sequence[int],
    columns: Columns,
    part: list[int],
    outcome: Outcome,
    guard: bool,
) -> None:
    # A 404 leaves a random part of the batch unapplied (measured): what still exists is sent again, whole.
    there = existing(ctx, ctx.job.target, [page.ids[rows[i]] for i in part])
    outcome.gone += [rows[i] for i in part if page.ids[rows[i]] not in there]
    left = [i for i in part if page.ids[rows[i]] in there]
    if left:
        _deliver(ctx, page, rows, columns, left, outcome, guard)


def unless_gone(ctx: Context, ids: Sequence[PointId], request: Callable[[], None]) -> None:
    """Send patiently; raises ClusterError(MISSING) only when one of `ids` is really gone from the target.

    A point can be inserted again, or a replica lag behind, between the answer and the look: that is asked again.
    """

    def checked() -> None:
        try:
            request()
        except ClusterError as error:
            if error.action is Action.MISSING and not set(ids) - existing(ctx, ctx.job.target, ids):
                raise ClusterError(f"{error}; but every point is there", Action.RETRY, where=error.where) from None
            raise

    patiently(ctx, checked)
