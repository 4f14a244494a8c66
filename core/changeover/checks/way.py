"""What the answers lead to, as the checks ask for it. Nothing here raises: a check speaks, or is silent."""

from __future__ import annotations

import msgspec

from changeover.checks.model import Probes
from changeover.decision.answers import Answers, RouteName
from changeover.decision.route import choose, only_configures, wanted
from changeover.errors import ChangeoverError
from changeover.plan.estimate import TOKENS
from changeover.plan.model import Mode
from changeover.routes import job
from changeover.survey.model import Survey, Vector
from changeover.survey.template import paths


def mode(survey: Survey, answers: Answers) -> Mode | None:
    """Where it is done; None when no route is open. What becomes of the old side afterwards does not count here."""
    return choose(survey, msgspec.structs.replace(answers, cleanup="keep")).mode


def intended(survey: Survey, answers: Answers) -> Mode | None:
    """The mode, or the one that was asked for where it is closed."""
    return answers.route if answers.route in ("in-place", "blue-green") else mode(survey, answers)


def writes_points(answers: Answers) -> bool:
    """Whether points are written, and not only the configuration changed."""
    return not only_configures(wanted(answers), answers)


def adds_sparse(answers: Answers) -> bool:
    """Whether words are searched too afterwards, by a sparse vector or a text index."""
    return wanted(answers) == "hybrid"


def embeds(answers: Answers) -> bool:
    """Whether every text goes through the new model."""
    route = wanted(answers)
    return route in (None, "side-by-side") or (route == "hybrid" and answers.model is not None)


def uses_model(answers: Answers) -> bool:
    """Whether the new model is asked at all; a map asks it for its anchors."""
    return embeds(answers) or wanted(answers) == "linear-map"


def reads_text(answers: Answers) -> bool:
    """Whether texts are read from the payload."""
    return wanted(answers) not in ("dimensions", "quantization")


def old(survey: Survey, answers: Answers) -> Vector | None:
    """The stored dense vector that the change starts from; None when there is none of the answered name."""
    try:
        return job.source_vector(survey, answers)
    except ChangeoverError:
        return None


def dimension(answers: Answers, probes: Probes) -> int | None:
    """Numbers of the new dense vector (of a token, for late interaction); 0 for none, None while it is not known."""
    route: RouteName | None = wanted(answers)
    if route == "dimensions":
        return answers.target.dimension
    if not uses_model(answers):
        return 0
    if probes.new_model is not None and probes.new_model.dimension:
        return probes.new_model.dimension
    return answers.model.dimension if answers.model else None


def multi(answers: Answers) -> bool:
    """Whether the new model makes a vector per token."""
    return embeds(answers) and answers.model is not None and answers.model.kind == "late-interaction"


def numbers(answers: Answers, probes: Probes) -> int | None:
    """Numbers that a point's new dense vectors have together; 0 for none, None while it is not known."""
    size = dimension(answers, probes)
    return size * TOKENS if size is not None and multi(answers) else size


def dense_stays(survey: Survey, answers: Answers) -> bool:
    """Whether a dense vector is searched in the collection that serves afterwards, beside a new multivector."""
    dense = [vector for vector in survey.vectors if vector.kind == "dense"]
    beside = mode(survey, answers) != "blue-green" or wanted(answers) == "side-by-side" or len(dense) > 1
    return bool(dense) and beside


def template(survey: Survey, answers: Answers) -> str | None:
    """The text as a template over payload paths, answered or proposed; None when there is none that can be read."""
    found = answers.text.as_template or survey.text.template
    if not found:
        return None
    try:
        paths(found)
    except ChangeoverError:
        return None
    return found
