"""Server-side inference, as Qdrant Cloud has it: texts are embedded here, by the sandbox's own models. Off by default."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from changeover.embed import Embedder
from changeover.sandbox import models
from changeover.sandbox.server import refusals

NO_INFERENCE = "Service internal error: InferenceService URL not configured - please provide valid address in config"
PREFIX = "sandbox/"
Inference = Callable[[str, str, bool], list[float]]
"""(model, text, whether it is a query) -> vector; raises Refused for a model that it does not have."""


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
                self._models[name] = models.open_embedder(models.spec(name, self._data_dir), {})
            opened = self._models[name]
            vector = opened.embed_query(text) if query else opened.embed_documents([text])[0]
        return [float(number) for number in vector]
