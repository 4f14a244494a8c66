"""What both routes need to know, worked out once from survey, answers and probes."""

from __future__ import annotations

from typing import Any

import msgspec

from changeover.checks.model import Probes
from changeover.cluster.capabilities import lowest, supports
from changeover.decision.answers import Answers, RouteName
from changeover.embed.model import ModelSpec
from changeover.errors import BlockedError, UsageError
from changeover.plan.model import Access, FromText, FromVector, Job, Mode
from changeover.routes import made, names
from changeover.survey.model import Survey, Vector
from changeover.survey.template import paths

BATCH = 256
STREAMS = 2
BYTES_PER_NUMBER = 20
"""Of JSON, per float32 (measured: 19.65)."""
BODY = 8 * 1024 * 1024
PER_VECTOR = ("hnsw_config", "quantization_config")
FLOATS = ("float32", "float16")


def server_version(survey: Survey) -> str:
    """The lowest version of all peers: what counts for every gate."""
    return lowest([survey.cluster.version, *(peer.version for peer in survey.cluster.peers)])


def source_vector(survey: Survey, answers: Answers) -> Vector:
    """The stored vector that is replaced; raises UsageError when it does not exist, BlockedError when there is none."""
    dense = [vector for vector in survey.vectors if vector.kind == "dense"]
    if answers.vector.source is not None:
        chosen = survey.vector(answers.vector.source)
        if chosen is None or chosen.kind != "dense":
            known = ", ".join(vector.name or '""' for vector in dense) or "none"
            raise UsageError(
                f"vector.source: {survey.collection} has no dense vector {answers.vector.source!r} ({known})"
            )
        return chosen
    if not dense:
        raise BlockedError(f"{survey.collection} has no dense vector that a new model could replace")
    return dense[0]


def unnamed_shape(survey: Survey) -> bool:
    """Whether the collection was made with one vector without a name and still has that shape.

    Once a vector was added the configuration is a map with "" in it, and never turns back (measured).
    """
    configured = (survey.config.get("params") or {}).get("vectors")
    if configured:
        return isinstance(configured.get("size"), int)
    return [vector.name for vector in survey.vectors if vector.kind != "sparse"] == [""]


def name_in_use(survey: Survey, answers: Answers) -> str:
    """The name that the application searches: the alias it uses, else the plain collection name.

    An answered alias of this collection counts before the name that was asked for; an answered one that is still to be
    made means that the plain name is used, unless the collection was asked for by an alias.
    """
    wanted = answers.alias.name
    if wanted and any(alias.name == wanted for alias in survey.aliases):
        return wanted
    if survey.asked != survey.collection:
        return survey.asked
    return survey.aliases[0].name if len(survey.aliases) == 1 and not wanted else survey.collection


def swapped_alias(survey: Survey, answers: Answers) -> str:
    """The alias that blue-green points at the new collection; raises UsageError for one that cannot be made.

    It is the name in use where that is an alias; else the answered one, which must not be a collection's name.
    """
    used, wanted = name_in_use(survey, answers), answers.alias.name
    if used != survey.collection:
        if wanted not in (None, used):
            raise UsageError(
                f"alias.name {wanted!r}: the collection was asked for by its alias {used}, and that is swapped;"
                f" leave alias.name out, or ask for {survey.collection}"
            )
        return used
    if wanted is None:
        return names.alias_name(survey.collection, taken_names(survey))
    reason = names.illegal(wanted, names.LONGEST_COLLECTION) or (
        "a collection of this name exists" if wanted in survey.collections else ""
    )
    if reason:
        raise UsageError(f"alias.name {wanted!r}: {reason}; give another name")
    return wanted


def taken_names(survey: Survey) -> set[str]:
    """Collections and aliases share one namespace (recorded: 409, 400)."""
    return {survey.collection, *survey.collections, *(a.name for a in (*survey.aliases, *survey.other_aliases))}


