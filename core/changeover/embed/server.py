"""Server inference: nothing is embedded here, the texts themselves are sent and the server's model makes the vectors."""

from __future__ import annotations

from collections.abc import Sequence

from changeover.cluster.api import Inference
from changeover.embed.model import Fingerprint, ModelSpec
from changeover.embed.vectors import estimated_tokens
from changeover.errors import UsageError


class ServerInference:
    """Texts as `Inference` values; asks nothing of a network of its own."""

    max_tokens: int | None = None

    def __init__(self, spec: ModelSpec) -> None:
        if not spec.name:
            raise UsageError("model.name is needed: the model that the server embeds with, as the cluster names it.")
        if spec.dimension is None:
            raise UsageError(
                f"model.dimension is needed: the server embeds with {spec.name}, so its vector size cannot be measured here."
            )
        self._spec = spec
        self.dimension = spec.dimension
        self.fingerprint = Fingerprint(
            provider=spec.provider,
            model=spec.name,
            dimension=spec.dimension,
            document_prefix=spec.document_prefix,
            query_prefix=spec.query_prefix,
            pooling="" if spec.kind == "dense" else spec.kind,
        )

    def embed_documents(self, texts: Sequence[str]) -> list[Inference]:
        """One `Inference` per text, with the document prefix."""
        return [Inference(self._spec.document_prefix + text, self._spec.name) for text in texts]

    def embed_query(self, text: str) -> Inference:
        """The text with the query prefix."""
        return Inference(self._spec.query_prefix + text, self._spec.name)

    def count_tokens(self, texts: Sequence[str]) -> int:
        """An estimate: a quarter of the bytes, at least one per text."""
        return sum(estimated_tokens(self._spec.document_prefix + text) for text in texts)

    def close(self) -> None:
        """Nothing to free."""
