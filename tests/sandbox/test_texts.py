"""Texts that the server reads itself: queries by the words of a text index, and documents in place of vectors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from changeover.embed.model import ModelSpec
from changeover.embed.protocol import load
from changeover.sandbox.server import SandboxServer, start
from tests.sandbox.bm25 import scores
from tests.sandbox.conftest import client
from tests.sandbox.test_behaviour import create, get, ok, put
from tests.sandbox.test_malformed import mangled

SCORED = {"type": "text", "tokenizer": "word", "lowercase": True, "scoring": True}
TEXTS = [
    "the quick brown fox",
    "a lazy dog and a fox",
    "dogs run",
    "running is fun, fun, fun",
    "snake_case is one word",
]
LATE = {"text": "a fox", "model": "qdrant/bm25"}
DENSE = {"text": "a fox", "model": "sandbox/minilm"}
NO_QUERY = "Format error in JSON body: Expected some form of vector, id, or a type of query"
NO_VECTOR = "Format error in JSON body: data did not match any variant of untagged enum VectorStruct"
NO_SERVICE = "Service internal error: InferenceService URL not configured - please provide valid address in config"
MIXED = "Wrong input: Conversion between sparse and regular vectors failed"


@pytest.fixture(scope="module")
def http20(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a sandbox of 1.20 with inference."""
    with start("1.20", tmp_path_factory.mktemp("texts"), inference=True) as server, client(server) as http:
        yield http


def texts(http: httpx.Client, name: str, stored: list[str], **schema: Any) -> str:
    """A new collection with these texts and a text index that scores; its path."""
    http.delete(f"/collections/{name}")
    path = create(http, name)
    ok(http.put(f"{path}/index?wait=true", json={"field_name": "text", "field_schema": SCORED | schema}))
    put(http, path, *({"id": i, "vector": {"old": [1, i]}, "payload": {"text": t}} for i, t in enumerate(stored)))
    return path


def found(http: httpx.Client, path: str, query: Any, **more: Any) -> dict[int, float]:
    """Score by id."""
    body = {"query": {"text": query}, "using": "text", "limit": 100, **more}
    return {hit["id"]: hit["score"] for hit in ok(http.post(f"{path}/points/query", json=body))["points"]}


def refusal(response: httpx.Response) -> tuple[int, str]:
    """Status and text of an answer that is none."""
    return response.status_code, response.json()["status"]["error"]


word = st.sampled_from(["alpha", "Beta", "gamma", "delta_x", "eps-7", "7", "naïve"])
text = st.lists(word, max_size=8).map(" ".join)


@settings(max_examples=20)
@given(stored=st.lists(text.filter(bool), min_size=1, max_size=12), query=text, k=st.floats(0, 3), b=st.floats(0, 1))
def test_the_scores_are_bm25(http20: httpx.Client, stored: list[str], query: str, k: float, b: float) -> None:
    path, whole = texts(http20, "bm25", stored), dict(enumerate(stored))
    assert found(http20, path, query) == pytest.approx(scores(whole, query), abs=1e-4)
    tuned = {"query": query, "scoring": {"bm25": {"k": k, "b": b}}}
    assert found(http20, path, tuned) == pytest.approx(scores(whole, query, k=k, b=b), abs=1e-4)


def test_the_scores_follow_edits_and_deletes(http20: httpx.Client) -> None:
    path = texts(http20, "edits", TEXTS)
    ok(http20.post(f"{path}/points/delete?wait=true", json={"points": [1]}))
    ok(http20.post(f"{path}/points/payload?wait=true", json={"payload": {"text": "fox fox"}, "points": [2]}))
    put(http20, path, {"id": 9, "vector": {"old": [1, 1]}, "payload": {"other": "fox"}})
    now = {0: TEXTS[0], 2: "fox fox", 3: TEXTS[3], 4: TEXTS[4]}
    assert found(http20, path, "a fun fox") == pytest.approx(scores(now, "a fun fox"), abs=1e-4)
    assert found(http20, path, "fox", filter={"must": [{"has_id": [0, 9]}]}).keys() == {0}


