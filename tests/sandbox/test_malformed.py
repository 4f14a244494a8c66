"""A body of the wrong type is the sender's mistake: 400 or 422 in one line, never a 500, and the collection goes on.

The difference matters: Changeover tries again after a 500 and stops at a 400.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from changeover.sandbox.server import SandboxServer
from tests.sandbox.conftest import client

C = "/collections/shapes"
WRONG: tuple[Any, ...] = (None, -1, "x", [[1]], {"a": 1}, True)
BODIES: list[tuple[str, str, dict[str, Any]]] = [
    (
        "PUT",
        "/points",
        {
            "points": [{"id": 1, "vector": {"old": [1, 2]}, "payload": {}}],
            "update_filter": {"must": [{"has_vector": "old"}]},
            "update_mode": "upsert",
        },
    ),
    ("PUT", "/points", {"batch": {"ids": [1], "vectors": {"old": [[1, 2]]}, "payloads": [{}]}}),
    ("PUT", "/points/vectors", {"points": [{"id": 1, "vector": {"old": [1, 2]}}], "update_filter": {"must": []}}),
    ("PUT", "/points/vectors", {"points": [{"id": 1, "vector": {"kw": {"indices": [1], "values": [1.0]}}}]}),
    ("POST", "/points/vectors/delete", {"points": [9], "vector": ["old"]}),
    ("POST", "/points/payload", {"payload": {"a": 1}, "points": [1]}),
    ("POST", "/points/payload/delete", {"keys": ["z"], "points": [1]}),
    ("POST", "/points/delete", {"points": [9]}),
    ("POST", "/points", {"ids": [1], "with_payload": True, "with_vector": True}),
    (
        "POST",
        "/points/scroll",
        {
            "limit": 3,
            "offset": 1,
            "filter": {"must": [{"key": "a", "match": {"value": 1}}, {"key": "a", "range": {"gt": 1}}]},
            "with_payload": {"include": ["a"]},
            "with_vector": ["old"],
        },
    ),
    ("POST", "/points/count", {"exact": True, "filter": {"must_not": [{"has_id": [1]}]}}),
    (
        "POST",
        "/points/query",
        {
            "query": [1, 2],
            "using": "old",
            "limit": 2,
            "filter": {"must": [{"slice": {"total": 2, "index": 0}}]},
            "params": {"exact": True, "hnsw_ef": 5, "quantization": {"oversampling": 2.0}},
            "prefetch": [{"query": [1, 2], "using": "old", "limit": 3}],
        },
    ),
    ("POST", "/points/query/batch", {"searches": [{"query": [1, 2], "using": "old"}]}),
    ("POST", "/facet", {"key": "a", "limit": 2}),
    ("PUT", "/index", {"field_name": "a", "field_schema": {"type": "integer", "lookup": True, "range": True}}),
    ("PUT", "/vectors/v", {"dense": {"size": 2, "distance": "Dot"}}),
    (
        "PATCH",
        "",
        {
            "vectors": {"old": {"on_disk": True}},
            "hnsw_config": {"m": 8},
            "metadata": {"a": 1},
            "quantization_config": {"scalar": {"type": "int8"}},
        },
    ),
    ("POST", "aliases", {"actions": [{"create_alias": {"collection_name": "shapes", "alias_name": "p"}}]}),
]


def mangled(body: Any) -> Iterator[Any]:
    """The body with each of its parts, at any depth, replaced by each of WRONG."""
    for path in _paths(body):
        for wrong in WRONG:
            changed = copy.deepcopy(body)
            part = changed
            for key in path[:-1]:
                part = part[key]
            part[path[-1]] = wrong
            yield changed
    yield from ([], "x", 1)


def _paths(body: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    keys = list(body) if isinstance(body, dict) else range(len(body)) if isinstance(body, list) else []
    for key in keys:
        yield (*before, key)
        yield from _paths(body[key], (*before, key))


@pytest.mark.parametrize(("method", "path", "body"), BODIES)
def test_a_wrongly_typed_body_is_never_the_servers_fault(
    server19: SandboxServer, method: str, path: str, body: dict[str, Any]
) -> None:
    url = "/collections/aliases" if path == "aliases" else C + path
    point = {"id": 1, "vector": {"old": [1, 2]}, "payload": {"a": 1}}
    refused = 0
    with client(server19) as http:
        http.delete(C)
        vectors = {"vectors": {"old": {"size": 2, "distance": "Dot"}}, "sparse_vectors": {"kw": {}}}
        assert http.put(C, json=vectors).status_code == 200
        assert http.put(f"{C}/points?wait=true", json={"points": [point]}).status_code == 200
        for wrong in mangled(body):
            response = http.request(method, f"{url}?wait=true", json=wrong)
            assert response.status_code in (200, 400, 404, 422), (wrong, response.text)
            if response.status_code != 200:
                refused += 1
                text = response.json()["status"]["error"]
                assert "stumbled" not in text
                assert "\n" not in text, (wrong, text)
        assert refused > 2
        still = http.post(f"{C}/points", json={"ids": [1]})
        assert (still.status_code, len(still.json()["result"])) == (200, 1)