def vector_settings(old: Vector, on_disk: bool | None) -> dict[str, Any]:
    """What a PATCH gives the new vector after it was added: the add carries only size, distance and datatype."""
    settings = {key: old.params[key] for key in PER_VECTOR if old.params.get(key)}
    wanted = on_disk if on_disk is not None else old.params.get("on_disk")
    return settings | ({"on_disk": wanted} if wanted or old.params.get("on_disk") else {})


def may_set(survey: Survey) -> bool:
    """Whether the key may change a vector's settings: adding needs write access, a PATCH the manage right (source)."""
    return survey.cluster.rights.manage


def stays_on_disk(survey: Survey, answers: Answers, mode: Mode) -> bool:
    """Whether the new vector is kept on disk; one that is added in place is in memory until a PATCH (server source)."""
    wanted = vector_settings(source_vector(survey, answers), answers.vector.on_disk).get("on_disk")
    return bool(wanted) and (mode == "blue-green" or may_set(survey))


def new_datatype(old: Vector) -> str | None:
    """The old vector's datatype where it keeps floats; uint8 and turbo would cut the new model's numbers to pieces."""
    return old.datatype if old.datatype in FLOATS else None


def old_model(survey: Survey, answers: Answers) -> ModelSpec | None:
    """The old model as answered, with the document prefix that the proof of the text found."""
    proven = survey.text.old_model
    return proven if survey.text.proven and same_model(proven, answers.old_model) else answers.old_model


def same_model(proven: ModelSpec | None, answered: ModelSpec | None) -> bool:
    """Whether the survey tried the answered old model; the proof may have found its document prefix."""
    if proven is None or answered is None:
        return proven is answered
    return msgspec.structs.replace(proven, document_prefix=answered.document_prefix) == answered


def target_vector(survey: Survey, answers: Answers, mode: Mode, dimension: int, model: ModelSpec) -> str:
    """The vector that the new model fills; see `new_vector_name`."""
    return new_vector_name(survey, answers, mode, dimension, model.name or model.path or "new")


def new_vector_name(
    survey: Survey, answers: Answers, mode: Mode, dimension: int, like: str, *, keeps_old: bool = False
) -> str:
    """The name of the new dense vector, made from `like` where nobody gave one.

    In place, and where the old vector stays beside it, it needs a free name. Blue-green it keeps the old name when the
    dimension changes (an application that forgets to change its queries then fails loudly) and takes a new one when
    the dimensions are equal.
    """
    old = source_vector(survey, answers)
    taken = {vector.name for vector in survey.vectors}
    beside = mode == "in-place" or keeps_old
    if answers.vector.name is not None:
        reason = names.illegal(answers.vector.name) if answers.vector.name or beside else ""
        if reason:
            raise UsageError(f"vector.name {answers.vector.name!r}: {reason}")
        if answers.vector.name in taken - (set() if beside else {old.name}):
            raise UsageError(
                f"vector.name {answers.vector.name!r}: {survey.collection} already has a vector of this name"
            )
        return answers.vector.name
    if not beside and old.size != dimension:
        return old.name
    return names.vector_name(like, taken)


def batch_of(survey: Survey, answers: Answers, dimension: int) -> int:
    """Points per request: what was asked for, else 256 within 8 MiB; never above strict mode's limits."""
    return min([answers.limits.batch or usual_batch(dimension, payload_of(survey)), *strict_batches(survey)])


