"""What an embeddings endpoint answered: vectors, a refusal of the texts, "try again", or an error for a person."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import httpx
import msgspec
import numpy as np
import orjson

from changeover.embed.endpoints import Endpoint
from changeover.embed.model import ModelSpec
from changeover.embed.vectors import Vectors
from changeover.errors import UnreachableError, UsageError
from changeover.safe_text import clean

REFUSES_TEXTS = frozenset({400, 413, 422})
TRY_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
LONGEST_REASON = 300


class Answer(msgspec.Struct, frozen=True):
    """A vector per text in the order of the request, and the tokens the provider counted.

    Dense: shape (texts, dimension), a list where they are not of one size. Late interaction: a list of (tokens,
    dimension), (0, 0) for none.
    """

    vectors: Vectors | list[Vectors]
    tokens: int | None


class Refusal(msgspec.Struct, frozen=True):
    """The request was understood and its texts (or their number) were refused."""

    reason: str


class TryAgain(msgspec.Struct, frozen=True):
    """A passing failure; `wait` is what the server asked for, in seconds."""

    reason: str
    wait: float | None


def read(
    response: httpx.Response, texts: int, spec: ModelSpec, endpoint: Endpoint, url: str, key: str | None
) -> Answer | Refusal | TryAgain:
    """Sort a response; UsageError for a wrong URL or model, UnreachableError for a refused key or no quota."""
    status = response.status_code
    if response.is_success:
        return _answer(response, texts, spec, endpoint, url)
    reason = f"{status} {_message(response, key)}".strip()
    if status in (401, 403):
        source = f"the key in {spec.api_key_env}" if spec.api_key_env else "a request without a key"
        raise UnreachableError(f"{url} refused {source} ({reason}).")
    if status == 429 and "insufficient_quota" in response.text:
        raise UnreachableError(f"{url}: the account's quota is used up ({reason}).")
    if status in REFUSES_TEXTS:
        return Refusal(reason)
    if status in TRY_AGAIN:
        return TryAgain(reason, retry_after(response.headers.get("Retry-After")))
    if status in (404, 405):
        hint = " (it often ends in /v1)" if spec.provider == "openai" else ""
        raise UsageError(f"{url} answered {reason}: check model.url{hint} and model.name {spec.name!r}.")
    raise UnreachableError(f"{url} answered {reason}.")


def retry_after(header: str | None) -> float | None:
    """Seconds to wait from a `Retry-After` header, given in seconds or as a date; None when absent or odd."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time())
    except ValueError:
        return None


def _answer(response: httpx.Response, texts: int, spec: ModelSpec, endpoint: Endpoint, url: str) -> Answer | Refusal:
    try:
        items, tokens = endpoint.items(_json(response.content))
        nested = any(bool(item) and isinstance(item[0], list) for item in items)
        if items and nested == (spec.kind == "dense"):
            raise UsageError(_other_kind(url, nested))
        vectors = _dense(items) if spec.kind == "dense" else [_tokens(item) for item in items]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise UsageError(
            f"{url} answered 200, but not with embeddings as {endpoint.title} returns them; check model.url."
        ) from error
    if len(vectors) != texts:  # whichever text it is: alone it will be seen
        return Refusal(f"it returned {len(vectors)} vectors for {texts} texts")
    if any(vector.ndim != (1 if spec.kind == "dense" else 2) for vector in vectors):
        raise UsageError(f"{url} returned something else than a list of numbers for each text; check model.url.")
    return Answer(vectors, tokens)


def _dense(items: list[Any]) -> Vectors | list[Vectors]:
    """A vector per text; those of one answer can have several sizes, or none at all."""
    if len({len(item) if item else 0 for item in items}) == 1 and items[0]:
        return np.array(items, np.float32)
    return [np.array(item or [], np.float32) for item in items]


def _tokens(item: Any) -> Vectors:
    return np.array(item, np.float32) if item else np.zeros((0, 0), np.float32)


def _other_kind(url: str, nested: bool) -> str:
    if nested:
        return f'{url} returns a vector per token, but model.kind says dense; set model.kind to "late-interaction".'
    return f'{url} returns one vector per text, but model.kind says late-interaction; set model.kind to "dense".'


def _json(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return json.loads(content)  # accepts NaN, which some Python servers write


def _message(response: httpx.Response, key: str | None) -> str:
    """The server's own words as one safe line, without the key."""
    text = response.text
    try:
        body = orjson.loads(response.content)
        error = body.get("error", body.get("message", body.get("detail", text)))
        text = error.get("message", text) if isinstance(error, dict) else error
    except (orjson.JSONDecodeError, AttributeError):
        pass
    return safe_reason(text, key)


def safe_reason(text: object, key: str | None) -> str:
    """Foreign words as one safe line of bounded length, without the key, even one that control characters hid."""
    return clean(_without(clean(_without(str(text), key)), key), LONGEST_REASON)


def _without(text: str, key: str | None) -> str:
    return text.replace(key, "***") if key else text
