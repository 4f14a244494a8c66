"""The cutover: what has to be true of both sides in the moment in which the alias moves, whoever was at them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from changeover.cluster.api import Optimizations
from changeover.cluster.errors import Action, ClusterError
from changeover.engine import events as ev
from changeover.engine.desk import Desk
from changeover.engine.steps import converge, cutover
from changeover.engine.steps import wait_green as green
from changeover.engine.steps.converge import sweep
from changeover.engine.steps.cutover import await_cutover, swap_alias
from changeover.engine.steps.load import load
from changeover.engine.steps.verify import verify
from changeover.engine.steps.wait_green import wait_green
from changeover.errors import BlockedError, UnreachableError, UnverifiedError
from changeover.plan.model import ReplaceByAlias, Request, WaitGreen
from tests.engine.fakes import close, vector_of
from tests.engine.two_sides import check, edit, world


@pytest.fixture
def ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A verified run of 60 points that has a desk."""
    monkeypatch.setattr(cutover, "REST_S", 0.0)
    monkeypatch.setattr(cutover, "POLL_S", 0.0)
    monkeypatch.setattr(converge, "BETWEEN_S", 0.0)

    async def begin(**job: Any) -> Any:
        cluster, ctx = world("blue-green", {i: (f"text {i}", 0) for i in range(60)}, [], str(tmp_path), **job)
        ctx.desk = Desk(ctx)
        await load(ctx, ctx.plan.steps[0])
        await verify(ctx, ctx.plan.steps[3])
        return cluster, ctx

    return begin


async def test_what_was_written_before_a_resume_is_there_before_the_alias_moves(ready: Any) -> None:
    """Killed between the word and the swap, resumed days later: the alias does not move to what is days old."""
    cluster, ctx = await ready()
    edit(cluster, {i: (f"days later {i}", 1) for i in range(100)})
    send, there = cluster.send, list[int]()

    async def look(method: str, path: str, body: Any = None, **more: Any) -> Any:
        if path == "/collections/aliases":
            check(cluster, "blue-green")
            there.append(len(cluster.collections["target"]))
        return await send(method, path, body, **more)

    cluster.send = look
    await swap_alias(ctx, ctx.plan.steps[5])
    assert there == [100] and cluster.aliases_now["app"] == "target"
    close(ctx)


async def test_an_alias_that_others_moved_meanwhile_stays_where_it_is(ready: Any) -> None:
    cluster, ctx = await ready()
    await await_cutover(ctx, ctx.plan.steps[4])
    for elsewhere in ("third", None):
        cluster.aliases_now = {"app": elsewhere} if elsewhere else {}
        with pytest.raises(BlockedError, match=r"alias-moved: app points to (third|nothing)"):
            await swap_alias(ctx, ctx.plan.steps[5])
    assert not any(path == "/collections/aliases" for _, path, _ in cluster.sent)
    close(ctx)


def wiped(cluster: Any) -> None:
    cluster.collections["target"].clear()


def some_gone(cluster: Any) -> None:
    for i in (3, 4, 59):
        del cluster.collections["target"][i]


@pytest.mark.parametrize("harm", [wiped, some_gone])
async def test_points_that_vanish_from_the_new_side_after_it_was_verified_come_back_first(
    harm: Callable[[Any], None], ready: Any
) -> None:
    cluster, ctx = await ready()
    harm(cluster)
    await await_cutover(ctx, ctx.plan.steps[4])
    check(cluster, "blue-green")
    close(ctx)


async def test_a_new_side_that_keeps_losing_points_is_not_cut_over_to(ready: Any) -> None:
    cluster, ctx = await ready()
    upsert = cluster.upsert

    def lossy(*given: Any, **named: Any) -> None:
        upsert(*given, **named)
        wiped(cluster)

    cluster.upsert = lossy
    wiped(cluster)
    with pytest.raises(UnverifiedError, match="60 points differ"):
        await await_cutover(ctx, ctx.plan.steps[4])
    close(ctx)


async def test_the_old_collection_is_not_removed_for_a_new_one_that_was_emptied(ready: Any) -> None:
    cluster, ctx = await ready()
    remove = Request(method="DELETE", path="/collections/source")
    step = ReplaceByAlias(id="replace", title="Replace", remove=remove, name=ctx.plan.steps[5].request)
    cluster.aliases_now.clear()
    wiped(cluster)
    from changeover.engine.steps.offline import replace_by_alias

    with pytest.raises(
        BlockedError, match="source is not removed: 60 points that were written to target are not there"
    ):
        await replace_by_alias(ctx, step)
    assert not any(method == "DELETE" for method, _, _ in cluster.sent)
    close(ctx)


