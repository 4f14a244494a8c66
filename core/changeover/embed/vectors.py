"""Small helpers that embedders share: batches by size, and the checks on what a model returned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from changeover.embed.model import Fingerprint, ModelSpec
from changeover.embed.protocol import DimensionMismatch

Vectors = NDArray[np.float32]
BYTES_PER_TOKEN = 4


def estimated_tokens(text: str) -> int:
    """A quarter of the text's bytes, at least 1."""
    return max(1, len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def by_size(sizes: Sequence[int], max_texts: int, max_size: int) -> Iterator[list[int]]:
    """Positions in order of size, cut so that `texts * largest size` stays within `max_size` (one text always fits).

    Texts of one length end up together, so a padded batch holds little padding and its memory is bounded.
    """
    batch: list[int] = []
    for position in sorted(range(len(sizes)), key=lambda i: (sizes[i], i)):
        if batch and (len(batch) == max_texts or (len(batch) + 1) * sizes[position] > max_size):
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


def is_normalised(vector: Vectors) -> bool:
    """Whether the vector's length is 1 within 0.001."""
    return bool(abs(float(np.linalg.norm(vector)) - 1.0) < 1e-3)


def normalised(vectors: Vectors) -> Vectors:
    """Rows divided by their length; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32)


def fingerprint(spec: ModelSpec, probe: Vectors, revision: str, max_tokens: int | None) -> Fingerprint:
    """The fingerprint that follows from the spec and the probe's vector; DimensionMismatch when they disagree.

    Of a late-interaction model, `probe` is one token's vector.
    """
    if spec.dimension is not None and spec.dimension != len(probe):
        raise DimensionMismatch(spec.label, spec.dimension, len(probe))
    return Fingerprint(
        provider=spec.provider,
        model=spec.name or Path(spec.path or spec.url or spec.provider).name,
        revision=revision,
        dimension=len(probe),
        document_prefix=spec.document_prefix,
        query_prefix=spec.query_prefix,
        pooling=_pooling(spec),
        normalised=is_normalised(probe),
        max_tokens=max_tokens,
    )


def _pooling(spec: ModelSpec) -> str:
    if spec.kind != "dense":
        return spec.kind
    return spec.pooling if spec.provider == "fastembed" and spec.path else ""
