"""What the server does itself, run to its end: words ranked by a text index (1.20), texts embedded by server inference."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from changeover.decision.answers import Answers, SparseAnswer, TargetAnswer, VectorAnswer
from changeover.embed.model import ModelSpec
from changeover.embed.protocol import load
from changeover.engine import control
from changeover.engine.folder import RunFolder
from changeover.engine.state import RunState
from changeover.plan.model import Plan
from changeover.quality.queries import LabelledQuery, read
from changeover.sandbox import corpus
from changeover.sandbox.server import start
from tests.engine import live
from tests.engine.small_world import ACCEPTED, NEW, World, kill_leftovers, same
from tests.sandbox import bm25

pytestmark = pytest.mark.slow

SERVED = ModelSpec(provider="qdrant", name="sandbox/minilm", dimension=384)
UNLISTED = "latin"
"""A language without stop words and without a stemmer: plain BM25."""
TOP, FETCHED = 10, 50
WAYS = ("dense", "sparse", "fused by RRF", "fused by DBSF")
Scores = dict[Any, float]
"""By id; greater is better."""


@contextmanager
def world_on(
    generation: str, folder: Path, *, inference: bool = False, **world: Any
) -> Iterator[tuple[World, dict[str, str]]]:
    environ = live.environ_for(folder / "runs")
    with start(generation, folder / "server", inference=inference) as server:
        made = World(server.url, folder=folder, **world)
        try:
            yield made, environ
        finally:
            kill_leftovers(environ)
            made.close()


def best(scores: Scores, count: int) -> Scores:
    """The `count` best."""
    return dict(sorted(scores.items(), key=lambda pair: -pair[1])[:count])


def by_rank(parts: list[Scores]) -> Scores:
    """Reciprocal rank fusion with the servers' constant 2."""
    total: Scores = {}
    for part in parts:
        for rank, i in enumerate(best(part, FETCHED)):
            total[i] = total.get(i, 0.0) + 1 / (2 + rank)
    return total


def by_distribution(parts: list[Scores]) -> Scores:
    """Distribution-based fusion: mean +- 3 standard deviations become 0 and 1."""
    total: Scores = {}
    for part in parts:
        fetched = best(part, FETCHED)
        spread = statistics.stdev(fetched.values()) if len(fetched) > 1 else 0.0
        middle = statistics.fmean(fetched.values()) if fetched else 0.0
        for i, score in fetched.items():
            total[i] = total.get(i, 0.0) + (0.5 + (score - middle) / (6 * spread) if spread else 0.5)
    return total


def ndcg(query: LabelledQuery, scores: Scores) -> tuple[float, float]:
    """nDCG@10 where equal scores fall worst, and where they fall best: servers order them at random."""
    gains = sorted(query.relevant.values(), reverse=True)[:TOP]
    ideal = sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains))

    def one(sign: int) -> float:
        ranked = sorted(scores, key=lambda i: (-round(scores[i], 5), sign * query.relevant.get(i, 0)))[:TOP]
        return sum(query.relevant.get(i, 0) / math.log2(rank + 2) for rank, i in enumerate(ranked)) / ideal

    return one(1), one(-1)


def searched(world: World, query: str, distance: str) -> dict[str, Scores]:
    """Every way of searching, from the formulas alone."""
    asked = np.asarray(world.model.embed_query(query), dtype=np.float64)
    rows = {i: np.asarray(vector, dtype=np.float64) for i, (_, vector) in world.points.items()}
    if distance == "Cosine":
        dense = {i: float(asked @ row / np.linalg.norm(asked) / np.linalg.norm(row)) for i, row in rows.items()}
    else:
        dense = {i: -float(np.linalg.norm(asked - row)) for i, row in rows.items()}
    words = bm25.scores({i: payload["text"] for i, (payload, _) in world.points.items()}, query)
    parts = [dense, words]
    return dict(zip(WAYS, (dense, words, by_rank(parts), by_distribution(parts)), strict=True))


def lexical(world: World, language: str) -> Answers:
    return world.answers(add_sparse=True, sparse=SparseAnswer(encoder="text-index", language=language))


@pytest.mark.parametrize(
    ("distance", "language", "promised"),
    [
        ("Cosine", UNLISTED, {}),
        ("Euclid", "english", {"stopwords": "english", "stemmer": {"type": "snowball", "language": "english"}}),
    ],
)
def test_words_of_a_text_index_beside_the_dense_vector(
    distance: str, language: str, promised: dict[str, Any], tmp_path: Path
) -> None:
    with world_on("1.20", tmp_path, documents=150, params={"distance": distance}) as (world, environ):
        plan = world.plan(lexical(world, language), environ)
        run, state = world.run(plan, environ, writes=False)
        index = world.send("GET", f"/collections/{world.collection}")["payload_schema"]["text"]
        asked = {"type": "text", "tokenizer": "word", "lowercase": True, "scoring": True}
        assert index == {"data_type": "text", "params": asked | promised, "points": 150}
        world.check_points(world.stored(world.collection))
        queries = read(world.queries)
        ways = WAYS if distance == "Cosine" else WAYS[:3]
        assert state.quality is not None and state.quality.queries == len(queries)
        assert tuple(variant.name for variant in state.quality.variants) == ways
        assert state.quality.new == state.quality.variants[2].scores
        report = run.report.read_text()
        assert [way for way in WAYS if way in report] == list(ways)
        wanted = [searched(world, query.query, distance) for query in queries]
        plain = language == UNLISTED
        for variant in state.quality.variants:
            if not plain and variant.name != "dense":
                continue
            bounds = [ndcg(query, found[variant.name]) for query, found in zip(queries, wanted, strict=True)]
            low, high = (statistics.fmean(side) for side in zip(*bounds, strict=True))
            mean = next(score.mean for score in variant.scores if score.metric == "nDCG@10")
            assert low - 1e-4 <= mean <= high + 1e-4, variant.name
        application_searches(world, plan, queries[:5], plain=plain)


