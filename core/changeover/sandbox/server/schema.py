"""A collection's configuration: made from a create request, changed by a PATCH, and handed to the core.

The configuration is kept as the JSON document that `GET /collections/{c}` answers, so that what is shown is what is.
"""

from __future__ import annotations

import copy
from typing import Any

import qdrant_edge as edge

from changeover.sandbox.server import quantization, refusals
from changeover.sandbox.server.generations import Generation

Document = dict[str, Any]

HNSW: Document = {
    "m": 16,
    "ef_construct": 100,
    "full_scan_threshold": 10000,
    "max_indexing_threads": 0,
    "on_disk": False,
}
OPTIMIZERS: Document = {
    "deleted_threshold": 0.2,
    "vacuum_min_vector_number": 1000,
    "default_segment_number": 0,
    "max_segment_size": None,
    "memmap_threshold": None,
    "indexing_threshold": 10000,
    "flush_interval_sec": 5,
    "max_optimization_threads": None,
    "prevent_unoptimized": None,
}
WAL: Document = {"wal_capacity_mb": 32, "wal_segments_ahead": 0, "wal_retain_closed": 1}
"""Defaults as 1.17.1 to 1.19.0 show them."""

DISTANCES = {
    "Cosine": edge.Distance.Cosine,
    "Euclid": edge.Distance.Euclid,
    "Dot": edge.Distance.Dot,
    "Manhattan": edge.Distance.Manhattan,
}
DENSE_KEYS = ("size", "distance", "hnsw_config", "quantization_config", "on_disk", "datatype", "multivector_config")
SPARSE_KEYS = ("index", "modifier")


def created(body: Document, generation: Generation) -> Document:
    """The configuration of a new collection (body of `PUT /collections/{c}`); Refused for what no server takes."""
    quantization.check_created(body, generation)
    params: Document = {
        "vectors": _dense_map(body.get("vectors") or {}, generation),
        "shard_number": body.get("shard_number") or 1,
        "replication_factor": body.get("replication_factor") or 1,
        "write_consistency_factor": body.get("write_consistency_factor") or 1,
        "on_disk_payload": body.get("on_disk_payload", True),
    }
    if body.get("sharding_method"):
        params["sharding_method"] = body["sharding_method"]
    if body.get("sparse_vectors"):
        params["sparse_vectors"] = {name: _sparse(given) for name, given in body["sparse_vectors"].items()}
    config: Document = {
        "params": params,
        "hnsw_config": HNSW | _given(body.get("hnsw_config")),
        "optimizer_config": OPTIMIZERS | _given(body.get("optimizers_config")),
        "wal_config": WAL | _given(body.get("wal_config")),
        "quantization_config": body.get("quantization_config"),
    }
    for key in ("strict_mode_config", "metadata"):
        if body.get(key):
            config[key] = body[key]
    return config


def patched(config: Document, body: Document, generation: Generation, length: int) -> Document:
    """The configuration after a PATCH of `length` bytes; only given keys change, metadata merges at its top level."""
    new = copy.deepcopy(config)
    quantization.check_patched(body, generation, length)
    for name, given in (body.get("vectors") or {}).items():
        if name not in dense(new):
            raise refusals.no_vector(name)
        _merge_vector(dense(new)[name], given)
    for name, given in (body.get("sparse_vectors") or {}).items():
        if name not in sparse(new):
            raise refusals.no_vector(name)
        new["params"]["sparse_vectors"][name] |= _given(given)
    for key, into in (("hnsw_config", "hnsw_config"), ("optimizers_config", "optimizer_config")):
        new[into] |= _given(body.get(key))
    new["params"] |= _given(body.get("params"))
    if body.get("quantization_config") == "Disabled":
        new["quantization_config"] = None
    elif body.get("quantization_config"):
        new["quantization_config"] = body["quantization_config"]
    for key in ("metadata", "strict_mode_config"):
        if body.get(key):
            new[key] = (new.get(key) or {}) | body[key]
    return new


def dense(config: Document) -> dict[str, Document]:
    """Dense vectors by name; "" is the unnamed one. The inner documents are the configuration's own."""
    vectors = config["params"]["vectors"]
    return {"": vectors} if "size" in vectors else vectors


def sparse(config: Document) -> dict[str, Document]:
    """Sparse vectors by name."""
    found: dict[str, Document] = config["params"].get("sparse_vectors") or {}
    return found


def with_vector(
    config: Document, name: str, body: Document, generation: Generation
) -> tuple[Document, edge.UpdateOperation | None]:
    """The configuration with one more vector name, and the core's operation; None when it is there just so.

    A collection with an unnamed vector becomes `{"": ..., name: ...}` and stays so (measured on 1.18.3 and 1.19.0).
    """
    new = copy.deepcopy(config)
    given = body.get("dense") or body.get("sparse")
    if not isinstance(given, dict) and "sparse" not in body:
        raise refusals.malformed("data did not match any variant of untagged enum VectorNameConfig")
    wanted = _dense(given or {}, generation) if "dense" in body else _sparse(given or {})
    kind = "dense" if "dense" in body else "sparse"
    if name in sparse(new) and kind == "dense":
        raise refusals.Refused(400, f"Wrong input: Vector `{name}` already exists as a sparse vector")
    if name in dense(new) and kind == "sparse":
        raise refusals.Refused(400, f"Wrong input: Vector `{name}` already exists as a dense vector")
    existing = dense(new).get(name) if kind == "dense" else sparse(new).get(name)
    if existing is not None:
        if _identity(existing) == _identity(wanted):
            return config, None
        raise refusals.Refused(400, f"Wrong input: Vector `{name}` already exists with a different configuration")
    if kind == "sparse":
        new["params"].setdefault("sparse_vectors", {})[name] = wanted
        return new, edge.UpdateOperation.create_sparse_vector(name, _modifier(wanted), None)
    new["params"]["vectors"] = dense(new) | {name: wanted}
    parameters = _core_dense(wanted)
    operation = edge.UpdateOperation.create_dense_vector(
        name, parameters.size, parameters.distance, parameters.multivector_config, parameters.datatype
    )
    return new, operation


