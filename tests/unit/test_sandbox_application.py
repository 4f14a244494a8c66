"""The demo's application and world, against a collection in memory that refuses what a server refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from changeover.errors import UnreachableError, UsageError
from changeover.sandbox import corpus, world
from changeover.sandbox.application import Stats, read_stats, replace
from changeover.sandbox.client import Client, Deploy, RequestFailed, Speaks, offered, usable

OLD, NEW = Speaks("old", "text", 2), Speaks("new", "text", 3)


class Cluster:
    """Collections as dicts: {name: {"vectors": {...}, "points": {id: point}}}, and aliases."""

    def __init__(self) -> None:
        self.collections: dict[str, dict[str, Any]] = {}
        self.aliases: dict[str, str] = {}
        self.requests: list[str] = []
        self.broken: dict[str, int] = {}
        """A path's ending -> status to answer."""

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        path = path.partition("?")[0]
        self.requests.append(f"{method} {path}")
        for ending, status in self.broken.items():
            if path.endswith(ending):
                return status, "out of order"
        if path == "/collections/aliases":
            for action in body["actions"]:
                self.aliases[action["create_alias"]["alias_name"]] = action["create_alias"]["collection_name"]
            return 200, True
        _, _, name, *rest = path.split("/")
        if method == "PUT" and not rest:
            if name in self.collections:
                return 409, f"Wrong input: Collection `{name}` already exists!"
            self.collections[name] = {**body, "points": {}, "indexes": {}}
            return 200, True
        collection = self.collections.get(self.aliases.get(name, name))
        if collection is None:
            return 404, f"Not found: Collection `{name}` doesn't exist!"
        return self._inside(collection, method, "/".join(rest), body)

    def _inside(self, collection: dict[str, Any], method: str, what: str, body: Any) -> tuple[int, Any]:
        points = collection["points"]
        sizes = offered({"config": {"params": collection}})
        completed = {"operation_id": 1, "status": "completed"}
        if what == "":
            return 200, {"config": {"params": {"vectors": collection["vectors"]}}}
        if what == "index":
            collection["indexes"][body["field_name"]] = body["field_schema"]
            return 200, completed
        if what == "points/scroll":
            rows = [{"id": i, "payload": dict(p["payload"])} for i, p in list(points.items())]
            return 200, {"points": rows, "next_page_offset": None}
        if what == "points/query":
            using = body.get("using", "")
            if sizes.get(using) != len(body["query"]):
                return 400, f"Wrong input: Vector dimension error or unknown name: {using}"
            return 200, {"points": [{"id": i, "version": 0, "score": 0.5} for i in list(points)[: body["limit"]]]}
        if what == "points" and method == "PUT":
            for point in body["points"]:
                vector = point["vector"]
                named = vector if isinstance(vector, dict) else {"": vector}
                if any(sizes.get(name) != len(numbers) for name, numbers in named.items()):
                    return 400, "Wrong input: Vector dimension error"
            points.update((point["id"], point) for point in body["points"])
        elif what == "points/payload":
            for i in body["points"]:
                points[i]["payload"].update(body["payload"])
        elif what == "points/delete":
            for i in body["points"]:
                points.pop(i, None)
        else:
            return 404, "no such call"
        return 200, completed

    def client(self, deploy: Deploy) -> Client:
        def handler(request: httpx.Request) -> httpx.Response:
            body = json.loads(request.content) if request.content else None
            path = request.url.path + (f"?{request.url.query.decode()}" if request.url.query else "")
            status, result = self.answer(request.method, path, body)
            return httpx.Response(status, json={"result": result} if status == 200 else {"status": {"error": result}})

        http = httpx.Client(base_url="http://cluster.test", transport=httpx.MockTransport(handler))
        return Client(http, "docs", deploy, Sizes())


class Sizes:
    """Vectors of the right size without a model."""

    def document(self, way: Speaks, text: str) -> list[float]:
        return [1.0] * (2 if way.model == "old" else 3)

    query = document


