"""What stays of stored vectors that are cut: leading numbers, random ones (the control) and principal components.

A Matryoshka model is known by leading numbers that keep more neighbours than random ones of the same count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from changeover.errors import UsageError
from changeover.quality.matrix import Matrix, checked_rows, fit_pca, reduction_closed, unit
from changeover.quality.metrics import per_query
from changeover.quality.nearest import TOP, nearest, ranked
from changeover.quality.queries import LabelledQuery
from changeover.quality.reduction import normalises
from changeover.quality.trials import Cut
from changeover.survey.model import PointId

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]
    Shares = NDArray[np.float64]

Method = Literal["leading", "random", "pca"]

HELD_OUT = 200
"""Stored vectors asked with, at most; a fifth of a smaller sample."""
DRAWS = 8
"""Random choices of numbers that are averaged."""
ADVANTAGE = 0.03
"""Overlap that the leading numbers must keep above random ones: measured .00 on ordinary models, .05 and more on a
Matryoshka model, at a quarter and at half of the size."""
FEWEST = 300
"""Vectors below which nothing is said about the model."""
SMALLEST = 32
"""Size of vectors below which a quarter is too few numbers to say anything."""
RESAMPLES = 1_000


@dataclass(frozen=True)
class Labelled:
    """Labelled queries, their vectors by the model of the stored vectors (float32 (queries, d)), and the points' ids.

    `ids` name the rows of the stored vectors; every relevant point that is to count must be among them.
    """

    queries: Sequence[LabelledQuery]
    asked: Rows
    ids: Sequence[PointId]


@dataclass(frozen=True)
class CutScores:
    """What `cuts` measured."""

    cuts: tuple[Cut, ...]
    gap: float
    """Mean over the sizes of leading minus random overlap."""
    matryoshka: bool | None
    held_out: int
    """Stored vectors asked with."""


def cuts(
    vectors: Rows,
    sizes: Sequence[int],
    distance: str,
    *,
    labelled: Labelled | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    so_far: Callable[[tuple[Cut, ...], int], None] = lambda found, sizes: None,
) -> CutScores:
    """Overlap@10 (and nDCG@10 kept, with `labelled`) at each size below that of `vectors`, float32 (n, d).

    Some vectors are held out and asked with; principal components are fitted on the others, which are searched
    exactly. `so_far` is told what was found and how many sizes there are, after each. Blocking, seconds. Raises UsageError for too few or broken vectors.
    """
    import numpy as np

    rows = checked_rows(vectors)
    full = rows.shape[1]
    if len(rows) < 3 * TOP:
        raise UsageError(f"{len(rows)} stored vectors are too few to measure a cut; {3 * TOP} or more are needed")
    wanted = sorted({size for size in sizes if 1 <= size < full}, reverse=True)
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(rows))
    held = min(HELD_OUT, len(rows) // 5)
    trial = _Trial(rows[order[:held]], rows[order[held:]], rows, distance, labelled)
    columns = [generator.permutation(full) for _ in range(draws)]
    axes = fit_pca(trial.stored, full, distance).matrix if not reduction_closed("pca", distance) else None

    leads, randoms = {}, {}
    found: list[Cut] = []
    for size in sorted({*wanted, *_telling(full)}, reverse=True):
        lead = trial.tried(_picked(np.arange(size), distance))
        many = [trial.tried(_picked(np.sort(order[:size]), distance)) for order in columns]
        leads[size], randoms[size] = lead.shares, np.stack([one.shares for one in many])
        if size in wanted:
            found += [lead.cut("leading", size), _averaged(many, size)]
            if axes is not None:
                rotated = Matrix(method="pca", size=size, matrix=axes[:, :size], normalise_out=normalises(distance))
                found.append(trial.tried(rotated.apply).cut("pca", size))
            so_far(tuple(found), len(wanted))
    gaps = [float(leads[size].mean() - randoms[size].mean()) for size in wanted]
    told: bool | None = None
    if len(rows) >= FEWEST and full >= SMALLEST:
        told = all(_surely_ahead(leads[size], randoms[size], seed) for size in _telling(full))
    return CutScores(tuple(found), sum(gaps) / len(gaps) if gaps else 0.0, told, held)


def _telling(full: int) -> tuple[int, ...]:
    """Sizes that tell a Matryoshka model from others: a quarter and half."""
    return tuple(sorted({max(1, full // 4), max(1, full // 2)}))


@dataclass(frozen=True)
class _Tried:
    """One way of cutting: the share of kept neighbours per held-out vector, and nDCG@10 kept."""

    shares: Shares
    ndcg_kept: float | None

    def cut(self, method: Method, size: int) -> Cut:
        return Cut(method=method, size=size, overlap=float(self.shares.mean()), ndcg_kept=self.ndcg_kept)


def _averaged(tried: Sequence[_Tried], size: int) -> Cut:
    kept = [one.ndcg_kept for one in tried if one.ndcg_kept is not None]
    return Cut(
        method="random",
        size=size,
        overlap=sum(float(one.shares.mean()) for one in tried) / len(tried),
        ndcg_kept=sum(kept) / len(kept) if kept else None,
    )


class _Trial:
    """Held-out vectors and the others, with the neighbours that whole vectors find."""

    def __init__(self, asked: Rows, stored: Rows, everything: Rows, distance: str, labelled: Labelled | None) -> None:
        self.asked, self.stored, self._everything = asked, stored, everything
        self._distance, self._labelled = distance, labelled
        self._whole = nearest(asked, stored, distance)
        self._whole_ndcg = self._ndcg(lambda rows: rows)

    def tried(self, cut: Callable[[Rows], Rows]) -> _Tried:
        """Both measures after `cut` was applied to stored and asked vectors alike."""
        import numpy as np

        found = nearest(cut(self.asked), cut(self.stored), self._distance)
        shares = [len(set(a) & set(b)) / len(a) for a, b in zip(self._whole.tolist(), found.tolist(), strict=True)]
        ndcg = self._ndcg(cut) if self._whole_ndcg else None
        kept = ndcg / self._whole_ndcg if ndcg is not None and self._whole_ndcg else None
        return _Tried(np.array(shares), kept)

    def _ndcg(self, cut: Callable[[Rows], Rows]) -> float | None:
        labelled = self._labelled
        if labelled is None or not labelled.queries:
            return None
        rows = nearest(cut(labelled.asked), cut(self._everything), self._distance)
        return float(per_query(labelled.queries, ranked(labelled.ids, rows))["nDCG@10"].mean())


def _picked(columns: NDArray[np.intp], distance: str) -> Callable[[Rows], Rows]:
    """Keep these numbers; normalised again where the distance asks for it."""
    return (lambda rows: unit(rows[:, columns])) if normalises(distance) else (lambda rows: rows[:, columns])


def _surely_ahead(lead: Shares, randoms: Shares, seed: int) -> bool:
    """Whether leading is ahead of random by ADVANTAGE, with a bootstrap interval (queries and draws) above 0."""
    import numpy as np

    ahead = lead - randoms
    if float(ahead.mean()) <= ADVANTAGE:
        return False
    generator = np.random.default_rng(seed)
    draws, asked = ahead.shape
    means = [
        ahead[np.ix_(generator.integers(0, draws, draws), generator.integers(0, asked, asked))].mean()
        for _ in range(RESAMPLES)
    ]
    return float(np.quantile(means, 0.025)) > 0
