"""The canary: searches through the name that the application uses, all the while; the proof of zero downtime."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from changeover.cluster.api import Gateway, Inference, Query
from changeover.cluster.errors import ClusterError
from changeover.embed.protocol import Encoder, TextRejected
from changeover.engine import events as ev
from changeover.engine.context import Context
from changeover.errors import AwayError
from changeover.plan.model import FromText, FromVector
from changeover.survey.template import render

INTERVAL_S = 0.1
WINDOW = 200
"""Searches that the shown percentiles are over."""
RECENT = 40
"""Searches that the throttle looks at: about four seconds."""
BASELINE = 30
"""Searches before the load that make the baseline."""


class Probe(msgspec.Struct, frozen=True):
    """What one search asks with, and the vector name that it searches."""

    using: str
    query: Any


class CanaryTask:
    """Searches every 0.1 s; a search counts as failed when neither the old nor the new vectors are accepted.

    It does what an application that is ready for the cutover does: when the side that it knows is refused (an alias
    was swapped), it asks with the other side's vector before it gives up.
    """

    def __init__(self, ctx: Context, gateway: Gateway) -> None:
        self._ctx = ctx
        self._gateway = gateway
        self._sides: list[list[Probe]] = [[], []]
        self._side = 0
        self._times: deque[float] = deque(maxlen=WINDOW)
        self._searches = 0
        self._failures = 0
        self._last_error = ""
        self.baseline_ms: float | None = None
        self._round = 0

    async def prepare(self) -> None:
        """Take stored vectors of the old side as searches."""
        job = self._ctx.job
        source = job.source_vector
        try:
            points = await self._gateway.sample(job.source, 32, vectors=[source] if source else True)
        except ClusterError as error:
            self._ctx.log(f"no search probe: {error}", "warning")
            return
        self._sides[0] = [Probe(source, p.vectors[source]) for p in points if _is_dense(p.vectors.get(source))]

    def add_new(self, queries: Sequence[Query]) -> None:
        """Searches for the new side, once the model is loaded."""
        self._sides[1] = [Probe(self._ctx.job.target_vector, query) for query in queries]

    async def take_stored(self, collection: str, vector: str) -> None:
        """The new side is searched with vectors that are stored there already (on the way back)."""
        points = await self._gateway.sample(collection, 32, vectors=[vector] if vector else True)
        self._sides[1] = [Probe(vector, p.vectors[vector]) for p in points if _is_dense(p.vectors.get(vector))]

    def rename(self, vector: str) -> None:
        """The new side is searched with the same vectors under this name."""
        self._sides[1] = [Probe(vector, probe.query) for probe in self._sides[0]]

    def prefer_new(self) -> None:
        """The new side serves from now on."""
        if self._sides[1]:
            self._side = 1

    @property
    def knows_new(self) -> bool:
        """Whether there is anything to search the new side with."""
        return bool(self._sides[1])

    @property
    def ready(self) -> bool:
        """Whether there is anything to search with."""
        return bool(self._sides[0] or self._sides[1])

    async def run(self) -> None:
        """Search for ever; cancelled when the engine ends."""
        told = 0.0
        while True:
            if self.ready:
                await self.search()
            if time.monotonic() - told >= 1.0 and self._searches:
                told = time.monotonic()
                self._ctx.emit(self.event())
                self._ctx.throttle.on_canary(self._quantile(0.95, RECENT), self.baseline_ms)
            await asyncio.sleep(INTERVAL_S)

    async def baseline(self) -> None:
        """Measure before any load; keeps p95 of the first searches."""
        if not self.ready or self.baseline_ms is not None:
            return
        for _ in range(BASELINE):
            await self.search()
        if self._times:
            self.baseline_ms = self._quantile(0.95)
            self._ctx.emit(self.event())

    async def search(self) -> bool:
        """One search through the name in use; False when it failed."""
        self._searches += 1
        error: ClusterError | None = None
        for side in (self._side, 1 - self._side):
            probes = self._sides[side]
            if not probes:
                continue
            probe = probes[self._round % len(probes)]
            self._round += 1
            begun = time.perf_counter()
            try:
                await self._gateway.search(
                    self._ctx.job.name_in_use, probe.query, using=probe.using, limit=10, timeout_s=30.0
                )
            except ClusterError as problem:
                error = error or problem
                if problem.status != 400:
                    break
                continue
            self._times.append((time.perf_counter() - begun) * 1000)
            self._side = side
            return True
        self._failures += 1
        self._last_error = str(error)
        return False

    def event(self) -> ev.Canary:
        """The counts so far as an event."""
        return ev.Canary(
            at=self._ctx.clock(),
            searches=self._searches,
            failures=self._failures,
            p50_ms=self._quantile(0.5),
            p95_ms=self._quantile(0.95),
            baseline_p95_ms=self.baseline_ms,
            last_error=self._last_error,
        )

    def _quantile(self, share: float, last: int = WINDOW) -> float:
        times = sorted(list(self._times)[-last:])
        return round(times[min(len(times) - 1, int(share * len(times)))], 3) if times else 0.0


async def teach(ctx: Context) -> None:
    """Give the canary searches for the new side: what the new vectors of some points of the collection are."""
    assert ctx.canary is not None
    job = ctx.job
    make = job.make(job.target_vector)
    if ctx.plan.follows:
        await ctx.canary.take_stored(job.target, job.target_vector)
    elif make is None:  # a carried vector serves on, perhaps under another name
        ctx.canary.rename(job.target_vector)
    elif isinstance(make, FromVector):
        if ctx.folder.matrix.exists():
            ctx.canary.add_new(await _computed(ctx, make))
    elif isinstance(make, FromText):
        points = await ctx.gateway.sample(job.source, 16)
        texts = [text for point in points if (text := render(job.template, point.payload)).strip()]
        if texts:
            try:
                made = await asyncio.to_thread(lambda: _embedded(ctx.encoder(make), texts[:4] if make.multi else texts))
            except AwayError as error:  # who needs its vectors waits for it
                ctx.log(f"no search probe for the new side yet: {error}", "warning")
            else:
                ctx.canary.add_new(made)
    if ctx.state.cutover is not None:
        await teach_stored(ctx)
        ctx.canary.prefer_new()


async def teach_stored(ctx: Context) -> None:
    """Before the new side serves: where no searches for it could be made from texts, its stored vectors are asked with."""
    if ctx.canary is None or ctx.canary.knows_new:
        return
    try:
        await ctx.canary.take_stored(ctx.job.target, ctx.job.target_vector)
    except ClusterError as error:
        ctx.log(f"no search probe for the new side: {error}", "warning")


def _embedded(encoder: Encoder, texts: list[str]) -> list[Query]:
    """What these texts are searched with; without those that the model refuses."""
    try:
        made: Any = encoder.embed_documents(texts)
    except TextRejected as error:
        made = error.vectors
    return [_plain(query) for query in made if query is not None and _finite(query)]


async def _computed(ctx: Context, make: FromVector) -> list[list[float]]:
    import numpy as np

    points, _ = await ctx.gateway.scroll(ctx.job.source, limit=16, payload=False, vectors=[make.source])
    stored = [p.vectors[make.source] for p in points if _is_dense(p.vectors.get(make.source))]
    if not stored:
        return []
    return [list(map(float, row)) for row in ctx.matrix.apply(np.asarray(stored, dtype=np.float32))]


def _plain(query: Any) -> Query:
    return query.tolist() if getattr(query, "ndim", 0) == 1 else query  # type: ignore[no-any-return]


def _finite(query: Any) -> bool:
    import numpy as np

    return isinstance(query, Inference) or bool(np.size(query) and np.isfinite(query).all())


def _is_dense(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], int | float)
