"""Every REST call that the sandbox speaks: method, path, handler, the right that it needs, and since when it exists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from changeover.sandbox.server import admin, bodies, points_read, points_write, snapshots
from changeover.sandbox.server.calls import Handler
from changeover.sandbox.server.generations import Generation

Right = Literal["none", "read", "write"]


class Row(NamedTuple):
    """One call; `known` tells whether a generation has it, `takes` is the type of its body."""

    method: str
    path: str
    handler: Handler
    right: Right = "read"
    known: Callable[[Generation], bool] = lambda generation: True
    takes: Any = None


def _adds_vectors(generation: Generation) -> bool:
    return generation.adds_vectors


C = "/collections/{name}"

ROWS: tuple[Row, ...] = (
    Row("GET", "/", admin.root, "none"),
    Row("GET", "/healthz", admin.healthy, "none"),
    Row("GET", "/livez", admin.healthy, "none"),
    Row("GET", "/readyz", admin.ready, "none"),
    Row("GET", "/cluster", admin.cluster),
    Row("GET", "/aliases", admin.aliases),
    Row("GET", "/quotas", admin.quotas, known=lambda generation: generation.has_quotas),
    Row("GET", "/profiler/slow_requests", admin.slow_requests, "write"),
    Row("GET", "/collections", admin.collections),
    Row("POST", "/collections/aliases", admin.change_aliases, "write", takes=bodies.Aliases),
    Row("GET", C, admin.collection),
    Row("PUT", C, admin.create, "write", takes=bodies.Create),
    Row("PATCH", C, admin.patch, "write", takes=bodies.Patch),
    Row("DELETE", C, admin.delete, "write"),
    Row("GET", f"{C}/exists", admin.exists),
    Row("GET", f"{C}/aliases", admin.aliases_of),
    Row("GET", f"{C}/cluster", admin.collection_cluster),
    Row("GET", f"{C}/optimizations", admin.optimizations),
    Row("GET", f"{C}/memory", admin.memory, known=lambda generation: generation.reports_memory),
    Row("GET", f"{C}/shards", admin.shard_keys),
    Row("PUT", f"{C}/shards", admin.create_shard_key, "write"),
    Row("PUT", f"{C}/index", admin.create_index, "write", takes=bodies.Index),
    Row("DELETE", f"{C}/index/{{field}}", admin.delete_index, "write"),
    Row("PUT", f"{C}/vectors/{{vector}}", admin.create_vector, "write", _adds_vectors, takes=bodies.VectorName),
    Row("DELETE", f"{C}/vectors/{{vector}}", admin.delete_vector, "write", _adds_vectors),
    Row("POST", f"{C}/snapshots", snapshots.create, "write"),
    Row("GET", f"{C}/snapshots", snapshots.listed),
    Row("DELETE", f"{C}/snapshots/{{snapshot}}", snapshots.delete, "write"),
    Row("PUT", f"{C}/points", points_write.upsert, "write", takes=bodies.Upsert),
    Row("POST", f"{C}/points", points_read.retrieve, takes=bodies.Retrieve),
    Row("POST", f"{C}/points/scroll", points_read.scroll, takes=bodies.Scroll),
    Row("POST", f"{C}/points/count", points_read.count, takes=bodies.Count),
    Row("POST", f"{C}/points/query", points_read.query, takes=bodies.Query),
    Row("POST", f"{C}/points/query/batch", points_read.query_batch, takes=bodies.Queries),
    Row("POST", f"{C}/points/search", points_read.search, takes=bodies.Query),
    Row("POST", f"{C}/facet", points_read.facet, takes=bodies.Facet),
    Row("PUT", f"{C}/points/vectors", points_write.update_vectors, "write", takes=bodies.UpdateVectors),
    Row("POST", f"{C}/points/vectors/delete", points_write.delete_vectors, "write", takes=bodies.DeleteVectors),
    Row("POST", f"{C}/points/payload", points_write.set_payload, "write", takes=bodies.SetPayload),
    Row("PUT", f"{C}/points/payload", points_write.overwrite_payload, "write", takes=bodies.SetPayload),
    Row("POST", f"{C}/points/payload/delete", points_write.delete_payload, "write", takes=bodies.DeletePayload),
    Row("POST", f"{C}/points/payload/clear", points_write.clear_payload, "write", takes=bodies.Select),
    Row("POST", f"{C}/points/delete", points_write.delete_points, "write", takes=bodies.Select),
)
