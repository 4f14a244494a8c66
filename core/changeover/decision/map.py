"""The whole tree as lines: the path taken, what is open, what is closed and why, what is not asked and why."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from changeover.checks.model import Probes
from changeover.decision.answers import Answers
from changeover.decision.questions import Question, by_id
from changeover.decision.tree import TREE, Asked, given, view
from changeover.survey.model import Survey

MAPPED = {
    "avoid": "",
    "zero_downtime": "only the configuration changes, so nothing is written",
    "keep_both": "asked where re-embedding is not avoided",
    "add_sparse": "asked where re-embedding is not avoided",
    "target.reduction": "asked for fewer dimensions",
    "quantization.kind": "asked for another quantization",
    "sparse.encoder": "asked for a move to hybrid search",
    "model.kind": "asked where both models stay live",
    "route": "only the configuration changes, so nothing is written",
    "target.same_name": "asked where the application may stop and uses the collection's own name",
    "cutover": "only the configuration changes, so there is nothing to cut over to",
}
"""The questions that branch, and why one is not asked; the others are details on the way."""

NOTHING = "nothing"
"""How an answer that leaves something out is shown."""
MapState = Literal["taken", "open", "closed", "here"]


class MapLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line; `depth` 0 is a question, 1 a choice."""

    text: str
    state: MapState
    depth: int
    question: str
    """The id of the question that it belongs to."""
    value: str = ""
    """The choice, or the answer to a question that does not branch."""
    why: str = ""
    """Closed: why; else what follows from a choice, or what a question is for."""
    branches: bool = True
    """Whether the question has choices on the map."""
    asked: bool = True
    """Whether one can go back to it."""


def lines(survey: Survey, answers: Answers, probes: Probes, at: str | None = None) -> tuple[MapLine, ...]:
    """Every question in the order of asking, the branching ones with all their choices.

    `at` is the question in hand; without it that is the first branching one without an answer, with "" none is.
    """
    asked = {one.question.id: one for one in view(survey, answers, probes)}
    unanswered = (one for name, one in asked.items() if name in MAPPED and one.value is None)
    here = next((one.question.id for one in unanswered), "") if at is None else at
    found: list[MapLine] = []
    for row in TREE:
        if row.id in asked:
            found += _asked(asked[row.id], here)
        elif row.id in MAPPED and (question := by_id(row.id)) is not None:
            found.append(_closed(question))
    return tuple(found)


def answered(answers: Answers) -> tuple[MapLine, ...]:
    """The questions that have an answer, without the cluster that they were asked about: a run keeps only these."""
    found: list[MapLine] = []
    for row in TREE:
        question, value = by_id(row.id), given(answers, row.id)
        if question is None or value in (None, ""):
            continue
        found.append(_question(question, _said(value), "taken", branches=row.id in MAPPED, asked=False))
        for choice in question.choices if row.id in MAPPED else ():
            state: MapState = "taken" if choice.value == _said(value) else "open"
            found.append(_choice(question, choice.label, choice.value, choice.consequence, state, asked=False))
    return tuple(found)


def _asked(one: Asked, here: str) -> list[MapLine]:
    question, branches = one.question, one.question.id in MAPPED
    state: MapState = "here" if question.id == here else "taken" if one.value is not None else "open"
    found = [_question(question, "" if one.value is None else _said(one.value) or NOTHING, state, branches=branches)]
    for option in one.choices if branches else ():
        choice = option.choice
        taken = one.value is not None and choice.value == _said(one.value)
        stands: MapState = "taken" if taken and option.open else "open" if option.open else "closed"
        why = choice.consequence if option.open else option.reason
        found.append(_choice(question, choice.label, choice.value, why, stands))
    return found


def _closed(question: Question) -> MapLine:
    line = _question(question, "", "closed", branches=True, asked=False)
    return msgspec.structs.replace(line, why=MAPPED[question.id])


def _question(question: Question, value: str, state: MapState, *, branches: bool, asked: bool = True) -> MapLine:
    return MapLine(
        text=question.prompt,
        state=state,
        depth=0,
        question=question.id,
        value=value,
        why=question.help,
        branches=branches,
        asked=asked,
    )


def _choice(question: Question, label: str, value: str, why: str, state: MapState, *, asked: bool = True) -> MapLine:
    return MapLine(text=label, state=state, depth=1, question=question.id, value=value, why=why, asked=asked)


def _said(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
