"""The tree as one table: when each question is asked, which choices are open, what the cluster says, what Enter takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from changeover.checks.model import Probes
from changeover.decision import evidence as says
from changeover.decision import offers, when
from changeover.decision import proposals as take
from changeover.decision.answers import Answers, set_answer, value_of
from changeover.decision.charts import Chart, drawn, trials_of
from changeover.decision.offers import AskedChoice
from changeover.decision.questions import Question, by_id
from changeover.routes.job import STREAMS
from changeover.survey.model import Survey

__all__ = ["TREE", "Asked", "AskedChoice", "Row", "given", "propose", "view"]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A question as it is asked now."""

    question: Question
    choices: tuple[AskedChoice, ...] = ()
    evidence: tuple[str, ...] = ()
    """What the cluster says, a line each, with where it was read."""
    charts: tuple[Chart, ...] = ()
    """What trials measured for it."""
    proposal: Any = None
    """What Enter takes; None when there is nothing to propose."""
    value: Any = None
    """The answer given so far, or None."""

    @property
    def taken(self) -> Any:
        """What Enter takes: the answer given so far, unless it is a choice that is closed here; else the proposal."""
        given = "" if self.value is None else _as_text(self.value)
        closed = any(choice.choice.value == given and not choice.open for choice in self.choices)
        return self.proposal if self.value is None or closed else self.value


Value = Callable[[Survey, Answers, Probes], Any]


class Row(NamedTuple):
    """One question of the tree."""

    id: str
    when: when.When
    proposal: Value
    evidence: Callable[[Survey, Answers, Probes], tuple[str, ...]]
    choices: Callable[[Survey, Answers, Question], tuple[AskedChoice, ...]] | None = None


def _plainly(value: Any) -> Value:
    """The same proposal on every cluster."""
    return lambda survey, answers, probes: value


NOTHING = _plainly(None)

TREE: tuple[Row, ...] = (
    Row("avoid", when.always, _plainly("none"), says.avoid, offers.by_route),
    Row("zero_downtime", when.writes, _plainly(True), says.downtime),
    Row("keep_both", when.not_avoided, _plainly(False), says.both, offers.side_by_side),
    Row("add_sparse", when.not_avoided, _plainly(False), says.sparse, offers.hybrid),
    # what is cut, mapped or stored otherwise
    Row("vector.source", when.several_dense, take.source, says.vectors, offers.sources),
    Row("target.dimension", when.both(when.avoids("dimensions"), when.dense), take.size, says.dimensions, offers.sizes),
    Row(
        "target.reduction",
        when.both(when.avoids("dimensions"), when.dense),
        take.reduction,
        says.dimensions,
        offers.reductions,
    ),
    Row(
        "quantization.kind",
        when.both(when.avoids("quantization"), when.dense),
        take.quantization,
        says.storage,
        offers.quantizations,
    ),
    Row("quantization.query_encoding", when.binary, _plainly("default"), says.storage),
    Row("quantization.always_ram", when.both(when.quantized, when.dense), _plainly(True), says.storage),
    Row(
        "quantization.least_recall",
        when.both(when.avoids("quantization"), when.dense),
        _plainly(take.LEAST_RECALL),
        says.storage,
    ),
    # words
    Row("sparse.encoder", when.sparse, take.encoder, says.hybrid, offers.encoders),
    Row("sparse.model", when.sparse_by("fastembed"), NOTHING, says.hybrid),
    Row("sparse.path", when.sparse_by("fastembed"), NOTHING, says.hybrid),
    Row("sparse.language", when.speaks, take.language, says.hybrid, offers.languages),
    # the new model
    Row("model.provider", when.model_wanted, NOTHING, says.model, offers.providers),
    Row(
        "model.kind",
        when.both(when.model_given, when.avoids("side-by-side")),
        _plainly("dense"),
        says.model,
        offers.kinds,
    ),
    Row("model.name", when.model_given, NOTHING, says.model),
    Row("model.dimension", when.model_by("qdrant"), NOTHING, says.server_inference),
    Row("model.path", when.model_by("fastembed"), NOTHING, says.model),
    Row("model.url", when.both(when.model_over_http, when.model_by("openai")), NOTHING, says.model),
    Row("model.api_key_env", when.model_over_http, NOTHING, says.model),
    Row("model.price_per_million_tokens", when.model_over_http, NOTHING, says.model),
    Row("model.document_prefix", when.may_need_prefix, take.document_prefix, says.prefix),
    Row("model.query_prefix", when.may_need_prefix, take.query_prefix, says.prefix),
    # the old model and the text
    Row("old_model.provider", when.old_matters, NOTHING, says.old_model),
    Row("old_model.name", when.old_given, NOTHING, says.old_model),
    Row("old_model.path", when.old_by("fastembed"), NOTHING, says.old_model),
    Row("old_model.url", when.both(when.old_over_http, when.old_by("openai")), NOTHING, says.old_model),
    Row("old_model.api_key_env", when.old_over_http, NOTHING, says.old_model),
    Row("text.template", when.reads_text, take.text, says.text, offers.texts),
    Row("map.anchors", when.avoids("linear-map"), take.anchors, says.bridge),
    Row("map.method", when.avoids("linear-map"), take.map_method, says.bridge),
    Row("sparse.average_length", when.weighs_length, take.average_length, says.hybrid),
    # where, and under which names
    Row("route", when.two_modes, take.mode, says.route, offers.modes),
    Row("vector.name", when.makes_dense, take.new_vector, says.vectors),
    Row("sparse.name", when.sparse_vector, take.sparse_name, says.vectors),
    Row("vector.distance", when.odd_length, take.distance, says.length, offers.distances),
    Row("vector.on_disk", when.tight_memory, take.on_disk, says.memory),
    Row("vector.reserve", when.cannot_add_later, NOTHING, says.both),
    Row("vector.reserve_dimension", when.reserves, NOTHING, says.both),
    Row("vector.carried_name", when.carried_unnamed, take.carried_name, says.vectors),
    Row("target.same_name", when.may_take_name, _plainly(False), says.names),
    Row("target.collection", when.in_mode("blue-green"), take.target, says.names),
    Row("alias.name", when.needs_alias, take.alias, says.names),
    # the run
    Row("writers", when.serves, _plainly("unknown"), says.writers),
    Row("limits.batch", when.writes, take.batch, says.limits),
    Row("limits.streams", when.writes, _plainly(STREAMS), says.limits),
    Row("limits.rate", when.writes, NOTHING, says.limits),
    Row("limits.thorough", when.carries, _plainly(False), says.limits),
    Row("limits.spend", when.model_priced, NOTHING, says.money),
    Row("queries.file", when.old_matters, NOTHING, says.queries),
    Row("queries.title_field", when.without_queries, NOTHING, says.queries),
    Row("cutover", when.writes, _plainly("manual"), says.cutover),
    Row("rollback.window", when.goes_back, _plainly("0"), says.way_back),
)


