"""Vectors that the sandbox's real models make of the sandbox's real text, kept between runs in pytest's cache folder."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from changeover.embed.protocol import load
from changeover.quality.queries import LabelledQuery
from changeover.sandbox import corpus, models
from changeover.sandbox.corpus import Document

POINTS = 1_000
QUERIES = 200


@dataclass(frozen=True)
class Real:
    """Documents and queries of the corpus, with the vectors that one model makes of them."""

    documents: list[Document]
    queries: list[LabelledQuery]
    stored: NDArray[np.float32]
    asked: NDArray[np.float32]


@lru_cache(maxsize=4)
def real(model: str, folder: Path) -> Real:
    """POINTS documents and QUERIES queries by "wordllama" or "minilm"; `folder` is where they are kept."""
    documents = corpus.documents(POINTS)
    queries = corpus.queries(documents, QUERIES, seed=1)
    texts = [document.text for document in documents]
    asset = models.WORDLLAMA_WEIGHTS if model == "wordllama" else models.MINILM_MODEL
    key = hashlib.sha256("\0".join([asset.sha256, *texts, *(q.query for q in queries)]).encode()).hexdigest()[:16]
    path = folder / f"{model}-{key}.npz"
    if not path.exists():
        embedder = load(models.spec(model), dict(os.environ))
        stored = embedder.embed_documents(texts)
        asked = np.stack([embedder.embed_query(query.query) for query in queries])
        embedder.close()
        handle, part = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "wb") as file:
            np.savez(file, stored=stored, asked=asked)
        Path(part).replace(path)
    with np.load(path) as kept:
        return Real(documents, queries, kept["stored"], kept["asked"])
