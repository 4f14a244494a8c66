"""The gates of each route as named rows, and the route that follows from survey and answers."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from changeover.cluster.capabilities import supports
from changeover.decision.answers import Answers, RouteName
from changeover.routes.job import server_version, unnamed_shape
from changeover.survey.model import Survey


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """One condition of a route: `reason` says why it is closed, in words, when it does not hold."""

    name: str
    holds: Callable[[Survey, Answers], bool]
    reason: Callable[[Survey], str]


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The route that follows, or None with the reasons."""

    route: RouteName | None
    reasons: tuple[str, ...] = ()


def _dense(survey: Survey) -> bool:
    return any(vector.kind == "dense" for vector in survey.vectors)


DENSE = Gate(
    name="dense vector",
    holds=lambda s, a: _dense(s),
    reason=lambda s: f"{s.collection} has no dense vector to replace",
)

GATES: dict[RouteName, tuple[Gate, ...]] = {
    "in-place": (
        DENSE,
        Gate(
            name="server from 1.18.1",
            holds=lambda s, a: supports("add_vector_safe", server_version(s)),
            reason=lambda s: (
                f"vectors cannot be added on {server_version(s)}"
                if not supports("add_vector", server_version(s))
                else f"{server_version(s)} can drop a fresh vector during an optimization; fixed in 1.18.1"
            ),
        ),
        Gate(
            name="right to change the collection",
            holds=lambda s, a: s.cluster.rights.write_collection,
            reason=lambda s: "the key may not change this collection",
        ),
    ),
    "blue-green": (
        DENSE,
        Gate(
            name="one model serves afterwards",
            holds=lambda s, a: not a.keep_both,
            reason=lambda s: "both models are to stay live, and the new collection holds the new one only",
        ),
        Gate(
            name="manage right",
            holds=lambda s, a: s.cluster.rights.manage,
            reason=lambda s: "the key may not create collections and aliases (manage right)",
        ),
    ),
}

NOT_YET: dict[RouteName, str] = {
    "side-by-side": "both vectors stay in place after the in-place route; there is no route of its own in this version",
    "hybrid": "this version adds dense vectors only",
    "dimensions": "this version re-embeds only",
    "quantization": "this version re-embeds only",
    "linear-map": "this version re-embeds only",
}


REFUSED: tuple[tuple[str, Callable[[Answers], bool], str], ...] = (
    ("avoid", lambda a: a.avoid not in (None, "none"), f"{NOT_YET['dimensions']}; answer none"),
    ("add_sparse", lambda a: bool(a.add_sparse), f"{NOT_YET['hybrid']}; answer false"),
    ("limits.spend", lambda a: a.limits.spend is not None, "this version does not stop at a sum; leave it out"),
    (
        "queries.title_field",
        lambda a: a.queries.title_field is not None,
        "this version reads labelled queries from a file; give queries.file",
    ),
    ("rollback", lambda a: bool(a.rollback), "this version has no way back of its own; leave it out"),
    ("cleanup", lambda a: a.cleanup != "keep", "this version removes nothing; answer keep"),
)
"""(question, whether its answer asks for what this version does not do, why): never silently ignored."""


def refused(answers: Answers) -> tuple[str, ...]:
    """Answers that no route of this version can follow, with the reason; a wizard never offers them as open."""
    return tuple(f"{question}: {reason}" for question, given, reason in REFUSED if given(answers))


def closed(route: RouteName, survey: Survey, answers: Answers) -> tuple[str, ...]:
    """Why the route is closed; () when it is open."""
    if route in NOT_YET:
        return (NOT_YET[route],)
    return tuple(gate.reason(survey) for gate in GATES[route] if not gate.holds(survey, answers))


def proposed(survey: Survey, answers: Answers) -> RouteName | None:
    """In place when it is open and the collection's vectors are named; else blue-green; else what is open."""
    unnamed = unnamed_shape(survey)
    open_routes = [route for route in GATES if not closed(route, survey, answers)]
    if unnamed and "blue-green" in open_routes:
        return "blue-green"
    return open_routes[0] if open_routes and not (unnamed and open_routes == ["in-place"]) else None


def choose(survey: Survey, answers: Answers) -> Chosen:
    """The answered route if it is open, the proposed one if none was answered; else None with reasons."""
    if unwanted := refused(answers):
        return Chosen(route=None, reasons=unwanted)
    if answers.route is not None:
        reasons = closed(answers.route, survey, answers)
        return Chosen(route=None if reasons else answers.route, reasons=tuple(f"{answers.route}: {r}" for r in reasons))
    route = proposed(survey, answers)
    if route is not None:
        return Chosen(route=route)
    reasons = tuple(f"{name}: {reason}" for name in GATES for reason in closed(name, survey, answers))
    unnamed = (
        "in-place: an unnamed collection changes its shape for good; answer route = in-place to take it all the same"
    )
    return Chosen(
        route=None, reasons=reasons if "in-place" in {r.split(":")[0] for r in reasons} else (*reasons, unnamed)
    )
