"""The tree as one table: when each question is asked, which choices are open, what the cluster says, what Enter takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from changeover.checks.capacity import memory_headroom
from changeover.checks.model import Probes
from changeover.checks.new_model import not_normalised
from changeover.decision import evidence as says
from changeover.decision.answers import Answers, set_answer, value_of
from changeover.decision.questions import Choice, Question, by_id
from changeover.decision.route import choose, closed, proposed
from changeover.errors import ChangeoverError
from changeover.routes import names
from changeover.routes.job import BATCH, STREAMS, batch_of, name_in_use, source_vector, taken_names
from changeover.survey.model import Survey


class AskedChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A choice as it stands on this cluster; a closed one stays visible with its reason."""

    choice: Choice
    open: bool = True
    reason: str = ""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A question as it is asked now."""

    question: Question
    choices: tuple[AskedChoice, ...] = ()
    evidence: tuple[str, ...] = ()
    """What the cluster says, a line each, with where it was read."""
    proposal: Any = None
    """What Enter takes; None when there is nothing to propose."""
    value: Any = None
    """The answer given so far, or None."""


Value = Callable[[Survey, Answers, Probes], Any]


class Row(NamedTuple):
    """One question of the tree."""

    id: str
    when: Callable[[Survey, Answers, Probes], bool]
    proposal: Value
    evidence: Callable[[Survey, Answers, Probes], tuple[str, ...]]
    choices: Callable[[Survey, Answers, Question], tuple[AskedChoice, ...]] | None = None


When = Callable[[Survey, Answers, Probes], bool]


def _always(survey: Survey, answers: Answers, probes: Probes) -> bool:
    return True


def _route_is(route: str) -> When:
    return lambda survey, answers, probes: choose(survey, answers).mode == route


def _model_by(*providers: str) -> When:
    return lambda survey, answers, probes: (answers.model.provider if answers.model else "fastembed") in providers


def _old_by(*providers: str) -> When:
    return lambda survey, answers, probes: answers.old_model is not None and answers.old_model.provider in providers


def _may_need_prefix(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """fastembed puts the prefixes of the models that it knows; a folder or a server of one's own may need them."""
    model = answers.model
    return model is not None and bool(model.path or model.url) and model.provider != "sandbox"


def _several_dense(survey: Survey, answers: Answers, probes: Probes) -> bool:
    return sum(vector.kind == "dense" for vector in survey.vectors) > 1


def _odd_length(survey: Survey, answers: Answers, probes: Probes) -> bool:
    return answers.vector.distance is not None or not_normalised(survey, bare(answers, "distance"), probes) is not None


def _tight_memory(survey: Survey, answers: Answers, probes: Probes) -> bool:
    if answers.vector.on_disk is not None:
        return True
    finding = memory_headroom(survey, answers, probes)
    return finding is not None and finding.severity != "info"


def bare(answers: Answers, part: str) -> Answers:
    """The answers without that answer about the vector."""
    return msgspec.structs.replace(answers, vector=msgspec.structs.replace(answers.vector, **{part: None}))


def _avoid(survey: Survey, answers: Answers, question: Question) -> tuple[AskedChoice, ...]:
    asked = []
    for choice in question.choices:
        if choice.value == "none":
            asked.append(AskedChoice(choice=choice))
            continue
        reasons = closed(choice.value, survey, answers)  # type: ignore[arg-type]
        asked.append(AskedChoice(choice=choice, open=not reasons, reason="; ".join(reasons)))
    return tuple(asked)


def _add_sparse(survey: Survey, answers: Answers, question: Question) -> tuple[AskedChoice, ...]:
    yes, no = question.choices
    reasons = closed("hybrid", survey, answers)
    return AskedChoice(choice=yes, open=not reasons, reason="; ".join(reasons)), AskedChoice(choice=no)


def _keep_both(survey: Survey, answers: Answers, question: Question) -> tuple[AskedChoice, ...]:
    yes, no = question.choices
    reasons = closed("side-by-side", survey, answers)
    return AskedChoice(choice=yes, open=not reasons, reason="; ".join(reasons)), AskedChoice(choice=no)


