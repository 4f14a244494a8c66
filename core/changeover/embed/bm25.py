"""Qdrant's own BM25: by the server (`qdrant/bm25`), or by the same Rust code on this machine (qdrant-edge-py).

Server and local encoder gave the same indices and weights for every one of `LANGUAGES` on 1.17.1, 1.18.3 and 1.19.0
(measured). A text without terms is stored by these servers as an empty vector, which `has_vector` counts (measured);
where the local encoder is installed such texts are known beforehand and get no vector.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from changeover.cluster.api import Inference, SparseValue
from changeover.embed.languages import LANGUAGES as LANGUAGES
from changeover.embed.model import Fingerprint, SparseSpec
from changeover.errors import UsageError

SERVER_MODEL = "qdrant/bm25"
COUNTING_K = 1e9
"""With so slow a saturation and no length normalisation, a term's weight is how often it occurs."""
WORD = re.compile(r"\w+")


def edge(needed_for: str) -> Any:
    """The module qdrant_edge; UsageError that says how to install it."""
    try:
        return importlib.import_module("qdrant_edge")
    except ImportError:
        raise UsageError(
            f"{needed_for} needs the package qdrant-edge-py; install it with: pip install 'changeover[sandbox]'"
        ) from None


def has_edge() -> bool:
    """Whether qdrant-edge-py is installed."""
    try:
        edge("")
    except UsageError:
        return False
    return True


def language_of(spec: SparseSpec) -> str:
    """The spec's language in lower case; UsageError with the known ones when it is none of them."""
    language = spec.language.lower()
    if language not in LANGUAGES:
        raise UsageError(
            f"BM25 knows no language {spec.language!r} (sparse.language); it knows {', '.join(LANGUAGES)}."
        )
    return language


class LocalBm25:
    """The encoder of qdrant-edge-py; the values are what a server would compute."""

    dimension = 0
    max_tokens: int | None = None

    def __init__(self, spec: SparseSpec) -> None:
        language = language_of(spec)
        module = edge("sparse.encoder local-bm25")
        options = {} if spec.average_length is None else {"avg_len": spec.average_length}
        self._bm25 = module.Bm25(module.Bm25Config(language=language, **options))
        self.fingerprint = _fingerprint(spec, language)

    def embed_documents(self, texts: Sequence[str]) -> list[SparseValue | None]:
        """Per text its terms and their weights; None for a text without terms."""
        made = (self._bm25.embed_document(text) for text in texts)
        return [_value(vector) if vector.indices else None for vector in made]

    def embed_query(self, text: str) -> SparseValue:
        """Each term with weight 1; empty without terms."""
        return _value(self._bm25.embed_query(text))

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Words, stop words included."""
        return _words(texts)

    def close(self) -> None:
        """Nothing to free."""


class ServerBm25:
    """Texts as `Inference` values for `qdrant/bm25`, which every server from 1.15.2 computes itself."""

    dimension = 0
    max_tokens: int | None = None

    def __init__(self, spec: SparseSpec) -> None:
        language = language_of(spec)
        options: list[tuple[str, Any]] = [("language", language)]
        if spec.average_length is not None:
            options.append(("avg_len", spec.average_length))
        self._options = tuple(options)
        self._local = LocalBm25(spec) if has_edge() else None
        self.fingerprint = _fingerprint(spec, language)

    def embed_documents(self, texts: Sequence[str]) -> list[Inference | None]:
        """Per text what the server is sent; None for a text known to have no terms."""
        known = (
            [True] * len(texts) if self._local is None else [v is not None for v in self._local.embed_documents(texts)]
        )
        return [self._inference(text) if has else None for text, has in zip(texts, known, strict=True)]

    def embed_query(self, text: str) -> Inference:
        """The same for a query."""
        return self._inference(text)

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Words, stop words included."""
        return _words(texts)

    def close(self) -> None:
        """Nothing to free."""

    def _inference(self, text: str) -> Inference:
        return Inference(text, SERVER_MODEL, self._options)


class TermCounter:
    """Counts a text's terms as BM25 does for its length: with a language's stop words removed, or with none removed."""

    def __init__(self, language: str | None, stopwords_of: str | None = None) -> None:
        module = edge("Counting BM25 terms")
        settings: dict[str, Any] = {"k": COUNTING_K, "b": 0.0}
        if language is not None:
            settings["language"] = language
        else:
            named = {getattr(module.Language, stopwords_of.capitalize())} if stopwords_of else set()
            settings["stopwords"] = module.StopwordsSet(languages=named, custom=set())
            settings["stemmer"] = module.DisabledStemmer()
        self._bm25 = module.Bm25(module.Bm25Config(**settings))

    def count(self, text: str) -> int:
        """How many terms the text has, repeated ones counted each time."""
        weights: list[float] = self._bm25.embed_document(text).values
        return round(sum(weights))


def count_words(text: str) -> int:
    """Runs of letters and digits."""
    return len(WORD.findall(text))


def _words(texts: Sequence[str]) -> int:
    return sum(map(count_words, texts))


def _value(vector: Any) -> SparseValue:
    return SparseValue(np.asarray(vector.indices, np.uint32), np.asarray(vector.values, np.float32))


def _fingerprint(spec: SparseSpec, language: str) -> Fingerprint:
    length = "default" if spec.average_length is None else f"{spec.average_length:g}"
    return Fingerprint(
        provider=spec.encoder,
        model=SERVER_MODEL,
        revision=f"language={language} avg_len={length}",
        normalised=False,
    )
