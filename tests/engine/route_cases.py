"""Every route as a case: the world before, the answers, and what must be true at the end, computed without the engine."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from changeover.cluster.capabilities import Feature
from changeover.decision.answers import (
    Answers,
    Limits,
    MapAnswer,
    QuantizationAnswer,
    SparseAnswer,
    TargetAnswer,
    VectorAnswer,
)
from changeover.embed.model import ModelSpec
from changeover.embed.protocol import load, load_encoder
from changeover.engine.folder import RunFolder
from changeover.engine.state import RunState
from changeover.plan.model import Plan
from changeover.quality.matrix import Matrix
from changeover.survey.lease import read as read_lease
from tests.engine.small_world import NEW, OLD, World, same

Check = Callable[[World, Plan, RunFolder, RunState], None]
NAMED = f"changeover_test_case_{os.environ.get('PYTEST_XDIST_WORKER', 'one')}"
"""Another name in each worker: they share the real servers."""
TARGET = f"{NAMED}_v2"
LIVE = f"{NAMED}_live"
LOW_THRESHOLD = {"optimizers_config": {"indexing_threshold": 10}}


@dataclass(frozen=True)
class Case:
    """`needs`: features that the server must have; `without`: one that it must not have."""

    name: str
    mode: str
    answers: Callable[[World], Answers]
    check: Check
    route: str
    needs: tuple[Feature, ...] = ()
    without: Feature | None = None
    world: dict[str, Any] = field(default_factory=dict)
    writes: bool = True
    pause_s: float = 0.05
    """Between two writes; a slow model needs longer to keep up with them on a small machine."""


def unit(rows: Any) -> Any:
    """Rows of length 1."""
    array = np.asarray(rows, dtype=np.float32)
    return array / np.linalg.norm(array, axis=-1, keepdims=True)


def kept(world: World, stored: dict[Any, dict[str, Any]], name: str) -> None:
    """The old vectors are untouched under that name."""
    for i, (_, old) in world.points.items():
        assert np.allclose(stored[i]["vector"][name], unit(old), atol=1e-5)


def embedded(world: World, stored: dict[Any, dict[str, Any]], name: str, model: ModelSpec) -> None:
    """Every vector of that name is a fresh embedding of the point's text."""
    ids = list(world.points)
    fresh = load(model).embed_documents([world.points[i][0]["text"] for i in ids])
    wrong = [i for i, row in zip(ids, fresh, strict=True) if not same(stored[i]["vector"][name], row)]
    assert not wrong, f"not the vector of its text: {wrong[:5]}"


def points(world: World, plan: Plan) -> dict[Any, dict[str, Any]]:
    """What is stored at the end; ids and payloads agree with the writes."""
    stored = world.stored(plan.job.target)
    world.check_points(stored)
    return stored


def cut(world: World, plan: Plan, run: RunFolder, state: RunState) -> None:
    stored = points(world, plan)
    rotation = Matrix.load(run.matrix).matrix
    for i, (_, old) in world.points.items():
        whole = np.asarray(old, dtype=np.float32)
        wanted = whole[: plan.job.dimension] if rotation is None else whole @ rotation
        assert same(stored[i]["vector"][plan.job.target_vector], wanted)
    if rotation is not None:
        assert np.allclose(rotation.T @ rotation, np.eye(plan.job.dimension), atol=1e-4)


def bridged(world: World, plan: Plan, run: RunFolder, state: RunState) -> None:
    assert plan.job.bridge
    assert state.matrix is not None and state.matrix.trial is not None and state.matrix.trial.over_old is not None
    assert state.matrix.trial.over_old.low > 0
    stored, ids = points(world, plan), list(world.points)
    mapped = Matrix.load(run.matrix).apply(np.array([world.points[i][1] for i in ids], dtype=np.float32))
    assert all(same(stored[i]["vector"][plan.job.target_vector], row) for i, row in zip(ids, mapped, strict=True))
    metadata = world.send("GET", f"/collections/{plan.job.target}")["config"].get("metadata") or {}
    assert metadata.get("changeover", {}).get("bridge") is True
    assert "bridge" in run.report.read_text().lower()


