"""Which model to embed with, and what identifies the vectors that it makes. Values only; never a key."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

Pooling = Literal["mean", "cls", "disabled"]


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model as answered: `model.*` and `old_model.*` in an answers file."""

    provider: str
    name: str = ""
    path: str | None = None
    """A local ONNX folder (fastembed)."""
    url: str | None = None
    """Base URL of an HTTP endpoint, e.g. https://api.example.com/v1."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; the key itself is never stored."""
    dimension: int | None = None
    """Declared dimension; checked against what the model returns."""
    document_prefix: str = ""
    query_prefix: str = ""
    price_per_million_tokens: float | None = None
    pooling: Pooling = "mean"
    normalise: bool = True
    model_file: str = "model.onnx"


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """What two embedders must share for their vectors to be comparable."""

    provider: str
    model: str
    revision: str = ""
    """SHA-256 of the model file where it is local, else ""."""
    dimension: int = 0
    document_prefix: str = ""
    query_prefix: str = ""
    normalised: bool = True
    max_tokens: int | None = None

    @property
    def digest(self) -> str:
        """Twelve hex digits over every part."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:12]
