"""Cleanup: the old collection or the old vector goes, after a last look at what still depends on it."""

from __future__ import annotations

import asyncio

from changeover.engine import by_ids, left_out, shards
from changeover.engine.context import Context
from changeover.engine.ledger import LEFT_OUT
from changeover.engine.patience import patiently
from changeover.engine.steps.converge import sweep
from changeover.engine.steps.schema import send
from changeover.errors import BlockedError
from changeover.ids import id_key
from changeover.plan.model import DropCollection, DropVector, Sweep
from changeover.survey.model import PointId

NAMED = 5


async def drop_collection(ctx: Context, step: DropCollection) -> str:
    """Remove the old collection; a crash in between is mended by running it again, after another sweep.

    Raises BlockedError while an alias points to it, when the new side is not there or empty, or when points are in the
    old collection alone.
    """
    old = ctx.job.source
    if not await _may_go(ctx):
        return f"{old} was removed before"
    if await _swept_again(ctx) and not await _may_go(ctx):  # that took its time
        return f"{old} was removed before"
    await refuse_only_copies(ctx)
    await send(ctx, step.request)
    return f"{old} is removed"


async def drop_vector(ctx: Context, step: DropVector) -> str:
    """Remove the old vector. Raises BlockedError when the new one is not there, or points hold the old one alone."""
    job = ctx.job
    stored = (await ctx.gateway.collection(job.source))["config"]["params"].get("vectors") or {}
    if job.target_vector not in stored:
        raise BlockedError(f"old-still-needed: {job.target_vector} is not there any more; {step.vector} is not removed")
    if step.vector not in stored:
        return f"{step.vector} was removed before"
    await _swept_again(ctx)
    if not await ctx.gateway.count(job.source, {"must": [{"has_vector": job.target_vector}]}):
        raise BlockedError(f"old-still-needed: no point holds {job.target_vector}; {step.vector} is not removed")
    alone = {"must": [{"has_vector": step.vector}], "must_not": [{"has_vector": job.target_vector}]}
    count = await ctx.gateway.count(job.source, alone)
    if count and not ctx.overruled(left_out.CODE):
        page = await asyncio.to_thread(
            patiently, ctx, lambda: ctx.wire.scroll(job.source, start=None, limit=NAMED, payload=False, filter=alone)
        )
        named = ", ".join(map(str, page.ids)) + (", ..." if count > NAMED else "")
        raise BlockedError(
            f"{left_out.CODE}: {count:,} points hold {step.vector} and no {job.target_vector}: {named}; it is not"
            f" removed. {_hint(ctx)}"
        )
    await send(ctx, step.request)
    return f"{step.vector} is removed"


async def refuse_only_copies(ctx: Context) -> None:
    """Raises BlockedError when points that the run left out are in the old collection and not in the new one."""
    if ctx.overruled(left_out.CODE):
        return
    await shards.keep_up(ctx, sweeping=True)
    alone: list[PointId] = []
    for part in shards.parts(ctx):
        old = await asyncio.to_thread(by_ids.existing, part, ctx.job.source, part.ledger.marked(LEFT_OUT))
        new = await asyncio.to_thread(by_ids.existing, part, ctx.job.target, list(old))
        alone += sorted(old - new, key=id_key)
    if alone:
        named = ", ".join(map(str, alone[:NAMED])) + (", ..." if len(alone) > NAMED else "")
        raise BlockedError(
            f"{left_out.CODE}: {len(alone):,} points are in {ctx.job.source} alone, the new side rejected them: {named};"
            f" it is not removed. {_hint(ctx)}"
        )


async def _may_go(ctx: Context) -> bool:
    """Whether the old collection is there; raises BlockedError when something needs it."""
    old, new = ctx.job.source, ctx.job.target
    pointing = sorted(name for name, collection in (await ctx.gateway.aliases()).items() if collection == old)
    if pointing:
        raise BlockedError(f"old-still-needed: alias {pointing[0]} points to {old}; it is not removed")
    there = await ctx.gateway.collections()
    if new not in there:
        raise BlockedError(f"old-still-needed: {new} is not there any more; {old} is not removed")
    if old not in there:
        return False
    if await ctx.gateway.count(old) and not await ctx.gateway.count(new):
        raise BlockedError(f"old-still-needed: {new} is empty; {old} is not removed")
    return True


async def _swept_again(ctx: Context) -> bool:
    """Sweep once more where an earlier engine did it: the old side may have been written since."""
    swept = next((s for s in ctx.plan.steps if isinstance(s, Sweep) and s.id in ctx.begun_before), None)
    if swept is not None:
        ctx.log(f"sweeping again: an earlier engine did it, {ctx.job.source} may have been written since")
        await sweep(ctx, swept)
    return swept is not None


def _hint(ctx: Context) -> str:
    return f"`changeover resume {ctx.folder.name} --accept {left_out.CODE}` removes it all the same"
