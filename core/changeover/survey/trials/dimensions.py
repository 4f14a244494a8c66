"""How well the stored vectors stand being cut: no text needed, and no model but for labelled queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from changeover.cluster.api import Gateway
from changeover.decision.answers import Answers
from changeover.errors import ChangeoverError, UsageError
from changeover.quality.queries import LabelledQuery
from changeover.quality.trials import Cut, DimensionsTrial
from changeover.survey.model import Survey
from changeover.survey.trials.budget import Budget, Partly, Progress, asked, require_size
from changeover.survey.trials.collect import (
    AT_ONCE,
    Found,
    Subject,
    answerable,
    labelled,
    random_ids,
    read_points,
    rows_of,
    subject_of,
)

if TYPE_CHECKING:
    from changeover.quality.cuts import Labelled

VECTORS = 2_000
QUERIES = 200
SECONDS = 60.0
SHARES = (3 / 4, 1 / 2, 1 / 4)


async def try_dimensions(
    gateway: Gateway,
    survey: Survey,
    answers: Answers,
    environ: Mapping[str, str],
    *,
    vectors: int = VECTORS,
    queries: int = QUERIES,
    budget_s: float | None = SECONDS,
    progress: Progress | None = None,
    partly: Partly | None = None,
) -> DimensionsTrial:
    """Cut `vectors` sampled stored vectors to the answered size and to parts of the full one. Reading only.

    nDCG kept is measured where labelled queries and the old model are there. Whatever fails is in `error`; `cuts` are
    there all the same when only the queries failed.
    """
    name, full = answers.vector.source or "", 0
    try:
        subject = subject_of(survey, answers)
        name, full = subject.vector, subject.size or 0
        budget = Budget(budget_s, progress, partly)
        return await _tried(gateway, subject, answers.target.dimension, environ, budget, vectors, queries)
    except ChangeoverError as error:
        return DimensionsTrial(vector=name, full=full, sampled=0, error=str(error))


async def _tried(
    gateway: Gateway,
    subject: Subject,
    wanted: int | None,
    environ: Mapping[str, str],
    budget: Budget,
    vectors: int,
    queries: int,
) -> DimensionsTrial:
    chosen: tuple[LabelledQuery, ...] = ()
    relevant: list[Found] = []
    trouble = ""
    if subject.asks and subject.old_model is not None:
        try:
            given = await labelled(gateway, subject, queries)
            chosen, relevant = await answerable(gateway, subject, given, vectors // 2)
        except UsageError as error:
            trouble = str(error)
    points = [*relevant, *await _read(gateway, subject, vectors - len(relevant), relevant, budget)]
    trial = await budget.run(_measured, subject, points, chosen, wanted, environ, budget)
    return msgspec.structs.replace(trial, error=trouble) if trouble else trial


def _measured(
    subject: Subject,
    points: Sequence[Found],
    queries: Sequence[LabelledQuery],
    wanted: int | None,
    environ: Mapping[str, str],
    budget: Budget,
) -> DimensionsTrial:
    from changeover.quality.cuts import cuts

    rows = rows_of(points)
    full = rows.shape[1]
    sizes = {round(full * share) for share in SHARES} | ({wanted} if wanted else set())
    questions, trouble = None, ""
    try:
        questions = _asked(subject, points, queries, full, environ, budget)
    except ChangeoverError as error:
        trouble = str(error)
    trial = DimensionsTrial(
        vector=subject.vector,
        full=full,
        sampled=len(points),
        queries=len(questions.queries) if questions else 0,
        error=trouble,
    )

    def so_far(done: tuple[Cut, ...], of: int) -> None:
        budget.tell(len({cut.size for cut in done}), of, "comparing cut and whole vectors")
        budget.show(msgspec.structs.replace(trial, cuts=done))

    so_far((), len(sizes))
    scores = cuts(rows, sorted(sizes), subject.distance, labelled=questions, so_far=so_far)
    return msgspec.structs.replace(trial, cuts=scores.cuts, gap=scores.gap, matryoshka=scores.matryoshka)


def _asked(
    subject: Subject,
    points: Sequence[Found],
    queries: Sequence[LabelledQuery],
    full: int,
    environ: Mapping[str, str],
    budget: Budget,
) -> Labelled | None:
    """The queries as the old model embeds them; None without any."""
    import numpy as np

    from changeover.embed.protocol import load
    from changeover.quality.cuts import Labelled

    if not queries or subject.old_model is None:
        return None
    model = load(subject.old_model, environ)
    try:
        found = asked(model, [query.query for query in queries], budget, 1.0, f"asking with {subject.old_model.label}")
    finally:
        model.close()
    usable = [(query, row) for query, row in zip(queries, found, strict=False) if row is not None]
    if not usable:
        return None
    rows = np.array([row for _, row in usable], dtype=np.float32)
    require_size(rows, full, subject.old_model.label)
    return Labelled([query for query, _ in usable], rows, [point.id for point in points])


async def _read(gateway: Gateway, subject: Subject, count: int, without: list[Found], budget: Budget) -> list[Found]:
    ids = await random_ids(gateway, subject, count, without=[point.id for point in without])
    found: list[Found] = []
    for begin in range(0, len(ids), 4 * AT_ONCE):
        budget.tell(begin, len(ids), "reading stored vectors")
        found += await read_points(gateway, subject, ids[begin : begin + 4 * AT_ONCE], text=False)
    return found
