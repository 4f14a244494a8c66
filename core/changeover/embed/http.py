"""OpenAI-compatible embeddings over HTTP: OpenAI, Azure and any local server with `POST {url}/embeddings`."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import msgspec
import numpy as np

from changeover.embed.answers import Answer, Refusal, read
from changeover.embed.model import Fingerprint, ModelSpec
from changeover.embed.protocol import PROBE, Embedder, RejectedText, TextRejected
from changeover.embed.vectors import Vectors, by_size, fingerprint
from changeover.errors import StoppedError, UnreachableError, UsageError

MAX_TEXTS = 128
MAX_TOKENS = 60_000
"""Estimated tokens per request; OpenAI takes 300,000, small servers far less."""
STREAMS = 4
ATTEMPTS = 7
PROBE_ATTEMPTS = 3
FIRST_WAIT = 0.5
LONGEST_WAIT = 60.0
"""Seconds; a longer `Retry-After` is cut to this."""
TIMEOUT = httpx.Timeout(120.0, connect=10.0)


def open_embedder(spec: ModelSpec, environ: Mapping[str, str]) -> Embedder:
    """An embedder on `spec.url`; the key is read from `environ[spec.api_key_env]`."""
    if not spec.url:
        raise UsageError("model.url is needed for this provider: the base URL, such as https://host/v1.")
    if not spec.url.startswith(("http://", "https://")):
        raise UsageError(f"model.url {spec.url!r} is not an http or https URL.")
    if not spec.name:
        raise UsageError("model.name is needed: the name of the model that the endpoint serves.")
    key = environ.get(spec.api_key_env) if spec.api_key_env else None
    if spec.api_key_env and not key:
        raise UsageError(f"The environment variable {spec.api_key_env} (model.api_key_env) is not set.")
    if key and not (key.isascii() and key.isprintable()):
        raise UsageError(f"The key in {spec.api_key_env} has characters that no key has, such as a line break.")
    return HttpEmbedder(spec, key)


class HttpEmbedder:
    """Batches by size, several requests at once, retries with jitter; a text that is refused costs only itself."""

    max_tokens: int | None = None

    def __init__(
        self,
        spec: ModelSpec,
        key: str | None,
        transport: httpx.BaseTransport | None = None,
        first_wait: float = FIRST_WAIT,
    ) -> None:
        self._spec = spec
        self._key = key
        self._url = f"{(spec.url or '').rstrip('/')}/embeddings"
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(headers=headers, timeout=TIMEOUT, transport=transport)
        self._pool = ThreadPoolExecutor(STREAMS, thread_name_prefix="embed")
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._first_wait = first_wait
        self._max_texts = MAX_TEXTS
        self._ask_dimension = False
        self.tokens_used = 0
        """Tokens that the provider has counted so far (`usage`); an estimate where it does not say."""
        try:
            probe = self._probe()
            self.fingerprint: Fingerprint = fingerprint(spec, probe, "", None)
        except BaseException:
            self.close()
            raise
        self.dimension = self.fingerprint.dimension

    def __repr__(self) -> str:
        return f"HttpEmbedder({self._spec!r})"

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Float32 (len(texts), dimension); `TextRejected` carries the others when some were refused."""
        if self._closed.is_set():
            raise StoppedError("The embedder was closed.")
        prefixed = [self._spec.document_prefix + text for text in texts]
        vectors = np.full((len(texts), self.dimension), np.nan, np.float32)
        rejected: list[RejectedText] = []

        def embed(batch: list[int]) -> None:
            for index, outcome in zip(batch, self._embed([prefixed[i] for i in batch]), strict=True):
                if isinstance(outcome, Refusal):
                    rejected.append(RejectedText(index, outcome.reason))
                else:
                    vectors[index] = outcome

        batches = list(by_size([_estimate(text) for text in prefixed], self._max_texts, MAX_TOKENS))
        list(self._pool.map(embed, batches))
        if rejected:
            raise TextRejected(sorted(rejected, key=lambda r: r.index), vectors)
        return vectors

    def embed_query(self, text: str) -> Vectors:
        """Float32 (dimension,)."""
        outcome = self._embed([self._spec.query_prefix + text])[0]
        if isinstance(outcome, Refusal):
            missing = np.full((1, self.dimension), np.nan, np.float32)
            raise TextRejected([RejectedText(0, outcome.reason)], missing)
        return outcome

    def count_tokens(self, texts: Sequence[str]) -> int:
        """An estimate: a quarter of the bytes, at least one per text."""
        return sum(_estimate(self._spec.document_prefix + text) for text in texts)

    def close(self) -> None:
        """Close the connections; calls in a retry's wait end with StoppedError."""
        self._closed.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _probe(self) -> Vectors:
        """The vector of the probe; asks for the declared dimension only where the model's own is another."""
        text = [self._spec.document_prefix + PROBE]
        answer = self._post(text, PROBE_ATTEMPTS)
        if not isinstance(answer, Refusal) and self._spec.dimension not in (None, answer.vectors.shape[1]):
            self._ask_dimension = True
            shortened = self._post(text, PROBE_ATTEMPTS)
            answer = answer if isinstance(shortened, Refusal) else shortened
        if isinstance(answer, Refusal):
            raise UsageError(f"{self._url} refused a plain text for the model {self._spec.name!r}: {answer.reason}")
        if not np.isfinite(answer.vectors).all():
            raise UsageError(f"{self._url} returned a vector with a number that is not finite.")
        return np.asarray(answer.vectors[0], np.float32)

    def _embed(self, texts: list[str]) -> list[Vectors | Refusal]:
        """One outcome per text; a refused batch is halved until the refused texts stand alone."""
        answer = self._post(texts, ATTEMPTS)
        if not isinstance(answer, Refusal):
            if answer.vectors.shape[1] != self.dimension:
                raise UsageError(
                    f"{self._url} now returns vectors of {answer.vectors.shape[1]} numbers instead of "
                    f"{self.dimension}: the model behind {self._spec.name!r} was changed."
                )
            not_finite = Refusal("the model returned a number that is not finite")
            return [vector if np.isfinite(vector).all() else not_finite for vector in answer.vectors]
        if len(texts) == 1:
            return [answer]
        half = len(texts) // 2
        outcomes = self._embed(texts[:half]) + self._embed(texts[half:])
        if not any(isinstance(outcome, Refusal) for outcome in outcomes):
            # no text was at fault, so the batch was too large for this server: send smaller ones from now on
            self._max_texts = min(self._max_texts, half)
        return outcomes

    def _post(self, texts: list[str], attempts: int) -> Answer | Refusal:
        """The answer for one request, after as many attempts as it takes; Refusal when the texts are at fault."""
        body: dict[str, Any] = {"model": self._spec.name, "input": texts}
        if self._ask_dimension:
            body["dimensions"] = self._spec.dimension
        content = msgspec.json.encode(body)
        reason = ""
        for attempt in range(attempts):
            try:
                response = self._client.post(self._url, content=content, headers={"Content-Type": "application/json"})
            except httpx.InvalidURL as error:
                raise UsageError(f"model.url {self._spec.url!r} is not a URL: {error}.") from None
            except httpx.TransportError as error:
                reason, wait = f"{type(error).__name__}: {error}".rstrip(": "), None
            except RuntimeError:
                raise StoppedError("The embedder was closed.") from None
            else:
                outcome = read(response, len(texts), self._spec, self._url, self._key)
                if isinstance(outcome, Answer):
                    self._count(outcome.tokens, texts)
                    return outcome
                if isinstance(outcome, Refusal):
                    return outcome
                reason, wait = outcome.reason, outcome.wait
            if attempt + 1 < attempts:
                self._sleep(attempt, wait)
        raise UnreachableError(f"{self._url} gave no vectors in {attempts} attempts; last: {reason}")

    def _sleep(self, attempt: int, wait: float | None) -> None:
        backoff = self._first_wait * 2**attempt * random.uniform(0.5, 1.5)
        if self._closed.wait(min(backoff if wait is None else max(wait, 0.0), LONGEST_WAIT)):
            raise StoppedError("The embedder was closed while it waited to try again.")

    def _count(self, tokens: int | None, texts: list[str]) -> None:
        with self._lock:
            self.tokens_used += sum(map(_estimate, texts)) if tokens is None else tokens


def _estimate(text: str) -> int:
    return max(1, len(text.encode("utf-8", "replace")) // 4)