async def test_what_the_new_side_wrote_while_the_sweep_was_under_way_is_not_deleted(ready: Any) -> None:
    """The pass over a large collection takes minutes; a point that is gone on the old side is deleted at its end."""
    cluster, ctx = await ready()
    old, new = cluster.collections["source"], cluster.collections["target"]
    del old[7], old[8]
    old[20] = ({"text": "late", "n": 0}, old[20][1])
    upsert = cluster.upsert

    def while_it_goes_on(*given: Any, **named: Any) -> None:
        upsert(*given, **named)
        new[7] = ({"text": "written on the new side", "n": 1}, {"new": vector_of("written on the new side")})

    cluster.upsert = while_it_goes_on
    await sweep(ctx, ctx.plan.steps[6])
    assert new[7][0]["text"] == "written on the new side"
    assert 8 not in new and new[20][0]["text"] == "late"
    assert [conflict.id for conflict in ctx.state.conflicts] == [7]
    close(ctx)


@pytest.mark.parametrize("refused", [False, True])
async def test_a_collection_that_sleeps_after_a_restart_is_woken(refused: bool, ready: Any) -> None:
    """Grey never turns green by itself; the name needs to be quoted."""
    cluster, ctx = await ready()
    send = cluster.send

    async def woken(method: str, path: str, body: Any = None, **more: Any) -> Any:
        if method == "PATCH":
            cluster.color = "green"
            if refused:
                raise ClusterError("forbidden", Action.STOP, status=403)
        return await send(method, path, body, **more)

    cluster.send, cluster.color = woken, "grey"
    await await_cutover(ctx, ctx.plan.steps[4])
    cluster.color = "grey"
    cluster.collections["a b#%ü"] = {}
    await wait_green(ctx, WaitGreen(id="green", title="Wait", collection="a b#%ü"))
    if not refused:
        paths = [path for method, path, _ in cluster.sent if method == "PATCH"]
        assert paths == ["/collections/target", "/collections/a%20b%23%25%C3%BC"]
    close(ctx)


async def test_the_lamps_go_on_over_points_that_come_and_go(ready: Any) -> None:
    """A point that is deleted between the look and the copy is not taken for one that the new side lost."""
    cluster, ctx = await ready()
    scroll, verified = cluster.scroll, ctx.state.verified

    def fleeting(name: str, **options: Any) -> Any:
        page = scroll(name, **options)
        if name == "source" and "has_id" not in str(options.get("filter")):
            cluster.collections["source"][77] = ({"text": "here", "n": 0}, {"old": np.ones(4)})
        elif 77 in cluster.collections["source"]:
            del cluster.collections["source"][77]
            page = scroll(name, **options)
        return page

    cluster.scroll = fleeting
    await await_cutover(ctx, ctx.plan.steps[4])
    assert ctx.state.verified is verified
    close(ctx)