@pytest.fixture
def cluster() -> Cluster:
    """`docs` is an alias of v1 (size 2); v2 (size 3) holds one point."""
    made = Cluster()
    for name, size in (("v1", 2), ("v2", 3)):
        made.answer("PUT", f"/collections/{name}", {"vectors": {"text": {"size": size, "distance": "Cosine"}}})
    made.aliases["docs"] = "v1"
    made.collections["v2"]["points"][7] = {"id": 7, "payload": {}}
    made.requests.clear()
    return made


def test_a_client_ready_for_both_lives_through_an_alias_swap(cluster: Cluster) -> None:
    client = cluster.client(Deploy((OLD, NEW)))
    client.put(1, {"text": "a"})
    assert client.search("q")[0] == [1]
    cluster.requests.clear()
    cluster.aliases["docs"] = "v2"
    found, seconds = client.search("q")
    assert (found, client.searching_with) == ([7], "new")
    assert seconds >= 0
    query = "POST /collections/docs/points/query"
    assert cluster.requests == [query, "GET /collections/docs", query]
    cluster.aliases["docs"] = "v1"
    client.put(2, {"text": "b"})
    assert cluster.collections["v1"]["points"][2]["vector"] == {"text": [1.0, 1.0]}


def test_a_client_of_the_old_model_alone_fails_after_the_swap(cluster: Cluster) -> None:
    client = cluster.client(Deploy((OLD, NEW), prefer="old"))
    client.search("q")
    cluster.aliases["docs"] = "v2"
    with pytest.raises(RequestFailed, match=r"none of this application's vectors; it has text \(3\)"):
        client.search("q")


def test_one_retry_and_no_more(cluster: Cluster) -> None:
    client = cluster.client(Deploy((OLD,)))
    client.search("q")
    cluster.requests.clear()
    cluster.broken["/points/query"] = 400
    with pytest.raises(RequestFailed, match=r"400 .*out of order"):
        client.search("q")
    assert len(cluster.requests) == 3
    cluster.requests.clear()
    cluster.broken["/points/query"] = 503
    with pytest.raises(RequestFailed, match="503"):
        client.search("q")
    assert len(cluster.requests) == 1


def test_every_spoken_vector_that_exists_is_written(cluster: Cluster) -> None:
    both = {"a": 2, "b": 3}
    old, new = Speaks("old", "a", 2), Speaks("new", "b", 3)
    assert usable(Deploy((old, new)), both) == (old, new)
    assert usable(Deploy((old, new), prefer="new"), both) == (new, old)
    assert usable(Deploy((old, new), prefer="old"), both) == (old,)
    assert usable(Deploy((old, new)), {"a": 2}) == (old,)
    assert usable(Deploy((old, new)), {"a": 3, "b": 2}) == ()
    cluster.collections["v1"]["vectors"] = {"a": {"size": 2}, "b": {"size": 3}}
    client = cluster.client(Deploy((old, new), prefer="new"))
    client.put(1, {"text": "t"})
    assert set(cluster.collections["v1"]["points"][1]["vector"]) == {"a", "b"}
    client.search("q")
    assert client.searching_with == "new"


def test_the_unnamed_vector_is_written_as_a_list(cluster: Cluster) -> None:
    cluster.collections["v1"]["vectors"] = {"size": 2, "distance": "Cosine"}
    client = cluster.client(Deploy((Speaks("old", "", 2),)))
    client.put(1, {"text": "t"})
    assert cluster.collections["v1"]["points"][1]["vector"] == [1.0, 1.0]
    client.set_payload(1, {"seen": 1})
    assert client.scroll() == {1: {"text": "t", "seen": 1}}
    client.delete(1)
    assert client.scroll() == {}


def test_a_write_that_is_not_completed_is_a_failure() -> None:
    def waits(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"result": {"operation_id": 1, "status": "wait_timeout"}})

    http = httpx.Client(base_url="http://cluster.test", transport=httpx.MockTransport(waits))
    with pytest.raises(RequestFailed, match="wait_timeout, not completed"):
        Client(http, "docs", Deploy((OLD,)), Sizes()).delete(1)


