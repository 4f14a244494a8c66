"""Custom shard keys: the same id can stand under several of them, so that each is worked on by itself.

Slices, ledger and requests are those of one key at a time (`Context.of`). Keys that the application adds or removes
while a run goes on are followed like points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from changeover.cluster.errors import ClusterError
from changeover.engine.context import Context
from changeover.engine.patient import patiently
from changeover.plan.model import CatchUp, CreateShardKeys, Load, Slice
from changeover.survey.shape import keys_of

if TYPE_CHECKING:
    from changeover.survey.model import ShardKey


def parts(ctx: Context) -> list[Context]:
    """One context per shard key of the source; the whole one where sharding is automatic."""
    if ctx.shard_key is not None or not sharded(ctx):
        return [ctx]
    return [ctx.of(key) for key in ctx.shard_keys]


def sharded(ctx: Context) -> bool:
    """Whether the plan is for a collection with custom shard keys."""
    return any(part.shard_key is not None for part in _planned(ctx))


def slices_of(ctx: Context) -> tuple[Slice, ...]:
    """The slices of the plan's load (or first catch-up): passes use the same parts.

    Under custom sharding, those of the keys that are there now, and a whole one for each that came later.
    """
    planned = _planned(ctx)
    if not sharded(ctx):
        return planned
    later = [key for key in ctx.shard_keys if not any(_is(part.shard_key, key) for part in planned)]
    number = max(part.number for part in planned) + 1
    every = (*planned, *(Slice(number=number + i, shard_key=key) for i, key in enumerate(later)))
    wanted = ctx.shard_keys if ctx.shard_key is None else (ctx.shard_key,)
    return tuple(part for part in every if any(_is(part.shard_key, key) for key in wanted))


async def keep_up(ctx: Context, *, sweeping: bool = False) -> None:
    """Look which shard keys the source has; the target gets those that it lacks and loses those that were removed.

    On the side that serves, or that may be the only copy, no key is removed.
    """
    if not sharded(ctx):
        return
    found = keys_of(await _cluster(ctx, ctx.job.source))
    ctx.shard_keys = tuple(found)
    if ctx.in_place:
        _forget(ctx, [key for key in _known(ctx) if key not in found])
        return
    there = keys_of(await _cluster(ctx, ctx.job.target))
    for key, number in found.items():
        if key not in there:
            await _create(ctx, {"shard_key": key, "shards_number": number})
    removed = [] if sweeping or ctx.plan.follows else [key for key in _known(ctx) if key not in found]
    for key in removed:
        if key in there:
            await _change(ctx, "POST", "/delete", {"shard_key": key})
            ctx.log(f"shard key {key} was removed from {ctx.job.source}, and now from {ctx.job.target}")
    _forget(ctx, removed)


async def create_shard_keys(ctx: Context, step: CreateShardKeys) -> str:
    """Create the plan's keys, but for those that are there (creating one again is an error up to 1.19)."""
    there = keys_of(await _cluster(ctx, ctx.job.target))
    for request in step.requests:
        if request.body["shard_key"] not in there:
            await _create(ctx, request.body)
    return f"{len(step.requests)} shard keys"


def _planned(ctx: Context) -> tuple[Slice, ...]:
    for step in ctx.plan.steps:
        if isinstance(step, Load | CatchUp) and step.slices:
            return step.slices
    return (Slice(number=0),)


def _is(a: ShardKey | None, b: ShardKey) -> bool:
    """Equal, and of the same kind: the word "7" and the number 7 are two keys."""
    return type(a) is type(b) and a == b


def _known(ctx: Context) -> list[ShardKey]:
    """Keys that this run has worked on."""
    return [key for key in dict.fromkeys(part.shard_key for part in _planned(ctx)) if key is not None]


def _forget(ctx: Context, keys: list[ShardKey]) -> None:
    for key in keys:
        part = ctx.of(key)
        part.ledger.drop(list(part.ledger.between(None, None)))


async def _create(ctx: Context, body: dict[str, Any]) -> None:
    """Create a key in the target; one that is there by then is fine: a lost answer, or the application was quicker."""
    try:
        await _change(ctx, "PUT", "", body)
    except ClusterError:
        if body["shard_key"] not in keys_of(await _cluster(ctx, ctx.job.target)):
            raise


async def _cluster(ctx: Context, collection: str) -> dict[str, Any]:
    path = f"/collections/{quote(collection, safe='')}/cluster"
    answer: dict[str, Any] = await patiently(ctx, lambda: ctx.gateway.send("GET", path))
    return answer


async def _change(ctx: Context, method: str, what: str, body: dict[str, Any]) -> None:
    path = f"/collections/{quote(ctx.job.target, safe='')}/shards{what}"
    await patiently(ctx, lambda: ctx.gateway.send(method, path, body))
