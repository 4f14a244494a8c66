"""The OpenAI-compatible embedder against every kind of answer, over a transport in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from time import time

import httpx
import msgspec
import numpy as np
import orjson
import pytest

from changeover.embed import DimensionMismatch, ModelSpec, TextRejected, load, tokens_billed
from changeover.embed.answers import retry_after
from changeover.embed.http import HttpEmbedder
from changeover.embed.protocol import PROBE
from changeover.errors import ChangeoverError, ExitCode, StoppedError, UnreachableError, UsageError

SPEC = ModelSpec(provider="openai", name="tiny", url="http://model.test/v1", api_key_env="MODEL_KEY")
KEY = "sk-very-secret"
Reply = Callable[[list[str]], httpx.Response]


def vector(text: str, size: int = 4) -> list[float]:
    return [float(len(text)), float(sum(map(ord, text)) % 97), *([1.0] * (size - 2))]


def good(texts: list[str], size: int = 4) -> httpx.Response:
    items = [{"index": i, "embedding": vector(text, size)} for i, text in enumerate(texts)]
    return httpx.Response(200, json={"data": items[::-1], "usage": {"total_tokens": 10 * len(texts)}})


class Endpoint:
    """Answers the probe well, then from a list of replies, then well again; keeps every request."""

    def __init__(self, *replies: Reply | httpx.Response | Exception) -> None:
        self.replies = list(replies)
        self.requests: list[httpx.Request] = []
        self.lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        texts = orjson.loads(request.content)["input"]
        with self.lock:
            self.requests.append(request)
            reply = self.replies.pop(0) if self.replies and texts != [PROBE] else good
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, httpx.Response) else reply(texts)


@contextmanager
def embedder(handler: Callable[[httpx.Request], httpx.Response], spec: ModelSpec = SPEC) -> Iterator[HttpEmbedder]:
    opened = HttpEmbedder(spec, KEY, httpx.MockTransport(handler), first_wait=0.0001)
    try:
        yield opened
    finally:
        opened.close()


def test_vectors_come_in_the_order_asked_with_key_prefix_and_spend() -> None:
    endpoint = Endpoint()
    spec = msgspec.structs.replace(SPEC, document_prefix="doc: ", query_prefix="q: ")
    texts = [f"text {'x' * (i % 7)}{i}" for i in range(300)]
    with embedder(endpoint, spec) as model:
        vectors = model.embed_documents(texts)
        assert model.dimension == 4
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, [vector("doc: " + text) for text in texts])
        np.testing.assert_allclose(model.embed_query("why"), vector("q: why"))
        assert model.embed_documents([]).shape == (0, 4)
        assert tokens_billed(model) == 10 * 302
        assert not model.fingerprint.normalised
        assert KEY not in repr(model)
    assert len(endpoint.requests) > 3
    for request in endpoint.requests:
        assert str(request.url) == "http://model.test/v1/embeddings"
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        assert "dimensions" not in orjson.loads(request.content)


@pytest.mark.parametrize(
    "failure",
    [
        httpx.Response(429, headers={"Retry-After": "0"}, json={"error": {"message": "slow down"}}),
        httpx.Response(429, text="slow down"),
        httpx.Response(500, text="oops"),
        httpx.Response(503, headers={"Retry-After": formatdate(0)}),
        httpx.ReadTimeout("too slow"),
        httpx.ConnectError("connection refused"),
        httpx.RemoteProtocolError("peer closed"),
    ],
    ids=lambda failure: str(failure),
)
def test_a_passing_failure_is_tried_again(failure: httpx.Response | Exception) -> None:
    endpoint = Endpoint(failure, failure)
    with embedder(endpoint) as model:
        np.testing.assert_allclose(model.embed_documents(["a"]), [vector("a")])
    assert len(endpoint.requests) == 1 + 3


def test_a_failure_that_stays_ends_in_one_line_without_the_key() -> None:
    def down(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    with pytest.raises(UnreachableError, match=r"gave no vectors in 3 attempts; last: .*refused") as caught:
        HttpEmbedder(SPEC, KEY, httpx.MockTransport(down), first_wait=0.0001)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (
            httpx.Response(401, json={"error": {"message": f"bad key {KEY}"}}),
            UnreachableError,
            "refused the key in MODEL_KEY",
        ),
        (httpx.Response(403, text="no"), UnreachableError, "refused the key"),
        (httpx.Response(404, text="not found"), UsageError, "check model.url"),
        (httpx.Response(400, json={"error": {"message": "no such model"}}), UsageError, "no such model"),
        (httpx.Response(429, json={"error": {"code": "insufficient_quota"}}), UnreachableError, "quota"),
        (httpx.Response(301, headers={"Location": "/x"}), UnreachableError, "answered 301"),
        (httpx.Response(200, text="<html>hello</html>"), UsageError, "not with embeddings"),
        (httpx.Response(200, json={"data": [{"embedding": "text"}]}), UsageError, "not with embeddings"),
        (httpx.Response(200, json=["list"]), UsageError, "not with embeddings"),
        (httpx.Response(200, json={"data": []}), UsageError, "refused a plain text .* 0 vectors for 1 texts"),
        (httpx.Response(200, json={"data": [{"embedding": []}]}), UsageError, "no vector for a plain text"),
        (httpx.Response(200, json={"data": [{"embedding": None}]}), UsageError, "no vector for a plain text"),
        (httpx.Response(200, text='{"data":[{"embedding":[1.0,NaN]}]}'), UsageError, "not finite"),
    ],
)
def test_what_is_wrong_with_an_endpoint_is_said_when_it_is_opened(
    answer: httpx.Response, error: type[ChangeoverError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        HttpEmbedder(SPEC, KEY, httpx.MockTransport(lambda request: answer), first_wait=0.0001)
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_bad_text_costs_only_itself() -> None:
    def picky(request: httpx.Request) -> httpx.Response:
        texts = orjson.loads(request.content)["input"]
        if any("bad" in text for text in texts):
            return httpx.Response(400, json={"error": {"message": "8192 tokens at most"}})
        return good(texts)

    texts = [f"text {i}" for i in range(50)]
    texts[17] = texts[44] = "bad"
    with embedder(picky) as model:
        with pytest.raises(TextRejected, match="refused 2 of 50 texts: 400 8192 tokens") as caught:
            model.embed_documents(texts)
        assert [r.index for r in caught.value.rejected] == [17, 44]
        assert caught.value.exit_code == ExitCode.USAGE
        missing = np.isnan(caught.value.vectors).all(axis=1)
        assert list(np.flatnonzero(missing)) == [17, 44]
        np.testing.assert_allclose(caught.value.vectors[0], vector("text 0"))
        with pytest.raises(TextRejected):
            model.embed_query("bad")


@pytest.mark.parametrize("status", [413, 422])
def test_a_batch_too_large_is_halved_and_later_batches_are_smaller(status: int) -> None:
    sizes: list[int] = []

    def small(request: httpx.Request) -> httpx.Response:
        texts = orjson.loads(request.content)["input"]
        sizes.append(len(texts))
        return good(texts) if len(texts) <= 32 else httpx.Response(status, text="batch size > 32")

    with embedder(small) as model:
        texts = [f"{i:04}" for i in range(128)]
        np.testing.assert_allclose(model.embed_documents(texts), [vector(text) for text in texts])
        sizes.clear()
        model.embed_documents(texts)
    assert sizes == [32] * 4


def test_not_a_number_rejects_that_text_alone() -> None:
    def reply(texts: list[str]) -> httpx.Response:
        values = [[None, 1.0, 1.0, 1.0] if text == "odd" else vector(text) for text in texts]
        return httpx.Response(200, json={"data": [{"embedding": value} for value in values]})

    with embedder(Endpoint(reply)) as model, pytest.raises(TextRejected, match="not finite") as caught:
        model.embed_documents(["fine", "odd"])
    assert [r.index for r in caught.value.rejected] == [1]


@pytest.mark.parametrize(
    ("odd", "words"),
    [([1.0] * 5, "returned 5 numbers instead of 4"), ([], "no vector"), (None, "no vector"), ("left out", "0 vectors")],
)
def test_a_text_that_gives_another_vector_than_the_others_costs_only_itself(odd: object, words: str) -> None:
    def reply(request: httpx.Request) -> httpx.Response:
        texts = orjson.loads(request.content)["input"]
        values = [odd if text == "odd" else vector(text) for text in texts]
        return httpx.Response(200, json={"data": [{"embedding": value} for value in values if value != "left out"]})

    with embedder(reply) as model, pytest.raises(TextRejected, match=words) as caught:
        model.embed_documents(["fine", "odd", "good"])
    assert [r.index for r in caught.value.rejected] == [1]
    np.testing.assert_allclose(caught.value.vectors[[0, 2]], [vector("fine"), vector("good")])


def test_an_endpoint_whose_model_is_another_one_now_stops_the_run() -> None:
    size = iter([4])
    handler = lambda request: good(orjson.loads(request.content)["input"], next(size, 5))  # noqa: E731
    with embedder(handler) as model, pytest.raises(UsageError, match="vectors of 5 numbers instead of 4"):
        model.embed_documents(["a", "b"])


def test_a_declared_dimension_is_asked_for_only_when_it_is_not_the_models_own() -> None:
    def matryoshka(request: httpx.Request) -> httpx.Response:
        body = orjson.loads(request.content)
        return good(body["input"], body.get("dimensions", 4))

    def fixed(request: httpx.Request) -> httpx.Response:
        body = orjson.loads(request.content)
        return httpx.Response(400, text="no dimensions") if "dimensions" in body else good(body["input"])

    three = msgspec.structs.replace(SPEC, dimension=3)
    with embedder(matryoshka, three) as model:
        assert model.embed_documents(["a"]).shape == (1, 3)
    with embedder(fixed, msgspec.structs.replace(SPEC, dimension=4)) as model:
        assert model.dimension == 4
    with (
        pytest.raises(DimensionMismatch, match=r"4 numbers, but model\.dimension says 3") as caught,
        embedder(fixed, three),
    ):
        pass
    assert (caught.value.declared, caught.value.real) == (3, 4)


def test_closing_ends_a_long_wait() -> None:
    asked = threading.Event()

    def busy(request: httpx.Request) -> httpx.Response:
        texts = orjson.loads(request.content)["input"]
        if texts == [PROBE]:
            return good(texts)
        asked.set()
        return httpx.Response(503, headers={"Retry-After": "3600"})

    failures: list[BaseException] = []

    def work(model: HttpEmbedder) -> None:
        try:
            model.embed_query("a")
        except StoppedError as error:
            failures.append(error)

    with embedder(busy) as model:
        thread = threading.Thread(target=work, args=(model,))
        thread.start()
        assert asked.wait(5)
        model.close()
        thread.join(5)
        assert len(failures) == 1
        with pytest.raises(StoppedError):
            model.embed_documents(["a"])


@pytest.mark.parametrize(
    ("change", "environ", "words"),
    [
        ({"url": None}, {}, "model.url is needed"),
        ({"url": "ftp://x"}, {}, "not an http"),
        ({"url": "http://model.test:port/v1", "api_key_env": None}, {}, "is not a URL"),
        ({"name": ""}, {}, "model.name is needed"),
        ({}, {}, "MODEL_KEY .* is not set"),
        ({}, {"MODEL_KEY": "a\nb"}, "characters that no key has"),
    ],
)
def test_bad_settings_give_one_line(change: dict[str, str | None], environ: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load(msgspec.structs.replace(SPEC, **change), environ)


def test_a_closed_port_is_unreachable(unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("changeover.embed.caller.FIRST_WAIT", 0.001)
    monkeypatch.setattr("changeover.embed.http.PROBE_ATTEMPTS", 1)
    spec = ModelSpec(provider="openai", name="m", url=f"http://127.0.0.1:{unused_tcp_port}/v1")
    with pytest.raises(UnreachableError, match="gave no vectors"):
        load(spec, {})


def test_retry_after_reads_seconds_and_dates() -> None:
    assert retry_after(None) is None
    assert retry_after("12") == 12
    assert retry_after("soon") is None
    assert retry_after(formatdate(0)) == 0
    in_a_minute = retry_after(formatdate(time() + 60, usegmt=True))
    assert in_a_minute is not None
    assert 50 < in_a_minute <= 61
