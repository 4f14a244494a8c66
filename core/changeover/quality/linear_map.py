"""A linear map from one model's stored vectors to another's, and what it really gains on queries it has not seen.

Stored vectors are mapped; queries come from the new model as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover.errors import UsageError
from changeover.quality.compare import DECIDES, FEWEST_QUERIES, RESAMPLES, bootstrap
from changeover.quality.matrix import Matrix, checked_rows, unit
from changeover.quality.metrics import per_query
from changeover.quality.model import Score
from changeover.quality.nearest import nearest, ranked
from changeover.quality.queries import LabelledQuery
from changeover.quality.reduction import normalises
from changeover.survey.model import PointId

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]
    Wide = NDArray[np.float64]

STRENGTHS = (1e-4, 1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Regularisations tried, relative to the mean variance of a stored number."""
TRIED_ON = 5
"""One in so many anchors is held out to choose the regularisation."""
FEWEST_ANCHORS = 20
UNIT = 1e-3
"""A length that differs by less from 1 is 1."""


@dataclass(frozen=True)
class MapScores:
    """nDCG@10 on held-out queries and documents, with 95 % bootstrap intervals paired by query."""

    queries: int
    old: Score
    mapped: Score
    new: Score
    over_old: Score
    """Mapped minus old."""
    gain: Score | None
    """(mapped - old) / (new - old); None unless the new side is better than the old one in every resample."""


