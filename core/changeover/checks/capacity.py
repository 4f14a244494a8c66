"""Room and limits: memory, disk, strict mode, request size."""

from __future__ import annotations

from changeover.checks.base import Check
from changeover.checks.model import Finding, Probes
from changeover.decision.answers import Answers
from changeover.decision.route import choose
from changeover.plan.estimate import Added, added
from changeover.plan.model import Mode
from changeover.routes.job import BYTES_PER_NUMBER, batch_of, source_vector, stays_on_disk
from changeover.survey.describe import in_bytes
from changeover.survey.model import Survey

REQUEST_LIMIT = 32 * 1024 * 1024
"""Of a REST body, the server's default (recorded)."""
HIGH = 0.85
"""Share of the machine's memory from which it is tight."""


def _dimension(answers: Answers, probes: Probes) -> int | None:
    if probes.new_model and probes.new_model.dimension:
        return probes.new_model.dimension
    return answers.model.dimension if answers.model else None


def _need(survey: Survey, answers: Answers, probes: Probes) -> Added | None:
    """Bytes that the migration adds, or None while the dimension is not known or there is nothing to replace."""
    dimension = _dimension(answers, probes)
    if dimension is None or not any(vector.kind == "dense" for vector in survey.vectors):
        return None
    mode: Mode = "blue-green" if choose(survey, answers).route == "blue-green" else "in-place"
    return added(survey, source_vector(survey, answers), dimension, mode, stays_on_disk(survey, answers, mode))


def memory_headroom(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The new vectors may not fit into memory, or the server does not tell."""
    adds, size = _need(survey, answers, probes), survey.size
    if adds is None:
        return None
    need = adds.memory
    if size.memory_total_bytes is None:
        return Finding(
            code="memory-headroom",
            severity="info",
            title="whether the new vectors fit into memory is not known",
            measured=f"about {in_bytes(need)} more; the server does not tell its memory",
            remedy="compare with the memory of your nodes, or answer vector.on_disk = true",
            source="telemetry",
        )
    used = size.memory_resident_bytes or 0
    after = (used + need) / size.memory_total_bytes
    if after <= HIGH:
        return None
    return Finding(
        code="memory-headroom",
        severity="blocker" if after > 1 else "warning",
        title="the new vectors do not fit into memory with room to spare",
        measured=f"{in_bytes(used)} used + {in_bytes(need)} = {after:.0%} of {in_bytes(size.memory_total_bytes)}",
        limit=f"{HIGH:.0%}",
        consequence="a server out of memory is killed and restarts in the middle of the load",
        remedy="answer vector.on_disk = true, add memory, or take a smaller model",
        source="telemetry, computed",
    )


def disk_headroom(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The disk may not hold old and new side by side, or the server does not tell."""
    adds, size = _need(survey, answers, probes), survey.size
    if adds is None:
        return None
    need = adds.disk
    if size.disk_free_bytes is None:
        return Finding(
            code="disk-headroom",
            severity="info",
            title="whether the disk has room is not known",
            measured=f"up to {in_bytes(need)} for a while; the server does not tell its free disk",
            consequence="a full disk stops every write of the collection",
            remedy="compare with the free disk of your nodes",
            source="computed: segments are rewritten beside the old ones",
        )
    if need < size.disk_free_bytes * HIGH:
        return None
    return Finding(
        code="disk-headroom",
        severity="blocker" if need > size.disk_free_bytes else "warning",
        title="the disk has too little room",
        measured=f"up to {in_bytes(need)} needed, {in_bytes(size.disk_free_bytes)} free",
        limit=f"{HIGH:.0%} of what is free",
        consequence="a full disk stops every write of the collection",
        remedy="add disk before you start",
        source="computed: segments are rewritten beside the old ones",
    )


def strict_mode_batch(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """Strict mode allows fewer points per request than asked for."""
    limits = [survey.strict.get(key) for key in ("upsert_max_batchsize", "max_query_limit")]
    least = min((int(limit) for limit in limits if limit), default=None)
    wanted = answers.limits.batch or 256
    if least is None or least >= wanted:
        return None
    return Finding(
        code="strict-mode-batch",
        severity="info",
        title="strict mode limits the size of a request",
        measured=f"{least} points per request, {wanted} asked for",
        limit=str(least),
        consequence=f"the load uses {least} points per request, and so takes longer",
        remedy="raise the limit for the migration, or accept the longer load",
        source="recorded answer: Limit exceeded",
    )


def rate_limit(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """Strict mode limits writes per minute."""
    limit = survey.strict.get("write_rate_limit")
    if not limit:
        return None
    minutes = survey.size.points / int(limit)
    batch = answers.limits.batch or 256
    return Finding(
        code="rate-limit",
        severity="warning",
        title="strict mode limits how many points may be written per minute",
        measured=f"{limit} a minute: at least {minutes:,.0f} minutes for {survey.size.points:,} points",
        limit=f"{limit} points a minute and replica",
        consequence=(
            "a request larger than the limit is refused for good and is split"
            if batch > int(limit)
            else "the load waits when the server says so; the application shares the limit"
        ),
        remedy="raise write_rate_limit for the migration, or give limits.rate a value below it",
        source="recorded answer: 429 with Retry-After; the cost of a write is its number of points",
    )


def request_too_large(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The asked-for batch does not fit into one request."""
    dimension = _dimension(answers, probes)
    if dimension is None:
        return None
    body = batch_of(survey, answers, dimension) * dimension * BYTES_PER_NUMBER
    if body <= REQUEST_LIMIT:
        return None
    fits = REQUEST_LIMIT // (dimension * BYTES_PER_NUMBER)
    return Finding(
        code="request-too-large",
        severity="warning",
        title="a request of this many points is larger than the server takes",
        measured=f"about {in_bytes(body)} in JSON",
        limit="33.6 MB (32 MiB) by default",
        consequence="the server refuses it with 400 and it is split, again and again",
        remedy=f"answer limits.batch with {fits} or less",
        source="recorded answer: JSON payload is larger than allowed; 20 bytes per number in JSON",
    )


CHECKS = (
    Check(
        code="memory-headroom",
        looks_at="the new vectors fit into memory",
        run=memory_headroom,
        explain=(
            "Old and new vectors are there at the same time until the old ones are dropped: points x dimensions x 4 bytes,\n"
            "and half as much again for the index. Where telemetry tells the machine's memory it is compared with that."
        ),
    ),
    Check(
        code="disk-headroom",
        looks_at="the disk has room for both sides",
        run=disk_headroom,
        explain=(
            "An optimization writes a new segment beside the old one, so for a while about twice the new data is on disk.\n"
            "Qdrant tells its free disk on few versions; where it does not, the need is shown for you to compare."
        ),
    ),
    Check(
        code="strict-mode-batch",
        looks_at="strict mode allows the batch size",
        run=strict_mode_batch,
        explain="Strict mode can cap points per upsert and per scroll. The load keeps within both caps by itself.",
    ),
    Check(
        code="rate-limit",
        looks_at="no write rate limit is set",
        run=rate_limit,
        explain=(
            "A write costs as many tokens as it has points. When they are used up the server answers 429 and says when to\n"
            "come back; the engine waits that long. The application's own writes use the same tokens."
        ),
    ),
    Check(
        code="request-too-large",
        looks_at="a request stays below 32 MiB",
        run=request_too_large,
        explain=(
            "A REST body may be 32 MiB by default, and a float32 takes about 20 bytes in JSON. A larger request is answered\n"
            "400; the engine halves it and remembers, but a smaller batch from the start is quicker."
        ),
    ),
)
