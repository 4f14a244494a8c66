"""Each HTTP provider against a loopback server that speaks its language and refuses anything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from changeover.embed import DimensionMismatch, ModelSpec, TextRejected, load, load_encoder, tokens_billed
from changeover.embed.endpoints import ENDPOINTS
from changeover.embed.protocol import PROBE, PROVIDERS
from changeover.errors import UnreachableError, UsageError
from tests.unit.http_server import Call, Reply, serving

KEY = "key-very-secret"
OWN_SIZE = 4


def vector(text: str, size: int = OWN_SIZE) -> list[float]:
    return [float(len(text)), float(sum(map(ord, text)) % 97), *([1.0] * (size - 2))]


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider's documentation asks for, written down apart from the table under test."""

    path: str
    fields: frozenset[str]
    texts: Callable[[Any], list[str]]
    purpose: Callable[[Any], Any]
    purposes: tuple[Any, Any]
    size: Callable[[Any], int | None]
    answer: Callable[[list[list[float]]], Any]
    tokens: int | None
    most_texts: int
    key: tuple[str, str] = ("authorization", f"Bearer {KEY}")


def data(vectors: list[list[float]]) -> Any:
    items = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)]
    return {"object": "list", "data": items[::-1], "usage": {"total_tokens": 7 * len(vectors)}}


DIALECTS = {
    "openai": Dialect(
        path="/v1/embeddings",
        fields=frozenset({"model", "input", "dimensions"}),
        texts=lambda body: body["input"],
        purpose=lambda body: None,
        purposes=(None, None),
        size=lambda body: body.get("dimensions"),
        answer=data,
        tokens=7,
        most_texts=2048,
    ),
    "cohere": Dialect(
        path="/v1/embed",
        fields=frozenset({"model", "texts", "input_type", "embedding_types", "output_dimension"}),
        texts=lambda body: body["texts"] if body["embedding_types"] == ["float"] else [],
        purpose=lambda body: body["input_type"],
        purposes=("search_document", "search_query"),
        size=lambda body: body.get("output_dimension"),
        answer=lambda vectors: {
            "id": "x",
            "embeddings": {"float": vectors},
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 7.0 * len(vectors)}},
        },
        tokens=7,
        most_texts=96,
    ),
    "voyage": Dialect(
        path="/v1/embeddings",
        fields=frozenset({"model", "input", "input_type", "output_dimension"}),
        texts=lambda body: body["input"],
        purpose=lambda body: body["input_type"],
        purposes=("document", "query"),
        size=lambda body: body.get("output_dimension"),
        answer=data,
        tokens=7,
        most_texts=1000,
    ),
    "jina": Dialect(
        path="/v1/embeddings",
        fields=frozenset({"model", "input", "task", "dimensions"}),
        texts=lambda body: body["input"],
        purpose=lambda body: body["task"],
        purposes=("retrieval.passage", "retrieval.query"),
        size=lambda body: body.get("dimensions"),
        answer=data,
        tokens=7,
        most_texts=512,
    ),
    "gemini": Dialect(
        path="/v1/models/tiny:batchEmbedContents",
        fields=frozenset({"requests"}),
        texts=lambda body: [r["content"]["parts"][0]["text"] for r in body["requests"] if r["model"] == "models/tiny"],
        purpose=lambda body: body["requests"][0]["taskType"],
        purposes=("RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY"),
        size=lambda body: body["requests"][0].get("outputDimensionality"),
        answer=lambda vectors: {"embeddings": [{"values": v} for v in vectors]},
        tokens=None,
        most_texts=100,
        key=("x-goog-api-key", KEY),
    ),
    "ollama": Dialect(
        path="/v1/api/embed",
        fields=frozenset({"model", "input", "dimensions"}),
        texts=lambda body: body["input"],
        purpose=lambda body: None,
        purposes=(None, None),
        size=lambda body: body.get("dimensions"),
        answer=lambda vectors: {"model": "tiny", "embeddings": vectors, "prompt_eval_count": 7 * len(vectors)},
        tokens=7,
        most_texts=10_000,
    ),
    "tei": Dialect(
        path="/v1/embed",
        fields=frozenset({"inputs", "truncate", "dimensions"}),
        texts=lambda body: body["inputs"] if body["truncate"] else [],
        purpose=lambda body: None,
        purposes=(None, None),
        size=lambda body: body.get("dimensions"),
        answer=lambda vectors: vectors,
        tokens=None,
        most_texts=32,
    ),
}


