"""Trials on a sample: what they read, what they measure on real models, and how they say what is missing."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from changeover.cluster.api import Point
from changeover.cluster.errors import Action, ClusterError
from changeover.decision.answers import Answers, MapAnswer, QueriesAnswer, TargetAnswer, TextAnswer, VectorAnswer
from changeover.embed import protocol
from changeover.embed.model import ModelSpec
from changeover.embed.protocol import RejectedText, TextRejected
from changeover.errors import UnreachableError, UsageError
from changeover.quality import queries as query_sets
from changeover.quality.known_items import known_items_of
from changeover.quality.queries import LabelledQuery
from changeover.survey.model import Survey, Vector
from changeover.survey.trials.budget import Budget, merged, spread
from changeover.survey.trials.collect import labelled, random_ids, read_points, subject_of
from changeover.survey.trials.dimensions import try_dimensions
from changeover.survey.trials.gain import try_gain
from changeover.survey.trials.map import try_map
from tests.unit import surveys
from tests.unit.real_vectors import Real, real

Rows = NDArray[np.float32]
POINTS = 400
OLD = ModelSpec(provider="test", name="old")
NEW = ModelSpec(provider="test", name="new")


class Cluster:
    """A gateway over points in memory; whatever is not reading is not there, so that asking for it fails the test."""

    def __init__(self, points: Sequence[Point]) -> None:
        self.points = {point.id: point for point in points}
        self.asked: list[str] = []
        self.most = 10_000
        self.fails: dict[str, ClusterError] = {}

    def _enter(self, name: str) -> None:
        self.asked.append(name)
        if name in self.fails:
            raise self.fails[name]

    def _shown(self, point: Point, payload: bool | Sequence[str], vectors: bool | Sequence[str]) -> Point:
        chosen = point.vectors if vectors is True else {n: v for n, v in point.vectors.items() if n in (vectors or ())}
        return Point(id=point.id, payload=point.payload if payload else {}, vectors=chosen)

    async def sample(
        self, name: str, n: int, *, payload: bool | Sequence[str] = True, vectors: bool | Sequence[str] = False
    ) -> list[Point]:
        self._enter("sample")
        order = np.random.default_rng(len(self.asked)).permutation(len(self.points))[: min(n, self.most)]
        everything = list(self.points.values())
        return [self._shown(everything[i], payload, vectors) for i in order]

    async def retrieve(
        self, name: str, ids: Sequence[Any], *, payload: bool | Sequence[str] = True, vectors: Any = False
    ) -> list[Point]:
        self._enter("retrieve")
        return [self._shown(self.points[i], payload, vectors) for i in reversed(ids) if i in self.points]

    async def scroll(
        self,
        name: str,
        *,
        limit: int,
        offset: Any = None,
        payload: Any = True,
        vectors: Any = False,
        filter: Any = None,
    ) -> tuple[list[Point], Any]:
        self._enter("scroll")
        ids = list(self.points)
        begin = ids.index(offset) if offset is not None else 0
        page = ids[begin : begin + min(limit, self.most)]
        following = ids[begin + len(page)] if begin + len(page) < len(ids) else None
        return [self._shown(self.points[i], payload, vectors) for i in page], following


class Table:
    """An embedder that knows the vectors of its texts."""

    def __init__(self, documents: dict[str, Rows], queries: dict[str, Rows]) -> None:
        self._documents, self._queries = documents, queries
        self.dimension = len(next(iter(documents.values())))
        self.max_tokens = None
        self.ended = threading.Event()
        self.refuses: frozenset[str] = frozenset()
        self.waits: threading.Event | None = None

    def embed_documents(self, texts: Sequence[str]) -> Rows:
        if self.waits is not None:
            self.waits.wait(10)
        rows = np.stack([self._documents[text] for text in texts])
        refused = [RejectedText(i, "no") for i, text in enumerate(texts) if text in self.refuses]
        if refused:
            rows[[r.index for r in refused]] = np.nan
            raise TextRejected(refused, rows)
        return rows

    def embed_query(self, text: str) -> Rows:
        return self._queries[text]

    def close(self) -> None:
        self.ended.set()

    @property
    def closed(self) -> bool:
        return self.ended.is_set()


class World:
    """A collection of real text with wordllama's vectors; old model wordllama, new model minilm, both by table."""

    def __init__(self, old: Real, new: Real, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        documents = old.documents[:POINTS]
        self.points = [
            Point(id=d.id, payload=d.payload(), vectors={"text": v.tolist()})
            for d, v in zip(documents, old.stored, strict=False)
        ]
        self.cluster = Cluster(self.points)
        texts = [document.text for document in documents]
        asked = [(q.query, i) for i, q in enumerate(old.queries)]
        titles = {" ".join(document.title.split()) for document in documents}

        def table(model: Real) -> Table:
            made = {query: model.asked[i] for query, i in asked}
            # Any title can be asked with; those without a vector of their own get that of a neighbour.
            missing = {title: model.asked[i % len(asked)] for i, title in enumerate(sorted(titles - set(made)))}
            return Table(dict(zip(texts, model.stored, strict=False)), made | missing)

        self.models = {"old": table(old), "new": table(new)}
        known = {d.id for d in documents}
        self.queries = [q for q in old.queries if set(q.relevant) <= known]
        self.file = folder / "queries.jsonl"
        query_sets.write(self.file, self.queries)
        monkeypatch.setattr(protocol, "load", lambda spec, environ=None: self.models[spec.name])
        monkeypatch.setattr(protocol, "load_encoder", lambda spec, environ=None: self.models[spec.name])

    @property
    def survey(self) -> Survey:
        made = surveys.survey(points=len(self.cluster.points))
        return msgspec.structs.replace(made, text=msgspec.structs.replace(made.text, old_model=None, proven=None))

    def answers(self, **changes: Any) -> Answers:
        made = Answers(
            collection="docs",
            model=NEW,
            old_model=OLD,
            text=TextAnswer(field="text"),
            vector=VectorAnswer(source="text"),
            queries=QueriesAnswer(file=str(self.file)),
        )
        return msgspec.structs.replace(made, **changes)


@pytest.fixture
def world(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    folder = pytestconfig.cache.mkdir("vectors")
    return World(real("wordllama", folder), real("minilm", folder), monkeypatch, tmp_path)


async def test_dimensions_are_tried_without_text_or_model(world: World) -> None:
    bare = Answers(collection="docs", target=TargetAnswer(dimension=100))
    trial = await try_dimensions(world.cluster, world.survey, bare, {})  # type: ignore[arg-type]
    assert (trial.error, trial.vector, trial.full, trial.sampled, trial.queries) == ("", "text", 256, POINTS, 0)
    assert trial.matryoshka is True and trial.gap > 0.03
    assert {cut.size for cut in trial.cuts} == {64, 100, 128, 192}
    assert all(cut.ndcg_kept is None for cut in trial.cuts)
    assert "sample" not in world.cluster.asked  # a small collection is listed


async def test_dimensions_keep_ndcg_of_labelled_queries_asked_with_the_old_model(world: World) -> None:
    trial = await try_dimensions(world.cluster, world.survey, world.answers(), {}, vectors=300)  # type: ignore[arg-type]
    assert (trial.error, trial.sampled, trial.queries) == ("", 300, len(world.queries))
    assert all(cut.ndcg_kept is not None and 0.4 < cut.ndcg_kept < 1.3 for cut in trial.cuts)
    assert world.models["old"].closed


async def test_queries_that_fail_leave_the_cuts_of_dimensions(world: World) -> None:
    world.file.write_text("no json\n")
    trial = await try_dimensions(world.cluster, world.survey, world.answers(), {})  # type: ignore[arg-type]
    assert "line 1" in trial.error and len(trial.cuts) == 9
    answers = world.answers(queries=QueriesAnswer(title_field="title"))
    world.models["old"] = world.models["new"]
    trial = await try_dimensions(world.cluster, world.survey, answers, {})  # type: ignore[arg-type]
    assert "384 numbers" in trial.error and len(trial.cuts) == 9


async def test_a_better_model_gains_on_the_user_s_own_data(world: World) -> None:
    told: list[tuple[int, int, str]] = []
    trial = await try_gain(
        world.cluster,  # type: ignore[arg-type]
        world.survey,
        world.answers(),
        {},
        progress=lambda done, total, words: told.append((done, total, words)),
    )
    assert trial.error == ""
    assert (trial.points, trial.queries) == (POINTS, len(world.queries))
    assert trial.old is not None and trial.new is not None and trial.difference is not None
    assert trial.difference.mean == pytest.approx(trial.new.mean - trial.old.mean)
    assert trial.difference.mean > 0
    assert trial.verdict in ("GO", "UNDECIDED") and f"{trial.queries} queries" in trial.reason
    await asyncio.sleep(0)
    assert (POINTS, POINTS, "embedding with new") in told
    assert all(0 <= done <= total for done, total, _ in told)
    assert all(model.closed for model in world.models.values())


async def test_a_broken_model_is_a_no_go(world: World) -> None:
    model = world.models["new"]
    noise = np.random.default_rng(1)
    for text in model._documents:
        model._documents[text] = noise.normal(size=384).astype(np.float32)
    trial = await try_gain(world.cluster, world.survey, world.answers(), {})  # type: ignore[arg-type]
    assert trial.verdict == "NO-GO"


async def test_queries_can_come_from_a_field_and_texts_may_be_refused(world: World) -> None:
    texts = [str(point.payload["text"]) for point in world.points]
    world.models["new"].refuses = frozenset(texts[:40])
    answers = world.answers(queries=QueriesAnswer(title_field="title"))
    trial = await try_gain(world.cluster, world.survey, answers, {}, points=200)  # type: ignore[arg-type]
    assert trial.error == ""
    assert 150 <= trial.points < 200
    assert 60 <= trial.queries <= 100


async def test_time_that_is_up_leaves_a_smaller_trial_that_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr("changeover.survey.trials.budget.monotonic", lambda: float(next(clock)))
    queries = len(world.queries)
    trial = await try_gain(world.cluster, world.survey, world.answers(), {}, budget_s=3.0 * queries)  # type: ignore[arg-type]
    assert trial.error == ""
    assert 0 < trial.queries < queries
    whole = await try_gain(world.cluster, world.survey, world.answers(), {}, budget_s=None)  # type: ignore[arg-type]
    assert whole.queries == queries and "Time was up" not in whole.reason
    short = await try_gain(world.cluster, world.survey, world.answers(), {}, budget_s=1.0)  # type: ignore[arg-type]
    assert short.points == 32
    assert f"Time was up before {POINTS - 32} of {POINTS} points" in short.reason


async def test_a_map_is_fitted_on_anchors_and_judged_on_other_points(world: World) -> None:
    answers = world.answers(map=MapAnswer(anchors=200, method="ridge"))
    trial = await try_map(world.cluster, world.survey, answers, {})  # type: ignore[arg-type]
    assert trial.error == ""
    assert (trial.method, trial.anchors, trial.points) == ("ridge", 200, POINTS // 3)
    assert trial.old is not None and trial.mapped is not None and trial.new is not None and trial.over_old is not None
    # 200 anchors from another model do not reach the old index: nothing may be claimed.
    assert trial.mapped.mean < trial.old.mean
    assert trial.over_old.mean == pytest.approx(trial.mapped.mean - trial.old.mean)
    assert trial.gain is None or trial.gain.high <= 0.5
    unasked = await try_map(world.cluster, world.survey, world.answers(), {})  # type: ignore[arg-type]
    assert unasked.method == "procrustes"  # fewer than a thousand anchors
    assert unasked.anchors == POINTS - POINTS // 3


async def test_a_map_to_the_same_model_turned_recovers_the_whole_gain(world: World) -> None:
    old, new = world.models["old"], world.models["new"]
    basis, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(256, 256)))
    stored = {str(p.payload["text"]): np.array(p.vectors["text"], np.float32) for p in world.points}
    new._documents = {text: (vector @ basis).astype(np.float32) for text, vector in stored.items()}
    answer = {query.query: next(iter(query.relevant)) for query in world.queries}
    new._queries = {
        query: new._documents[str(world.cluster.points[point].payload["text"])] for query, point in answer.items()
    }
    noise = np.random.default_rng(3)
    old._queries = {query: noise.normal(size=256).astype(np.float32) for query in answer}
    trial = await try_map(world.cluster, world.survey, world.answers(map=MapAnswer(method="procrustes")), {})  # type: ignore[arg-type]
    assert trial.error == ""
    assert trial.new is not None and trial.new.mean == pytest.approx(1.0)
    assert trial.over_old is not None and trial.over_old.low > 0.5
    assert trial.gain is not None and trial.gain.low > 0.9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"old_model": None}, "old_model"),
        ({"model": None}, "model.*"),
        ({"queries": QueriesAnswer()}, "queries.file or queries.title_field"),
        ({"queries": QueriesAnswer(file="/absent/queries.jsonl")}, "/absent/queries.jsonl"),
        ({"queries": QueriesAnswer(title_field="no_such_field")}, "without a text"),
        ({"queries": QueriesAnswer(title_field="text")}, "whole embedded text"),
        ({"vector": VectorAnswer(source="absent")}, "no dense vector 'absent'"),
        ({"model": ModelSpec(provider="qdrant", name="cloud", dimension=384)}, "server embeds"),
    ],
)
async def test_what_is_missing_is_said_in_one_line(world: World, change: dict[str, Any], words: str) -> None:
    for trial in (
        await try_gain(world.cluster, world.survey, world.answers(**change), {}),  # type: ignore[arg-type]
        await try_map(world.cluster, world.survey, world.answers(**change), {}),  # type: ignore[arg-type]
    ):
        assert words in trial.error and "\n" not in trial.error
        assert trial.old is None and trial.queries == 0


