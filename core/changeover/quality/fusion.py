"""Several rankings made one, as servers do it (source of 1.19.0; equal to what its core answers, by a test)."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TypeAlias

Ranking: TypeAlias = Sequence[tuple[int, float]]
"""(point, score), best first."""

RRF_K = 2
"""The servers' constant (scores recorded on 1.17.1 to 1.19.0 agree)."""

LARGER_IS_NEARER = ("Cosine", "Dot")
"""DBSF adds scores as if larger were nearer; with Euclid and Manhattan servers rank backwards (measured on 1.18.3)."""


def rrf(rankings: Sequence[Ranking], k: int = RRF_K) -> list[tuple[int, float]]:
    """Reciprocal rank fusion: the score of a point is the sum of 1 / (position + k), positions from 0.

    Equal scores are common (the best of one ranking and the best of another) and servers order them at random; here
    the smaller number comes first, so number points at random.
    """
    total: dict[int, float] = {}
    for ranking in rankings:
        for position, (point, _) in enumerate(ranking):
            total[point] = total.get(point, 0.0) + 1 / (position + k)
    return _sorted(total)


def dbsf(rankings: Sequence[Ranking]) -> list[tuple[int, float]]:
    """Distribution-based score fusion: scores scaled so that mean +- 3 standard deviations become 0 and 1, then summed.

    The deviation is that of a sample (n - 1). One score alone counts 0.5, and so do equal ones. Greater is better, as
    servers have it even for Euclid and Manhattan, whose greater scores are worse: on 1.17.1, 1.18.3
    and 1.19.0 it turns the order of a Euclid search round (measured).
    """
    total: dict[int, float] = {}
    for ranking in rankings:
        for point, score in _scaled(ranking):
            total[point] = total.get(point, 0.0) + score
    return _sorted(total)


def _scaled(ranking: Ranking) -> list[tuple[int, float]]:
    scores = [score for _, score in ranking]
    spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
    if spread == 0:
        return [(point, 0.5) for point, _ in ranking]
    low = statistics.fmean(scores) - 3 * spread
    return [(point, (score - low) / (6 * spread)) for point, score in ranking]


def _sorted(total: dict[int, float]) -> list[tuple[int, float]]:
    return sorted(total.items(), key=lambda pair: (-pair[1], pair[0]))