def test_stop_words_are_no_words_and_stems_meet(http20: httpx.Client) -> None:
    path = texts(http20, "stems", TEXTS)
    assert found(http20, path, "the").keys() == {0}
    assert found(http20, path, "dog").keys() == {1}
    language = {"stopwords": "english", "stemmer": {"type": "snowball", "language": "english"}}
    path = texts(http20, "stems", TEXTS, **language)
    assert found(http20, path, "the") == {}
    assert found(http20, path, "dog").keys() == {1, 2}
    assert found(http20, path, "runs").keys() == {2, 3}
    shown = ok(http20.get(path))["payload_schema"]["text"]
    assert shown == {"data_type": "text", "params": SCORED | language, "points": len(TEXTS)}


def test_words_are_fused_with_a_vector(http20: httpx.Client) -> None:
    path = texts(http20, "fused", TEXTS)
    parts = [{"query": {"text": "fox"}, "using": "text"}, {"query": [0, 1], "using": "old"}]
    body = {"prefetch": parts, "query": {"fusion": "rrf"}, "limit": 10}
    by_words = sorted(scores(dict(enumerate(TEXTS)), "fox").items(), key=lambda pair: -pair[1])
    by_vector = sorted(range(len(TEXTS)), key=lambda i: -i)
    wanted = dict.fromkeys(by_vector, 0.0)
    for ranking in ([i for i, _ in by_words], by_vector):
        for rank, i in enumerate(ranking):
            wanted[i] += 1 / (2 + rank)
    hits = ok(http20.post(f"{path}/points/query", json=body))["points"]
    assert {hit["id"]: hit["score"] for hit in hits} == pytest.approx(wanted, abs=1e-5)


def test_what_cannot_be_ranked_by_words_is_refused(http20: httpx.Client) -> None:
    path = texts(http20, "unscored", TEXTS)
    ok(http20.put(f"{path}/index?wait=true", json={"field_name": "plain", "field_schema": SCORED | {"scoring": False}}))
    for using, said in (("plain", "does not score"), ("none", "requires a text index"), ("", "path")):
        status, text = refusal(http20.post(f"{path}/points/query", json={"query": {"text": "fox"}, "using": using}))
        assert (status, said in text) == (400, True), text
    wrong = {"field_name": "text", "field_schema": SCORED | {"scoring": "much"}}
    assert refusal(http20.put(f"{path}/index?wait=true", json=wrong))[0] == 400


@pytest.mark.parametrize(
    "body",
    [
        {"query": {"text": {"query": "fox", "scoring": {"bm25": {"k": 1.0, "b": 0.5}}}}, "using": "text"},
        {"query": {"text": "fox"}, "using": "text", "limit": 3},
        {"query": DENSE, "using": "old"},
        {"query": {"nearest": LATE | {"options": {"k": 1.0}}}, "using": "old"},
    ],
)
def test_a_wrongly_typed_text_is_never_the_servers_fault(http20: httpx.Client, body: dict[str, Any]) -> None:
    path = texts(http20, "wrong", TEXTS)
    for wrong in mangled(body):
        answer = http20.post(f"{path}/points/query", json=wrong)
        assert answer.status_code in (200, 400, 404, 422), (wrong, answer.text)


def test_older_servers_know_no_scoring(each: SandboxServer) -> None:
    with client(each) as http:
        path = texts(http, "older", TEXTS)
        assert "scoring" not in ok(http.get(path))["payload_schema"]["text"]["params"]
        by_words = {"query": {"text": "fox"}, "using": "text"}
        for body in (by_words, {"prefetch": [by_words], "query": {"fusion": "rrf"}}):
            assert refusal(http.post(f"{path}/points/query", json=body)) == (400, NO_QUERY)


@pytest.mark.parametrize(
    ("vector", "writing", "asking"),
    [
        ({"old": DENSE}, (500, NO_SERVICE), (500, NO_SERVICE)),
        ({"words": DENSE}, (500, NO_SERVICE), (500, NO_SERVICE)),
        ({"none": DENSE}, (500, NO_SERVICE), (500, NO_SERVICE)),
        ({"none": LATE}, *[(400, "Wrong input: Not existing vector name error: none")] * 2),
        ({"old": LATE}, (400, MIXED), (400, MIXED)),
        ({"old": {"text": "a"}}, (400, NO_VECTOR), (400, NO_QUERY)),
        ({"old": {"text": 1, "model": "sandbox/minilm"}}, (400, NO_VECTOR), (400, NO_QUERY)),
        ({"old": {"text": "a", "model": 5}}, (400, NO_VECTOR), (400, NO_QUERY)),
        ({"old": DENSE | {"options": 3}}, (400, NO_VECTOR), (400, NO_QUERY)),
    ],
)
def test_documents_are_refused_as_measured(
    each: SandboxServer, vector: dict[str, Any], writing: tuple[int, str], asking: tuple[int, str]
) -> None:
    with client(each) as http:
        http.delete("/collections/documents")
        path = create(http, "documents", sparse_vectors={"words": {"modifier": "idf"}})
        put(http, path, {"id": 1, "vector": {"old": [1, 1]}})
        one = {"points": [{"id": 1, "vector": vector}]}
        for call in ("points", "points/vectors"):
            assert refusal(http.put(f"{path}/{call}?wait=true", json=one)) == writing
            unheard = writing[1].startswith("Wrong input")
            assert http.put(f"{path}/{call}?wait=false", json=one).status_code == (200 if unheard else writing[0])
        (name, document), *_ = vector.items()
        nearest = {"query": {"nearest": document}, "using": name}
        assert refusal(http.post(f"{path}/points/query", json=nearest)) == asking