async def test_a_map_to_token_vectors_is_refused(world: World) -> None:
    late = ModelSpec(provider="test", name="new", kind="late-interaction")
    trial = await try_map(world.cluster, world.survey, world.answers(model=late), {})  # type: ignore[arg-type]
    assert "one per token" in trial.error


async def test_a_late_interaction_model_is_compared_by_maxsim(world: World) -> None:
    model = world.models["new"]
    generator = np.random.default_rng(4)

    def tokens(vector: Rows) -> Rows:
        """The vector and two that say nothing."""
        return np.stack([vector, *(generator.normal(size=(2, 384)) * 1e-6).astype(np.float32)])

    whole = {text: tokens(vector) for text, vector in model._documents.items()}
    model.embed_documents = lambda texts: [whole[text] for text in texts]  # type: ignore[method-assign, assignment, return-value]
    model.embed_query = lambda text: model._queries[text][None, :]  # type: ignore[method-assign]
    late = ModelSpec(provider="test", name="new", kind="late-interaction")
    trial = await try_gain(world.cluster, world.survey, world.answers(model=late), {})  # type: ignore[arg-type]
    assert trial.error == ""
    assert trial.new is not None and trial.old is not None and trial.new.mean > trial.old.mean - 0.05


async def test_failures_of_cluster_and_model_end_in_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.cluster.fails["retrieve"] = ClusterError("POST /points: gone (HTTP 503)", Action.RETRY)
    for tried in (try_dimensions, try_gain, try_map):
        trial = await tried(world.cluster, world.survey, world.answers(), {})  # type: ignore[arg-type]
        assert "HTTP 503" in trial.error
    world.cluster.fails.clear()

    def refused(spec: ModelSpec, environ: Any = None) -> Any:
        raise UnreachableError("the model's endpoint refuses the key")

    monkeypatch.setattr("changeover.embed.protocol.load_encoder", refused)
    for again in (try_gain, try_map):
        assert "refuses the key" in (await again(world.cluster, world.survey, world.answers(), {})).error  # type: ignore[arg-type]
    assert world.models["old"].closed


