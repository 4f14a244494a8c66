"""Waiting for the cutover while catching up, the lamps, and the cutover itself."""

from __future__ import annotations

import asyncio
import time

import msgspec

from changeover.cluster.errors import Action, ClusterError
from changeover.engine import events as ev
from changeover.engine import left_out
from changeover.engine.canary import teach_stored
from changeover.engine.context import Context
from changeover.engine.desk import QUALITY_CODE
from changeover.engine.ledger import Mark
from changeover.engine.steps.converge import CALM_S, calm, calm_bound, describe, lost, one_pass, take_newcomers
from changeover.engine.steps.schema import send
from changeover.engine.steps.verify import verify
from changeover.engine.steps.wait_green import Alarm, keeps_up, look, words
from changeover.errors import BlockedError
from changeover.plan.model import AwaitCutover, Kept, SwapAlias, SwitchApplication, Verify
from changeover.words import duration

POLL_S = 0.5
FRESH_S = 0.2
"""A pass that ended longer ago is repeated before the alias moves: the fewer late writes, the less is left to guess."""
GREEN = "collection green"
CAUGHT_UP = "caught up"
REST_S = 3.0
"""Least pause between two catch-up passes while the cutover waits; also twice the last pass's own time."""


class WindowEndedError(Exception):
    """Nobody asked for the cutover while its window was open: the run ends here, and that is no failure."""


async def await_cutover(ctx: Context, step: AwaitCutover) -> str:
    """Stay caught up until a person asks for the cutover (or, when that was confirmed before, until every lamp is on).

    Raises WindowEndedError when the step has a window, it is over, and nobody confirmed to go back.
    """
    if step.mode == "never":
        return "no cutover was planned; both sides stay"
    assert ctx.desk is not None
    number, ended, next_pass, shown, alarm = 0, 0.0, 0.0, None, Alarm()
    found: ev.Differences | None = None
    while True:
        if time.monotonic() >= next_pass:
            number += 1
            begun = time.monotonic()
            found = await one_pass(ctx, step.id, number)
            ended = time.monotonic()
            next_pass = ended + max(REST_S, 2 * (ended - begun))
            await _verify_lost(ctx)
            lamps = await _lamps(ctx, found, alarm)
            if lamps != shown:
                shown = lamps
                ctx.emit(ev.CutoverReady(at=ctx.clock(), lamps=lamps, backlog=found.total))
        asked, confirmed = ctx.desk.cutover_asked, ctx.state.when_ready
        by_itself = (confirmed or step.mode == "when-ready") and shown and all(lamp.on for lamp in shown)
        if asked is not None or by_itself:
            ctx.desk.cutover_asked = None
            assert found is not None
            dark = _dark(await _lamps(ctx, found, alarm), but=CAUGHT_UP)
            if dark is None:
                if time.monotonic() - ended > FRESH_S:
                    ctx.log("one more look at both sides before the cutover")
                    found = await _closer(ctx, step, found)
                    number, ended = found.number, time.monotonic()
                dark = _dark(await _lamps(ctx, found, alarm))
            if asked is not None:
                ctx.desk.answer(asked, f"{dark.name}: {dark.detail}" if dark else "")
            if dark is None:
                await take_newcomers(ctx)
                ctx.lit = True
                if asked is not None:
                    return "asked for by a person"
                return "every lamp is on, as a person confirmed" if confirmed else "every lamp is on"
            shown = None  # what was shown as on is not: not before the next pass again
        began = ctx.state.step(step.id).started_at
        if step.window_s and not confirmed and began is not None and ctx.clock() > began + step.window_s:
            raise WindowEndedError(f"the window of {duration(step.window_s)} ended; nothing was brought back")
        await asyncio.to_thread(ctx.throttle.sleep, POLL_S)


async def _closer(ctx: Context, step: AwaitCutover, found: ev.Differences) -> ev.Differences:
    """Passes as long as each takes half the time of the one before: it finds only what was written during that one."""
    while True:
        before, found = found.seconds, await one_pass(ctx, step.id, found.number + 1)
        if found.seconds <= FRESH_S or found.seconds > before / 2:
            return found


def _dark(lamps: tuple[ev.Lamp, ...], *, but: str = "") -> ev.Lamp | None:
    """The first lamp that is not on; one of them may be left out."""
    return next((lamp for lamp in lamps if not lamp.on and lamp.name != but), None)


async def _verify_lost(ctx: Context) -> None:
    """Verify anew when points have vanished from the new side since; raises UnverifiedError where that does not help."""
    step = next((step for step in ctx.plan.steps if isinstance(step, Verify)), None)
    if ctx.in_place or step is None:
        return
    now = await look(ctx, ctx.job.target)
    if now is None or not now.quiet:  # with `prevent_unoptimized` points are not to be seen until they are indexed
        return
    short = await lost(ctx)
    if short:
        words = f"{short:,} points that were written to {ctx.job.target} are not there any more: verifying it anew"
        ctx.log(words, "warning")
        await verify(ctx, step)


