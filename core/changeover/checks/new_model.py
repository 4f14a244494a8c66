"""The new model, as it was answered and as it was measured."""

from __future__ import annotations

import msgspec

from changeover.checks import way
from changeover.checks.base import Check
from changeover.checks.model import Finding, Probes
from changeover.decision.answers import Answers
from changeover.decision.route import wanted
from changeover.embed.model import ModelSpec
from changeover.survey.model import Survey


def model_unusable(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The model could not be loaded or asked."""
    probe = probes.new_model
    if probe is None or not probe.error or not way.uses_model(answers):
        return None
    if dimension_mismatch(survey, answers, probes) is not None:
        return None
    return Finding(
        code="model-unusable",
        severity="blocker",
        title="the new model cannot be used",
        measured=probe.error,
        consequence="nothing can be embedded",
        remedy="mend what the message says, then try again",
        source="probe",
    )


def dimension_mismatch(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The model returns another size than was declared."""
    probe, declared = probes.new_model, answers.model.dimension if answers.model else None
    if probe is None or not probe.dimension or declared in (None, probe.dimension) or not way.uses_model(answers):
        return None
    return Finding(
        code="dimension-mismatch",
        severity="blocker",
        title="the model does not return what was declared",
        measured=f"{probe.dimension} numbers",
        limit=f"{declared} declared",
        consequence="every write would be refused",
        remedy=f"set model.dimension to {probe.dimension}, or leave it out",
        source="probe",
    )


def not_normalised(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The vectors are not of length 1 and the distance is Dot."""
    probe, old = probes.new_model, way.old(survey, answers)
    if probe is None or probe.error or old is None or abs(probe.norm - 1) < 0.01:
        return None
    if not way.uses_model(answers) or way.multi(answers):  # the vectors of tokens are compared by cosine
        return None
    distance = answers.vector.distance or old.distance
    if distance == "Cosine":
        return None
    return Finding(
        code="not-normalised",
        severity="warning",
        title="the new vectors are not of length 1",
        measured=f"mean length {probe.norm}",
        limit="1 for a model trained with cosine",
        consequence=f"with {distance} long vectors win whatever they mean; Cosine collections normalise by themselves",
        remedy="answer vector.distance = Cosine, unless the model asks for this distance",
        source="probe; server behaviour on write",
    )


def same_model(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """Old and new model are the same."""
    if answers.model is None or answers.old_model is None or not way.uses_model(answers):
        return None
    if _essence(answers.model) != _essence(answers.old_model):
        return None
    return Finding(
        code="same-model",
        severity="warning",
        title="old and new model are the same",
        measured=answers.model.label,
        consequence="every text is embedded again to the same vectors",
        remedy="choose another model, or accept if the text or its prefix changed",
        source="answers",
    )


def _essence(model: ModelSpec) -> ModelSpec:
    """The model without what does not change the vector of a text: key, price, declared size, prefix of a query."""
    return msgspec.structs.replace(
        model, api_key_env=None, price_per_million_tokens=None, dimension=None, query_prefix=""
    )


def query_model_must_change(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The application's queries have to change with the vectors: another model, or the same cut."""
    if wanted(answers) == "dimensions":
        return _queries_are_cut(answers)
    if answers.model is None or not way.uses_model(answers):
        return None
    in_place = way.mode(survey, answers) == "in-place"
    return Finding(
        code="query-model-must-change",
        severity="warning",
        title="the application must embed its queries with the new model from the cutover on",
        measured=answers.model.label,
        consequence="queries of the old model find nothing meaningful among vectors of the new one"
        + ("" if in_place else "; the alias turns every search at once, so the change must be ready by then"),
        remedy="deploy the change that the plan shows as a diff: no step of the run can do that for you",
        source="vectors of different models are not comparable",
        acknowledge=True,
    )


def _queries_are_cut(answers: Answers) -> Finding:
    size = answers.target.dimension
    rotated = answers.target.reduction == "pca"
    return Finding(
        code="query-model-must-change",
        severity="warning",
        title="the application must cut its queries as the stored vectors are cut, from the cutover on",
        measured=f"{size} numbers" if size else "fewer numbers",
        consequence=(
            "a query that is cut without the rotation finds nothing meaningful, and no error says so"
            if rotated
            else "a query of the full size is refused, since the sizes differ"
        ),
        remedy="deploy the change that the plan shows as a diff"
        + (", with the matrix that the run writes" if rotated else ""),
        source="the sizes of a query and of a stored vector must be equal",
        acknowledge=True,
    )


CHECKS = (
    Check(
        code="model-unusable",
        looks_at="the new model can be loaded",
        run=model_unusable,
        explain=(
            "The model was loaded and asked to embed one text, before anything else. The message says what went wrong: no\n"
            "model folder, an unknown name, no network to the hub, a refused key, a wrong URL."
        ),
    ),
    Check(
        code="dimension-mismatch",
        looks_at="the model returns the declared number of dimensions",
        run=dimension_mismatch,
        explain=(
            "The size of a vector is fixed when it is added. The probe embeds one text and compares; a declared size that\n"
            "is not the real one would make every write fail."
        ),
    ),
    Check(
        code="not-normalised",
        looks_at="the vectors fit the distance",
        run=not_normalised,
        explain=(
            "Cosine collections normalise what they are given. With Dot the length of a vector counts, so vectors of a\n"
            "model trained for cosine have to be normalised before they are written."
        ),
    ),
    Check(
        code="same-model",
        looks_at="old and new model differ",
        run=same_model,
        explain=(
            "Embedding the same text with the same model gives the same vectors: a migration without an effect. It makes\n"
            "sense only when the text, its prefix or the chunks changed; then say so by accepting it, else choose a model."
        ),
    ),
    Check(
        code="query-model-must-change",
        looks_at="the application's queries stay as they are",
        run=query_model_must_change,
        explain=(
            "Vectors of two models cannot be compared. Whoever changes the stored vectors must change the model that\n"
            "embeds the queries at the same moment: the plan shows the application's change as a diff. Forgetting it is the\n"
            "most common way to break a search without an error, so it is acknowledged by typing. Where stored vectors are\n"
            "cut, queries of the same model are cut in the same way; the plan shows these lines too."
        ),
    ),
)