async def test_relevant_points_that_are_gone_take_their_queries_along(world: World) -> None:
    gone = {point for query in world.queries[:30] for point in query.relevant}
    for point in gone:
        del world.cluster.points[point]
    trial = await try_gain(world.cluster, world.survey, world.answers(), {})  # type: ignore[arg-type]
    assert trial.error == "" and trial.queries == len(world.queries) - 30
    world.cluster.points = {
        i: p for i, p in world.cluster.points.items() if not any(i in q.relevant for q in world.queries)
    }
    trial = await try_gain(world.cluster, world.survey, world.answers(), {})  # type: ignore[arg-type]
    assert "none of the" in trial.error


async def test_a_trial_that_is_given_up_embeds_no_more(world: World) -> None:
    model = world.models["new"]
    model.waits, begun = threading.Event(), threading.Event()
    batches: list[int] = []
    plain = model.embed_documents

    def counted(texts: Sequence[str]) -> Rows:
        batches.append(len(texts))
        begun.set()
        return plain(texts)

    model.embed_documents = counted  # type: ignore[method-assign]
    task = asyncio.create_task(try_gain(world.cluster, world.survey, world.answers(), {}))  # type: ignore[arg-type]
    assert await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    model.waits.set()
    assert await asyncio.to_thread(model.ended.wait, 10)
    assert batches == [32]


