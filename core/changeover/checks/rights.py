"""What the key may do, and how it travels."""

from __future__ import annotations

from urllib.parse import urlsplit

from changeover.checks import way
from changeover.checks.base import Check
from changeover.checks.model import Finding, Probes
from changeover.decision.answers import Answers
from changeover.decision.route import wanted
from changeover.routes.job import vector_settings
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
    if survey.cluster.rights.write_points or not way.writes_points(answers):
        return None
    remedy = "use a key with write access to this collection; this one is enough to look and to plan"
    return _missing("write", "writing points is forbidden", "no vector can be written", remedy)


def manage(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The route changes the configuration or makes a collection, and the key may not."""
    if survey.cluster.rights.manage:
        return None
    chosen = way.mode(survey, answers)
    if chosen == "in-place" and _settings(survey, answers):
        return Finding(
            code="right-missing-manage",
            severity="warning",
            title="the key may not give the new vector the settings of the old one",
            measured=f"not set: {', '.join(_settings(survey, answers))}",
            limit="manage right",
            consequence="the new vector gets the collection's defaults and is kept in memory",
            remedy="use a key with manage access, or accept the defaults",
            source="server source: a PATCH of the collection needs manage, adding a vector does not",
            acknowledge=True,
        )
    if wanted(answers) == "quantization":
        remedy = "use a key with manage access"
        return _missing("manage", "the configuration may not be changed", "the quantization cannot be changed", remedy)
    if answers.route != "blue-green" and chosen is not None:
        return None
    remedy = "use a key with manage access, or take in place"
    return _missing("manage", "collections and aliases may not be changed", "blue-green cannot be done", remedy)


def _settings(survey: Survey, answers: Answers) -> tuple[str, ...]:
    """What a second request would set on a dense vector that is added."""
    old = way.old(survey, answers)
    if way.multi(answers):
        return ("on_disk", "hnsw_config")
    makes_dense = way.embeds(answers) or wanted(answers) in ("dimensions", "linear-map")
    return tuple(vector_settings(old, answers.vector.on_disk)) if old is not None and makes_dense else ()


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
        explain=(
            "Surveying needs read access to the collection: its configuration, counts and a sample of points.\n"
            "A token for one collection counts for the name that it was made for, alias and real name being two."
        ),
    ),
    Check(
        code="right-missing-write",
        looks_at="the key may write points",
        run=write,
        explain=(
            "Every route but a change of the configuration writes points. A read-only key is enough to survey, check and\n"
            "plan, but not to run.\n"
            "It was asked with a delete of no points, which changes nothing and is answered 403 without the right."
        ),
    ),
    Check(
        code="right-missing-manage",
        looks_at="the key may do what the route needs",
        run=manage,
        explain=(
            "Creating a collection, changing its configuration and pointing an alias need the manage right. Adding a vector\n"
            "to a collection needs only write access to that collection, so in place can be open where blue-green is not;\n"
            "then the new vector cannot be given the old one's storage and index settings, which are a change of\n"
            "configuration, and the model is not recorded in the collection's metadata."
        ),
    ),
    Check(
        code="clear-text-key",
        looks_at="the key does not travel in clear text",
        run=clear_text_key,
        explain=(
            "Over http an API key can be read by everyone on the way, and it opens all that it may do. Use https or a\n"
            "tunnel. Loopback addresses are left out of this check."
        ),
    ),
)