def both(world: World, plan: Plan, run: RunFolder, state: RunState) -> None:
    stored = points(world, plan)
    embedded(world, stored, "new", NEW)
    kept(world, stored, world.vector or "old")


def tokens(world: World, plan: Plan, run: RunFolder, state: RunState) -> None:
    stored, ids = points(world, plan), list(world.points)
    fresh = load_encoder(TOKENS).embed_documents([world.points[i][0]["text"] for i in ids])
    for i, rows in zip(ids, fresh, strict=True):
        got = unit(stored[i]["vector"]["tokens"])
        assert got.shape == np.asarray(rows).shape
        assert float(np.mean(np.sum(got * unit(rows), axis=1))) > 0.98
    params = world.send("GET", f"/collections/{plan.job.target}")["config"]["params"]["vectors"]["tokens"]
    assert params["multivector_config"] == {"comparator": "max_sim"}
    assert params["on_disk"] is True and params["hnsw_config"]["m"] == 0
    assert state.quality is not None


def hybrid(world: World, plan: Plan, run: RunFolder, state: RunState) -> None:
    import qdrant_edge as edge

    stored = points(world, plan)
    bm25 = edge.Bm25(edge.Bm25Config(language="english", avg_len=50.0))
    for i, (payload, _) in world.points.items():
        wanted = bm25.embed_document(payload["text"])
        got = stored[i]["vector"]["words"]
        weights = dict(zip(got["indices"], got["values"], strict=True))
        assert weights.keys() == set(wanted.indices)
        for index, value in zip(wanted.indices, wanted.values, strict=True):
            assert abs(weights[index] - value) < 1e-3
    if plan.job.model is None:
        kept(world, stored, world.vector)
    else:
        embedded(world, stored, "new", NEW)
    config = world.send("GET", f"/collections/{plan.job.target}")["config"]["params"]["sparse_vectors"]["words"]
    assert config["modifier"] == "idf"
    assert state.quality is not None and len(state.quality.variants) == 4


def quantized(world: World, plan: Plan, run: RunFolder, state: RunState) -> None:
    config = world.send("GET", f"/collections/{NAMED}")["config"]
    assert config["quantization_config"]["scalar"]["type"] == "int8"
    assert [found.after for found in state.storage] == [False, True]
    assert max(setting.recall for setting in state.storage[-1].settings) >= 0.8
    kept(world, points(world, plan), "text")


def renamed(world: World, plan: Plan, run: RunFolder, state: RunState) -> None:
    names = {row["name"] for row in world.send("GET", "/collections")["collections"]}
    assert NAMED not in names and TARGET in names
    assert {"alias_name": NAMED, "collection_name": TARGET} in world.send("GET", "/aliases")["aliases"]
    embedded(world, points(world, plan), plan.job.target_vector, NEW)
    assert state.searches == 0


def reembedded(world: World, plan: Plan, run: RunFolder, state: RunState) -> None:
    stored = points(world, plan)
    embedded(world, stored, plan.job.target_vector, NEW)
    if plan.job.mode == "in-place":
        kept(world, stored, "text")


TOKENS = ModelSpec(provider="sandbox", name="minilm", kind="late-interaction")
SPOILED = ModelSpec(
    provider="sandbox", name="wordllama", query_prefix="cooking recipes of Paris, weather reports of London, " * 4
)
"""The old model with queries spoiled by a wrong prefix: a map to the same model can recover what that loses."""
NEW_NAME = VectorAnswer(name="new")


def _sparse(encoder: Any) -> SparseAnswer:
    return SparseAnswer(encoder=encoder, name="words", average_length=50)


