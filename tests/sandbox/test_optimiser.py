"""The optimiser works beside a large collection: everything goes on, and nothing that was written meanwhile is lost."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from changeover.sandbox.server import SandboxServer, start
from tests.sandbox.conftest import client

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="holds the optimiser's process, found in /proc")

SIZE = 32
POINTS = 3000
PATH = "/collections/big"


def vector(seed: int) -> list[float]:
    """A repeatable vector; whole numbers, which 32-bit floats keep exactly."""
    numbers = random.Random(seed)
    return [float(numbers.randint(-9, 9)) for _ in range(SIZE)]


def ok(response: httpx.Response) -> Any:
    """The result of an answer that must be 200."""
    assert response.status_code == 200, response.text
    return response.json()["result"]


def fill(server: SandboxServer, http: httpx.Client, count: int = POINTS) -> None:
    """A collection of `count` points whose optimiser waits until `server.settings()`."""
    server.settings(quiet_s=600)
    params = {"vectors": {"old": {"size": SIZE, "distance": "Dot"}}, "optimizers_config": {"indexing_threshold": 100}}
    ok(http.put(PATH, json=params))
    for first in range(0, count, 1000):
        points = [{"id": n, "vector": {"old": vector(n)}, "payload": {"n": n}} for n in range(first, first + 1000)]
        ok(http.put(f"{PATH}/points?wait=true", json={"points": points}))


def colour(http: httpx.Client) -> str:
    status: str = ok(http.get(PATH))["status"]
    return status


def wait_green(http: httpx.Client) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while colour(http) != "green":
        assert time.monotonic() < deadline, "the collection did not turn green"
        time.sleep(0.02)
    info: dict[str, Any] = ok(http.get(PATH))
    return info


@contextlib.contextmanager
def held(server: SandboxServer) -> Iterator[None]:
    """Let the optimiser start, and hold its process still inside the `with` block."""
    server.settings(optimised_from=10**6)
    deadline = time.monotonic() + 30
    while not (working := _optimisers(server.pid)):
        assert time.monotonic() < deadline, "no optimiser started"
        time.sleep(0.005)
    os.kill(working[0], signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(working[0], signal.SIGCONT)


def _optimisers(parent: int) -> list[int]:
    """Children that run the optimiser; one that has only been forked does not yet, and its parent waits for it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            ours = int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == parent
            if ours and b"server.optimiser" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def shards(folder: Path) -> list[Path]:
    return list(folder.glob("collections/*/shard*"))


def stored(http: httpx.Client) -> dict[Any, Any]:
    """Every point by id: vectors and payload."""
    found: dict[Any, Any] = {}
    offset = None
    while True:
        body = {"limit": 2000, "offset": offset, "with_payload": True, "with_vector": True}
        page = ok(http.post(f"{PATH}/points/scroll", json=body))
        found |= {one["id"]: (one["vector"], one["payload"]) for one in page["points"]}
        offset = page["next_page_offset"]
        if offset is None:
            return found


def test_searches_are_answered_while_the_index_is_built() -> None:
    """The core alone would answer nothing until it is done: the longest wait would be as long as the index takes."""
    with start("1.18") as server, client(server) as http:
        fill(server, http, 12_000)
        assert (colour(http), ok(http.get(PATH))["indexed_vectors_count"]) == ("yellow", 0)
        server.settings(quiet_s=0)
        began = asked = time.monotonic()
        longest = 0.0
        while colour(http) == "yellow":
            ok(http.post(f"{PATH}/points/query", json={"query": vector(1), "using": "old", "limit": 3}))
            longest, asked = max(longest, time.monotonic() - asked), time.monotonic()
        longest = max(longest, time.monotonic() - asked)
        assert longest < (asked - began) / 3
        assert ok(http.get(PATH))["indexed_vectors_count"] == 12_000


def test_what_is_written_during_a_build_is_there_after_it_and_after_kill_9(tmp_path: Path) -> None:
    """Edits, inserts, deletes, payloads, an index, a new vector and its guarded backfill, all while the child works."""
    expected: dict[Any, Any] = {n: ({"old": vector(n)}, {"n": n}) for n in range(POINTS)}
    with start("1.18", tmp_path) as server, client(server) as http:
        fill(server, http)
        with held(server):
            edited = [{"id": n, "vector": {"old": vector(-n)}, "payload": {"e": n}} for n in range(100, 300)]
            added = [{"id": POINTS + n, "vector": {"old": vector(n)}, "payload": {}} for n in range(300)]
            ok(http.put(f"{PATH}/points?wait=true", json={"points": edited + added}))
            ok(http.post(f"{PATH}/points/delete?wait=true", json={"points": list(range(50))}))
            ok(http.post(f"{PATH}/points/payload?wait=true", json={"payload": {"p": 1}, "points": [60, 61]}))
            ok(http.put(f"{PATH}/index?wait=true", json={"field_name": "n", "field_schema": "integer"}))
            ok(http.put(f"{PATH}/vectors/new?wait=true", json={"dense": {"size": 2, "distance": "Dot"}}))
            guard = {"must_not": [{"has_vector": "new"}]}
            for value in (1.0, 2.0):
                points = [{"id": n, "vector": {"new": [value, n]}} for n in range(1000, 1500)]
                ok(http.put(f"{PATH}/points/vectors?wait=true", json={"points": points, "update_filter": guard}))
            expected |= {one["id"]: (one["vector"], one["payload"]) for one in edited + added}
            for gone in range(50):
                del expected[gone]
            expected |= {n: ({"old": vector(n)}, {"n": n, "p": 1}) for n in (60, 61)}
            expected |= {n: ({"old": vector(n), "new": [1.0, n]}, {"n": n}) for n in range(1000, 1500)}
            assert stored(http) == expected
        info = wait_green(http)
        assert info["indexed_vectors_count"] >= POINTS - 300
        assert stored(http) == expected
        assert len(shards(tmp_path)) == 1
        assert info["payload_schema"]["n"]["data_type"] == "integer"
        server.kill()
    with start("1.18", tmp_path) as again, client(again) as http:
        assert stored(http) == expected