def _routes(survey: Survey, answers: Answers, question: Question) -> tuple[AskedChoice, ...]:
    asked = []
    for choice in question.choices:
        reasons = closed(choice.value, survey, answers)  # type: ignore[arg-type]
        asked.append(AskedChoice(choice=choice, open=not reasons, reason="; ".join(reasons)))
    return tuple(asked)


def _texts(survey: Survey, answers: Answers, question: Question) -> tuple[AskedChoice, ...]:
    proven = {p.template: p for p in survey.text.proofs}
    templates = list(
        dict.fromkeys(
            [*([survey.text.template] if survey.text.template else []), *(f"{{{f.path}}}" for f in survey.text.fields)]
        )
    )
    asked = []
    for template in templates[:6]:
        proof = proven.get(template)
        field = next((f for f in survey.text.fields if f"{{{f.path}}}" == template), None)
        words = f"re-embedded: cosine {proof.median}" if proof else ""
        if field is not None:
            words += f"{', ' if words else ''}on {field.text:.0%} of points, {field.mean_chars:.0f} characters"
        asked.append(AskedChoice(choice=Choice(value=template, label=template, consequence=words)))
    return tuple(asked)


def _sources(survey: Survey, answers: Answers, question: Question) -> tuple[AskedChoice, ...]:
    dense = [v for v in survey.vectors if v.kind == "dense"]
    return tuple(
        AskedChoice(
            choice=Choice(value=v.name, label=v.name or "(unnamed)", consequence=f"{v.size} numbers, {v.distance}")
        )
        for v in dense
    )


def _new_vector(survey: Survey, answers: Answers, probes: Probes) -> str | None:
    from changeover.routes.job import target_vector

    if answers.model is None or not (answers.model.name or answers.model.path):
        return None
    mode = "in-place" if choose(survey, answers).mode == "in-place" else "blue-green"
    dimension = (probes.new_model.dimension if probes.new_model else None) or answers.model.dimension or 0
    if mode == "blue-green" and not dimension:
        return None  # the old name would hide a forgotten query model if the sizes turn out to be equal
    try:
        return target_vector(survey, bare(answers, "name"), mode, dimension, answers.model)  # type: ignore[arg-type]
    except ChangeoverError:
        return None


def _target(survey: Survey, answers: Answers, probes: Probes) -> str:
    return names.collection_name(survey.collection, taken_names(survey))


def _alias(survey: Survey, answers: Answers, probes: Probes) -> str:
    if survey.aliases:
        return survey.aliases[0].name
    return names.alias_name(survey.collection, taken_names(survey))


def _distance(survey: Survey, answers: Answers, probes: Probes) -> str | None:
    return source_vector(survey, answers).distance


def _on_disk(survey: Survey, answers: Answers, probes: Probes) -> bool:
    return bool(source_vector(survey, answers).on_disk)


def _distances(survey: Survey, answers: Answers, question: Question) -> tuple[AskedChoice, ...]:
    kept = source_vector(survey, answers).distance
    return tuple(
        AskedChoice(
            choice=msgspec.structs.replace(c, consequence=f"{c.consequence}; as before") if c.value == kept else c
        )
        for c in question.choices
    )


def _text(survey: Survey, answers: Answers, probes: Probes) -> str | None:
    return answers.text.as_template or survey.text.template


def _source(survey: Survey, answers: Answers, probes: Probes) -> str | None:
    try:
        return source_vector(survey, answers).name
    except ChangeoverError:
        return None


def _batch(survey: Survey, answers: Answers, probes: Probes) -> int:
    dimension = probes.new_model.dimension if probes.new_model else answers.model.dimension if answers.model else None
    return batch_of(survey, answers, dimension) if dimension else BATCH


