"""Wait until the optimizer is done: green, nothing queued, twice in a row; or only with what is written all the time."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import quote

from changeover.cluster.api import Optimizations
from changeover.cluster.errors import Action, ClusterError
from changeover.engine import events as ev
from changeover.engine.backlog import MOST
from changeover.engine.context import Context
from changeover.engine.steps.schema import send
from changeover.errors import UnreachableError
from changeover.plan.model import Request, WaitGreen

POLL_S = 1.0
BUSY_S = 60.0
"""After so long an optimizer with little in hand is taken to be busy with what the application writes."""
WAKE_S = 60.0
REFUSED = (401, 403)


async def wait_green(ctx: Context, step: WaitGreen) -> str:
    """Patience, not an error: 1.19.0 was seen to stay busy for 60 s after the last write (measured).

    Raises UnreachableError when the patience ends or the collection turns red; the run can be resumed.
    """
    begun = time.monotonic()
    calm, alarm = 0, Alarm()
    while True:
        now = await look(ctx, step.collection)
        waited = time.monotonic() - begun
        if now is not None:
            calm = calm + 1 if now.quiet else 0
            ctx.emit(ev.Progress(at=ctx.clock(), step=step.id, done=int(waited), note=words(now)))
            if calm >= 2:
                return f"green after {waited:.0f} s"
            if waited > BUSY_S and keeps_up(now):
                return f"busy with what is written all the time, after {waited:.0f} s: {words(now)}"
            if now.color == "red":
                raise UnreachableError(f"{step.collection} is red: {now.error or 'no reason given'}; see its logs")
            await alarm.wake(ctx, step.collection, now)
        if waited > step.patience_s:
            raise UnreachableError(f"{step.collection} is not green after {waited:.0f} s; `changeover resume` waits on")
        await asyncio.to_thread(ctx.throttle.sleep, POLL_S)


class Alarm:
    """Wakes an optimizer that sleeps: grey, after a restart of the server, never turns green by itself (server source)."""

    def __init__(self) -> None:
        self._next = 0.0

    async def wake(self, ctx: Context, collection: str, now: Optimizations) -> None:
        """An empty update, once a minute while the collection is grey; a key that may not send it goes without."""
        if now.color != "grey" or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + WAKE_S
        path = f"/collections/{quote(collection, safe='')}"
        try:
            await send(ctx, Request(method="PATCH", path=path, body={"optimizers_config": {}}))
        except ClusterError as error:
            if error.status not in REFUSED:
                raise
            ctx.log(f"{collection} is grey, and this key may not wake its optimizer: any write does", "warning")


def keeps_up(now: Optimizations) -> bool:
    """Green; or yellow with so little in hand that no search is slower for it: a busy application keeps it yellow."""
    few = now.in_hand is not None and now.in_hand <= MOST
    return not now.error and (now.color == "green" or (now.color == "yellow" and few))


async def look(ctx: Context, collection: str) -> Optimizations | None:
    """The optimizer's state, or None when the server does not answer just now."""
    try:
        return await ctx.gateway.optimizations(collection)
    except ClusterError as error:
        if error.action is Action.STOP:
            raise
        return None


def words(now: Optimizations) -> str:
    """The optimizer's state in words."""
    parts = [now.color]
    if now.running:
        parts.append(f"{now.running} optimizations running")
    if now.queued:
        parts.append(f"{now.queued} queued")
    if now.in_hand:
        parts.append(f"{now.in_hand:,} points in hand")
    if now.error:
        parts.append(now.error)
    return ", ".join(parts)
