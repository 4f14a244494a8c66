"""Without zero downtime: the old collection is removed once the new one is verified, and its name becomes the alias."""

from __future__ import annotations

from changeover.engine import events as ev
from changeover.engine.context import Context
from changeover.engine.steps.converge import describe, lost, one_pass
from changeover.engine.steps.schema import send
from changeover.errors import BlockedError
from changeover.plan.model import ReplaceByAlias


async def replace_by_alias(ctx: Context, step: ReplaceByAlias) -> str:
    """Remove the old collection, then name the new one like it: a crash in between is mended by running it again.

    Raises BlockedError when the new collection is not verified or not there, or another one has the name.
    """
    source, target = ctx.job.source, ctx.job.target
    verified = ctx.state.verified
    if verified is None or verified.problems:
        raise BlockedError(f"{source} is not removed: {target} is not verified")
    if not await ctx.gateway.exists(target):
        raise BlockedError(f"{source} is not removed: {target} is not there any more")
    aliases = await ctx.gateway.aliases()
    if aliases.get(source) not in (None, target):
        raise BlockedError(f"alias {source} points to {aliases[source]}; nothing was removed")
    if source in await ctx.gateway.collections():
        await _nobody_writes(ctx, step)
        await send(ctx, step.remove)
    await send(ctx, step.name)
    detail = f"{source} is an alias of {target} now; the old collection is removed"
    ctx.emit(ev.CutOver(at=ctx.clock(), detail=detail))
    return detail


async def _nobody_writes(ctx: Context, step: ReplaceByAlias) -> None:
    """A last pass must find nothing: what is written to the old collection now would be removed with it."""
    found = await one_pass(ctx, step.id, 1)
    if found.total:
        found = await one_pass(ctx, step.id, 2)
    if found.total:
        raise BlockedError(
            f"{ctx.job.source} is still being written to ({describe(found)}); it is not removed. Stop the application,"
            " then `changeover resume`"
        )
    short = await lost(ctx)
    if short:
        raise BlockedError(
            f"{ctx.job.source} is not removed: {short:,} points that were written to {ctx.job.target} are not there any"
            " more; was it changed by somebody else? Make a new plan"
        )
