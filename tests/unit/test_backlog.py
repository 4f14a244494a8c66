"""The load slows down while many points wait for the optimizer, says so, and comes back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from changeover.cluster.api import Optimizations
from changeover.cluster.errors import Action, ClusterError
from changeover.engine import backlog
from changeover.engine.throttle import BACKLOG_DELAY_S, Throttle
from tests.engine import fakes


def test_a_long_queue_slows_the_load_and_a_short_one_frees_it() -> None:
    throttle = Throttle(64, 2, None)
    throttle.on_backlog(20_000, 20_000)
    assert (throttle.backlog_delay_s, throttle.why) == (0.0, "")
    for _ in range(20):
        throttle.on_backlog(34_567, 20_000)
    assert throttle.backlog_delay_s == BACKLOG_DELAY_S
    assert throttle.why == "slowed: 34,567 points wait for the optimizer (over 20,000)"
    for _ in range(20):
        throttle.on_backlog(5, 20_000)
    assert (throttle.backlog_delay_s, throttle.why) == (0.0, "")


@pytest.mark.parametrize(("mode", "slow"), [("in-place", True), ("blue-green", False)])
async def test_the_queue_of_the_collection_that_serves_is_looked_at(
    mode: Any, slow: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "POLL_S", 0.001)
    cluster = fakes.MemoryCluster()
    answers = iter([ClusterError("503", Action.RETRY)])

    async def optimizations(name: str) -> Optimizations:
        if (error := next(answers, None)) is not None:
            raise error
        return Optimizations(color="yellow", queued=1, running=1, queued_points=50_000)

    cluster.optimizations = optimizations  # type: ignore[method-assign]
    ctx = fakes.context(tmp_path, fakes.plan(mode, fakes.slices()), cluster)
    watching = asyncio.create_task(backlog.watch(ctx))
    for _ in range(200):
        await asyncio.sleep(0.001)
        if ctx.throttle.why:
            break
    assert ("50,000 points wait for the optimizer" in ctx.throttle.why) is slow
    assert not watching.done()
    watching.cancel()
    fakes.close(ctx)


async def test_a_server_that_does_not_tell_slows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "POLL_S", 0.001)
    cluster = fakes.MemoryCluster()
    asked = 0

    async def optimizations(name: str) -> Optimizations:
        nonlocal asked
        asked += 1
        return Optimizations(color="yellow")

    cluster.optimizations = optimizations  # type: ignore[method-assign]
    ctx = fakes.context(tmp_path, fakes.plan("in-place", fakes.slices()), cluster)
    watching = asyncio.create_task(backlog.watch(ctx))
    await asyncio.sleep(0.05)
    assert asked == 1 and not watching.done() and not ctx.throttle.why
    watching.cancel()
    fakes.close(ctx)
