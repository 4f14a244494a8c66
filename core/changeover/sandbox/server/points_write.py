"""Calls that change points: upsert, vectors, payload, delete."""

from __future__ import annotations

import random
from typing import Any

import qdrant_edge as edge

from changeover.sandbox.server import refusals
from changeover.sandbox.server.calls import Call
from changeover.sandbox.server.collection import Collection
from changeover.sandbox.server.convert import Vectors, named, point_id, point_ids, rows, sequence

MODES = {
    "upsert": edge.UpdateMode.Upsert,
    "insert_only": edge.UpdateMode.InsertOnly,
    "update_only": edge.UpdateMode.UpdateOnly,
}
UPDATE_CHUNK = 32
"""Points that the core updates between two looks for missing ones."""
EMPTY = "Bad request: Empty update request"
Update = edge.UpdateOperation


def upsert(call: Call) -> dict[str, Any]:
    """PUT /collections/{c}/points."""
    collection, body = call.collection, call.body
    mode = _mode(body.get("update_mode"))
    points = _batch(body["batch"]) if body.get("batch") else rows(body.get("points"))
    condition = call.filters().read(body.get("update_filter"))
    given = [(point_id(one.get("id")), one.get("vector"), one.get("payload")) for one in points]
    if not given:
        raise refusals.Refused(400, EMPTY)
    _check_shard_key(collection, body)
    call.strict().write(len(given), batch=len(given), kind="upsert", points=collection.points())
    vectors = call.vectors(early_sizes=call.generation.names_vector_of_wrong_size)

    def work() -> int:
        ready = [(point, vectors.of_point(vector), payload) for point, vector, payload in given]
        with collection.lock:
            if call.generation.keeps_stale_vectors and collection.points() >= call.cluster.settings.optimised_from:
                ready = _with_what_stays(collection, vectors, ready)
            operation = Update.upsert_points([_point(*one) for one in ready], condition, mode)
            return collection.update(operation, len(ready))

    return call.written(work)


def update_vectors(call: Call) -> dict[str, Any]:
    """PUT /collections/{c}/points/vectors; with a missing id part of the batch is left unapplied (see `_part`)."""
    collection, body = call.collection, call.body
    points = rows(body.get("points"))
    condition = call.filters().read(body.get("update_filter"))
    if not points:
        raise refusals.invalid("JSON body", "points: must specify points to update")
    for position, one in enumerate(points):
        if _says_nothing(one.get("vector")):
            detail = f"points[{position}].vector: must specify vectors to update for point"
            raise refusals.invalid("JSON body", detail)
    _check_shard_key(collection, body)
    call.strict().write(len(points), batch=len(points), kind="update")
    vectors = call.vectors()
    given = [(point_id(one.get("id")), one["vector"]) for one in points]

    def work() -> int:
        ready = [_point_vectors(point, vectors.of_point(vector, whole=False)) for point, vector in given]
        with collection.lock:
            missing = _missing(collection, [point for point, _ in given], at_least_one=call.partly)
            if missing is None:
                return collection.update(Update.update_vectors(ready, condition), len(ready))
            part = _part(ready, missing)
            if part:
                collection.update(Update.update_vectors(part, condition), len(part))
            raise refusals.no_point(next(iter(missing)))

    return call.written(work)


def delete_vectors(call: Call) -> dict[str, Any]:
    """POST /collections/{c}/points/vectors/delete."""
    collection, names = call.collection, sequence(call.body.get("vector"))
    for name in names:
        if name not in call.vectors().names():
            raise refusals.no_vector(name)
    return _selected(call, Update.delete_vectors, Update.delete_vectors_by_filter, collection, names)


def set_payload(call: Call) -> dict[str, Any]:
    """POST /collections/{c}/points/payload: the given keys change, the others stay."""
    arguments = (call.body.get("payload") or {}, call.body.get("key"))
    return _selected(call, Update.set_payload, Update.set_payload_by_filter, call.collection, *arguments)


def overwrite_payload(call: Call) -> dict[str, Any]:
    """PUT /collections/{c}/points/payload: the payload becomes the given one."""
    arguments = (call.body.get("payload") or {}, call.body.get("key"))
    return _selected(call, Update.overwrite_payload, Update.overwrite_payload_by_filter, call.collection, *arguments)


def delete_payload(call: Call) -> dict[str, Any]:
    """POST /collections/{c}/points/payload/delete."""
    keys = sequence(call.body.get("keys"))
    return _selected(call, Update.delete_payload, Update.delete_payload_by_filter, call.collection, keys)


def clear_payload(call: Call) -> dict[str, Any]:
    """POST /collections/{c}/points/payload/clear."""
    return _selected(call, Update.clear_payload, Update.clear_payload_by_filter, call.collection)


def delete_points(call: Call) -> dict[str, Any]:
    """POST /collections/{c}/points/delete; an empty list is refused (measured), so it can probe rights."""
    return _selected(call, Update.delete_points, Update.delete_points_by_filter, call.collection)