def without_vector(config: Document, name: str) -> Document:
    """The configuration without a vector name; an unknown one changes nothing."""
    new = copy.deepcopy(config)
    new["params"]["vectors"] = {key: value for key, value in dense(new).items() if key != name}
    if name in sparse(new):
        del new["params"]["sparse_vectors"][name]
    return new


def core_config(config: Document) -> edge.EdgeConfig:
    """The same configuration as the core takes it."""
    optimizers = config["optimizer_config"]
    return edge.EdgeConfig(
        vectors={name: _core_dense(parameters) for name, parameters in dense(config).items()},
        sparse_vectors={
            name: edge.EdgeSparseVectorParams(modifier=_modifier(parameters))
            for name, parameters in sparse(config).items()
        },
        on_disk_payload=config["params"]["on_disk_payload"],
        hnsw_config=_core_hnsw(config["hnsw_config"]),
        quantization_config=quantization.core_quantization(config["quantization_config"]),
        optimizers=edge.EdgeOptimizersConfig(
            deleted_threshold=optimizers["deleted_threshold"],
            vacuum_min_vector_number=optimizers["vacuum_min_vector_number"],
            default_segment_number=optimizers["default_segment_number"] or None,
            max_segment_size=optimizers["max_segment_size"],
            indexing_threshold=optimizers["indexing_threshold"],
        ),
    )


def _given(document: Any) -> Document:
    return {key: value for key, value in (document or {}).items() if value is not None}


def _identity(parameters: Document) -> Document:
    """What makes two vector names the same for a repeated create: not what a PATCH may have changed since."""
    return {key: parameters.get(key) for key in ("size", "distance", "multivector_config", "datatype", "modifier")}


def _dense_map(given: Any, generation: Generation) -> Document:
    if not isinstance(given, dict):
        raise refusals.malformed("data did not match any variant of untagged enum VectorsConfig")
    if "size" in given:
        return _dense(given, generation)
    return {name: _dense(parameters, generation) for name, parameters in given.items()}


def _dense(given: Any, generation: Generation) -> Document:
    if not isinstance(given, dict):
        raise refusals.malformed("data did not match any variant of untagged enum VectorsConfig")
    size, distance = given.get("size"), given.get("distance")
    if not isinstance(size, int) or isinstance(size, bool):
        raise refusals.malformed("data did not match any variant of untagged enum VectorsConfig")
    if size < 1:
        raise refusals.invalid("JSON body", f"vectors.size: value {size} invalid, must be 1 or larger")
    if not isinstance(distance, str) or distance not in DISTANCES:
        raise refusals.malformed(f"unknown variant `{distance}`, expected one of {', '.join(map(repr, DISTANCES))}")
    quantization.check_datatype(given.get("datatype"), generation)
    return {key: given[key] for key in DENSE_KEYS if given.get(key) is not None}


def _sparse(given: Document | None) -> Document:
    return {key: given[key] for key in SPARSE_KEYS if given and given.get(key) is not None}


def _merge_vector(parameters: Document, given: Document) -> None:
    for key, value in _given(given).items():
        if key == "hnsw_config":
            parameters[key] = (parameters.get(key) or {}) | _given(value)
        elif key == "quantization_config" and value == "Disabled":
            parameters.pop(key, None)
        elif key in DENSE_KEYS:
            parameters[key] = value


def _core_dense(parameters: Document) -> edge.EdgeVectorParams:
    multi = parameters.get("multivector_config")
    hnsw = parameters.get("hnsw_config")
    return edge.EdgeVectorParams(
        size=parameters["size"],
        distance=DISTANCES[parameters["distance"]],
        on_disk=parameters.get("on_disk"),
        multivector_config=edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim) if multi else None,
        datatype=quantization.DATATYPES.get(str(parameters.get("datatype"))),
        quantization_config=quantization.core_quantization(parameters.get("quantization_config")),
        hnsw_config=_core_hnsw(HNSW | hnsw) if hnsw else None,
    )


def _core_hnsw(given: Document) -> edge.HnswIndexConfig:
    return edge.HnswIndexConfig(
        m=given["m"],
        ef_construct=given["ef_construct"],
        full_scan_threshold=given["full_scan_threshold"],
        max_indexing_threads=given["max_indexing_threads"],
        on_disk=given.get("on_disk"),
        payload_m=given.get("payload_m"),
    )


def _modifier(parameters: Document) -> Any:
    return edge.Modifier.Idf if parameters.get("modifier") == "idf" else None
