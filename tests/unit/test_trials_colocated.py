"""A multivector beside a dense vector: when it is looked at, its bytes, and both scratch indexes."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from changeover.cluster.api import Hit, Point
from changeover.cluster.errors import Action, ClusterError
from changeover.decision.answers import Answers, TextAnswer, VectorAnswer
from changeover.embed.model import ModelSpec
from changeover.errors import UsageError
from changeover.quality.trials import ColocatedTrial
from changeover.survey.model import Survey, Vector
from changeover.survey.trials import colocated
from changeover.survey.trials.colocated import try_colocated
from changeover.survey.trials.scratch import Measured, ScratchError, Task
from tests.unit import surveys
from tests.unit.test_survey_trials import Cluster

DENSE = Vector(name="text", kind="dense", size=16, distance="Cosine")
COLBERT = Vector(name="colbert", kind="multi", size=8, distance="Cosine", datatype="float16")
SPARSE = Vector(name="terms", kind="sparse")
LATE = ModelSpec(provider="fastembed", name="late", kind="late-interaction")


class Searched(Cluster):
    """The cluster in memory, with searches that are noted."""

    def __init__(self, points: list[Point]) -> None:
        super().__init__(points)
        self.searches: list[tuple[str, int]] = []

    async def search(self, name: str, vector: Any, *, using: str = "", limit: int = 10, **more: Any) -> list[Hit]:
        self._enter("search")
        self.searches.append((using, len(vector)))
        return [Hit(id=1, score=1.0)]


def cluster(points: int = 120, tokens: int = 5) -> Searched:
    generator = np.random.default_rng(0)
    return Searched(
        [
            Point(
                id=i,
                vectors={
                    "text": generator.normal(size=16).tolist(),
                    # Every second point has twice as many tokens as the others.
                    "colbert": generator.normal(size=(tokens * (1 + i % 2), 8)).tolist(),
                },
            )
            for i in range(points)
        ]
    )


def survey(*vectors: Vector) -> Survey:
    return surveys.survey(vectors=vectors)


async def tried(
    made: Survey, answers: Answers | None = None, gateway: Searched | None = None, **more: Any
) -> ColocatedTrial | None:
    asked: Any = gateway or cluster()
    return await try_colocated(asked, made, answers, {}, **more)


async def test_nothing_is_done_where_no_multivector_is_in_play() -> None:
    gateway = cluster()
    assert await tried(survey(DENSE, SPARSE), gateway=gateway) is None
    assert await tried(survey(COLBERT), gateway=gateway) is None
    assert await tried(survey(DENSE), Answers(model=ModelSpec(provider="fastembed", name="x")), gateway) is None
    assert gateway.asked == []


async def test_bytes_and_times_of_a_collection_that_has_one() -> None:
    gateway = cluster()
    told: list[str] = []
    trial = await tried(survey(DENSE, COLBERT), gateway=gateway, progress=lambda done, total, words: told.append(words))
    assert trial is not None and trial.error == ""
    assert (trial.vector, trial.planned, trial.dense_bytes_per_point) == ("colbert", False, 64)
    # Five or ten tokens of eight numbers of two bytes.
    assert 80 <= trial.bytes_per_point <= 160 and trial.bytes_per_point == pytest.approx(120, abs=15)
    assert trial.points == 100
    assert trial.with_ms is not None and trial.without_ms is not None and trial.cluster_ms is not None
    assert trial.with_ms > 0 and trial.without_ms > 0
    assert set(gateway.searches) == {("text", 16)} and len(gateway.searches) == 21
    assert told[-2:] == [
        "searching a scratch index, with the multivector",
        "searching a scratch index, without the multivector",
    ]


async def test_both_scratch_indexes_hold_the_same_dense_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[tuple[Task, dict[str, Any]]] = []

    async def noted(task: Task, arrays: Any, seconds: float) -> Measured:
        built.append((task, dict(arrays)))
        return Measured(indexed=1, median_ms=float(len(built)))

    monkeypatch.setattr(colocated, "measure", noted)
    trial = await tried(survey(DENSE, COLBERT), points=30)
    assert trial is not None and (trial.with_ms, trial.without_ms, trial.points) == (1.0, 2.0, 30)
    (first, beside), (second, alone) = built
    assert (first.multi_size, second.multi_size) == (8, None)
    assert (beside["dense"] == alone["dense"]).all() and (beside["asked"] == alone["asked"]).all()
    assert beside["counts"].sum() == len(beside["tokens"]) and len(beside["counts"]) == 30
    assert not {tuple(row) for row in alone["asked"].tolist()} & {tuple(row) for row in alone["dense"].tolist()}


async def test_the_scratch_index_stays_within_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colocated, "NUMBERS", 1_000)
    trial = await tried(survey(DENSE, COLBERT))
    assert trial is not None and trial.error == ""
    assert 8 <= trial.points <= 25  # 40 to 80 numbers each


async def test_the_larger_of_two_multivectors_counts() -> None:
    small = Vector(name="small", kind="multi", size=8, distance="Dot")
    gateway = cluster()
    for point in gateway.points.values():
        point.vectors["small"] = [[1.0] * 8]
    trial = await tried(survey(DENSE, small, COLBERT), gateway=gateway, points=20)
    assert trial is not None and trial.vector == "colbert"


class Late:
    """A late-interaction model of three tokens a text."""

    dimension = 6

    def embed_documents(self, texts: list[str]) -> list[Any]:
        return [np.ones((3, 6), dtype=np.float32) for _ in texts]

    def close(self) -> None:
        pass


async def test_a_model_that_would_add_one_is_asked_for_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colocated, "load_encoder", lambda spec, environ: Late())
    answers = Answers(model=LATE, text=TextAnswer(field="text"), vector=VectorAnswer(source="text", name="fresh"))
    trial = await tried(survey(DENSE), answers, points=40)
    assert trial is not None and trial.error == ""
    assert (trial.vector, trial.planned, trial.bytes_per_point) == ("fresh", True, 3 * 6 * 4)
    assert trial.points == 40 and trial.with_ms is not None


async def test_what_fails_is_one_line_beside_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = cluster()
    gateway.fails["search"] = ClusterError("the server is gone", Action.RETRY)
    trial = await tried(survey(DENSE, COLBERT), gateway=gateway)
    assert trial is not None and trial.error == "the server is gone"
    assert trial.bytes_per_point > 0 and trial.cluster_ms is None

    async def fails(task: Task, arrays: Any, seconds: float) -> Measured:
        raise ScratchError("the scratch index failed")

    monkeypatch.setattr(colocated, "measure", fails)
    trial = await tried(survey(DENSE, COLBERT))
    assert trial is not None and trial.error == "the scratch index failed"
    assert trial.cluster_ms is not None and trial.with_ms is None


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (Answers(model=LATE, text=TextAnswer(field="nothing")), "text.field"),
        (Answers(model=msgspec.structs.replace(LATE, provider="qdrant")), "runs on the server"),
        (Answers(model=LATE), "no such model"),
    ],
)
async def test_a_planned_one_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch, answers: Answers, said: str) -> None:
    def refuses(spec: ModelSpec, environ: Any) -> Any:
        raise UsageError("no such model")

    monkeypatch.setattr(colocated, "load_encoder", refuses)
    trial = await tried(survey(DENSE), answers)
    assert trial is not None and said in trial.error and trial.points == 0


async def test_a_collection_whose_points_lack_the_vectors_says_so() -> None:
    gateway = cluster()
    for point in gateway.points.values():
        del point.vectors["colbert"]
    trial = await tried(survey(DENSE, COLBERT), gateway=gateway)
    assert trial is not None and "colbert" in trial.error
    gateway = cluster()
    for point in gateway.points.values():
        del point.vectors["text"]
    trial = await tried(survey(DENSE, COLBERT), gateway=gateway)
    assert trial is not None and "'text'" in trial.error and trial.bytes_per_point > 0