async def _lit_again(ctx: Context, step: SwapAlias) -> None:
    """The word was given to an engine that is gone: what was written since is brought over before the alias moves."""
    waited = next((s for s in ctx.plan.steps if isinstance(s, AwaitCutover)), None)
    if ctx.lit or waited is None or waited.mode == "never":
        return
    ctx.log("an earlier engine was to go on to the cutover: catching up first, and looking at every lamp")
    await await_cutover(ctx, msgspec.structs.replace(waited, id=step.id, mode="when-ready", window_s=0.0))


async def swap_alias(ctx: Context, step: SwapAlias) -> str:
    """Point the alias at the new collection with one create_alias, after looking where it points now.

    A single create_alias re-points atomically; a delete before it can leave no alias at all (measured on three
    versions). Raises BlockedError when the alias points anywhere but where the plan expects.
    """
    now = (await ctx.gateway.aliases()).get(step.alias)
    if now == step.expected:
        await _lit_again(ctx, step)
        now = (await ctx.gateway.aliases()).get(step.alias)
    if now == ctx.job.target:
        detail = f"alias {step.alias} already points to {ctx.job.target}"
    elif now != step.expected:
        raise BlockedError(
            f"alias-moved: {step.alias} points to {now or 'nothing'}, the plan expected {step.expected or 'nothing'};"
            " someone else changed it, nothing was swapped"
        )
    else:
        await teach_stored(ctx)
        await send(ctx, step.request)
        detail = f"alias {step.alias} points to {ctx.job.target}"
    await _confirmed(ctx, detail)
    return detail


async def switch_application(ctx: Context, step: SwitchApplication) -> str:
    """In place nothing is sent: from here on the application searches the new vector."""
    await teach_stored(ctx)
    said = step.title[0].lower() + step.title[1:]
    detail = f"{said} in {ctx.job.target} from now on"
    await _confirmed(ctx, detail)
    return detail


async def _confirmed(ctx: Context, detail: str) -> None:
    ok = None
    if ctx.canary is not None and ctx.canary.ready:
        ctx.canary.prefer_new()
        ok = all([await ctx.canary.search() for _ in range(5)])
        ctx.emit(ctx.canary.event())
    ctx.emit(ev.CutOver(at=ctx.clock(), detail=detail, canary_ok=ok))


async def _lamps(ctx: Context, found: ev.Differences, alarm: Alarm) -> tuple[ev.Lamp, ...]:
    now = await look(ctx, ctx.job.target)
    if now is not None:
        await alarm.wake(ctx, ctx.job.target, now)
    green = now is not None and keeps_up(now)
    lamps = [
        ev.Lamp(name=GREEN, on=green, detail=words(now) if now else "the server does not answer"),
        _caught_up_lamp(ctx, found),
    ]
    if any(isinstance(step, Verify) for step in ctx.plan.steps):
        lamps += [_verified_lamp(ctx), _quality_lamp(ctx)]
    if any(isinstance(make, Kept) for make in ctx.job.makes):
        lacking = ctx.ledger.count(Mark.BLANK)
        lamps.append(
            ev.Lamp(name="old vectors", on=True, detail=f"{lacking:,} points have none: no old model was given")
        )
    swap = next((s for s in ctx.plan.steps if isinstance(s, SwapAlias)), None)
    if swap is not None:
        lamps.append(await _alias_lamp(ctx, swap))
    return tuple(lamps)


def _caught_up_lamp(ctx: Context, found: ev.Differences) -> ev.Lamp:
    words = f"{found.seconds:.1f} s behind; last pass: {describe(found)}"
    if calm(ctx, found):
        return ev.Lamp(name=CAUGHT_UP, on=True, detail=words)
    return ev.Lamp(name=CAUGHT_UP, on=False, detail=f"{words} (at most {CALM_S:.0f} s or {calm_bound(ctx):,} points)")


def _verified_lamp(ctx: Context) -> ev.Lamp:
    verified = ctx.state.verified
    if verified is None:
        return ev.Lamp(name="verified", on=False, detail="not verified")
    if verified.problems:
        return ev.Lamp(name="verified", on=False, detail=verified.problems[0])
    return left_out.lamp(ctx, verified.target_points)


def _quality_lamp(ctx: Context) -> ev.Lamp:
    quality = ctx.state.quality
    if quality is None:
        return ev.Lamp(name="quality", on=True, detail="not measured: no labelled queries")
    accepted = ctx.overruled(QUALITY_CODE)
    on = quality.verdict != "NO-GO" or accepted
    words = f"{quality.verdict}: {quality.reason}"
    if quality.verdict == "NO-GO":
        words += (
            " (accepted)" if accepted else f" `changeover control {ctx.folder.name} accept {QUALITY_CODE}` overrules"
        )
    return ev.Lamp(name="quality", on=on, detail=words)


async def _alias_lamp(ctx: Context, swap: SwapAlias) -> ev.Lamp:
    try:
        now = (await ctx.gateway.aliases()).get(swap.alias)
    except ClusterError as error:
        if error.action is Action.STOP:
            raise
        return ev.Lamp(name="alias where planned", on=False, detail=str(error))
    on = now in (swap.expected, ctx.job.target)
    return ev.Lamp(name="alias where planned", on=on, detail=f"{swap.alias} -> {now or 'nothing'}")
