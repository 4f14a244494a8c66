"""Catch-up before the cutover, and the sweep after it: passes over the source until nothing differs any more."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

from changeover.engine import events as ev
from changeover.engine import scans, shards
from changeover.engine.context import Context
from changeover.engine.pipeline import Pipeline
from changeover.engine.steps.compare import rounded
from changeover.errors import BlockedError
from changeover.plan.model import CatchUp, DropCollection, DropVector, SwapAlias, Sweep

if TYPE_CHECKING:
    from changeover.survey.model import PointId, ShardKey

CALM = 0.001
"""A pass that finds at most this share of all points (and never fewer than CALM_POINTS) means: caught up."""
CALM_POINTS = 50
CALM_S = 30.0
"""So does one that took at most so long: however busy the application is, no more than its last writes are missing."""
SWEEPS = 20
"""Passes after which the sweep gives up waiting for a quiet one."""
LOOKS = 5
"""Looks at points that the last pass of the sweep repaired."""
NAMED = 20
"""Late inserts named in the log."""
BETWEEN_S = 1.0
"""Between two passes of the sweep."""


async def catch_up(ctx: Context, step: CatchUp) -> str:
    """Passes until one finds little; what a busy application writes meanwhile is taken by later passes."""
    found: ev.Differences | None = None
    for number in range(1, step.passes + 1):
        found = await one_pass(ctx, step.id, number)
        if calm(ctx, found):
            break
    return f"last pass: {describe(found)}" if found else "nothing to do"


async def sweep(ctx: Context, step: Sweep) -> str:
    """At least two passes a second apart, so that a write under way during the swap is seen; conflicts are kept new."""
    if not ctx.in_place and ctx.job.source not in await ctx.gateway.collections():
        return f"{ctx.job.source} was removed; nothing can reach it any more"
    conflicts, number = 0, 0
    late = await take_newcomers(ctx)
    repaired = len(late)
    if late:
        ids = ", ".join(map(str, late[:NAMED])) + (", ..." if len(late) > NAMED else "")
        ctx.log(f"first written on the old side in the moment of the cutover, brought over: {ids}")
    while True:
        number += 1
        found, touched = await pass_with_suspects(ctx, step.id, number, sweeping=True)
        repaired += found.total
        conflicts += found.conflicts
        if number >= 2 and not found.total:
            break
        if number >= max(2, step.passes) and ctx.in_place and found.total <= calm_bound(ctx):
            await _look_again(ctx, touched.repaired)
            break
        if number >= SWEEPS:
            words = "writes keep reaching the old side; is a part of the application still on the old name?"
            if any(isinstance(later, DropCollection | DropVector) for later in ctx.plan.steps):
                raise BlockedError(
                    f"old-still-needed: {words} The last pass found {describe(found)}; nothing was removed"
                )
            ctx.log(words, "warning")
            break
        await asyncio.to_thread(ctx.throttle.sleep, BETWEEN_S)
    return f"{repaired} late writes brought over, {conflicts} conflicts (new side kept)"


async def take_newcomers(ctx: Context) -> list[PointId]:
    """Bring over what the application inserted since the last pass, by ids alone; returns those points. Not in place."""
    found = scans.Found()
    if not ctx.in_place:
        await shards.keep_up(ctx, sweeping=True)
        parts = shards.slices_of(ctx)
        fresh = [scans.newcomers(ctx.of(part.shard_key), part, found) for part in parts]
        await asyncio.to_thread(Pipeline(ctx).run, fresh, min(4, len(fresh)))
    return found.newcomers


async def _look_again(ctx: Context, repaired: dict[ShardKey | None, list[PointId]]) -> None:
    """In place the application may write a point between the look and the repair: look until its vector fits its text."""
    for _ in range(LOOKS):
        if not repaired:
            return
        await asyncio.to_thread(ctx.throttle.sleep, BETWEEN_S)
        work = Pipeline(ctx)
        looks = [scans.again(ctx.of(key), ids, stale_only=True) for key, ids in repaired.items()]
        await asyncio.to_thread(work.run, looks)
        repaired = work.repaired
    number = sum(map(len, repaired.values()))
    ctx.log(f"{number:,} points are written all the time; the application gives them their vectors", "warning")


async def lost(ctx: Context) -> int:
    """How many points that this run wrote to the new side are not there any more, though nobody else writes there."""
    written, there = ctx.ledger.written(), await ctx.gateway.count(ctx.job.target)
    if ctx.job.target in ctx.gateway.inexact_counts and there:
        return 0
    short = written - there
    # Under dual writes the application deletes there too, a moment before the next pass knows.
    return short if short > (calm_bound(ctx) if ctx.job.insert_only and there else 0) else 0


def calm(ctx: Context, found: ev.Differences) -> bool:
    """Whether the new side has caught up: a pass brings over all that was written before it began."""
    return found.total <= calm_bound(ctx) or found.seconds <= CALM_S


def calm_bound(ctx: Context) -> int:
    """How many differences in one pass still count as caught up, however long it took."""
    return max(CALM_POINTS, int(CALM * ctx.ledger.count()))


async def one_pass(ctx: Context, step: str, number: int, *, sweeping: bool = False) -> ev.Differences:
    """Compare the whole source with the ledger once and repair what differs; emits and returns what was found."""
    event, _ = await pass_with_suspects(ctx, step, number, sweeping=sweeping)
    return event


async def pass_with_suspects(
    ctx: Context, step: str, number: int, *, sweeping: bool = False
) -> tuple[ev.Differences, scans.Found]:
    """Like one_pass, and the pass's own notes (ids that lacked the new vector, points looked at)."""
    if not sweeping:
        await refuse_moved_alias(ctx)
    await shards.keep_up(ctx, sweeping=sweeping)
    found = scans.Found()
    if sweeping and ctx.job.thorough and not ctx.in_place:
        found.rounded = rounded(await ctx.gateway.collection(ctx.job.source))
    parts = shards.slices_of(ctx)
    begun = time.monotonic()
    if ctx.in_place:
        lacking = [scans.missing(ctx.of(part.shard_key), part, found, guard=sweeping) for part in parts]
        await asyncio.to_thread(Pipeline(ctx).run, lacking, min(4, len(lacking)))
    work = Pipeline(ctx)
    differing = [scans.changed(ctx.of(part.shard_key), part, found, sweep=sweeping) for part in parts]
    await asyncio.to_thread(work.run, differing, min(4, len(differing)))
    for key, gone in found.gone.items():
        await asyncio.to_thread(partial(scans.delete_gone, ctx.of(key), found, gone, sweep=sweeping))
    took = time.monotonic() - begun
    event = found.event(ctx.clock(), step, number, took)
    if sweeping and ctx.in_place:
        found.repaired = work.repaired
        # A point whose vector the application wrote itself is no late write: only what was repaired counts.
        event = ev.Differences(
            at=event.at,
            step=step,
            number=number,
            missing=event.missing,
            edited=sum(map(len, work.repaired.values())),
            deleted=event.deleted,
            seconds=event.seconds,
        )
    ctx.emit(event)
    ctx.log(f"pass {number}: {found.scanned:,} points compared in {took:.1f} s, {describe(event)}")
    return event, found


async def refuse_moved_alias(ctx: Context) -> None:
    """Before the swap nobody but this run writes to the target; raises BlockedError where the alias points there."""
    swap = next((step for step in ctx.plan.steps if isinstance(step, SwapAlias)), None)
    if swap is None or ctx.state.step(swap.id).status != "waiting":
        return
    if (await ctx.gateway.aliases()).get(swap.alias) == ctx.job.target:
        raise BlockedError(
            f"alias-moved: {swap.alias} points to {ctx.job.target} already, and not by this run: what the application"
            f" writes there would be taken for differences. Point it back at {ctx.job.source}, then"
            f" `changeover resume {ctx.folder.name}`"
        )


def describe(event: ev.Differences) -> str:
    """A pass in words."""
    parts = [
        f"{count:,} {word}"
        for count, word in (
            (event.new, "new"),
            (event.edited, "edited"),
            (event.payload, "with another payload"),
            (event.deleted, "deleted"),
            (event.missing, "without their vector"),
            (event.conflicts, "in conflict"),
        )
        if count
    ]
    return ", ".join(parts) or "no differences"
