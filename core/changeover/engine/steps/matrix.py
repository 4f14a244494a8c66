"""Fit the matrix that computes the new vectors from stored ones, judge it, and keep it in the run folder."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

import numpy as np

from changeover.engine import events as ev
from changeover.engine.canary import teach
from changeover.engine.context import Context
from changeover.errors import BlockedError, UnverifiedError
from changeover.plan.model import FitMatrix, FromVector
from changeover.quality import matrix
from changeover.quality.trials import MapTrial

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAGE = 1_000


async def fit_matrix(ctx: Context, step: FitMatrix) -> str:
    """Emits `MatrixFitted`. A matrix that an earlier engine kept is used on: its vectors are written already."""
    make = next(make for make in ctx.job.makes if isinstance(make, FromVector))
    if ctx.folder.matrix.exists():
        return f"kept: sha256 {ctx.matrix.digest[:12]}"
    trial: MapTrial | None = None
    if make.maps:
        found, sampled, trial = await _mapped(ctx, step, make)
    else:
        stored = await stored_vectors(ctx, make.source, step.sample)
        if not len(stored):
            raise BlockedError(f"{ctx.job.source}: no sampled point has vector {make.source!r}; nothing to cut")
        sampled = len(stored)
        found = (
            matrix.leading(make.dimension, make.distance)
            if make.method == "leading"
            else await asyncio.to_thread(matrix.fit_pca, stored, make.dimension, make.distance)
        )
    found.save(ctx.folder.matrix)
    ctx.folder.matrix.chmod(0o600)
    ctx.emit(
        ev.MatrixFitted(at=ctx.clock(), method=make.method, sampled=sampled, digest=ctx.matrix.digest, trial=trial)
    )
    if ctx.canary is not None and ctx.job.keeps_serving:
        await teach(ctx)
    return f"{make.method} on {sampled:,} stored vectors, kept in {ctx.folder.matrix.name}"


async def stored_vectors(ctx: Context, name: str, count: int) -> NDArray[np.float32]:
    """Up to `count` stored vectors of random points, float32 (n, dimension); points without it are left out."""
    found: dict[object, list[float]] = {}
    for _ in range(-(-count // PAGE)):
        points = await ctx.gateway.sample(ctx.job.source, min(PAGE, count), payload=False, vectors=[name])
        found |= {point.id: point.vectors[name] for point in points if point.vectors.get(name)}
    return np.asarray(list(found.values())[:count], dtype=np.float32)


async def _mapped(ctx: Context, step: FitMatrix, make: FromVector) -> tuple[matrix.Matrix, int, MapTrial]:
    """Anchors and other points embedded with the new model; a map that does not beat the old side ends the run."""
    from changeover.survey.trials.budget import Budget
    from changeover.survey.trials.collect import Subject
    from changeover.survey.trials.map import fit_and_try

    job = ctx.job

    def tell(done: int, total: int, words: str) -> None:
        ctx.emit(ev.Progress(at=ctx.clock(), step=step.id, done=done, total=total, note=words))

    subject = Subject(
        collection=job.source,
        vector=make.source,
        distance=make.source_distance or make.distance,
        points=await ctx.gateway.count(job.source),
        new_distance=make.distance,
        template=job.template,
        model=job.model,
        old_model=job.old_model,
        queries_file=step.queries,
        title_field=step.title_field,
    )
    method: Literal["ridge", "procrustes"] = "procrustes" if make.method == "procrustes" else "ridge"
    found, trial = await fit_and_try(
        ctx.gateway, subject, ctx.environ, method=method, anchors=step.sample, budget=Budget(None, tell)
    )
    if trial.over_old is None or trial.over_old.low <= 0:
        over = (
            f"{trial.over_old.mean:+.3f} ({trial.over_old.low:+.3f} to {trial.over_old.high:+.3f})"
            if trial.over_old
            else "not measured"
        )
        raise UnverifiedError(
            f"the map gains nothing on {trial.queries} queries that it has not seen: nDCG@10 {over} against leaving"
            " the old vectors alone; nothing was written"
        )
    return found, trial.anchors, trial