@pytest.fixture
def served() -> Iterator[tuple[Cluster, str]]:
    cluster = Cluster()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            with lock:
                status, result = cluster.answer(self.command, self.path, body)
            content = json.dumps({"result": result} if status == 200 else {"status": {"error": result}}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield cluster, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_world_is_built_the_same_way_and_refuses_to_build_twice(
    served: tuple[Cluster, str], tmp_path: Path
) -> None:
    cluster, url = served
    built = world.build(url, "1.18", tmp_path, limit=40)
    collection = cluster.collections["docs_v1"]
    assert cluster.aliases == {"docs": "docs_v1"}
    assert len(collection["points"]) == built.points == 40
    assert collection["vectors"] == {"text": {"size": 256, "distance": "Cosine"}}
    assert collection["indexes"] == world.INDEXES
    assert built == world.describe(url, "1.18", tmp_path, 40, "upgrade")
    assert built.queries_file.read_text().count("\n") > 10
    assert msgspec.json.decode(built.deploy_file.read_bytes(), type=Deploy) == built.before
    assert built.answers.model is not None and built.answers.model.name == built.after.speaks[-1].model
    with pytest.raises(UsageError, match=r"409: .*already exists"):
        world.build(url, "1.18", tmp_path, limit=40)
    with pytest.raises(UnreachableError, match="ConnectError"):
        world.build("http://127.0.0.1:1", "1.18", tmp_path, limit=40)


def wait_for(path: Path, condition: Callable[[Stats], bool]) -> Stats:
    """The first statistics that meet the condition."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        stats = read_stats(path)
        if stats and condition(stats):
            return stats
        time.sleep(0.02)
    raise AssertionError(f"never came true; last: {read_stats(path)}")


def test_the_application_searches_writes_deploys_and_stops(served: tuple[Cluster, str], tmp_path: Path) -> None:
    cluster, url = served
    built = world.build(url, "1.18", tmp_path, limit=60)
    only_old = Deploy((Speaks("wordllama", "text", 256),))
    replace(built.deploy_file, msgspec.json.encode(only_old))
    command = built.application(sys.executable, rate=200, writes=150)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        stats = wait_for(built.stats_file, lambda s: s.searches > 50 and s.deletes > 2 and s.payload_edits > 2)
        assert (stats.failed_searches, stats.failed_writes, stats.deployments) == (0, 0, 1)
        assert stats.searching_with == "wordllama"
        assert stats.p50 is not None
        assert stats.p95 is not None
        assert 0 < stats.p50 <= stats.p95

        cluster.broken["/points/query"] = 503
        wait_for(built.stats_file, lambda s: s.failed_searches > 0 and "503" in s.last_error)
        del cluster.broken["/points/query"]

        replace(built.deploy_file, b'{"speaks": []}')
        stats = wait_for(built.stats_file, lambda s: "names no model" in s.last_error)
        assert stats.deploy == only_old
        paused = msgspec.structs.replace(only_old, writes=False)
        replace(built.deploy_file, msgspec.json.encode(paused))
        wait_for(built.stats_file, lambda s: s.deploy == paused and not s.writing)
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    stats = wait_for(built.stats_file, lambda s: s.stopped)
    assert stats.failed_writes == 0

    expected = corpus.documents(60)
    account = {document.id: document.payload() for document in expected}
    lines = [json.loads(line) for line in built.log_file.read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    for line in lines:
        account.pop(line["id"], None)
        if line["payload"] is not None:
            account[line["id"]] = line["payload"]
    points = cluster.collections["docs_v1"]["points"]
    assert {i: point["payload"] for i, point in points.items()} == account
    assert stats.inserts + stats.edits + stats.payload_edits + stats.deletes + stats.reinserts == len(lines)


def test_a_bad_start_is_one_line(tmp_path: Path) -> None:
    deploy = tmp_path / "deploy.json"
    deploy.write_text('{"speaks": [{"model": "wordllama"}]}')
    flags = ["--url", "http://127.0.0.1:1", "--name", "docs", "--deploy", str(deploy), "--stats", str(tmp_path / "s")]
    command = [sys.executable, "-m", "changeover.sandbox.application", *flags]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "is not a deploy file" in done.stderr
    assert done.stderr.count("\n") == 1
