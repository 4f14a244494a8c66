"""Embedders: text in, vectors out, whatever the provider; `load(spec)` is the one way in."""

from changeover.embed.model import Fingerprint, ModelSpec
from changeover.embed.protocol import DimensionMismatch, Embedder, RejectedText, TextRejected, load, tokens_billed

__all__ = [
    "DimensionMismatch",
    "Embedder",
    "Fingerprint",
    "ModelSpec",
    "RejectedText",
    "TextRejected",
    "load",
    "tokens_billed",
]
