"""The whole tree as lines: the path taken, what is open, what is closed and why."""

from __future__ import annotations

from typing import Literal

import msgspec

from changeover.checks.model import Probes
from changeover.decision.answers import Answers
from changeover.decision.tree import Asked, view
from changeover.survey.model import Survey

MAPPED = (
    "avoid",
    "zero_downtime",
    "keep_both",
    "add_sparse",
    "target.reduction",
    "quantization.kind",
    "sparse.encoder",
    "model.kind",
    "route",
    "target.same_name",
    "cutover",
)
"""The questions that branch; the others are details on the way."""

MapState = Literal["taken", "open", "closed", "here"]


class MapLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line; `depth` 0 is a question, 1 a choice."""

    text: str
    state: MapState
    depth: int


def lines(survey: Survey, answers: Answers, probes: Probes) -> tuple[MapLine, ...]:
    """The branching questions with all their choices; the first one without an answer is `here`."""
    asked = [a for a in view(survey, answers, probes) if a.question.id in MAPPED]
    here = next((a.question.id for a in asked if a.value is None), None)
    found: list[MapLine] = []
    for one in asked:
        state: MapState = "here" if one.question.id == here else "taken" if one.value is not None else "open"
        found.append(MapLine(text=one.question.prompt, state=state, depth=0))
        found += [_choice(one, i) for i in range(len(one.choices))]
    return tuple(found)


def _choice(asked: Asked, i: int) -> MapLine:
    choice = asked.choices[i]
    given = str(asked.value).lower() if isinstance(asked.value, bool) else asked.value
    if not choice.open:
        return MapLine(text=f"{choice.choice.label}: {choice.reason}", state="closed", depth=1)
    taken = given is not None and given == choice.choice.value
    return MapLine(text=choice.choice.label, state="taken" if taken else "open", depth=1)
