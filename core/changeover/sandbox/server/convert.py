"""Between the JSON of the REST calls and the core's values: ids, vectors, payload selectors, indexes, records."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import qdrant_edge as edge

from changeover.sandbox.server import refusals, schema
from changeover.sandbox.server.inference import Inference, document, embedded
from changeover.sandbox.server.text_index import text_options

MIXED = "Wrong input: Conversion between sparse and regular vectors failed"
UNNAMED_SPARSE = "Bad request: Sparse vector from document inference should be named"
NO_WHOLE = "Direct Document processing not supported for PointVectors. Use named vectors."


class Vectors:
    """Reads the vectors of points for one collection's configuration and checks names and sizes before anything is written."""

    def __init__(
        self, config: schema.Document, *, early_sizes: bool = False, inference: Inference | None = None
    ) -> None:
        """`early_sizes`: a wrong size is refused before anything is queued, naming the vector (upsert from 1.18.1).

        `inference` embeds texts for dense vectors; without it only the servers' own BM25 is there.
        """
        self._inference = inference
        self._sizes = {name: parameters["size"] for name, parameters in schema.dense(config).items()}
        self._sparse = set(schema.sparse(config))
        self._early_sizes = early_sizes

    def names(self) -> set[str]:
        """All vector names of the collection."""
        return set(self._sizes) | self._sparse

    def of_point(self, given: Any, *, whole: bool = True) -> dict[str, Any]:
        """The core's vectors by name of a point's `vector` in any of its forms; `whole`: a text may stand for all of it.

        Texts are embedded before anything else is looked at, the names too (measured on 1.17.1 to 1.19.0).
        """
        if isinstance(given, list):
            return {"": self.one("", given)}
        if not isinstance(given, dict):
            raise refusals.malformed(refusals.NOT_A_VECTOR)
        if isinstance(given.get("text"), str) and isinstance(given.get("model"), str):
            return {"": self._whole(given, whole)}
        ready = {name: self._embedded(vector, refusals.NOT_A_VECTOR) for name, vector in given.items()}
        return {name: self._checked(name, vector, query=False) for name, vector in ready.items()}

    def one(self, name: str, given: Any, *, query: bool = False) -> Any:
        """One vector: a list, a list of lists, indices and values, or a text that is embedded here."""
        otherwise = refusals.NO_QUERY if query else refusals.NOT_A_VECTOR
        return self._checked(name, self._embedded(given, otherwise, query=query), query=query)

    def _whole(self, given: Any, allowed: bool) -> Any:
        if not allowed:
            raise refusals.Refused(400, NO_WHOLE)
        vector = self._embedded(given, refusals.NOT_A_VECTOR)
        if isinstance(vector, edge.SparseVector):
            raise refusals.Refused(400, UNNAMED_SPARSE)
        return self._checked("", vector, query=False)

    def _embedded(self, given: Any, otherwise: str, *, query: bool = False) -> Any:
        found = document(given, otherwise)
        return given if found is None else embedded(found, self._inference, query)

    def _checked(self, name: str, given: Any, *, query: bool) -> Any:
        if name not in self._sizes and name not in self._sparse:
            raise refusals.no_vector(name)
        if isinstance(given, edge.SparseVector):
            if name in self._sizes:
                raise refusals.Refused(400, MIXED, late=True)
            return given
        if isinstance(given, dict):
            return self._sparse_vector(name, given)
        if not isinstance(given, list):
            raise refusals.malformed(refusals.NOT_A_VECTOR)
        if name in self._sparse:
            raise refusals.Refused(400, "Wrong input: Wrong usage of sparse vectors")
        for row in given if given and isinstance(given[0], list) else (given,):
            if not isinstance(row, list) or not all(isinstance(value, int | float) for value in row):
                raise refusals.malformed(refusals.NOT_A_VECTOR)
            if len(row) != self._sizes[name]:
                suffix = f" for vector '{name}'" if name and self._early_sizes and not query else ""
                raise refusals.wrong_size(self._sizes[name], len(row), suffix, late=not self._early_sizes)
        return given

    def _sparse_vector(self, name: str, given: dict[str, Any]) -> Any:
        if name in self._sizes:
            raise refusals.Refused(400, "Wrong input: Wrong usage of sparse vectors")
        indices, values = given.get("indices"), given.get("values")
        if not isinstance(indices, list) or not isinstance(values, list):
            raise refusals.malformed(refusals.NOT_A_VECTOR)
        if len(indices) != len(values):
            raise refusals.invalid("JSON body", f"{name}: must be the same length as indices")
        try:
            return edge.SparseVector(indices, values)
        except (TypeError, ValueError, OverflowError) as error:
            raise refusals.malformed(refusals.NOT_A_VECTOR) from error


def point_id(given: Any) -> int | str:
    """A point id as the core takes it; Refused for anything but an unsigned integer or a UUID."""
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given < 2**64:
        return given
    if isinstance(given, str):
        try:
            return str(uuid.UUID(given))
        except ValueError:
            pass
    detail = "is not a valid point ID, valid values are either an unsigned integer or a UUID"
    raise refusals.malformed(f"value {given} {detail}")


