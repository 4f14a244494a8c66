"""Custom shard keys: the same ids under several of them, and keys that come and go while a run goes on."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from changeover.cluster.errors import Action, ClusterError
from changeover.engine.ledger import Mark
from changeover.engine.steps.converge import catch_up, sweep
from changeover.engine.steps.load import load
from changeover.engine.steps.verify import verify
from changeover.errors import UnverifiedError
from changeover.plan import model as pm
from changeover.plan.model import Mode
from changeover.routes.slices import slices_of_keys
from changeover.survey.model import PointId, ShardKey
from tests.engine.fakes import MemoryCluster, close, context, plan, vector_of
from tests.engine.two_sides import MODES

State = dict[ShardKey, dict[PointId, tuple[str, int]]]
keys = st.sampled_from(["eu", "us", 7, "7", 0])
points = st.dictionaries(
    st.one_of(st.integers(0, 9), st.just("00000000-0000-0000-0000-000000000001")),
    st.tuples(st.sampled_from(["alpha", "beta", "gamma", "  "]), st.integers(0, 2)),
    max_size=8,
)
states = st.dictionaries(keys, points, min_size=1, max_size=4)
TARGET = {"in-place": "source", "blue-green": "target"}


def edit(cluster: MemoryCluster, state: State) -> None:
    """The application brings the source to this state: keys, points, texts; a new vector stays where its point stays."""
    for key in [
        key
        for key in cluster.shard_keys["source"]
        if not any(key is k or (key == k and type(key) is type(k)) for k in state)
    ]:
        cluster.shard_keys["source"].remove(key)
        del cluster.collections[f"source {key!r}"]
    for key, wanted in state.items():
        if f"source {key!r}" not in cluster.collections:
            cluster.shard_keys["source"].append(key)
            cluster.collections[f"source {key!r}"] = {}
        there = cluster.collections[f"source {key!r}"]
        for gone in [i for i in there if i not in wanted]:
            del there[gone]
        for i, (text, n) in wanted.items():
            kept = {name: v for name, v in there.get(i, ({}, {}))[1].items() if name == "new"}
            there[i] = ({"text": text, "n": n, "key": repr(key)}, {"old": np.ones(4, dtype=np.float32), **kept})


def check(cluster: MemoryCluster, mode: Mode, state: State) -> None:
    """Every key has exactly its points, with its own payload and vectors."""
    target = TARGET[mode]
    assert sorted(map(repr, cluster.shard_keys[target])) == sorted(map(repr, state))
    for key, wanted in state.items():
        found = cluster.collections[f"{target} {key!r}"]
        assert set(found) == set(wanted)
        for i, (payload, vectors) in found.items():
            assert payload == {"text": wanted[i][0], "n": wanted[i][1], "key": repr(key)}
            if payload["text"].strip():
                np.testing.assert_array_equal(vectors["new"], vector_of(payload["text"]))
            else:
                assert "new" not in vectors


def world(mode: Mode, state: State, folder: Path, **job: Any) -> Any:
    cluster = MemoryCluster()
    cluster.shard_keys = {name: [] for name in ("source", TARGET[mode])}
    cluster.collections["source"], cluster.collections["target"] = {}, {}
    cluster.aliases_now["app"] = "source"
    edit(cluster, state)
    return cluster, context(folder, plan(mode, slices_of_keys(tuple(state)), **job), cluster)


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=25)
@given(before=states, after=states)
async def test_every_key_is_followed_by_itself(mode: Mode, before: State, after: State) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cluster, ctx = world(mode, before, Path(folder))
        await load(ctx, ctx.plan.steps[0])
        check(cluster, mode, before)
        edit(cluster, after)
        await catch_up(ctx, ctx.plan.steps[1])
        check(cluster, mode, after)
        await verify(ctx, ctx.plan.steps[3])
        assert ctx.state.verified is not None
        assert ctx.state.verified.source_points == sum(map(len, after.values()))
        assert ctx.ledger.count() == sum(map(len, after.values()))
        close(ctx)


async def test_the_same_id_under_two_keys_is_two_points_also_when_it_is_rejected(tmp_path: Path) -> None:
    state: State = {"eu": {1: ("alpha", 0), 2: ("poison", 0)}, "us": {1: ("beta", 0), 2: ("gamma", 0)}}
    cluster, ctx = world("blue-green", state, tmp_path)
    await load(ctx, ctx.plan.steps[0])
    assert ctx.of("eu").ledger.get([2])[2].mark is Mark.SKIPPED
    assert ctx.of("us").ledger.get([2])[2].mark is Mark.WRITTEN
    assert cluster.collections["target 'us'"][2][1].keys() == {"new"}
    await verify(ctx, ctx.plan.steps[3])
    cluster.collections["target 'us'"][1][1]["new"] = vector_of("something else")
    await verify(ctx, ctx.plan.steps[3])
    np.testing.assert_array_equal(cluster.collections["target 'us'"][1][1]["new"], vector_of("beta"))
    close(ctx)


async def test_a_key_that_was_removed_on_the_old_side_after_the_cutover_stays_on_the_new_one(tmp_path: Path) -> None:
    state: State = {"eu": {1: ("alpha", 0)}, "us": {1: ("beta", 0)}}
    cluster, ctx = world("blue-green", state, tmp_path)
    await load(ctx, ctx.plan.steps[0])
    edit(cluster, {"eu": {1: ("late", 1)}, "asia": {5: ("late too", 0)}})
    cluster.add_key("target", "made by the application")
    await sweep(ctx, ctx.plan.steps[6])
    found = {key: dict(cluster.collections[f"target {key!r}"]) for key in cluster.shard_keys["target"]}
    assert found.keys() == {"eu", "us", "asia", "made by the application"}
    assert found["eu"][1][0]["text"] == "late" and found["us"][1][0]["text"] == "beta" and 5 in found["asia"]
    close(ctx)


async def test_a_wrong_vector_is_named_with_its_shard_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state: State = {"eu": {1: ("alpha", 0)}, 7: {1: ("beta", 0)}}
    cluster, ctx = world("blue-green", state, tmp_path)
    await load(ctx, ctx.plan.steps[0])
    wrong = {"text": "beta", "n": 9, "key": "7"}

    def spoil(*_: Any, **__: Any) -> None:
        cluster.collections["target 7"][1] = (wrong, {"new": vector_of("beta")})

    spoil()
    monkeypatch.setattr(MemoryCluster, "upsert", spoil)
    with pytest.raises(UnverifiedError, match=r"shard key 7: 1 points differ between the sides: 1"):
        await verify(ctx, ctx.plan.steps[3])
    close(ctx)


async def test_keys_that_are_there_are_not_created_again(tmp_path: Path) -> None:
    from changeover.engine.shards import create_shard_keys

    cluster, ctx = world("blue-green", {"eu": {}, "us": {}}, tmp_path)
    cluster.add_key("target", "eu")
    requests = tuple(
        pm.Request(method="PUT", path="/collections/target/shards", body={"shard_key": key}) for key in ("eu", "us")
    )
    step = pm.CreateShardKeys(id="keys", title="Keys", requests=requests)
    ctx.plan = msgspec.structs.replace(ctx.plan, steps=(step, *ctx.plan.steps))
    assert await create_shard_keys(ctx, step) == "2 shard keys"
    assert cluster.shard_keys["target"] == ["eu", "us"]
    close(ctx)


async def test_a_key_whose_creation_was_answered_into_the_void_is_there(tmp_path: Path) -> None:
    cluster, ctx = world("blue-green", {"eu": {1: ("alpha", 0)}}, tmp_path)
    add, lost = cluster.add_key, iter([True])

    def add_and_lose(name: str, key: int | str) -> None:
        add(name, key)
        if next(lost, False):
            raise ClusterError("connection reset", Action.RETRY)

    cluster.add_key = add_and_lose
    await load(ctx, ctx.plan.steps[0])
    check(cluster, "blue-green", {"eu": {1: ("alpha", 0)}})
    close(ctx)