def fit_ridge(x: Rows, y: Rows, ridge: float | None = None, *, distance: str = "Cosine") -> Matrix:
    """The affine map from `x` float32 (n, d_in) to `y` float32 (n, d_out) of least squares, regularised.

    `ridge` is relative to the mean variance of a number of `x`; None chooses it on held-out anchors. For Cosine both
    sides are normalised first. Raises UsageError for anchors that cannot be used.
    """
    import numpy as np

    before, after = _anchors(x, y, distance)
    cosine = normalises(distance)
    chosen = ridge
    if chosen is None:
        order = np.random.default_rng(0).permutation(len(before))
        held, rest = order[: len(order) // TRIED_ON], order[len(order) // TRIED_ON :]
        solved = _Ridge(before[rest], after[rest])
        misses = [_miss(solved.at(strength), before[held], after[held], cosine) for strength in STRENGTHS]
        chosen = STRENGTHS[int(np.argmin(misses))]
    return _as_matrix("ridge", _Ridge(before, after).at(chosen), after, cosine)


def fit_procrustes(x: Rows, y: Rows, *, distance: str = "Cosine") -> Matrix:
    """The rotation (sizes may differ) that brings centred `x` nearest to centred `y`; scaled except for Cosine.

    Shapes and errors as `fit_ridge`.
    """
    import numpy as np

    before, after = _anchors(x, y, distance)
    centre_x, centre_y = before.mean(axis=0), after.mean(axis=0)
    centred = before - centre_x
    left, strengths, right = np.linalg.svd(centred.T @ (after - centre_y), full_matrices=False)
    turn = left @ right
    cosine = normalises(distance)
    if not cosine:
        length = float(np.square(centred @ turn).sum())
        turn = turn * (float(strengths.sum()) / length if length else 1.0)
    return _as_matrix("procrustes", (turn, centre_y - centre_x @ turn), after, cosine)


def evaluate(
    matrix: Matrix,
    *,
    ids: Sequence[PointId],
    old: Rows,
    new: Rows,
    queries: Sequence[LabelledQuery],
    asked_old: Rows,
    asked_new: Rows,
    distance: str = "Cosine",
    new_distance: str | None = None,
    anchors: Collection[PointId] = (),
    seed: int = 0,
) -> MapScores:
    """Search old, mapped and new vectors of the same points with the same labelled queries.

    `old` (n, d_old) and `new` (n, d_new) belong to `ids`; `asked_old` and `asked_new` to `queries`. Raises ValueError
    when a point that is searched was an anchor, or a query is without labels.
    """
    if known := set(ids) & set(anchors):
        raise ValueError(f"{len(known)} of the points that are searched were anchors of the map")
    if not queries or not all(query.relevant for query in queries):
        raise ValueError("every query must say which points are relevant, and there must be one")
    aim = new_distance or distance
    sides = (
        nearest(asked_old, old, distance),
        nearest(asked_new, matrix.apply(old), aim),
        nearest(asked_new, new, aim),
    )
    before, mapped, after = (per_query(queries, ranked(ids, rows))[DECIDES] for rows in sides)
    rows = [before, mapped, after, mapped - before]
    old_score, mapped_score, new_score, over_old = bootstrap([DECIDES] * len(rows), rows, seed)
    return MapScores(
        queries=len(queries),
        old=old_score,
        mapped=mapped_score,
        new=new_score,
        over_old=over_old,
        gain=_recovered(before, mapped, after, seed),
    )


def _recovered(before: Wide, mapped: Wide, after: Wide, seed: int) -> Score | None:
    """The gain recovered with its interval; None where the new side is not surely better, or queries are few."""
    import numpy as np

    count = len(before)
    if count < FEWEST_QUERIES:
        return None
    generator = np.random.default_rng(seed)
    rows = np.stack([mapped - before, after - before])
    drawn = np.array([rows[:, generator.integers(0, count, count)].mean(axis=1) for _ in range(RESAMPLES)])
    if float(drawn[:, 1].min()) <= 0:
        return None
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    recovered = float(rows[0].mean() / rows[1].mean())
    return Score(metric="gain recovered", mean=recovered, low=float(low), high=float(high))


class _Ridge:
    """Least squares on centred pairs; any regularisation from one decomposition."""

    def __init__(self, x: Wide, y: Wide) -> None:
        import numpy as np

        self._centre_x, self._centre_y = x.mean(axis=0), y.mean(axis=0)
        centred = x - self._centre_x
        values, self._axes = np.linalg.eigh(centred.T @ centred)
        self._values = np.maximum(values, 0)
        self._crossed = self._axes.T @ (centred.T @ (y - self._centre_y))

    def at(self, strength: float) -> tuple[Wide, Wide]:
        import numpy as np

        # The least number keeps a constant sample (all variances 0) from dividing by zero.
        penalty = max(strength * float(self._values.mean()), float(np.finfo(np.float64).tiny))
        turn = self._axes @ (self._crossed / (self._values + penalty)[:, None])
        return turn, self._centre_y - self._centre_x @ turn


def _miss(solved: tuple[Wide, Wide], x: Wide, y: Wide, cosine: bool) -> float:
    """Mean squared error on these pairs, of directions for Cosine."""
    import numpy as np

    made = x @ solved[0] + solved[1]
    if cosine:
        made = made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-12)
    return float(np.square(made - y).sum(axis=1).mean())


def _anchors(x: Rows, y: Rows, distance: str) -> tuple[Wide, Wide]:
    import numpy as np

    before, after = checked_rows(x), checked_rows(y)
    if len(before) != len(after):
        raise UsageError(f"a map is fitted on pairs; these are {len(before)} old and {len(after)} new vectors")
    if len(before) < FEWEST_ANCHORS:
        raise UsageError(f"{len(before)} anchors are too few for a map; {FEWEST_ANCHORS} or more are needed")
    if normalises(distance):
        before, after = unit(before), unit(after)
    return before.astype(np.float64), after.astype(np.float64)


def _as_matrix(method: str, solved: tuple[Wide, Wide], after: Wide, cosine: bool) -> Matrix:
    """As float32; a model whose vectors all have length 1 gets vectors of length 1, whatever the distance."""
    import numpy as np

    lengths = np.linalg.norm(after, axis=1)
    whole = bool(np.abs(lengths - 1).max() < UNIT)
    return Matrix(
        method="ridge" if method == "ridge" else "procrustes",
        size=after.shape[1],
        matrix=np.ascontiguousarray(solved[0], dtype=np.float32),
        offset=np.ascontiguousarray(solved[1], dtype=np.float32),
        normalise_in=cosine,
        normalise_out=cosine or whole,
    )