def point_ids(given: Any) -> list[int | str]:
    """A list of point ids."""
    return [point_id(one) for one in sequence(given)]


def sequence(given: Any) -> list[Any]:
    """The value itself when it is a list; Refused with the servers' words otherwise."""
    if isinstance(given, list):
        return given
    shown = f'string "{given}"' if isinstance(given, str) else "map" if isinstance(given, dict) else f"`{given}`"
    raise refusals.malformed(f"invalid type: {shown}, expected a sequence")


def rows(given: Any) -> list[dict[str, Any]]:
    """A list of points."""
    for one in sequence(given):
        if not isinstance(one, dict):
            raise refusals.malformed(f"invalid type: {type(one).__name__}, expected struct PointStruct")
    found: list[dict[str, Any]] = given
    return found


def payload_selector(given: Any, default: bool) -> Any:
    """`with_payload` as the core takes it: a bool, keys, include or exclude."""
    if given is None:
        return default
    if isinstance(given, dict):
        if "include" in given:
            return edge.PayloadSelector.Include(given["include"])
        return edge.PayloadSelector.Exclude(given.get("exclude") or [])
    return given


def vector_selector(given: Any, names: set[str]) -> Any:
    """`with_vector` as the core takes it; a name that the collection does not have is refused."""
    if isinstance(given, list):
        for name in given:
            if name not in names:
                raise refusals.no_vector(name)
        return given
    return bool(given)


def record(found: Any, **extra: Any) -> dict[str, Any]:
    """A point as the servers answer it; payload and vector only when they were asked for."""
    answer = {"id": found.id if isinstance(found.id, int) else str(found.id), **extra}
    if found.payload is not None:
        answer["payload"] = found.payload
    if found.vector is not None:
        answer["vector"] = vector_json(found.vector)
    if found.order_value is not None:
        answer["order_value"] = found.order_value
    return answer


def records(found: Iterable[Any]) -> list[dict[str, Any]]:
    """Points of a scroll or a retrieve."""
    return [record(one) for one in found]


def scored(found: Iterable[Any]) -> list[dict[str, Any]]:
    """Points of a query; scores are 32-bit like the servers'."""
    return [record(one, version=one.version, score=np.float32(one.score)) for one in found]


def vector_json(vector: Any) -> Any:
    """A core vector as JSON; 32-bit arrays are written with the digits that 32 bits need, like the servers do."""
    if isinstance(vector, dict):
        return {name: vector_json(one) for name, one in vector.items()}
    if isinstance(vector, list):
        return np.asarray(vector, dtype=np.float32)
    return {"indices": vector.indices, "values": np.asarray(vector.values, dtype=np.float32)}


def named(vector: Any) -> dict[str, Any]:
    """A stored vector by name, whichever shape it was read in."""
    return dict(vector) if isinstance(vector, dict) else {"": vector}


INDEXES: Mapping[str, tuple[Any, Any, tuple[str, ...]]] = {
    "keyword": (edge.PayloadSchemaType.Keyword, edge.KeywordIndexParams, ("is_tenant", "on_disk")),
    "integer": (
        edge.PayloadSchemaType.Integer,
        edge.IntegerIndexParams,
        ("lookup", "range", "is_principal", "on_disk"),
    ),
    "float": (edge.PayloadSchemaType.Float, edge.FloatIndexParams, ("is_principal", "on_disk")),
    "geo": (edge.PayloadSchemaType.Geo, edge.GeoIndexParams, ("on_disk",)),
    "text": (
        edge.PayloadSchemaType.Text,
        edge.TextIndexParams,
        ("min_token_len", "max_token_len", "lowercase", "ascii_folding", "phrase_matching", "on_disk"),
    ),
    "bool": (edge.PayloadSchemaType.Bool, edge.BoolIndexParams, ("on_disk",)),
    "datetime": (edge.PayloadSchemaType.Datetime, edge.DatetimeIndexParams, ("is_principal", "on_disk")),
    "uuid": (edge.PayloadSchemaType.Uuid, edge.UuidIndexParams, ("is_tenant", "on_disk")),
}


def index_schema(given: Any, *, scores_text: bool) -> tuple[dict[str, Any], Any]:
    """A `field_schema` as `payload_schema` shows it (without points), and as the core takes it.

    A generation that does not score texts knows no `scoring`: whatever it says is dropped (measured on 1.17.1 to 1.19.0).
    """
    kind = str(given.get("type") if isinstance(given, dict) else given)
    if kind not in INDEXES:
        raise refusals.malformed("data did not match any variant of untagged enum PayloadFieldSchema")
    plain, parameters, keys = INDEXES[kind]
    if not isinstance(given, dict):
        return {"data_type": kind}, plain
    if not scores_text:
        given = {key: value for key, value in given.items() if key != "scoring"}
    options = {key: given[key] for key in keys if given.get(key) is not None}
    if kind == "text":
        options |= text_options(given)
    shown = given | ({"is_principal": given.get("is_principal")} if kind == "integer" else {})
    try:
        return {"data_type": kind, "params": shown}, parameters(**options)
    except (TypeError, ValueError, OverflowError) as error:
        raise refusals.malformed("data did not match any variant of untagged enum PayloadFieldSchema") from error
