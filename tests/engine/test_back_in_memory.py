"""The way back on a cluster in memory: for any writes on both sides, nothing that counts is lost on the old one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from changeover.embed.model import ModelSpec
from changeover.engine.context import Context
from changeover.engine.steps.converge import catch_up
from changeover.engine.steps.load import load
from changeover.engine.steps.way_back import count_lacking
from changeover.errors import BlockedError
from changeover.plan.model import Mode
from changeover.routes import way_back as route
from changeover.survey.model import PointId
from tests.engine.fakes import DIMENSION, HashEmbedder, MemoryCluster, close, context, plan, slices, vector_of

OLD = ModelSpec(provider="sandbox", name="old")
State = dict[PointId, tuple[str, int]]
ids = st.integers(0, 12)
states = st.dictionaries(
    ids, st.tuples(st.sampled_from(["a", "b", "c", "", "poison d"]), st.integers(0, 1)), max_size=12
)


class OldEmbedder(HashEmbedder):
    """Another model than the new one; it refuses nothing."""

    def embed_documents(self, texts: Any) -> np.ndarray:
        return np.array([old_of(text) for text in texts], dtype=np.float32).reshape(len(texts), DIMENSION)


def old_of(text: str) -> np.ndarray:
    return vector_of(f"old {text}")


def row(text: str, n: int, **vectors: np.ndarray) -> Any:
    return {"text": text, "n": n}, {name: value for name, value in vectors.items() if text.strip()}


async def forward(mode: Mode, state: State, folder: Path) -> tuple[MemoryCluster, Context]:
    """A migration that is over; its application has written both sides with one model each."""
    cluster = MemoryCluster()
    cluster.collections["source"] = {i: row(text, n, old=old_of(text)) for i, (text, n) in state.items()}
    cluster.collections["target"] = {}
    ctx = context(folder / "test-run", plan(mode, slices(6)), cluster)
    await load(ctx, ctx.plan.steps[0])  # type: ignore[arg-type]
    cluster.aliases_now["app"] = "target"
    close(ctx)
    return cluster, ctx


def back(cluster: MemoryCluster, ctx: Context, folder: Path, model: ModelSpec | None) -> Context:
    info = {"config": {"params": {"vectors": {"old": {"size": DIMENSION, "distance": "Cosine"}}}}}
    sides = route.Sides(version="1.18.3", old=info, aliases={"app": "target"}, points=0)
    made = route.build(ctx.plan, sides, model, run="test-run", name="back", mode="when-ready")
    found = context(folder / "back", made, cluster, OldEmbedder())
    found.shard_keys = ()
    return found


def step(ctx: Context, kind: str) -> Any:
    return next(step for step in ctx.plan.steps if step.id == kind)


def content(collection: dict[PointId, Any]) -> State:
    return {i: (payload["text"], payload["n"]) for i, (payload, _) in collection.items()}


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(before=states, old=states, new=states, with_model=st.booleans())
async def test_blue_green_any_writes_on_both_sides(before: State, old: State, new: State, with_model: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cluster, done = await forward("blue-green", before, Path(folder))
        source, target = cluster.collections["source"], cluster.collections["target"]
        for side, later, vector in ((source, old, "old"), (target, new, "new")):
            for i in [i for i in side if i not in later]:
                del side[i]
            for i, (text, n) in later.items():
                if i not in side or side[i][0] != {"text": text, "n": n}:
                    made = old_of(text) if vector == "old" else vector_of(text)
                    side[i] = row(text, n, **{vector: made})
        late = {i: dict(vectors) for i, (_, vectors) in source.items()}
        ctx = back(cluster, done, Path(folder), OLD if with_model else None)
        ctx.accepted = frozenset({"many-deleted", "no-old-vector"})
        if not with_model:
            await count_lacking(ctx, step(ctx, "count-lacking"))
        await catch_up(ctx, step(ctx, "catch-up"))
        wanted = {}
        for i in before.keys() | old.keys() | new.keys():
            unknown = "poison" in before.get(i, ("", 0))[0] and i not in new  # perhaps it never was there
            newer = new.get(i) if new.get(i) != before.get(i) and not unknown else old.get(i)
            if newer is not None:
                wanted[i] = newer
        assert content(source) == wanted
        for i, (payload, vectors) in source.items():
            was = before.get(i, ("", 0))[0]
            unchanged = was == payload["text"] and i in old and old[i][0] == was
            if with_model or unchanged:
                assert ("old" in vectors) is bool(payload["text"].strip()), (i, payload)
            if "old" in vectors:
                np.testing.assert_array_equal(vectors["old"], old_of(payload["text"]))
            if i in late and content(source)[i] == old.get(i) and "old" in late[i]:
                assert "old" in vectors, f"the old vector of {i} was right, and is lost"
        close(ctx)


@pytest.mark.parametrize(("deleted", "stopped"), [(70, False), (81, True)])
async def test_what_the_application_deleted_since_the_cutover_goes_but_not_an_emptied_side(
    deleted: int, stopped: bool, tmp_path: Path
) -> None:
    """The first pass of the way back meets all deletes since the cutover at once, be it days of them."""
    cluster, done = await forward("blue-green", {i: (f"text {i}", 0) for i in range(400)}, tmp_path)
    for i in range(deleted):
        del cluster.collections["target"][i]
    ctx = back(cluster, done, tmp_path, OLD)
    if stopped:
        with pytest.raises(BlockedError, match=r"many-deleted: .* of 400 points"):
            await catch_up(ctx, step(ctx, "catch-up"))
    else:
        await catch_up(ctx, step(ctx, "catch-up"))
    assert len(cluster.collections["source"]) == (400 if stopped else 400 - deleted)
    close(ctx)


async def test_a_resumed_way_back_in_place_takes_no_old_vector_away_that_the_application_wrote() -> None:
    """Nobody here makes old vectors, so that one of a point that the ledger does not know is the application's."""
    with tempfile.TemporaryDirectory() as folder:
        cluster, done = await forward("in-place", {i: (f"text {i}", 0) for i in range(6)}, Path(folder))
        source = cluster.collections["source"]
        source[20] = row("inserted", 0, old=old_of("inserted"), new=vector_of("inserted"))
        ctx = back(cluster, done, Path(folder), None)
        ctx.begun_before = frozenset({"count-lacking", "catch-up"})
        await catch_up(ctx, step(ctx, "catch-up"))
        assert "old" in source[20][1]
        close(ctx)
