"""Take a survey: each thing by its own module, composed here. Reading only."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from changeover.cluster.address import resolve
from changeover.cluster.api import Gateway
from changeover.cluster.errors import ClusterError
from changeover.embed.model import ModelSpec
from changeover.errors import UsageError
from changeover.plan.model import Access
from changeover.survey import condition, proof, samples, servers, shape, text
from changeover.survey.model import Alias, Survey, Vector


async def take(
    gateway: Gateway,
    asked: str,
    access: Access,
    *,
    old_model: ModelSpec | None = None,
    environ: Mapping[str, str],
) -> Survey:
    """Everything about a collection or alias. Raises UsageError for an unknown name, ClusterError, ChangeoverError."""
    names, aliases = await gateway.collections(), await gateway.aliases()
    name = real_name(asked, names, aliases)
    info = await gateway.collection(name)
    cluster, notes = await servers.servers_of(gateway, resolve(access, environ), name)
    shards, shard_note = await shape.shards_of(gateway, name, info)
    sample = await samples.sample_of(gateway, name)
    if cluster.grpc_port is not None and any(map(samples.beyond_grpc, sample.points)):
        cluster = msgspec.structs.replace(cluster, grpc_port=None)
        notes = (*notes, "payloads hold integers from 2^63 up, which gRPC turns into floats; REST is used instead")
    vectors = await _counted(gateway, name, shape.vectors_of(info))
    found, proof_note = text.propose(sample.points, old_model), ""
    if old_model is not None:
        found, proof_note = await proof.prove(gateway, name, vectors, found, sample.points, environ)
    size, size_notes = await condition.size_of(gateway, name, info, vectors, sample.points, found.template)
    config = info["config"]
    return Survey(
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
        asked=asked,
        collection=name,
        cluster=cluster,
        vectors=vectors,
        state=await condition.state_of(gateway, name, info),
        size=size,
        indexes=shape.indexes_of(info),
        aliases=tuple(Alias(name=a, collection=c) for a, c in sorted(aliases.items()) if c == name),
        other_aliases=tuple(Alias(name=a, collection=c) for a, c in sorted(aliases.items()) if c != name),
        collections=names,
        shards=shards,
        strict=_strict(config.get("strict_mode_config")),
        config=config,
        metadata=config.get("metadata") or {},
        sample=sample.points,
        text=found,
        id_cuts=sample.cuts,
        notes=tuple(note for note in (*notes, shard_note, sample.note, proof_note, *size_notes) if note),
    )


def real_name(asked: str, names: tuple[str, ...], aliases: Mapping[str, str]) -> str:
    """The collection behind a name; aliases win, as on the server. Raises UsageError with near matches."""
    if asked in aliases:
        return aliases[asked]
    if asked in names:
        return asked
    if not asked.strip():
        raise UsageError("the name of the collection is empty; `changeover inspect` lists what there is")
    near = difflib.get_close_matches(asked, [*names, *aliases], n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "`changeover inspect` lists what there is"
    raise UsageError(f"there is no collection or alias {asked!r} on this cluster, or the key may not see it; {hint}")


async def _counted(gateway: Gateway, name: str, vectors: tuple[Vector, ...]) -> tuple[Vector, ...]:
    counted = []
    for vector in vectors:
        try:
            points = await gateway.count(name, {"must": [{"has_vector": vector.name}]})
        except ClusterError:
            counted.append(vector)
            continue
        counted.append(msgspec.structs.replace(vector, points=points))
    return tuple(counted)


def _strict(config: dict[str, object] | None) -> dict[str, object]:
    return config if config and config.get("enabled") else {}
