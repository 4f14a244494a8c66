"""Both sides of a run, open: the connection and the models that embed a query for each; reading only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from changeover.cluster.api import Gateway, Hit, Part
from changeover.cluster.errors import Action, ClusterError
from changeover.embed.model import ModelSpec, SparseSpec
from changeover.engine.folder import RunFolder
from changeover.errors import ChangeoverError, UnreachableError
from changeover.plan.model import Evaluate
from changeover.side_by_side.excerpt import Excerpt, Reader
from changeover.side_by_side.model import TOP, Answer, SideName, Way, query_of
from changeover.side_by_side.ranks import Found, Held, rankings
from changeover.side_by_side.sides import Side, not_there, sides_of, subject, unnamed_model
from changeover.survey.model import PointId

if TYPE_CHECKING:
    from changeover.embed.protocol import Encoder

PATIENCE_S = 20.0
"""How long a server may take to answer: a person waits for it."""
TRIES = 4
TITLED, MADE = 500, 50
"""Points whose titles are read, and queries made of them, where the plan has no file of queries."""

Tell = Callable[[str], None]
Answered = TypeVar("Answered")
Spec = ModelSpec | SparseSpec


class Comparison:
    """Made by `open_comparison`; `ask` may be called again and again, `close` ends it."""

    def __init__(self, run: RunFolder, sides: tuple[Side, Side], gateway: Gateway, url: str) -> None:
        self.run = run
        """The run whose folder keeps the votes."""
        self.old, self.new = sides
        self._plan = run.plan()
        self._gateway = gateway
        self._url = url
        self._reader = Reader(self._plan)
        self._encoders: dict[Spec, Encoder] = {}
        self._problems: dict[SideName, ChangeoverError] = {}

    async def ask(self, text: str) -> Answer:
        """The ten best of each side, with ranks, moves and times.

        A side that is not there now is left out with the reason. Raises UsageError for an empty query and
        UnreachableError, in one line, when the server does not answer.
        """
        query = query_of(text)
        try:
            return await self._answer(query)
        except ClusterError as error:
            if error.status is not None:
                raise
            raise UnreachableError(f"{self._url}: {error}; ask again once the server is back") from None

    async def problems(self) -> dict[SideName, ChangeoverError]:
        """Why a side cannot be asked at all now; {} when both can."""
        collections = await self._within(self._gateway.collections())
        found = dict(self._problems)
        for side in (self.old, self.new):
            if side.name not in found:
                there = side.collection in collections
                info = await self._within(self._gateway.collection(side.collection)) if there else None
                if (problem := not_there(side, collections, info)) is not None:
                    found[side.name] = problem
        return found

    async def queries(self) -> tuple[str, ...]:
        """The queries that the plan compares with: those of its file, or made of titles; () where it has none.

        Raises UsageError when the file cannot be read.
        """
        from changeover.quality.queries import known_items, read
        from changeover.survey.template import render

        step = next((step for step in self._plan.steps if isinstance(step, Evaluate)), None)
        given = self._plan.answers.queries
        file, field = (step.queries, step.title_field) if step else (given.file or "", given.title_field or "")
        if file:
            return tuple(query.query for query in await asyncio.to_thread(read, Path(file)))
        if not field:
            return ()
        side = self.old if "old" not in await self.problems() else self.new
        points = await self._within(self._gateway.sample(side.collection, TITLED, payload=True))
        titles = [(point.id, render(f"{{{field}}}", point.payload)) for point in points]
        return tuple(query.query for query in known_items(titles, MADE))

    async def close(self) -> None:
        """Close the connection and the models."""
        await self._gateway.close()
        for encoder in self._encoders.values():
            encoder.close()

    def load_models(self, environ: Mapping[str, str], tell: Tell) -> None:
        """Open what embeds the queries of each side; blocking. A model that fails is its side's problem."""
        from changeover.embed.protocol import load_encoder

        failed: dict[Spec, ChangeoverError] = {}
        for side in (self.old, self.new):
            if (unnamed := unnamed_model(side, self.run.name)) is not None:
                self._problems[side.name] = unnamed
                continue
            for spec in _specs(side):
                if spec not in self._encoders and spec not in failed:
                    tell(f"opening {spec.label}")
                    try:
                        self._encoders[spec] = load_encoder(spec, environ)
                    except ChangeoverError as error:
                        failed[spec] = error
                if spec in failed:
                    self._problems[side.name] = _of(side, failed[spec])

    # One query

    async def _answer(self, query: str) -> Answer:
        problems = await self.problems()
        embedded: dict[Any, tuple[Any, float | None]] = {}
        old = None if "old" in problems else (await self._side(self.old, query, embedded))[-1]
        news = [] if "new" in problems else await self._side(self.new, query, embedded)
        new = news[-1] if news else None
        lists = [found for found in (old, *news) if found is not None]
        ranked = rankings(lists, old, new, await self._held(lists))
        return Answer(
            query=query,
            old=ranked[0] if old is not None else None,
            new=ranked[-1] if new is not None else None,
            parts=ranked[lists.index(news[0]) : -1] if len(news) > 1 else (),
            why_no_old=str(problems.get("old", "")),
            why_no_new=str(problems.get("new", "")),
        )

    async def _side(self, side: Side, query: str, embedded: dict[Any, tuple[Any, float | None]]) -> list[Found]:
        """Every list of a side, what the application searches last. One after the other: the times are honest."""
        parts: list[tuple[Way, Part, float | None]] = []
        if side.model is not None:
            vector, took = await self._embedded(side, side.model, query, embedded)
            parts.append(("dense", Part(vector, side.vector), took))
        if side.terms is not None:
            terms, took = await self._embedded(side, side.terms, query, embedded)
            parts.append(("sparse", Part(terms, side.terms_vector), took))
        elif side.text_field:
            parts.append(("sparse", Part({"text": query}, side.text_field), None))
        found: list[Found] = []
        for way, part, took in parts:
            one = partial(self._gateway.search, side.collection, part.query, using=part.using, exact=side.exact)
            hits, searched = await self._timed(one)
            found.append(Found(side.name, way, hits, took, searched))
        if len(parts) > 1:
            hits, searched = await self._timed(
                partial(self._gateway.fused, side.collection, [part for _, part, _ in parts])
            )
            known = [took for _, _, took in parts if took is not None]
            found.append(Found(side.name, "fused", hits, sum(known) if known else None, searched))
        return found

    async def _embedded(
        self, side: Side, spec: Spec, query: str, known: dict[Any, tuple[Any, float | None]]
    ) -> tuple[Any, float | None]:
        """The query for one vector and the milliseconds it took; a model that both sides use is asked once."""
        from changeover.cluster.api import Inference

        if spec not in known:
            encoder = self._encoders[spec]
            began = time.perf_counter()
            value: Any = await asyncio.to_thread(encoder.embed_query, query)
            took = (time.perf_counter() - began) * 1000
            known[spec] = (value, None if isinstance(value, Inference) else took)
        value, whole = known[spec]
        if not side.cut or not isinstance(spec, ModelSpec):
            return value, whole
        began = time.perf_counter()
        shorter = await asyncio.to_thread(self._shorter, value)
        return shorter, (whole or 0.0) + (time.perf_counter() - began) * 1000

    def _shorter(self, vector: Any) -> Any:
        import numpy as np

        from changeover.quality.matrix import Matrix

        return Matrix.load(self.run.matrix).apply(np.asarray([vector], dtype=np.float32))[0]

    async def _held(self, lists: Sequence[Found]) -> dict[SideName, Held]:
        """What each side holds of all points found, and what it says of them."""
        asked = {found.side: self.old if found.side == "old" else self.new for found in lists}
        ids = list(dict.fromkeys(hit.id for found in lists for hit in found.hits))
        excerpts = {
            name: await self._excerpts(name, ids) for name in dict.fromkeys(side.collection for side in asked.values())
        }
        held: dict[SideName, Held] = {}
        for name, side in asked.items():
            found = {hit.id for one in lists if one.side == name for hit in one.hits}
            there = excerpts[side.collection]
            others = [point for point in ids if point not in found and point in there]
            if self._plan.job.mode == "in-place":
                others = await self._with_vector(side, others)
            held[name] = Held(found.union(others), there)
        return held

    async def _excerpts(self, collection: str, ids: Sequence[PointId]) -> dict[PointId, Excerpt]:
        """What the points say that the collection has; as many at once as a search may bring."""
        found: dict[PointId, Excerpt] = {}
        for begin in range(0, len(ids), TOP):
            part = ids[begin : begin + TOP]
            points = await self._within(self._gateway.retrieve(collection, part, payload=True))
            found |= {point.id: self._reader.excerpt(point.payload) for point in points}
        return found

    async def _with_vector(self, side: Side, ids: Sequence[PointId]) -> list[PointId]:
        """In place a point may be there without the new vector; an unnamed vector cannot be asked for by a filter."""
        if not side.vector or side.model is None:
            return list(ids)
        found: list[PointId] = []
        for begin in range(0, len(ids), TOP):
            part = ids[begin : begin + TOP]
            filter = {"must": [{"has_id": part}, {"has_vector": side.vector}]}
            points, _ = await self._within(
                self._gateway.scroll(side.collection, limit=len(part), payload=False, filter=filter)
            )
            found += [point.id for point in points]
        return found

    async def _timed(self, search: Callable[..., Awaitable[list[Hit]]]) -> tuple[list[Hit], float]:
        """The ten best hits, and the milliseconds of the try that was answered; a server that says "later" is asked again."""
        for attempt in range(TRIES):
            began = time.perf_counter()
            try:
                hits = await self._within(search(limit=TOP))
            except ClusterError as error:
                if error.action is not Action.RETRY or error.status is None or attempt == TRIES - 1:
                    raise
                await asyncio.sleep(min(error.retry_after_s or 0.3 * 2**attempt, 5.0))
            else:
                return list(hits), (time.perf_counter() - began) * 1000
        raise AssertionError("the last try returns or raises")

    async def _within(self, asked: Awaitable[Answered]) -> Answered:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await asked
        except TimeoutError:
            raise UnreachableError(
                f"{self._url}: no answer within {PATIENCE_S:.0f} s; the server hangs or is very busy, ask again later"
            ) from None


