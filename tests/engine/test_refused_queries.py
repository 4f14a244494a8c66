"""Evaluation: a query that a model refuses is left out and said so; all of them refused is a verdict of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from changeover.cluster.api import Hit, Inference
from changeover.cluster.errors import ClusterError, classify
from changeover.embed.model import ModelSpec
from changeover.embed.protocol import RejectedText, TextRejected
from changeover.engine.context import Context
from changeover.engine.steps import evaluate as step_module
from changeover.engine.steps.evaluate import evaluate
from changeover.plan.model import Evaluate, FromVector
from changeover.quality.matrix import leading
from changeover.quality.model import QualityReport
from tests.engine.fakes import DIMENSION, HashEmbedder, MemoryCluster, close, context, plan, slices, vector_of

QUERIES = [f"text {i}" for i in range(25)]
OLD = ModelSpec(provider="sandbox", name="old")


class Picky(HashEmbedder):
    """Refuses queries with these numbers; gives no number for those in `broken`."""

    def __init__(self, refuses: Sequence[int] = (), broken: Sequence[int] = ()) -> None:
        self._refuses = {QUERIES[i] for i in refuses}
        self._broken = {QUERIES[i] for i in broken}

    def embed_query(self, text: str) -> np.ndarray:
        if text in self._refuses:
            raise TextRejected([RejectedText(0, "400 too long")], np.full((1, DIMENSION), np.nan))
        return np.full(DIMENSION, np.nan, np.float32) if text in self._broken else vector_of(text)


class Server(HashEmbedder):
    """The server embeds."""

    def embed_query(self, text: str) -> Any:
        return Inference(text, "m")


class Ranking(MemoryCluster):
    """Searches by inner product; texts that the server embeds are refused when they are among `refuses`."""

    def __init__(self, refuses: Sequence[int] = ()) -> None:
        super().__init__()
        self.refuses = {QUERIES[i] for i in refuses}
        self.collections["source"] = {
            i: ({"text": text}, {"old": vector_of(text), "new": vector_of(text)}) for i, text in enumerate(QUERIES)
        }

    async def search(self, name: str, vector: Any, **options: Any) -> list[Hit]:
        if isinstance(vector, Inference):
            if vector.text in self.refuses:
                raise classify(400, b'{"status":{"error":"Wrong input: the text is too long"}}')
            vector = vector_of(vector.text)
        assert np.isfinite(vector).all()
        using = options["using"]
        points = self.collections[name].items()
        scored = [Hit(id=i, score=float(np.dot(v[using], vector[: len(v[using])]))) for i, (_, v) in points]
        return sorted(scored, key=lambda hit: -hit.score)[: options["limit"]]


@contextmanager
def evaluating(
    folder: Path, patch: pytest.MonkeyPatch, cluster: Ranking, new: Any, old: Any = None, **job: Any
) -> Iterator[tuple[Context, Evaluate]]:
    labelled = folder / "queries.jsonl"
    labelled.write_text("".join(json.dumps({"query": q, "relevant": [i]}) + "\n" for i, q in enumerate(QUERIES)))
    patch.setattr(step_module, "load", lambda spec, environ: old)
    job = {"old_model": OLD if old is not None else None, **job}
    ctx = context(folder / "run", plan("in-place", slices(), **job), cluster, new)
    try:
        yield ctx, Evaluate(id="evaluate", title="Evaluate", queries=str(labelled))
    finally:
        close(ctx)


async def report(ctx: Context, step: Evaluate) -> QualityReport:
    detail = await evaluate(ctx, step)
    assert ctx.state.quality is not None
    assert detail == f"{ctx.state.quality.verdict}: {ctx.state.quality.reason}"
    return ctx.state.quality


async def test_nothing_refused_nothing_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with evaluating(tmp_path, monkeypatch, Ranking(), Picky(), Picky()) as (ctx, step):
        found = await report(ctx, step)
        assert (found.queries, found.verdict, found.ann_recall) == (25, "GO", 1.0)
        assert "left out" not in found.reason
        assert ctx.state.warnings == 0


@pytest.mark.parametrize(
    ("new", "old", "left", "who"),
    [
        (Picky([3]), Picky(), 1, "the new model refused 'text 3': 400 too long"),
        (Picky(), Picky([3, 4]), 2, "the old model refused 'text 3': 400 too long"),
        (Picky([1, 2]), Picky([2, 3]), 3, "400 too long"),
        (Picky(broken=[5]), Picky(), 1, "the new model refused 'text 5': .*not finite"),
        (Picky(), Picky(broken=[5]), 1, "the old model refused 'text 5': .*not finite"),
    ],
)
async def test_a_refused_query_is_left_out_of_both_sides_and_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new: Any, old: Any, left: int, who: str
) -> None:
    with evaluating(tmp_path, monkeypatch, Ranking(), new, old) as (ctx, step):
        found = await report(ctx, step)
        assert (found.queries, found.verdict) == (25 - left, "GO")
        assert f"{left} of 25 queries left out" in found.reason
        assert re.search(who, found.reason)
        assert ctx.state.warnings == 1


async def test_without_an_old_model_health_is_measured_on_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with evaluating(tmp_path, monkeypatch, Ranking(), Picky([0])) as (ctx, step):
        found = await report(ctx, step)
        assert (found.verdict, found.queries, found.ann_recall) == ("UNDECIDED", 24, 1.0)
        assert "No old model" in found.reason
        assert "1 of 25 queries left out" in found.reason


async def test_a_new_model_that_refuses_all_is_no_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with evaluating(tmp_path, monkeypatch, Ranking(), Picky(range(25)), Picky([7])) as (ctx, step):
        found = await report(ctx, step)
        assert (found.verdict, found.queries, found.ann_recall) == ("NO-GO", 0, None)
        assert found.reason == (
            "The new model refused every query that it was asked, 24 of 25: the new model refused 'text 0': 400 too long."
        )


async def test_an_old_model_that_refuses_all_decides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with evaluating(tmp_path, monkeypatch, Ranking(), Picky([1]), Picky(range(25))) as (ctx, step):
        found = await report(ctx, step)
        assert (found.verdict, found.queries) == ("UNDECIDED", 0)
        assert "The old model refused every query" in found.reason
        assert "400 too long" in found.reason


async def test_cut_vectors_need_the_old_models_answer_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = FromVector(vector="new", source="old", dimension=DIMENSION, distance="Cosine", method="leading")
    for refuses, verdict in ([3], "GO"), (range(25), "UNDECIDED"):
        folder = tmp_path / verdict
        folder.mkdir()
        with evaluating(folder, monkeypatch, Ranking(), Picky(), Picky(refuses), makes=(make,)) as (ctx, step):
            leading(DIMENSION, "Cosine").save(ctx.folder.matrix)
            found = await report(ctx, step)
            assert (found.verdict, found.queries) == (verdict, 25 - len(refuses))


@pytest.mark.parametrize(("refuses", "verdict"), [([3], "GO"), (range(25), "NO-GO")])
async def test_queries_that_the_server_embeds_and_refuses_are_left_out_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses: Sequence[int], verdict: str
) -> None:
    with evaluating(tmp_path, monkeypatch, Ranking(refuses), Server(), Picky()) as (ctx, step):
        found = await report(ctx, step)
        assert (found.queries, found.verdict) == (25 - len(refuses), verdict)
        assert "Wrong input: the text is too long" in found.reason


async def test_a_search_that_cannot_be_is_no_refused_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(Ranking):
        async def search(self, name: str, vector: Any, **options: Any) -> list[Hit]:
            raise classify(400, b'{"status":{"error":"Wrong input: Not existing vector name error: new"}}')

    for new in Server(), Picky():
        folder = tmp_path / type(new).__name__
        folder.mkdir()
        with (
            evaluating(folder, monkeypatch, Gone(), new, Picky()) as (ctx, step),
            pytest.raises(ClusterError, match="Not existing vector name"),
        ):
            await evaluate(ctx, step)
