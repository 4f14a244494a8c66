"""When a question matters: named conditions over survey, answers and probes."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from changeover.checks import way
from changeover.checks.capacity import memory_headroom
from changeover.checks.model import Probes
from changeover.checks.new_model import not_normalised
from changeover.checks.prefixes import BY_PURPOSE
from changeover.cluster.capabilities import supports
from changeover.decision.answers import Answers
from changeover.decision.route import MODES, choose, mode_closed, only_configures, wanted
from changeover.plan.model import Mode
from changeover.routes.job import name_in_use, server_version, unnamed_shape
from changeover.survey.model import Survey

When = Callable[[Survey, Answers, Probes], bool]

BM25_MODELS = ("bm25", "bm42")


def always(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """In every case."""
    return True


def both(*conditions: When) -> When:
    """All of them."""
    return lambda survey, answers, probes: all(condition(survey, answers, probes) for condition in conditions)


def avoids(*kinds: str) -> When:
    """Re-embedding is avoided in one of these ways."""
    return lambda survey, answers, probes: wanted(answers) in kinds


def dense(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """There is a stored dense vector of the answered name."""
    return way.old(survey, answers) is not None


def not_avoided(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """Re-embedding is not avoided, or nothing was said about it."""
    return answers.avoid in (None, "none") and wanted(answers) not in ("dimensions", "quantization", "linear-map")


def writes(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """Points are written."""
    return not only_configures(wanted(answers), answers)


def goes_back(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """A run can bring the old side back after the cutover: there is one, and something was replaced."""
    kept = wanted(answers) == "hybrid" and answers.model is None
    gives_name = answers.target.same_name is True and answers.zero_downtime is False
    return writes(survey, answers, probes) and answers.cutover != "never" and not kept and not gives_name


def serves(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """The application goes on while points are written."""
    return writes(survey, answers, probes) and answers.zero_downtime is not False


def sparse(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """Words are to be searched too."""
    return wanted(answers) == "hybrid"


def sparse_vector(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """A sparse vector is made."""
    return sparse(survey, answers, probes) and answers.sparse.encoder != "text-index"


def sparse_by(encoder: str) -> When:
    """That encoder makes it."""
    return lambda survey, answers, probes: sparse(survey, answers, probes) and answers.sparse.encoder == encoder


def speaks(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """The sparse side depends on a language: BM25, of whatever make, and the text index."""
    by_name = (answers.sparse.model or "").lower()
    lexical = answers.sparse.encoder != "fastembed" or any(name in by_name for name in BM25_MODELS)
    return sparse(survey, answers, probes) and lexical


def weighs_length(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """The encoder weighs terms by the length of their text."""
    return speaks(survey, answers, probes) and answers.sparse.encoder != "text-index"


def model_wanted(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """A new dense model comes in; with a move to hybrid it may."""
    return way.uses_model(answers) or (sparse(survey, answers, probes) and writes(survey, answers, probes))


def model_given(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """A provider was chosen, or has to be."""
    return way.uses_model(answers) or (sparse(survey, answers, probes) and answers.model is not None)


def model_by(*providers: str) -> When:
    """The new model is of one of these providers; fastembed while none is chosen."""
    return lambda survey, answers, probes: (
        model_given(survey, answers, probes) and (answers.model.provider if answers.model else "fastembed") in providers
    )


def model_over_http(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """The new model is asked over the network."""
    return (
        model_given(survey, answers, probes)
        and answers.model is not None
        and answers.model.provider not in ("fastembed", "sandbox", "qdrant")
    )


def model_priced(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """A price per token was given."""
    return way.uses_model(answers) and answers.model is not None and bool(answers.model.price_per_million_tokens)


def may_need_prefix(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """Nobody else puts words in front of a text for this model."""
    model = answers.model
    given = model is not None and model.provider not in BY_PURPOSE and model.kind == "dense"
    return given and model_given(survey, answers, probes)


def old_matters(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """The old model can prove or measure something."""
    return wanted(answers) != "quantization"


def old_by(*providers: str) -> When:
    """The old model is of one of these providers."""
    return lambda survey, answers, probes: (
        old_matters(survey, answers, probes)
        and answers.old_model is not None
        and answers.old_model.provider in providers
    )


def old_given(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """There is an old model to ask about."""
    return old_matters(survey, answers, probes) and answers.old_model is not None


def old_over_http(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """The old model is asked over the network."""
    return (
        old_matters(survey, answers, probes)
        and answers.old_model is not None
        and answers.old_model.provider not in ("fastembed", "sandbox")
    )


def reads_text(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """Texts are read from the payload."""
    return way.reads_text(answers)


def several_dense(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """There is more than one dense vector to start from."""
    return sum(vector.kind == "dense" for vector in survey.vectors) > 1


def makes_dense(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """A new dense vector, or multivector, is made."""
    return way.embeds(answers) or wanted(answers) in ("dimensions", "linear-map")


def odd_length(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """The new model's vectors are not of length 1, and the distance would count that."""
    if not way.embeds(answers) or not dense(survey, answers, probes):
        return False
    return answers.vector.distance is not None or not_normalised(survey, bare(answers, "distance"), probes) is not None


