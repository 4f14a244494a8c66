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
from changeover.errors import UnverifiedError
from changeover.plan.model import ChangeStorage, MeasureStorage, WaitGreen
from changeover.quality.metrics import ann_health
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
    """Emits `StorageMeasured`; below the asked recall the former configuration is sent and UnverifiedError raised."""
    asked = await _stored(ctx, step)
    exact = await searches.all_of(ctx, ctx.job.target, asked, step.vector, exact=True)
    usual = await searches.all_of(ctx, ctx.job.target, asked, step.vector)
    settings = tuple([await _setting(ctx, step, asked, exact, *setting) for setting in SETTINGS])
    changed = any(isinstance(s, ChangeStorage) and ctx.state.step(s.id).status == "done" for s in ctx.plan.steps)
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
    best = max([event.default_recall, *(setting.recall for setting in settings)])
    if asked and best < step.least_recall:
        await _undo(ctx)
        raise UnverifiedError(
            f"recall@10 against exact search is {best:.3f} at best, {step.least_recall} was asked for;"
            " the former configuration is back"
        )
    return f"recall@10 {event.default_recall:.3f} as it is, {best:.3f} at best ({len(asked)} stored vectors asked with)"


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
    for step in ctx.plan.steps:
        if isinstance(step, ChangeStorage):
            ctx.log("the recall asked for is not reached: bringing the former configuration back", "warning")
            await send(ctx, step.undo)
            await wait_green(ctx, WaitGreen(id=step.id, title=step.title, collection=ctx.job.target))