def test_kill_9_during_a_build_loses_nothing_and_leaves_no_rubbish(tmp_path: Path) -> None:
    with start("1.18", tmp_path) as server, client(server) as http:
        fill(server, http)
        with held(server):
            ok(http.post(f"{PATH}/points/delete?wait=true", json={"points": [7]}))
            server.kill()
    with start("1.18", tmp_path) as again, client(again) as http:
        assert ok(http.post(f"{PATH}/points/count", json={}))["count"] == POINTS - 1
        ok(http.patch(PATH, json={"optimizers_config": {"indexing_threshold": 90}}))
        assert wait_green(http)["indexed_vectors_count"] >= POINTS - 1
        assert len(shards(tmp_path)) == 1


def test_an_update_refused_half_way_during_a_build_stays_as_it_was_seen(tmp_path: Path) -> None:
    """Which part of the batch was written is chance; neither the optimiser nor a restart throws the dice again."""
    with start("1.18", tmp_path) as server, client(server) as http:
        fill(server, http)
        with held(server):
            ids = [*range(1000, 1400), POINTS + 1]
            body = {"points": [{"id": n, "vector": {"old": [0.0] * SIZE}} for n in ids]}
            assert http.put(f"{PATH}/points/vectors?wait=true", json=body).status_code == 404
            seen = stored(http)
        assert sum(not any(one["old"]) for one, _ in seen.values()) in {*range(31, 400, 32), 400}
        assert wait_green(http)["indexed_vectors_count"] > 0
        assert stored(http) == seen
        server.kill()
    with start("1.18", tmp_path) as again, client(again) as http:
        assert stored(http) == seen


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_collection_can_be_changed_or_deleted_during_a_build(tmp_path: Path, method: str) -> None:
    with start("1.19", tmp_path) as server, client(server) as http:
        fill(server, http)
        with held(server):
            if method == "DELETE":
                assert ok(http.delete(PATH)) is True
                assert http.get(PATH).status_code == 404
                fill(server, http)
            else:
                ok(http.patch(PATH, json={"quantization_config": {"scalar": {"type": "int8"}}}))
        server.settings()
        assert wait_green(http)["indexed_vectors_count"] == POINTS
        assert len(stored(http)) == POINTS
        assert len(shards(tmp_path)) == 1


def test_an_optimiser_that_fails_turns_the_collection_red_until_one_succeeds(tmp_path: Path) -> None:
    with start("1.18", tmp_path) as server, client(server) as http:
        fill(server, http)
        with held(server):
            os.kill(_optimisers(server.pid)[0], signal.SIGKILL)
        deadline = time.monotonic() + 30
        while colour(http) != "red":
            assert time.monotonic() < deadline
        assert "optimiser ended" in ok(http.get(PATH))["optimizer_status"]["error"]
        assert len(stored(http)) == POINTS
        ok(http.patch(PATH, json={"optimizers_config": {"indexing_threshold": 90}}))
        deadline = time.monotonic() + 30
        while colour(http) != "green":
            assert time.monotonic() < deadline
        assert ok(http.get(PATH))["optimizer_status"] == "ok"
        assert len(shards(tmp_path)) == 1


def test_a_patch_that_the_core_refuses_leaves_the_collection_as_it_was(tmp_path: Path) -> None:
    with start("1.18", tmp_path) as server, client(server) as http:
        ok(http.put(PATH, json={"vectors": {"size": 2, "distance": "Dot"}}))
        ok(http.put(f"{PATH}/points?wait=true", json={"points": [{"id": 1, "vector": [1, 2]}]}))
        before = ok(http.get(PATH))["config"]
        for wrong in ({"hnsw_config": {"m": "many"}}, {"hnsw_config": {"m": -1}}):
            refused = http.patch(PATH, json=wrong)
            assert refused.status_code == 400
            assert refused.json()["status"]["error"].startswith("Format error in JSON body: ")
        assert ok(http.get(PATH))["config"] == before
        assert ok(http.post(f"{PATH}/points/count", json={}))["count"] == 1
