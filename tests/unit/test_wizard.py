"""The walk without a screen: what is measured when, and what is dropped when an answer changes."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from changeover import wizard
from changeover.checks.model import ModelProbe, Probes
from changeover.decision.answers import SparseAnswer, TargetAnswer
from changeover.embed.model import ModelSpec
from changeover.errors import BlockedError, UnreachableError, UsageError
from changeover.quality.trials import Cut, DimensionsTrial, HybridTrial
from changeover.survey.model import Survey
from changeover.survey.trials import take
from tests.unit.surveys import ACCESS, NEW, OLD, PROBES, answers, survey

CUTS = tuple(
    Cut(method=method, size=size, overlap=kept)  # type: ignore[arg-type]
    for size, kept in ((192, 0.9), (128, 0.7), (64, 0.4))
    for method in ("leading", "random", "pca")
)
PREFIXED = msgspec.structs.replace(OLD, document_prefix="passage: ")


class Walk(wizard.Wizard):
    """A wizard whose survey comes from memory; `taken` are the old models that surveys were taken with."""

    def __init__(self) -> None:
        super().__init__(ACCESS, {})
        self.taken: list[ModelSpec | None] = []

    async def take_survey(self, name: str) -> Survey:
        self.taken.append(self.answers.old_model)
        proven = PREFIXED if self.answers.old_model else None
        text = msgspec.structs.replace(survey().text, old_model=proven, proven=bool(proven) or None)
        self.survey = survey(text=text)
        return self.survey


@pytest.fixture
def walk(monkeypatch: pytest.MonkeyPatch) -> Walk:
    async def measured(*_: object) -> Probes:
        return PROBES

    monkeypatch.setattr("changeover.survey.probe.take_probes", measured)
    return Walk()


async def test_an_old_model_that_is_answered_late_still_proves_the_text(walk: Walk) -> None:
    await walk.take_survey("docs")
    walk.answer(answers(old_model=OLD))
    await walk.probe(trials=False)
    assert walk.taken == [None, OLD]
    assert "text-unproven" not in {finding.code for finding in walk.findings()}
    await walk.probe(trials=False)
    assert walk.taken == [None, OLD], "the prefix that the proof found is no other model"
    walk.answer(answers(old_model=None))
    await walk.probe(trials=False)
    assert walk.taken == [None, OLD, None]
    assert "text-unproven" in {finding.code for finding in walk.findings()}


async def test_another_model_drops_what_was_measured(walk: Walk) -> None:
    with pytest.raises(UsageError, match="no collection"):
        walk.questions()
    await walk.take_survey("docs")
    walk.answer(answers())
    await walk.probe(trials=False)
    assert walk.probes.new_model is not None
    walk.answer(answers(model=msgspec.structs.replace(NEW, name="other")))
    assert walk.probes.new_model is None


async def test_a_blocker_and_a_code_that_was_not_typed_are_refused(walk: Walk) -> None:
    await walk.take_survey("docs")
    walk.answer(answers(old_model=None))
    await walk.probe(trials=False)
    plan = walk.plan()
    with pytest.raises(BlockedError, match="--accept text-unproven --accept query-model-must-change"):
        wizard.refuse_unaccepted(plan, frozenset())
    with pytest.raises(BlockedError, match="--accept query-model-must-change"):
        wizard.refuse_unaccepted(plan, frozenset({"text-unproven"}))
    wizard.refuse_unaccepted(plan, frozenset({"text-unproven", "query-model-must-change"}))
    assert walk.survey is not None
    walk.survey = msgspec.structs.replace(walk.survey, state=msgspec.structs.replace(walk.survey.state, color="red"))
    with pytest.raises(BlockedError, match="not-green"):
        wizard.refuse_unaccepted(walk.plan(), frozenset({"text-unproven", "query-model-must-change"}))


async def test_a_model_is_asked_once_for_the_same_texts(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ModelProbe | None] = []
    broken = False

    async def measured(survey: Survey, given: Any, environ: Any, known: ModelProbe | None = None) -> Probes:
        asked.append(known)
        found = ModelProbe(dimension=0, error="refused") if broken else PROBES.new_model
        return Probes(new_model=known or found)

    monkeypatch.setattr("changeover.survey.probe.take_probes", measured)
    await walk.take_survey("docs")
    walk.answer(answers(old_model=None))
    for _ in range(2):
        await walk.probe(trials=False)
    assert asked == [None, PROBES.new_model]
    other = msgspec.structs.replace(NEW, name="other")
    broken = True
    for model in (other, other, NEW):
        walk.answer(answers(old_model=None, model=model))
        await walk.probe(trials=False)
    assert asked[2:] == [None, None, None], "one that failed is asked again"
    assert walk.probes.new_model is not None and walk.probes.new_model.error


class Tried:
    """Trials that take no time; `hold` never ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taken: list[str] = []
        self.found: dict[str, Any] = {}
        self.hold = False
        self.fails: Exception | None = None
        for name, found in (
            ("dimensions", DimensionsTrial(vector="text", full=256, sampled=200, cuts=CUTS)),
            ("hybrid", HybridTrial(encoder="bm25", points=10, queries=0, average_length=37.0)),
        ):
            self.found[name] = found
        rows = tuple(trial._replace(run=self._trial(trial.name)) for trial in take.TRIALS)
        monkeypatch.setattr(take, "TRIALS", rows)

    def _trial(self, name: str) -> Any:
        async def run(gateway: Any, survey: Any, given: Any, environ: Any, progress: Any, partly: Any) -> Any:
            if progress:
                progress(1, 4, "reading")
            if self.hold:
                partly(msgspec.structs.replace(self.found[name], cuts=CUTS[:3]))
                await asyncio.Event().wait()
            if self.fails is not None:
                raise self.fails
            self.taken.append(name)
            return self.found[name]

        return run


