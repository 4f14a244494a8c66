"""A linear map fitted on anchors of the collection, and what it gains on queries and points that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from changeover.cluster.api import Gateway
from changeover.decision.answers import Answers
from changeover.errors import ChangeoverError, UsageError
from changeover.quality.trials import MapTrial
from changeover.survey.model import Survey
from changeover.survey.trials.budget import Budget, Partly, Progress, merged, spread
from changeover.survey.trials.collect import (
    Found,
    Subject,
    answerable,
    labelled,
    models_of,
    random_ids,
    read_points,
    rows_of,
    subject_of,
)

if TYPE_CHECKING:
    from changeover.quality.matrix import Matrix
    from changeover.survey.trials.sides import Sides

Method = Literal["ridge", "procrustes"]

ANCHORS = 2_000
POINTS = 1_000
QUERIES = 200
SECONDS = 180.0
FEW_ANCHORS = 1_000
"""Below it a rotation, which has less to learn, is the default (measured: as good as ridge at 500)."""


async def try_map(
    gateway: Gateway,
    survey: Survey,
    answers: Answers,
    environ: Mapping[str, str],
    *,
    points: int = POINTS,
    queries: int = QUERIES,
    budget_s: float | None = SECONDS,
    progress: Progress | None = None,
    partly: Partly | None = None,
) -> MapTrial:
    """Embed anchors and other points with the new model, fit the map, search the others. Reading only.

    The sample has `answers.map.anchors` or ANCHORS anchors, at most two thirds of the collection; with less time than
    needed there are fewer. Whatever fails or is missing is in `error`.
    """
    method = answers.map.method
    try:
        subject = subject_of(survey, answers)
        _, trial = await fit_and_try(
            gateway,
            subject,
            environ,
            method=method,
            anchors=answers.map.anchors or ANCHORS,
            points=points,
            queries=queries,
            budget=Budget(budget_s, progress, partly),
        )
    except ChangeoverError as error:
        return MapTrial(method=method or "ridge", anchors=0, points=0, queries=0, error=str(error))
    return trial


async def fit_and_try(
    gateway: Gateway,
    subject: Subject,
    environ: Mapping[str, str],
    *,
    method: Method | None,
    anchors: int,
    points: int = POINTS,
    queries: int = QUERIES,
    budget: Budget,
) -> tuple[Matrix, MapTrial]:
    """The map and its trial. No anchor is among the points that are searched. `method` None: chosen by the anchors.

    Raises ChangeoverError for what is missing or fails in cluster and models.
    """
    models_of(subject)
    if subject.model is not None and subject.model.kind != "dense":
        raise UsageError(f"a linear map gives one vector per point, and {subject.model.label} makes one per token")
    budget.tell(0, anchors + points, "reading the sample")
    points = max(2, min(points, subject.points // 3))
    chosen, relevant = await answerable(gateway, subject, await labelled(gateway, subject, queries), points // 2)
    barred = [point.id for point in relevant]
    ids = await random_ids(gateway, subject, points - len(relevant) + anchors, without=barred)
    # The searched points come first: a small collection gives fewer anchors, never none to search.
    others = await read_points(gateway, subject, ids[: points - len(relevant)])
    pairs = await read_points(gateway, subject, ids[points - len(relevant) :])
    searched = spread(relevant, others)

    def measured() -> tuple[Matrix, MapTrial]:
        from changeover.survey.trials.sides import both_sides

        order = merged(searched, pairs)
        sides = both_sides(subject, chosen, order, environ, budget, searched)
        return _fitted(subject, sides, pairs, method)

    return await budget.run(measured)


def _fitted(subject: Subject, sides: Sides, pairs: list[Found], method: Method | None) -> tuple[Matrix, MapTrial]:
    import numpy as np

    from changeover.quality.linear_map import evaluate, fit_procrustes, fit_ridge

    barred = {point.id for point in pairs}
    is_anchor = np.array([point.id in barred for point in sides.points])
    old, new = rows_of(sides.points), np.array(sides.fresh, dtype=np.float32)
    chosen: Method = method or ("ridge" if int(is_anchor.sum()) >= FEW_ANCHORS else "procrustes")
    fit = fit_ridge if chosen == "ridge" else fit_procrustes
    matrix = fit(old[is_anchor], new[is_anchor], distance=subject.aim)
    scores = evaluate(
        matrix,
        ids=[i for i, anchor in zip(sides.ids, is_anchor, strict=True) if not anchor],
        old=old[~is_anchor],
        new=new[~is_anchor],
        queries=sides.queries,
        asked_old=sides.asked_old,
        asked_new=np.array(sides.asked_new, dtype=np.float32),
        distance=subject.distance,
        new_distance=subject.aim,
        anchors=barred,
    )
    return matrix, MapTrial(
        method=chosen,
        anchors=int(is_anchor.sum()),
        points=int((~is_anchor).sum()),
        queries=scores.queries,
        old=scores.old,
        mapped=scores.mapped,
        new=scores.new,
        over_old=scores.over_old,
        gain=scores.gain,
    )
