"""What a model is, as plain values: how to reach it (`ModelSpec`) and which one it really was (`Fingerprint`)."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec

from changeover.errors import UsageError
from changeover.urls import is_variable, may_hold_secret

Pooling = Literal["mean", "cls", "last", "disabled"]
VectorsPer = Literal["dense", "late-interaction"]
Encoder = Literal["server-bm25", "local-bm25", "fastembed", "text-index"]


class SecretInSpecError(UsageError, ValueError):
    """A key where none belongs; the message does not repeat it. A ValueError, so that a decoder adds the place."""


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How to reach an embedding model; safe to print and store, because it names a key's variable, never a key."""

    provider: str
    """A key of `changeover.embed.protocol.PROVIDERS`."""
    name: str = ""
    kind: VectorsPer = "dense"
    """dense: one vector per text. late-interaction: one per token (a multivector, compared by MaxSim)."""
    path: str | None = None
    """fastembed: a local ONNX model folder. sandbox: where model folders are made."""
    url: str | None = None
    """HTTP providers: the base URL, to which the provider's path (openai: `/embeddings`) is appended; None for its own."""
    api_key_env: str | None = None
    """The name of the environment variable that holds the key."""
    dimension: Annotated[int, msgspec.Meta(ge=1, le=65536)] | None = None
    """The declared vector size (of a token, for late interaction); the real one is probed and must be equal."""
    document_prefix: str = ""
    query_prefix: str = ""
    price_per_million_tokens: Annotated[float, msgspec.Meta(ge=0)] | None = None
    pooling: Pooling = "mean"
    """fastembed with `path`: how token vectors become one; "disabled" when the model already returns one."""
    normalise: bool = True
    """fastembed with `path`: divide each vector by its length."""
    model_file: str = "model.onnx"
    """fastembed with `path`: the file inside the folder; `onnx/<model_file>` is also looked at."""

    def __post_init__(self) -> None:
        if self.url and may_hold_secret(self.url):
            raise SecretInSpecError(
                "a user name, password or query string does not belong into the model's url, which plans and reports"
                " show; name the variable that holds the key as api_key_env"
            )
        if self.api_key_env and not is_variable(self.api_key_env):
            raise SecretInSpecError(
                "api_key_env is the name of an environment variable, such as OPENAI_API_KEY, not the key itself"
            )

    @property
    def label(self) -> str:
        """A short name for people: the model's own name, else its folder."""
        return self.name or self.path or self.url or self.provider


class SparseSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How texts become sparse vectors; the same encoder has to make documents and queries."""

    encoder: Encoder
    """server-bm25: the server encodes (`qdrant/bm25`). local-bm25: the same encoder here. fastembed: BM25, SPLADE or
    miniCOIL by name. text-index: no vector at all, a text index with scoring (servers from 1.20)."""
    model: str = ""
    """fastembed: the model's name."""
    path: str | None = None
    """fastembed: a local model folder."""
    language: str = "english"
    """BM25: language of stemmer and stop words."""
    average_length: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """BM25: mean number of terms in a document, measured on the sample; None for the encoder's own 256."""

    @property
    def label(self) -> str:
        """A short name for people."""
        return self.model or self.encoder

    @property
    def uses_idf(self) -> bool:
        """Whether the server weighs terms by their rarity (modifier idf): BM25, BM42 and miniCOIL ask for it."""
        return self.encoder != "fastembed" or any(word in self.model.lower() for word in ("bm25", "bm42", "minicoil"))


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """Which model made a vector: two equal fingerprints promise equal vectors for equal text."""

    provider: str
    model: str
    revision: str = ""
    """SHA-256 of the model file where it is local; for BM25 its settings; else ""."""
    dimension: int = 0
    document_prefix: str = ""
    query_prefix: str = ""
    pooling: str = ""
    """The spec's pooling where it decides (a local folder); "late-interaction" for a vector per token; else ""."""
    normalised: bool = True
    """Whether the probe's vector had length 1 (within 0.001)."""
    max_tokens: int | None = None

    @property
    def digest(self) -> str:
        """Twelve hex digits over every part; the same over runs, machines and Python versions."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:12]
