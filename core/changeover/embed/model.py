"""What a model is, as plain values: how to reach it (`ModelSpec`) and which one it really was (`Fingerprint`)."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec

Pooling = Literal["mean", "cls", "last", "disabled"]


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How to reach an embedding model; safe to print and store, because it names a key's variable, never a key."""

    provider: str
    """A key of `changeover.embed.protocol.PROVIDERS`: fastembed, openai, sandbox."""
    name: str = ""
    path: str | None = None
    """fastembed: a local ONNX model folder. sandbox: where model folders are made."""
    url: str | None = None
    """openai: the base URL, to which `/embeddings` is appended."""
    api_key_env: str | None = None
    """The name of the environment variable that holds the key."""
    dimension: Annotated[int, msgspec.Meta(ge=1, le=65536)] | None = None
    """The declared vector size; the real one is probed and must be equal."""
    document_prefix: str = ""
    query_prefix: str = ""
    price_per_million_tokens: Annotated[float, msgspec.Meta(ge=0)] | None = None
    pooling: Pooling = "mean"
    """fastembed with `path`: how token vectors become one; "disabled" when the model already returns one."""
    normalise: bool = True
    """fastembed with `path`: divide each vector by its length."""
    model_file: str = "model.onnx"
    """fastembed with `path`: the file inside the folder; `onnx/<model_file>` is also looked at."""

    @property
    def label(self) -> str:
        """A short name for people: the model's own name, else its folder."""
        return self.name or self.path or self.url or self.provider


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """Which model made a vector: two equal fingerprints promise equal vectors for equal text."""

    provider: str
    model: str
    revision: str = ""
    """SHA-256 of the model file where it is local, else ""."""
    dimension: int = 0
    document_prefix: str = ""
    query_prefix: str = ""
    pooling: str = ""
    """The spec's pooling where it decides (a local folder), else ""."""
    normalised: bool = True
    """Whether the probe's vector had length 1 (within 0.001)."""
    max_tokens: int | None = None

    @property
    def digest(self) -> str:
        """Twelve hex digits over every part; the same over runs, machines and Python versions."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:12]
