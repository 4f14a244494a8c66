"""The shape of a collection: vectors, payload indexes, shards. From its answer to GET /collections/{name}."""

from __future__ import annotations

from typing import Any

from changeover.cluster.api import Gateway
from changeover.cluster.errors import ClusterError
from changeover.cluster.gateway import segment
from changeover.survey.model import Index, Replica, ShardKey, Shards, Vector


def vectors_of(info: dict[str, Any]) -> tuple[Vector, ...]:
    """Dense, multi and sparse vectors; the unnamed one has the name ""."""
    params = info["config"]["params"]
    dense = params.get("vectors") or {}
    # A named vector may itself be called "size".
    if isinstance(dense.get("size"), int):
        dense = {"": dense}
    found = [
        Vector(
            name=name,
            kind="multi" if config.get("multivector_config") else "dense",
            size=config.get("size"),
            distance=config.get("distance"),
            datatype=config.get("datatype"),
            on_disk=config.get("on_disk"),
            params=config,
        )
        for name, config in dense.items()
    ]
    found += [
        Vector(name=name, kind="sparse", params=config or {})
        for name, config in (params.get("sparse_vectors") or {}).items()
    ]
    return tuple(found)


def indexes_of(info: dict[str, Any]) -> tuple[Index, ...]:
    """Payload indexes with what to send to create each again."""
    found = []
    for field, entry in (info.get("payload_schema") or {}).items():
        schema = entry.get("params") or {"type": entry["data_type"]}
        found.append(Index(field=field, schema=schema, points=entry.get("points") or 0))
    return tuple(sorted(found, key=lambda index: index.field))


def keys_of(cluster: dict[str, Any]) -> dict[ShardKey, int]:
    """Shard keys of an answer to GET /collections/{c}/cluster, with the number of shards of each; {} under automatic sharding."""
    shards: dict[ShardKey, set[int]] = {}
    for shard in (*cluster.get("local_shards", []), *cluster.get("remote_shards", [])):
        if shard.get("shard_key") is not None:
            shards.setdefault(shard["shard_key"], set()).add(shard["shard_id"])
    return {
        key: len(numbers)
        for key, numbers in sorted(shards.items(), key=lambda item: (str(item[0]), type(item[0]).__name__))
    }


async def shards_of(gateway: Gateway, name: str, info: dict[str, Any]) -> tuple[Shards, str]:
    """Shards, replicas, transfers; and a note when the key may not read them."""
    params = info["config"]["params"]
    shards = Shards(
        number=params.get("shard_number") or 1,
        replication_factor=params.get("replication_factor") or 1,
        method=params.get("sharding_method") or "auto",
    )
    try:
        now = await gateway.send("GET", f"/collections/{segment(name)}/cluster")
    except ClusterError as error:
        return shards, f"shards and replicas could not be read: {error}"
    local = [
        Replica(
            shard=s["shard_id"],
            peer=now["peer_id"],
            state=s["state"],
            points=s.get("points_count"),
            shard_key=s.get("shard_key"),
        )
        for s in now.get("local_shards", [])
    ]
    remote = [
        Replica(shard=s["shard_id"], peer=s["peer_id"], state=s["state"], shard_key=s.get("shard_key"))
        for s in now.get("remote_shards", [])
    ]
    return (
        Shards(
            number=shards.number,
            replication_factor=shards.replication_factor,
            method=shards.method,
            keys=tuple(keys_of(now)),
            replicas=(*local, *remote),
            transfers=len(now.get("shard_transfers") or []),
            resharding=len(now.get("resharding_operations") or []),
        ),
        "",
    )