@pytest.mark.parametrize("mode", ["manual", "when-ready"])
async def test_what_was_written_since_the_last_pass_is_there_before_the_alias_moves(
    mode: str, ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The word comes seconds, or for a large collection minutes, after the last pass; so does every write meanwhile."""
    monkeypatch.setattr(cutover, "REST_S", 60.0)
    monkeypatch.setattr(cutover, "FRESH_S", -1.0)
    cluster, ctx = await ready()
    emit, answers = ctx.emit, list[tuple[str, str]]()

    def asked(event: Any) -> None:
        emit(event)
        if isinstance(event, ev.CutoverReady):
            edit(cluster, {i: (f"since {i}" if i > 50 else f"text {i}", 0) for i in range(2, 62)})
            ctx.desk.cutover_asked = "word" if mode == "manual" else None

    ctx.emit = asked
    ctx.desk.answer = lambda word, refusal: answers.append((word, refusal))
    await await_cutover(ctx, msgspec.structs.replace(ctx.plan.steps[4], mode=mode))
    assert answers == ([("word", "")] if mode == "manual" else [])
    check(cluster, "blue-green")
    close(ctx)


async def test_inserts_of_the_last_moment_are_brought_over_by_their_ids_before_anything_else(ready: Any) -> None:
    """A point that is deleted on the new side before it was brought over comes back, so that every moment counts."""
    cluster, ctx = await ready()
    await await_cutover(ctx, ctx.plan.steps[4])
    old, new = cluster.collections["source"], cluster.collections["target"]
    for i in (70, 71, 2**40):
        old[i] = ({"text": f"late {i}", "n": 0}, old[20][1])
    old[5] = ({"text": "late edit", "n": 0}, old[5][1])
    new[71] = ({"text": "by a user", "n": 1}, {"new": vector_of("by a user")})
    scroll, there, logs = cluster.scroll, list[list[int]](), list[str]()

    def look(name: str, **options: Any) -> Any:
        if name == "source" and options["payload"] and not options.get("filter"):
            there.append(sorted(i for i in new if i >= 60))
        return scroll(name, **options)

    cluster.scroll = look
    ctx.log = lambda text, level="info": logs.append(text)
    assert "3 late writes brought over, 1 conflicts" in await sweep(ctx, ctx.plan.steps[6])
    assert there[0] == [70, 71, 2**40]
    assert new[71][0]["text"] == "by a user" and new[5][0]["text"] == "late edit"
    assert any(text.endswith(f"brought over: 70, {2**40}") for text in logs)
    close(ctx)


@pytest.mark.parametrize(("took", "new", "on"), [(29.0, 500, True), (31.0, 50, True), (31.0, 51, False)])
async def test_a_busy_application_does_not_keep_the_cutover_shut(took: float, new: int, on: bool, ready: Any) -> None:
    """A pass brings over all that was written before it began: what it found says how busy the application is."""
    _, ctx = await ready()
    found = ev.Differences(at=0.0, step="await", number=1, new=new, seconds=took)
    lamp = cutover._caught_up_lamp(ctx, found)
    assert lamp.on is on and lamp.detail.startswith(f"{took:.1f} s behind; last pass: {new} new")
    assert ("at most 30 s or 50 points" in lamp.detail) is not on
    close(ctx)


async def test_where_strict_mode_takes_smaller_pages_that_is_learnt_once(ready: Any) -> None:
    cluster, ctx = await ready()
    cluster.collections["source"][70] = ({"text": "late", "n": 0}, {"old": np.ones(4)})
    scroll, refused = cluster.scroll, list[int]()

    def strict(name: str, **options: Any) -> Any:
        if options["limit"] > 40:
            refused.append(options["limit"])
            raise ClusterError('Limit exceeded 5000 > 40 for "limit"', Action.SPLIT, status=400)
        return scroll(name, **options)

    cluster.scroll = strict
    assert await converge.take_newcomers(ctx) == [70]
    assert len(refused) <= 7 * 4 and cluster.collections["target"][70][0]["text"] == "late"
    refused.clear()
    assert await converge.take_newcomers(ctx) == []
    assert not refused
    close(ctx)


async def test_passes_close_in_on_a_busy_application_before_the_alias_moves(
    ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ctx = await ready()
    took = [8.0, 4.0, 1.5, 1.0, 0.1]

    async def one_pass(_: Any, step: str, number: int) -> ev.Differences:
        return ev.Differences(at=0.0, step=step, number=number, seconds=took[number])

    monkeypatch.setattr(cutover, "one_pass", one_pass)
    for before, after in ((0, 3), (3, 4)):
        found = await one_pass(ctx, "await", before)
        assert (await cutover._closer(ctx, ctx.plan.steps[4], found)).number == after
    close(ctx)


async def test_a_lamp_that_goes_out_in_the_last_look_waits_for_the_next_pass(
    ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutover, "FRESH_S", -1.0)
    cluster, ctx = await ready()
    one_pass, passes = cutover.one_pass, list[int]()

    async def grey(*given: Any) -> ev.Differences:
        passes.append(given[2])
        cluster.color = "grey" if len(passes) == 2 else "green"
        return msgspec.structs.replace(await one_pass(*given), seconds=1.0)  # no further look closes in

    monkeypatch.setattr(cutover, "one_pass", grey)
    await await_cutover(ctx, ctx.plan.steps[4])
    assert passes == [1, 2, 3, 4] and ctx.lit
    close(ctx)


@pytest.mark.parametrize(("in_hand", "on"), [(20_000, True), (20_001, False), (None, False)])
async def test_an_optimizer_that_is_never_done_under_a_busy_application_does_not_keep_the_cutover_shut(
    in_hand: int | None, on: bool, ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty writes a second kept both collections of a real server yellow for as long as they went on."""
    monkeypatch.setattr(green, "POLL_S", 0.0)
    monkeypatch.setattr(green, "BUSY_S", 0.0 if on else 60.0)
    cluster, ctx = await ready()

    async def busy(name: str) -> Optimizations:
        return Optimizations(color="yellow", running=1, queued=1, in_hand=in_hand)

    cluster.optimizations = busy
    wait = WaitGreen(id="green", title="Wait", collection="target", patience_s=3600.0 if on else 0.0)
    if on:
        async with asyncio.timeout(30.0):
            assert "busy with what is written all the time" in await wait_green(ctx, wait)
            await await_cutover(ctx, ctx.plan.steps[4])
    else:
        with pytest.raises(UnreachableError, match="target is not green"):
            await wait_green(ctx, wait)
        lamps = await cutover._lamps(ctx, ev.Differences(at=0.0, step="await", number=1), green.Alarm())
        assert [lamp.name for lamp in lamps if not lamp.on] == ["collection green"]
    close(ctx)
