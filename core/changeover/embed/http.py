"""Models behind HTTP, whatever the provider (`endpoints.ENDPOINTS`): batches by size, and refused texts found alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np

from changeover.embed.answers import Refusal
from changeover.embed.caller import Caller, key_of
from changeover.embed.endpoints import ENDPOINTS, Purpose
from changeover.embed.model import Fingerprint, ModelSpec
from changeover.embed.protocol import PROBE, Embedder, Encoder, RejectedText, TextRejected
from changeover.embed.vectors import Vectors, by_size, estimated_tokens, fingerprint
from changeover.errors import StoppedError, UsageError

MAX_TOKENS = 60_000
"""Estimated tokens per request; OpenAI takes 300,000, small servers far less."""
LATE_MAX_TOKENS = 4_000
"""Late interaction answers about 10 bytes of JSON per number: 4,000 tokens of 128 numbers are 5 MB."""
STREAMS = 4
ATTEMPTS = 7
PROBE_ATTEMPTS = 3


def open_embedder(spec: ModelSpec, environ: Mapping[str, str]) -> Embedder:
    """An embedder on the provider's URL or `spec.url`; the key is read from `environ[spec.api_key_env]`."""
    ENDPOINTS[spec.provider].address(spec)
    return HttpEmbedder(spec, key_of(spec, environ))


def open_late(spec: ModelSpec, environ: Mapping[str, str]) -> Encoder:
    """The same for an endpoint that answers a vector per token."""
    ENDPOINTS[spec.provider].address(spec)
    return HttpLateEncoder(spec, key_of(spec, environ))


class _HttpModel:
    """Batches by size, several requests at once, retries with jitter; a text that is refused costs only itself."""

    max_tokens: int | None = None

    def __init__(
        self,
        spec: ModelSpec,
        key: str | None,
        transport: httpx.BaseTransport | None = None,
        first_wait: float | None = None,
    ) -> None:
        endpoint = ENDPOINTS[spec.provider]
        self._spec = spec
        self._caller = Caller(spec, endpoint, key, transport, first_wait)
        self._pool = ThreadPoolExecutor(STREAMS, thread_name_prefix="embed")
        self._max_texts = endpoint.max_texts
        self._ask: int | None = None
        try:
            probe = self._probe()
            self.fingerprint: Fingerprint = fingerprint(spec, probe, "", None)
        except BaseException:
            self.close()
            raise
        self.dimension = self.fingerprint.dimension

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._spec!r})"

    @property
    def tokens_used(self) -> int:
        """Tokens that the provider has counted so far; an estimate where it does not say."""
        return self._caller.tokens_used

    def count_tokens(self, texts: Sequence[str]) -> int:
        """An estimate: a quarter of the bytes, at least one per text."""
        return sum(estimated_tokens(self._spec.document_prefix + text) for text in texts)

    def close(self) -> None:
        """Close the connections; calls in a retry's wait end with StoppedError."""
        self._caller.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _documents(self, texts: Sequence[str], max_tokens: int) -> list[Vectors | Refusal]:
        """One outcome per text, in the order given."""
        if self._caller.closed:
            raise StoppedError("The embedder was closed.")
        prefixed = [self._spec.document_prefix + text for text in texts]
        batches = list(by_size([estimated_tokens(text) for text in prefixed], self._max_texts, max_tokens))
        answers = self._pool.map(lambda batch: self._embed([prefixed[i] for i in batch], "document"), batches)
        found: dict[int, Vectors | Refusal] = {}
        for batch, outcomes in zip(batches, answers, strict=True):
            found.update(zip(batch, outcomes, strict=True))
        return [found[position] for position in range(len(texts))]

    def _query(self, text: str) -> Vectors | Refusal:
        return self._embed([self._spec.query_prefix + text], "query")[0]

    def _probe(self) -> Vectors:
        """A vector of the probe; asks for the declared dimension only where the model's own is another."""
        text, url = [self._spec.document_prefix + PROBE], self._caller.url
        answer = self._caller.post(text, "document", PROBE_ATTEMPTS)
        if not isinstance(answer, Refusal) and self._spec.dimension not in (None, answer.vectors[0].shape[-1]):
            self._ask = self._spec.dimension
            shortened = self._caller.post(text, "document", PROBE_ATTEMPTS, self._ask)
            answer = answer if isinstance(shortened, Refusal) else shortened
        if isinstance(answer, Refusal):
            raise UsageError(f"{url} refused a plain text for the model {self._spec.name!r}: {answer.reason}")
        vector = answer.vectors[0]
        if not vector.size:
            raise UsageError(f"{url} returned no vector for a plain text.")
        if not np.isfinite(vector).all():
            raise UsageError(f"{url} returned a vector with a number that is not finite.")
        return np.asarray(vector if vector.ndim == 1 else vector[0], np.float32)

    def _embed(self, texts: list[str], purpose: Purpose) -> list[Vectors | Refusal]:
        """One outcome per text; a refused batch is halved until the refused texts stand alone."""
        answer = self._caller.post(texts, purpose, ATTEMPTS, self._ask)
        if not isinstance(answer, Refusal):
            return [self._checked(vector) for vector in answer.vectors]
        if len(texts) == 1:
            return [answer]
        half = len(texts) // 2
        outcomes = self._embed(texts[:half], purpose) + self._embed(texts[half:], purpose)
        if not any(isinstance(outcome, Refusal) for outcome in outcomes):
            # no text was at fault, so the batch was too large for this server: send smaller ones from now on
            self._max_texts = min(self._max_texts, half)
        return outcomes

    def _checked(self, vector: Vectors) -> Vectors | Refusal:
        if not vector.size:
            return Refusal("the model returned no vector")
        if vector.shape[-1] != self.dimension:
            size = self._probe().shape[-1]  # is it this text, or every one?
            if size != self.dimension:
                raise UsageError(
                    f"{self._caller.url} now returns vectors of {size} numbers instead of "
                    f"{self.dimension}: the model behind {self._spec.name!r} was changed."
                )
            return Refusal(f"the model returned {vector.shape[-1]} numbers instead of {self.dimension}")
        return vector if np.isfinite(vector).all() else Refusal("the model returned a number that is not finite")