async def test_large_collections_are_sampled_and_others_listed(world: World) -> None:
    subject = subject_of(surveys.survey(points=100_000), world.answers())
    world.cluster.most = 50
    ids = await random_ids(world.cluster, subject, 120, without=[1, 2, 3], seed=1)  # type: ignore[arg-type]
    assert len(set(ids)) == len(ids) == 120 and not {1, 2, 3} & set(ids)
    assert world.cluster.asked.count("sample") >= 3 and "scroll" not in world.cluster.asked
    world.cluster.fails["sample"] = ClusterError("sampling is not there (HTTP 400)", Action.STOP)
    listed = await random_ids(world.cluster, subject, 60, seed=1)  # type: ignore[arg-type]
    assert len(set(listed)) == 60 and "scroll" in world.cluster.asked
    few = await random_ids(world.cluster, msgspec.structs.replace(subject, points=POINTS), 10_000)  # type: ignore[arg-type]
    assert set(few) == set(world.cluster.points)


async def test_points_without_vector_or_text_are_left_out(world: World) -> None:
    subject = subject_of(world.survey, world.answers())
    points = [
        Point(id=1, payload={"text": "a"}, vectors={"text": [1.0]}),
        Point(id=2, payload={"text": " "}, vectors={"text": [1.0]}),
        Point(id=3, payload={"text": "a"}, vectors={"other": [1.0]}),
        Point(id=4, payload={}, vectors={"text": [1.0]}),
    ]
    cluster: Any = Cluster(points)
    assert [found.id for found in await read_points(cluster, subject, [4, 3, 2, 1, 9])] == [1]
    assert [found.id for found in await read_points(cluster, subject, [4, 3, 2, 1], text=False)] == [4, 2, 1]


