"""A point for which the server answers 500 each time is found and left out; a server that is down is waited for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from changeover.cluster.errors import Action, ClusterError, classify
from changeover.engine.context import Context
from changeover.engine.ledger import Mark
from changeover.engine.patience import SAME_500_S
from changeover.engine.steps import load
from changeover.errors import UnreachableError
from tests.engine.fakes import MemoryCluster, close, context, plan, slices


def panic(number: int = 7) -> ClusterError:
    """What a panic in the update worker is answered with; the task's number differs each time."""
    error = f"Service internal error: task {number} panicked with message index out of bounds"
    return classify(500, b'{"status":{"error":"%s"}}' % error.encode())


class Poisoned(MemoryCluster):
    """Writes that hold one of `poison` are answered 500; `down(cluster)` may raise for any write before that."""

    def __init__(self, points: int, poison: set[int], mode: str = "blue-green") -> None:
        super().__init__()
        self.poison = poison
        self.writes: list[list[Any]] = []
        self.probes = 0
        self.down: Any = lambda cluster: None
        self.collections["source"] = {i: ({"text": f"t{i}"}, {}) for i in range(points)}
        if mode == "blue-green":
            self.collections["target"] = {}

    def _bites(self, ids: list[Any]) -> None:
        self.writes.append(ids)
        self.down(self)
        if self.poison & set(ids):
            raise panic(len(self.writes))

    def upsert(self, name: str, page: Any, rows: Any, *given: Any, **named: Any) -> None:
        self._bites([page.ids[row] for row in rows])
        super().upsert(name, page, rows, *given, **named)

    def update_vectors(self, name: str, ids: Any, *given: Any, **named: Any) -> None:
        self._bites(list(ids))
        super().update_vectors(name, ids, *given, **named)

    def delete(self, name: str, ids: Any) -> None:
        self.probes += 1
        self.down(self)
        super().delete(name, ids)


@contextmanager
def loading(
    folder: Path, cluster: Poisoned, mode: Any = "blue-green", batch: int = 20
) -> Iterator[tuple[Context, Any]]:
    """A context, and what loads everything with it; `waited` of the context is what the pauses would have taken."""
    ctx = context(folder / "run", plan(mode, slices(), batch=batch), cluster)
    waits: list[float] = []
    ctx.throttle.back_off = lambda seconds, reason: waits.append(seconds)  # type: ignore[method-assign]
    try:
        yield ctx, waits
    finally:
        close(ctx)


@pytest.mark.parametrize("mode", ["blue-green", "in-place"])
@pytest.mark.parametrize(("points", "poison"), [(20, {7}), (20, {0, 19}), (50, {1, 2, 40}), (1, {0})])
async def test_the_one_point_is_left_out_and_all_others_are_written(
    tmp_path: Path, mode: str, points: int, poison: set[int]
) -> None:
    cluster = Poisoned(points, poison, mode)
    with loading(tmp_path, cluster, mode) as (ctx, waits):
        await load.load(ctx, ctx.plan.steps[0])  # type: ignore[arg-type]
        assert set(ctx.ledger.marked([Mark.SKIPPED])) == poison
        assert set(ctx.ledger.marked([Mark.WRITTEN])) == set(range(points)) - poison
        assert {event.id for event in ctx.state.skipped_sample} == poison
        assert all("panicked" in event.reason and "500" in event.reason for event in ctx.state.skipped_sample)
        assert sum(waits) > SAME_500_S
    target = cluster.collections["target" if mode == "blue-green" else "source"]
    assert {i for i, (_, vectors) in target.items() if "new" in vectors} == set(range(points)) - poison


async def test_a_500_that_passes_in_time_costs_nothing(tmp_path: Path) -> None:
    cluster = Poisoned(20, {7})

    def mended(cluster: Poisoned) -> None:
        if len(cluster.writes) > 6:
            cluster.poison = set()

    cluster.down = mended
    with loading(tmp_path, cluster) as (ctx, waits):
        await load.load(ctx, ctx.plan.steps[0])  # type: ignore[arg-type]
        assert ctx.ledger.count(Mark.WRITTEN) == 20
        assert sum(waits) < SAME_500_S
    assert all(len(ids) == 20 for ids in cluster.writes)