class HttpEmbedder(_HttpModel):
    """A dense model behind HTTP."""

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Float32 (len(texts), dimension); `TextRejected` carries the others when some were refused."""
        vectors = np.full((len(texts), self.dimension), np.nan, np.float32)
        outcomes = self._documents(texts, MAX_TOKENS)
        for position, outcome in enumerate(outcomes):
            if not isinstance(outcome, Refusal):
                vectors[position] = outcome
        _raise_rejected(outcomes, vectors)
        return vectors

    def embed_query(self, text: str) -> Vectors:
        """Float32 (dimension,)."""
        outcome = self._query(text)
        if isinstance(outcome, Refusal):
            missing = np.full((1, self.dimension), np.nan, np.float32)
            raise TextRejected([RejectedText(0, outcome.reason)], missing)
        return outcome


class HttpLateEncoder(_HttpModel):
    """A late-interaction model behind HTTP: its endpoint answers a list of vectors per text, one per token."""

    def embed_documents(self, texts: Sequence[str]) -> list[Vectors | None]:
        """Per text float32 (tokens, dimension); `TextRejected` carries the others when some were refused."""
        outcomes = self._documents(texts, LATE_MAX_TOKENS)
        made = [None if isinstance(outcome, Refusal) else outcome for outcome in outcomes]
        _raise_rejected(outcomes, made)
        return made

    def embed_query(self, text: str) -> Vectors:
        """Float32 (tokens, dimension)."""
        outcome = self._query(text)
        if isinstance(outcome, Refusal):
            raise TextRejected([RejectedText(0, outcome.reason)], [None])
        return outcome


def _raise_rejected(outcomes: Sequence[Vectors | Refusal], vectors: Vectors | list[Vectors | None]) -> None:
    rejected = [
        RejectedText(position, outcome.reason)
        for position, outcome in enumerate(outcomes)
        if isinstance(outcome, Refusal)
    ]
    if rejected:
        raise TextRejected(rejected, vectors)
