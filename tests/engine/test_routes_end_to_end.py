"""Each route to its end on the sandbox, with a writer beside it; what it promised is computed here, independently."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from changeover.decision.answers import (
    MapAnswer,
    QuantizationAnswer,
    SparseAnswer,
    TargetAnswer,
    VectorAnswer,
)
from changeover.embed.model import ModelSpec
from changeover.embed.protocol import load
from changeover.quality.matrix import Matrix
from changeover.sandbox.server import start
from tests.engine import live
from tests.engine.small_world import NEW, OLD, World, kill_leftovers, same

pytestmark = pytest.mark.slow


@contextmanager
def world_on(generation: str, tmp_path: Path, **world: Any) -> Iterator[tuple[World, dict[str, str]]]:
    environ = live.environ_for(tmp_path / "runs")
    with start(generation, tmp_path / "server") as server:
        made = World(server.url, folder=tmp_path, **world)
        try:
            yield made, environ
        finally:
            kill_leftovers(environ)
            made.close()


def vectors_of(points: dict[Any, dict[str, Any]], name: str) -> dict[Any, Any]:
    return {i: (p["vector"][name] if isinstance(p["vector"], dict) else p["vector"]) for i, p in points.items()}


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def test_leading_dimensions_in_place(tmp_path: Path) -> None:
    with world_on("1.18", tmp_path) as (world, environ):
        answers = world.answers(
            avoid="dimensions", target=TargetAnswer(dimension=64), vector=VectorAnswer(name="short")
        )
        plan = world.plan(answers, environ)
        assert (plan.route, plan.job.mode, plan.job.template, plan.job.model) == ("dimensions", "in-place", "", None)
        _, state = world.run(plan, environ)
        stored = world.stored("small")
        world.check_points(stored)
        for i, (_, old) in world.points.items():
            assert same(stored[i]["vector"]["short"], np.array(old)[:64])
        assert state.failures == 0 and state.quality is not None


def test_principal_components_blue_green(tmp_path: Path) -> None:
    with world_on("1.17", tmp_path, alias="app") as (world, environ):
        answers = world.answers(avoid="dimensions", target=TargetAnswer(dimension=64, reduction="pca"))
        plan = world.plan(answers, environ)
        assert (plan.route, plan.job.mode, plan.job.target_vector) == ("dimensions", "blue-green", "text")
        run, state = world.run(plan, environ)
        assert world.send("GET", "/aliases")["aliases"] == [{"alias_name": "app", "collection_name": plan.job.target}]
        stored = world.stored(plan.job.target)
        world.check_points(stored)
        rotation = np.load(run.matrix)["matrix"]
        assert np.allclose(rotation.T @ rotation, np.eye(64), atol=1e-4)
        for i, (_, old) in world.points.items():
            assert same(stored[i]["vector"]["text"], np.array(old, dtype=np.float32) @ rotation)
        assert state.failures == 0


def test_another_quantization_and_back(tmp_path: Path) -> None:
    from changeover.routes.quantization import way_back

    with world_on("1.18", tmp_path, config={"optimizers_config": {"indexing_threshold": 10}}) as (world, environ):
        answers = world.answers(avoid="quantization", quantization=QuantizationAnswer(kind="scalar", least_recall=0.8))
        plan = world.plan(answers, environ)
        assert (plan.route, plan.job.makes, plan.job.mode) == ("quantization", (), "in-place")
        before = world.send("GET", "/collections/small")["config"]
        _, state = world.run(plan, environ, writes=False)
        changed = world.send("GET", "/collections/small")["config"]
        assert changed["quantization_config"]["scalar"]["type"] == "int8"
        assert [found.after for found in state.storage] == [False, True]
        assert max(setting.recall for setting in state.storage[-1].settings) >= 0.8
        world.check_points(world.stored("small"))
        back = way_back(plan)
        _, state = world.run(back, environ, writes=False)
        assert world.send("GET", "/collections/small")["config"] == before
        assert state.status == "finished"


def test_a_linear_map_is_a_bridge(tmp_path: Path) -> None:
    with world_on("1.18", tmp_path, documents=400) as (world, environ):
        spoiled = ModelSpec(
            provider="sandbox", name="wordllama", query_prefix="cooking recipes of Paris weather reports "
        )
        answers = world.answers(avoid="linear-map", model=OLD, old_model=spoiled, map=MapAnswer(anchors=200))
        plan = world.plan(answers, environ)
        assert plan.job.bridge and plan.route == "linear-map"
        run, state = world.run(plan, environ)
        assert state.matrix is not None and state.matrix.trial is not None
        assert state.matrix.trial.over_old is not None and state.matrix.trial.over_old.low > 0
        matrix = Matrix.load(run.matrix)
        stored = world.stored("small")
        world.check_points(stored)
        ids = list(world.points)
        mapped = matrix.apply(np.array([world.points[i][1] for i in ids], dtype=np.float32))
        assert all(same(stored[i]["vector"][plan.job.target_vector], row) for i, row in zip(ids, mapped, strict=True))
        recorded = world.send("GET", "/collections/small")["config"]["metadata"]["changeover"]
        assert recorded["bridge"] is True and "bridge" in run.report.read_text().lower()


def test_a_map_that_gains_nothing_writes_nothing(tmp_path: Path) -> None:
    with world_on("1.18", tmp_path) as (world, environ):
        scrambled = ModelSpec(provider="sandbox", name="scrambled")
        plan = world.plan(world.answers(avoid="linear-map", model=scrambled, map=MapAnswer(anchors=80)), environ)
        with pytest.raises(AssertionError, match="the map gains nothing"):
            world.run(plan, environ, writes=False)
        assert list(world.send("GET", "/collections/small")["config"]["params"]["vectors"]) == ["text"]


@pytest.mark.parametrize(("generation", "vector"), [("1.19", "text"), ("1.17", "")])
def test_side_by_side_keeps_both(generation: str, vector: str, tmp_path: Path) -> None:
    with world_on(generation, tmp_path, vector=vector, alias="app", documents=120) as (world, environ):
        names = VectorAnswer(name="new", carried_name=None if vector else "old")
        plan = world.plan(world.answers(keep_both=True, model=NEW, vector=names), environ)
        assert plan.route == "side-by-side"
        assert plan.job.mode == ("in-place" if vector else "blue-green")
        _, state = world.run(plan, environ)
        stored = world.stored(plan.job.target)
        world.check_points(stored)
        model = load(NEW)
        ids = list(world.points)
        fresh = model.embed_documents([world.points[i][0]["text"] for i in ids])
        for i, row in zip(ids, fresh, strict=True):
            assert same(stored[i]["vector"]["new"], row)
            assert np.allclose(stored[i]["vector"][vector or "old"], unit(np.array(world.points[i][1])), atol=1e-5)
        assert state.failures == 0


def test_side_by_side_with_token_vectors(tmp_path: Path) -> None:
    with world_on("1.18", tmp_path, documents=60) as (world, environ):
        tokens = ModelSpec(provider="sandbox", name="minilm", kind="late-interaction")
        plan = world.plan(world.answers(keep_both=True, model=tokens, vector=VectorAnswer(name="tokens")), environ)
        _, state = world.run(plan, environ)
        stored = world.stored("small")
        world.check_points(stored)
        from changeover.embed.protocol import load_encoder

        encoder = load_encoder(tokens)
        ids = list(world.points)
        for i, rows in zip(ids, encoder.embed_documents([world.points[i][0]["text"] for i in ids]), strict=True):
            assert np.asarray(stored[i]["vector"]["tokens"]).shape == rows.shape
        params = world.send("GET", "/collections/small")["config"]["params"]["vectors"]["tokens"]
        assert params["multivector_config"] == {"comparator": "max_sim"}
        assert params["on_disk"] is True and params["hnsw_config"]["m"] == 0
        assert state.failures == 0 and state.quality is not None


HYBRID = [("1.18", "local-bm25", ""), ("1.19", "server-bm25", ""), ("1.17", "server-bm25", "app")]


@pytest.mark.parametrize(("generation", "encoder", "alias"), HYBRID)
def test_dense_to_hybrid_without_touching_the_dense_vectors(
    generation: str, encoder: Any, alias: str, tmp_path: Path
) -> None:
    import qdrant_edge as edge

    with world_on(generation, tmp_path, alias=alias) as (world, environ):
        sparse = SparseAnswer(encoder=encoder, name="words", average_length=50)
        plan = world.plan(world.answers(add_sparse=True, sparse=sparse), environ)
        assert plan.route == "hybrid" and plan.job.model is None
        _, state = world.run(plan, environ)
        stored = world.stored(plan.job.target)
        world.check_points(stored)
        bm25 = edge.Bm25(edge.Bm25Config(language="english", avg_len=50.0))
        for i, (payload, old) in world.points.items():
            wanted = bm25.embed_document(payload["text"])
            got = stored[i]["vector"]["words"]
            assert dict(zip(got["indices"], got["values"], strict=True)) == pytest.approx(
                dict(zip(wanted.indices, wanted.values, strict=True)), rel=1e-4
            )
            assert np.allclose(stored[i]["vector"]["text"], unit(np.array(old)), atol=1e-5)
        config = world.send("GET", f"/collections/{plan.job.target}")["config"]["params"]["sparse_vectors"]["words"]
        assert config["modifier"] == "idf"
        assert state.quality is not None and len(state.quality.variants) == 4
        assert state.failures == 0


def test_hybrid_together_with_a_new_dense_model(tmp_path: Path) -> None:
    with world_on("1.18", tmp_path, documents=100) as (world, environ):
        sparse = SparseAnswer(encoder="local-bm25", name="words")
        plan = world.plan(
            world.answers(add_sparse=True, model=NEW, sparse=sparse, vector=VectorAnswer(name="new")), environ
        )
        assert [make.vector for make in plan.job.makes] == ["new", "words"]
        _, state = world.run(plan, environ)
        stored = world.stored("small")
        world.check_points(stored)
        assert all({"text", "new", "words"} <= set(point["vector"]) for point in stored.values())
        assert state.failures == 0


def test_offline_takes_the_same_name(tmp_path: Path) -> None:
    with world_on("1.18", tmp_path) as (world, environ):
        answers = world.answers(
            zero_downtime=False, model=NEW, target=TargetAnswer(same_name=True, collection="small_v2")
        )
        plan = world.plan(answers, environ)
        assert plan.job.mode == "blue-green" and not plan.job.keeps_serving
        _, state = world.run(plan, environ, writes=False)
        assert world.send("GET", "/collections")["collections"] == [{"name": "small_v2"}]
        assert world.send("GET", "/aliases")["aliases"] == [{"alias_name": "small", "collection_name": "small_v2"}]
        world.check_points(world.stored("small"))
        assert state.searches == 0


def test_the_old_collection_is_not_removed_while_somebody_writes(tmp_path: Path) -> None:
    with world_on("1.18", tmp_path) as (world, environ):
        answers = world.answers(
            zero_downtime=False, model=OLD, target=TargetAnswer(same_name=True, collection="small_v2")
        )
        plan = world.plan(answers, environ)
        from changeover.engine import control
        from changeover.engine.folder import RunFolder

        run = RunFolder.create(plan, environ, accepted=frozenset(f.code for f in plan.findings))
        live.start(run, environ)
        live.wait_for(run, lambda state: state.ready is not None and state.ready.ready)
        world.start_writer(pause_s=0.0)
        control.ask(run.control, "cutover", plan.job.name_in_use)
        with pytest.raises(AssertionError, match="still being written to"):
            live.wait_for(run, lambda state: state.status == "finished")
        world.stop_writer()
        world.check_points(world.stored("small"))
        assert {"name": "small"} in world.send("GET", "/collections")["collections"]


def test_offline_in_place(tmp_path: Path) -> None:
    with world_on("1.19", tmp_path, documents=80) as (world, environ):
        plan = world.plan(world.answers(zero_downtime=False, model=NEW, vector=VectorAnswer(name="new")), environ)
        assert plan.job.mode == "in-place" and "catch-up" not in [step.id for step in plan.steps]
        _, state = world.run(plan, environ, writes=False)
        stored = world.stored("small")
        world.check_points(stored)
        assert all(len(vector) == 384 for vector in vectors_of(stored, "new").values())
        assert state.searches == 0
