"""What each route makes: from survey, answers and probes to the `makes` of a job."""

from __future__ import annotations

from changeover.checks.model import Probes
from changeover.cluster.capabilities import supports
from changeover.decision.answers import Answers, RouteName
from changeover.embed.model import SparseSpec
from changeover.errors import BlockedError, UsageError
from changeover.plan.estimate import TOKENS
from changeover.plan.model import FromTerms, FromText, FromVector, Make, Mode
from changeover.survey.model import Survey

ANCHORS = 5_000


def of_route(survey: Survey, answers: Answers, probes: Probes, route: RouteName, mode: Mode) -> tuple[Make, ...]:
    """The new vectors; () where only configuration changes. Raises BlockedError or UsageError for what is missing."""
    if route == "quantization":
        return ()
    if route == "dimensions":
        return (_cut(survey, answers, mode),)
    if route == "linear-map":
        return (_mapped(survey, answers, probes, mode),)
    if route == "hybrid":
        sparse = () if answers.sparse.encoder == "text-index" else (_terms(survey, answers, probes),)
        return (_embedded(survey, answers, probes, route, mode), *sparse) if answers.model else sparse
    return (_embedded(survey, answers, probes, route, mode),)


def maps(make: Make) -> bool:
    """Whether it approximates another model's vectors."""
    return isinstance(make, FromVector) and make.maps


def numbers(makes: tuple[Make, ...]) -> int:
    """Numbers that one point's new vectors have, for the size of a request."""
    return sum(
        make.dimension * (TOKENS if isinstance(make, FromText) and make.multi else 1)
        for make in makes
        if isinstance(make, FromText | FromVector)
    )


def dimension_of(answers: Answers, probes: Probes) -> int:
    """The new model's dimension, measured or declared; raises BlockedError when it is not known."""
    if answers.model is None:
        raise BlockedError("no new model was chosen; answer model.provider and model.name")
    measured = probes.new_model.dimension if probes.new_model and probes.new_model.dimension else None
    dimension = measured or answers.model.dimension
    if not dimension:
        problem = probes.new_model.error if probes.new_model else "it was not asked"
        raise BlockedError(f"the new model's dimension is not known: {problem}; mend it or give model.dimension")
    return dimension


def sparse_spec(survey: Survey, answers: Answers, probes: Probes) -> SparseSpec:
    """The encoder of the sparse side, with the average length that was measured where nobody gave one."""
    from changeover.routes.job import server_version

    given = answers.sparse
    usual = "server-bm25" if supports("server_bm25", server_version(survey)) else "local-bm25"
    measured = probes.hybrid.average_length if probes.hybrid and not probes.hybrid.error else None
    return SparseSpec(
        encoder=given.encoder or usual,  # type: ignore[arg-type]
        model=given.model or "",
        path=given.path,
        language=given.language or "english",
        average_length=given.average_length or measured or None,
    )


def sparse_name(survey: Survey, answers: Answers) -> str:
    """The name of the sparse vector: as answered, else `bm25` or the model's; raises UsageError for one that is taken."""
    from changeover.routes import names

    taken = {vector.name for vector in survey.vectors}
    wanted = answers.sparse.name
    if wanted is None:
        return names.vector_name(answers.sparse.model or "bm25", taken)
    if reason := names.illegal(wanted) or ("a vector of this name exists" if wanted in taken else ""):
        raise UsageError(f"sparse.name {wanted!r}: {reason}; give another name")
    return wanted


def _embedded(survey: Survey, answers: Answers, probes: Probes, route: RouteName, mode: Mode) -> FromText:
    from changeover.routes.job import new_vector_name

    dimension = dimension_of(answers, probes)
    assert answers.model is not None
    name = new_vector_name(
        survey,
        answers,
        mode,
        dimension,
        answers.model.name or answers.model.path or "new",
        keeps_old=route == "side-by-side",
    )
    return FromText(vector=name, dimension=dimension, multi=answers.model.kind == "late-interaction")


def _terms(survey: Survey, answers: Answers, probes: Probes) -> FromTerms:
    return FromTerms(vector=sparse_name(survey, answers), encoder=sparse_spec(survey, answers, probes))


def _cut(survey: Survey, answers: Answers, mode: Mode) -> FromVector:
    from changeover.routes.job import new_vector_name, source_vector

    old, size = source_vector(survey, answers), answers.target.dimension
    if size is None:
        raise BlockedError("how many dimensions are kept is not answered; give target.dimension")
    if size >= (old.size or 0):
        raise UsageError(f"target.dimension {size}: the stored vectors have {old.size} numbers; give fewer")
    like = f"{old.name or survey.collection}-{size}"
    return FromVector(
        vector=new_vector_name(survey, answers, mode, size, like),
        source=old.name,
        dimension=size,
        distance=old.distance or "Cosine",
        method=answers.target.reduction or "leading",
    )


def _mapped(survey: Survey, answers: Answers, probes: Probes, mode: Mode) -> FromVector:
    from changeover.routes.job import new_vector_name, source_vector

    old, size = source_vector(survey, answers), dimension_of(answers, probes)
    if not (answers.queries.file or answers.queries.title_field) or answers.old_model is None:
        raise BlockedError(
            "a map is never run without being measured: answer old_model.* and queries.file (or queries.title_field)"
        )
    assert answers.model is not None
    like = f"{(answers.model.name or 'new').rpartition('/')[2]}-bridge"
    return FromVector(
        vector=new_vector_name(survey, answers, mode, size, like),
        source=old.name,
        dimension=size,
        distance=answers.vector.distance or old.distance or "Cosine",
        source_distance=old.distance or "",
        method=answers.map.method or "ridge",
    )
