"""Calls on the server and on collections: configuration, vector names, indexes, aliases, snapshots, reports."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import unquote

import qdrant_edge as edge

from changeover.sandbox.server import refusals, schema
from changeover.sandbox.server.calls import Call, Text, Whole
from changeover.sandbox.server.cluster import PEER_ID, SLOW_REQUESTS
from changeover.sandbox.server.convert import index_schema, sequence
from changeover.sandbox.server.optimiser import moment

BANNED = '<>:"/\\|?*\0\x1f'
CORE_KEYS = {"vectors", "sparse_vectors", "hnsw_config", "optimizers_config", "quantization_config"}
"""Parts of a PATCH that concern the core's shard."""


def root(call: Call) -> Whole:
    """GET /; needs no key."""
    return Whole(
        {
            "title": "qdrant - vector search engine",
            "version": call.generation.version,
            "commit": call.generation.commit,
        }
    )


def healthy(call: Call) -> Text:
    """GET /healthz and /livez."""
    return Text("healthz check passed")


def ready(call: Call) -> Text:
    """GET /readyz."""
    return Text("all shards are ready")


def collections(call: Call) -> dict[str, Any]:
    """GET /collections."""
    return {"collections": [{"name": name} for name in call.cluster.names()]}


def collection(call: Call) -> dict[str, Any]:
    """GET /collections/{c}."""
    return call.collection.info()


def exists(call: Call) -> dict[str, bool]:
    """GET /collections/{c}/exists; true for an alias too."""
    return {"exists": call.cluster.exists(call.path["name"])}


def create(call: Call) -> bool:
    """PUT /collections/{c}."""
    return call.cluster.create(_name(call.path["name"], "collection"), call.body)


def patch(call: Call) -> bool:
    """PATCH /collections/{c}."""
    found = call.collection
    with found.lock:
        config = schema.patched(found.config, call.body, call.generation, len(call.raw))
        if call.body.keys() & CORE_KEYS:
            found.reconfigure(config)
        else:
            found.remember(config)
    return True


def delete(call: Call) -> bool:
    """DELETE /collections/{c}; false for an alias, which stays."""
    return call.cluster.delete(call.path["name"])


def create_vector(call: Call) -> dict[str, Any]:
    """PUT /collections/{c}/vectors/{v}; the same again is fine, another configuration is not."""
    found, name = call.collection, _name(call.path["vector"], "vector")
    started = time.perf_counter()

    def work() -> int:
        with found.lock:
            config, operation = schema.with_vector(found.config, name, call.body, call.generation)
            if operation is None:
                return found.next_operation()
            return found.change_vectors(name, config, operation)

    answer = call.written(work)
    _note(call, started, {"create_vector_name": {"vector_name": name, "config": call.body}})
    return answer


def delete_vector(call: Call) -> dict[str, Any]:
    """DELETE /collections/{c}/vectors/{v}; an unknown name is fine."""
    found, name = call.collection, _name(call.path["vector"], "vector")
    started = time.perf_counter()

    def work() -> int:
        with found.lock:
            operation = edge.UpdateOperation.delete_vector_name(name)
            return found.change_vectors(name, schema.without_vector(found.config, name), operation)

    answer = call.written(work)
    _note(call, started, {"delete_vector_name": {"vector_name": name}})
    return answer


def create_index(call: Call) -> dict[str, Any]:
    """PUT /collections/{c}/index."""
    field = call.body["field_name"]
    shown, core = index_schema(call.body.get("field_schema"), scores_text=call.generation.scores_text)
    started = time.perf_counter()
    operation = edge.UpdateOperation.create_field_index(field, core)
    answer = call.written(lambda: call.collection.change_index(field, shown, operation))
    given = shown.get("params", shown["data_type"])
    _note(call, started, {"create_index": {"field_name": field, "field_schema": given}})
    return answer


def delete_index(call: Call) -> dict[str, Any]:
    """DELETE /collections/{c}/index/{field}."""
    field = unquote(call.path["field"])
    operation = edge.UpdateOperation.delete_field_index(field)
    return call.written(lambda: call.collection.change_index(field, None, operation))