def usual_batch(dimension: int | None, payload: int = 0) -> int:
    """Points per request where nobody asked for a number: 256, fewer of vectors or payloads that are large."""
    point = (dimension or 0) * BYTES_PER_NUMBER + payload
    return min(BATCH, max(1, BODY // point)) if point else BATCH


def payload_of(survey: Survey) -> int:
    """Bytes of JSON that the payload of one point has, by the mean of the sample."""
    return survey.size.payload_bytes // max(1, survey.size.points)


def strict_batches(survey: Survey) -> list[int]:
    """Strict mode's limits to the points of one write and of one scroll, where it has any."""
    limits = [survey.strict.get(key) for key in ("upsert_max_batchsize", "max_query_limit")]
    return [int(limit) for limit in limits if limit]


def job_of(survey: Survey, answers: Answers, probes: Probes, access: Access, route: RouteName, mode: Mode) -> Job:
    """The job; raises UsageError or BlockedError in one line for what is missing."""
    makes = made.of_route(survey, answers, probes, route, mode)
    old = source_vector(survey, answers)
    dense = next((make for make in makes if isinstance(make, FromText | FromVector)), None)
    uses_text = any(not isinstance(make, FromVector) or make.maps for make in makes)
    template = (answers.text.as_template or survey.text.template) if uses_text else None
    if uses_text and (not template or not paths(template)):
        raise BlockedError("text-missing: no payload field holds the text; answer text.field or text.template")
    version = server_version(survey)
    dual = answers.writers == "dual"
    carry = carried(survey, answers, route, mode)
    size = dense.dimension if dense else old.size or 0
    return Job(
        access=msgspec.structs.replace(access, grpc_port=access.grpc_port or survey.cluster.grpc_port),
        mode=mode,
        source=survey.collection,
        target=survey.collection if mode == "in-place" else target_collection(survey, answers),
        name_in_use=name_in_use(survey, answers),
        source_vector=old.name,
        target_vector=dense.vector if dense else carry.get(old.name, old.name),
        makes=makes,
        carry=carry,
        model=answers.model if any(isinstance(make, FromText) or made.maps(make) for make in makes) else None,
        dimension=size,
        old_model=old_model(survey, answers),
        template=template or "",
        batch=batch_of(survey, answers, max(size, made.numbers(makes))),
        streams=answers.limits.streams or STREAMS,
        rate=answers.limits.rate,
        # Only dual writes need a guard: elsewhere it could hide a stale vector after a crash.
        insert_only=dual and mode == "blue-green" and supports("update_mode", version),
        only_absent=dual and mode == "in-place" and supports("update_filter", version),
        bridge=route == "linear-map",
        keeps_serving=answers.zero_downtime is not False,
        spend=answers.limits.spend,
        thorough=bool(carry) and answers.limits.thorough is True,
        lease=supports("metadata", version) and survey.cluster.rights.manage,
    )


def carried(survey: Survey, answers: Answers, route: RouteName, mode: Mode) -> dict[str, str]:
    """Vectors that blue-green copies unchanged: all but the replaced one; side by side and hybrid that one too.

    An unnamed vector that stays beside another dense one gets a name: a new collection cannot mix the two shapes.
    """
    if mode == "in-place":
        return {}
    old = source_vector(survey, answers)
    stays = route == "side-by-side" or (route == "hybrid" and answers.model is None)
    kept = {vector.name: vector.name for vector in survey.vectors if stays or vector.name != old.name}
    if "" in kept and (route == "side-by-side" or answers.vector.reserve):
        kept[""] = carried_name(survey, answers)
    return kept


def carried_name(survey: Survey, answers: Answers) -> str:
    """What the unnamed vector is called in a new collection with several dense vectors; raises UsageError."""
    wanted, taken = answers.vector.carried_name, {vector.name for vector in survey.vectors if vector.name}
    if wanted is None:
        return names.vector_name(answers.old_model.label if answers.old_model else "old", taken)
    if reason := names.illegal(wanted) or ("a vector of this name exists" if wanted in taken else ""):
        raise UsageError(f"vector.carried_name {wanted!r}: {reason}")
    return wanted


def target_collection(survey: Survey, answers: Answers) -> str:
    """The new collection's name; raises UsageError for one that the server would refuse or that is taken."""
    taken = taken_names(survey)
    wanted = answers.target.collection
    if wanted is None:
        return names.collection_name(survey.collection, taken)
    reason = names.illegal(wanted, names.LONGEST_COLLECTION)
    reason = reason or ("a collection or alias of this name exists" if wanted in taken else "")
    if reason:
        raise UsageError(f"target.collection {wanted!r}: {reason}; give another name")
    return wanted
