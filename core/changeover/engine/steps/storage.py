"""Another quantization or placement: change it, wait, measure it on the collection, and undo what is not good enough."""

from __future__ import annotations

import statistics
import time
from typing import Any

from changeover.engine import events as ev
from changeover.engine.context import Context
from changeover.engine.steps import searches
from changeover.engine.steps.schema import send
from changeover.engine.steps.wait_green import wait_green
from changeover.errors import BlockedError, UnverifiedError
from changeover.plan.model import ChangeStorage, MeasureStorage, WaitGreen
from changeover.quality.metrics import ann_health
from changeover.quality.storage import in_force
from changeover.quality.trials import SearchSetting
from changeover.survey.model import PointId

SETTINGS: tuple[tuple[bool, float | None], ...] = ((False, None), (True, None), (True, 2.0), (True, 3.0))
"""(rescore, oversampling) that are tried on a quantized vector."""
TIMED = 30
"""Searches that the median latency is taken over."""


async def change(ctx: Context, step: ChangeStorage) -> str:
    """Send the PATCH; the same value again changes nothing."""
    await send(ctx, step.request)
    return "the server builds it anew in the background"


async def measure(ctx: Context, step: MeasureStorage) -> str:
    """Emits `StorageMeasured`; below the asked recall the former configuration is sent and UnverifiedError raised.

    What is measured is what the plan made: a resume after the undo ends as the run did, and BlockedError says that others
    changed the storage meanwhile.
    """
    changed = await _changed(ctx, step)
    asked = await _stored(ctx, step)
    exact = await searches.all_of(ctx, ctx.job.target, asked, step.vector, exact=True)
    usual = await searches.all_of(ctx, ctx.job.target, asked, step.vector)
    settings = tuple([await _setting(ctx, step, asked, exact, *setting) for setting in SETTINGS])
    event = ev.StorageMeasured(
        at=ctx.clock(),
        vector=step.vector,
        asked=len(asked),
        settings=settings,
        default_recall=ann_health(usual, exact) or 0.0,
        p50_ms=await _latency_ms(ctx, step, asked),
        after=changed,
    )
    ctx.emit(event)
    if asked and _best(event) < step.least_recall:
        await _undo(ctx)
        raise _too_low(event, step)
    best = f"{_best(event):.3f} at best ({len(asked)} stored vectors asked with)"
    return f"recall@10 {event.default_recall:.3f} as it is, {best}"


async def _changed(ctx: Context, step: MeasureStorage) -> bool:
    """Whether the plan's change is in force; raises where it was and no longer is."""
    done = [s for s in ctx.plan.steps if isinstance(s, ChangeStorage) and ctx.state.step(s.id).status == "done"]
    if not done:
        return False
    config = (await ctx.gateway.collection(ctx.job.target))["config"]
    stored = [in_force(config, change.request.body, change.undo.body) for change in done]
    if None in stored:
        raise BlockedError(
            f"{ctx.job.target}: its storage was changed again after this run had changed it; look with"
            f" `changeover inspect {ctx.job.target}` and make a plan for what it is now"
        )
    if all(body == change.request.body for body, change in zip(stored, done, strict=True)):
        return True
    measured = [found for found in ctx.state.storage if found.after]
    if measured and _best(measured[-1]) < step.least_recall:
        await _undo(ctx)
        raise _too_low(measured[-1], step)
    raise UnverifiedError(
        f"{ctx.job.target}: the former configuration is in force again, brought back not by this run; nothing was measured"
    )


def _best(found: ev.StorageMeasured) -> float:
    return max([found.default_recall, *(setting.recall for setting in found.settings)])


def _too_low(found: ev.StorageMeasured, step: MeasureStorage) -> UnverifiedError:
    return UnverifiedError(
        f"recall@10 against exact search is {_best(found):.3f} at best, {step.least_recall} was asked for;"
        " the former configuration is back"
    )


async def _setting(
    ctx: Context,
    step: MeasureStorage,
    asked: list[Any],
    exact: list[list[PointId]],
    rescore: bool,
    oversampling: float | None,
) -> SearchSetting:
    given: dict[str, Any] = {"rescore": rescore} | ({"oversampling": oversampling} if oversampling else {})
    found = await searches.all_of(ctx, ctx.job.target, asked, step.vector, quantization=given)
    return SearchSetting(rescore=rescore, oversampling=oversampling, recall=round(ann_health(found, exact) or 0.0, 4))


async def _latency_ms(ctx: Context, step: MeasureStorage, asked: list[Any]) -> float:
    """Median of searches one after another, as the application would send them."""
    times = []
    for query in asked[:TIMED]:
        begun = time.perf_counter()
        await searches.all_of(ctx, ctx.job.target, [query], step.vector)
        times.append((time.perf_counter() - begun) * 1000)
    return round(statistics.median(times), 2) if times else 0.0


async def _stored(ctx: Context, step: MeasureStorage) -> list[Any]:
    """Stored vectors of random points, to ask with."""
    points = await ctx.gateway.sample(ctx.job.target, step.sample, payload=False, vectors=[step.vector])
    return [p.vectors[step.vector] for p in points if p.vectors.get(step.vector)]


async def _undo(ctx: Context) -> None:
    """Bring the former configuration back where it is not, and wait until the server has built it."""
    for step in ctx.plan.steps:
        if not isinstance(step, ChangeStorage):
            continue
        config = (await ctx.gateway.collection(ctx.job.target))["config"]
        if in_force(config, step.request.body, step.undo.body) != step.undo.body:
            ctx.log("the recall asked for is not reached: bringing the former configuration back", "warning")
            await send(ctx, step.undo)
        await wait_green(ctx, WaitGreen(id=step.id, title=step.title, collection=ctx.job.target))
