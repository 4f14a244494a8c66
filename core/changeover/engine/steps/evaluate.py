"""Old against new on labelled queries, searched on the cluster itself; and index health on the new vector."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from changeover.cluster.api import Hit
from changeover.cluster.errors import Action, ClusterError
from changeover.embed.protocol import Embedder, load
from changeover.engine import events as ev
from changeover.engine.context import Context
from changeover.plan.model import Evaluate
from changeover.quality.compare import compare
from changeover.quality.metrics import ann_health
from changeover.quality.model import QualityReport
from changeover.quality.queries import LabelledQuery, read
from changeover.survey.model import PointId

TOP = 10
AT_ONCE = 4
HEALTH_QUERIES = 50


async def evaluate(ctx: Context, step: Evaluate) -> str:
    """Emits `Evaluated`. Without an old model the old side is searched with nothing, and the verdict is UNDECIDED."""
    job = ctx.job
    queries = read(Path(step.queries))
    if len(queries) > step.limit:
        queries = tuple(random.Random(0).sample(queries, step.limit))
    new_vectors = await asyncio.to_thread(_embed, ctx.embedder, queries)
    new = await _search_all(ctx, job.target, new_vectors, job.target_vector, exact=False)
    exact = await _search_all(ctx, job.target, new_vectors[:HEALTH_QUERIES], job.target_vector, exact=True)
    health = ann_health(new[: len(exact)], exact)
    if job.old_model is None:
        reason = "No old model was given, so the old side cannot be searched with the same queries."
        report = QualityReport(queries=len(queries), ann_recall=health, reason=reason)
    else:
        old_model = await asyncio.to_thread(load, job.old_model, ctx.environ)
        try:
            old_vectors = await asyncio.to_thread(_embed, old_model, queries)
        finally:
            old_model.close()
        old = await _search_all(ctx, job.source, old_vectors, job.source_vector, exact=False)
        report = compare(queries, old, new, ann_recall=health)
    ctx.emit(ev.Evaluated(at=ctx.clock(), report=report))
    return f"{report.verdict}: {report.reason}"


def _embed(embedder: Embedder, queries: tuple[LabelledQuery, ...]) -> list[list[float]]:
    return [embedder.embed_query(query.query).tolist() for query in queries]


async def _search_all(
    ctx: Context, collection: str, vectors: list[list[float]], using: str, *, exact: bool
) -> list[list[PointId]]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(vector: list[float]) -> list[PointId]:
        async with gate:
            return [hit.id for hit in await _patient_search(ctx, collection, vector, using, exact)]

    return list(await asyncio.gather(*(one(vector) for vector in vectors)))


async def _patient_search(ctx: Context, collection: str, vector: list[float], using: str, exact: bool) -> list[Hit]:
    for attempt in range(8):
        try:
            return list(await ctx.gateway.search(collection, vector, using=using, limit=TOP, exact=exact))
        except ClusterError as error:
            if exact and "Exact search disabled" in str(error):
                exact = False
                continue
            if error.action is not Action.RETRY or attempt == 7:
                raise
            await asyncio.to_thread(ctx.throttle.sleep, max(error.retry_after_s or 0, 0.2 * 2**attempt))
    return []
