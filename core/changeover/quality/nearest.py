"""Exact search over a few thousand vectors on this machine: what trials on a sample rank points by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from changeover.quality.matrix import unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]

TOP = 10
_ASKED_AT_ONCE = 256
_Id = TypeVar("_Id")


def nearest(asked: Rows, stored: Rows, distance: str, count: int = TOP) -> NDArray[np.int64]:
    """Rows of `stored` nearest to each of `asked`, best first, int64 (len(asked), at most `count`); ties by row.

    Both float32 with one number of columns; `distance` is Cosine, Dot, Euclid or Manhattan.
    """
    import numpy as np

    parts = [
        best(_closeness(asked[begin : begin + _ASKED_AT_ONCE], stored, distance), count)
        for begin in range(0, len(asked), _ASKED_AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.empty((0, min(count, len(stored))), dtype=np.int64)


def nearest_multi(asked: Sequence[Rows], stored: Sequence[Rows], count: int = TOP) -> NDArray[np.int64]:
    """The same for multivectors by MaxSim over Cosine: each entry is float32 (tokens, dimension), tokens 1 or more."""
    import numpy as np

    starts = np.concatenate([[0], np.cumsum([len(tokens) for tokens in stored])[:-1]])
    flat = unit(np.concatenate(list(stored)))
    scores = [np.maximum.reduceat(unit(tokens) @ flat.T, starts, axis=1).sum(axis=0) for tokens in asked]
    return best(np.stack(scores), count)


def ranked(ids: Sequence[_Id], rows: NDArray[np.int64]) -> list[list[_Id]]:
    """Row numbers as ids."""
    return [[ids[row] for row in found] for found in rows.tolist()]


def best(closeness: NDArray[np.float32], count: int = TOP) -> NDArray[np.int64]:
    """Columns of the greatest numbers in each row, greatest first; equal ones by column."""
    import numpy as np

    count = min(count, closeness.shape[1])
    if count == 0:
        return np.empty((len(closeness), 0), dtype=np.int64)
    least = -np.partition(-closeness, count - 1, axis=1)[:, count - 1 : count]
    out = np.empty((len(closeness), count), dtype=np.int64)
    for row, numbers in enumerate(closeness):
        columns = np.flatnonzero(numbers >= least[row])
        out[row] = columns[np.argsort(-numbers[columns], kind="stable")][:count]
    return out


def _closeness(asked: Rows, stored: Rows, distance: str) -> NDArray[np.float32]:
    import numpy as np

    if distance == "Manhattan":
        return np.stack([-np.abs(stored - row).sum(axis=1) for row in asked])
    if distance == "Cosine":
        asked, stored = unit(asked), unit(stored)
    products: NDArray[np.float32] = asked @ stored.T
    if distance == "Euclid":
        products = 2 * products - np.square(stored).sum(axis=1)
    return products
