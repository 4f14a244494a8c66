"""Late interaction through fastembed: a vector per token, by name (ColBERT and its kin) or from a local ONNX folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from changeover.embed import fastembed_open as fe
from changeover.embed.model import ModelSpec
from changeover.embed.protocol import PROBE, Encoder
from changeover.embed.vectors import Vectors, by_size, fingerprint, normalised
from changeover.errors import ChangeoverError, UsageError

# (texts, padded tokens) per batch, as for dense models: the network is the same, only the pooling is left out.
CPU_BATCH = (8, 512)
GPU_BATCH = (64, 16_384)


def open_late(spec: ModelSpec, environ: Mapping[str, str]) -> Encoder:
    """The fastembed model that `spec` names, or the folder that `spec.path` points to."""
    if spec.path:
        return open_folder(spec, Path(spec.path).expanduser())
    family = fe.quiet().LateInteractionTextEmbedding
    return _probed(spec, fe.opened(family, fe.known_name(family, spec.name, "model"), None))


def open_folder(spec: ModelSpec, folder: Path) -> Encoder:
    """The model in `folder`: as the fastembed model of that name where `spec` names one, else read as a ColBERT."""
    family = fe.quiet().LateInteractionTextEmbedding
    for model in family.list_supported_models():
        if model["model"].lower() == spec.name.lower():
            return _probed(spec, fe.opened(family, model["model"], folder))
    file = fe.model_file(folder, spec.model_file)
    return _probed(spec, fe.opened(_folder_class(file), "changeover/folder", folder))


def _probed(spec: ModelSpec, model: Any) -> Encoder:
    try:
        return LateEncoder(spec, model)
    except ChangeoverError:
        raise
    except Exception as error:
        raise UsageError(f"{spec.label} was loaded but gives no vector per token: {fe.one_line(error)}") from error


class LateEncoder:
    """A fastembed late-interaction model with batches of similar length; `dimension` is that of one token."""

    def __init__(self, spec: ModelSpec, model: Any) -> None:
        self._spec = spec
        self._model = model
        # fastembed's family class wraps the model; a folder's class is the model itself, and its `model` the session
        self._own = not hasattr(model.model, "tokenizer")
        inner: Any = model if self._own else model.model
        self._tokenizer = inner.tokenizer
        self._batch = CPU_BATCH if fe.on_cpu(inner) else GPU_BATCH
        self.max_tokens = fe.max_tokens(inner)
        [probe] = self._embed([spec.document_prefix + PROBE])
        if probe.ndim != 2 or not len(probe):
            raise UsageError(f"{spec.label} gives no vector per token; it may be a dense model.")
        self.fingerprint = fingerprint(spec, probe[0], fe.revision(inner), self.max_tokens)
        self.dimension = self.fingerprint.dimension

    def embed_documents(self, texts: Sequence[str]) -> list[Vectors | None]:
        """Per text float32 (tokens, dimension), punctuation left out; None for a text without tokens."""
        prefixed = [self._spec.document_prefix + text for text in texts]
        made: list[Vectors | None] = [None] * len(texts)
        for batch in by_size(fe.token_lengths(self._tokenizer, prefixed), *self._batch):
            for position, tokens in zip(batch, self._embed([prefixed[i] for i in batch]), strict=True):
                made[position] = tokens if len(tokens) else None
        return made

    def embed_query(self, text: str) -> Vectors:
        """Float32 (tokens, dimension); ColBERT fills a short query up with mask tokens."""
        [tokens] = self._model.query_embed(self._spec.query_prefix + text)
        vectors = np.asarray(tokens, np.float32)
        # fastembed divides the tokens of documents by their length, but not those of queries
        return normalised(vectors) if self._own and self._spec.normalise else vectors

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Tokens that the model would read, after truncation."""
        return sum(fe.token_lengths(self._tokenizer, [self._spec.document_prefix + text for text in texts]))

    def close(self) -> None:
        """Nothing to free: the session goes with the object."""

    def _embed(self, texts: list[str]) -> list[Vectors]:
        return [np.array(tokens, np.float32) for tokens in self._model.embed(texts, batch_size=len(texts))]


def _folder_class(file: str) -> Any:
    """fastembed's ColBERT for a folder whose ONNX file is `file`, with or without an input `token_type_ids`."""
    from fastembed.common.model_description import DenseModelDescription, ModelSource
    from fastembed.late_interaction.colbert import Colbert

    description = DenseModelDescription(
        model="changeover/folder",
        dim=1,  # a label only: the real size is probed
        description="",
        license="",
        size_in_GB=0,
        sources=ModelSource(hf="changeover/folder"),  # never contacted for a local folder
        model_file=file,
    )

    class FolderColbert(Colbert):
        @classmethod
        def _list_supported_models(cls) -> list[DenseModelDescription]:
            return [description]

        def _preprocess_onnx_input(
            self, onnx_input: dict[str, Any], is_doc: bool = True, **kwargs: Any
        ) -> dict[str, Any]:
            # Colbert inserts its marker into two of the three inputs only
            onnx_input = super()._preprocess_onnx_input(onnx_input, is_doc, **kwargs)
            if "token_type_ids" in onnx_input:
                onnx_input["token_type_ids"] = np.zeros_like(onnx_input["input_ids"])
            return onnx_input

    return FolderColbert
