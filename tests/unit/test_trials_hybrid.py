"""Fusion and sparse search as the core has them, and the trial of hybrid search on real text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import qdrant_edge as edge
from hypothesis import given, settings
from hypothesis import strategies as st

from changeover.cluster.api import Point, SparseValue
from changeover.decision.answers import Answers, QueriesAnswer, SparseAnswer, TextAnswer
from changeover.embed import protocol
from changeover.embed.model import ModelSpec, SparseSpec
from changeover.errors import UnreachableError
from changeover.quality.fusion import RRF_K, dbsf, rrf
from changeover.quality.lexical import Terms
from changeover.quality.metrics import per_query
from changeover.quality.trials import HybridTrial
from changeover.survey.model import Survey
from changeover.survey.trials import hybrid
from changeover.survey.trials.hybrid import try_hybrid
from tests.unit.test_survey_trials import NEW, OLD, World, world

__all__ = ["world"]

BM25 = SparseAnswer(encoder="server-bm25")


def shard_of(folder: Path, dense: Any, terms: list[SparseValue | None], distance: str = "Cosine") -> Any:
    """The core's own shard with the same points."""
    config = edge.EdgeConfig(
        vectors={"dense": edge.EdgeVectorParams(size=dense.shape[1], distance=getattr(edge.Distance, distance))},
        sparse_vectors={"terms": edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
    )
    shard = edge.EdgeShard.create(str(folder / "shard"), config)
    points = []
    for row, (vector, value) in enumerate(zip(dense.tolist(), terms, strict=True)):
        vectors: dict[str, Any] = {"dense": vector}
        if value is not None:
            vectors["terms"] = edge.SparseVector(value.indices.tolist(), value.values.tolist())
        points.append(edge.Point(row, vectors, {}))
    shard.update(edge.UpdateOperation.upsert_points(points))
    return shard


def found(shard: Any, query: Any, using: str, limit: int) -> list[tuple[int, float]]:
    request = edge.QueryRequest(limit=limit, query=edge.Query.Nearest(query, using=using))
    return [(hit.id, hit.score) for hit in shard.query(request)]


def fused(shard: Any, dense: Any, terms: Any, fusion: Any, fetched: int) -> list[tuple[int, float]]:
    parts = [
        edge.Prefetch(limit=fetched, query=edge.Query.Nearest(query, using=using))
        for query, using in ((dense, "dense"), (terms, "terms"))
    ]
    return [(hit.id, hit.score) for hit in shard.query(edge.QueryRequest(limit=100, query=fusion, prefetches=parts))]


def some_terms(generator: np.random.Generator, count: int, most: int = 6) -> list[SparseValue | None]:
    made: list[SparseValue | None] = []
    for _ in range(count):
        size = int(generator.integers(0, most))
        indices = np.sort(generator.choice(25, size, replace=False)).astype(np.uint32)
        made.append(SparseValue(indices, generator.random(size).astype(np.float32)) if size else None)
    return made


@pytest.mark.parametrize("distance", ["Cosine", "Dot", "Euclid", "Manhattan"])
def test_sparse_search_and_both_fusions_are_the_core_s(tmp_path: Path, distance: str) -> None:
    generator = np.random.default_rng(3)
    dense = generator.normal(size=(80, 8)).astype(np.float32)
    terms = some_terms(generator, 80)
    shard = shard_of(tmp_path, dense, terms, distance)
    index = Terms(terms, idf=True)
    for _ in range(10):
        asked = generator.normal(size=8).astype(np.float32)
        word = SparseValue(generator.choice(30, 4, replace=False).astype(np.uint32), np.ones(4, np.float32))
        core_word = edge.SparseVector(word.indices.tolist(), word.values.tolist())
        near = found(shard, asked.tolist(), "dense", 20)
        shared = found(shard, core_word, "terms", 20)
        mine = index.search(word, 20)
        assert [score for _, score in mine] == pytest.approx([score for _, score in shared], rel=1e-4)
        ours = hybrid._near([asked], dense, distance)[0][:20]
        assert [score for _, score in ours] == pytest.approx([score for _, score in near], rel=1e-3)
        for fusion, name in ((rrf, edge.Fusion.Rrf(RRF_K, None)), (dbsf, edge.Fusion.Dbsf())):
            wanted = dict(fused(shard, asked.tolist(), core_word, name, 20))
            assert dict(fusion([near, shared])) == pytest.approx(wanted, abs=1e-4)
    shard.close()


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 30), st.floats(-5, 5)), max_size=12, unique_by=lambda pair: pair[0]),
        min_size=1,
        max_size=3,
    )
)
@settings(max_examples=60)
def test_fusions_keep_every_point_once_and_best_first(rankings: list[list[tuple[int, float]]]) -> None:
    ordered = [sorted(ranking, key=lambda pair: -pair[1]) for ranking in rankings]
    everything = {point for ranking in ordered for point, _ in ranking}
    for fusion in (rrf, dbsf):
        made = fusion(ordered)
        assert {point for point, _ in made} == everything and len(made) == len(everything)
        assert [score for _, score in made] == sorted((score for _, score in made), reverse=True)