TREE: tuple[Row, ...] = (
    Row("avoid", _always, lambda s, a, p: "none", says.avoid, _avoid),
    Row("zero_downtime", _always, lambda s, a, p: True, says.downtime),
    Row("keep_both", _always, lambda s, a, p: False, says.both, _keep_both),
    Row("add_sparse", _always, lambda s, a, p: False, says.sparse, _add_sparse),
    Row("model.provider", _always, lambda s, a, p: "fastembed", says.model),
    Row("model.name", _always, lambda s, a, p: None, says.model),
    Row("model.path", _model_by("fastembed"), lambda s, a, p: None, says.model),
    Row("model.url", _model_by("openai"), lambda s, a, p: None, says.model),
    Row("model.api_key_env", _model_by("openai"), lambda s, a, p: None, says.model),
    Row("model.price_per_million_tokens", _model_by("openai"), lambda s, a, p: None, says.model),
    Row("model.document_prefix", _may_need_prefix, lambda s, a, p: None, says.prefix),
    Row("model.query_prefix", _may_need_prefix, lambda s, a, p: None, says.prefix),
    Row("old_model.provider", _always, lambda s, a, p: None, says.old_model),
    Row("old_model.name", lambda s, a, p: a.old_model is not None, lambda s, a, p: None, says.old_model),
    Row("old_model.path", _old_by("fastembed"), lambda s, a, p: None, says.old_model),
    Row("old_model.url", _old_by("openai"), lambda s, a, p: None, says.old_model),
    Row("old_model.api_key_env", _old_by("openai"), lambda s, a, p: None, says.old_model),
    Row("text.template", _always, _text, says.text, _texts),
    Row("route", _always, lambda s, a, p: proposed(s, a), says.route, _routes),
    Row("vector.source", _several_dense, _source, says.vectors, _sources),
    Row("vector.name", _always, _new_vector, says.vectors),
    Row("vector.distance", _odd_length, _distance, says.length, _distances),
    Row("vector.on_disk", _tight_memory, _on_disk, says.memory),
    Row("target.collection", _route_is("blue-green"), _target, says.names),
    Row(
        "alias.name",
        lambda s, a, p: (
            choose(s, a).mode == "blue-green" and (a.alias.name is not None or name_in_use(s, a) == s.collection)
        ),
        _alias,
        says.names,
    ),
    Row("writers", _always, lambda s, a, p: "unknown", says.writers),
    Row("limits.batch", _always, _batch, says.limits),
    Row("limits.streams", _always, lambda s, a, p: STREAMS, says.limits),
    Row("limits.rate", _always, lambda s, a, p: None, says.limits),
    Row("queries.file", _always, lambda s, a, p: None, says.queries),
    Row("cutover", _always, lambda s, a, p: "manual", says.cutover),
)


def view(survey: Survey, answers: Answers, probes: Probes) -> tuple[Asked, ...]:
    """Every question that matters now, in the order of asking. A later answer follows from the earlier ones."""
    asked = []
    for row in TREE:
        question = by_id(row.id)
        if question is None or not row.when(survey, answers, probes):
            continue
        plain = tuple(AskedChoice(choice=choice) for choice in question.choices)
        asked.append(
            Asked(
                question=question,
                choices=row.choices(survey, answers, question) if row.choices else plain,
                evidence=row.evidence(survey, answers, probes),
                proposal=row.proposal(survey, answers, probes),
                value=_value(answers, row.id),
            )
        )
    return tuple(asked)


def propose(survey: Survey, answers: Answers, probes: Probes) -> Answers:
    """The answers with the proposals filled in; a question without an answer or a proposal stays open.

    Nothing is proposed for a model: which one to use is the person's decision.
    """
    if answers.collection is None:
        answers = msgspec.structs.replace(answers, collection=survey.asked)
    for row in TREE:
        if row.id.startswith(("model.", "old_model.")) or not row.when(survey, answers, probes):
            continue
        if _value(answers, row.id) is None:
            proposal = row.proposal(survey, answers, probes)
            if proposal is not None:
                answers = set_answer(answers, row.id, _as_text(proposal))
    return answers


def _value(answers: Answers, question: str) -> Any:
    if question == "text.template":
        return answers.text.as_template
    return value_of(answers, question)


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
