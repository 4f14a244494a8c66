"""What trials on a sample work on: the question in plain values, labelled queries, and points with stored vectors."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from changeover.cluster.api import Gateway, Point
from changeover.cluster.errors import Action, ClusterError
from changeover.decision.answers import Answers
from changeover.embed.model import ModelSpec
from changeover.errors import UsageError
from changeover.quality.known_items import known_items_of
from changeover.quality.queries import LabelledQuery, read
from changeover.routes.job import old_model, source_vector
from changeover.survey.model import PointId, Survey
from changeover.survey.template import render

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]

AT_ONCE = 50
"""Points read with vectors in one request."""
IDS_AT_ONCE = 1_500
TITLED = 1_500
"""Points whose title field is read for known-item queries."""
ROUNDS = 200
"""Requests for ids at most, where strict mode allows only a few in each."""
SMALL = 4
"""A collection of at most so many times the wanted points is listed whole instead of sampled again and again."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial is about, taken from survey and answers or from a run's job."""

    collection: str
    vector: str
    """The stored vector; "" if unnamed."""
    distance: str
    points: int
    """Of the whole collection."""
    size: int | None = None
    """Numbers of the stored vector."""
    new_distance: str = ""
    """Of the new vectors; "" for the same."""
    template: str = ""
    model: ModelSpec | None = None
    old_model: ModelSpec | None = None
    queries_file: str = ""
    title_field: str = ""

    @property
    def aim(self) -> str:
        """Distance of the new vectors."""
        return self.new_distance or self.distance

    @property
    def asks(self) -> bool:
        """Whether labelled queries were given in some way."""
        return bool(self.queries_file or self.title_field)


class Found(msgspec.Struct, frozen=True):
    """One point of the sample: its stored vector as the server gave it, and its text ("" where none is read)."""

    id: PointId
    vector: list[float]
    text: str


def subject_of(survey: Survey, answers: Answers) -> Subject:
    """The subject of a collection's trials; raises UsageError or BlockedError without a dense vector."""
    vector = source_vector(survey, answers)
    return Subject(
        collection=survey.collection,
        vector=vector.name,
        distance=vector.distance or "Cosine",
        points=survey.size.points,
        size=vector.size,
        new_distance=answers.vector.distance or "",
        template=answers.text.as_template or survey.text.template or "",
        model=answers.model,
        old_model=old_model(survey, answers) or survey.text.old_model,
        queries_file=answers.queries.file or "",
        title_field=answers.queries.title_field or "",
    )


def models_of(subject: Subject) -> tuple[ModelSpec, ModelSpec]:
    """(old, new) model; raises UsageError that names every answer which is missing for a comparison of both."""
    missing = []
    if subject.old_model is None:
        missing.append("the old model (old_model.*), to search the old side with the same queries")
    if subject.model is None:
        missing.append("the new model (model.*)")
    if not subject.template:
        missing.append("the text (text.field or text.template)")
    if not subject.asks:
        missing.append("labelled queries (queries.file or queries.title_field)")
    if missing or subject.old_model is None or subject.model is None:
        raise UsageError(f"not tried, because it needs {'; '.join(missing)}")
    if subject.model.provider == "qdrant":
        raise UsageError(
            f"not tried: the server embeds with {subject.model.label}, and a trial that writes nothing gets no vectors"
        )
    return subject.old_model, subject.model


async def labelled(gateway: Gateway, subject: Subject, most: int, seed: int = 0) -> tuple[LabelledQuery, ...]:
    """Up to `most` labelled queries in random order; raises UsageError in one line when there are none."""
    if subject.queries_file:
        given = read(Path(subject.queries_file).expanduser())
        found = [query for query in given if query.relevant]
        if not found:
            raise UsageError(f"queries.file {subject.queries_file}: none of its {len(given)} queries has labels")
        return tuple(random.Random(seed).sample(found, min(most, len(found))))
    if not subject.title_field:
        raise UsageError("no labelled queries were given (queries.file or queries.title_field)")
    ids = await random_ids(gateway, subject, TITLED, seed=seed)
    payloads = await _retrieved(gateway, subject, ids, vectors=False)
    items = known_items_of(((p.id, p.payload) for p in payloads), subject.title_field, subject.template, most, seed)
    if not items.queries:
        raise UsageError(
            f"queries.title_field {subject.title_field!r} gives no query on {len(payloads):,} sampled points"
            f" ({items.skipped or 'no point could be read'}); name another field or give queries.file"
        )
    return items.queries


