"""Quantizations and datatypes: which generation takes which, and that the core really stores what was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from changeover.sandbox.server import SandboxServer, start
from changeover.sandbox.server.generations import GENERATIONS
from tests.sandbox.conftest import client
from tests.sandbox.test_behaviour import ok

PATH = "/collections/stored"
SIZE = 64
VECTOR: dict[str, Any] = {"size": SIZE, "distance": "Cosine"}
TURBO = ("bits1", "bits1_5", "bits2", "bits4")
TAKEN: dict[str, tuple[str, ...]] = {"1.17": (), "1.18": TURBO, "1.19": TURBO, "1.20": (*TURBO, "bits8")}
PLAIN = ("float32", "float16", "uint8")
DATATYPES: dict[str, tuple[str, ...]] = {
    "1.17": PLAIN,
    "1.18": PLAIN,
    "1.19": (*PLAIN, "turbo4"),
    "1.20": (*PLAIN, "turbo4", "turbo8", "turbo16"),
}
NO_DIFF = "Format error in JSON body: data did not match any variant of untagged enum QuantizationConfigDiff"


@pytest.fixture(scope="module", params=list(GENERATIONS))
def every(request: pytest.FixtureRequest) -> Iterator[tuple[str, httpx.Client]]:
    """Every generation, 1.20 too, and a client of it."""
    with start(request.param) as server, client(server) as http:
        yield request.param, http


@pytest.fixture(scope="module")
def server20() -> Iterator[SandboxServer]:
    with start("1.20") as server:
        yield server


def fresh(http: httpx.Client, **more: Any) -> httpx.Response:
    """A new collection in place of the former."""
    http.delete(PATH)
    return http.put(PATH, json={"vectors": {"a": VECTOR}} | more)


def requests(config: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every way of asking for a quantization."""
    return [
        ("PATCH", {"quantization_config": config}),
        ("PATCH", {"vectors": {"a": {"quantization_config": config}}}),
        ("PUT", {"vectors": {"a": VECTOR}, "quantization_config": config}),
        ("PUT", {"vectors": {"a": {**VECTOR, "quantization_config": config}}}),
        ("PUT", {"vectors": {**VECTOR, "quantization_config": config}}),
    ]


def asked(http: httpx.Client, method: str, body: dict[str, Any]) -> httpx.Response:
    """The answer to one of them, sent to a collection that is new, or for one that is not there yet."""
    if method == "PATCH":
        ok(fresh(http))
    else:
        http.delete(PATH)
    return http.request(method, PATH, json=body)


def test_turbo_is_taken_in_the_sizes_of_the_generation(every: tuple[str, httpx.Client]) -> None:
    generation, http = every
    for bits in (*TURBO, "bits8", "bits3", None):
        known = bits in TAKEN[generation] or (bits is None and generation != "1.17")
        for method, body in requests({"turbo": {"bits": bits}}):
            answer = asked(http, method, body)
            assert answer.status_code == (200 if known else 400), (bits, body, answer.text)
            if not known and method == "PATCH":
                assert answer.json()["status"]["error"].startswith(NO_DIFF)
            if not known:
                kept = http.get(PATH)
                assert kept.status_code == 404 if method == "PUT" else "turbo" not in kept.text


@pytest.mark.parametrize(
    "config",
    [
        {"scalar": {"type": "int4"}},
        {"product": {"compression": "x5"}},
        {"binary": {"encoding": "three_bits"}},
        {"binary": {"query_encoding": ["binary"]}},
        {"turbo": "bits4"},
        {"unheard": {}},
        {},
        "scalar",
        7,
    ],
)
def test_what_is_no_quantization_is_refused_and_nothing_changes(every: tuple[str, httpx.Client], config: Any) -> None:
    _, http = every
    for method, body in requests(config):
        answer = asked(http, method, body)
        assert answer.status_code in (400, 422), (body, answer.text)
        assert "stumbled" not in answer.text
    ok(fresh(http))
    before = ok(http.get(PATH))["config"]
    assert http.patch(PATH, json={"quantization_config": config}).status_code in (400, 422)
    assert ok(http.get(PATH))["config"] == before


def test_datatypes_are_those_of_the_generation(every: tuple[str, httpx.Client]) -> None:
    generation, http = every
    for datatype in (*DATATYPES["1.20"], "float64"):
        wanted = 200 if datatype in DATATYPES[generation] else 400
        vector = {**VECTOR, "datatype": datatype}
        assert fresh(http, vectors={"a": vector}).status_code == wanted, datatype
        if generation != "1.17":
            ok(fresh(http))
            assert http.put(f"{PATH}/vectors/b?wait=true", json={"dense": vector}).status_code == wanted, datatype


def rows(count: int = 300) -> Any:
    found = np.random.default_rng(5).normal(size=(count, SIZE))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def unrescored(query: Any) -> dict[str, Any]:
    """A search whose scores are the quantized ones."""
    params = {"quantization": {"rescore": False}}
    return {"query": query.tolist(), "using": "a", "limit": 10, "params": params}


def ranked(http: httpx.Client, query: Any) -> tuple[list[int], float]:
    """The best ten of a search without rescoring, and how far their scores are from the exact ones."""
    hits = ok(http.post(f"{PATH}/points/query", json=unrescored(query)))["points"]
    exact = rows() @ query
    return [hit["id"] for hit in hits], max(abs(hit["score"] - exact[hit["id"]]) for hit in hits)


def filled(http: httpx.Client, **config: Any) -> None:
    ok(fresh(http, **config))
    points = [{"id": i, "vector": {"a": row.tolist()}} for i, row in enumerate(rows())]
    ok(http.put(f"{PATH}/points?wait=true", json={"points": points}))


def errors(http: httpx.Client) -> float:
    """Mean, over queries, of the largest error of a score."""
    asked_for = np.random.default_rng(6).normal(size=(10, SIZE))
    return float(np.mean([ranked(http, query / np.linalg.norm(query))[1] for query in asked_for]))


def test_more_bits_of_turbo_are_nearer_to_the_truth(server20: SandboxServer) -> None:
    with client(server20) as http:
        found = []
        for bits in ("bits1", "bits2", "bits4", "bits8"):
            filled(http, quantization_config={"turbo": {"bits": bits}})
            found.append(errors(http))
        assert found == sorted(found, reverse=True)
        assert found[0] > 0.05 > 0.005 > found[-1] > 1e-4


def test_turbo_datatypes_lose_what_they_say(server20: SandboxServer) -> None:
    with client(server20) as http:
        found = {}
        for datatype in ("turbo4", "turbo8", "turbo16"):
            filled(http, vectors={"a": {**VECTOR, "datatype": datatype}})
            found[datatype] = errors(http)
        assert found["turbo4"] > 0.005 > found["turbo8"] > 1e-4 > found["turbo16"] > 0


def kept_of_ten(http: httpx.Client) -> float:
    """How many of the exact ten best a search without rescoring finds, on average."""
    queries = np.random.default_rng(7).normal(size=(20, SIZE))
    best = [set(np.argsort(-(rows() @ query))[:10].tolist()) for query in queries]
    return float(np.mean([len(one & set(ranked(http, query)[0])) for query, one in zip(queries, best, strict=True)]))


def test_query_encodings_of_binary_reach_the_core(server20: SandboxServer) -> None:
    with client(server20) as http:
        kept = {}
        for encoding in ("binary", "scalar8bits"):
            filled(http, quantization_config={"binary": {"query_encoding": encoding}})
            kept[encoding] = kept_of_ten(http)
        assert kept["scalar8bits"] > kept["binary"] + 0.5
