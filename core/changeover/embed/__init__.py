"""Encoders: text in, vectors out, whatever the provider; `load` and `load_encoder` are the ways in."""

from changeover.embed.model import Fingerprint, ModelSpec, SparseSpec
from changeover.embed.protocol import (
    DimensionMismatch,
    Embedder,
    Encoder,
    RejectedText,
    TextRejected,
    load,
    load_encoder,
    tokens_billed,
)

__all__ = [
    "DimensionMismatch",
    "Embedder",
    "Encoder",
    "Fingerprint",
    "ModelSpec",
    "RejectedText",
    "SparseSpec",
    "TextRejected",
    "load",
    "load_encoder",
    "tokens_billed",
]
