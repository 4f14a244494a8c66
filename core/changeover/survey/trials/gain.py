"""What the new model gains on the user's own data, on one or two thousand points, before anything is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from changeover.cluster.api import Gateway
from changeover.decision.answers import Answers
from changeover.errors import ChangeoverError
from changeover.quality.model import Score
from changeover.quality.queries import LabelledQuery
from changeover.quality.trials import GainTrial
from changeover.survey.model import PointId, Survey
from changeover.survey.trials.budget import Budget, Partly, Progress, spread
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

POINTS = 1_500
QUERIES = 200
SECONDS = 90.0


async def try_gain(
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
) -> GainTrial:
    """Search `points` points, among them all that are relevant, on both sides with the same queries. Reading only.

    The old side are the stored vectors, the new one fresh embeddings; with less time than needed there are fewer of
    both, and `reason` says so. Whatever fails or is missing is in `error`.
    """
    try:
        subject = subject_of(survey, answers)
        return await _tried(gateway, subject, environ, Budget(budget_s, progress, partly), points, queries)
    except ChangeoverError as error:
        return GainTrial(points=0, queries=0, error=str(error))


async def _tried(
    gateway: Gateway, subject: Subject, environ: Mapping[str, str], budget: Budget, points: int, queries: int
) -> GainTrial:
    models_of(subject)
    budget.tell(0, points, "reading the sample")
    chosen, relevant = await answerable(gateway, subject, await labelled(gateway, subject, queries), points // 2)
    ids = await random_ids(gateway, subject, points - len(relevant), without=[point.id for point in relevant])
    sample = spread(relevant, await read_points(gateway, subject, ids))

    return await budget.run(_measured, subject, chosen, sample, environ, budget)


def _measured(
    subject: Subject,
    queries: Sequence[LabelledQuery],
    sample: Sequence[Found],
    environ: Mapping[str, str],
    budget: Budget,
) -> GainTrial:
    from changeover.quality.compare import DECIDES, compare
    from changeover.quality.nearest import nearest, ranked
    from changeover.survey.trials.sides import both_sides

    sides = both_sides(subject, queries, sample, environ, budget)
    old = ranked(sides.ids, nearest(sides.asked_old, rows_of(sides.points), subject.distance))
    report = compare(sides.queries, old, _new_rankings(subject, sides.ids, sides.fresh, sides.asked_new))
    short = f" Time was up before {sides.skipped:,} of {len(sample):,} points." if sides.skipped else ""

    def of(scores: Sequence[Score]) -> Score | None:
        return next((score for score in scores if score.metric == DECIDES), None)

    return GainTrial(
        points=len(sides.points),
        queries=report.queries,
        old=of(report.old),
        new=of(report.new),
        difference=report.difference,
        verdict=report.verdict,
        reason=report.reason + short,
    )


def _new_rankings(
    subject: Subject, ids: Sequence[PointId], fresh: Sequence[Any], asking: Sequence[Any]
) -> list[list[PointId]]:
    """Ranked ids by the new model's vectors, one per point or one per token."""
    import numpy as np

    from changeover.quality.nearest import nearest, nearest_multi, ranked

    if subject.model is not None and subject.model.kind != "dense":
        return ranked(ids, nearest_multi(asking, fresh))
    rows, questions = np.array(fresh, dtype=np.float32), np.array(asking, dtype=np.float32)
    return ranked(ids, nearest(questions, rows, subject.aim))
