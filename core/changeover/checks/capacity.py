"""Room and limits: memory, disk, strict mode, request size."""

from __future__ import annotations

from changeover.checks.base import Check
from changeover.checks.model import Finding, Probes
from changeover.decision.answers import Answers
from changeover.decision.route import choose
from changeover.plan.estimate import Added, added
from changeover.plan.model import Mode
from changeover.routes.job import (
    BYTES_PER_NUMBER,
    batch_of,
    source_vector,
    stays_on_disk,
    strict_batches,
    usual_batch,
)
from changeover.survey.describe import in_bytes
from changeover.survey.model import Survey
from changeover.words import duration

REQUEST_LIMIT = 32 * 1024 * 1024
"""Of a REST body, the server's default (recorded)."""
DAY = 86_400.0
HUGE = 400 * 10**9
SMALL = 25 * 10**6
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
    mode: Mode = "blue-green" if choose(survey, answers).mode == "blue-green" else "in-place"
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
    least = min(strict_batches(survey), default=None)
    wanted = answers.limits.batch or usual_batch(_dimension(answers, probes))
    if wanted == least:  # the proposal, which keeps within the limit, or somebody who knew it
        wanted = usual_batch(_dimension(answers, probes))
    if least is None or least >= wanted:
        return None
    return Finding(
        code="strict-mode-batch",
        severity="info",
        title="strict mode limits the size of a request",
        measured=f"{least} points per request instead of {wanted}",
        limit=str(least),
        consequence=f"the load uses {least} points per request, and so takes longer",
        remedy="raise the limit for the migration, or accept the longer load",
        source="recorded answer: Limit exceeded",
    )


def strict_mode_size(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The new vectors would go beyond the bytes that strict mode allows a collection."""
    cap, dimension = survey.strict.get("max_collection_vector_size_bytes"), _dimension(answers, probes)
    if not cap or dimension is None or not any(vector.kind == "dense" for vector in survey.vectors):
        return None
    points, old = survey.size.points, source_vector(survey, answers)
    blue_green = choose(survey, answers).mode == "blue-green"
    after = survey.size.vector_bytes + 4 * points * (dimension - (old.size or 0 if blue_green else 0))
    if after <= int(cap):
        return None
    return Finding(
        code="strict-mode-size",
        severity="blocker",
        title="strict mode allows the collection fewer bytes of vectors",
        measured=f"{in_bytes(after)} with the new vectors",
        limit=in_bytes(int(cap)),
        consequence="from there on every write is refused, the application's too",
        remedy="raise max_collection_vector_size_bytes before the run",
        source="recorded answer: Max vector storage size limit reached; checked on update_vectors too",
    )


def days_not_hours(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The load takes longer than a day, by the model's speed or by the size of the collection."""
    probe, size = probes.new_model, survey.size
    rate = probe.texts_per_s if probe and not probe.error and probe.texts_per_s else None
    seconds = size.points / min(rate, answers.limits.rate or rate) if rate else 0.0
    stored = size.vector_bytes + size.payload_bytes
    if seconds < DAY and stored < HUGE:
        return None
    return Finding(
        code="days-not-hours",
        severity="warning",
        title="this takes days, not hours",
        measured=(
            f"{duration(seconds)} for {size.points:,} points at the speed of the model"
            if seconds >= DAY
            else f"{in_bytes(stored)} stored"
        ),
        limit="a day" if seconds >= DAY else in_bytes(HUGE),
        consequence="the run goes on without a terminal and can be paused, but restarts and upgrades fall into it",
        remedy="take a faster model, a GPU or an endpoint with more throughput, or plan the days",
        source="probe" if seconds >= DAY else "size; experience of Qdrant's own guide",
    )


def reindex_from_source(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The collection is so small that writing it anew from its source is quicker."""
    stored = survey.size.vector_bytes + survey.size.payload_bytes
    if survey.size.points == 0 or stored >= SMALL:
        return None
    return Finding(
        code="reindex-from-source-is-faster",
        severity="info",
        title="a collection this small may be indexed anew from its source",
        measured=f"{in_bytes(stored)} stored",
        limit=in_bytes(SMALL),
        consequence="where the source is at hand and a gap does not hurt, that is less work than a migration",
        remedy="nothing to do; the migration works all the same, without a gap",
        source="Qdrant's own guide: under 25 MB",
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
        )
        + ("; the new collection is made with the same limit" if choose(survey, answers).mode == "blue-green" else ""),
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
        explain=(
            "Strict mode can cap points per upsert (upsert_max_batchsize) and per scroll (max_query_limit); more is\n"
            "answered 400. The load keeps within both caps by itself, which costs time; raising them is optional."
        ),
    ),
    Check(
        code="strict-mode-size",
        looks_at="strict mode leaves room for the new vectors",
        run=strict_mode_size,
        explain=(
            "Strict mode can cap the bytes of a collection's vectors (max_collection_vector_size_bytes). In place the new\n"
            "vectors come on top of the old ones; blue-green clones the cap for the new collection. Beyond it every write is\n"
            "answered 400, the application's too, so the cap has to be raised before the run."
        ),
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
        code="days-not-hours",
        looks_at="the load ends within a day",
        run=days_not_hours,
        explain=(
            "Embedding is nearly always the slowest part: points divided by the model's texts per second. From 400 GB on\n"
            "moving the data alone takes days. The engine outlives the terminal, can be paused and resumed, and keeps what\n"
            "it did, but a week with restarts and upgrades in it has to be planned."
        ),
    ),
    Check(
        code="reindex-from-source-is-faster",
        looks_at="the collection is large enough for a migration",
        run=reindex_from_source,
        explain=(
            "Under 25 MB, writing the collection anew from its source takes minutes and needs no tool. It is still a\n"
            "migration for the application: the query model changes, and searches see a gap unless a new name is used."
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
