"""What Enter takes: proposals from the survey and the trials; None where only the person can say."""

from __future__ import annotations

from changeover.checks import way
from changeover.checks.model import Probes
from changeover.checks.prefixes import family_of
from changeover.cluster.capabilities import supports
from changeover.decision.answers import Answers
from changeover.decision.route import choose, wanted
from changeover.decision.when import bare
from changeover.errors import ChangeoverError
from changeover.plan.model import Mode
from changeover.quality.reduction import reduction_closed
from changeover.routes import job, made, names
from changeover.survey.model import Survey

ANCHORS = 2_000
FEW_ANCHORS = 1_000
"""Below it a rotation is steadier than ridge (facts: as good at 500)."""
LEAST_RECALL = 0.9


def text(survey: Survey, answers: Answers, probes: Probes) -> str | None:
    """The proven or likeliest text."""
    return answers.text.as_template or survey.text.template


def source(survey: Survey, answers: Answers, probes: Probes) -> str | None:
    """The dense vector that is there."""
    try:
        return job.source_vector(survey, answers).name
    except ChangeoverError:
        return None


def mode(survey: Survey, answers: Answers, probes: Probes) -> Mode | None:
    """Where it is done."""
    from changeover.decision.route import proposed

    return proposed(survey, answers)


def document_prefix(survey: Survey, answers: Answers, probes: Probes) -> str | None:
    """What the model's family asks for in front of a text."""
    family = family_of(answers.model) if answers.model is not None else None
    return family.document or None if family is not None else None


def query_prefix(survey: Survey, answers: Answers, probes: Probes) -> str | None:
    """What the model's family asks for in front of a query."""
    family = family_of(answers.model) if answers.model is not None else None
    return family.query or None if family is not None else None


def encoder(survey: Survey, answers: Answers, probes: Probes) -> str:
    """The server's own BM25 where it has one: documents and queries then cannot differ."""
    return "server-bm25" if supports("server_bm25", job.server_version(survey)) else "local-bm25"


def language(survey: Survey, answers: Answers, probes: Probes) -> str:
    """What the trial took the texts for, else English."""
    trial = probes.hybrid
    return (trial.guessed_language if trial is not None and trial.guessed_language else None) or "english"


def average_length(survey: Survey, answers: Answers, probes: Probes) -> float | None:
    """As measured on the sample."""
    trial = probes.hybrid
    return round(trial.average_length, 1) or None if trial is not None and not trial.error else None


def sparse_name(survey: Survey, answers: Answers, probes: Probes) -> str | None:
    """A free name."""
    taken = {vector.name for vector in survey.vectors}
    return names.vector_name(answers.sparse.model or "bm25", taken)


def size(survey: Survey, answers: Answers, probes: Probes) -> int | None:
    """Half of the numbers."""
    try:
        return (job.source_vector(survey, answers).size or 0) // 2 or None
    except ChangeoverError:
        return None


def reduction(survey: Survey, answers: Answers, probes: Probes) -> str:
    """What kept most in the trial (of the queries' quality, else of the neighbours); leading for a Matryoshka model."""
    distance = job.source_vector(survey, answers).distance
    if reduction_closed("pca", distance):
        return "leading"
    trial, wanted_size = probes.dimensions, answers.target.dimension or size(survey, answers, probes)
    cuts = [cut for cut in (trial.cuts if trial is not None else ()) if cut.size == wanted_size]
    best = {cut.method: cut.ndcg_kept if cut.ndcg_kept is not None else cut.overlap for cut in cuts}
    if not best or "pca" not in best:
        return "leading"
    if trial is not None and trial.matryoshka and best["pca"] - best.get("leading", 0.0) < 0.02:
        return "leading"
    return "pca" if best["pca"] > best.get("leading", 0.0) else "leading"


def quantization(survey: Survey, answers: Answers, probes: Probes) -> str:
    """Scalar, or none where that is what there is already."""
    from changeover.quality import storage

    present = storage.kind_of(storage.present(survey, job.source_vector(survey, answers)))
    return "none" if present == "scalar" else "scalar"


def anchors(survey: Survey, answers: Answers, probes: Probes) -> int:
    """As many as are worth it; two thirds of a small collection."""
    return max(50, min(ANCHORS, 2 * survey.size.points // 3))


def map_method(survey: Survey, answers: Answers, probes: Probes) -> str:
    """Ridge, or a rotation for few pairs."""
    return "ridge" if (answers.map.anchors or anchors(survey, answers, probes)) >= FEW_ANCHORS else "procrustes"


def new_vector(survey: Survey, answers: Answers, probes: Probes) -> str | None:
    """The name that the plan would take; None while it depends on what is not known yet."""
    without = bare(answers, "name")
    chosen = choose(survey, answers)
    if way.uses_model(answers) and (answers.model is None or not (answers.model.name or answers.model.path)):
        return None
    if chosen.route is None or chosen.mode is None:
        return None
    try:
        if wanted(answers) == "linear-map":
            size = made.dimension_of(answers, probes)
            like = f"{(answers.model.name if answers.model else 'new').rpartition('/')[2]}-bridge"
            return job.new_vector_name(survey, without, chosen.mode, size, like)
        found = made.of_route(survey, without, probes, chosen.route, chosen.mode)
    except ChangeoverError:
        # Blue-green takes the old name when the size changes, so there it waits for the measured size.
        if chosen.mode == "in-place" and answers.model is not None:
            taken = {vector.name for vector in survey.vectors}
            return names.vector_name(answers.model.name or answers.model.path or "new", taken)
        return None
    return next((make.vector for make in found if make.vector and not hasattr(make, "encoder")), None)


def distance(survey: Survey, answers: Answers, probes: Probes) -> str | None:
    """As before."""
    return job.source_vector(survey, answers).distance


def on_disk(survey: Survey, answers: Answers, probes: Probes) -> bool:
    """As before; token vectors are large and go on disk."""
    return way.multi(answers) or bool(job.source_vector(survey, answers).on_disk)


def carried_name(survey: Survey, answers: Answers, probes: Probes) -> str | None:
    """The old model's name."""
    try:
        return job.carried_name(survey, bare(answers, "carried_name"))
    except ChangeoverError:
        return None


def target(survey: Survey, answers: Answers, probes: Probes) -> str:
    """The next version of the name."""
    return names.collection_name(survey.collection, job.taken_names(survey))


def alias(survey: Survey, answers: Answers, probes: Probes) -> str:
    """The alias that is there, or a free name."""
    if survey.aliases:
        return survey.aliases[0].name
    return names.alias_name(survey.collection, job.taken_names(survey))


def batch(survey: Survey, answers: Answers, probes: Probes) -> int:
    """Points per request for vectors of this size."""
    numbers = way.numbers(answers, probes)
    return job.batch_of(survey, answers, numbers) if numbers else min([job.BATCH, *job.strict_batches(survey)])