@pytest.mark.parametrize("points", [1, 3, 20])
async def test_a_server_that_takes_no_write_at_all_is_waited_for(tmp_path: Path, points: int) -> None:
    cluster = Poisoned(points, set())

    def broken(cluster: Poisoned) -> None:
        if len(cluster.writes) < 40:
            raise panic(len(cluster.writes))

    cluster.down = broken
    with loading(tmp_path, cluster) as (ctx, waits):
        await load.load(ctx, ctx.plan.steps[0])  # type: ignore[arg-type]
        assert ctx.ledger.count(Mark.WRITTEN) == points
        assert ctx.state.skipped == 0
        assert sum(waits) > SAME_500_S


async def test_one_that_stays_so_ends_the_run_without_rejections(tmp_path: Path) -> None:
    cluster = Poisoned(20, set(range(20)))
    with loading(tmp_path, cluster) as (ctx, waits):
        with pytest.raises(UnreachableError, match="gave up after"):
            await load.load(ctx, ctx.plan.steps[0])  # type: ignore[arg-type]
        assert ctx.state.skipped == 0
        assert ctx.ledger.count() == 0
    assert min(map(len, cluster.writes)) == 1, "it was looked for"
    assert sum(waits) > 900


async def test_many_points_at_once_are_the_servers_fault(tmp_path: Path) -> None:
    """A shard whose replicas are away answers 500 for all of its points, while the others are written."""
    cluster = Poisoned(60, set(range(0, 60, 4)))
    with loading(tmp_path, cluster, batch=60) as (ctx, _):
        with pytest.raises(UnreachableError):
            await load.load(ctx, ctx.plan.steps[0])  # type: ignore[arg-type]
        assert ctx.state.skipped == 0


async def test_a_shard_that_is_away_is_waited_for_even_with_one_point(tmp_path: Path) -> None:
    cluster = Poisoned(1, set())
    error = b"Service internal error: The replica set for shard 1 on peer 77 has no active replica"

    def away(cluster: Poisoned) -> None:
        if len(cluster.writes) < 30:
            raise classify(500, b'{"status":{"error":"%s"}}' % error)

    cluster.down = away
    with loading(tmp_path, cluster) as (ctx, waits):
        await load.load(ctx, ctx.plan.steps[0])  # type: ignore[arg-type]
        assert ctx.ledger.count(Mark.WRITTEN) == 1
        assert ctx.state.skipped == cluster.probes == 0
        assert sum(waits) > 2 * SAME_500_S


@pytest.mark.parametrize("other", ["no answer", "unavailable", "another 500"])
async def test_only_the_same_500_each_time_makes_a_point_suspect(tmp_path: Path, other: str) -> None:
    cluster = Poisoned(20, {7})
    kinds = {
        "no answer": ClusterError("no answer from the server", Action.RETRY),
        "unavailable": classify(503, b'{"status":{"error":"starting"}}'),
        "another 500": classify(500, b'{"status":{"error":"Service internal error: something else"}}'),
    }

    def in_turn(cluster: Poisoned) -> None:
        if len(cluster.writes) % 2:
            raise kinds[other]

    cluster.down = in_turn
    with loading(tmp_path, cluster) as (ctx, _):
        with pytest.raises(UnreachableError):
            await load.load(ctx, ctx.plan.steps[0])  # type: ignore[arg-type]
        assert ctx.state.skipped == 0
    assert all(len(ids) == 20 for ids in cluster.writes)


async def test_a_point_that_is_taken_once_the_server_is_back_is_not_left_out(tmp_path: Path) -> None:
    """The server recovers in the middle of the search: what failed before that is sent once more."""
    cluster = Poisoned(4, set())

    def broken(cluster: Poisoned) -> None:
        if cluster.writes[-1:] != [[3]] and not any(ids == [3] for ids in cluster.writes):
            raise panic(len(cluster.writes))

    cluster.down = broken
    with loading(tmp_path, cluster, batch=4) as (ctx, _):
        await load.load(ctx, ctx.plan.steps[0])  # type: ignore[arg-type]
        assert ctx.ledger.count(Mark.WRITTEN) == 4
        assert ctx.state.skipped == 0