def view(survey: Survey, answers: Answers, probes: Probes) -> tuple[Asked, ...]:
    """Every question that matters now, in the order of asking. A later answer follows from the earlier ones."""
    asked = []
    for row in TREE:
        question = by_id(row.id)
        if question is None or not row.when(survey, answers, probes):
            continue
        plain = tuple(AskedChoice(choice=choice) for choice in question.choices)
        choices = row.choices(survey, answers, question) if row.choices else plain
        if any(not one.choice.value for one in choices) and question.kind == "choice":
            question = msgspec.structs.replace(question, optional=True)
        asked.append(
            Asked(
                question=question,
                choices=choices,
                evidence=row.evidence(survey, answers, probes),
                charts=drawn(trials_of(row.id), probes),
                proposal=row.proposal(survey, answers, probes),
                value=given(answers, row.id),
            )
        )
    return tuple(asked)


def lines_for(question: str, survey: Survey, answers: Answers, probes: Probes) -> tuple[str, ...]:
    """What the cluster says for one question under these answers, a line each."""
    row = next((row for row in TREE if row.id == question), None)
    return row.evidence(survey, answers, probes) if row is not None else ()


def propose(survey: Survey, answers: Answers, probes: Probes) -> Answers:
    """The answers with the proposals filled in; a question without an answer or a proposal stays open.

    Nothing is proposed for a model: which one to use is the person's decision.
    """
    if answers.collection is None:
        answers = msgspec.structs.replace(answers, collection=survey.asked)
    for row in TREE:
        if row.id.startswith(("model.", "old_model.")) or not row.when(survey, answers, probes):
            continue
        if given(answers, row.id) is None:
            proposal = row.proposal(survey, answers, probes)
            if proposal is not None:
                answers = set_answer(answers, row.id, _as_text(proposal))
    return answers


def given(answers: Answers, question: str) -> Any:
    """The answer to that question, or None."""
    if question == "text.template":
        return answers.text.as_template
    return value_of(answers, question)


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
