"""Server versions."""

from __future__ import annotations

from changeover.checks.base import Check
from changeover.checks.model import Finding, Probes
from changeover.cluster.capabilities import supports
from changeover.decision.answers import Answers
from changeover.decision.route import choose
from changeover.routes.job import server_version
from changeover.survey.model import Survey


def vectors_cannot_be_added(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """In place is asked for on a server that cannot, or should not, add a vector."""
    version = server_version(survey)
    if supports("add_vector_safe", version):
        return None
    asked = answers.route == "in-place"
    old = not supports("add_vector", version)
    return Finding(
        code="vectors-cannot-be-added",
        severity="blocker" if asked else "info",
        title="this server cannot take a new vector in place" if old else "1.18.0 can lose a vector added in place",
        measured=version,
        limit="1.18.1",
        consequence="the request is answered 404" if old else "an optimization under way can drop the fresh vector",
        remedy="blue-green with an alias works on this version" if not asked else "choose route = blue-green",
        source="measured on 1.17.1; server change 9110",
    )


def mixed_versions(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The peers run different versions."""
    versions = sorted({peer.version for peer in survey.cluster.peers})
    if len(versions) <= 1:
        return None
    in_place = choose(survey, answers).mode == "in-place"
    return Finding(
        code="mixed-versions",
        severity="blocker" if in_place else "warning",
        title="the peers run different versions",
        measured=", ".join(versions),
        limit="one version on all peers",
        consequence="adding a vector on a cluster of mixed versions is untested; what one peer knows another may ignore",
        remedy="finish the upgrade first, so that every peer runs the same version",
        source="server source",
    )


CHECKS = (
    Check(
        code="vectors-cannot-be-added",
        looks_at="the server can take a new vector in place",
        run=vectors_cannot_be_added,
        explain=(
            "Up to 1.17 every named vector has to be defined when a collection is created: the request to add one is\n"
            "answered 404 with an empty body. From 1.18 on it works; 1.18.0 itself can drop a vector that was just added\n"
            "when an optimization is under way, so in place is offered from 1.18.1 on. Blue-green works everywhere."
        ),
    ),
    Check(
        code="mixed-versions",
        looks_at="all peers run one version",
        run=mixed_versions,
        explain=(
            "During a rolling upgrade some peers know requests that others do not. Older peers ignore unknown options\n"
            "silently, so a guard such as insert-only protects on one peer and overwrites on another. Finish the upgrade."
        ),
    ),
)
