"""The walk without a screen: what is measured when, and what is dropped when an answer changes."""

from __future__ import annotations

import msgspec
import pytest

from changeover import wizard
from changeover.checks.model import Probes
from changeover.embed.model import ModelSpec
from changeover.errors import BlockedError, UsageError
from changeover.survey.model import Survey
from tests.unit.surveys import ACCESS, NEW, OLD, PROBES, answers, survey

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
