"""Texts in place of vectors (the servers' `Document`): their own BM25, and dense models where inference is switched on."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import orjson
import qdrant_edge as edge

from changeover.embed import Embedder
from changeover.sandbox import models
from changeover.sandbox.server import refusals

LOCAL_MODELS = {"qdrant/bm25", "bm25"}
"""What the servers embed themselves, in any case of letters (measured on 1.17.1 to 1.19.0)."""
BM25_OPTIONS = {"k", "b", "avg_len", "language", "lowercase", "ascii_folding", "min_token_len", "max_token_len"}
NO_INFERENCE = "Service internal error: InferenceService URL not configured - please provide valid address in config"
PREFIX = "sandbox/"
Inference = Callable[[str, str, bool], list[float]]
"""(model, text, whether it is a query) -> vector; raises Refused for a model that it does not have."""


class Document(msgspec.Struct, frozen=True):
    """A text that the server embeds; keys beside these are ignored (measured)."""

    text: str
    model: str
    options: dict[str, Any] | None = None


class SandboxInference:
    """`sandbox/wordllama` and `sandbox/minilm`, each opened at its first text; any thread may ask."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._models: dict[str, Embedder] = {}
        self._lock = threading.Lock()

    def __call__(self, model: str, text: str, query: bool) -> list[float]:
        """The vector of one text."""
        name = model.lower().removeprefix(PREFIX)
        if not model.lower().startswith(PREFIX) or name not in models.DIMENSIONS:
            raise refusals.Refused(400, f"Bad request: InferenceService error: model {model} is not supported")
        with self._lock:
            if name not in self._models:
                # One text at a time is as quick on one core (measured on two), and the other is left for searches.
                self._models[name] = models.open_embedder(models.spec(name, self._data_dir), {}, threads=1)
            opened = self._models[name]
            vector = opened.embed_query(text) if query else opened.embed_documents([text])[0]
        return [float(number) for number in vector]


def document(given: Any, otherwise: str) -> Document | None:
    """The document that a value is, if it has a text; Refused with the words of `otherwise` when it is none of any kind."""
    if not isinstance(given, dict) or "text" not in given:
        return None
    try:
        return msgspec.convert(given, Document)
    except msgspec.ValidationError as error:
        raise refusals.malformed(otherwise) from error


def embedded(found: Document, inference: Inference | None, query: bool) -> Any:
    """A list of numbers, or the core's sparse vector for BM25; a dense model without inference is refused."""
    if found.model.lower() in LOCAL_MODELS:
        encoder = _bm25(orjson.dumps(found.options or {}, option=orjson.OPT_SORT_KEYS))
        return encoder.embed_query(found.text) if query else encoder.embed_document(found.text)
    if inference is None:
        raise refusals.Refused(500, NO_INFERENCE)
    return inference(found.model, found.text, query)


@functools.cache
def _bm25(options: bytes) -> Any:
    """The encoder for the `options` of a document, as JSON with sorted keys."""
    given = orjson.loads(options)
    unknown = given.keys() - BM25_OPTIONS
    if unknown:
        raise refusals.Refused(400, f"Bad request: the sandbox does not speak the BM25 option {sorted(unknown)}")
    try:
        return edge.Bm25(edge.Bm25Config(**given))
    except (TypeError, OverflowError) as error:
        raise refusals.Refused(400, f"Wrong input: Invalid BM25 config: {error}") from error
    except ValueError as error:
        raise refusals.Refused(400, f"Wrong input: {error}") from error
