"""What makes a slow load quicker: one row a lever, when it applies here, and what it changes."""

from __future__ import annotations

from collections.abc import Callable

from changeover.checks import way
from changeover.checks.model import Probes
from changeover.cluster.capabilities import supports
from changeover.decision.answers import Answers
from changeover.plan.estimate import ASSUMED_TEXTS_PER_S, WRITES_PER_S
from changeover.routes.job import STREAMS, server_version
from changeover.survey.describe import in_bytes
from changeover.survey.model import Survey
from changeover.words import duration

SMALL = 25 * 10**6
HUGE = 400 * 10**9
GUARD_COST = 0.2
"""Share of its rate that an in-place load with the guard loses (measured on 1.18.3 and 1.19.0)."""
INDEXING_GAIN = 0.3
"""Share of a load's time, until green, that loading with indexing off saves (measured: 25.5 s to 17.8 s)."""
WITHOUT_VECTORS = 0.5
"""Share of a copy's time that reading stored vectors takes (measured: the larger half)."""

Lever = Callable[[Survey, Answers, Probes], str]


def _rate(answers: Answers, probes: Probes) -> float:
    probe = probes.new_model
    if not way.embeds(answers):
        return WRITES_PER_S
    return probe.texts_per_s if probe and not probe.error and probe.texts_per_s else ASSUMED_TEXTS_PER_S


def _estimate(survey: Survey, answers: Answers, probes: Probes) -> float:
    return survey.size.points / min(_rate(answers, probes), answers.limits.rate or WRITES_PER_S)


def _model(survey: Survey, answers: Answers, probes: Probes) -> str:
    if not way.embeds(answers) or _rate(answers, probes) >= WRITES_PER_S:
        return ""
    rate, seconds = _rate(answers, probes), _estimate(survey, answers, probes)
    return (
        f"the model is the slowest part: {rate:,.0f} texts/s, {duration(seconds)} for all; twice as quick a model, a GPU"
        f" or an endpoint halves it ({duration(seconds / 2)})"
    )


def _inference(survey: Survey, answers: Answers, probes: Probes) -> str:
    if not way.embeds(answers) or (answers.model is not None and answers.model.provider == "qdrant"):
        return ""
    return "Qdrant Cloud inference embeds beside the data: nothing to run here, and the next switch is a configuration"


def _rate_limit(survey: Survey, answers: Answers, probes: Probes) -> str:
    limit = answers.limits.rate
    if limit is None or limit >= _rate(answers, probes):
        return ""
    free = survey.size.points / _rate(answers, probes)
    return f"without limits.rate = {limit:g} the load takes {duration(free)} instead of {duration(survey.size.points / limit)}"


def _batches(survey: Survey, answers: Answers, probes: Probes) -> str:
    batch = answers.limits.batch
    if batch is None or 64 <= batch <= 256:
        return "64 to 256 points a request are best: below, requests cost more than points; above, they are split"
    return f"limits.batch = {batch}: 64 to 256 points a request are quicker"


def _streams(survey: Survey, answers: Answers, probes: Probes) -> str:
    streams = answers.limits.streams or STREAMS
    if 2 <= streams <= 4:
        return ""
    return f"limits.streams = {streams}: 2 to 4 requests at once are enough (measured: 4 write 1.8 times as much as 1)"


def _indexing(survey: Survey, answers: Answers, probes: Probes) -> str:
    if way.mode(survey, answers) != "blue-green":
        return ""
    return (
        f"indexing is off while the new collection is loaded, and restored: about {INDEXING_GAIN:.0%} less time until"
        " green (measured); in place it stays on, for the searches"
    )


def _vectors(survey: Survey, answers: Answers, probes: Probes) -> str:
    if not way.embeds(answers) or not survey.size.vector_bytes:
        return ""
    spared = in_bytes(survey.size.vector_bytes)
    if way.mode(survey, answers) == "in-place" or len(survey.vectors) == 1:
        return f"points are read without their vectors (with_vectors=False): {spared} are not transferred"
    return f"only the vectors that are carried over are read, of {spared}"


def _insert_only(survey: Survey, answers: Answers, probes: Probes) -> str:
    version = server_version(survey)
    if answers.writers != "dual":
        return ""
    if way.mode(survey, answers) == "in-place":
        return f"the guard for your own writes costs about {GUARD_COST:.0%} of the rate (measured)"
    if not supports("update_mode", version):
        return f"insert-only is ignored by {version} (from 1.17 on): do not write both sides during the load"
    return "insert-only mode leaves what your application wrote alone: a load can be repeated without harm"


def _small(survey: Survey, answers: Answers, probes: Probes) -> str:
    stored = survey.size.vector_bytes + survey.size.payload_bytes
    if not survey.size.points or stored >= SMALL:
        return ""
    return f"{in_bytes(stored)} in all: indexing anew from the source is quicker, where a gap does not hurt"


def _huge(survey: Survey, answers: Answers, probes: Probes) -> str:
    stored = survey.size.vector_bytes + survey.size.payload_bytes
    return (
        f"{in_bytes(stored)} in all: expect days; the run survives restarts and can be paused" if stored >= HUGE else ""
    )


LEVERS: tuple[Lever, ...] = (
    _model,
    _inference,
    _rate_limit,
    _batches,
    _streams,
    _vectors,
    _indexing,
    _insert_only,
    _small,
    _huge,
)


def levers(survey: Survey, answers: Answers, probes: Probes) -> tuple[str, ...]:
    """The levers that apply here, a line each; () where no points are written."""
    if not way.writes_points(answers):
        return ()
    return tuple(line for lever in LEVERS if (line := lever(survey, answers, probes)))
