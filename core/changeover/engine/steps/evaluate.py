"""Old against new on labelled queries, searched on the cluster itself; and index health on the new vector."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import msgspec

from changeover.embed.protocol import load
from changeover.engine import events as ev
from changeover.engine.context import Context
from changeover.engine.steps import searches
from changeover.errors import UsageError
from changeover.plan.model import CreateTextIndex, Evaluate, FromTerms, FromVector
from changeover.quality.compare import compare, scored
from changeover.quality.fusion import LARGER_IS_NEARER
from changeover.quality.metrics import ann_health
from changeover.quality.model import QualityReport, Variant
from changeover.quality.queries import LabelledQuery, known_items, read
from changeover.survey.model import PointId
from changeover.survey.template import render

HEALTH_QUERIES = 50
TITLED = 2_000
"""Points whose titles are read for known-item queries."""
Rankings = list[list[PointId]]


async def evaluate(ctx: Context, step: Evaluate) -> str:
    """Emits `Evaluated`. Where the old model is needed and not given, the verdict is UNDECIDED."""
    queries = await labelled(ctx, step.queries, step.title_field)
    if len(queries) > step.limit:
        queries = tuple(random.Random(0).sample(queries, step.limit))
    texts = [query.query for query in queries]
    before = await _old_vectors(ctx, texts)
    asked = await _new_queries(ctx, texts, before)
    ways = await _rankings(ctx, asked)
    health = await _health(ctx, asked.get("dense"))
    if before is None or not ways:
        reason = "No old model was given, so the old side cannot be searched with the same queries."
        report = QualityReport(queries=len(queries), ann_recall=health, reason=reason)
    else:
        job = ctx.job
        old = await searches.all_of(ctx, job.source, before, job.source_vector)
        new = ways.get("fused by RRF") or next(iter(ways.values()))
        report = compare(queries, old, new, ann_recall=health)
        if len(ways) > 1:
            variants = tuple(Variant(name=name, scores=scored(queries, found)) for name, found in ways.items())
            report = msgspec.structs.replace(report, variants=variants)
    ctx.emit(ev.Evaluated(at=ctx.clock(), report=report))
    return f"{report.verdict}: {report.reason}"


async def labelled(ctx: Context, file: str, title_field: str) -> tuple[LabelledQuery, ...]:
    """The queries of the file, or known items made from the values of a payload field of sampled points."""
    if file:
        return read(Path(file))
    points = await ctx.gateway.sample(ctx.job.source, TITLED, payload=True)
    titles = [(point.id, render(f"{{{title_field}}}", point.payload)) for point in points]
    found = known_items(titles, count=500)
    if not found:
        raise UsageError(f"queries.title_field {title_field!r}: no sampled point has a text there; give queries.file")
    return found


async def _old_vectors(ctx: Context, texts: list[str]) -> list[Any] | None:
    """The queries as the old model embeds them; None without an old model."""
    if ctx.job.old_model is None:
        return None
    model = await asyncio.to_thread(load, ctx.job.old_model, ctx.environ)
    try:
        return await asyncio.to_thread(lambda: [model.embed_query(text).tolist() for text in texts])
    finally:
        model.close()


async def _new_queries(ctx: Context, texts: list[str], before: list[Any] | None) -> dict[str, list[Any]]:
    """Queries of the new side by their kind: dense (of the vector that serves afterwards) and sparse."""
    import numpy as np

    job, asked = ctx.job, {}
    make = job.make(job.target_vector)
    if isinstance(make, FromTerms):
        pass
    elif make is None or (isinstance(make, FromVector) and not make.maps):
        if before is not None:
            cut = ctx.matrix.apply(np.asarray(before, dtype=np.float32)).tolist() if make is not None else before
            asked["dense"] = cut
    else:
        model = await asyncio.to_thread(lambda: ctx.model)
        asked["dense"] = await asyncio.to_thread(lambda: [searches.plain(model.embed_query(text)) for text in texts])
    terms = next((make for make in job.makes if isinstance(make, FromTerms)), None)
    if _indexed_field(ctx):
        asked["sparse"] = [{"text": text} for text in texts]
    elif terms is not None:
        encoder = await asyncio.to_thread(ctx.encoder, terms)
        asked["sparse"] = await asyncio.to_thread(lambda: [encoder.embed_query(text) for text in texts])
    return asked


async def _rankings(ctx: Context, asked: dict[str, list[Any]]) -> dict[str, Rankings]:
    """Ranked ids per query for every way of searching the new side."""
    job = ctx.job
    terms = _indexed_field(ctx) or next((make.vector for make in job.makes if isinstance(make, FromTerms)), "")
    ways: dict[str, Rankings] = {}
    if "dense" in asked:
        ways["dense"] = await searches.all_of(ctx, job.target, asked["dense"], job.target_vector)
    if "sparse" in asked:
        ways["sparse"] = await searches.all_of(ctx, job.target, asked["sparse"], terms)
    if len(ways) == 2:
        both = list(zip(asked["dense"], asked["sparse"], strict=True))
        fusions = {"fused by RRF": "rrf"}
        if await _distance(ctx) in LARGER_IS_NEARER:
            fusions["fused by DBSF"] = "dbsf"
        for name, fusion in fusions.items():
            ways[name] = await searches.fused(ctx, job.target, both, (job.target_vector, terms), fusion)
    return ways


def _indexed_field(ctx: Context) -> str:
    """The payload field whose words are searched through a text index with scoring; "" where there is none."""
    step = next((step for step in ctx.plan.steps if isinstance(step, CreateTextIndex)), None)
    return str(step.request.body["field_name"]) if step is not None else ""


async def _distance(ctx: Context) -> str:
    """Of the vector that serves afterwards."""
    vectors = (await ctx.gateway.collection(ctx.job.target))["config"]["params"].get("vectors") or {}
    named = {"": vectors} if "size" in vectors else vectors
    return str((named.get(ctx.job.target_vector) or {}).get("distance", ""))


async def _health(ctx: Context, dense: list[Any] | None) -> float | None:
    """Approximate against exact search on the vector that serves afterwards."""
    if not dense:
        return None
    some, job = dense[:HEALTH_QUERIES], ctx.job
    approximate = await searches.all_of(ctx, job.target, some, job.target_vector)
    return ann_health(approximate, await searches.all_of(ctx, job.target, some, job.target_vector, exact=True))