async def test_labelled_queries_are_drawn_by_the_seed(world: World) -> None:
    subject = subject_of(world.survey, world.answers())
    cluster: Any = world.cluster
    first = await labelled(cluster, subject, 20, seed=1)
    assert len(first) == 20 and first == await labelled(cluster, subject, 20, seed=1)
    assert first != await labelled(cluster, subject, 20, seed=2)


def test_the_subject_takes_unnamed_vectors_and_proven_texts() -> None:
    unnamed = surveys.survey(named=False, vectors=(Vector(name="", kind="dense", size=8, distance="Dot"),))
    subject = subject_of(unnamed, Answers())
    assert (subject.vector, subject.distance, subject.aim, subject.template) == ("", "Dot", "Dot", "{text}")
    with_answer = subject_of(unnamed, Answers(vector=VectorAnswer(distance="Cosine")))
    assert (with_answer.distance, with_answer.aim) == ("Dot", "Cosine")


def test_known_items_skip_what_proves_nothing() -> None:
    points: list[tuple[int | str, dict[str, Any]]] = [
        (1, {"title": "one", "text": "something else"}),
        (2, {"title": "  ", "text": "b"}),
        (3, {"text": "c"}),
        (4, {"title": "twice", "text": "d"}),
        (5, {"title": " twice ", "text": "e"}),
        (6, {"title": "the  whole\ntext", "text": "the whole text"}),
        ("7b0e4b1c-0000-4000-8000-000000000000", {"title": "uuid", "text": "f"}),
    ]
    items = known_items_of(points, "title", "{text}")
    assert {q.query: q.relevant for q in items.queries} == {
        "one": {1: 1},
        "uuid": {"7b0e4b1c-0000-4000-8000-000000000000": 1},
    }
    assert (items.blank, items.repeated, items.whole) == (2, 2, 1)
    assert (
        items.skipped == "2 without a text, 2 with a value that others share, 1 whose value is the whole embedded text"
    )
    assert known_items_of(points, "title").whole == 0
    with pytest.raises(UsageError, match="title_field"):
        known_items_of(points, "{title}")


