"""Exact search over sparse vectors on this machine, weighing terms by rarity as servers do (modifier idf)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from changeover.cluster.api import SparseValue

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Terms:
    """Sparse vectors by term; points without any (None) are never found."""

    def __init__(self, vectors: Sequence[SparseValue | None], *, idf: bool) -> None:
        """`idf`: a query's weights are multiplied by ln((n - df + 0.5) / (df + 0.5) + 1), n points that have a vector."""
        import numpy as np

        having = [(row, vector) for row, vector in enumerate(vectors) if vector is not None and len(vector.indices)]
        terms = np.concatenate([np.empty(0, np.uint32), *(vector.indices for _, vector in having)])
        order = np.argsort(terms, kind="stable")
        self._count, self._points, self._idf = len(vectors), len(having), idf
        self._terms = terms[order]
        self._weights = np.concatenate([np.empty(0, np.float32), *(vector.values for _, vector in having)])[order]
        self._rows = np.concatenate(
            [np.empty(0, np.int64), *(np.full(len(vector.indices), row) for row, vector in having)]
        )[order]

    def search(self, query: SparseValue, count: int) -> list[tuple[int, float]]:
        """(row, score) of the best `count` rows that share a term with the query, best first; ties by row."""
        import numpy as np

        scores = np.zeros(self._count)
        shared = np.zeros(self._count, dtype=bool)
        for term, weight in zip(query.indices, query.values, strict=True):
            begin, end = np.searchsorted(self._terms, term), np.searchsorted(self._terms, term, side="right")
            rows = self._rows[begin:end]
            scores[rows] += float(weight) * self._rarity(len(rows)) * self._weights[begin:end]
            shared[rows] = True
        found: NDArray[np.int64] = np.flatnonzero(shared)
        best = found[np.argsort(-scores[found], kind="stable")][:count]
        return [(int(row), float(scores[row])) for row in best]

    def _rarity(self, having: int) -> float:
        import math

        return math.log((self._points - having + 0.5) / (having + 0.5) + 1) if self._idf else 1.0
