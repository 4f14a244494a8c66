"""The load: every slice is read, embedded and written, from its last checkpoint on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from changeover.engine import events as ev
from changeover.engine import scans, shards
from changeover.engine.acks import Acked
from changeover.engine.context import Context
from changeover.engine.pipeline import Pipeline
from changeover.plan.model import Load, Slice

CHECKPOINT_S = 0.5
"""A slice's position is written down at most this often; what lies between is written again after a crash."""


async def load(ctx: Context, step: Load) -> str:
    """Run the slices that are not done yet; returns how many points were read."""
    before = ctx.state.acked.get(step.id, {})
    total = await ctx.gateway.count(ctx.job.source)
    ctx.meter.start(sum(event.points for event in before.values()))
    progress = _Progress(ctx, step.id, total)
    await shards.keep_up(ctx)
    todo = [part for part in shards.slices_of(ctx) if not (part.number in before and before[part.number].done)]
    sources = [
        scans.load(
            ctx.of(part.shard_key),
            part,
            before[part.number].position if part.number in before else None,
            before[part.number].points if part.number in before else 0,
            progress.of(part),
        )
        for part in todo
    ]
    await asyncio.to_thread(Pipeline(ctx).run, sources, min(4, max(1, len(sources))))
    ctx.ledger.after_load()
    done = ctx.state.acked.get(step.id, {})
    points = sum(event.points for event in done.values())
    ctx.emit(ev.Progress(at=ctx.clock(), step=step.id, done=points, total=points))
    return f"{points:,} points read, {ctx.ledger.count():,} in the ledger"


class _Progress:
    """Turns acknowledgements into checkpoints and progress, no more often than needed."""

    def __init__(self, ctx: Context, step: str, total: int) -> None:
        self._ctx = ctx
        self._step = step
        self._total = total
        self._told: dict[int, float] = {}
        self._told_progress = 0.0

    def of(self, part: Slice) -> Callable[[Acked], None]:
        """What a scan of this slice reports to."""

        def acked(now: Acked) -> None:
            moment = time.monotonic()
            if now.done or moment - self._told.get(part.number, 0.0) >= CHECKPOINT_S:
                self._told[part.number] = moment
                self._ctx.emit(
                    ev.SliceAcked(
                        at=self._ctx.clock(),
                        step=self._step,
                        slice=part.number,
                        position=now.position,
                        points=now.points,
                        done=now.done,
                    )
                )
            if moment - self._told_progress >= CHECKPOINT_S:
                self._told_progress = moment
                done = sum(event.points for event in self._ctx.state.acked.get(self._step, {}).values())
                total = max(self._total, done)
                self._ctx.emit(ev.Progress(at=self._ctx.clock(), step=self._step, done=done, total=total))

        return acked
