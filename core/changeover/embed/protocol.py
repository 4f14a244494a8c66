"""The one protocol of all embedders, and `load`, which opens the embedder that a `ModelSpec` describes."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, cast

import msgspec

from changeover.embed.model import Fingerprint, ModelSpec
from changeover.errors import ChangeoverError, ExitCode, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

PROVIDERS: dict[str, str] = {
    "fastembed": "changeover.embed.fastembed_",
    "openai": "changeover.embed.http",
    "sandbox": "changeover.sandbox.models",
}
"""Provider -> the module whose `open_embedder(spec, environ)` makes its embedder."""

PROBE = "The quick brown fox jumps over the lazy dog."
"""The text that is embedded once on opening, to learn the real dimension."""


class Embedder(Protocol):
    """Turns text into vectors; every method blocks and may be called from several threads."""

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

    `rejected` lists them; `vectors` is the whole answer of shape (len(texts), dimension), with NaN in their rows.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, rejected: Sequence[RejectedText], vectors: Vectors) -> None:
        self.rejected = tuple(rejected)
        self.vectors = vectors
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
    """Open the model and embed one text, so that whatever is wrong with it is said now.

    Raises UsageError (unknown provider or model, no model folder, wrong dimension, wrong URL) or
    UnreachableError (no answer, key refused, hub not reachable), each in one line without the key.
    """
    module = PROVIDERS.get(spec.provider)
    if module is None:
        known = ", ".join(sorted(PROVIDERS))
        raise UsageError(f"Unknown model.provider {spec.provider!r}; known are {known}.")
    provider = cast("_Provider", importlib.import_module(module))
    return provider.open_embedder(spec, os.environ if environ is None else environ)


def tokens_billed(embedder: Embedder) -> int:
    """Tokens that a paid provider has counted since the embedder was opened; 0 for a local model."""
    return int(getattr(embedder, "tokens_used", 0))
