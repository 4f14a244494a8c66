"""The gates of each route and each way of carrying it out as named rows, and the route that follows from the answers.

A route says what becomes of the vectors; its mode says where: in place, in the collection that serves, or blue-green,
in a new one behind an alias.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from changeover.cluster.capabilities import supports
from changeover.decision.answers import Answers, RouteName
from changeover.errors import ChangeoverError
from changeover.plan.model import Mode
from changeover.quality.reduction import reduction_closed
from changeover.routes.job import server_version, source_vector, unnamed_shape
from changeover.survey.model import Survey


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """One condition: `closed` says why it does not hold, in words; "" when it holds."""

    name: str
    closed: Callable[[Survey, Answers], str]


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The route that follows and how it is carried out, or None with the reasons."""

    route: RouteName | None
    mode: Mode | None = None
    reasons: tuple[str, ...] = ()


def _unless(holds: bool, reason: str) -> str:
    return "" if holds else reason


def _dense(survey: Survey, answers: Answers) -> str:
    there = any(vector.kind == "dense" for vector in survey.vectors)
    return _unless(there, f"{survey.collection} has no dense vector to start from")


def _writes(survey: Survey, answers: Answers) -> str:
    return _unless(survey.cluster.rights.write_points, "the key may not write points")


def _adds(survey: Survey, answers: Answers) -> str:
    version = server_version(survey)
    if supports("add_vector_safe", version):
        return ""
    if not supports("add_vector", version):
        return f"vectors cannot be added on {version} (from 1.18.1 on they can)"
    return f"{version} can drop a fresh vector during an optimization; fixed in 1.18.1"


def _changes(survey: Survey, answers: Answers) -> str:
    return _unless(survey.cluster.rights.write_collection, "the key may not change this collection")


def _manages(survey: Survey, answers: Answers) -> str:
    return _unless(survey.cluster.rights.manage, "the key may not create collections and aliases (manage right)")


def _configures(survey: Survey, answers: Answers) -> str:
    return _unless(survey.cluster.rights.manage, "the key may not change the collection's configuration (manage right)")


def _name_stays(survey: Survey, answers: Answers) -> str:
    asked = answers.target.same_name is True and answers.zero_downtime is False
    return "the old collection is to give its name to a new one" if asked else ""


def _cut(survey: Survey, answers: Answers) -> str:
    if _dense(survey, answers):
        return ""
    vector, size = source_vector(survey, answers), answers.target.dimension
    if (vector.size or 0) < 2:
        return f"{vector.name or 'the vector'} has {vector.size} number, which cannot be cut"
    if size is not None and size >= (vector.size or 0):
        return f"the stored vectors have {vector.size} numbers, and {size} are asked for"
    if vector.datatype not in (None, "float32", "float16"):
        return f"the vectors are stored as {vector.datatype}, so their numbers are no longer those of the model"
    return reduction_closed(answers.target.reduction or "leading", vector.distance)


def _quantized(survey: Survey, answers: Answers) -> str:
    from changeover.quality import storage

    kind = answers.quantization.kind
    if kind is None or _dense(survey, answers):
        return ""
    return storage.closed(kind, source_vector(survey, answers), server_version(survey))


def _encodes(survey: Survey, answers: Answers) -> str:
    version, encoder = server_version(survey), answers.sparse.encoder
    if encoder == "server-bm25":
        return _unless(supports("server_bm25", version), f"{version} has no BM25 of its own; it came with 1.15.2")
    if encoder == "text-index":
        return _unless(supports("text_scoring", version), f"text indexes score from 1.20 on; this is {version}")
    return ""


def _new_model(survey: Survey, answers: Answers) -> str:
    model = answers.model
    if model is not None and (model.provider == "qdrant" or model.kind != "dense"):
        return "a map needs vectors of the new model at hand, one for each text"
    return ""


DENSE = Gate(name="a dense vector", closed=_dense)
WRITES = Gate(name="right to write points", closed=_writes)

MODES: dict[Mode, tuple[Gate, ...]] = {
    "in-place": (
        DENSE,
        Gate(name="server from 1.18.1", closed=_adds),
        Gate(name="right to change the collection", closed=_changes),
        WRITES,
        Gate(name="the collection keeps its name", closed=_name_stays),
    ),
    "blue-green": (DENSE, Gate(name="manage right", closed=_manages), WRITES),
}
"""How a route is carried out."""

