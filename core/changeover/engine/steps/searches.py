"""Searches of a step: several at once, patient with a server that is not keeping up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from changeover.cluster.api import Hit, Inference, Part, SparseValue
from changeover.cluster.errors import Action, ClusterError
from changeover.engine.context import Context
from changeover.survey.model import PointId

TOP = 10
AT_ONCE = 4
TRIES = 8


async def all_of(
    ctx: Context,
    collection: str,
    queries: Sequence[Any],
    using: str,
    *,
    exact: bool = False,
    quantization: Mapping[str, Any] | None = None,
) -> list[list[PointId]]:
    """The ten best ids per query; [] for a query of None (a text without terms)."""

    async def one(query: Any) -> list[PointId]:
        if query is None:
            return []

        def search(exact: bool) -> Awaitable[list[Hit]]:
            return ctx.gateway.search(collection, query, using=using, limit=TOP, exact=exact, quantization=quantization)

        return [hit.id for hit in await patient(ctx, search, exact)]

    return await _at_once(one, queries)


async def fused(
    ctx: Context, collection: str, queries: Sequence[tuple[Any, Any]], using: tuple[str, str], fusion: str
) -> list[list[PointId]]:
    """The ten best ids of dense and sparse fused by the server; the other part alone where one is None."""

    async def one(pair: tuple[Any, Any]) -> list[PointId]:
        parts = [Part(query, name) for query, name in zip(pair, using, strict=True) if query is not None]
        return [h.id for h in await patient(ctx, lambda _: ctx.gateway.fused(collection, parts, fusion=fusion), False)]

    return await _at_once(one, queries)


async def patient(ctx: Context, search: Callable[[bool], Awaitable[list[Hit]]], exact: bool) -> list[Hit]:
    """One search, again while the answer says RETRY; approximate where strict mode forbids exact search."""
    for attempt in range(TRIES):
        try:
            return await search(exact)
        except ClusterError as error:
            if exact and "Exact search disabled" in str(error):
                exact = False
                continue
            if error.action is not Action.RETRY or attempt == TRIES - 1:
                raise
            await asyncio.to_thread(ctx.throttle.sleep, max(error.retry_after_s or 0, 0.2 * 2**attempt))
    return []


def plain(query: Any) -> Any:
    """A dense query as a list; every other kind as it is."""
    if isinstance(query, SparseValue | Inference) or query is None or getattr(query, "ndim", 1) == 2:
        return query
    return query.tolist() if hasattr(query, "tolist") else query


async def _at_once(one: Callable[[Any], Awaitable[list[PointId]]], queries: Sequence[Any]) -> list[list[PointId]]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def gated(query: Any) -> list[PointId]:
        async with gate:
            return await one(query)

    return list(await asyncio.gather(*(gated(query) for query in queries)))
