"""Sparse encoders: `open_encoder` opens the one that a `SparseSpec` describes; fastembed's are here, BM25 in `bm25`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from changeover.cluster.api import SparseValue
from changeover.embed import fastembed_open as fe
from changeover.embed.bm25 import LocalBm25, ServerBm25
from changeover.embed.model import Fingerprint, SparseSpec
from changeover.embed.protocol import PROBE, Encoder, RejectedText, TextRejected
from changeover.embed.vectors import by_size
from changeover.errors import ChangeoverError, UsageError

BM25_BATCH = (256, 65_536)
# SPLADE holds texts x tokens x vocabulary floats: 2,048 tokens x 30,522 x 4 bytes are 250 MB.
NETWORK_BATCH = (8, 2_048)


def open_encoder(spec: SparseSpec, environ: Mapping[str, str]) -> Encoder:
    """The encoder of `spec`; UsageError for what it cannot be, UnreachableError when a model cannot be downloaded."""
    if spec.encoder == "server-bm25":
        return ServerBm25(spec)
    if spec.encoder == "local-bm25":
        return LocalBm25(spec)
    if spec.encoder == "text-index":
        raise UsageError("sparse.encoder text-index makes no vectors: the server's text index scores the text itself.")
    return open_fastembed(spec)


def is_bm25(spec: SparseSpec) -> bool:
    """Whether fastembed runs its BM25 for this spec, which has a language and no network."""
    return spec.model.lower() == "qdrant/bm25"


def open_fastembed(spec: SparseSpec, **options: Any) -> FastembedSparse:
    """fastembed's sparse model of that name, from its cache or from `spec.path`; `options` overrule its BM25 settings."""
    if not spec.model:
        raise UsageError("sparse.model is needed for sparse.encoder fastembed, for example Qdrant/bm25.")
    family = fe.quiet().SparseTextEmbedding
    name = fe.known_name(family, spec.model, "sparse")
    folder = Path(spec.path).expanduser() if spec.path else None
    if folder is not None and not folder.is_dir():
        raise UsageError(f"sparse.path {folder} is not a folder.")
    model = fe.opened(family, name, folder, "sparse", **_settings(spec), **options)
    try:
        return FastembedSparse(spec, name, model)
    except ChangeoverError:
        raise
    except Exception as error:
        raise UsageError(f"{spec.label} was loaded but cannot encode: {fe.one_line(error)}") from error


class FastembedSparse:
    """A fastembed sparse model; batches of similar length, answers in the order asked."""

    dimension = 0

    def __init__(self, spec: SparseSpec, name: str, model: Any) -> None:
        self._model = model
        self._tokenizer = None if is_bm25(spec) else getattr(model.model, "tokenizer", None)
        self._batch = BM25_BATCH if is_bm25(spec) else NETWORK_BATCH
        self.max_tokens = fe.max_tokens(model.model)
        self._encode([PROBE])
        self.stopwords: frozenset[str] = frozenset(getattr(model.model, "stopwords", ()))
        self.fingerprint = Fingerprint(
            provider="fastembed",
            model=name,
            revision=" ".join([fe.revision(model.model), *self._revised(spec)]).strip(),
            normalised=False,
            max_tokens=self.max_tokens,
        )

    def embed_documents(self, texts: Sequence[str]) -> list[SparseValue | None]:
        """Per text its terms and weights; None for a text without terms; `TextRejected` for weights not finite."""
        made: list[SparseValue | None] = [None] * len(texts)
        rejected: list[RejectedText] = []
        for batch in by_size(fe.token_lengths(self._tokenizer, list(texts)), *self._batch):
            for position, value in zip(batch, self._encode([texts[i] for i in batch]), strict=True):
                if not np.isfinite(value.values).all():
                    rejected.append(RejectedText(position, "the model returned a weight that is not finite"))
                elif len(value.indices):
                    made[position] = value
        if rejected:
            raise TextRejected(sorted(rejected, key=lambda r: r.index), made)
        return made

    def embed_query(self, text: str) -> SparseValue:
        """The query's terms, weighted as the model weighs queries; empty without terms."""
        [found] = self._model.query_embed(text)
        return _value(found)

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Tokens that the model would read, after truncation; words for BM25."""
        return int(self._model.token_count(list(texts)))

    def close(self) -> None:
        """Nothing to free: the session goes with the object."""

    def _encode(self, texts: list[str]) -> list[SparseValue]:
        return [_value(found) for found in self._model.embed(texts, batch_size=len(texts))]

    def _revised(self, spec: SparseSpec) -> list[str]:
        settings = [f"{name}={value}" for name, value in sorted(_settings(spec).items())]
        if is_bm25(spec):
            words = "\n".join(sorted(self.stopwords))
            settings.append(f"stopwords={hashlib.sha256(words.encode()).hexdigest()[:12]}")
        return settings


def _settings(spec: SparseSpec) -> dict[str, Any]:
    """What the model's constructor takes beside its name; UsageError for a language that fastembed's BM25 has not."""
    length = {} if spec.average_length is None else {"avg_len": spec.average_length}
    if is_bm25(spec):
        from fastembed.sparse.bm25 import supported_languages

        language = spec.language.lower()
        if language not in supported_languages:
            raise UsageError(
                f"fastembed's BM25 knows no language {spec.language!r} (sparse.language); "
                f"it knows {', '.join(supported_languages)}."
            )
        return {"language": language, **length}
    return length if "minicoil" in spec.model.lower() else {}


def _value(found: Any) -> SparseValue:
    return SparseValue(np.asarray(found.indices, np.uint32), np.asarray(found.values, np.float32))
