"""The optimizer's backlog in the collection that serves: points that wait for their index make searches slow."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from changeover.cluster.errors import ClusterError

if TYPE_CHECKING:
    from changeover.engine.context import Context

POLL_S = 5.0
MOST = 20_000
SHARE = 0.1
"""So many points, or this share of all where that is more, may wait for the optimizer before the load slows down."""


async def watch(ctx: Context) -> None:
    """Tell the throttle how long the optimizer's queue is, for ever; servers before 1.17 do not say.

    Only in place: a collection that is loaded blue-green serves nobody, and has its indexing paused.
    """
    while ctx.in_place:
        await asyncio.sleep(POLL_S)
        try:
            queued = (await ctx.gateway.optimizations(ctx.job.target)).queued_points
        except ClusterError:
            continue  # what is wrong shows in the step at work
        if queued is None:
            break
        ctx.throttle.on_backlog(queued, max(MOST, int(SHARE * ctx.ledger.count())))
    await asyncio.Event().wait()
