"""All collections of a cluster, a line each."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from changeover.cluster.api import Gateway
from changeover.cluster.errors import ClusterError
from changeover.survey.model import Vector
from changeover.survey.shape import vectors_of

AT_ONCE = 8


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One collection in the list."""

    name: str
    points: int
    vectors: tuple[str, ...]
    """Each vector in words: `text 384 Cosine`, `keywords sparse`."""
    aliases: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    """What stands out: its colour when not green, `unnamed`, `empty`, `unreadable`."""


async def list_collections(gateway: Gateway) -> tuple[Listed, ...]:
    """Every collection, by name. One that cannot be read is listed with its reason as a flag."""
    names, aliases = await gateway.collections(), await gateway.aliases()
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> Listed:
        own = tuple(sorted(alias for alias, collection in aliases.items() if collection == name))
        async with gate:
            try:
                return _listed(name, await gateway.collection(name), own)
            except ClusterError as error:
                return Listed(name=name, points=0, vectors=(), aliases=own, flags=(f"unreadable: {error}",))

    return tuple(await asyncio.gather(*(one(name) for name in names)))


def _listed(name: str, info: dict[str, Any], aliases: tuple[str, ...]) -> Listed:
    vectors = vectors_of(info)
    flags = []
    if info.get("status") != "green":
        flags.append(f"its status is {info.get('status')}")
    if any(v.name == "" for v in vectors):
        flags.append("its vector has no name")
    if not info.get("points_count"):
        flags.append("it holds no points")
    words = tuple(map(_words, vectors))
    return Listed(name=name, points=info.get("points_count") or 0, vectors=words, aliases=aliases, flags=tuple(flags))


def _words(vector: Vector) -> str:
    name = vector.name or "(unnamed)"
    if vector.kind == "sparse":
        return f"{name} sparse"
    return f"{name} {vector.size} {vector.distance}{' multivector' if vector.kind == 'multi' else ''}"
