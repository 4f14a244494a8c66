"""The server as a process: keys, faults, counts, kill -9 and restart, start and stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from changeover.errors import UnreachableError, UsageError
from changeover.sandbox.server import SandboxServer, start
from tests.sandbox.conftest import client

DENSE = {"size": 2, "distance": "Cosine"}
ONE = {"points": [{"id": 1, "vector": [1, 0]}]}


@pytest.fixture
def http(server18: SandboxServer) -> Any:
    """A client of the shared sandbox with an empty collection c, and no faults left behind."""
    with client(server18) as http:
        http.delete("/collections/c")
        assert http.put("/collections/c", json={"vectors": DENSE}).status_code == 200
        yield http
        server18.faults([])


def test_keys(tmp_path: Path) -> None:
    secret = "full-secret-key"
    with start("1.18", tmp_path, api_key=secret, read_only_key="reading") as server:
        with client(server) as nobody:
            assert nobody.get("/").json()["version"] == "1.18.3"
            refused = nobody.get("/collections")
            assert (refused.status_code, refused.text) == (
                401,
                "Must provide an API key or an Authorization bearer token",
            )
            assert refused.headers["content-type"].startswith("text/plain")
        with client(server, "guess") as stranger:
            refused = stranger.get("/collections")
            assert (refused.status_code, refused.text) == (401, "Invalid API key or JWT")
        with client(server, secret) as owner:
            assert owner.put("/collections/c", json={"vectors": DENSE}).status_code == 200
        with client(server, "reading") as reader:
            assert reader.post("/collections/c/points/scroll", json={}).status_code == 200
            for method, path in (("PUT", "/collections/c/points"), ("GET", "/profiler/slow_requests")):
                refused = reader.request(method, path, json=ONE)
                assert refused.status_code == 403
                assert refused.json()["status"]["error"] == "Forbidden: Global manage access is required"
        bearer = {"Authorization": f"Bearer {secret}"}
        assert httpx.get(f"{server.url}/collections", headers=bearer, trust_env=False).status_code == 200
        command = Path(f"/proc/{server.pid}/cmdline")
        assert not command.exists() or secret not in command.read_text()
    assert secret not in (tmp_path / "server.log").read_text()


@pytest.mark.parametrize("unknown", ["/nothing", "/collections/c/nothing", "/quotas"])
def test_an_unknown_path_answers_404_with_an_empty_body(http: httpx.Client, unknown: str) -> None:
    response = http.get(unknown)
    assert (response.status_code, response.content) == (404, b"")


@pytest.mark.parametrize(
    ("kind", "status", "retry_after"),
    [("429", 429, "1"), ("429-no-retry-after", 429, None), ("500", 500, None), ("503", 503, None), ("408", 408, None)],
)
def test_ordered_refusals(
    server18: SandboxServer, http: httpx.Client, kind: str, status: int, retry_after: str | None
) -> None:
    server18.faults([{"kind": kind, "method": "PUT", "path_contains": "/points", "count": 1}])
    refused = http.put("/collections/c/points?wait=true", json=ONE)
    assert (refused.status_code, refused.headers.get("retry-after")) == (status, retry_after)
    assert isinstance(refused.json()["status"]["error"], str)
    assert _count(http) == 0
    assert http.put("/collections/c/points?wait=true", json=ONE).status_code == 200


@pytest.mark.parametrize(("apply", "points"), [("before", 1), ("never", 0)])
@pytest.mark.parametrize("kind", ["500", "wait_timeout", "drop", "timeout"])
def test_a_fault_may_hide_an_update_that_took_effect(
    server18: SandboxServer, http: httpx.Client, kind: str, apply: str, points: int
) -> None:
    server18.faults([{"kind": kind, "method": "PUT", "apply": apply, "count": 1, "delay_s": 0.05}])
    if kind in ("drop", "timeout"):
        with pytest.raises(httpx.TransportError):
            http.put("/collections/c/points?wait=true", json=ONE)
    else:
        response = http.put("/collections/c/points?wait=true", json=ONE)
        if kind == "wait_timeout":
            assert (response.status_code, response.json()["result"]["status"]) == (200, "wait_timeout")
    assert _count(http) == points


def test_an_update_can_take_effect_long_after_its_sender_heard_that_it_failed(
    server18: SandboxServer, http: httpx.Client
) -> None:
    """The late one then overwrites what its sender wrote meanwhile."""
    server18.faults([{"kind": "503", "method": "PUT", "apply": "after", "count": 1, "delay_s": 1.0}])
    assert http.put("/collections/c/points?wait=true", json=ONE).status_code == 503
    newer = {"points": [{"id": 1, "vector": [0, 1]}]}
    assert http.put("/collections/c/points?wait=true", json=newer).status_code == 200
    body = {"ids": [1], "with_vector": True}
    seen = []
    deadline = time.monotonic() + 10
    while not seen or seen[-1] != [1, 0]:
        assert time.monotonic() < deadline, seen
        seen.append(http.post("/collections/c/points", json=body).json()["result"][0]["vector"])
    assert seen[0] == [0, 1]


def test_part_of_an_update_of_vectors_can_be_refused_for_a_point_that_is_there(
    server18: SandboxServer, http: httpx.Client
) -> None:
    points = [{"id": n, "vector": [1, 0]} for n in range(100)]
    moved = {"points": [{"id": n, "vector": [0, 1]} for n in range(100)]}
    server18.faults([{"kind": "partial-404", "count": 1}])
    assert http.put("/collections/c/points?wait=true", json={"points": points}).status_code == 200
    refused = http.put("/collections/c/points/vectors?wait=true", json=moved)
    assert refused.status_code == 404
    assert refused.json()["status"]["error"] == "Not found: No point with id 99 found"
    assert _moved(http) in {31, 63, 95, 99}
    assert http.put("/collections/c/points/vectors?wait=true", json=moved).status_code == 200
    assert _moved(http) == 100


def _moved(http: httpx.Client) -> int:
    page = http.post("/collections/c/points/scroll", json={"limit": 1000, "with_vector": True}).json()["result"]
    return sum(one["vector"] == [0, 1] for one in page["points"])


def test_searches_can_be_slowed_down(server18: SandboxServer, http: httpx.Client) -> None:
    query = {"query": [1, 0], "limit": 1}
    server18.latency(search_ms=300)
    try:
        asked = time.monotonic()
        assert http.post("/collections/c/points/query", json=query).status_code == 200
        assert time.monotonic() - asked >= 0.3
    finally:
        server18.latency(0)
    with pytest.raises(UsageError, match="search_ms"):
        server18.latency(-1)


def test_a_seed_makes_faults_repeatable_and_they_are_counted(server18: SandboxServer, http: httpx.Client) -> None:
    def run() -> list[int]:
        rule = {"kind": "503", "method": "POST", "path_contains": "/count", "probability": 0.4, "seed": 11}
        server18.faults([rule])
        return [http.post("/collections/c/points/count", json={}).status_code for _ in range(40)]

    before = server18.stats()["faults"].get("503", 0)
    first = run()
    assert first == run()
    failed = first.count(503)
    assert 5 < failed < 30
    stats = server18.stats()
    assert stats["faults"]["503"] == before + 2 * failed
    assert stats["requests"]["POST /collections/{name}/points/count"] >= 80
    assert stats["total"] == sum(stats["statuses"].values())


def test_rules_that_are_not_rules_are_refused_in_one_line(server18: SandboxServer) -> None:
    with pytest.raises(UsageError, match="'explode'"):
        server18.faults([{"kind": "explode"}])


def test_it_says_what_it_is(http: httpx.Client) -> None:
    assert "Never a database" in http.get("/sandbox").json()["what"]


def _count(http: httpx.Client, name: str = "c") -> int:
    count: int = http.post(f"/collections/{name}/points/count", json={}).json()["result"]["count"]
    return count


def test_everything_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    """Collections, settings, aliases, added vectors, indexes and points; then a second life with further changes."""
    server = start("1.18", tmp_path)
    with client(server) as http:
        http.put("/collections/a", json={"vectors": {"old": DENSE}, "metadata": {"by": "test"}})
        http.put("/collections/gone", json={"vectors": DENSE})
        http.put("/collections/a/index?wait=true", json={"field_name": "n", "field_schema": "integer"})
        points = [{"id": n, "vector": {"old": [1, n]}, "payload": {"n": n}} for n in range(500)]
        http.put("/collections/a/points?wait=true", json={"points": points})
        http.put("/collections/a/vectors/new?wait=true", json={"dense": {"size": 3, "distance": "Dot"}})
        http.patch("/collections/a", json={"vectors": {"new": {"on_disk": True}}, "hnsw_config": {"m": 8}})
        vectors = [{"id": n, "vector": {"new": [n, 1, 2]}} for n in range(300)]
        http.put("/collections/a/points/vectors?wait=true", json={"points": vectors})
        http.post("/collections/a/points/delete?wait=true", json={"points": [0]})
        http.delete("/collections/gone")
        actions = [{"create_alias": {"collection_name": "a", "alias_name": "prod"}}]
        http.post("/collections/aliases", json={"actions": actions})
        before = http.get("/collections/prod").json()["result"]
    server.kill()
    with start("1.18", tmp_path) as again, client(again) as http:
        assert http.get("/collections").json()["result"]["collections"] == [{"name": "a"}]
        after = http.get("/collections/prod").json()["result"]
        assert after["config"] == before["config"]
        assert after["payload_schema"] == before["payload_schema"]
        assert _count(http, "prod") == 499
        has_new = {"filter": {"must": [{"has_vector": "new"}]}}
        assert http.post("/collections/a/points/count", json=has_new).json()["result"]["count"] == 299
        body = {"ids": [7], "with_vector": True, "with_payload": True}
        point = http.post("/collections/a/points", json=body).json()["result"][0]
        assert (point["vector"]["new"], point["payload"]) == ([7, 1, 2], {"n": 7})
        assert http.delete("/collections/a/vectors/old?wait=true").status_code == 200
        again.kill()
    with start("1.19", tmp_path) as third, client(third) as http:
        assert http.get("/collections/a").json()["result"]["config"]["params"]["vectors"].keys() == {"new"}
        assert _count(http, "a") == 499


def test_a_folder_is_for_one_sandbox_at_a_time(tmp_path: Path) -> None:
    with start("1.18", tmp_path), pytest.raises(UnreachableError, match="in use by another sandbox"):
        start("1.18", tmp_path)


def test_an_unknown_generation_is_told_in_one_line() -> None:
    with pytest.raises(UsageError, match=r"choose one of 1\.17, 1\.18, 1\.19"):
        start("0.9")


def test_stopping_is_prompt_and_leaves_nothing_behind() -> None:
    with start("1.19") as server:
        pid = server.pid
        assert server.running()
    assert not server.running()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(UnreachableError):
        server.stats()


def test_it_stops_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from changeover.sandbox.server import start\n"
        "server = start('1.18', Path(sys.argv[1])); print(server.url, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    url = parent.stdout.readline().decode().strip()
    assert httpx.get(url, trust_env=False).status_code == 200
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while _answers(url):
        assert time.monotonic() < deadline, "the server outlived its parent"


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=1.0).is_success
    except httpx.TransportError:
        return False
