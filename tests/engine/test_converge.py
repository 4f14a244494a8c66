"""Load, catch-up and sweep end in the state that the source promises, for any two states and any faults."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from changeover.cluster.errors import Action, ClusterError
from changeover.engine import events as ev
from changeover.engine import scans
from changeover.engine.journal import read_all
from changeover.engine.ledger import UNKNOWN, Mark
from changeover.engine.steps import compare, converge
from changeover.engine.steps import verify as verification
from changeover.engine.steps.converge import catch_up, pass_with_suspects, sweep
from changeover.engine.steps.load import load
from changeover.engine.steps.verify import verify
from changeover.errors import UnverifiedError
from changeover.ids import id_key
from changeover.plan.model import Mode
from changeover.routes.way_back import Sides, reversed_job
from changeover.survey.model import PointId
from tests.engine.fakes import close, context, vector_of
from tests.engine.two_sides import MODES, check, edit, world

ids = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 60), st.uuids().map(str))
texts = st.sampled_from(["alpha", "beta", "gamma", "delta words", "", "   "])
points = st.dictionaries(ids, st.tuples(texts, st.integers(0, 3)), max_size=40)
few = settings(max_examples=25)


@pytest.mark.parametrize("mode", MODES)
@few
@given(before=points, after=points, cuts=st.lists(ids, max_size=4, unique=True))
async def test_load_and_catch_up_reach_any_later_state(
    mode: Mode, before: dict[PointId, Any], after: dict[PointId, Any], cuts: list[PointId]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cluster, ctx = world(mode, before, sorted(set(cuts), key=id_key), folder)
        await load(ctx, ctx.plan.steps[0])
        check(cluster, mode)
        edit(cluster, after)
        await catch_up(ctx, ctx.plan.steps[1])
        check(cluster, mode)
        await verify(ctx, ctx.plan.steps[3])
        assert ctx.state.verified is not None and not ctx.state.verified.problems
        close(ctx)


@pytest.mark.parametrize("mode", MODES)
async def test_faults_of_every_class_change_nothing_in_the_end(mode: Mode, tmp_path: Path) -> None:
    state = {i: (f"text {i}", i % 5) for i in range(400)} | {str(UUID(int=i)): ("uuid text", i) for i in range(30)}
    cluster, ctx = world(mode, state, [100, 300], str(tmp_path), batch=32)
    cluster.largest_batch = 20
    cluster.faults = [
        (0.1, ClusterError("503", Action.RETRY, status=503), False),
        (0.1, ClusterError("timeout after the write", Action.RETRY), True),
        (0.05, ClusterError("429", Action.RETRY, status=429, retry_after_s=0.0), False),
    ]
    await load(ctx, ctx.plan.steps[0])
    cluster.faults = []
    check(cluster, mode)
    assert ctx.throttle.effective_batch <= 20
    close(ctx)


async def test_a_point_that_vanishes_from_the_batch_does_not_take_the_others_along(tmp_path: Path) -> None:
    cluster, ctx = world("in-place", {i: (f"text {i}", 0) for i in range(20)}, [], str(tmp_path), batch=20)
    scroll = cluster.scroll

    def scroll_then_delete(name: str, **options: Any) -> Any:
        page = scroll(name, **options)
        cluster.collections["source"].pop(7, None)
        return page

    cluster.scroll = scroll_then_delete
    await load(ctx, ctx.plan.steps[0])
    check(cluster, "in-place")
    assert 7 not in ctx.ledger.between(None, None)
    close(ctx)


@pytest.mark.parametrize("method", ["update_vectors", "delete_vectors"])
async def test_a_point_that_is_back_when_it_is_looked_for_is_written_all_the_same(method: str, tmp_path: Path) -> None:
    """The server said that it is missing, and the application has inserted it again before the look."""
    cluster, ctx = world("in-place", {i: (f"text {i}", 0) for i in range(20)}, [], str(tmp_path), batch=20)
    await load(ctx, ctx.plan.steps[0])
    edit(cluster, {i: ("  " if method == "delete_vectors" else f"other {i}", 0) for i in range(20)})
    send, answers = getattr(cluster, method), iter([True, True])

    def missing_at_first(*given: Any, **named: Any) -> None:
        if next(answers, False):
            raise ClusterError("Not found: No point with id 7 found", Action.MISSING, status=404)
        send(*given, **named)

    setattr(cluster, method, missing_at_first)
    await catch_up(ctx, ctx.plan.steps[1])
    check(cluster, "in-place")
    assert next(answers, None) is None
    close(ctx)


@pytest.mark.parametrize("when", ["in a pass", "resumed", "repaired by the verification"])
async def test_what_a_point_does_not_have_any_more_goes_where_an_upsert_leaves_it(when: str, tmp_path: Path) -> None:
    """Up to 1.18, in indexed segments: vectors that the upsert does not name, over gRPC also the payload."""
    state = {i: (f"text {i}", 0) for i in range(9)}
    cluster, ctx = world("blue-green", state, [], str(tmp_path), thorough=True)
    await load(ctx, ctx.plan.steps[0])
    cluster.indexed = True
    source = cluster.collections["source"]
    source[1] = ({"text": " ", "n": 0}, source[1][1])
    source[2][1].pop("image")
    source[3] = ({}, source[3][1])
    source[4] = ({"text": "other", "n": 0}, {"old": source[4][1]["old"]})
    if when == "resumed":
        ctx.ledger.drop([2, 3, 4])
        ctx.begun_before = frozenset({"load"})
    elif when != "in a pass":
        ctx.ledger.put([(i, UNKNOWN) for i in (1, 2, 3, 4)])
    await catch_up(ctx, ctx.plan.steps[1])
    target = cluster.collections["target"]
    assert {i: sorted(target[i][1]) for i in (1, 2, 3, 4, 5)} == {
        1: ["image"],
        2: ["new"],
        3: ["image"],
        4: ["new"],
        5: ["image", "new"],
    }
    assert target[3][0] == {} and set(target) == set(source)
    close(ctx)


@pytest.mark.parametrize("fails", [False, True])
async def test_a_late_write_takes_away_only_from_points_that_the_application_leaves_alone(
    fails: bool, tmp_path: Path
) -> None:
    """In the sweep: written on the new side while a vector is taken away there; and the write after it fails once."""
    cluster, ctx = world("blue-green", {i: (f"text {i}", 0) for i in range(9)}, [], str(tmp_path), thorough=True)
    await load(ctx, ctx.plan.steps[0])
    old, new = cluster.collections["source"], cluster.collections["target"]
    for i in (1, 2):
        old[i] = ({"text": f"late {i}", "n": 0}, {"old": old[i][1]["old"]})
    delete_vectors, upsert, answers = cluster.delete_vectors, cluster.upsert, iter([fails])

    def meanwhile(*given: Any) -> None:
        delete_vectors(*given)
        new[1] = ({"text": "by a user", "n": 1}, {"new": vector_of("by a user"), "image": np.ones(3)})

    def once(*given: Any, **named: Any) -> None:
        if next(answers, False):
            raise ClusterError("503", Action.RETRY, status=503)
        upsert(*given, **named)

    cluster.indexed, cluster.delete_vectors, cluster.upsert = True, meanwhile, once
    await sweep(ctx, ctx.plan.steps[6])
    assert new[1][0]["text"] == "by a user" and sorted(new[1][1]) == ["image", "new"]
    assert new[2][0]["text"] == "late 2" and sorted(new[2][1]) == ["new"]
    assert [conflict.id for conflict in ctx.state.conflicts] == [1]
    close(ctx)


async def test_a_rejected_point_is_recorded_and_the_others_are_written(tmp_path: Path) -> None:
    state = {i: (f"text {i}", 0) for i in range(30)} | {5: ("poison", 0)}
    cluster, ctx = world("blue-green", state, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    skipped = [e for e in read_all(ctx.folder.journal) if isinstance(e, ev.Skipped)]
    assert [e.id for e in skipped] == [5]
    assert "not finite" in skipped[0].reason
    assert ctx.ledger.get([5])[5].mark is Mark.SKIPPED
    assert set(cluster.collections["target"]) == set(state)
    assert [i for i, p in cluster.collections["target"].items() if "new" not in p[1]] == [5]
    close(ctx)


async def test_a_point_that_is_too_large_is_recorded_and_takes_nobody_along(tmp_path: Path) -> None:
    state = {i: (f"text {i}", 0) for i in range(60)} | {7: ("huge " * 3000, 0)}
    cluster, ctx = world("blue-green", state, [], str(tmp_path), batch=32)
    await load(ctx, ctx.plan.steps[0])
    await catch_up(ctx, ctx.plan.steps[1])
    assert set(cluster.collections["target"]) == set(state) - {7}
    assert [(entry.id, "larger than allowed" in entry.reason) for entry in ctx.state.skipped_sample] == [(7, True)]
    assert ctx.throttle.effective_batch < 32, "the others are sent in smaller requests for a while"
    await verify(ctx, ctx.plan.steps[3])
    assert ctx.state.verified is not None and (ctx.state.verified.problems, ctx.state.verified.skipped) == ((), 1)
    state.pop(7)
    edit(cluster, state | {7: ("smaller now", 0)})
    await catch_up(ctx, ctx.plan.steps[1])
    check(cluster, "blue-green")
    close(ctx)


async def test_a_slow_server_gets_smaller_requests(tmp_path: Path) -> None:
    cluster, ctx = world("blue-green", {i: (f"text {i}", 0) for i in range(400)}, [], str(tmp_path), batch=200)
    cluster.seconds_per_point = 0.011
    await load(ctx, ctx.plan.steps[0])
    assert 16 <= ctx.throttle.effective_batch <= 100
    assert "points per request: they take" in ctx.throttle.why
    check(cluster, "blue-green")
    close(ctx)


async def test_resuming_from_any_checkpoint_loses_nothing(tmp_path: Path) -> None:
    state = {i: (f"text {i}", 0) for i in range(200)}
    cluster, ctx = world("blue-green", state, [50, 120], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    acked = [e for e in read_all(ctx.folder.journal) if isinstance(e, ev.SliceAcked)]
    for cut in range(len(acked) + 1):
        cluster.collections["target"] = {
            i: p
            for i, p in cluster.collections["target"].items()
            if any(
                e.slice == n and (e.done or (e.position is not None and id_key(i) < id_key(e.position)))
                for n, e in {e.slice: e for e in acked[:cut]}.items()
            )
        }
        ctx.state = type(ctx.state)(steps=ctx.state.steps, acked={"load": {e.slice: e for e in acked[:cut]}})
        await load(ctx, ctx.plan.steps[0])
        assert set(cluster.collections["target"]) == set(state), f"after {cut} checkpoints"
    close(ctx)


async def test_sweep_brings_late_writes_over_and_keeps_the_newer_side(tmp_path: Path) -> None:
    state = {i: (f"text {i}", 0) for i in range(30)}
    cluster, ctx = world("blue-green", state, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    old, new = cluster.collections["source"], cluster.collections["target"]
    old[1] = ({"text": "late edit", "n": 0}, old[1][1])
    old[100] = ({"text": "late insert", "n": 0}, old[1][1])
    del old[2]
    old[3] = ({"text": "late but older", "n": 0}, old[3][1])
    new[3] = ({"text": "written on the new side", "n": 0}, new[3][1])
    del new[4]
    del new[5], old[5]
    new[200] = ({"text": "new side only", "n": 0}, new[3][1])
    await sweep(ctx, ctx.plan.steps[6])
    assert new[1][0]["text"] == "late edit"
    np.testing.assert_array_equal(new[1][1]["new"], vector_of("late edit"))
    assert new[100][0]["text"] == "late insert"
    assert 2 not in new
    assert new[3][0]["text"] == "written on the new side"
    assert 4 not in new
    assert 5 not in new
    assert new[200][0]["text"] == "new side only"
    assert [c.id for c in ctx.state.conflicts] == [3]
    close(ctx)


async def test_in_place_sweep_repairs_stale_vectors_and_leaves_the_applications_own(tmp_path: Path) -> None:
    cluster, ctx = world("in-place", {i: (f"text {i}", 0) for i in range(30)}, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    source = cluster.collections["source"]
    stale, fresh = source[1][1], source[2][1]
    source[1] = ({"text": "edited, vector stale", "n": 0}, stale)
    source[2] = (
        {"text": "edited by a ready application", "n": 0},
        {**fresh, "new": vector_of("edited by a ready application")},
    )
    del source[3][1]["new"]
    source[40] = ({"text": "inserted without", "n": 0}, {"old": np.ones(4)})
    await sweep(ctx, ctx.plan.steps[6])
    check(cluster, "in-place")
    assert ctx.state.passes[0].edited == 1
    close(ctx)


async def test_verification_repairs_what_was_lost_and_fails_on_what_cannot_be_repaired(tmp_path: Path) -> None:
    cluster, ctx = world("blue-green", {i: (f"text {i}", 0) for i in range(60)}, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    del cluster.collections["target"][11]
    cluster.collections["target"][77] = ({"text": "nobody's", "n": 0}, {})
    await verify(ctx, ctx.plan.steps[3])
    check(cluster, "blue-green")
    upsert = cluster.upsert

    def lossy(name: str, page: Any, rows: Any, new: Any, **options: Any) -> None:
        upsert(name, page, rows, new, **options)
        cluster.collections["target"].pop(11, None)

    cluster.upsert = lossy
    del cluster.collections["target"][11]
    with pytest.raises(UnverifiedError, match="1 points differ between the sides: 11"):
        await verify(ctx, ctx.plan.steps[3])
    assert ctx.state.verified is not None and ctx.state.verified.problems
    close(ctx)


@pytest.mark.parametrize(("datatype", "fails"), [("float16", False), ("float32", True)])
async def test_a_carried_float16_vector_may_differ_in_its_last_bit(datatype: str, fails: bool, tmp_path: Path) -> None:
    """Its length is 1 but for the rounding, and Cosine divides by it once more (measured on 1.18.3)."""
    cluster, ctx = world("blue-green", {i: (f"text {i}", i + 1) for i in range(30)}, [], str(tmp_path))
    cluster.configured = {"image": {"size": 3, "distance": "Cosine", "datatype": datatype}}
    upsert = cluster.upsert

    def rounding(*given: Any, **named: Any) -> None:
        upsert(*given, **named)
        for _, vectors in cluster.collections["target"].values():
            vectors["image"] = vectors["image"] * np.float32(1.0005)

    cluster.upsert = rounding
    await load(ctx, ctx.plan.steps[0])
    if fails:
        with pytest.raises(UnverifiedError, match="carried vectors of 30 of 30"):
            await verify(ctx, ctx.plan.steps[3])
    else:
        await verify(ctx, ctx.plan.steps[3])
        cluster.upsert = upsert
        cluster.collections["target"][4][1]["image"] = np.array([1, -1, 0], dtype=np.float32)
        await verify(ctx, ctx.plan.steps[3])
        assert (cluster.collections["target"][4][1]["image"] == 5).all(), "another vector is repaired"
    close(ctx)


async def test_verification_sees_a_wrong_vector(tmp_path: Path) -> None:
    cluster, ctx = world("in-place", {i: (f"text {i}", 0) for i in range(30)}, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    write = cluster.update_vectors

    def wrong(name: str, ids: Any, new: Any, **options: Any) -> None:
        write(name, ids, {vector: -values for vector, values in new.items()}, **options)

    cluster.update_vectors = wrong
    cluster.collections["source"][4][1]["new"] = vector_of("something else")
    with pytest.raises(UnverifiedError, match="do not hold the vector of their text"):
        await verify(ctx, ctx.plan.steps[3])
    close(ctx)


async def test_a_scroll_that_is_too_large_for_strict_mode_is_halved(tmp_path: Path) -> None:
    cluster, ctx = world("blue-green", {i: (f"text {i}", 0) for i in range(50)}, [], str(tmp_path), batch=32)
    scroll = cluster.scroll

    def strict(name: str, **options: Any) -> Any:
        if 10 < options["limit"] < 1000:
            raise ClusterError("Limit exceeded", Action.SPLIT, status=400)
        return scroll(name, **options)

    cluster.scroll = strict
    await load(ctx, ctx.plan.steps[0])
    cluster.scroll = scroll
    check(cluster, "blue-green")
    assert ctx.throttle.effective_batch <= 10
    close(ctx)


@pytest.mark.parametrize("mode", MODES)
async def test_many_neighbours_that_change_at_once_stay_within_the_limits_of_strict_mode(
    mode: Mode, tmp_path: Path
) -> None:
    """Every request about chosen ids is as small as the server wants it: deletes, looks, repairs, copies, the sweep."""
    cluster, ctx = world(mode, {i: (f"text {i}", 0) for i in range(200)}, [], str(tmp_path), batch=100)
    await load(ctx, ctx.plan.steps[0])
    cluster.largest_batch = 10
    scroll = cluster.scroll

    def strict(name: str, *, limit: int, filter: Any = None, **options: Any) -> Any:
        if filter is not None and 10 < limit < 10**9:
            raise ClusterError(f'Limit exceeded {limit} > 10 for "limit"', Action.SPLIT, status=400)
        return scroll(name, limit=limit, filter=filter, **options)

    cluster.scroll = strict
    edit(cluster, {i: (f"text {i}", 1) for i in range(150, 200)} | dict.fromkeys(range(100, 150), ("other", 0)))
    await catch_up(ctx, ctx.plan.steps[1])
    check(cluster, mode)
    await verify(ctx, ctx.plan.steps[3])
    edit(cluster, {i: (f"text {i}", 2) for i in range(170, 200)} | dict.fromkeys(range(300, 340), ("late", 0)))
    ctx.accepted = frozenset({scans.DELETED_CODE})
    await sweep(ctx, ctx.plan.steps[6])
    check(cluster, mode)
    close(ctx)


async def test_a_write_to_the_new_side_while_the_sweep_embeds_is_not_overwritten(tmp_path: Path) -> None:
    cluster, ctx = world("blue-green", {i: (f"text {i}", 0) for i in range(10)}, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    old, new = cluster.collections["source"], cluster.collections["target"]
    old[1] = ({"text": "late edit on the old side", "n": 0}, old[1][1])
    old[50] = ({"text": "late insert on the old side", "n": 0}, old[1][1])
    embed = ctx.model.embed_documents

    def embed_while_the_application_writes(texts: Any) -> Any:
        for i in (1, 50):
            new[i] = ({"text": f"written on the new side {i}", "n": 1}, {"new": vector_of(f"new {i}")})
        return embed(texts)

    ctx.model.embed_documents = embed_while_the_application_writes
    await sweep(ctx, ctx.plan.steps[6])
    assert new[1][0]["text"] == "written on the new side 1"
    assert new[50][0]["text"] == "written on the new side 50"
    assert sorted(c.id for c in ctx.state.conflicts) == [1, 50]
    close(ctx)


@pytest.mark.parametrize("when", ["before the look", "while it embeds"])
async def test_a_vector_that_the_new_side_gets_alone_is_not_overwritten_by_a_late_write(
    when: str, tmp_path: Path
) -> None:
    """A thorough run keeps what the application does to a carried vector after the cutover, also its removal."""
    state: dict[PointId, tuple[str, int]] = {i: (f"text {i}", 0) for i in range(10)}
    cluster, ctx = world("blue-green", state, [], str(tmp_path), thorough=True)
    await load(ctx, ctx.plan.steps[0])
    old, new = cluster.collections["source"], cluster.collections["target"]
    for i in (1, 2, 3):
        old[i] = ({"text": "late edit on the old side", "n": 0}, old[i][1])

    def application(texts: Any) -> Any:
        del new[1][1]["image"]
        new[2][1]["image"] = np.full(3, 8, dtype=np.float32)
        ctx.model.embed_documents = embed
        return embed(texts)

    embed = ctx.model.embed_documents
    if when == "while it embeds":
        ctx.model.embed_documents = application
    else:
        application([])
    await sweep(ctx, ctx.plan.steps[6])
    assert "image" not in new[1][1] and list(new[2][1]["image"]) == [8, 8, 8]
    assert [new[i][0]["text"] for i in (1, 2, 3)] == ["text 1", "text 2", "late edit on the old side"]
    assert sorted(c.id for c in ctx.state.conflicts) == [1, 2]
    close(ctx)


@pytest.mark.parametrize("kind", ["dense", "sparse", "multi"])
async def test_two_updates_of_one_carried_vector_alone_are_a_conflict_that_is_listed(kind: str, tmp_path: Path) -> None:
    """Their payloads are equal, so that nothing else would tell that the old side's update is not served."""

    def vector(number: int) -> Any:
        values = np.array([1, 2, number], dtype=np.float32)
        as_multi = values.reshape(1, 3) if kind == "multi" else values
        return {"indices": [1, 2, 5], "values": values.tolist()} if kind == "sparse" else as_multi

    state: dict[PointId, tuple[str, int]] = {i: (f"text {i}", 0) for i in range(9)}
    cluster, ctx = world("blue-green", state, [], str(tmp_path), thorough=True)
    await load(ctx, ctx.plan.steps[0])
    old, new = cluster.collections["source"], cluster.collections["target"]
    for i, (before, after) in {1: (7, 8), 2: (7, 7)}.items():
        old[i][1]["image"], new[i][1]["image"] = vector(before), vector(after)
    await sweep(ctx, ctx.plan.steps[6])
    assert [str(new[i][1]["image"]) for i in (1, 2)] == [str(vector(8)), str(vector(7))]
    assert [conflict.id for conflict in ctx.state.conflicts] == [1]
    close(ctx)


