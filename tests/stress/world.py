"""A collection of every shape, a random writer that remembers what was acknowledged, and a searcher; no engine in it."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np

WORDS = [
    "alias",
    "anchor",
    "backfill",
    "batch",
    "branch",
    "bridge",
    "canary",
    "carry",
    "catch",
    "cluster",
    "collection",
    "convert",
    "copy",
    "count",
    "cut",
    "cutover",
    "deadline",
    "dense",
    "deploy",
    "drift",
    "embed",
    "engine",
    "epoch",
    "field",
    "filter",
    "gate",
    "graph",
    "green",
    "hash",
    "hybrid",
    "index",
    "insert",
    "journal",
    "key",
    "ledger",
    "lease",
    "limit",
    "load",
    "match",
    "memory",
    "merge",
    "model",
    "named",
    "neighbour",
    "node",
    "optimizer",
    "page",
    "payload",
    "peer",
    "plan",
    "point",
    "quota",
    "range",
    "rank",
    "rate",
    "read",
    "recall",
    "replica",
    "request",
    "resume",
    "rollback",
    "sample",
    "score",
    "search",
    "segment",
    "shard",
    "slice",
    "sparse",
    "stale",
    "stream",
    "swap",
    "sweep",
    "target",
    "text",
    "token",
    "update",
    "vector",
    "verify",
    "window",
    "wire",
    "write",
]
DENSE, IMAGE, LATE = 16, 4, 3
VECTORS: dict[str, Any] = {
    "old": {"size": DENSE, "distance": "Cosine"},
    "image": {"size": IMAGE, "distance": "Dot"},
    "late": {"size": LATE, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}},
}
OPTIMIZERS = {"indexing_threshold": 500}
"""Not a default: the target must end with it too."""


class World:
    """`points`: id -> (payload, vectors) of every acknowledged write. One lock makes the writer's order the truth."""

    def __init__(self, url: str, name: str, *, points: int, seed: int) -> None:
        self.url, self.collection, self.alias = url, name, f"{name}_live"
        self.http = httpx.Client(base_url=url, timeout=120.0, trust_env=False)
        self.chance = random.Random(seed)
        self.points: dict[Any, tuple[dict[str, Any], dict[str, Any]]] = {}
        self.deleted: list[Any] = []
        self.writes = 0
        self.searches = self.failed = 0
        self.said: list[str] = []
        self.pause_s = 0.12
        """Between two writes; a machine that is busy with other things needs longer to keep up with them."""
        self._stop, self._paused, self._lock = threading.Event(), threading.Event(), threading.Lock()
        self._searching = threading.Lock()
        self._threads: list[threading.Thread] = []
        sparse: dict[str, Any] = {"words": {}}
        body = {"vectors": VECTORS, "sparse_vectors": sparse, "optimizers_config": OPTIMIZERS}
        self.send("PUT", f"/collections/{name}", body)
        for field, schema in (("module", "keyword"), ("n", {"type": "integer", "range": True, "lookup": False})):
            self.send("PUT", f"/collections/{name}/index?wait=true", {"field_name": field, "field_schema": schema})
        self.send("PUT", f"/collections/{name}_other", body)
        self.point_at(name)
        ids = [self.new_id() for _ in range(points)]
        for begin in range(0, points, 50):
            self.upsert({i: (self.payload(), self.vectors()) for i in ids[begin : begin + 50]})
        some = ids[0]
        self.upsert({some: ({}, {"old": self.dense(DENSE)})})
        self.upsert({ids[1]: ({**self.payload(), "big": "x" * 1_000_000}, self.vectors())})

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """One request; fails on anything but success."""
        try:
            answer = self.http.request(method, path, json=body)
        except httpx.RemoteProtocolError:  # the connection is that of a server that was killed since
            answer = self.http.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer.json()["result"]

    def new_id(self) -> Any:
        """Anywhere in the id space."""
        if self.chance.random() < 0.3:
            return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))
        return self.chance.randrange(2 ** self.chance.choice([4, 10, 20, 40, 63]))

    def text(self) -> str:
        """A few words; now and then none."""
        if self.chance.random() < 0.05:
            return self.chance.choice(["", "  "])
        return " ".join(self.chance.choices(WORDS, k=self.chance.randrange(3, 12)))

    def payload(self) -> dict[str, Any]:
        """Text and a few other fields."""
        return {
            "text": self.text(),
            "module": self.chance.choice(WORDS),
            "n": self.chance.randrange(10**6),
            "nested": {"a": [1, None, "ü"], "score": self.chance.randrange(1000) / 8},
        }

    def dense(self, size: int) -> list[float]:
        """Numbers that float32 and JSON both keep."""
        return [float(np.float32(self.chance.gauss(0, 1))) for _ in range(size)]

    def vectors(self) -> dict[str, Any]:
        """All of a point's vectors, or most of them."""
        made: dict[str, Any] = {"old": self.dense(DENSE)}
        if self.chance.random() < 0.9:
            made["image"] = self.dense(IMAGE)
        if self.chance.random() < 0.8:
            made["late"] = [self.dense(LATE) for _ in range(self.chance.randrange(1, 4))]
        if self.chance.random() < 0.8:
            indices = sorted(self.chance.sample(range(1000), 4))
            made["words"] = {"indices": indices, "values": [abs(v) + 0.1 for v in self.dense(4)]}
        return made

    def upsert(self, points: dict[Any, tuple[dict[str, Any], dict[str, Any]]]) -> None:
        """Whole points to the old side by its own name."""
        rows = [{"id": i, "payload": payload, "vector": vectors} for i, (payload, vectors) in points.items()]
        self.send("PUT", f"/collections/{self.collection}/points?wait=true", {"points": rows})
        self.points |= points

    def write_once(self) -> None:
        """One random write of a kind that applications make."""
        kind = self.chance.choice(
            ["insert", "insert", "text", "text", "text", "payload", "set", "clear key", "image", "delete", "return"]
        )
        ids = sorted(self.points, key=str)
        some = self.chance.choice(ids)
        payload, vectors = self.points[some]
        path = f"/collections/{self.collection}/points"
        if kind == "insert":
            self.upsert({self.new_id(): (self.payload(), self.vectors()) for _ in range(self.chance.randrange(1, 4))})
        elif kind == "return" and self.deleted:
            self.upsert({self.deleted.pop(): (self.payload(), self.vectors())})
        elif kind == "text":
            self.upsert({some: ({**payload, "text": self.text()}, {**vectors, "old": self.dense(DENSE)})})
        elif kind == "payload":
            self.upsert({some: ({**payload, "n": self.chance.randrange(10**6)}, vectors)})
        elif kind == "set":
            new = {"text": self.text()} if self.chance.random() < 0.3 else {"n": self.chance.randrange(10**6)}
            self.send("POST", f"{path}/payload?wait=true", {"points": [some], "payload": new})
            self.points[some] = ({**payload, **new}, vectors)
        elif kind == "clear key" and "nested" in payload:
            self.send("POST", f"{path}/payload/delete?wait=true", {"points": [some], "keys": ["nested"]})
            self.points[some] = ({k: v for k, v in payload.items() if k != "nested"}, vectors)
        elif kind == "image":
            image = self.dense(IMAGE)
            body = {"points": [{"id": some, "vector": {"image": image}}]}
            self.send("PUT", f"{path}/vectors?wait=true", body)
            self.points[some] = (payload, {**vectors, "image": image})
        elif kind == "delete" and len(ids) > 40:
            self.send("POST", f"{path}/delete?wait=true", {"points": [some]})
            del self.points[some]
            self.deleted.append(some)
        self.writes += 1

    def point_at(self, collection: str) -> None:
        """Let the application's name stand for that collection."""
        action = {"create_alias": {"collection_name": collection, "alias_name": self.alias}}
        self.send("POST", "/collections/aliases", {"actions": [action]})

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """Somebody else has the name stand for a collection of theirs, and takes that back where it still does."""
        self.point_at(f"{self.collection}_other")
        try:
            yield
        finally:
            now = {entry["alias_name"]: entry["collection_name"] for entry in self.send("GET", "/aliases")["aliases"]}
            assert now[self.alias] == f"{self.collection}_other", f"the name was taken from others: {now}"
            self.point_at(self.collection)

    def write_late(self) -> None:
        """A write from outside the writer's own thread."""
        with self._lock:
            self.write_once()

    def _write(self) -> None:
        if not self._paused.is_set():
            with self._lock:
                self.write_once()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody writes or searches, and nothing is on its way, while the server is away."""
        with self._lock, self._searching:
            yield

    def pause(self) -> None:
        """No more writes, searches go on."""
        with self._lock:
            self._paused.set()

    def start(self) -> None:
        """Writer and searcher, until `stop`."""
        for work in (self._write, self._search):
            thread = threading.Thread(target=self._on, args=(work,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End both after what they have in hand; fails when one of them died."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()
        assert not self.said, self.said[:3]

    def _on(self, work: Any) -> None:
        try:
            while not self._stop.is_set():
                work()
                time.sleep(self.pause_s)
        except Exception as error:
            self.said.append(f"{type(error).__name__}: {error}")

    def _search(self) -> None:
        # A build that asks for what both sides have, as an application does that is ready for the cutover.
        body = {"query": [0.1] * IMAGE, "using": "image", "limit": 3}
        client = httpx.Client(base_url=self.url, timeout=60.0, trust_env=False)
        with client:
            while not self._stop.is_set():
                with self._searching:
                    self.searches += 1
                    if not self._searched(client, body):
                        self.failed += 1
                time.sleep(0.05)

    def _searched(self, client: httpx.Client, body: Any) -> bool:
        path = f"/collections/{self.alias}/points/query"
        try:
            return client.post(path, json=body).is_success
        except httpx.TransportError:  # the connection is that of a server that was killed since
            return client.post(path, json=body).is_success

    def stored(self, collection: str) -> dict[Any, dict[str, Any]]:
        """Every point of a collection with payload and vectors."""
        found: dict[Any, dict[str, Any]] = {}
        body: dict[str, Any] = {"limit": 250, "with_payload": True, "with_vector": True}
        while True:
            page = self.send("POST", f"/collections/{collection}/points/scroll", body)
            found.update({row["id"]: row for row in page["points"]})
            if page["next_page_offset"] is None:
                return found
            body["offset"] = page["next_page_offset"]

    def close(self, *more: str) -> None:
        """Remove everything from the server."""
        self._stop.set()
        self.http.post("/collections/aliases", json={"actions": [{"delete_alias": {"alias_name": self.alias}}]})
        for collection in (self.collection, f"{self.collection}_other", *more):
            self.http.delete(f"/collections/{collection}")
        self.http.close()