CASES: tuple[Case, ...] = (
    Case(
        "dimensions-leading",
        "in-place",
        lambda w: w.answers(avoid="dimensions", target=TargetAnswer(dimension=64), vector=VectorAnswer(name="short")),
        cut,
        "dimensions",
        needs=("add_vector_safe",),
    ),
    Case(
        "dimensions-pca",
        "blue-green",
        lambda w: w.answers(
            avoid="dimensions",
            route="blue-green",
            target=TargetAnswer(dimension=64, reduction="pca", collection=TARGET),
        ),
        cut,
        "dimensions",
        world={"alias": LIVE},
    ),
    Case(
        "quantization",
        "in-place",
        lambda w: w.answers(avoid="quantization", quantization=QuantizationAnswer(kind="scalar", least_recall=0.8)),
        quantized,
        "quantization",
        world={"config": LOW_THRESHOLD},
        writes=False,
    ),
    Case(
        "linear-map",
        "in-place",
        lambda w: w.answers(
            avoid="linear-map", model=OLD, old_model=SPOILED, map=MapAnswer(anchors=150), vector=VectorAnswer(name="b")
        ),
        bridged,
        "linear-map",
        needs=("add_vector_safe",),
        world={"documents": 300},
    ),
    Case(
        "side-by-side",
        "in-place",
        lambda w: w.answers(keep_both=True, model=NEW, vector=NEW_NAME),
        both,
        "side-by-side",
        needs=("add_vector_safe",),
        world={"alias": LIVE, "documents": 60},
        pause_s=0.4,
    ),
    Case(
        "side-by-side-unnamed",
        "blue-green",
        lambda w: w.answers(
            keep_both=True,
            model=NEW,
            route="blue-green",
            vector=VectorAnswer(name="new", carried_name="old"),
            target=TargetAnswer(collection=TARGET),
        ),
        both,
        "side-by-side",
        world={"alias": LIVE, "vector": "", "documents": 60},
        pause_s=0.4,
    ),
    Case(
        "side-by-side-tokens",
        "in-place",
        lambda w: w.answers(keep_both=True, model=TOKENS, vector=VectorAnswer(name="tokens"), limits=Limits(batch=16)),
        tokens,
        "side-by-side",
        needs=("add_vector_safe",),
        world={"documents": 24},
        pause_s=0.4,
    ),
    Case(
        "hybrid-local",
        "in-place",
        lambda w: w.answers(add_sparse=True, sparse=_sparse("local-bm25")),
        hybrid,
        "hybrid",
        needs=("add_vector_safe",),
    ),
    Case(
        "hybrid-server",
        "blue-green",
        lambda w: w.answers(
            add_sparse=True, sparse=_sparse("server-bm25"), route="blue-green", target=TargetAnswer(collection=TARGET)
        ),
        hybrid,
        "hybrid",
        needs=("server_bm25",),
        world={"alias": LIVE},
    ),
    Case(
        "hybrid-and-dense",
        "in-place",
        lambda w: w.answers(add_sparse=True, sparse=_sparse("local-bm25"), model=NEW, vector=NEW_NAME),
        hybrid,
        "hybrid",
        needs=("add_vector_safe",),
        world={"documents": 60},
        pause_s=0.4,
    ),
    Case(
        "offline-same-name",
        "blue-green",
        lambda w: w.answers(zero_downtime=False, model=NEW, target=TargetAnswer(same_name=True, collection=TARGET)),
        renamed,
        "blue-green",
        world={"documents": 60},
        writes=False,
    ),
    Case(
        "offline-in-place",
        "in-place",
        lambda w: w.answers(zero_downtime=False, model=NEW, vector=NEW_NAME),
        reembedded,
        "in-place",
        needs=("add_vector_safe",),
        world={"documents": 60},
        writes=False,
    ),
    Case(
        "unnamed-in-place",
        "in-place",
        lambda w: w.answers(model=NEW, vector=NEW_NAME, route="in-place"),
        lambda w, p, r, s: embedded(w, points(w, p), "new", NEW),
        "in-place",
        needs=("add_vector_safe",),
        world={"vector": "", "documents": 60},
        pause_s=0.4,
    ),
)


def run_case(case: Case, world: World, environ: dict[str, str]) -> None:
    """Plan, run with the writer beside it, check."""
    plan = world.plan(case.answers(world), environ)
    assert (plan.route, plan.job.mode) == (case.route, case.mode)
    run, state = world.run(plan, environ, writes=case.writes, pause_s=case.pause_s)
    assert state.failures == 0
    assert state.skipped == 0
    left = world.send("GET", "/collections")["collections"]
    if plan.job.lease and {"name": plan.job.source} in left:
        lease = read_lease(world.send("GET", f"/collections/{plan.job.source}")["config"]["metadata"])
        assert lease is not None and lease.run == run.name and lease.ended is not None
    case.check(world, plan, run, state)