async def open_comparison(
    run: RunFolder, environ: Mapping[str, str], *, old_model: ModelSpec | None = None, tell: Tell | None = None
) -> Comparison:
    """Connect and open the models of both sides; a run that follows another one stands for that one.

    `tell` is called from other threads. Raises UsageError or UnreachableError in one line; a model that cannot be
    opened, or is not named, is only its side's problem.
    """
    from changeover.cluster.address import resolve

    say = tell or (lambda line: None)
    run = subject(run, environ)
    plan = run.plan()
    sides = sides_of(plan, old_model)
    url = resolve(plan.job.access, environ).url
    say(f"connecting to {url}")
    # Off the loop: the client library takes a second to import.
    await asyncio.to_thread(import_module, "qdrant_client")
    from changeover.cluster.connect import open_gateway

    try:
        async with asyncio.timeout(PATIENCE_S):
            gateway = await open_gateway(plan.job.access, environ)
    except TimeoutError:
        raise UnreachableError(f"{url}: no answer within {PATIENCE_S:.0f} s; is this a running Qdrant?") from None
    comparison = Comparison(run, sides, gateway, url)
    try:
        await asyncio.to_thread(comparison.load_models, environ, say)
    except BaseException:
        await comparison.close()
        raise
    return comparison


def _specs(side: Side) -> list[Spec]:
    """What has to be opened to ask this side; an encoder that the server runs is opened like any other."""
    return [spec for spec in (side.model, side.terms) if spec is not None]


def _of(side: Side, error: ChangeoverError) -> ChangeoverError:
    """The error of a model, with the side that it speaks for."""
    named = ChangeoverError(f"{side.name} side: {error}")
    named.exit_code = error.exit_code
    return named


def refuse_one_sided(problems: Mapping[SideName, ChangeoverError]) -> None:
    """Raise the reason when one of the sides cannot be asked: there is nothing to compare."""
    for problem in problems.values():
        raise problem
