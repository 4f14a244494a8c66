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
from changeover.engine.steps.asked import Asked
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
    """Emits `Evaluated`. Where the old model is needed and not given, the verdict is UNDECIDED.

    A query that a model refuses is left out on both sides; a new model that refuses all of them is a NO-GO.
    """
    queries = await labelled(ctx, step.queries, step.title_field)
    if len(queries) > step.limit:
        queries = tuple(random.Random(0).sample(queries, step.limit))
    asked = Asked(queries)
    report = await _report(ctx, asked)
    if asked.words:
        ctx.log(asked.words, "warning")
    ctx.emit(ev.Evaluated(at=ctx.clock(), report=report))
    return f"{report.verdict}: {report.reason}"


async def _report(ctx: Context, asked: Asked) -> QualityReport:
    job = ctx.job
    before = await _old_vectors(ctx, asked)
    if not asked.left:
        return QualityReport(queries=0, reason=asked.all_refused("old", len(asked.queries)))
    to_ask = asked.left
    new = await _new_queries(ctx, asked, before)
    if not asked.left:
        return QualityReport(queries=0, verdict="NO-GO", reason=asked.all_refused("new", to_ask))
    new = {kind: asked.of(values) for kind, values in new.items()}
    ways = await _rankings(ctx, new)
    health = await _health(ctx, new.get("dense"))
    if before is None or not ways:
        reason = "No old model was given, so the old side cannot be searched with the same queries."
        report = QualityReport(queries=asked.left, ann_recall=health, reason=reason)
    else:
        queries = asked.of(asked.queries)
        old = await searches.all_of(ctx, job.source, asked.of(before), job.source_vector)
        best = ways.get("fused by RRF") or next(iter(ways.values()))
        report = compare(queries, old, best, ann_recall=health)
        if len(ways) > 1:
            variants = tuple(Variant(name=name, scores=scored(queries, found)) for name, found in ways.items())
            report = msgspec.structs.replace(report, variants=variants)
    return msgspec.structs.replace(report, reason=f"{report.reason} {asked.words}".rstrip())


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


async def _old_vectors(ctx: Context, asked: Asked) -> list[Any] | None:
    """The queries as the old model embeds them; None without an old model."""
    if ctx.job.old_model is None:
        return None
    model = await asyncio.to_thread(load, ctx.job.old_model, ctx.environ)
    try:
        return await asyncio.to_thread(asked.embedded, model, "old")
    finally:
        model.close()


async def _new_queries(ctx: Context, asked: Asked, before: list[Any] | None) -> dict[str, list[Any]]:
    """Queries of the new side by their kind: dense (of the vector that serves afterwards) and sparse."""
    job = ctx.job
    found: dict[str, list[Any]] = {}
    make = job.make(job.target_vector)
    if isinstance(make, FromTerms):
        pass
    elif make is None or (isinstance(make, FromVector) and not make.maps):
        if before is not None:
            found["dense"] = before if make is None else _cut(ctx, before)
    else:
        model = await asyncio.to_thread(lambda: ctx.model)
        found["dense"] = await asyncio.to_thread(asked.embedded, model, "new")
        await asked.tried(found["dense"], lambda q: searches.all_of(ctx, job.target, [q], job.target_vector))
    terms = next((make for make in job.makes if isinstance(make, FromTerms)), None)
    if _indexed_field(ctx):
        found["sparse"] = [{"text": query.query} for query in asked.queries]
    elif terms is not None:
        encoder = await asyncio.to_thread(ctx.encoder, terms)
        found["sparse"] = await asyncio.to_thread(asked.embedded, encoder, "new")
    return found


def _cut(ctx: Context, before: list[Any]) -> list[Any]:
    """The old model's vectors as the run's matrix makes them; None stays None."""
    import numpy as np

    known = np.asarray([vector for vector in before if vector is not None], dtype=np.float32)
    rows = iter(ctx.matrix.apply(known).tolist())
    return [next(rows) if vector is not None else None for vector in before]


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
