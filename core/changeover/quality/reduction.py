"""Which way of turning stored vectors into smaller or other ones suits which distance, in words; needs no numpy."""

from __future__ import annotations

from typing import Literal

Method = Literal["leading", "pca", "ridge", "procrustes"]

_KNOWN = ("Cosine", "Dot", "Euclid", "Manhattan")


def reduction_closed(method: Method, distance: str | None) -> str:
    """Why the method is closed for vectors of this distance, one sentence; "" when it is open.

    A rotation keeps inner products and Euclidean lengths and nothing else; the leading numbers approximate any
    distance that sums over numbers, and a trial tells how well.
    """
    if distance not in _KNOWN:
        return f"The distance {distance!r} is not known here, so nothing says what a cut would do to it."
    if method == "pca" and distance == "Manhattan":
        return (
            "Principal components are a rotation, and a rotation does not keep the Manhattan distance; "
            "only the leading numbers can be kept."
        )
    return ""


def normalises(distance: str) -> bool:
    """Whether new vectors are divided by their length: Qdrant itself does so for Cosine, and only there."""
    return distance == "Cosine"


def numpy_code(method: Method, distance: str, size: int | None = None, file: str = "matrix.npz") -> str:
    """The lines of Python that turn the application's query vector into one of the new vectors' kind.

    "" for a learned map: it changes the stored vectors, and queries come from the new model as they are.
    """
    if method in ("ridge", "procrustes"):
        return ""
    lines = ["import numpy as np", ""]
    if method == "leading":
        kept = str(size) if size is not None else f'int(np.load("{file}")["size"])'
        lines += [f"SIZE = {kept}", "", "", "def shorter(query):", "    query = np.asarray(query)[:SIZE]"]
    else:
        lines += [
            f'MATRIX = np.load("{file}")["matrix"]',
            "",
            "",
            "def shorter(query):",
            "    query = np.asarray(query) @ MATRIX",
        ]
    if normalises(distance):
        lines.append("    query = query / np.linalg.norm(query)")
    return "\n".join([*lines, "    return query.tolist()"])
