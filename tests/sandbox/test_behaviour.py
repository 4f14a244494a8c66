"""What the servers were measured to do that a single answer does not show."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import httpx
import pytest

from changeover.sandbox.server import SandboxServer, start
from tests.sandbox.conftest import client

DENSE = {"size": 2, "distance": "Cosine"}


@pytest.fixture(scope="module")
def http18(server18: SandboxServer) -> Any:
    with client(server18) as http:
        yield http


@pytest.fixture(scope="module")
def http19(server19: SandboxServer) -> Any:
    with client(server19) as http:
        yield http


def ok(response: httpx.Response) -> Any:
    """The result of an answer that must be 200."""
    assert response.status_code == 200, response.text
    return response.json()["result"]


def create(http: httpx.Client, name: str, **parts: Any) -> str:
    """A new collection; its path."""
    ok(http.put(f"/collections/{name}", json={"vectors": {"old": DENSE}} | parts))
    return f"/collections/{name}"


def put(http: httpx.Client, path: str, *points: dict[str, Any], **more: Any) -> None:
    """Upsert and wait."""
    done = ok(http.put(f"{path}/points?wait=true", json={"points": points, **more}))
    assert done["status"] == "completed"


def get(http: httpx.Client, path: str, point: int | str) -> dict[str, Any]:
    """A point with everything."""
    body = {"ids": [point], "with_payload": True, "with_vector": True}
    found: dict[str, Any] = ok(http.post(f"{path}/points", json=body))[0]
    return found


def both(http: httpx.Client, name: str) -> str:
    """A collection with the vectors old and new, and point 1 that has both."""
    path = create(http, name, vectors={"old": DENSE, "new": DENSE})
    put(http, path, {"id": 1, "vector": {"old": [1, 0], "new": [1, 0]}, "payload": {"text": "first", "k": 1}})
    return path


def test_an_upsert_of_one_vector_leaves_the_other_stale_in_an_optimised_segment_up_to_1_18(
    server18: SandboxServer, http18: httpx.Client
) -> None:
    path = both(http18, "stale")
    server18.settings(optimised_from=0)
    try:
        put(http18, path, {"id": 1, "vector": {"old": [0, 1]}, "payload": {"text": "edited"}})
        edited = get(http18, path, 1)
        assert edited["vector"] == {"old": [0, 1], "new": [1, 0]}
        assert edited["payload"] == {"text": "edited"}
        put(http18, path, {"id": 1, "vector": {"old": [1, 0]}})
        assert get(http18, path, 1)["payload"] == {"text": "edited"}
    finally:
        server18.settings()


def test_a_small_collection_counts_as_not_optimised(http18: httpx.Client) -> None:
    path = both(http18, "fresh")
    put(http18, path, {"id": 1, "vector": {"old": [0, 1]}})
    assert get(http18, path, 1) == {"id": 1, "vector": {"old": [0, 1]}, "payload": {}}


def test_an_upsert_drops_what_it_does_not_name_on_1_19(server19: SandboxServer, http19: httpx.Client) -> None:
    path = both(http19, "dropped")
    server19.settings(optimised_from=0)
    put(http19, path, {"id": 1, "vector": {"old": [0, 1]}, "payload": {"text": "edited"}})
    assert get(http19, path, 1)["vector"] == {"old": [0, 1]}


def test_adding_a_vector_to_an_unnamed_collection_cannot_be_undone(http18: httpx.Client) -> None:
    path = create(http18, "unnamed", vectors=DENSE)
    put(http18, path, {"id": 1, "vector": [3, 4]}, {"id": 2, "vector": [0, 5]})
    assert get(http18, path, 1)["vector"] == pytest.approx([0.6, 0.8])
    ok(http18.put(f"{path}/vectors/new?wait=true", json={"dense": {"size": 3, "distance": "Dot"}}))
    vectors = {"points": [{"id": 1, "vector": {"new": [1, 2, 3]}}]}
    ok(http18.put(f"{path}/points/vectors?wait=true", json=vectors))
    assert ok(http18.get(path))["config"]["params"]["vectors"].keys() == {"", "new"}
    assert get(http18, path, 1)["vector"].keys() == {"", "new"}
    assert isinstance(get(http18, path, 2)["vector"], list)
    put(http18, path, {"id": 3, "vector": [1, 0]})
    assert ok(http18.post(f"{path}/points/query", json={"query": [1, 0], "limit": 1}))["points"][0]["id"] == 3
    ok(http18.delete(f"{path}/vectors/new?wait=true"))
    assert ok(http18.get(path))["config"]["params"]["vectors"] == {"": DENSE}


def test_alias_actions_before_a_refused_one_stay_applied(each: SandboxServer) -> None:
    with client(each) as http:
        create(http, "one")
        ok(http.post("/collections/aliases", json={"actions": [_create("one", "prod")]}))
        actions = [{"delete_alias": {"alias_name": "prod"}}, _create("missing", "prod")]
        assert http.post("/collections/aliases", json={"actions": actions}).status_code == 404
        assert ok(http.get("/aliases"))["aliases"] == []
        assert http.get("/collections/prod").status_code == 404


def test_an_alias_leads_to_its_collection_and_goes_with_it(http18: httpx.Client) -> None:
    path = create(http18, "target")
    actions = [_create("target", "a"), {"rename_alias": {"old_alias_name": "a", "new_alias_name": "b"}}]
    ok(http18.post("/collections/aliases", json={"actions": actions}))
    put(http18, "/collections/b", {"id": 1, "vector": {"old": [1, 0]}})
    assert get(http18, path, 1)["id"] == 1
    ghost = {"actions": [{"rename_alias": {"old_alias_name": "a", "new_alias_name": "c"}}]}
    assert "Alias a does not exists!" in http18.post("/collections/aliases", json=ghost).text
    assert ok(http18.delete(path)) is True
    assert "b" not in {one["alias_name"] for one in ok(http18.get("/aliases"))["aliases"]}


def _create(collection: str, alias: str) -> dict[str, Any]:
    return {"create_alias": {"collection_name": collection, "alias_name": alias}}


def test_the_guard_leaves_points_alone_that_have_the_vector(http18: httpx.Client) -> None:
    path = both(http18, "guard")
    put(http18, path, {"id": 2, "vector": {"old": [1, 0]}})
    guard = {"must_not": [{"has_vector": "new"}]}
    points = [{"id": point, "vector": {"new": [0, 1]}} for point in (1, 2)]
    ok(http18.put(f"{path}/points/vectors?wait=true", json={"points": points, "update_filter": guard}))
    assert get(http18, path, 1)["vector"]["new"] == [1, 0]
    assert get(http18, path, 2)["vector"]["new"] == [0, 1]


@pytest.mark.parametrize(("mode", "written"), [("insert_only", {2}), ("update_only", {1}), ("upsert", {1, 2})])
def test_update_modes(http18: httpx.Client, mode: str, written: set[int]) -> None:
    path = both(http18, f"mode_{mode}")
    points = [{"id": point, "vector": {"old": [0, 1]}, "payload": {"by": mode}} for point in (1, 2)]
    put(http18, path, *points, update_mode=mode)
    found = ok(http18.post(f"{path}/points/scroll", json={"limit": 10}))["points"]
    assert {one["id"] for one in found if one["payload"] == {"by": mode}} == written


def test_a_missing_id_fails_the_batch_after_the_chunk_of_32_that_holds_it(http18: httpx.Client) -> None:
    path = create(http18, "missing", vectors={"old": DENSE, "new": DENSE})
    put(http18, path, *({"id": point, "vector": {"old": [1, 0]}} for point in range(400)))
    points = [{"id": point, "vector": {"new": [1, 0]}} for point in range(401)]
    response = http18.put(f"{path}/points/vectors?wait=true", json={"points": points})
    assert response.status_code == 404
    assert response.json()["status"]["error"] == "Not found: No point with id 400 found"
    has_new = {"filter": {"must": [{"has_vector": "new"}]}}
    assert ok(http18.post(f"{path}/points/count", json=has_new))["count"] in {*range(31, 400, 32), 400}


def test_without_waiting_a_late_refusal_goes_unheard(http18: httpx.Client) -> None:
    path = create(http18, "unheard")
    body = {"points": [{"id": 1, "vector": {"nope": [1, 0]}}]}
    assert ok(http18.put(f"{path}/points", json=body))["status"] == "acknowledged"
    assert http18.put(f"{path}/points?wait=true", json=body).status_code == 400
    short = {"points": [{"id": 1, "vector": {"old": [1]}}]}
    assert http18.put(f"{path}/points", json=short).status_code == 400
    assert ok(http18.post(f"{path}/points/count", json={}))["count"] == 0


def test_a_scroll_visits_every_point_once_in_order(http18: httpx.Client) -> None:
    path = create(http18, "order")
    numbers = random.Random(3).sample(range(10**15), 90)
    uuids = [f"{random.Random(seed).getrandbits(128):032x}" for seed in range(10)]
    put(http18, path, *({"id": point, "vector": {"old": [1, 0]}} for point in [*uuids, *numbers]))
    seen: list[Any] = []
    offset = None
    while True:
        page = ok(http18.post(f"{path}/points/scroll", json={"limit": 7, "offset": offset, "with_payload": False}))
        seen += [one["id"] for one in page["points"]]
        offset = page["next_page_offset"]
        if offset is None:
            break
    assert seen[:90] == sorted(numbers)
    assert [one.replace("-", "") for one in seen[90:]] == sorted(uuids)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"must": [{"key": "k", "match": {"any": ["a", "b"]}}]}, {0, 1, 3, 4}),
        ({"must": [{"key": "k", "match": {"except": ["a"]}}]}, {1, 2, 4, 5}),
        ({"must": {"key": "n", "range": {"gte": 2, "lt": 4}}}, {2, 3}),
        ({"should": [{"has_id": [0]}, {"must": [{"key": "n", "match": {"value": 5}}]}]}, {0, 5}),
        ({"must_not": [{"is_empty": {"key": "even"}}]}, {0, 2, 4}),
        ({"must": [{"key": "at", "range": {"gt": "2026-01-03T12:00:00Z"}}]}, {3, 4, 5}),
        ({"min_should": {"min_count": 2, "conditions": [{"has_id": [1, 2]}, {"has_id": [2, 3]}]}}, {2}),
    ],
)
def test_filters(http19: httpx.Client, condition: dict[str, Any], expected: set[int]) -> None:
    path = "/collections/filters"
    if not ok(http19.get(f"{path}/exists"))["exists"]:
        create(http19, "filters")
        put(http19, path, *({"id": n, "vector": {}, "payload": _payload(n)} for n in range(6)))
    found = ok(http19.post(f"{path}/points/scroll", json={"filter": condition}))["points"]
    assert {one["id"] for one in found} == expected


def _payload(number: int) -> dict[str, Any]:
    payload: dict[str, Any] = {"k": "abc"[number % 3], "n": number, "at": f"2026-01-0{number + 1}T00:00:00Z"}
    return payload | ({"even": True} if number % 2 == 0 else {})


def test_payload_and_vector_updates(http18: httpx.Client) -> None:
    path = both(http18, "updates")
    one = {"points": [1]}
    ok(http18.post(f"{path}/points/payload?wait=true", json={"payload": {"k": 2, "z": [1]}, **one}))
    assert get(http18, path, 1)["payload"] == {"text": "first", "k": 2, "z": [1]}
    ok(http18.post(f"{path}/points/payload/delete?wait=true", json={"keys": ["z"], **one}))
    ok(http18.put(f"{path}/points/payload?wait=true", json={"payload": {"only": 1}, **one}))
    assert get(http18, path, 1)["payload"] == {"only": 1}
    ok(http18.post(f"{path}/points/vectors/delete?wait=true", json={"vector": ["new"], **one}))
    assert get(http18, path, 1)["vector"] == {"old": [1, 0]}
    by_filter = {"filter": {"must": [{"key": "only", "match": {"value": 1}}]}}
    ok(http18.post(f"{path}/points/delete?wait=true", json=by_filter))
    assert ok(http18.post(f"{path}/points/count", json={}))["count"] == 0


def test_a_scroll_can_follow_a_payload_key(http18: httpx.Client) -> None:
    path = create(http18, "keyorder")
    put(http18, path, *({"id": n, "vector": {}, "payload": {"n": -n}} for n in range(5)))
    unindexed = http18.post(f"{path}/points/scroll", json={"order_by": "n"})
    assert unindexed.status_code == 400
    assert "No range index for `order_by` key: `n`" in unindexed.text
    ok(http18.put(f"{path}/index?wait=true", json={"field_name": "n", "field_schema": "integer"}))
    body = {"order_by": {"key": "n", "direction": "asc"}, "limit": 2, "with_payload": False}
    page = ok(http18.post(f"{path}/points/scroll", json=body))
    assert page["points"] == [{"id": 4, "order_value": -4}, {"id": 3, "order_value": -3}]


def test_server_side_bm25_takes_options(http18: httpx.Client) -> None:
    path = create(http18, "bm25", sparse_vectors={"kw": {"modifier": "idf"}})
    for point, language in ((1, "english"), (2, "german")):
        document = {"text": "die Häuser laufen", "model": "qdrant/bm25", "options": {"language": language}}
        put(http18, path, {"id": point, "vector": {"kw": document}})
    english, german = (get(http18, path, point)["vector"]["kw"]["indices"] for point in (1, 2))
    assert len(english) == 3
    assert len(german) == 2
    wrong = {"text": "x", "model": "qdrant/bm25", "options": {"colour": 1}}
    assert http18.post(f"{path}/points/query", json={"query": wrong, "using": "kw"}).status_code == 400


@pytest.mark.parametrize("body", [{"points": [{"vector": [1, 0]}]}, {"points": [{"id": 1}]}, {"points": {}}, [1]])
def test_a_malformed_upsert_is_refused_in_one_line(http18: httpx.Client, body: Any) -> None:
    path = create(http18, "malformed") if not ok(http18.get("/collections/malformed/exists"))["exists"] else ""
    response = http18.put(f"{path or '/collections/malformed'}/points?wait=true", json=body)
    assert response.status_code == 400
    assert response.json()["status"]["error"].startswith("Format error in JSON body: ")


def test_a_query_by_id_does_not_find_the_point_itself(http18: httpx.Client) -> None:
    path = create(http18, "byid")
    put(http18, path, *({"id": n, "vector": {"old": [1, n]}} for n in range(4)))
    found = ok(http18.post(f"{path}/points/query", json={"query": 1, "using": "old", "limit": 1}))["points"]
    assert [one["id"] for one in found] == [2]
    missing = http18.post(f"{path}/points/query", json={"query": 99, "using": "old"})
    assert missing.status_code == 404


def test_the_optimiser_indexes_and_the_collection_turns_green(server18: SandboxServer, http18: httpx.Client) -> None:
    path = create(http18, "green", vectors={"size": 64, "distance": "Dot"}, optimizers_config={"indexing_threshold": 0})
    numbers = random.Random(1)
    put(http18, path, *({"id": n, "vector": [numbers.random() for _ in range(64)]} for n in range(500)))
    assert ok(http18.get(path))["status"] == "green"
    quantization = {"scalar": {"type": "int8"}}
    patch = {"optimizers_config": {"indexing_threshold": 20}, "quantization_config": quantization}
    server18.settings(quiet_s=60)
    ok(http18.patch(path, json=patch))
    assert ok(http18.get(path))["status"] == "yellow"
    running = ok(http18.get(f"{path}/optimizations?with=completed"))
    assert running["summary"]["queued_points"] == 500
    assert len(running["running"]) == 1
    server18.settings()
    deadline = time.monotonic() + 20
    while (info := ok(http18.get(path)))["status"] != "green":
        assert time.monotonic() < deadline
    assert info["indexed_vectors_count"] == 500
    assert info["config"]["quantization_config"] == quantization
    done = ok(http18.get(f"{path}/optimizations?with=completed"))
    assert (done["running"], len(done["completed"])) == ([], 1)


def test_a_batch_larger_than_the_rate_limit_has_no_retry_after(http18: httpx.Client) -> None:
    path = create(http18, "rate", strict_mode_config={"enabled": True, "write_rate_limit": 3})
    points = [{"id": n, "vector": {}} for n in range(4)]
    response = http18.put(f"{path}/points?wait=true", json={"points": points})
    assert response.status_code == 429
    assert "retry-after" not in response.headers
    assert "please try to split your request" in response.text


def test_writers_and_readers_at_once() -> None:
    """Four writers and two readers on one collection: every point is there, no answer is wrong."""
    failures: list[str] = []
    with start("1.18") as server, client(server) as http:
        path = create(http, "busy", optimizers_config={"indexing_threshold": 1})
        done = threading.Event()

        def write(writer: int) -> None:
            with client(server) as own:
                for batch in range(10):
                    first = (writer * 10 + batch) * 50
                    points = [
                        {"id": n, "vector": {"old": [1, n]}, "payload": {"n": n}} for n in range(first, first + 50)
                    ]
                    response = own.put(f"{path}/points?wait=true", json={"points": points})
                    if response.status_code != 200 or response.json()["result"]["status"] != "completed":
                        failures.append(response.text)

        def read() -> None:
            with client(server) as own:
                while not done.is_set():
                    for call, body in (("query", {"query": [1, 1], "using": "old"}), ("scroll", {"limit": 20})):
                        response = own.post(f"{path}/points/{call}", json=body)
                        if response.status_code != 200:
                            failures.append(response.text)

        writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        readers = [threading.Thread(target=read) for _ in range(2)]
        for thread in (*writers, *readers):
            thread.start()
        for thread in writers:
            thread.join()
        done.set()
        for thread in readers:
            thread.join()
        assert failures == []
        assert ok(http.post(f"{path}/points/count", json={}))["count"] == 2000
