"""Points that are rejected: reported once, tried again, and never so many that nobody notices."""

from __future__ import annotations

from pathlib import Path

import pytest

from changeover.engine import events as ev
from changeover.engine import left_out
from changeover.engine.journal import read_all
from changeover.engine.steps.converge import catch_up, sweep
from changeover.engine.steps.load import load
from changeover.engine.steps.verify import verify
from changeover.errors import BlockedError
from changeover.plan.model import Mode
from tests.engine.fakes import close
from tests.engine.two_sides import MODES, check, edit, obliging, reject, world


@pytest.mark.parametrize("mode", MODES)
async def test_a_target_that_rejects_everything_stops_the_run_and_is_tried_again(mode: Mode, tmp_path: Path) -> None:
    """Nobody cuts over to an empty collection because each of its points has a reason."""
    cluster, ctx = world(mode, {i: (f"text {i}", 0) for i in range(300)}, [], str(tmp_path), batch=50)
    reject(cluster, lambda point_id: True)
    with pytest.raises(BlockedError, match=r"points-left-out: \d+ points in a row were rejected, .*no such point"):
        await load(ctx, ctx.plan.steps[0])
    obliging(cluster)
    ctx.ledger.try_skipped_again()
    await load(ctx, ctx.plan.steps[0])
    await catch_up(ctx, ctx.plan.steps[1])
    check(cluster, mode)
    assert ctx.state.skipped == 0 and not ctx.state.skipped_sample
    close(ctx)


@pytest.mark.parametrize(("points", "bad", "on"), [(30, 3, True), (30, 12, False), (1, 1, False)])
async def test_more_than_a_few_left_out_keep_the_cutover_shut_until_a_person_accepts(
    points: int, bad: int, on: bool, tmp_path: Path
) -> None:
    cluster, ctx = world("blue-green", {i: (f"text {i}", 0) for i in range(points)}, [], str(tmp_path))
    reject(cluster, lambda point_id: point_id < bad)
    await load(ctx, ctx.plan.steps[0])
    await verify(ctx, ctx.plan.steps[3])
    assert left_out.count(ctx) == ctx.state.skipped == bad
    lamp = left_out.lamp(ctx, points - bad)
    assert lamp.on is on and f"{bad} left out" in lamp.detail
    ctx.accepted = frozenset({left_out.CODE})
    assert left_out.lamp(ctx, points - bad).on
    close(ctx)


async def test_a_point_that_was_left_out_is_counted_once_and_no_more_when_it_is_mended(tmp_path: Path) -> None:
    cluster, ctx = world("blue-green", {i: (f"text {i}", 0) for i in range(9)}, [], str(tmp_path))
    reject(cluster, lambda point_id: point_id in (3, 7))
    await load(ctx, ctx.plan.steps[0])
    edit(cluster, {i: ("other" if i == 3 else f"text {i}", 0) for i in range(9)})
    await catch_up(ctx, ctx.plan.steps[1])
    ctx.ledger.try_skipped_again()
    await catch_up(ctx, ctx.plan.steps[1])
    assert ctx.state.skipped == 2
    told = [event for event in read_all(ctx.folder.journal) if isinstance(event, ev.Skipped)]
    assert sorted((event.before, event.id) for event in told) == [(False, 3), (False, 7), (True, 3)]
    obliging(cluster)
    edit(cluster, {i: ("yet another" if i == 3 else f"text {i}", 0) for i in range(9) if i != 7})
    await catch_up(ctx, ctx.plan.steps[1])
    check(cluster, "blue-green")
    assert ctx.state.skipped == 0
    close(ctx)


async def test_a_late_write_mends_a_point_that_the_new_side_had_rejected(tmp_path: Path) -> None:
    """It never was on the new side: its absence there is no change that somebody made after the cutover."""
    cluster, ctx = world("blue-green", {i: (f"text {i}", 0) for i in range(9)}, [], str(tmp_path))
    reject(cluster, lambda point_id: point_id == 7)
    await load(ctx, ctx.plan.steps[0])
    obliging(cluster)
    edit(cluster, {i: ("mended" if i == 7 else f"text {i}", 0) for i in range(9)})
    await sweep(ctx, ctx.plan.steps[6])
    check(cluster, "blue-green")
    assert not ctx.state.conflicts
    close(ctx)


async def test_a_point_that_grew_too_large_after_it_was_copied_does_not_keep_the_cutover_shut(tmp_path: Path) -> None:
    """Its former state is on the new side already, which must not serve it: it is left out, and said so."""
    cluster, ctx = world("blue-green", {i: (f"text {i}", 0) for i in range(30)}, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    reject(cluster, lambda point_id: point_id == 3)
    edit(cluster, {i: ("grown" if i == 3 else f"text {i}", 0) for i in range(30)})
    await catch_up(ctx, ctx.plan.steps[1])
    await verify(ctx, ctx.plan.steps[3])
    assert ctx.state.skipped == 1 and 3 not in cluster.collections["target"]
    obliging(cluster)
    ctx.ledger.try_skipped_again()
    await catch_up(ctx, ctx.plan.steps[1])
    check(cluster, "blue-green")
    close(ctx)
