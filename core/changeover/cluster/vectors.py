"""New vectors on their way to a server: which points get one, and whether every number can be stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from changeover.cluster.api import Column, Inference, SparseValue
from changeover.cluster.errors import Action, ClusterError
from changeover.survey.model import PointId

if TYPE_CHECKING:
    from numpy.typing import NDArray

INDEX_END = 2**32


def checked(column: Column, ids: Sequence[PointId], name: str) -> list[Any]:
    """Per point what is sent: a contiguous float32 array (1-D or, for a multivector, 2-D), `SparseValue`, `Inference`,
    or None for a point without this vector (dense: a row of NaN).

    Raises ClusterError(SKIP) for a vector with some number that is not finite: servers take NaN over gRPC and then
    never find the point again (server source), and refuse it over REST. The same for a sparse vector that is empty
    (422, measured), has an index twice, or other than one value per index.
    """
    if isinstance(column, np.ndarray):
        return _dense(column, ids, name)
    if len(column) != len(ids):
        raise ValueError(f"{name}: {len(column)} values for {len(ids)} points")
    return [None if value is None else _one(value, ids[i], name) for i, value in enumerate(column)]


def rows_with(new: Mapping[str, Column], ids: Sequence[PointId]) -> list[dict[str, Any]]:
    """Per point its new vectors by name, checked; {} for a point that gets none."""
    columns = [(name, checked(column, ids, name)) for name, column in new.items()]
    return [{name: column[i] for name, column in columns if column[i] is not None} for i in range(len(ids))]


def as_json(value: Any) -> Any:
    """A vector, or a query, as REST takes it (arrays stay arrays: orjson writes them)."""
    if isinstance(value, SparseValue):
        return {"indices": value.indices, "values": value.values}
    if isinstance(value, Inference):
        options = {"options": dict(value.options)} if value.options else {}
        return {"text": value.text, "model": value.model, **options}
    return value


def _dense(column: NDArray[np.float32], ids: Sequence[PointId], name: str) -> list[Any]:
    rows = np.ascontiguousarray(column, dtype=np.float32)
    if rows.ndim != 2 or len(rows) != len(ids):
        raise ValueError(f"{name}: {rows.shape} values for {len(ids)} points")
    finite = np.isfinite(rows)
    whole = np.logical_and.reduce(finite, axis=1)
    absent = np.logical_and.reduce(np.isnan(rows), axis=1)
    odd = np.flatnonzero(~whole & ~absent)
    if len(odd):
        raise _unusable(ids[odd[0]], name, "holds a number that is not finite")
    return [row if there else None for row, there in zip(rows, whole, strict=True)]


def _one(value: Any, point: PointId, name: str) -> Any:
    if isinstance(value, Inference):
        return value
    if isinstance(value, SparseValue):
        indices, values = np.asarray(value.indices), np.asarray(value.values, dtype=np.float32)
        if not len(indices):
            raise _unusable(point, name, "has no terms")
        if len(indices) != len(values) or len(np.unique(indices)) != len(indices):
            raise _unusable(point, name, "needs one value for each index, and every index once")
        if indices.min() < 0 or indices.max() >= INDEX_END or not np.isfinite(values).all():
            raise _unusable(point, name, "holds an index beyond 32 bits or a number that is not finite")
        return SparseValue(np.ascontiguousarray(indices, dtype=np.uint32), np.ascontiguousarray(values))
    rows = np.ascontiguousarray(value, dtype=np.float32)
    if rows.ndim not in (1, 2) or 0 in rows.shape:
        raise _unusable(point, name, f"has the shape {rows.shape}")
    if not np.isfinite(rows).all():
        raise _unusable(point, name, "holds a number that is not finite")
    return rows


def _unusable(point: PointId, name: str, why: str) -> ClusterError:
    label = f"vector {name!r}" if name else "the vector"
    return ClusterError(f"{label} of point {point} {why}", Action.SKIP)
