"""Cleanup: the old collection or the old vector goes, after a last look at what still depends on it."""

from __future__ import annotations

from changeover.engine.context import Context
from changeover.engine.steps.converge import sweep
from changeover.engine.steps.schema import send
from changeover.errors import BlockedError
from changeover.plan.model import DropCollection, DropVector, Sweep


async def drop_collection(ctx: Context, step: DropCollection) -> str:
    """Remove the old collection; a crash in between is mended by running it again, after another sweep.

    Raises BlockedError while an alias points to it, or when the new side is not there or empty.
    """
    old, new = ctx.job.source, ctx.job.target
    pointing = sorted(name for name, collection in (await ctx.gateway.aliases()).items() if collection == old)
    if pointing:
        raise BlockedError(f"old-still-needed: alias {pointing[0]} points to {old}; it is not removed")
    if new not in await ctx.gateway.collections():
        raise BlockedError(f"old-still-needed: {new} is not there any more; {old} is not removed")
    if old not in await ctx.gateway.collections():
        return f"{old} was removed before"
    swept = next((s for s in ctx.plan.steps if isinstance(s, Sweep) and s.id in ctx.begun_before), None)
    if swept is not None:
        ctx.log(f"sweeping again: an earlier engine did it, {old} may have been written since")
        await sweep(ctx, swept)
    if await ctx.gateway.count(old) and not await ctx.gateway.count(new):
        raise BlockedError(f"old-still-needed: {new} is empty; {old} is not removed")
    await send(ctx, step.request)
    return f"{old} is removed"


async def drop_vector(ctx: Context, step: DropVector) -> str:
    """Remove the old vector. Raises BlockedError when the new one is not there, or no point holds it."""
    job = ctx.job
    stored = (await ctx.gateway.collection(job.source))["config"]["params"].get("vectors") or {}
    if job.target_vector not in stored:
        raise BlockedError(f"old-still-needed: {job.target_vector} is not there any more; {step.vector} is not removed")
    if step.vector not in stored:
        return f"{step.vector} was removed before"
    if not await ctx.gateway.count(job.source, {"must": [{"has_vector": job.target_vector}]}):
        raise BlockedError(f"old-still-needed: no point holds {job.target_vector}; {step.vector} is not removed")
    await send(ctx, step.request)
    return f"{step.vector} is removed"
