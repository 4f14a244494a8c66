"""Server versions, and what old ones ignore without a word."""

from __future__ import annotations

from changeover.checks import advisories, way
from changeover.checks.afterwards import old_vector_removal_unsafe
from changeover.checks.base import Check
from changeover.checks.model import Finding, Probes
from changeover.cluster.capabilities import supports
from changeover.decision.answers import Answers
from changeover.routes.job import server_version
from changeover.survey.model import Survey


def vectors_cannot_be_added(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """In place is asked for on a server that cannot, or should not, add a vector."""
    version = server_version(survey)
    if supports("add_vector_safe", version) or not way.writes_points(answers):
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
    in_place = way.mode(survey, answers) == "in-place" and way.writes_points(answers)
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


def update_mode_ignored(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The application writes both sides, and this server does not know insert-only."""
    version = server_version(survey)
    dual = answers.writers == "dual" and way.mode(survey, answers) == "blue-green"
    if not dual or supports("update_mode", version):
        return None
    return Finding(
        code="update-mode-ignored",
        severity="blocker",
        title="this server ignores insert-only, so the load overwrites what the application writes to the new side",
        measured=version,
        limit="1.17.0",
        consequence=(
            "a point that the application has just written is replaced by what the load read earlier, until the catch-up"
            " finds the difference; no error is answered"
        ),
        remedy="answer writers = unknown and let the engine find every change, or upgrade the server to 1.17 first",
        source="server source 1.16.3: unknown fields of an upsert are dropped",
    )


def client_endpoints_removed(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The old search endpoints are promised no more from 1.19 on: here already, or after an upgrade that another finding asks for."""
    gone = sorted({peer.version for peer in survey.cluster.peers if not supports("legacy_search", peer.version)})
    asking = () if gone else _asking_for_an_upgrade(survey, answers, probes)
    if not gone and not asking:
        return None
    return Finding(
        code="client-endpoints-removed",
        severity="info",
        title=(
            "the search endpoints of old clients are no part of this server's API any more"
            if gone
            else "an upgrade beyond 1.18 leaves the search endpoints of old clients without a promise"
        ),
        measured=", ".join(gone) if gone else f"an upgrade is the remedy of {', '.join(asking)}",
        limit="1.19.0",
        consequence=(
            "/points/search, /points/recommend and /points/discover are gone from the API's description; 1.19.0 still answers"
            " them, a later release may not"
        ),
        remedy="check every application that searches: it must use a client that knows the Query API (1.10 and later)",
        source="OpenAPI of 1.18 and 1.19 compared; answers of a real 1.19.0",
    )


def _asking_for_an_upgrade(survey: Survey, answers: Answers, probes: Probes) -> tuple[str, ...]:
    others = (old_vector_removal_unsafe, *(check.run for check in advisories.CHECKS))
    found = [finding for run in others if (finding := run(survey, answers, probes)) is not None]
    return tuple(finding.code for finding in found if "to 1.19" in finding.remedy)


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
    Check(
        code="update-mode-ignored",
        looks_at="nothing that the load writes can overwrite the application's own writes",
        run=update_mode_ignored,
        explain=(
            "Under dual writes the load must not touch a point that the application wrote to the new side already. That is\n"
            "what insert-only is for, from 1.17 on. Older servers do not refuse the option, they overlook it: the write\n"
            "succeeds and overwrites. With writers = unknown the application writes one side only and nothing can be lost."
        ),
    ),
    Check(
        code="client-endpoints-removed",
        looks_at="the old search endpoints are still there, and nothing asks for an upgrade",
        run=client_endpoints_removed,
        explain=(
            "1.19 took the REST endpoints for search, recommend and discover, which clients used before the Query API, out\n"
            "of its API description. 1.19.0 itself still answers them (measured), but nothing promises that the next release\n"
            "does. So an upgrade is never a step without cost: look at every client first, then at the server."
        ),
    ),
)