def tight_memory(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """Memory is short, or the new vectors are large."""
    if not makes_dense(survey, answers, probes) or not dense(survey, answers, probes):
        return False
    if answers.vector.on_disk is not None or way.multi(answers):
        return True
    finding = memory_headroom(survey, answers, probes)
    return finding is not None and finding.severity != "info"


def in_mode(mode: Mode) -> When:
    """It is carried out in this way."""
    return lambda survey, answers, probes: writes(survey, answers, probes) and choose(survey, answers).mode == mode


def carries(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """Other vectors are copied into a new collection while the application writes."""
    return (
        len(survey.vectors) > 1 and serves(survey, answers, probes) and in_mode("blue-green")(survey, answers, probes)
    )


def two_modes(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """There is a way to choose, or none is open and the reasons are to be seen."""
    return writes(survey, answers, probes)


def carried_unnamed(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """An unnamed vector comes into a collection with another dense one."""
    stays = wanted(answers) == "side-by-side" or bool(answers.vector.reserve)
    return unnamed_shape(survey) and stays and in_mode("blue-green")(survey, answers, probes)


def cannot_add_later(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """This server cannot add vectors, and a new collection is made."""
    older = not supports("add_vector", server_version(survey))
    return older and in_mode("blue-green")(survey, answers, probes)


def reserves(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """A name is reserved."""
    return bool(answers.vector.reserve) and cannot_add_later(survey, answers, probes)


def may_take_name(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """The application may stop, and uses the plain name of the collection."""
    return (
        answers.zero_downtime is False
        and writes(survey, answers, probes)
        and name_in_use(survey, answers) == survey.collection
        and not mode_closed("blue-green", survey, answers)
    )


def needs_alias(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """An alias has to be named: the application uses the plain name."""
    plain = answers.alias.name is not None or name_in_use(survey, answers) == survey.collection
    return plain and answers.target.same_name is not True and in_mode("blue-green")(survey, answers, probes)


def binary(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """Binary quantization is asked for."""
    asked = wanted(answers) == "quantization" and (answers.quantization.kind or "").startswith("binary")
    return asked and dense(survey, answers, probes)


def quantized(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """Some quantization is asked for."""
    return wanted(answers) == "quantization" and answers.quantization.kind not in (None, "none")


def without_queries(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """No file of queries was given, and they could decide something."""
    return old_matters(survey, answers, probes) and not answers.queries.file


def bare(answers: Answers, part: str) -> Answers:
    """The answers without that answer about the vector."""
    return msgspec.structs.replace(answers, vector=msgspec.structs.replace(answers.vector, **{part: None}))


def modes_open(survey: Survey, answers: Answers) -> tuple[Mode, ...]:
    """The ways that are open."""
    return tuple(mode for mode in MODES if not mode_closed(mode, survey, answers))
