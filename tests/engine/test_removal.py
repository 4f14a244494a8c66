"""What a sweep and a removal refuse: deletes that empty a side, and an old side that is still needed."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from changeover.engine import left_out, scans
from changeover.engine.steps import converge
from changeover.engine.steps.converge import catch_up, sweep
from changeover.engine.steps.load import load
from changeover.engine.steps.removal import drop_collection, drop_vector
from changeover.engine.steps.verify import verify
from changeover.engine.steps.way_back import count_lacking
from changeover.errors import BlockedError
from changeover.plan import model as pm
from tests.engine.fakes import close, vector_of
from tests.engine.two_sides import check, reject, world


async def test_an_emptied_old_side_does_not_empty_the_new_one(tmp_path: Path) -> None:
    cluster, ctx = world("blue-green", {i: (f"text {i}", 0) for i in range(300)}, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    kept = {i: point for i, point in cluster.collections["source"].items() if i >= 120}
    cluster.collections["source"] = kept
    with pytest.raises(BlockedError, match=r"many-deleted: .* of 300 points are gone from source"):
        await sweep(ctx, ctx.plan.steps[6])
    assert len(cluster.collections["target"]) == 300
    ctx.accepted = frozenset({scans.DELETED_CODE})
    await sweep(ctx, ctx.plan.steps[6])
    check(cluster, "blue-green")
    close(ctx)


async def test_a_removed_old_side_has_nothing_to_sweep(tmp_path: Path) -> None:
    cluster, ctx = world("blue-green", {i: (f"text {i}", 0) for i in range(9)}, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    del cluster.collections["source"]
    assert "source was removed" in await sweep(ctx, ctx.plan.steps[6])
    assert len(cluster.collections["target"]) == 9
    close(ctx)


async def test_an_alias_that_somebody_moved_before_the_swap_stops_the_run(tmp_path: Path) -> None:
    """What the application writes on the new side by then is no difference that verification may mend."""
    cluster, ctx = world("blue-green", {i: (f"text {i}", 0) for i in range(9)}, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    cluster.aliases_now["app"] = "target"
    cluster.collections["target"][900] = ({"text": "written by the application", "n": 0}, {})
    for work, step in ((catch_up, 1), (verify, 3)):
        with pytest.raises(BlockedError, match="alias-moved: app points to target already"):
            await work(ctx, ctx.plan.steps[step])
    assert 900 in cluster.collections["target"]
    close(ctx)


def removal(ctx: Any, step: pm.Step) -> pm.Step:
    """Let the context's plan end with a removal."""
    steps = (*ctx.plan.steps, step)
    ctx.plan = msgspec.structs.replace(ctx.plan, steps=steps)
    return step


def drop(ctx: Any) -> pm.Step:
    request = pm.Request(method="DELETE", path="/collections/source")
    return removal(ctx, pm.DropCollection(id="drop", title="Remove source", request=request))


async def test_the_old_side_stays_while_it_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converge, "BETWEEN_S", 0.0)
    cluster, ctx = world("blue-green", {i: (f"text {i}", 0) for i in range(60)}, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    drop(ctx)
    scroll, fresh = cluster.scroll, itertools.count(1000)

    def written_meanwhile(name: str, **options: Any) -> Any:
        if name == "source" and options.get("start") is None and options.get("filter") is None:
            cluster.collections["source"][next(fresh)] = ({"text": "late", "n": 0}, {"old": np.ones(4)})
        return scroll(name, **options)

    cluster.scroll = written_meanwhile
    with pytest.raises(BlockedError, match=r"old-still-needed: writes keep reaching .* 1 new"):
        await sweep(ctx, ctx.plan.steps[6])
    close(ctx)


async def test_the_old_side_stays_while_it_holds_the_only_copy(tmp_path: Path) -> None:
    cluster, ctx = world("blue-green", {i: (f"text {i}", 0) for i in range(9)}, [], str(tmp_path))
    cluster.aliases_now["app"] = "target"
    reject(cluster, lambda point_id: point_id == 7)
    await load(ctx, ctx.plan.steps[0])
    step = drop(ctx)
    with pytest.raises(BlockedError, match=r"points-left-out: 1 points are in source alone, .*: 7;"):
        await drop_collection(ctx, step)
    assert not cluster.sent
    ctx.accepted = frozenset({left_out.CODE})
    assert await drop_collection(ctx, step) == "source is removed"
    close(ctx)


async def test_an_alias_that_comes_back_during_the_last_sweep_keeps_the_old_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, ctx = world("blue-green", {i: (f"text {i}", 0) for i in range(9)}, [], str(tmp_path))
    cluster.aliases_now["app"] = "target"
    await load(ctx, ctx.plan.steps[0])
    step = drop(ctx)
    ctx.begun_before = frozenset({"sweep"})
    scroll = cluster.scroll

    def rolled_back(name: str, **options: Any) -> Any:
        cluster.aliases_now["app"] = "source"
        return scroll(name, **options)

    cluster.scroll = rolled_back
    monkeypatch.setattr(converge, "BETWEEN_S", 0.0)
    with pytest.raises(BlockedError, match="old-still-needed: alias app points to source"):
        await drop_collection(ctx, step)
    assert not cluster.sent
    close(ctx)


async def test_an_old_vector_stays_while_points_have_nothing_else(tmp_path: Path) -> None:
    cluster, ctx = world("in-place", {i: ("  " if i == 4 else f"text {i}", 0) for i in range(9)}, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    request = pm.Request(method="DELETE", path="/collections/source/vectors/old")
    step = removal(ctx, pm.DropVector(id="drop", title="Remove old", vector="old", request=request))
    with pytest.raises(BlockedError, match="points-left-out: 1 points hold old and no new: 4;"):
        await drop_vector(ctx, step)
    assert not cluster.sent
    ctx.accepted = frozenset({left_out.CODE})
    assert await drop_vector(ctx, step) == "old is removed"
    close(ctx)


async def test_in_place_an_edited_text_lacks_its_old_vector_too(tmp_path: Path) -> None:
    """Without the old model a vector of the former text is no old vector: it is counted before anything is written."""
    cluster, ctx = world("in-place", {i: (f"text {i}", 0) for i in range(9)}, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    kept = msgspec.structs.replace(
        ctx.job, source_vector="new", target_vector="old", makes=(pm.Kept(vector="old"),), model=None
    )
    ctx.plan = msgspec.structs.replace(ctx.plan, job=kept, follows="test-run")
    vars(ctx).pop("recipe", None)
    source = cluster.collections["source"]
    source[3] = ({"text": "edited", "n": 0}, {**source[3][1], "new": vector_of("edited")})
    source[20] = ({"text": "inserted", "n": 0}, {"new": vector_of("inserted")})
    with pytest.raises(BlockedError, match=r"no-old-vector: 2 points .* would lack vector old: 3, 20;"):
        await count_lacking(ctx, pm.CountLacking(id="count", title="Count"))
    close(ctx)