def change_aliases(call: Call) -> bool:
    """POST /collections/aliases."""
    return call.cluster.change_aliases(sequence(call.body.get("actions")))


def aliases(call: Call) -> dict[str, Any]:
    """GET /aliases."""
    return {"aliases": _aliases(call)}


def aliases_of(call: Call) -> dict[str, Any]:
    """GET /collections/{c}/aliases; compares with the name as given, so an alias has none."""
    return {"aliases": [one for one in _aliases(call) if one["collection_name"] == call.path["name"]]}


def optimizations(call: Call) -> dict[str, Any]:
    """GET /collections/{c}/optimizations."""
    return call.collection.optimizations(set(call.query.get("with", "").split(",")))


def memory(call: Call) -> dict[str, Any]:
    """GET /collections/{c}/memory: sizes worked out from points and dimensions (the servers report preallocated files)."""
    found = call.collection
    info = found.info()
    points = info["points_count"]

    def usage(size: int) -> dict[str, int]:
        return {"disk_bytes": size, "ram_bytes": 0, "cached_bytes": size, "expected_cache_bytes": size}

    def vector(name: str, size: int) -> dict[str, Any]:
        return {"name": name, "storage": usage(size), "index": usage(0)}

    dense = [vector(name, points * one["size"] * 4) for name, one in schema.dense(found.config).items()]
    sparse = [vector(name, 0) for name in schema.sparse(found.config)]
    total = sum(one["storage"]["disk_bytes"] for one in dense)
    return {
        "total": usage(total),
        "vectors": dense,
        "sparse_vectors": sparse,
        "payload": usage(0),
        "payload_index": [{"name": field, "usage": usage(0)} for field in found.indexes],
        "other": {"id_tracker": usage(0)},
    }


def cluster(call: Call) -> dict[str, str]:
    """GET /cluster: a single node."""
    return {"status": "disabled"}


def collection_cluster(call: Call) -> dict[str, Any]:
    """GET /collections/{c}/cluster."""
    shard = {"shard_id": 0, "points_count": call.collection.points(), "state": "Active"}
    return {
        "peer_id": PEER_ID,
        "shard_count": 1,
        "local_shards": [shard],
        "remote_shards": [],
        "shard_transfers": [],
    }


def shard_keys(call: Call) -> dict[str, Any]:
    """GET /collections/{c}/shards: none on a single node."""
    call.cluster.find(call.path["name"])
    return {}


def create_shard_key(call: Call) -> Any:
    """PUT /collections/{c}/shards: refused on a single node."""
    status, text = call.generation.standalone
    raise refusals.Refused(status, text)


def slow_requests(call: Call) -> dict[str, Any]:
    """GET /profiler/slow_requests; needs manage rights."""
    return {"requests": sorted(call.cluster.slow, key=lambda one: -one["duration"])}


def quotas(call: Call) -> dict[str, Any]:
    """GET /quotas, from 1.19."""
    return {"config": {"enabled": False}, "usage": {"resident_memory_percent": 0, "disk_usage_percent": 0}}


def _aliases(call: Call) -> list[dict[str, str]]:
    return [{"alias_name": name, "collection_name": target} for name, target in call.cluster.aliases().items()]


def _name(given: str, what: str) -> str:
    """A name of a path; 422 for what cannot be a file name on every system."""
    wrong = next((char for char in given if char in BANNED), None)
    if wrong is not None:
        detail = f'{what}_name: {what} name cannot contain "{wrong}" char'
        raise refusals.invalid("path parameters", detail)
    return given


def _note(call: Call, started: float, request: dict[str, Any]) -> None:
    if not call.generation.lists_slow_updates:
        return
    entry = {
        "collection_name": call.collection.name,
        "duration": round(time.perf_counter() - started, 3),
        "datetime": moment(time.time()),
        "request_name": "points-update",
        "approx_count": 1,
        "cpu_usage_ratio": 1.0,
        "request_body": request,
    }
    call.cluster.slow = [entry, *call.cluster.slow][:SLOW_REQUESTS]
