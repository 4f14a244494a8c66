"""The HTTP providers as a table: where each one is asked, how a request looks, and where its answer has the vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from changeover.embed.model import ModelSpec
from changeover.errors import UsageError

Purpose = Literal["document", "query"]
Items = tuple[list[Any], int | None]
"""A vector (or the list of its tokens' vectors) per text, and the tokens that the provider counted."""


class Request(msgspec.Struct, frozen=True):
    """One request in the provider's own terms left to say."""

    name: str
    texts: list[str]
    purpose: Purpose
    dimension: int | None
    """The size to ask for; None for the model's own."""
    late: bool


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One provider's way to be asked."""

    title: str
    path: str
    """Appended to the base URL; `{name}` is the model's name."""
    body: Callable[[Request], dict[str, Any]]
    items: Callable[[Any], Items]
    """Takes a decoded answer; KeyError, TypeError, AttributeError or ValueError when it is no such answer."""
    url: str | None = None
    """The provider's own base URL; None where only the user knows it."""
    late_path: str | None = None
    """The path for a vector per token; None when the provider has none."""
    max_texts: int = 128
    """Texts per request."""
    key_header: str = "Authorization"
    key_format: str = "Bearer {}"
    needs_name: bool = True

    def address(self, spec: ModelSpec) -> str:
        """The URL for this model; UsageError when the URL or the model's name is missing or cannot be."""
        base = spec.url or self.url
        if not base:
            raise UsageError("model.url is needed for this provider: the base URL, such as https://host/v1.")
        if not base.startswith(("http://", "https://")) or not base.isprintable():
            raise UsageError(f"model.url {base!r} is not an http or https URL.")
        if self.needs_name and not spec.name:
            raise UsageError("model.name is needed: the name of the model that the endpoint serves.")
        path = self.path if spec.kind == "dense" else self.late_path
        if path is None:
            raise UsageError(f"{self.title} answers one vector per text; for late interaction take another provider.")
        path = path.format(name=quote(spec.name.removeprefix("models/"), safe="/"))
        base = base.rstrip("/")
        return base if base.endswith(path) else base + path


def _openai(request: Request) -> dict[str, Any]:
    return {"model": request.name, "input": request.texts, **_sized("dimensions", request)}


def _cohere(request: Request) -> dict[str, Any]:
    return {
        "model": request.name,
        "texts": request.texts,
        "input_type": f"search_{request.purpose}",
        "embedding_types": ["float"],
        **_sized("output_dimension", request),
    }


def _voyage(request: Request) -> dict[str, Any]:
    return {
        "model": request.name,
        "input": request.texts,
        "input_type": request.purpose,
        **_sized("output_dimension", request),
    }


def _jina(request: Request) -> dict[str, Any]:
    kind: dict[str, Any] = {}
    if request.late:
        kind["input_type"] = request.purpose
    elif "-v2" not in request.name:  # the second generation has no tasks
        kind["task"] = "retrieval.passage" if request.purpose == "document" else "retrieval.query"
    return {"model": request.name, "input": request.texts, **kind, **_sized("dimensions", request)}


def _gemini(request: Request) -> dict[str, Any]:
    model = f"models/{request.name.removeprefix('models/')}"
    shared = {
        "model": model,
        "taskType": f"RETRIEVAL_{request.purpose.upper()}",
        **_sized("outputDimensionality", request),
    }
    return {"requests": [{**shared, "content": {"parts": [{"text": text}]}} for text in request.texts]}


def _tei(request: Request) -> dict[str, Any]:
    # a text over the model's limit is cut, as every other provider here does by default
    return {"inputs": request.texts, "truncate": True, **_sized("dimensions", request)}


def _sized(key: str, request: Request) -> dict[str, int]:
    return {} if request.dimension is None else {key: request.dimension}


def _data(body: Any) -> Items:
    """OpenAI's shape: `data` with an `index` each, in any order; `embeddings` is Jina's word for a vector per token."""
    items = body["data"]
    if all(isinstance(item.get("index"), int) for item in items):
        items = sorted(items, key=lambda item: item["index"])
    usage = body.get("usage") or {}
    vectors = [item["embeddings"] if "embeddings" in item else item["embedding"] for item in items]
    return vectors, usage.get("total_tokens", usage.get("prompt_tokens"))


def _cohere_items(body: Any) -> Items:
    billed = (body.get("meta") or {}).get("billed_units") or {}
    tokens = billed.get("input_tokens")
    return body["embeddings"]["float"], None if tokens is None else int(tokens)


def _gemini_items(body: Any) -> Items:
    return [item["values"] for item in body["embeddings"]], None


def _ollama_items(body: Any) -> Items:
    return body["embeddings"], body.get("prompt_eval_count")


def _plain_items(body: Any) -> Items:
    if not isinstance(body, list):
        raise TypeError("not a list of vectors")
    return body, None


ENDPOINTS: dict[str, Endpoint] = {
    "openai": Endpoint(title="OpenAI", path="/embeddings", late_path="/embeddings", body=_openai, items=_data),
    "cohere": Endpoint(
        title="Cohere",
        url="https://api.cohere.com/v2",
        path="/embed",
        body=_cohere,
        items=_cohere_items,
        max_texts=96,
    ),
    "voyage": Endpoint(
        title="Voyage", url="https://api.voyageai.com/v1", path="/embeddings", body=_voyage, items=_data
    ),
    "jina": Endpoint(
        title="Jina",
        url="https://api.jina.ai/v1",
        path="/embeddings",
        late_path="/multi-vector",
        body=_jina,
        items=_data,
    ),
    "gemini": Endpoint(
        title="Gemini",
        url="https://generativelanguage.googleapis.com/v1beta",
        path="/models/{name}:batchEmbedContents",
        body=_gemini,
        items=_gemini_items,
        max_texts=100,
        key_header="x-goog-api-key",
        key_format="{}",
    ),
    "ollama": Endpoint(
        title="Ollama", url="http://localhost:11434", path="/api/embed", body=_openai, items=_ollama_items
    ),
    "tei": Endpoint(
        title="Text Embeddings Inference",
        path="/embed",
        late_path="/embed_all",
        body=_tei,
        items=_plain_items,
        max_texts=32,
        needs_name=False,
    ),
}
"""`model.provider` -> how it is asked."""
