"""One HTTP client per model: requests with retries, jitter and `Retry-After`; waits end when it is closed."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping

import httpx
import msgspec

from changeover.embed.answers import Answer, Refusal, read, safe_reason
from changeover.embed.endpoints import Endpoint, Purpose, Request
from changeover.embed.model import ModelSpec
from changeover.embed.vectors import estimated_tokens
from changeover.errors import AwayError, StoppedError, UsageError

FIRST_WAIT = 0.5
LONGEST_WAIT = 60.0
"""Seconds; a longer `Retry-After` is cut to this."""
TIMEOUT = httpx.Timeout(120.0, connect=10.0)


def key_of(spec: ModelSpec, environ: Mapping[str, str]) -> str | None:
    """The key in the environment variable that the spec names; UsageError when it is not there or cannot be one."""
    # A key read from a file often brings its newline along.
    key = environ.get(spec.api_key_env, "").strip() if spec.api_key_env else None
    if spec.api_key_env and not key:
        raise UsageError(f"The environment variable {spec.api_key_env} (model.api_key_env) is not set.")
    if key and not (key.isascii() and key.isprintable()):
        raise UsageError(f"The key in {spec.api_key_env} has characters that no key has, such as a line break.")
    return key


class Caller:
    """Asks one endpoint for vectors. Thread-safe."""

    def __init__(
        self,
        spec: ModelSpec,
        endpoint: Endpoint,
        key: str | None,
        transport: httpx.BaseTransport | None,
        first_wait: float | None,
    ) -> None:
        self.url = endpoint.address(spec)
        self.tokens_used = 0
        """Tokens that the provider has counted so far; an estimate where it does not say."""
        self._spec = spec
        self._endpoint = endpoint
        self._key = key
        headers = {endpoint.key_header: endpoint.key_format.format(key)} if key else {}
        self._client = httpx.Client(headers=headers, timeout=TIMEOUT, transport=transport)
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._first_wait = FIRST_WAIT if first_wait is None else first_wait

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed.is_set()

    def post(self, texts: list[str], purpose: Purpose, attempts: int, dimension: int | None = None) -> Answer | Refusal:
        """The answer for one request, after as many attempts as it takes; Refusal when the texts are at fault."""
        request = Request(self._spec.name, texts, purpose, dimension, self._spec.kind != "dense")
        content = msgspec.json.encode(self._endpoint.body(request))
        reason = ""
        for attempt in range(attempts):
            try:
                response = self._client.post(self.url, content=content, headers={"Content-Type": "application/json"})
            except httpx.InvalidURL as error:
                raise UsageError(f"model.url {self._spec.url!r} is not a URL: {error}.") from None
            except httpx.TransportError as error:
                words = safe_reason(error, self._key)
                reason, wait = f"{type(error).__name__}: {words}".rstrip(": "), None
            except RuntimeError:
                raise StoppedError("The embedder was closed.") from None
            else:
                outcome = read(response, len(texts), self._spec, self._endpoint, self.url, self._key)
                if isinstance(outcome, Answer):
                    self._count(outcome.tokens, texts)
                    return outcome
                if isinstance(outcome, Refusal):
                    return outcome
                reason, wait = outcome.reason, outcome.wait
            if attempt + 1 < attempts:
                self._sleep(attempt, wait)
        raise AwayError(f"{self.url} gave no vectors in {attempts} attempts; last: {reason}")

    def close(self) -> None:
        """Close the connections; calls in a retry's wait end with StoppedError."""
        self._closed.set()
        self._client.close()

    def _sleep(self, attempt: int, wait: float | None) -> None:
        backoff = self._first_wait * 2**attempt * random.uniform(0.5, 1.5)
        if self._closed.wait(min(backoff if wait is None else max(wait, 0.0), LONGEST_WAIT)):
            raise StoppedError("The embedder was closed while it waited to try again.")

    def _count(self, tokens: int | None, texts: list[str]) -> None:
        with self._lock:
            self.tokens_used += sum(map(estimated_tokens, texts)) if tokens is None else tokens
