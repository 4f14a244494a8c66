"""Old against new: means, a paired bootstrap interval of the difference, and a verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from changeover.quality.metrics import METRICS, overlap, per_query
from changeover.quality.model import QualityReport, Score, Verdict
from changeover.quality.queries import LabelledQuery
from changeover.survey.model import PointId

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TOLERANCE = 0.02
"""How much nDCG@10 the new side may lose and still be called no worse."""
RESAMPLES = 2_000
FEWEST_QUERIES = 20
"""With fewer labelled queries a bootstrap interval is too narrow to be believed."""
DECIDES = "nDCG@10"


def compare(
    queries: Sequence[LabelledQuery],
    old: Sequence[Sequence[PointId]],
    new: Sequence[Sequence[PointId]],
    *,
    tolerance: float = TOLERANCE,
    ann_recall: float | None = None,
    seed: int = 0,
) -> QualityReport:
    """The report on ranked ids per query and side (best first, ten or more).

    Only queries with labels are scored; the overlap is over all. Raises ValueError when the lengths differ.
    """
    if not len(queries) == len(old) == len(new):
        raise ValueError(f"{len(queries)} queries, but {len(old)} old and {len(new)} new rankings")
    labelled = [i for i, query in enumerate(queries) if query.relevant]
    shown = overlap(old, new)
    if not labelled:
        reason = "No query says which points are relevant, so better and worse cannot be told apart."
        return QualityReport(queries=0, overlap=shown, ann_recall=ann_recall, reason=reason)
    asked = [queries[i] for i in labelled]
    before = per_query(asked, [old[i] for i in labelled])
    after = per_query(asked, [new[i] for i in labelled])
    rows = [*before.values(), *after.values(), after[DECIDES] - before[DECIDES]]
    scores = bootstrap([*METRICS, *METRICS, DECIDES], rows, seed)
    difference = scores[-1]
    verdict, reason = _verdict(difference, len(labelled), tolerance)
    return QualityReport(
        queries=len(labelled),
        old=tuple(scores[: len(METRICS)]),
        new=tuple(scores[len(METRICS) : -1]),
        difference=difference,
        overlap=shown,
        ann_recall=ann_recall,
        verdict=verdict,
        reason=reason,
    )


def bootstrap(names: list[str], rows: list[NDArray[np.float64]], seed: int) -> list[Score]:
    """Mean and 95 % percentile interval of each row; all rows are resampled by the same queries (paired)."""
    import numpy as np

    values = np.stack(rows)
    count = values.shape[1]
    generator = np.random.default_rng(seed)
    means = np.array([values[:, generator.integers(0, count, count)].mean(axis=1) for _ in range(RESAMPLES)])
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return [
        Score(metric=name, mean=float(mean), low=float(bottom), high=float(top))
        for name, mean, bottom, top in zip(names, values.mean(axis=1), low, high, strict=True)
    ]


def scored(queries: Sequence[LabelledQuery], found: Sequence[Sequence[PointId]], seed: int = 0) -> tuple[Score, ...]:
    """Every metric of one way of searching over the labelled queries; () when none is labelled."""
    labelled = [i for i, query in enumerate(queries) if query.relevant]
    if not labelled:
        return ()
    rows = per_query([queries[i] for i in labelled], [found[i] for i in labelled])
    return tuple(bootstrap(list(METRICS), list(rows.values()), seed))


def _verdict(difference: Score, queries: int, tolerance: float) -> tuple[Verdict, str]:
    """GO when the loss is surely within the tolerance, NO-GO when it is surely beyond, else UNDECIDED."""
    measured = (
        f"{DECIDES} changes by {difference.mean:+.3f} "
        f"(95 % interval {difference.low:+.3f} to {difference.high:+.3f}, {queries} queries)"
    )
    if queries < FEWEST_QUERIES:
        return "UNDECIDED", f"{measured}; fewer than {FEWEST_QUERIES} labelled queries decide nothing."
    if difference.low > 0:
        return "GO", f"{measured}; the new side is better."
    if difference.low > -tolerance:
        return "GO", f"{measured}; a loss of {tolerance} or more is ruled out."
    if difference.high < -tolerance:
        return "NO-GO", f"{measured}; the new side loses more than the {tolerance} that is allowed."
    return "UNDECIDED", f"{measured}; it may lose more than the {tolerance} that is allowed: add labelled queries."
