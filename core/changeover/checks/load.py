"""The load: how large its requests may be, how long it takes and what it costs."""

from __future__ import annotations

from changeover.checks import way
from changeover.checks.base import Check
from changeover.checks.model import Finding, Probes
from changeover.decision.answers import Answers
from changeover.decision.route import wanted
from changeover.plan.estimate import CHARS_PER_TOKEN
from changeover.routes.job import BYTES_PER_NUMBER, batch_of, payload_of, strict_batches, usual_batch
from changeover.routes.made import ANCHORS
from changeover.survey.describe import in_bytes
from changeover.survey.model import Survey
from changeover.words import duration

REQUEST_LIMIT = 32 * 1024 * 1024
"""Of a REST body, the server's default (recorded)."""
DAY = 86_400.0
HUGE = 400 * 10**9
SMALL = 25 * 10**6


def strict_mode_batch(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """Strict mode allows fewer points per request than asked for."""
    least = min(strict_batches(survey), default=None)
    usual = usual_batch(way.numbers(answers, probes) or None, payload_of(survey))
    asked = answers.limits.batch or usual
    if asked == least:  # the proposal, which keeps within the limit, or somebody who knew it
        asked = usual
    if least is None or least >= asked or not way.writes_points(answers):
        return None
    return Finding(
        code="strict-mode-batch",
        severity="info",
        title="strict mode limits the size of a request",
        measured=f"{least} points per request instead of {asked}",
        limit=str(least),
        consequence=f"the load uses {least} points per request, and so takes longer",
        remedy="raise the limit for the migration, or accept the longer load",
        source="recorded answer: Limit exceeded",
    )


def days_not_hours(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The load takes longer than a day, by the model's speed or by the size of the collection."""
    if not way.writes_points(answers):
        return None
    size, texts = survey.size, _texts(survey, answers)
    rate = _texts_per_s(answers, probes)
    seconds = max(texts / rate if rate else 0.0, size.points / answers.limits.rate if answers.limits.rate else 0.0)
    stored = size.vector_bytes + size.payload_bytes
    if seconds < DAY and stored < HUGE:
        return None
    return Finding(
        code="days-not-hours",
        severity="warning",
        title="this takes days, not hours",
        measured=(
            f"{duration(seconds)} for {size.points:,} points at the speed of the model, or at limits.rate"
            if seconds >= DAY
            else f"{in_bytes(stored)} stored"
        ),
        limit="a day" if seconds >= DAY else in_bytes(HUGE),
        consequence="the run goes on without a terminal and can be paused, but restarts and upgrades fall into it",
        remedy=(
            "take a faster model, a GPU or an endpoint with more throughput, let the server embed where it can, or plan"
            " the days; requests of 64 to 256 points in 2 to 4 streams are enough for the server"
        ),
        source="probe" if seconds >= DAY else "size; experience of Qdrant's own guide",
    )


def reindex_from_source(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The collection is so small that writing it anew from its source is quicker."""
    stored = survey.size.vector_bytes + survey.size.payload_bytes
    if survey.size.points == 0 or stored >= SMALL or not way.embeds(answers):
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
    if not limit or not way.writes_points(answers):
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
        + ("; the new collection is made with the same limit" if way.mode(survey, answers) == "blue-green" else ""),
        remedy="raise write_rate_limit for the migration, or give limits.rate a value below it",
        source="recorded answer: 429 with Retry-After; the cost of a write is its number of points",
    )


def request_too_large(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The asked-for batch does not fit into one request."""
    numbers = way.numbers(answers, probes)
    if not numbers or not way.writes_points(answers):
        return None
    body = batch_of(survey, answers, numbers) * numbers * BYTES_PER_NUMBER
    if body <= REQUEST_LIMIT:
        return None
    fits = max(1, REQUEST_LIMIT // (numbers * BYTES_PER_NUMBER))
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


def spend_over_budget(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The texts cost more than was allowed, or nobody can tell what they cost."""
    most, price = answers.limits.spend, answers.model.price_per_million_tokens if answers.model else None
    if most is None or not way.uses_model(answers):
        return None
    tokens = _texts(survey, answers) * _tokens_per_text(survey, probes)
    if price is None:
        return Finding(
            code="spend-over-budget",
            severity="warning",
            title="a limit is set, and the price is not known",
            measured=f"limits.spend = {most:g}, about {tokens:,.0f} tokens",
            limit="model.price_per_million_tokens",
            consequence="the run cannot stop at a sum that it cannot count",
            remedy="answer model.price_per_million_tokens as your provider bills it (0 for a model of your own)",
            source="answers",
            acknowledge=True,
        )
    money = tokens / 1e6 * price
    if money <= most:
        return None
    return Finding(
        code="spend-over-budget",
        severity="blocker",
        title="embedding everything costs more than is allowed",
        measured=f"about {money:,.2f} for {tokens:,.0f} tokens at {price:g} per million",
        limit=f"{most:,.2f}",
        consequence="the run would stop at the limit with a part of the points done, and that money spent",
        remedy="raise limits.spend, take a cheaper model, or try a sample first",
        source="tokens measured on sampled texts"
        if probes.new_model is not None and probes.new_model.tokens_per_text
        else f"{CHARS_PER_TOKEN:g} characters per token, on the sample's mean",
    )


def _texts(survey: Survey, answers: Answers) -> int:
    """Texts that go through the new model: all of them, or a map's anchors."""
    if way.embeds(answers):
        return survey.size.points
    return min(answers.map.anchors or ANCHORS, survey.size.points) if wanted(answers) == "linear-map" else 0


def _texts_per_s(answers: Answers, probes: Probes) -> float | None:
    probe = probes.new_model
    return probe.texts_per_s if probe and not probe.error and probe.texts_per_s and way.uses_model(answers) else None


def _tokens_per_text(survey: Survey, probes: Probes) -> float:
    probe = probes.new_model
    if probe is not None and not probe.error and probe.tokens_per_text:
        return probe.tokens_per_text
    return survey.size.text_chars / survey.size.points / CHARS_PER_TOKEN if survey.size.points else 0.0


CHECKS = (
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
        code="spend-over-budget",
        looks_at="the texts cost no more than is allowed",
        run=spend_over_budget,
        explain=(
            "Tokens are counted on sampled texts with the model's own tokenizer where it is at hand, else estimated from\n"
            "characters, and multiplied by the price that you gave. Over limits.spend nothing is begun; while the run goes\n"
            "on the provider's own count decides, and the engine stops at the limit."
        ),
    ),
)