def test_a_point_without_terms_or_without_a_shared_one_is_never_found() -> None:
    one = SparseValue(np.array([4], np.uint32), np.array([1.0], np.float32))
    index = Terms([None, one, None], idf=False)
    assert index.search(one, 10) == [(1, 1.0)]
    assert index.search(SparseValue(np.array([5], np.uint32), np.array([1.0], np.float32)), 10) == []
    assert Terms([None], idf=True).search(one, 10) == []


async def tried(world: World, answers: Answers, survey: Survey | None = None, **more: Any) -> HybridTrial:
    gateway: Any = world.cluster
    return await try_hybrid(gateway, survey or world.survey, answers, {}, **more)


def old_only(world: World, **changes: Any) -> Answers:
    return world.answers(model=None, sparse=BM25, **changes)


async def test_every_way_of_searching_is_measured_as_the_core_would_find(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_sparse(world, monkeypatch)
    trial = await tried(world, old_only(world))
    assert (trial.error, trial.note, trial.encoder) == ("", "", "server-bm25")
    assert (trial.points, trial.queries) == (len(world.points), len(world.queries))
    documents = [str(point.payload["text"]) for point in world.points]
    encoder = edge.Bm25(edge.Bm25Config(language="english", avg_len=trial.average_length))
    vectors = [encoder.embed_document(text) for text in documents]
    values = [SparseValue(np.array(v.indices), np.array(v.values)) if v.indices else None for v in vectors]
    dense = np.array([point.vectors["text"] for point in world.points], dtype=np.float32)
    shard = shard_of(tmp_path, dense, values)
    ways: dict[str, list[list[Any]]] = {"dense": [], "sparse": [], "rrf": [], "dbsf": []}
    for query in world.queries:
        asked = world.models["old"].embed_query(query.query).tolist()
        word = encoder.embed_query(query.query)
        ways["dense"].append(found(shard, asked, "dense", 10))
        ways["sparse"].append(found(shard, word, "terms", 10) if word.indices else [])
        for way, fusion in (("rrf", edge.Fusion.Rrf(RRF_K, None)), ("dbsf", edge.Fusion.Dbsf())):
            ways[way].append(fused(shard, asked, word, fusion, hybrid.FETCHED)[:10])
    shard.close()
    for way, rankings in ways.items():
        ids = [[world.points[row].id for row, _ in ranking] for ranking in rankings]
        score = getattr(trial, way)
        # The core orders equal scores at random, and reciprocal ranks are often equal.
        expected = float(per_query(world.queries, ids)["nDCG@10"].mean())
        assert score.mean == pytest.approx(expected, abs=0.03 if way == "rrf" else 0.005), way
        assert score.low <= score.mean <= score.high
    assert trial.difference is not None and trial.dense and trial.rrf and trial.dbsf
    best = max(trial.rrf.mean, trial.dbsf.mean)
    assert trial.difference.mean == pytest.approx(best - trial.dense.mean, abs=1e-9)


def keep_sparse(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dense models by table, sparse encoders as they are."""
    real_encoder = REAL_ENCODER
    monkeypatch.setattr(hybrid, "load", lambda spec, environ=None: world.models[spec.name])
    monkeypatch.setattr(hybrid, "load_encoder", real_encoder)


REAL_ENCODER = protocol.load_encoder


async def test_a_new_model_s_vectors_take_the_place_of_the_stored_ones(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_sparse(world, monkeypatch)
    old = await tried(world, old_only(world))
    new = await tried(world, world.answers(sparse=BM25))
    assert old.dense is not None and new.dense is not None and new.error == ""
    assert new.sparse == old.sparse
    assert new.dense.mean > old.dense.mean
    assert world.models["new"].closed


async def test_without_queries_the_texts_are_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_sparse(world, monkeypatch)
    trial = await tried(world, old_only(world, queries=QueriesAnswer()))
    assert trial.error == "" and "no labelled queries" in trial.note
    assert (trial.points, trial.queries, trial.dense, trial.difference) == (len(world.points), 0, None, None)
    assert 10 < trial.average_length < 200
    assert trial.guessed_language == "english"


async def test_stop_words_of_another_language_show(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_sparse(world, monkeypatch)
    shares = {}
    for language in ("english", "finnish"):
        answers = old_only(world, queries=QueriesAnswer())
        sparse = msgspec.structs.replace(BM25, language=language)
        trial = await tried(world, msgspec.structs.replace(answers, sparse=sparse))
        shares[language] = trial.stopword_share or 0.0
    assert shares["english"] > 0.25 > 0.1 > shares["finnish"]


async def test_without_the_old_model_only_terms_are_searched(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_sparse(world, monkeypatch)
    trial = await tried(world, old_only(world, old_model=None))
    assert trial.error == "" and "old_model" in trial.note
    assert trial.sparse is not None and trial.sparse.mean > 0.2
    assert trial.dense is trial.rrf is trial.dbsf is trial.difference is None


async def test_texts_without_terms_are_counted_and_never_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_sparse(world, monkeypatch)
    blank = {"text": "the of and"}
    for number in range(100):
        world.cluster.points[10_000 + number] = Point(id=10_000 + number, payload=blank, vectors={"text": [0.1] * 256})
    trial = await tried(world, old_only(world))
    assert trial.without_terms == pytest.approx(100 / trial.points, abs=0.001)
    assert trial.sparse is not None and trial.sparse.mean > 0.2


async def test_time_that_is_up_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_sparse(world, monkeypatch)
    trial = await tried(world, old_only(world), budget_s=0.0)
    assert trial.error == "" and trial.average_length > 0
    assert "the time was enough for" in trial.note or "no labelled query" in trial.note


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sparse": SparseAnswer(encoder="server-bm25", language="klingon")}, "klingon"),
        ({"sparse": SparseAnswer(encoder="fastembed", model="no/such")}, "no/such"),
        ({"queries": QueriesAnswer(file="/no/such/file.jsonl")}, "queries.file"),
    ],
)
async def test_what_is_wrong_is_one_line(
    world: World, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: str
) -> None:
    keep_sparse(world, monkeypatch)
    trial = await tried(world, msgspec.structs.replace(old_only(world), **changes))
    assert said in trial.error and "\n" not in trial.error
    assert trial.sparse is None and trial.queries == 0


async def test_a_collection_without_text_or_points_says_so(world: World) -> None:
    bare = msgspec.structs.replace(world.survey.text, template=None)
    survey = msgspec.structs.replace(world.survey, text=bare)
    trial = await tried(world, old_only(world, text=TextAnswer()), survey)
    assert "text.field" in trial.error
    trial = await tried(world, old_only(world, text=TextAnswer(field="nothing"), queries=QueriesAnswer()))
    assert "no sampled point has this vector and a text" in trial.error


async def test_a_model_that_cannot_be_asked_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(spec: ModelSpec, environ: Any = None) -> Any:
        raise UnreachableError("the model does not answer")

    keep_sparse(world, monkeypatch)
    monkeypatch.setattr(hybrid, "load", refuses)
    assert (await tried(world, old_only(world))).error == "the model does not answer"


@pytest.mark.parametrize(
    ("given", "here"),
    [
        (SparseSpec(encoder="server-bm25"), SparseSpec(encoder="local-bm25", average_length=31.5)),
        (SparseSpec(encoder="text-index"), SparseSpec(encoder="local-bm25", average_length=31.5)),
        (
            SparseSpec(encoder="fastembed", model="Qdrant/bm25", average_length=9.0),
            SparseSpec(encoder="fastembed", model="Qdrant/bm25", average_length=9.0),
        ),
    ],
)
def test_what_runs_here_for_each_encoder(given: SparseSpec, here: SparseSpec) -> None:
    assert hybrid._here(given, 31.5) == here


def test_the_dense_side_is_the_new_model_s_where_there_is_one(world: World) -> None:
    from changeover.survey.trials.collect import subject_of

    late = msgspec.structs.replace(NEW, kind="late-interaction")
    sides = [hybrid._dense_side(subject_of(world.survey, world.answers(model=model)))[0] for model in (NEW, late, None)]
    assert sides == [hybrid._Dense(NEW, NEW), hybrid._Dense(OLD, None), hybrid._Dense(OLD, None)]