def _selected(call: Call, by_ids: Any, by_filter: Any, collection: Collection, *arguments: Any) -> dict[str, Any]:
    """An update of the points that the body names by id or by filter."""
    body = call.body
    if body.get("filter") is not None:
        call.strict().filter(body["filter"], "unindexed_filtering_update")
        call.strict().write(1)
        touched = 1
        operation = by_filter(call.filters().read(body["filter"]), *arguments)
    else:
        ids = point_ids(body.get("points"))
        if not ids:
            raise refusals.Refused(400, EMPTY)
        call.strict().write(len(ids), batch=len(ids), kind="update")
        touched = len(ids)
        operation = by_ids(ids, *arguments)
    return call.written(lambda: collection.update(operation, touched))


def _mode(given: Any) -> Any:
    if given is None:
        return None
    if given not in MODES:
        known = ", ".join(f"`{name}`" for name in MODES)
        raise refusals.malformed(f"unknown variant `{given}`, expected one of {known}")
    return MODES[given]


def _batch(given: dict[str, Any]) -> list[dict[str, Any]]:
    """The column form of an upsert as rows."""
    ids = given["ids"]
    vectors = given["vectors"]
    if isinstance(vectors, dict):
        if any(len(column) != len(ids) for column in vectors.values()):
            raise refusals.malformed("the columns of a batch must be equally long")
        vectors = [{name: column[row] for name, column in vectors.items()} for row in range(len(ids))]
    payloads = given.get("payloads") or [None] * len(ids)
    if not len(ids) == len(vectors) == len(payloads):
        raise refusals.malformed("the columns of a batch must be equally long")
    columns = zip(ids, vectors, payloads, strict=True)
    return [{"id": point, "vector": vector, "payload": payload} for point, vector, payload in columns]


def _says_nothing(vector: Any) -> bool:
    """No vector at all, or only an empty sparse one: 422 on 1.17.1 to 1.19.0."""
    if isinstance(vector, dict):
        return all(isinstance(one, dict) and one.get("indices") == [] for one in vector.values())
    return not vector


def _check_shard_key(collection: Collection, body: dict[str, Any]) -> None:
    if collection.config["params"].get("sharding_method") == "custom" and body.get("shard_key") is None:
        raise refusals.Refused(400, "Wrong input: Shard key not specified")


def _with_what_stays(
    collection: Collection, vectors: Vectors, points: list[tuple[int | str, dict[str, Any], Any]]
) -> list[tuple[int | str, dict[str, Any], Any]]:
    """The points as a server up to 1.18 writes them to an optimised segment: what is not sent stays as it was."""
    names = vectors.names()
    partial = [point for point, given, payload in points if names - given.keys() or payload is None]
    if not partial:
        return points
    stored = {_key(one.id): one for one in collection.read(lambda shard: shard.retrieve(partial, True, True))}
    kept = []
    for point, given, payload in points:
        before = stored.get(_key(point))
        if before is not None:
            given = named(before.vector) | given
            payload = before.payload if payload is None else payload
        kept.append((point, given, payload))
    return kept


def _missing(collection: Collection, points: list[int | str], *, at_least_one: bool) -> set[str] | None:
    """The points that are not there, or None; `at_least_one` plays the last one missing, for a fault to order."""
    found = {_key(one.id) for one in collection.read(lambda shard: shard.retrieve(points, False, False))}
    missing = {_key(point) for point in points} - found
    if not missing and at_least_one:
        return {_key(points[-1])}
    return missing or None


def _part(ready: list[Any], missing: set[str]) -> list[Any]:
    """What is applied of a batch with missing points: in random order, all chunks up to the first with a missing one.

    The core does just so (31, 63, 95, 127, 159 or 191 of 200 beside one that is missing), but it keeps the failed update
    in its log and applies more of it whenever the shard is loaded (287, 368, then 393 of 400 on qdrant-edge-py 0.9.0).
    So it is not given an update that has to fail.
    """
    part: list[Any] = []
    dealt = random.sample(ready, len(ready))
    for first in range(0, len(dealt), UPDATE_CHUNK):
        chunk = dealt[first : first + UPDATE_CHUNK]
        there = [one for one in chunk if _key(one.id) not in missing]
        part += there
        if len(there) < len(chunk):
            break
    return part


def _key(point: Any) -> str:
    return str(point)


def _point(point: int | str, vectors: dict[str, Any], payload: Any) -> Any:
    try:
        return edge.Point(point, vectors, payload)
    except TypeError as error:
        raise refusals.malformed(refusals.NOT_A_VECTOR) from error


def _point_vectors(point: int | str, vectors: dict[str, Any]) -> Any:
    try:
        return edge.PointVectors(point, vectors)
    except TypeError as error:
        raise refusals.malformed(refusals.NOT_A_VECTOR) from error
