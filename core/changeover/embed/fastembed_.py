"""fastembed, dense: a model by name (downloaded once by fastembed), or a local ONNX folder given by `model.path`."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from changeover.embed import fastembed_open as fe
from changeover.embed.model import ModelSpec
from changeover.embed.protocol import PROBE, Embedder, Encoder
from changeover.embed.vectors import Vectors, by_size, fingerprint
from changeover.errors import ChangeoverError, UsageError

# (texts, padded tokens) per batch. Measured with MiniLM int8 on 2 cores: 195 texts/s with 8 x 512, 170 with 16 x 1024.
CPU_BATCH = (8, 512)
GPU_BATCH = (256, 32_768)

_registry = threading.Lock()


def open_embedder(spec: ModelSpec, environ: Mapping[str, str]) -> Embedder:
    """The fastembed model that `spec` names, or the folder that `spec.path` points to."""
    if spec.path:
        return open_folder(spec, Path(spec.path).expanduser())
    dense = fe.quiet().TextEmbedding
    return _probed(spec, fe.opened(dense, fe.known_name(dense, spec.name, "model"), None))


def open_folder(spec: ModelSpec, folder: Path, *, threads: int | None = None) -> Embedder:
    """The ONNX model in `folder`, with the pooling, normalisation and prefixes of `spec`; None: a thread for each core."""
    dense = fe.quiet().TextEmbedding
    return _probed(spec, fe.opened(dense, _register(dense, spec, folder), folder, threads=threads))


def open_late(spec: ModelSpec, environ: Mapping[str, str]) -> Encoder:
    """The late-interaction model that `spec` names, or the folder that `spec.path` points to."""
    from changeover.embed.late import open_late

    return open_late(spec, environ)


def _probed(spec: ModelSpec, model: Any) -> Embedder:
    try:
        return FastembedEmbedder(spec, model)
    except ChangeoverError:
        raise
    except Exception as error:
        raise UsageError(f"{spec.label} was loaded but cannot embed: {fe.one_line(error)}") from error


class FastembedEmbedder:
    """A fastembed dense model with batches of similar length; answers in the order asked."""

    def __init__(self, spec: ModelSpec, model: Any) -> None:
        self._spec = spec
        self._model = model
        self._tokenizer = getattr(model.model, "tokenizer", None)
        self._batch = CPU_BATCH if fe.on_cpu(model.model) else GPU_BATCH
        self.max_tokens = fe.max_tokens(model.model)
        probe = self._embed([spec.document_prefix + PROBE])[0]
        self.fingerprint = fingerprint(spec, probe, fe.revision(model.model), self.max_tokens)
        self.dimension = self.fingerprint.dimension

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Float32 (len(texts), dimension)."""
        prefixed = [self._spec.document_prefix + text for text in texts]
        vectors = np.empty((len(texts), self.dimension), np.float32)
        for batch in by_size(fe.token_lengths(self._tokenizer, prefixed), *self._batch):
            vectors[batch] = self._embed([prefixed[i] for i in batch])
        return vectors

    def embed_query(self, text: str) -> Vectors:
        """Float32 (dimension,)."""
        found = list(self._model.query_embed(self._spec.query_prefix + text))
        return np.asarray(found[0], np.float32)

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Tokens that the model would read, after truncation."""
        return sum(fe.token_lengths(self._tokenizer, [self._spec.document_prefix + text for text in texts]))

    def close(self) -> None:
        """Nothing to free: the session goes with the object."""

    def _embed(self, texts: list[str]) -> Vectors:
        return np.asarray(list(self._model.passage_embed(texts, batch_size=len(texts))), np.float32)


def _register(dense: Any, spec: ModelSpec, folder: Path) -> str:
    """Check the folder, make it known to fastembed under a name of its own, and return that name."""
    from fastembed.common.model_description import ModelSource, PoolingType

    file = fe.model_file(folder, spec.model_file)
    pooling = {
        "mean": PoolingType.MEAN,
        "cls": PoolingType.CLS,
        "last": PoolingType.LAST_TOKEN,
        "disabled": PoolingType.DISABLED,
    }[spec.pooling]
    key = f"{folder.resolve()}|{file}|{spec.pooling}|{spec.normalise}"
    name = f"changeover/{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    with _registry:
        if not any(model["model"] == name for model in dense.list_supported_models()):
            # dim is a label only: the real size is probed; sources is never contacted for a local folder
            dense.add_custom_model(
                model=name,
                pooling=pooling,
                normalization=spec.normalise,
                sources=ModelSource(hf=name),
                dim=spec.dimension or 0,
                model_file=file,
            )
    return name