def speaks(dialect: Dialect) -> Callable[[Call], Reply]:
    """Answers in the dialect; 400 for whatever its documentation does not have, and for the text "bad"."""

    def answer(call: Call) -> Reply:
        body = call.json
        name, value = dialect.key
        if call.headers.get(name) != value:
            return Reply(401, {"message": f"no key like {call.headers.get(name)}"})
        if call.method != "POST" or call.path != dialect.path:
            return Reply(404, {"message": "no such path"})
        texts = dialect.texts(body)
        if not set(body) <= dialect.fields or not 0 < len(texts) <= dialect.most_texts or "bad" in texts:
            return Reply(400, {"message": "not understood"})
        return Reply(200, dialect.answer([vector(text, dialect.size(body) or OWN_SIZE) for text in texts]))

    return answer


def spec_of(provider: str, url: str) -> ModelSpec:
    return ModelSpec(provider=provider, name="tiny", url=f"{url}/v1", api_key_env="MODEL_KEY")


def test_every_http_provider_has_a_dialect_and_is_registered() -> None:
    assert set(DIALECTS) == set(ENDPOINTS) == {p for p, module in PROVIDERS.items() if module.endswith("embed.http")}


@pytest.mark.parametrize("provider", DIALECTS)
def test_documents_and_queries_are_asked_for_as_documented(provider: str) -> None:
    dialect = DIALECTS[provider]
    texts = [f"text {'x' * (i % 7)}{i}" for i in range(230)]
    with serving(speaks(dialect)) as server:
        spec = msgspec.structs.replace(spec_of(provider, server.url), document_prefix="d: ", query_prefix="q: ")
        model = load(spec, {"MODEL_KEY": KEY})
        try:
            assert model.dimension == OWN_SIZE
            np.testing.assert_allclose(model.embed_documents(texts), [vector("d: " + text) for text in texts])
            np.testing.assert_allclose(model.embed_query("why"), vector("q: why"))
        finally:
            model.close()
        asked = [(dialect.texts(call.json), dialect.purpose(call.json)) for call in server.calls]
        as_document, as_query = dialect.purposes
        assert [purpose for some, purpose in asked if some == ["q: why"]] == [as_query]
        assert {purpose for some, purpose in asked if some != ["q: why"]} == {as_document}
        if dialect.tokens:
            assert tokens_billed(model) == dialect.tokens * 232
        else:
            everything = ["d: " + PROBE, "q: why", *("d: " + text for text in texts)]
            assert tokens_billed(model) == sum(max(1, len(text) // 4) for text in everything)


@pytest.mark.parametrize("provider", DIALECTS)
def test_one_bad_text_and_a_smaller_size(provider: str) -> None:
    dialect = DIALECTS[provider]
    with serving(speaks(dialect)) as server:
        spec = msgspec.structs.replace(spec_of(provider, server.url), dimension=3)
        model = load(spec, {"MODEL_KEY": KEY})
        try:
            assert model.dimension == 3
            with pytest.raises(TextRejected, match="refused 1 of 5 texts: 400 not understood") as caught:
                model.embed_documents(["a", "b", "bad", "c", "d"])
            assert [r.index for r in caught.value.rejected] == [2]
            np.testing.assert_allclose(caught.value.vectors[4], vector("d", 3))
        finally:
            model.close()
        assert [dialect.size(call.json) for call in server.calls[:2]] == [None, 3]
        with pytest.raises(UnreachableError, match="refused a request without a key"):
            load(msgspec.structs.replace(spec, api_key_env=None), {})
        with pytest.raises(UnreachableError, match="refused the key in MODEL_KEY") as wrong:
            load(spec, {"MODEL_KEY": "another-secret"})
        assert "another-secret" not in str(wrong.value)


@pytest.mark.parametrize("provider", DIALECTS)
def test_an_answer_of_another_kind_is_named_with_its_provider(provider: str) -> None:
    words = f"not with embeddings as {ENDPOINTS[provider].title} returns them"
    with (
        serving(lambda call: Reply(200, {"status": "fine"})) as server,
        pytest.raises(UsageError, match=words),
    ):
        load(msgspec.structs.replace(spec_of(provider, server.url), api_key_env=None), {})


@pytest.mark.parametrize("provider", DIALECTS)
def test_a_size_that_the_model_does_not_give_is_a_mismatch(provider: str) -> None:
    dialect = DIALECTS[provider]

    def fixed(call: Call) -> Reply:
        return Reply(200, dialect.answer([vector(text) for text in dialect.texts(call.json)]))

    with serving(fixed) as server:
        spec = msgspec.structs.replace(spec_of(provider, server.url), api_key_env=None, dimension=9)
        with pytest.raises(DimensionMismatch, match=r"4 numbers, but model\.dimension says 9"):
            load(spec, {})


def test_jinas_second_generation_has_no_task_and_its_colbert_an_input_type() -> None:
    def answer(call: Call) -> Reply:
        if call.path == "/v1/multi-vector":
            items = [
                {"index": i, "embeddings": [[1.0, 2.0]] * len(t.split())} for i, t in enumerate(call.json["input"])
            ]
            return Reply(200, {"data": items, "usage": {"total_tokens": 1}})
        return Reply(200, data([vector(text) for text in call.json["input"]]))

    with serving(answer) as server:
        second = ModelSpec(provider="jina", name="jina-embeddings-v2-base-en", url=f"{server.url}/v1")
        load(second, {}).close()
        assert "task" not in server.calls[0].json
        late = ModelSpec(provider="jina", name="jina-colbert-v2", url=f"{server.url}/v1", kind="late-interaction")
        encoder = load_encoder(late, {})
        try:
            assert [np.asarray(tokens).shape for tokens in encoder.embed_documents(["a b", "c"])] == [(2, 2), (1, 2)]
            encoder.embed_query("a")
        finally:
            encoder.close()
        assert [call.json["input_type"] for call in server.calls[1:]] == ["document", "document", "query"]
        assert all("task" not in call.json for call in server.calls)


def test_tei_answers_a_vector_per_token_on_a_path_of_its_own_and_needs_no_name() -> None:
    def answer(call: Call) -> Reply:
        depth = [[[1.0, 0.0]]] if call.path == "/embed_all" else [[1.0, 0.0]]
        return Reply(200, depth * len(call.json["inputs"]))

    with serving(answer) as server:
        spec = ModelSpec(provider="tei", url=server.url)
        opened = [load_encoder(msgspec.structs.replace(spec, kind=kind), {}) for kind in ("dense", "late-interaction")]
        for encoder in opened:
            encoder.close()
        assert [encoder.dimension for encoder in opened] == [2, 2]
        assert [call.path for call in server.calls] == ["/embed", "/embed_all"]


@pytest.mark.parametrize("provider", ["cohere", "voyage", "gemini", "ollama"])
def test_a_provider_without_late_interaction_says_so(provider: str) -> None:
    with pytest.raises(UsageError, match="one vector per text"):
        load_encoder(ModelSpec(provider=provider, name="m", kind="late-interaction"), {})


@pytest.mark.parametrize(
    ("provider", "name", "url", "address"),
    [
        ("cohere", "embed-v4.0", None, "https://api.cohere.com/v2/embed"),
        ("voyage", "voyage-3.5", None, "https://api.voyageai.com/v1/embeddings"),
        ("jina", "jina-embeddings-v3", None, "https://api.jina.ai/v1/embeddings"),
        (
            "gemini",
            "models/gemini-embedding-001",
            None,
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-embedding-001:batchEmbedContents",
        ),
        ("ollama", "nomic-embed-text", None, "http://localhost:11434/api/embed"),
        ("openai", "m", "http://host/v1/", "http://host/v1/embeddings"),
        ("openai", "m", "http://host/v1/embeddings", "http://host/v1/embeddings"),
        ("tei", "", "http://host:8080", "http://host:8080/embed"),
    ],
)
def test_addresses(provider: str, name: str, url: str | None, address: str) -> None:
    assert ENDPOINTS[provider].address(ModelSpec(provider=provider, name=name, url=url)) == address


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (ModelSpec(provider="tei"), "model.url is needed"),
        (ModelSpec(provider="cohere"), "model.name is needed"),
        (ModelSpec(provider="voyage", name="m", url="host"), "not an http or https URL"),
        (ModelSpec(provider="gemini", name="m", api_key_env="NO_SUCH_KEY"), "NO_SUCH_KEY .* is not set"),
    ],
)
def test_settings_that_are_missing(spec: ModelSpec, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load(spec, {})
