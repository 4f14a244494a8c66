"""What becomes of the old side, and of what is written late."""

from __future__ import annotations

from changeover.checks import way
from changeover.checks.base import Check
from changeover.checks.model import Finding, Probes
from changeover.cluster.capabilities import supports
from changeover.decision.answers import Answers
from changeover.decision.route import wanted
from changeover.routes.blue_green import same_name
from changeover.routes.job import name_in_use, server_version
from changeover.survey.model import Survey


def _gives_name(survey: Survey, answers: Answers) -> bool:
    """Whether the old collection is removed and its name becomes an alias."""
    return way.mode(survey, answers) == "blue-green" and same_name(survey, answers) and answers.cutover != "never"


def late_writes(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """Somebody may write to the old collection around the swap."""
    swaps = way.mode(survey, answers) == "blue-green" and answers.cutover != "never"
    if not swaps or answers.writers == "none" or answers.zero_downtime is False:
        return None
    return Finding(
        code="late-writes",
        severity="info",
        title="writes around the swap can still reach the old collection",
        measured=f"writers = {answers.writers or 'unknown'}, searched as {name_in_use(survey, answers)}",
        consequence=(
            "a request that was under way, or a writer that uses the collection's own name, writes to the old side after"
            " the alias points to the new one; the sweep finds these and brings them over, the newer side winning"
        ),
        remedy="let every writer use the alias, and keep the old collection until the sweep is done",
        source="an alias is looked up when a request arrives",
    )


def old_still_needed(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The old side is to be removed."""
    gives_name = _gives_name(survey, answers)
    if answers.cleanup == "keep" and not gives_name:
        return None
    never = answers.cutover == "never" and not gives_name
    blue_green = way.intended(survey, answers) == "blue-green"
    return Finding(
        code="old-still-needed",
        severity="blocker" if never else "warning",
        title="the old side would be removed while it still serves" if never else "the old side is going to be removed",
        measured=(
            f"cleanup = {answers.cleanup}, cutover = never"
            if never
            else "target.same_name = true"
            if gives_name
            else f"cleanup = {answers.cleanup}"
        ),
        limit="verified, compared, and the window of the way back over",
        consequence=(
            "there is no way back to the old model without it; verification shows that every point arrived, not that the"
            " new model finds what people look for"
        ),
        remedy=(
            "answer cleanup = keep"
            if never
            else "answer cleanup = keep and remove it by hand weeks later"
            + (", or leave target.same_name out and let an alias be swapped" if gives_name else "")
        ),
        source="plan" if blue_green else "plan; the old vector cannot be computed again without the old model",
        acknowledge=not never,
    )


def old_vector_removal_unsafe(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """In place, before 1.19: the old vector cannot be removed without a danger."""
    version = server_version(survey)
    in_place = way.intended(survey, answers) == "in-place" and way.writes_points(answers)
    if not in_place or supports("drop_vector_safe", version):
        return None
    asked = answers.cleanup != "keep"
    return Finding(
        code="old-vector-removal-unsafe",
        severity="blocker" if asked else "info",
        title="on this version a vector cannot be removed without a danger to whole points",
        measured=version,
        limit="1.19.0",
        consequence=(
            "a crash soon after the removal loses every point whose latest write named the vector, without an error"
            if asked
            else "the old vector stays and keeps its room until the server is upgraded"
        ),
        remedy=(
            "answer cleanup = keep, or upgrade to 1.19 first"
            if asked
            else "leave the old vector where it is; upgrade to 1.19 before removing it"
        ),
        source="measured on 1.18.3: 0 of 2,000 points left after a kill; none lost on 1.19.0",
    )


def offline_gap(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The collection gives its name away, and searches fail in between."""
    if not _gives_name(survey, answers):
        return None
    return Finding(
        code="offline-gap",
        severity="warning",
        title="searches fail between the removal of the old collection and the alias that takes its name",
        measured=f"target.same_name = true for {survey.collection}",
        limit="no gap, with an alias that is swapped",
        consequence=(
            "every search and write by this name is answered 404 meanwhile, for seconds when all goes well; the removal"
            " cannot be undone but by the snapshot that is taken before it"
        ),
        remedy="stop the application for that time, or move it to an alias, which is swapped without a gap",
        source="recorded answer: 409 for an alias named like a collection, so the collection must go first",
        acknowledge=True,
    )


def skip_payload(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """Blue-green: the payload is carried, since an alias moves none."""
    if way.mode(survey, answers) != "blue-green":
        return None
    indexes = ", ".join(index.field for index in survey.indexes) or "none"
    return Finding(
        code="skip-payload",
        severity="info",
        title="the payload of every point is written to the new collection too",
        measured=f"payload on {survey.size.points:,} points; indexes: {indexes}",
        consequence="an alias redirects requests and copies nothing; verification compares the payload of every point",
        remedy="nothing to do; never point an alias at a collection that only has the vectors",
        source="plan",
    )


def bridge(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The vectors will be approximations."""
    if wanted(answers) != "linear-map":
        return None
    return Finding(
        code="bridge",
        severity="info",
        title="a learned map is a bridge, not the new model's vectors",
        measured="avoid = linear-map",
        consequence=(
            "the mapped vectors are approximations, marked as a bridge in plan, metadata and report; measured on real"
            " models they found 55 to 103 % of what re-embedding finds, often less than the old vectors themselves"
        ),
        remedy="plan the re-embedding that replaces them; until then compare on your own queries",
        source="measured on five pairs of models; published figures of 95 % and more were not reached",
    )


CHECKS = (
    Check(
        code="late-writes",
        looks_at="nobody can write to the old side after the swap",
        run=late_writes,
        explain=(
            "At the swap some requests are under way, and some writers may use the collection's own name. After it the\n"
            "engine compares old and new side once more (the sweep): what only the old side has is brought over, and where\n"
            "both changed the newer write wins and the conflict is listed."
        ),
    ),
    Check(
        code="old-still-needed",
        looks_at="nothing of the old side is removed",
        run=old_still_needed,
        explain=(
            "The old collection or vector is the only way back. Nothing is removed before every point was verified, but\n"
            "whether the new model is better shows in the days after the cutover. Keeping the old side costs room; removing\n"
            "it too early costs a second migration. Whoever asks for the removal types that this is understood."
        ),
    ),
    Check(
        code="old-vector-removal-unsafe",
        looks_at="the old vector can be removed later without a danger",
        run=old_vector_removal_unsafe,
        explain=(
            "Up to 1.18 the log that is replayed after a crash may name a vector that is gone, and such writes are dropped\n"
            "whole: a kill right after the removal left none of 2,000 points (1.18.3). From 1.19 on nothing was lost. So\n"
            "before 1.19 the old vector stays, and the removal is closed. Blue-green leaves no such vector behind."
        ),
    ),
    Check(
        code="offline-gap",
        looks_at="no name is without a collection at any moment",
        run=offline_gap,
        explain=(
            "An alias cannot have the name of a collection that exists. To keep the name, the old collection is removed\n"
            "first (after verification and with a snapshot) and the alias made right after: in between nothing answers.\n"
            "That is offered only where zero_downtime = false. With an alias from the start there is no gap."
        ),
    ),
    Check(
        code="skip-payload",
        looks_at="one collection keeps its payload",
        run=skip_payload,
        explain=(
            "Swapping an alias moves no data. A new collection that was given vectors only answers searches with ids and\n"
            "empty payloads, and filters find nothing. The load copies the payload of every point, creates the indexes and\n"
            "verifies both; an alias is never pointed at a collection that this run did not fill (target-exists)."
        ),
    ),
    Check(
        code="bridge",
        looks_at="the new vectors come from the new model itself",
        run=bridge,
        explain=(
            "A matrix learnt from pairs of old and new vectors turns stored vectors into approximations of the new model's.\n"
            "It saves embedding everything and costs quality. It is offered as a bridge until re-embedding is affordable,\n"
            "measured on your own queries first, and stopped where it finds less than the old vectors do."
        ),
    ),
)