@pytest.mark.parametrize("applied", [False, True])
async def test_a_write_to_the_new_side_while_the_sweep_sends_again_is_not_overwritten(
    applied: bool, tmp_path: Path
) -> None:
    """The first attempt fails (and may have taken effect all the same); the application writes before the second."""
    cluster, ctx = world("blue-green", {i: (f"text {i}", 0) for i in range(9)}, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    edit(cluster, {i: ("late" if i in (3, 5) else f"text {i}", 0) for i in range(9)})
    upsert, fails = cluster.upsert, iter([True])

    def fails_once(*given: Any, **named: Any) -> None:
        if not next(fails, False):
            upsert(*given, **named)
            return
        if applied:
            upsert(*given, **named)
        cluster.collections["target"][5] = ({"text": "by a user", "n": 7}, {"new": vector_of("by a user")})
        raise ClusterError("Shard temporarily unavailable", Action.RETRY, status=503)

    cluster.upsert = fails_once
    await sweep(ctx, ctx.plan.steps[6])
    target = cluster.collections["target"]
    assert target[5][0]["text"] == "by a user" and target[3][0]["text"] == "late"
    np.testing.assert_array_equal(target[3][1]["new"], vector_of("late"))
    assert [conflict.id for conflict in ctx.state.conflicts] == [5]
    close(ctx)


@pytest.mark.parametrize("mode", MODES)
async def test_a_point_that_is_written_all_the_time_does_not_fail_the_verification(
    mode: Mode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, ctx = world(mode, {i: ("alpha", i) for i in range(30)}, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    writes = itertools.count()

    def write() -> None:
        payload = {"text": f"beta {next(writes)}", "n": 1}
        cluster.collections["source"][7] = (payload, {"old": np.ones(4), "image": np.full(3, 1, dtype=np.float32)})

    async def busy(*given: Any, **more: Any) -> Any:
        done = await pass_with_suspects(*given, **more)
        write()
        return done

    write()
    monkeypatch.setattr(verification, "pass_with_suspects", busy)
    await verify(ctx, ctx.plan.steps[3])
    assert ctx.state.verified is not None
    assert (ctx.state.verified.problems, ctx.state.verified.in_flight) == ((), 1)
    close(ctx)


async def test_a_payload_that_changed_alone_is_copied_without_embedding(tmp_path: Path) -> None:
    cluster, ctx = world("blue-green", {i: (f"text {i}", 0) for i in range(30)}, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    source, target = cluster.collections["source"], cluster.collections["target"]
    for i in (3, 4, 5):
        source[i] = ({**source[i][0], "n": 9}, source[i][1])
    source[5][0]["text"] = "another text"
    del target[4][1]["new"]
    embedded: list[str] = []
    embed = ctx.model.embed_documents

    def counting(texts: Any) -> Any:
        embedded.extend(texts)
        return embed(texts)

    ctx.model.embed_documents = counting
    await catch_up(ctx, ctx.plan.steps[1])
    assert sorted(embedded) == ["another text", "text 4"], "what the new side lacks is made, the rest is copied"
    check(cluster, "blue-green")
    assert (ctx.state.passes[0].payload, ctx.state.passes[0].edited) == (2, 1)
    close(ctx)


async def test_a_carried_vector_that_changed_alone_is_copied_both_ways(tmp_path: Path) -> None:
    """A thorough run finds it before the cutover, and its way back, without the old model, after it."""
    cluster, ctx = world(
        "blue-green", {i: (f"text {i}", 0) for i in range(12)}, [], str(tmp_path / "forward"), thorough=True
    )
    await load(ctx, ctx.plan.steps[0])
    source, target = cluster.collections["source"], cluster.collections["target"]
    source[3][1]["image"] = np.full(3, 7, dtype=np.float32)
    embedded: list[str] = []
    embed = ctx.model.embed_documents
    ctx.model.embed_documents = lambda texts: embedded.extend(texts) or embed(texts)  # type: ignore[func-returns-value]
    await catch_up(ctx, ctx.plan.steps[1])
    await catch_up(ctx, ctx.plan.steps[1])
    assert not embedded and [found.payload for found in ctx.state.passes] == [1, 0]
    check(cluster, "blue-green")
    done = ctx.plan
    close(ctx)

    cluster.aliases_now["app"] = "target"
    target[5][1]["image"] = np.full(3, 8, dtype=np.float32)  # the application, which searches the new side by now
    job = reversed_job(done, Sides(version="1.18.3", old=None, aliases={}, points=12), None)
    back = msgspec.structs.replace(done, job=job, follows="forward")
    ctx = context(tmp_path / "back", back, cluster)
    await catch_up(ctx, back.steps[1])
    assert [found.total for found in ctx.state.passes] == [1]
    np.testing.assert_array_equal(source[5][1]["image"], target[5][1]["image"])
    np.testing.assert_array_equal(source[5][1]["old"], np.ones(4))
    close(ctx)


async def test_a_text_that_changes_while_its_payload_is_copied_gets_its_own_vector(tmp_path: Path) -> None:
    cluster, ctx = world("blue-green", {i: (f"text {i}", 0) for i in range(5)}, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    source = cluster.collections["source"]
    source[3] = ({"text": "text 3", "n": 9}, source[3][1])
    scroll = cluster.scroll

    def edited_meanwhile(name: str, **options: Any) -> Any:
        if name == "source" and options.get("filter"):
            source[3] = ({"text": "edited meanwhile", "n": 9}, source[3][1])
        return scroll(name, **options)

    cluster.scroll = edited_meanwhile
    await catch_up(ctx, ctx.plan.steps[1])
    check(cluster, "blue-green")
    close(ctx)


async def test_a_point_that_is_deleted_while_the_verification_repairs_it_goes_on_both_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, ctx = world("blue-green", {i: ("alpha", i) for i in range(30)}, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    source, target = cluster.collections["source"], cluster.collections["target"]
    rounds = itertools.count(1)

    async def busy(*given: Any, **more: Any) -> Any:
        number = next(rounds)
        if number == 3:  # the last round: nothing of the verification looks at it again
            del source[7]
        done = await pass_with_suspects(*given, **more)
        if number < 3:
            target[7] = ({"text": "not what the source says", "n": number}, {})
        return done

    target[7] = ({"text": "not what the source says", "n": 0}, {})
    monkeypatch.setattr(verification, "pass_with_suspects", busy)
    await verify(ctx, ctx.plan.steps[3])
    await catch_up(ctx, ctx.plan.steps[1])
    assert 7 not in target
    check(cluster, "blue-green")
    close(ctx)


async def test_a_crash_between_a_late_insert_and_its_record_does_not_keep_the_point_for_ever(tmp_path: Path) -> None:
    cluster, ctx = world("blue-green", {i: ("alpha", i) for i in range(5)}, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    source, target = cluster.collections["source"], cluster.collections["target"]
    source[50] = ({"text": "inserted late", "n": 0}, dict(source[1][1]))
    put = ctx.ledger.put

    def crash(rows: Any) -> None:
        listed = list(rows)
        if 50 in dict(listed) and 50 in target:
            raise RuntimeError("killed before the record")
        put(listed)

    ctx.ledger.put = crash
    with pytest.raises(RuntimeError, match="killed"):
        await catch_up(ctx, ctx.plan.steps[1])
    ctx.ledger.put = put
    assert 50 in target
    del source[50]
    await catch_up(ctx, ctx.plan.steps[1])
    check(cluster, "blue-green")
    close(ctx)


@pytest.mark.parametrize("mode", MODES)
async def test_points_that_vanish_between_two_looks_are_no_error(mode: Mode, tmp_path: Path) -> None:
    cluster, ctx = world(mode, {i: ("alpha", i) for i in range(4)}, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    source = cluster.collections["source"]
    scroll = cluster.scroll

    def emptied_meanwhile(name: str, **options: Any) -> Any:
        if name == "source" and "has_id" in str(options.get("filter")):
            source.clear()
        return scroll(name, **options)

    cluster.scroll = emptied_meanwhile
    assert compare.sampled_vectors(ctx, [0, 1, 2, 3], 0.99) == (set(), 1.0, 0)
    source[2] = ({"text": "edited", "n": 2}, {"old": np.ones(4), "image": np.full(3, 2, dtype=np.float32)})
    source[9] = ({"text": "alpha", "n": 9}, {"old": np.ones(4), "image": np.full(3, 9, dtype=np.float32)})
    await sweep(ctx, ctx.plan.steps[-1] if mode == "in-place" else ctx.plan.steps[6])
    check(cluster, mode)
    close(ctx)


async def test_an_application_that_never_switched_in_place_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every pass repairs what it wrote, quick as the pass may be: that is no caught-up sweep."""
    monkeypatch.setattr(converge, "BETWEEN_S", 0.0)
    cluster, ctx = world("in-place", {i: (f"text {i}", 0) for i in range(120)}, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])
    scroll, number = cluster.scroll, iter(range(10**9))

    def busy(name: str, **options: Any) -> Any:
        if not options.get("filter"):
            edit(cluster, {i: (f"again {next(number)}", 0) for i in range(120)})
        return scroll(name, **options)

    cluster.scroll, said = busy, list[str]()
    ctx.log = lambda text, level="info": said.append(text)
    await sweep(ctx, ctx.plan.steps[6])
    assert any("writes keep reaching the old side" in text for text in said)
    close(ctx)
