"""The servers behind the URL: version, peers, rights of the key, gRPC port."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from typing import Any

import msgspec

from changeover.cluster.address import Address
from changeover.cluster.api import Gateway
from changeover.cluster.errors import ClusterError
from changeover.cluster.gateway import segment
from changeover.survey.model import Cluster, Peer, Rights

GRPC_PORTS_BESIDE = 1
"""Qdrant's default gRPC port is the HTTP port plus one (6333, 6334)."""


async def servers_of(gateway: Gateway, address: Address, collection: str) -> tuple[Cluster, tuple[str, ...]]:
    """Versions, peers, rights, gRPC; and notes on what could not be read."""
    version = await gateway.version()
    peers, distributed, notes = await _peers(gateway, version)
    port = address.grpc_port or address.port + GRPC_PORTS_BESIDE
    cluster = Cluster(
        url=address.url,
        version=version,
        peers=peers,
        distributed=distributed,
        grpc_port=port if await _grpc_answers(address, port) else None,
        tls=address.scheme == "https",
        has_key=address.key is not None,
        rights=await rights_of(gateway, address, collection),
    )
    return cluster, notes


async def rights_of(gateway: Gateway, address: Address, collection: str) -> Rights:
    """What the key may do, asked without side effects.

    Points: deleting no points is answered 400 `Empty update request` with the right and 403 without (recorded).
    Manage: reading the slow requests needs it (server source, 1.15.5 to 1.19). The right to change one collection's
    schema cannot be probed without changing it, so it is read from the token's own claims.
    """
    path = f"/collections/{segment(collection)}"
    manage = await _allowed(gateway, "GET", "/profiler/slow_requests", None)
    points = manage or await _allowed(gateway, "POST", f"{path}/points/delete?wait=true", {"points": []})
    return Rights(
        read=await _allowed(gateway, "POST", f"{path}/points/count", {"exact": False}),
        write_points=points,
        write_collection=manage or (points and _token_grants_schema(address.key, collection)),
        manage=manage,
    )


def _token_grants_schema(key: str | None, collection: str) -> bool:
    """Whether a JWT's `access` claim gives `rw` on the collection; a key that is no JWT is taken at its probes."""
    parts = (key or "").split(".")
    if len(parts) != 3:
        return True
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        access = msgspec.json.decode(base64.urlsafe_b64decode(padded)).get("access")
    except (ValueError, AttributeError, msgspec.DecodeError):
        return True
    if isinstance(access, list):
        return any(entry.get("collection") == collection and entry.get("access") == "rw" for entry in access)
    return bool(access == "m")


async def _allowed(gateway: Gateway, method: str, path: str, body: Any) -> bool:
    try:
        await gateway.send(method, path, body)
    except ClusterError as error:
        return error.status not in (401, 403)
    return True


async def _peers(gateway: Gateway, version: str) -> tuple[tuple[Peer, ...], bool, tuple[str, ...]]:
    alone = (Peer(id=0, version=version),)
    try:
        now = await gateway.send("GET", "/cluster")
    except ClusterError as error:
        return alone, False, (f"the peers could not be read: {error}",)
    if not isinstance(now, dict) or now.get("status") != "enabled":
        return alone, False, ()
    versions: dict[str, str] = {}
    with contextlib.suppress(ClusterError, AttributeError, KeyError, TypeError):
        # Peer metadata holds each peer's version in the consensus part of the telemetry (server source).
        telemetry = await gateway.send("GET", "/telemetry?details_level=3")
        metadata = telemetry["cluster"]["peer_metadata"]
        versions = {str(peer): str(entry["version"]) for peer, entry in metadata.items()}
    found = tuple(
        Peer(id=int(peer), version=versions.get(str(peer), version), uri=str((entry or {}).get("uri", "")))
        for peer, entry in (now.get("peers") or {}).items()
    )
    known = all(str(peer.id) in versions for peer in found)
    note = () if known else ("the versions of the other peers could not be read; they are taken to be the same",)
    return found or alone, True, note


async def _grpc_answers(address: Address, port: int) -> bool:
    """Whether gRPC really answers there: a health check, not only an open port."""
    from changeover.cluster.wire_grpc import GrpcWire

    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(address.host, port), timeout=1.0)
    except (OSError, TimeoutError):
        return False
    writer.close()
    wire = GrpcWire(address._replace(grpc_port=port))
    return await asyncio.to_thread(wire.answers)