GATES: dict[RouteName, tuple[Gate, ...]] = {
    "in-place": (),
    "blue-green": (),
    "side-by-side": (),
    "hybrid": (Gate(name="the server knows the encoder", closed=_encodes),),
    "dimensions": (DENSE, Gate(name="vectors that can be cut", closed=_cut)),
    "quantization": (
        DENSE,
        Gate(name="right to configure", closed=_configures),
        Gate(name="the server knows the kind", closed=_quantized),
    ),
    "linear-map": (DENSE, Gate(name="a model to map to", closed=_new_model)),
}
"""What a route needs beside its mode."""

REFUSED: tuple[tuple[str, Callable[[Answers], bool], str], ...] = (
    (
        "cleanup",
        lambda a: a.cleanup != "keep",
        "a run removes nothing; answer keep, and `changeover cleanup RUN` later",
    ),
)
"""(question, whether its answer asks for what this version does not do, why): never silently ignored."""


def refused(answers: Answers) -> tuple[str, ...]:
    """Answers that no route of this version can follow, with the reason; a wizard never offers them as open."""
    return tuple(f"{question}: {reason}" for question, given, reason in REFUSED if given(answers))


def wanted(answers: Answers) -> RouteName | None:
    """The route that the four questions lead to; None where only where it is done is left to choose."""
    if answers.route not in (None, "in-place", "blue-green"):
        return answers.route
    if answers.avoid in ("dimensions", "quantization", "linear-map"):
        return answers.avoid
    if answers.add_sparse:
        return "hybrid"
    return "side-by-side" if answers.keep_both else None


def only_configures(route: RouteName | None, answers: Answers) -> bool:
    """Whether the route writes no points: it is one change of the collection that serves."""
    lexical = route == "hybrid" and answers.sparse.encoder == "text-index" and answers.model is None
    return route == "quantization" or lexical


def closed(route: RouteName, survey: Survey, answers: Answers) -> tuple[str, ...]:
    """Why the route (or the mode of that name) is closed; () when it is open. Some mode of a route must be open."""
    reasons = _reasons(GATES[route], survey, answers)
    if route in MODES:
        return (*reasons, *mode_closed(route, survey, answers))
    if reasons or only_configures(route, answers):
        more = _changes(survey, answers) if route == "hybrid" else ""
        return (*reasons, *([more] if more else []))
    ways = [mode_closed(mode, survey, answers) for mode in MODES]
    return () if not all(ways) else tuple(dict.fromkeys(reason for way in ways for reason in way))


def mode_closed(mode: Mode, survey: Survey, answers: Answers) -> tuple[str, ...]:
    """Why nothing can be done in this way here; () when it can."""
    return _reasons(MODES[mode], survey, answers)


def proposed(survey: Survey, answers: Answers) -> Mode | None:
    """In place when it is open and the collection's vectors are named; else blue-green; else what is open.

    An unnamed collection is changed in place only by one who asked for it: its shape changes for good (measured).
    """
    open_modes = [mode for mode in MODES if not mode_closed(mode, survey, answers)]
    if unnamed_shape(survey):
        return "blue-green" if "blue-green" in open_modes else None
    return open_modes[0] if open_modes else None


def choose(survey: Survey, answers: Answers) -> Chosen:
    """The route that the answers lead to, if it is open; else None with the reasons."""
    if unwanted := refused(answers):
        return Chosen(route=None, reasons=unwanted)
    route = wanted(answers)
    if route is not None:
        try:
            reasons = closed(route, survey, answers)
        except ChangeoverError as error:
            reasons = (str(error),)
        if reasons:
            return Chosen(route=None, reasons=tuple(f"{route}: {reason}" for reason in reasons))
        if only_configures(route, answers):
            return Chosen(route=route, mode="in-place")
    asked: Mode | None = answers.route if answers.route in MODES else None
    mode = asked or proposed(survey, answers)
    reasons = mode_closed(mode, survey, answers) if mode is not None else ()
    if mode is not None and not reasons:
        return Chosen(route=route or mode, mode=mode)
    if asked is not None:
        return Chosen(route=None, reasons=tuple(f"{asked}: {reason}" for reason in reasons))
    return Chosen(route=None, reasons=_why_none(survey, answers))


def _why_none(survey: Survey, answers: Answers) -> tuple[str, ...]:
    reasons = tuple(f"{mode}: {reason}" for mode in MODES for reason in mode_closed(mode, survey, answers))
    if mode_closed("in-place", survey, answers):
        return reasons
    return (
        *reasons,
        "in-place: an unnamed collection changes its shape for good; answer route = in-place to take it all the same",
    )


def _reasons(gates: tuple[Gate, ...], survey: Survey, answers: Answers) -> tuple[str, ...]:
    found = (gate.closed(survey, answers) for gate in gates)
    return tuple(dict.fromkeys(reason for reason in found if reason))
