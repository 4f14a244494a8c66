"""The servers behind the URL: version, peers, rights of the key, gRPC port."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import msgspec

from changeover.cluster.address import Address
from changeover.cluster.api import Gateway
from changeover.cluster.errors import Action, ClusterError
from changeover.cluster.gateway import segment
from changeover.survey.model import Cluster, Peer, Rights
from changeover.words import plural

GRPC_PORTS_BESIDE = 1
"""Qdrant's default gRPC port is the HTTP port plus one (6333, 6334)."""


async def servers_of(gateway: Gateway, address: Address, collection: str) -> tuple[Cluster, tuple[str, ...]]:
    """Versions, peers, rights, gRPC; and notes on what could not be read."""
    version = await gateway.version()
    peers, distributed, peers_note = await _peers(gateway, version)
    grpc_port, grpc_note = await _grpc_port(gateway, address, version)
    rights, rights_note = await rights_of(gateway, address, collection)
    cluster = Cluster(
        url=address.url,
        version=version,
        peers=peers,
        distributed=distributed,
        grpc_port=grpc_port,
        tls=address.scheme == "https",
        has_key=address.key is not None,
        rights=rights,
    )
    return cluster, tuple(note for note in (peers_note, grpc_note, rights_note) if note)


async def rights_of(gateway: Gateway, address: Address, collection: str) -> tuple[Rights, str]:
    """What the key may do, asked without side effects; and a note on what could not be asked.

    Points: deleting no points is answered 400 `Empty update request` with the right and 403 without (recorded).
    Manage: reading the slow requests needs it (server source, 1.15.5 to 1.19). The right to change one collection's
    schema cannot be probed without changing it, so it is read from the token's own claims.
    """
    path = f"/collections/{segment(collection)}"
    unasked: list[str] = []

    async def allowed(method: str, path: str, body: Any = None) -> bool:
        try:
            await gateway.send(method, path, body)
        except ClusterError as error:
            # A rate limit is met after the key was accepted.
            if error.status is None or (error.action is Action.RETRY and error.status != 429):
                unasked.append(str(error))
                return False
            return error.status not in (401, 403)
        return True

    read = await allowed("POST", f"{path}/points/count", {"exact": False})
    manage = await allowed("GET", "/profiler/slow_requests")
    points = manage or await allowed("POST", f"{path}/points/delete?wait=true", {"points": []})
    rights = Rights(
        read=read,
        write_points=points,
        write_collection=manage or (points and _token_grants_schema(address.key, collection)),
        manage=manage,
    )
    return rights, f"not all rights of the key could be asked: {unasked[0]}" if unasked else ""


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


async def _peers(gateway: Gateway, version: str) -> tuple[tuple[Peer, ...], bool, str]:
    """(peers, whether it is a cluster, note). A server by itself is one peer with id 0."""
    alone = (Peer(id=0, version=version),)
    try:
        now = await gateway.send("GET", "/cluster")
    except ClusterError as error:
        if error.status == 403:
            # Seen on 1.18.3: a key for single collections gets an empty list of aliases, not a refusal.
            return alone, False, "the key is for single collections: other servers and aliases may exist that it hides"
        return alone, False, f"the peers could not be read, so only the version of this one is known: {error}"
    if not isinstance(now, dict) or now.get("status") != "enabled":
        return alone, False, ""
    versions = await peer_versions(gateway)
    found = tuple(
        Peer(id=int(peer), version=versions.get(str(peer), version), uri=str((entry or {}).get("uri", "")))
        for peer, entry in (now.get("peers") or {}).items()
    )
    unknown = sum(str(peer.id) not in versions and peer.id != now.get("peer_id") for peer in found)
    note = f"the version of {plural(unknown, 'other peer')} could not be read; it is taken to be {version}"
    return found or alone, True, note if unknown else ""


async def peer_versions(gateway: Gateway) -> dict[str, str]:
    """Peer id -> version, as the consensus knows it; {} where the key may not read the telemetry."""
    try:
        telemetry = await gateway.send("GET", "/telemetry?details_level=3")
        return {str(peer): str(entry["version"]) for peer, entry in telemetry["cluster"]["peer_metadata"].items()}
    except (ClusterError, AttributeError, KeyError, TypeError):
        return {}


async def _grpc_port(gateway: Gateway, address: Address, version: str) -> tuple[int | None, str]:
    """The port where the same server answers over gRPC, or None; and a note when another one does.

    A guessed port can belong to another server, which must never be written to: version and collections are compared.
    """
    from changeover.cluster.wire_grpc import GrpcWire

    port = address.grpc_port or address.port + GRPC_PORTS_BESIDE
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(address.host, port), timeout=1.0)
    except (OSError, TimeoutError, ValueError, OverflowError):
        asked = f"nothing answers on the gRPC port {port}; REST is used instead" if address.grpc_port else ""
        return None, asked
    writer.close()
    wire = GrpcWire(address._replace(grpc_port=port))
    found = await asyncio.to_thread(wire.identity)
    wire.close()
    if found is None:
        return None, f"no Qdrant answers on the gRPC port {port}; REST is used instead" if address.grpc_port else ""
    if found.version != version or found.collections != frozenset(await gateway.collections()):
        return None, f"on the gRPC port {port} another server answers (Qdrant {found.version}); REST is used instead"
    return port, ""
