"""fastembed: a model by name (downloaded once by fastembed), or a local ONNX folder given by `model.path`."""

from __future__ import annotations

import hashlib
import os
import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from changeover.embed.model import ModelSpec
from changeover.embed.protocol import PROBE, Embedder
from changeover.embed.vectors import Vectors, by_size, fingerprint
from changeover.errors import ChangeoverError, UnreachableError, UsageError

# (texts, padded tokens) per batch. Measured with MiniLM int8 on 2 cores: 195 texts/s with 8 x 512, 170 with 16 x 1024.
CPU_BATCH = (8, 512)
GPU_BATCH = (256, 32_768)
WITHOUT_TOKENIZER_CHARACTERS_PER_TOKEN = 4

_registry = threading.Lock()


def open_embedder(spec: ModelSpec, environ: Mapping[str, str]) -> Embedder:
    """The fastembed model that `spec` names, or the folder that `spec.path` points to."""
    if spec.path:
        return open_folder(spec, Path(spec.path).expanduser())
    return _probed(spec, _open(_known_name(spec), None))


def open_folder(spec: ModelSpec, folder: Path) -> Embedder:
    """The ONNX model in `folder`, with the pooling, normalisation and prefixes of `spec`."""
    return _probed(spec, _open(_register(spec, folder), folder))


def _probed(spec: ModelSpec, model: Any) -> Embedder:
    try:
        return FastembedEmbedder(spec, model)
    except ChangeoverError:
        raise
    except Exception as error:
        raise UsageError(f"{spec.label} was loaded but cannot embed: {_one_line(error)}") from error


class FastembedEmbedder:
    """A fastembed dense model with batches of similar length; answers in the order asked."""

    def __init__(self, spec: ModelSpec, model: Any) -> None:
        self._spec = spec
        self._model = model
        self._tokenizer = getattr(model.model, "tokenizer", None)
        self._batch = CPU_BATCH if _on_cpu(model.model) else GPU_BATCH
        truncation = self._tokenizer.truncation if self._tokenizer else None
        self.max_tokens: int | None = truncation["max_length"] if truncation else None
        probe = self._embed([spec.document_prefix + PROBE])[0]
        self.fingerprint = fingerprint(spec, probe, _revision(model.model), self.max_tokens)
        self.dimension = self.fingerprint.dimension

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Float32 (len(texts), dimension)."""
        prefixed = [self._spec.document_prefix + text for text in texts]
        vectors = np.empty((len(texts), self.dimension), np.float32)
        for batch in by_size(self._lengths(prefixed), *self._batch):
            vectors[batch] = self._embed([prefixed[i] for i in batch])
        return vectors

    def embed_query(self, text: str) -> Vectors:
        """Float32 (dimension,)."""
        found = list(self._model.query_embed(self._spec.query_prefix + text))
        return np.asarray(found[0], np.float32)

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Tokens that the model would read, after truncation."""
        return sum(self._lengths([self._spec.document_prefix + text for text in texts]))

    def close(self) -> None:
        """Nothing to free: the session goes with the object."""

    def _embed(self, texts: list[str]) -> Vectors:
        return np.asarray(list(self._model.passage_embed(texts, batch_size=len(texts))), np.float32)

    def _lengths(self, texts: list[str]) -> list[int]:
        if self._tokenizer is None:
            return [1 + len(text) // WITHOUT_TOKENIZER_CHARACTERS_PER_TOKEN for text in texts]
        return [sum(encoding.attention_mask) for encoding in self._tokenizer.encode_batch(texts)]


def _text_embedding() -> Any:
    """fastembed's dense class, with its log lines and the hub's progress bars off: a screen may be in use."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # read once, when huggingface_hub is imported
    from fastembed import TextEmbedding
    from loguru import logger

    logger.disable("fastembed")
    return TextEmbedding


def _known_name(spec: ModelSpec) -> str:
    """The name as fastembed spells it; UsageError with near names when it has no such model."""
    import difflib

    text_embedding = _text_embedding()
    known = [model["model"] for model in text_embedding.list_supported_models()]
    for name in known:
        if name.lower() == spec.name.lower():
            return str(name)
    close = difflib.get_close_matches(spec.name, known, n=3, cutoff=0.3)
    near = f" (near: {', '.join(close)})" if close else ""
    raise UsageError(f"fastembed has no model {spec.name!r}{near}; give a local ONNX folder as model.path instead.")


def _register(spec: ModelSpec, folder: Path) -> str:
    """Check the folder, make it known to fastembed under a name of its own, and return that name."""
    text_embedding = _text_embedding()
    from fastembed.common.model_description import ModelSource, PoolingType

    model_file = _model_file(folder, spec.model_file)
    pooling = {
        "mean": PoolingType.MEAN,
        "cls": PoolingType.CLS,
        "last": PoolingType.LAST_TOKEN,
        "disabled": PoolingType.DISABLED,
    }[spec.pooling]
    key = f"{folder.resolve()}|{model_file}|{spec.pooling}|{spec.normalise}"
    name = f"changeover/{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    with _registry:
        if not any(model["model"] == name for model in text_embedding.list_supported_models()):
            # dim is a label only: the real size is probed; sources is never contacted for a local folder
            text_embedding.add_custom_model(
                model=name,
                pooling=pooling,
                normalization=spec.normalise,
                sources=ModelSource(hf=name),
                dim=spec.dimension or 0,
                model_file=model_file,
            )
    return name


def _model_file(folder: Path, wanted: str) -> str:
    """The ONNX file's path inside the folder; UsageError when the folder is not a model folder."""
    if not folder.is_dir():
        raise UsageError(f"model.path {folder} is not a folder; give one with {wanted} and tokenizer.json.")
    found = next((file for file in (wanted, f"onnx/{wanted}") if (folder / file).is_file()), None)
    if found is None:
        raise UsageError(f"model.path {folder} is not a model folder: it has no {wanted}.")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        if not (folder / file).is_file():
            raise UsageError(f"model.path {folder} has no {file}; copy it from where the model came from.")
    return found


def _open(name: str, folder: Path | None) -> Any:
    """A loaded fastembed `TextEmbedding`; its log lines are silenced, its failures become one line."""
    text_embedding = _text_embedding()
    local: dict[str, Any] = {"specific_model_path": str(folder)} if folder else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return text_embedding(name, **local)
    except Exception as error:
        reason = _one_line(error)
        if folder:
            raise UsageError(f"model.path {folder} could not be opened as an ONNX model: {reason}") from error
        raise UnreachableError(
            f"fastembed could not get {name}: it is not in its cache and the model hub did not give it ({reason}) "
            "Check the network, or give a downloaded folder as model.path."
        ) from error


def _on_cpu(model: Any) -> bool:
    """True too for fastembed's static models, which have no onnxruntime session."""
    session = getattr(model, "model", None)
    get_providers = getattr(session, "get_providers", None)
    return get_providers is None or get_providers()[0] == "CPUExecutionProvider"


def _one_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _revision(model: Any) -> str:
    """sha256 of the model file that fastembed opened; "" where it does not say which one that is."""
    folder, description = getattr(model, "_model_dir", None), getattr(model, "model_description", None)
    if folder is None or description is None or not (Path(folder) / description.model_file).is_file():
        return ""
    with (Path(folder) / description.model_file).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
