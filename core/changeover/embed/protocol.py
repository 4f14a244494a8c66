"""The protocols of all encoders, and what opens them: `load` for one dense vector per text, `load_encoder` for any."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import msgspec

from changeover.embed.model import Fingerprint, ModelSpec, SparseSpec
from changeover.errors import ChangeoverError, ExitCode, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from changeover.cluster.api import Column, Query

    Vectors = NDArray[np.float32]

PROVIDERS: dict[str, str] = {
    "fastembed": "changeover.embed.fastembed_",
    "openai": "changeover.embed.http",
    "cohere": "changeover.embed.http",
    "voyage": "changeover.embed.http",
    "jina": "changeover.embed.http",
    "gemini": "changeover.embed.http",
    "ollama": "changeover.embed.http",
    "tei": "changeover.embed.http",
    "qdrant": "changeover.embed.server",
    "sandbox": "changeover.sandbox.models",
}
"""Provider -> its module. `open_embedder(spec, environ)` makes a dense embedder, `open_late(spec, environ)` a
late-interaction encoder; a module without one of them has no such models."""

PROBE = "The quick brown fox jumps over the lazy dog."
"""The text that is embedded once on opening, to learn the real dimension."""


class Encoder(Protocol):
    """Turns text into vectors of any kind; every method blocks and may be called from several threads."""

    @property
    def dimension(self) -> int:
        """Numbers per vector, or per token of a multivector; 0 for sparse vectors."""

    @property
    def max_tokens(self) -> int | None:
        """Tokens that the model reads before it truncates; None when there is no limit or the provider is silent."""

    @property
    def fingerprint(self) -> Fingerprint:
        """Which model this really is."""

    def embed_documents(self, texts: Sequence[str]) -> Column:
        """An entry per text, in the order given; None where a text has no terms; `TextRejected` for refused ones."""

    def embed_query(self, text: str) -> Query:
        """What to search with; a sparse query without terms is empty, which servers answer with no hits (measured on
        1.17.1, 1.18.3 and 1.19.0)."""

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Tokens of all texts with the document prefix; an estimate where there is no local tokenizer."""

    def close(self) -> None:
        """Free connections; calls that still wait for a retry end at once."""


class Embedder(Protocol):
    """An `Encoder` of one dense vector per text."""

    @property
    def dimension(self) -> int:
        """Numbers per vector, as measured when the embedder was opened."""

    @property
    def max_tokens(self) -> int | None:
        """Tokens that the model reads before it truncates; None when the provider does not say."""

    @property
    def fingerprint(self) -> Fingerprint:
        """Which model this really is."""

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Float32 of shape (len(texts), dimension), in the order given; `TextRejected` when some are refused."""

    def embed_query(self, text: str) -> Vectors:
        """Float32 of shape (dimension,)."""

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Tokens of all texts with the document prefix; an estimate where the provider has no local tokenizer."""

    def close(self) -> None:
        """Free connections; calls that still wait for a retry end at once."""


class RejectedText(msgspec.Struct, frozen=True):
    """One text that the model will never accept: its position in the call, and the provider's reason."""

    index: int
    reason: str


class TextRejected(ChangeoverError):
    """Some texts of a call were refused; all others were embedded.

    `rejected` lists them; `vectors` is the whole answer: a dense model's is an array of shape (len(texts), dimension)
    with NaN in their rows, any other encoder's a list with None in their places.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, rejected: Sequence[RejectedText], vectors: Any) -> None:
        self.rejected = tuple(rejected)
        self.vectors: Any = vectors
        first = self.rejected[0]
        super().__init__(f"The model refused {len(rejected)} of {len(vectors)} texts: {first.reason}")


class DimensionMismatch(UsageError):
    """The model's vectors do not have the declared size (finding `dimension-mismatch`)."""

    def __init__(self, label: str, declared: int, real: int) -> None:
        self.declared = declared
        self.real = real
        super().__init__(
            f"{label} returns vectors of {real} numbers, but model.dimension says {declared}; "
            f"set model.dimension to {real} or leave it out."
        )


class _Provider(Protocol):
    def open_embedder(self, spec: ModelSpec, environ: Mapping[str, str]) -> Embedder: ...


def load(spec: ModelSpec, environ: Mapping[str, str] | None = None) -> Embedder:
    """Open a dense model and embed one text, so that whatever is wrong with it is said now.

    Raises UsageError (unknown provider or model, no model folder, wrong dimension, wrong URL, a model that gives no
    dense vectors here) or UnreachableError (no answer, key refused, hub not reachable), each in one line without the key.
    """
    module = _module(spec)
    if spec.kind != "dense":
        raise UsageError(
            f"{spec.label} makes several vectors per text (model.kind {spec.kind}); a dense model is needed."
        )
    if spec.provider == "qdrant":
        raise UsageError(f"{spec.label} runs on the server (model.provider qdrant), so it makes no vectors here.")
    provider = cast("_Provider", importlib.import_module(module))
    return provider.open_embedder(spec, os.environ if environ is None else environ)


def load_encoder(spec: ModelSpec | SparseSpec, environ: Mapping[str, str] | None = None) -> Encoder:
    """Open what makes vectors of any kind: dense, late interaction, sparse, or texts that the server embeds itself.

    Raises UsageError or UnreachableError in one line, as `load` does.
    """
    environ = os.environ if environ is None else environ
    if isinstance(spec, SparseSpec):
        from changeover.embed.sparse import open_encoder

        return open_encoder(spec, environ)
    module = _module(spec)
    if spec.provider == "qdrant":
        from changeover.embed.server import ServerInference

        return ServerInference(spec)
    if spec.kind == "dense":
        return load(spec, environ)
    open_late = getattr(importlib.import_module(module), "open_late", None)
    if open_late is None:
        raise UsageError(f"model.provider {spec.provider!r} has no late-interaction models.")
    return cast("Encoder", open_late(spec, environ))


def _module(spec: ModelSpec) -> str:
    module = PROVIDERS.get(spec.provider)
    if module is None:
        known = ", ".join(sorted(PROVIDERS))
        raise UsageError(f"Unknown model.provider {spec.provider!r}; known are {known}.")
    return module


def tokens_billed(embedder: Encoder) -> int:
    """Tokens that a paid provider has counted since the embedder was opened; 0 for a local model."""
    return int(getattr(embedder, "tokens_used", 0))