@given(
    titles=st.lists(
        st.one_of(st.none(), st.sampled_from(["", " ", "a", "b", "c d"]), st.text(max_size=6)), max_size=30
    ),
    count=st.integers(0, 10),
)
@settings(max_examples=60)
def test_every_known_item_asks_for_its_own_point_alone(titles: list[str | None], count: int) -> None:
    points = [(i, {"title": title, "text": "x"}) for i, title in enumerate(titles)]
    items = known_items_of(points, "title", "{text}", count=count)
    assert len(items.queries) <= count
    plain = [" ".join((title or "").split()) for title in titles]
    for query in items.queries:
        [(point, gain)] = query.relevant.items()
        assert gain == 1 and plain.count(query.query) == 1 and plain[int(point)] == query.query
        assert query.query not in ("", "x")


@given(few=st.integers(0, 20), many=st.integers(0, 60))
def test_a_beginning_of_the_order_holds_enough_of_both(few: int, many: int) -> None:
    one, other = [f"q{i}" for i in range(few)], [f"d{i}" for i in range(many)]
    for order in (spread(one, other), merged(one, other)):
        assert sorted(order) == sorted(one + other)
        assert [item for item in order if item in one] == one
    for end in range(few + many):
        share = sum(item[0] == "q" for item in merged(one, other)[:end])
        assert abs(share - end * few / (few + many)) <= 1.0


async def test_a_budget_ends_by_share_and_tells_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("changeover.survey.trials.budget.monotonic", lambda: now)
    threads: list[int] = []
    budget = Budget(10.0, lambda *_: threads.append(threading.get_ident()))
    assert not budget.spent(0.3)
    now = 3.5
    assert budget.spent(0.3) and not budget.spent()
    now = 10.0
    assert budget.spent()
    assert not Budget(None).spent()
    await budget.run(budget.tell, 1, 2, "words")
    await asyncio.sleep(0)
    assert threads == [threading.get_ident()]


@pytest.mark.slow
async def test_real_models_run_through_the_same_door(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    """Nothing replaced but the cluster: wordllama's vectors of 60 texts, asked with wordllama and minilm."""
    old = real("wordllama", pytestconfig.cache.mkdir("vectors"))
    documents = old.documents[:60]
    cluster: Any = Cluster(
        [
            Point(id=d.id, payload=d.payload(), vectors={"text": v.tolist()})
            for d, v in zip(documents, old.stored, strict=False)
        ]
    )
    queries = [LabelledQuery(d.title, {d.id: 1}) for d in documents[:25]]
    query_sets.write(tmp_path / "queries.jsonl", queries)
    answers = Answers(
        collection="docs",
        model=ModelSpec(provider="sandbox", name="minilm"),
        old_model=ModelSpec(provider="sandbox", name="wordllama"),
        text=TextAnswer(field="text"),
        queries=QueriesAnswer(file=str(tmp_path / "queries.jsonl")),
    )
    trial = await try_gain(cluster, surveys.survey(points=60), answers, dict(os.environ), points=60)
    assert (trial.error, trial.points, trial.queries) == ("", 60, 25)
    assert trial.old is not None and trial.old.mean > 0.5
    assert trial.new is not None and trial.new.mean > 0.5