async def answerable(
    gateway: Gateway, subject: Subject, queries: Sequence[LabelledQuery], most: int
) -> tuple[tuple[LabelledQuery, ...], list[Found]]:
    """The queries whose relevant points, `most` in all, can be searched, with those points.

    Labels of points that are gone or have no such vector or text are left out, and so are queries without any other.
    Raises UsageError when no query is left.
    """
    chosen: list[LabelledQuery] = []
    wanted: dict[PointId, None] = {}
    for query in queries:
        more = [point for point in query.relevant if point not in wanted]
        if len(wanted) + len(more) <= most:
            chosen.append(query)
            wanted.update(dict.fromkeys(more))
    found = await read_points(gateway, subject, list(wanted))
    left = within(chosen, (point.id for point in found))
    if not left:
        raise UsageError(
            f"none of the {len(queries)} labelled queries can be asked: {subject.collection} has none of their relevant"
            f" points with a vector {subject.vector!r}" + (" and a text" if subject.template else "")
        )
    return left, found


def within(queries: Iterable[LabelledQuery], ids: Iterable[PointId]) -> tuple[LabelledQuery, ...]:
    """The queries with labels of these points only; those without any are left out."""
    known = set(ids)
    cut = (LabelledQuery(q.query, {i: gain for i, gain in q.relevant.items() if i in known}) for q in queries)
    return tuple(query for query in cut if query.relevant)


async def read_points(gateway: Gateway, subject: Subject, ids: Sequence[PointId], *, text: bool = True) -> list[Found]:
    """Those of the points that have the vector and, where `text`, a text that is not blank; in the order of the ids."""
    found = []
    for point in await _retrieved(gateway, subject, ids, vectors=True, payload=text and bool(subject.template)):
        vector = point.vectors.get(subject.vector)
        written = render(subject.template, point.payload) if text and subject.template else ""
        if vector and not isinstance(vector[0], list) and (written.strip() or not text or not subject.template):
            found.append(Found(point.id, vector, written))
    return found


async def random_ids(
    gateway: Gateway, subject: Subject, count: int, *, without: Iterable[PointId] = (), seed: int = 0
) -> list[PointId]:
    """Up to `count` distinct ids in random order, none of `without`.

    A large collection is sampled by the server; a small one, and one whose server refuses to sample, is listed.
    """
    barred = set(without)
    wanted = count + len(barred)
    found: dict[PointId, None] = {}
    if subject.points > SMALL * wanted:
        try:
            for _ in range(ROUNDS):
                before = len(found)
                page = await gateway.sample(subject.collection, IDS_AT_ONCE, payload=False)
                found.update((point.id, None) for point in page if point.id not in barred)
                if len(found) >= count or len(found) == before:
                    break
        except ClusterError as error:
            if error.action is Action.RETRY:
                raise
            found.clear()
    if not found:
        found = dict.fromkeys(i for i in await _listed(gateway, subject, SMALL * wanted) if i not in barred)
    ids = list(found)
    random.Random(seed).shuffle(ids)
    return ids[:count]


def rows_of(points: Sequence[Found]) -> Rows:
    """The stored vectors, float32 (n, dimension); raises UsageError where sizes differ or there are none."""
    import numpy as np

    sizes = {len(point.vector) for point in points}
    if len(sizes) != 1:
        raise UsageError(
            "no stored vectors could be read" if not sizes else f"stored vectors have sizes {sorted(sizes)}"
        )
    return np.array([point.vector for point in points], dtype=np.float32)


async def _listed(gateway: Gateway, subject: Subject, most: int) -> list[PointId]:
    found: list[PointId] = []
    offset: PointId | None = None
    while len(found) < most:
        page, offset = await gateway.scroll(subject.collection, limit=IDS_AT_ONCE, offset=offset, payload=False)
        found += [point.id for point in page]
        if offset is None or not page:
            break
    return found


async def _retrieved(
    gateway: Gateway, subject: Subject, ids: Sequence[PointId], *, vectors: bool, payload: bool = True
) -> list[Point]:
    """The points that are still there, in the order of the ids."""
    points: dict[PointId, Point] = {}
    step = AT_ONCE if vectors else IDS_AT_ONCE // 3
    for begin in range(0, len(ids), step):
        part = await gateway.retrieve(
            subject.collection,
            ids[begin : begin + step],
            payload=payload,
            vectors=[subject.vector] if vectors else False,
        )
        points.update((point.id, point) for point in part)
    return [points[i] for i in ids if i in points]
