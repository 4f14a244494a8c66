"""New vectors on their way to a server: which points get one, and whether every number can be stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from changeover.cluster.errors import Action, ClusterError
from changeover.survey.model import PointId

if TYPE_CHECKING:
    from numpy.typing import NDArray


def checked(values: NDArray[np.float32], ids: Sequence[PointId], name: str) -> tuple[NDArray[np.float32], list[bool]]:
    """Float32 rows laid out for sending, and for each whether the point gets the vector (False: a row of NaN).

    Raises ClusterError(SKIP) for a row with some number that is not finite: servers take NaN over gRPC and then
    never find the point again (server source), and refuse it over REST.
    """
    rows = np.ascontiguousarray(values, dtype=np.float32)
    if rows.ndim != 2 or len(rows) != len(ids):
        raise ValueError(f"{name}: {rows.shape} values for {len(ids)} points")
    finite = np.isfinite(rows)
    whole = np.logical_and.reduce(finite, axis=1)
    absent = np.logical_and.reduce(np.isnan(rows), axis=1)
    odd = np.flatnonzero(~whole & ~absent)
    if len(odd):
        label = f"vector {name!r}" if name else "the vector"
        raise ClusterError(f"{label} of point {ids[odd[0]]} holds a number that is not finite", Action.SKIP)
    return rows, [bool(present) for present in whole]
