"""Retrieval metrics per query, by trec_eval's own code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from changeover.quality.queries import LabelledQuery
from changeover.survey.model import PointId

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

METRICS: dict[str, str] = {"nDCG@10": "ndcg_cut_10", "recall@10": "recall_10", "MRR": "recip_rank"}
"""Our name -> trec_eval's measure."""

DEPTH = 10
"""How many results per query these metrics look at (MRR: all that are given)."""


def per_query(
    queries: Sequence[LabelledQuery], rankings: Sequence[Sequence[PointId]]
) -> dict[str, NDArray[np.float64]]:
    """Each metric's value per query, 0 to 1, arrays as long as `queries`; every query must have labels.

    `rankings[i]` are the ids found for `queries[i]`, best first; nothing found counts as 0.
    """
    import numpy as np
    import pytrec_eval

    labels = {
        str(number): {str(point): gain for point, gain in query.relevant.items()}
        for number, query in enumerate(queries)
    }
    run = {
        str(number): {str(point): float(len(ranking) - rank) for rank, point in enumerate(ranking)}
        for number, ranking in enumerate(rankings)
    }
    found = pytrec_eval.RelevanceEvaluator(labels, set(METRICS.values())).evaluate(run) if labels else {}
    return {
        name: np.array([found.get(str(number), {}).get(measure, 0.0) for number in range(len(queries))])
        for name, measure in METRICS.items()
    }


def overlap(first: Sequence[Sequence[PointId]], second: Sequence[Sequence[PointId]]) -> float | None:
    """Mean share of the first side's top ten that the second side's top ten holds; None when nothing was found."""
    shares = [
        len(set(one[:DEPTH]) & set(other[:DEPTH])) / len(set(one[:DEPTH]))
        for one, other in zip(first, second, strict=True)
        if one
    ]
    return sum(shares) / len(shares) if shares else None


def ann_health(approximate: Sequence[Sequence[PointId]], exact: Sequence[Sequence[PointId]]) -> float | None:
    """Recall@10 of the index: the share of the exact top ten that approximate search finds; None without results."""
    return overlap(exact, approximate)