def test_a_document_for_the_whole_point_is_for_upserts_of_the_unnamed_vector(each: SandboxServer) -> None:
    with client(each) as http:
        http.delete("/collections/whole")
        path = create(http, "whole", vectors={"size": 384, "distance": "Cosine"})
        put(http, path, {"id": 1, "vector": [1.0] * 384})
        sparse = (400, "Bad request: Sparse vector from document inference should be named")
        direct = (400, "Direct Document processing not supported for PointVectors. Use named vectors.")
        for document, refused in ((DENSE, (500, NO_SERVICE)), (LATE, sparse)):
            one = {"points": [{"id": 1, "vector": document}]}
            assert refusal(http.put(f"{path}/points?wait=true", json=one)) == refused
            assert refusal(http.put(f"{path}/points/vectors?wait=true", json=one)) == direct


@pytest.mark.parametrize(("name", "size"), [("minilm", 384), ("wordllama", 256)])
def test_inference_embeds_what_is_written_and_asked(http20: httpx.Client, name: str, size: int, tmp_path: Path) -> None:
    fresh = load(ModelSpec(provider="sandbox", name=name, path=str(tmp_path))).embed_documents(TEXTS)
    documents = [{"text": text, "model": f"Sandbox/{name}"} for text in TEXTS]
    path = create(http20, f"by-{name}", vectors={"new": {"size": size, "distance": "Cosine"}}, sparse_vectors={"w": {}})
    put(http20, path, *({"id": i, "vector": {"new": documents[i], "w": LATE}} for i in (0, 1, 2)))
    put(http20, path, *({"id": i, "vector": {}} for i in (3, 4)))
    later = {"points": [{"id": i, "vector": {"new": documents[i]}} for i in (3, 4)]}
    ok(http20.put(f"{path}/points/vectors?wait=true", json=later))
    for i, row in enumerate(fresh):
        assert np.asarray(get(http20, path, i)["vector"]["new"]) @ row > 0.9999
        for query in (documents[i], {"nearest": documents[i]}):
            body = {"query": query, "using": "new", "limit": 1, "params": {"exact": True}}
            best = ok(http20.post(f"{path}/points/query", json=body))["points"][0]
            assert (best["id"], best["score"]) == (i, pytest.approx(1, abs=1e-4))
    assert get(http20, path, 0)["vector"]["w"]["indices"]


def test_inference_embeds_the_unnamed_vector_and_nothing_that_does_not_fit(http20: httpx.Client) -> None:
    path = create(http20, "unnamed", vectors={"size": 384, "distance": "Cosine"}, sparse_vectors={"w": {}})
    put(http20, path, {"id": 1, "vector": DENSE})
    put(http20, path, {"id": 2, "vector": {"": DENSE, "w": LATE}})
    both = [get(http20, path, point)["vector"] for point in (1, 2)]
    assert np.allclose(*(vector[""] if isinstance(vector, dict) else vector for vector in both))
    refused = [
        ({"": {"text": "a", "model": "sandbox/wordllama"}}, "Vector dimension error: expected dim: 384, got 256"),
        ({"": {"text": "a", "model": "openai/large"}}, "model openai/large is not supported"),
        ({"": LATE}, MIXED),
        ({"w": DENSE}, "Wrong usage of sparse vectors"),
    ]
    for vector, said in refused:
        status, text = refusal(http20.put(f"{path}/points?wait=true", json={"points": [{"id": 3, "vector": vector}]}))
        assert (status, said in text) == (400, True), text
    assert ok(http20.post(f"{path}/points/count", json={}))["count"] == 2
