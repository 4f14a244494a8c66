"""The matrix that turns stored vectors into new ones: cut them, rotate and cut them, or map them to another model."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from changeover.errors import UsageError
from changeover.quality.reduction import Method, normalises, numpy_code, reduction_closed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]

__all__ = ["Matrix", "Method", "checked_rows", "fit_pca", "leading", "numpy_code", "reduction_closed", "unit"]

FORMAT = 1
_ROWS_AT_ONCE = 4_096


@dataclass(frozen=True, eq=False)
class Matrix:
    """new = normalise_out(normalise_in(old) @ matrix + offset); without a matrix the first `size` numbers are kept."""

    method: Method
    size: int
    """Numbers of a new vector."""
    matrix: Rows | None = None
    """Float32 (d_in, size); None for `leading`."""
    offset: Rows | None = None
    """Float32 (size,), what an affine map adds; None for nothing."""
    normalise_in: bool = False
    normalise_out: bool = False

    def apply(self, vectors: Rows) -> Rows:
        """The new vectors, float32 (n, size), of float32 (n, d_in); a row of NaN gives NaN, a zero row stays finite.

        Raises UsageError when the vectors have not the size that the matrix was fitted for.
        """
        import numpy as np

        rows = np.asarray(vectors, dtype=np.float32)
        fits = rows.ndim == 2 and (
            rows.shape[1] == len(self.matrix) if self.matrix is not None else rows.shape[1] >= self.size
        )
        if not fits:
            wanted = len(self.matrix) if self.matrix is not None else f"{self.size} or more"
            raise UsageError(f"the matrix takes vectors of {wanted} numbers; these are of shape {rows.shape}")
        if self.normalise_in:
            rows = unit(rows)
        with np.errstate(invalid="ignore"):
            new = rows[:, : self.size] if self.matrix is None else rows @ self.matrix
        if self.offset is not None:
            new = new + self.offset
        return unit(new) if self.normalise_out else np.array(new, dtype=np.float32, order="C")

    @cached_property
    def digest(self) -> str:
        """SHA-256 in hex over everything that decides what `apply` gives; the same on every machine."""
        hasher = hashlib.sha256(f"{FORMAT} {self.method} {self.size} {self.normalise_in} {self.normalise_out}".encode())
        for part in (self.matrix, self.offset):
            hasher.update(b"-" if part is None else str(part.shape).encode() + part.astype("<f4").tobytes())
        return hasher.hexdigest()

    def save(self, path: Path) -> None:
        """Write an .npz file, whole or not at all; raises UsageError when the folder cannot be written."""
        import numpy as np

        arrays: dict[str, Any] = {
            "format": np.array(FORMAT),
            "method": np.array(self.method),
            "size": np.array(self.size),
            "normalise": np.array([self.normalise_in, self.normalise_out]),
        }
        if self.matrix is not None:
            arrays["matrix"] = self.matrix
        if self.offset is not None:
            arrays["offset"] = self.offset
        part = ""
        try:
            handle, part = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **arrays)
                file.flush()
                os.fsync(file.fileno())
            Path(part).replace(path)
        except OSError as error:
            if part:
                with contextlib.suppress(OSError):
                    Path(part).unlink()
            raise UsageError(f"the matrix cannot be written to {path}: {error}") from error

    @classmethod
    def load(cls, path: Path) -> Matrix:
        """Read what `save` wrote; raises UsageError for a file that is missing, cut short or not a matrix."""
        import numpy as np

        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                if int(kept["format"]) != FORMAT:
                    raise ValueError(f"format {int(kept['format'])} instead of {FORMAT}")
                before, after = (bool(flag) for flag in kept["normalise"])
                read = cls(
                    method=_method(str(kept["method"])),
                    size=int(kept["size"]),
                    matrix=_floats(kept["matrix"]) if "matrix" in kept else None,
                    offset=_floats(kept["offset"]) if "offset" in kept else None,
                    normalise_in=before,
                    normalise_out=after,
                )
            _require_whole(read)
        except FileNotFoundError:
            raise UsageError(f"{path}: there is no such matrix; the step that fits it has not run here") from None
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise UsageError(f"{path} is not a matrix of Changeover ({error}); fit it again") from error
        return read


def leading(size: int, distance: str) -> Matrix:
    """Keep the first `size` numbers; for Cosine the rest is divided by its length, for others left as it is."""
    if size < 1:
        raise UsageError(f"target.dimension {size}: give 1 or more")
    _require_open("leading", distance)
    return Matrix(method="leading", size=size, normalise_out=normalises(distance))


def fit_pca(vectors: Rows, size: int, distance: str) -> Matrix:
    """Rotate by the vectors' own principal components (not centred) and keep the `size` strongest.

    `vectors` float32 (n, d), n >= 1. The signs are fixed, so the same vectors give the same matrix. Raises UsageError
    when `size` is not below d, or the distance is not kept by a rotation.
    """
    import numpy as np

    _require_open("pca", distance)
    rows = checked_rows(vectors)
    if not 1 <= size <= rows.shape[1]:
        raise UsageError(f"target.dimension {size}: the stored vectors have {rows.shape[1]} numbers; give 1 to that")
    cosine = normalises(distance)
    if cosine:
        rows = unit(rows)
    moments = np.zeros((rows.shape[1], rows.shape[1]))
    for begin in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[begin : begin + _ROWS_AT_ONCE].astype(np.float64)
        moments += part.T @ part
    _, axes = np.linalg.eigh(moments)
    kept = axes[:, ::-1][:, :size]
    largest = kept[np.abs(kept).argmax(axis=0), np.arange(size)]
    matrix = np.ascontiguousarray(kept * np.where(largest < 0, -1.0, 1.0), dtype=np.float32)
    return Matrix(method="pca", size=size, matrix=matrix, normalise_out=cosine)


def unit(rows: Rows) -> Rows:
    """Rows divided by their length, float32; a zero row stays zero."""
    import numpy as np

    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths == 0, 1, lengths), dtype=np.float32)


def checked_rows(vectors: Rows) -> Rows:
    """The vectors as float32 (n, d) with n and d of 1 or more, all finite; raises UsageError otherwise."""
    import numpy as np

    rows = np.asarray(vectors, dtype=np.float32)
    if rows.ndim != 2 or 0 in rows.shape:
        raise UsageError(f"a matrix is fitted on one vector or more of one size; these are of shape {rows.shape}")
    if not np.isfinite(rows).all():
        raise UsageError("a matrix cannot be fitted: some vectors hold numbers that are not finite")
    return rows


def _require_open(method: Method, distance: str) -> None:
    reason = reduction_closed(method, distance)
    if reason:
        raise UsageError(reason)


def _method(written: str) -> Method:
    found: Method | None = next((method for method in get_args(Method) if method == written), None)
    if found is None:
        raise ValueError(f"unknown method {written!r}")
    return found


def _floats(array: NDArray[np.generic]) -> Rows:
    import numpy as np

    if array.dtype != np.float32:
        raise ValueError(f"numbers of type {array.dtype} instead of float32")
    return np.ascontiguousarray(array, dtype=np.float32)


def _require_whole(read: Matrix) -> None:
    """Raise ValueError when the parts do not belong together."""
    import numpy as np

    if read.size < 1 or (read.matrix is None) != (read.method == "leading"):
        raise ValueError("its parts do not belong together")
    for part, shape in ((read.matrix, (None, read.size)), (read.offset, (read.size,))):
        if part is None:
            continue
        if part.ndim != len(shape) or part.shape[-1] != read.size or 0 in part.shape:
            raise ValueError(f"a part has the shape {part.shape}")
        if not np.isfinite(part).all():
            raise ValueError("it holds numbers that are not finite")