@pytest.fixture
def tried(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> Tried:
    async def gateway(self: wizard.Wizard) -> None:
        return None

    monkeypatch.setattr(wizard.Wizard, "gateway", gateway)
    return Tried(monkeypatch)


async def test_a_trial_is_taken_once_for_the_same_answers(walk: Walk, tried: Tried) -> None:
    await walk.take_survey("docs")
    shorter = answers(old_model=None, avoid="dimensions", target=TargetAnswer(dimension=64))
    walk.answer(shorter)
    assert walk.untried() == ("fewer dimensions on stored vectors",)
    told: list[tuple[int, int, str]] = []
    await walk.probe(progress=lambda *heard: told.append(heard))
    assert told == [(1, 4, "fewer dimensions on stored vectors: reading")]
    assert walk.probes.dimensions is not None and walk.untried() == ()
    await walk.probe()
    walk.answer(msgspec.structs.replace(shorter, target=TargetAnswer(dimension=100)))
    assert walk.probes.dimensions is None
    walk.answer(msgspec.structs.replace(shorter, target=TargetAnswer(dimension=128)))
    assert walk.probes.dimensions is not None, "half of the size is measured by every trial"
    assert tried.taken == ["dimensions"]


async def test_what_a_trial_proposes_does_not_put_it_in_doubt(walk: Walk, tried: Tried) -> None:
    await walk.take_survey("docs")
    words = answers(old_model=None, add_sparse=True, model=None, sparse=SparseAnswer(encoder="local-bm25"))
    walk.answer(words)
    for _ in range(3):
        await walk.probe()
        walk.answer(words)
        assert walk.probes.hybrid is not None
        assert walk.completed().sparse.average_length == 37.0
    assert tried.taken == ["hybrid"]


async def test_a_question_is_tried_for_an_answer_that_is_not_given_yet(walk: Walk, tried: Tried) -> None:
    await walk.take_survey("docs")
    walk.answer(answers(old_model=None))
    assert walk.evidence("avoid").untried == ()
    assert walk.evidence("avoid", "dimensions").untried == ("up to 2,000 stored vectors are cut here; at most 1 min",)
    tried.hold, begun = True, asyncio.Event()
    task = asyncio.create_task(walk.try_it("avoid", "dimensions", lambda *_: begun.set()))
    await begun.wait()
    await asyncio.sleep(0)
    some = walk.evidence("avoid", "dimensions").charts
    assert [len(chart.bars) for chart in some] == [3] and walk.so_far() == ()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert walk.evidence("avoid", "dimensions").charts == some, "what was measured stays"
    tried.hold = False
    tried.fails = UnreachableError("the connection was closed")
    with pytest.raises(UnreachableError):
        await walk.try_it("avoid", "dimensions")
    tried.fails = None
    await walk.try_it("avoid", "dimensions")
    assert [len(chart.bars) for chart in walk.evidence("avoid", "dimensions").charts] == [9]
    assert walk.evidence("avoid").charts == () and walk.probes.dimensions is None, "nothing was answered"
    walk.answer(answers(old_model=None, avoid="dimensions"))
    assert walk.probes.dimensions is not None and tried.taken == ["dimensions"]


async def test_trials_that_are_given_up_leave_the_rest(walk: Walk, tried: Tried) -> None:
    await walk.take_survey("docs")
    walk.answer(answers(old_model=None, avoid="dimensions", target=TargetAnswer(dimension=64)))
    tried.hold = True
    begun = asyncio.Event()
    task = asyncio.create_task(walk.probe(progress=lambda *_: begun.set()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert walk.untried() and walk.probes.dimensions is None
    assert walk.findings() and walk.plan().route == "dimensions"
