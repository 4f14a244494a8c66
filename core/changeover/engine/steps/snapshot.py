"""A snapshot of the old collection: asked for once, then looked for, because a large one outlives any connection.

Measured on 1.17.1, 1.18.3 and 1.19.0: the server goes on when the client hangs up, its list names a snapshot only when
it is written whole, and its telemetry tells whether one is being written.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import msgspec

from changeover.cluster.errors import Action, ClusterError
from changeover.engine import events as ev
from changeover.engine.context import Context
from changeover.engine.folder import write_private
from changeover.engine.patience import Patience
from changeover.engine.patient import patiently
from changeover.errors import UnreachableError
from changeover.plan.model import TakeSnapshot
from changeover.words import duration

LONGEST_S = 24 * 3600.0
"""How long the request itself is held open; the server answers it when the snapshot is written."""
POLL_S = 1.0
LOOK_S = 5.0
"""Between two looks for it in the server's list."""
SURE = 2
"""Looks in a row that have to agree."""
UNTOLD_S = 3 * 3600.0
"""How long it is looked for where the key may not ask whether it is still being written."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Kept in the run folder from before the request goes out, for an engine that comes after this one."""

    at: float
    """Unix time."""
    before: tuple[str, ...]
    """Snapshots that were there already."""
    failed: bool = False
    """The server answered that it could not write it."""


async def take_snapshot(ctx: Context, step: TakeSnapshot) -> str:
    """A snapshot on the server's own disk; it can be recovered under a new name.

    No engine asks twice for one that may have been begun, and an engine that comes after a killed one looks first.
    Raises UnreachableError when the server gave it up, ClusterError when it refuses.
    """
    asked = _asked_before(ctx)
    name = await _look_for(ctx, step, asked) if asked is not None else None
    return f"snapshot {name or await _ask(ctx, step)} of {ctx.job.source}"


def never_begun(error: ClusterError) -> bool:
    """Whether the request surely was not taken up: a refusal, or no connection was made."""
    if error.status is not None:
        return error.status < 500 and error.status != 408
    return re.search(r"\((ConnectError|ConnectTimeout|PoolTimeout)\)$", str(error)) is not None


async def _ask(ctx: Context, step: TakeSnapshot) -> str:
    patience = Patience(first_s=0.3, longest_pause_s=10.0, longest_s=600.0)
    while True:
        asked = Asked(at=ctx.clock(), before=await _listed(ctx, step))
        _keep(ctx, asked)
        try:
            return await _answer(ctx, step, asked)
        except ClusterError as error:
            if not never_begun(error):
                return await _after(ctx, step, asked, error)
            ctx.folder.snapshot.unlink(missing_ok=True)
            pause = patience.pause_s(error)
        await asyncio.to_thread(ctx.throttle.sleep, pause)


async def _answer(ctx: Context, step: TakeSnapshot, asked: Asked) -> str:
    """The name that the server answers, or that its list shows while a connection that is dead stays silent."""
    request = step.request
    answer = asyncio.ensure_future(ctx.gateway.send(request.method, request.path, request.body, timeout_s=LONGEST_S))
    looked, seen = time.monotonic(), ""
    try:
        while not (await asyncio.wait({answer}, timeout=POLL_S))[0]:
            ctx.throttle.sleep(0)  # raises when the engine is to stop
            _say(ctx, step, asked, "being written")
            if time.monotonic() - looked >= LOOK_S:
                looked, before = time.monotonic(), seen
                seen = await _new_now(ctx, step, asked)
                if seen and seen == before:
                    return seen
        made: Any = answer.result()
    finally:
        answer.cancel()
        await asyncio.gather(answer, return_exceptions=True)
    if not isinstance(made, dict) or not made.get("name"):
        raise ClusterError("the server answered without the name of a snapshot", Action.RETRY)
    return str(made["name"])


async def _after(ctx: Context, step: TakeSnapshot, asked: Asked, error: ClusterError) -> str:
    """No answer, or none that says whether it was begun: look for it, and do not ask again."""
    if error.status == 500:
        asked = msgspec.structs.replace(asked, failed=True)
        _keep(ctx, asked)
    ctx.log(f"looking for the snapshot, it is not asked for again: {error}", "warning")
    name = await _look_for(ctx, step, asked)
    if name is None:
        raise UnreachableError(
            f"{ctx.job.source} has no snapshot: {error}. Look at the server's disk and log, then"
            f" `changeover resume {ctx.folder.name}` asks for another one"
        )
    return name


async def _look_for(ctx: Context, step: TakeSnapshot, asked: Asked) -> str | None:
    """Wait until the list shows a new one; None when the server writes none, or nothing was to be seen for UNTOLD_S."""
    absent = 0
    while True:
        running = await _running(ctx)  # asked first: one that ends in between is in the list
        name = _new(asked, await _listed(ctx, step))
        if name:
            return name
        over = running is None and (asked.failed or ctx.clock() - asked.at >= UNTOLD_S)
        absent = absent + 1 if running is False or over else 0
        if absent >= SURE:
            return None
        _say(ctx, step, asked, "being written" if running else "looked for")
        await asyncio.to_thread(ctx.throttle.sleep, LOOK_S)


async def _running(ctx: Context) -> bool | None:
    """Whether the server is writing a snapshot of the old collection; None where it does not tell."""
    try:
        told = await patiently(ctx, lambda: ctx.gateway.send("GET", "/telemetry?details_level=2"))
        rows = told["collections"]["snapshots"]
        return next((row["running_snapshots"] > 0 for row in rows if row["id"] == ctx.job.source), None)
    except (ClusterError, KeyError, TypeError):
        return None


async def _listed(ctx: Context, step: TakeSnapshot) -> tuple[str, ...]:
    """Names of the collection's snapshots, oldest first: they end with the second in which they were begun."""
    return await patiently(ctx, lambda: _list(ctx, step))


async def _list(ctx: Context, step: TakeSnapshot) -> tuple[str, ...]:
    rows = await ctx.gateway.send("GET", step.request.path.partition("?")[0])
    return tuple(sorted(str(row["name"]) for row in rows))


async def _new_now(ctx: Context, step: TakeSnapshot, asked: Asked) -> str:
    try:
        return _new(asked, await _list(ctx, step))
    except ClusterError:
        return ""


def _new(asked: Asked, names: tuple[str, ...]) -> str:
    return next((name for name in reversed(names) if name not in asked.before), "")


def _say(ctx: Context, step: TakeSnapshot, asked: Asked, what: str) -> None:
    waited = max(0.0, ctx.clock() - asked.at)
    note = f"{what} for {duration(waited)}; it takes as long as the collection is large"
    ctx.emit(ev.Progress(at=ctx.clock(), step=step.id, done=int(waited), note=note))


def _keep(ctx: Context, asked: Asked) -> None:
    write_private(ctx.folder.snapshot, msgspec.json.encode(asked))


def _asked_before(ctx: Context) -> Asked | None:
    try:
        return msgspec.json.decode(ctx.folder.snapshot.read_bytes(), type=Asked)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