def application_searches(world: World, plan: Plan, queries: Any, *, plain: bool) -> None:
    """The call that the plan tells the application to make, made with qdrant-client."""
    from qdrant_client import QdrantClient, models

    assert 'models.Prefetch(query=models.TextQuery(text=text), using="text", limit=50)' in plan.application
    texts = {i: payload["text"] for i, (payload, _) in world.points.items()}
    client = QdrantClient(world.url, check_compatibility=False, timeout=30)
    try:
        for query in queries:
            asked = models.TextQuery(text=query.query)
            hits = client.query_points(world.collection, query=asked, using="text", limit=1000).points
            found = {hit.id: hit.score for hit in hits}
            if plain:
                assert found == pytest.approx(bm25.scores(texts, query.query), abs=1e-3)
                continue
            holders = {i: stems(text) & stems(query.query) for i, text in texts.items()}
            assert found.keys() <= {i for i, shared in holders.items() if shared}
            assert found.keys() >= {i for i, shared in holders.items() if any(len(stem) > 7 for stem in shared)}
    finally:
        client.close()


def stems(text: str) -> set[str]:
    """The stems of the words; none of English's stop words has one of more than seven letters."""
    from py_rust_stemmers import SnowballStemmer  # type: ignore[import-untyped]

    return set(SnowballStemmer("english").stem_words(bm25.words(text)))


def embedded_here(world: World, stored: dict[Any, dict[str, Any]], name: str) -> None:
    """Every stored vector is what MiniLM makes of the point's text in this process."""
    ids = list(world.points)
    fresh = load(NEW).embed_documents([world.points[i][0]["text"] for i in ids])
    vectors = [stored[i]["vector"] for i in ids]
    new = [vector[name] if isinstance(vector, dict) else vector for vector in vectors]
    assert not [i for i, one, row in zip(ids, new, fresh, strict=True) if not same(one, row)]


def test_texts_are_embedded_by_the_server_in_place(tmp_path: Path) -> None:
    with world_on("1.18", tmp_path, inference=True, documents=120) as (world, environ):
        plan = world.plan(world.answers(model=SERVED, vector=VectorAnswer(name="new")), environ)
        assert (plan.route, plan.job.mode) == ("in-place", "in-place")
        state = finished(plan, environ)
        assert (state.failures, state.skipped) == (0, 0)
        stored = world.stored(world.collection)
        world.check_points(stored)
        embedded_here(world, stored, "new")
        # The engine has no model of its own here: it must not claim that it embedded anything anew.
        assert state.verified is not None
        assert (state.verified.target_points, state.verified.sampled, state.verified.worst_cosine) == (120, 0, None)
        assert state.quality is not None and state.quality.ann_recall == 1.0


@pytest.mark.long
def test_texts_are_embedded_by_the_server_for_an_unnamed_vector_while_points_change(tmp_path: Path) -> None:
    with world_on("1.17", tmp_path, inference=True, documents=120, vector="", alias="live") as (world, environ):
        target = TargetAnswer(collection="moved")
        plan = world.plan(world.answers(model=SERVED, route="blue-green", target=target), environ)
        assert (plan.job.mode, plan.job.target_vector) == ("blue-green", "")
        finished(plan, environ, lambda: change(world))
        stored = world.stored("live")
        world.check_points(stored)
        embedded_here(world, stored, "")
        document = {"text": world.points[min(world.points, key=str)][0]["text"], "model": SERVED.name}
        hits = world.send("POST", "/collections/live/points/query", {"query": document, "limit": 1})["points"]
        assert hits[0]["score"] == pytest.approx(1, abs=1e-3)


def finished(plan: Plan, environ: dict[str, str], after_load: Callable[[], None] | None = None) -> RunState:
    """Run the plan; the cutover is asked for as soon as it may be."""
    run = RunFolder.create(plan, environ, accepted=ACCEPTED | {finding.code for finding in plan.findings})
    live.start(run, environ)
    if after_load is not None:
        live.wait_for(run, lambda state: state.step("load").status == "done")
        after_load()
    live.wait_for(run, lambda state: state.ready is not None and state.ready.ready)
    control.ask(run.control, "cutover", plan.job.name_in_use)
    return live.wait_for(run, lambda state: state.status == "finished")


def change(world: World) -> None:
    """Edits, inserts and deletes, as the application makes them."""
    ids = sorted(world.points, key=str)
    world.put({i: {**world.points[i][0], "text": f"edited {number}"} for number, i in enumerate(ids[:8])})
    fresh = [document for document in corpus.documents(180) if document.id not in world.points][:6]
    world.write(fresh)
    world.send("POST", "/collections/live/points/delete?wait=true", {"points": ids[-4:]})
    for i in ids[-4:]:
        del world.points[i]


def test_a_server_without_inference_stops_the_run_with_its_own_words(tmp_path: Path) -> None:
    with world_on("1.18", tmp_path, documents=60) as (world, environ):
        plan = world.plan(world.answers(model=SERVED, vector=VectorAnswer(name="new")), environ)
        with pytest.raises(AssertionError, match="InferenceService URL not configured"):
            world.run(plan, environ, writes=False)
        kept = world.stored(world.collection)
        world.check_points(kept)
        assert all(set(point["vector"]) == {"text"} for point in kept.values())
