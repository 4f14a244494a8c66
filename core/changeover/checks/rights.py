"""What the key may do, and how it travels."""

from __future__ import annotations

from urllib.parse import urlsplit

from changeover.checks.base import Check
from changeover.checks.model import Finding, Probes
from changeover.decision.answers import Answers
from changeover.decision.route import choose
from changeover.survey.model import Survey


def _missing(right: str, measured: str, consequence: str, remedy: str) -> Finding:
    return Finding(
        code=f"right-missing-{right}",
        severity="blocker",
        title=f"the key has no {right} right",
        measured=measured,
        consequence=consequence,
        remedy=remedy,
        source="asked without side effects; answer 403",
    )


def read(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The key may not read the collection."""
    if survey.cluster.rights.read:
        return None
    return _missing("read", "counting points is forbidden", "nothing can be surveyed", "use a key with read access")


def write(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The key may not write points."""
    if survey.cluster.rights.write_points:
        return None
    remedy = "use a key with write access to this collection; this one is enough to look and to plan"
    return _missing("write", "writing points is forbidden", "no vector can be written", remedy)


def manage(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """Blue-green was asked for, and the key may not create collections and aliases."""
    asked = answers.route == "blue-green" or choose(survey, answers).route is None
    if survey.cluster.rights.manage or not asked:
        return None
    remedy = "use a key with manage access, or take in place"
    return _missing("manage", "collections and aliases may not be changed", "blue-green cannot be done", remedy)


def clear_text_key(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The key is sent over http."""
    cluster = survey.cluster
    if not cluster.has_key or cluster.tls:
        return None
    host = urlsplit(cluster.url).hostname or ""
    if host in ("localhost", "127.0.0.1", "::1"):
        return None
    return Finding(
        code="clear-text-key",
        severity="warning",
        title="the key travels in clear text",
        measured=cluster.url,
        limit="https",
        consequence="whoever listens on the way can read the key and then do what it may do",
        remedy="use https, or a tunnel",
        source="URL",
    )


CHECKS = (
    Check(
        code="right-missing-read",
        looks_at="the key may read",
        run=read,
        explain="Surveying needs read access to the collection.",
    ),
    Check(
        code="right-missing-write",
        looks_at="the key may write points",
        run=write,
        explain="Every route writes points. A read-only key is enough to survey, check and plan, but not to run.",
    ),
    Check(
        code="right-missing-manage",
        looks_at="the key may do what the route needs",
        run=manage,
        explain=(
            "Creating a collection, changing its configuration and pointing an alias need the manage right. Adding a vector\n"
            "to a collection needs only write access to that collection, so in place can be open where blue-green is not."
        ),
    ),
    Check(
        code="clear-text-key",
        looks_at="the key does not travel in clear text",
        run=clear_text_key,
        explain="Over http an API key can be read by everyone on the way. Loopback addresses are left out of this check.",
    ),
)
