"""A cluster in memory behind the Wire and Gateway seams, an embedder by hash, and a context made of them."""

from __future__ import annotations

import copy
import hashlib
import itertools
import random
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from changeover import seals
from changeover.cluster.api import Column, Hit, Optimizations, Point, SparseValue
from changeover.cluster.errors import Action, ClusterError
from changeover.decision.answers import Answers
from changeover.embed.model import ModelSpec
from changeover.engine import state as run_state
from changeover.engine.context import Context
from changeover.engine.folder import RunFolder
from changeover.engine.journal import Journal
from changeover.engine.ledger import Ledger
from changeover.engine.meter import Meter
from changeover.engine.recipe import entry
from changeover.engine.throttle import Throttle
from changeover.ids import id_key
from changeover.plan import model as pm
from changeover.survey.model import PointId

DIMENSION = 8


def vector_of(text: str) -> np.ndarray:
    """The vector that the fake model gives a text: unit length, a different one for each text."""
    seed = int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big")
    value = np.random.default_rng(seed).normal(size=DIMENSION).astype(np.float32)
    return value / np.linalg.norm(value)


class HashEmbedder:
    """Embeds by hash; texts that contain "poison" come back as NaN."""

    dimension = DIMENSION
    max_tokens = None
    fingerprint: Any = None

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        rows = [np.full(DIMENSION, np.nan, dtype=np.float32) if "poison" in t else vector_of(t) for t in texts]
        return np.array(rows, dtype=np.float32).reshape(len(texts), DIMENSION)

    def embed_query(self, text: str) -> np.ndarray:
        return vector_of(text)

    def count_tokens(self, texts: Sequence[str]) -> int:
        return sum(len(t.split()) for t in texts)

    def close(self) -> None:
        pass


class MemoryPage:
    """A page whose rows were copied when it was read."""

    def __init__(self, rows: list[tuple[PointId, dict[str, Any], dict[str, Any]]], following: PointId | None) -> None:
        self._rows = rows
        self.ids = [row[0] for row in rows]
        self.next = following

    def payload(self, row: int) -> dict[str, Any]:
        return self._rows[row][1]

    def has_vector(self, row: int, name: str) -> bool:
        return name in self._rows[row][2]

    def vector(self, row: int, name: str) -> Any:
        return self._rows[row][2].get(name)


class Collections(dict[str, dict[PointId, tuple[dict[str, Any], dict[str, Any]]]]):
    """Name -> points for the tests; called, as a gateway's method is, the names."""

    async def __call__(self) -> tuple[str, ...]:
        return tuple(self)


class MemoryCluster:
    """Collections of {id: (payload, vectors)} with just the filters that the engine sends. Thread-safe.

    `faults` are (probability, error, applied): writes and scrolls fail that often; `applied` says whether a failed
    write took effect all the same.
    """

    transport = "memory"

    def __init__(self, seed: int = 0) -> None:
        self.collections = Collections()
        self.aliases_now: dict[str, str] = {}
        self.faults: list[tuple[float, ClusterError, bool]] = []
        self.largest_batch = 10_000
        self.indexed = False
        """An upsert over a point leaves what it does not name, as servers up to 1.18 do in indexed segments."""
        self.largest_text = 10_000
        self.seconds_per_point = 0.0
        self.sent: list[tuple[str, str, Any]] = []
        self.shard_keys: dict[str, list[int | str]] = {}
        """Custom sharding: collection -> keys. The points of a key are `collections[name, key]`."""
        self._shard: int | str | None = None
        self.inexact_counts: set[str] = set()
        self.color = "green"
        self.configured: dict[str, Any] = {}
        self._random = random.Random(seed)
        self.lock = threading.RLock()

    def of(self, shard_key: int | str) -> MemoryCluster:
        """The points of one shard key."""
        part = copy.copy(self)
        part._shard = shard_key
        return part

    def _points(self, name: str) -> dict[PointId, tuple[dict[str, Any], dict[str, Any]]]:
        if name not in self.shard_keys:
            return self.collections[name]
        if self._shard not in self.shard_keys[name]:
            raise ClusterError("Wrong input: Shard key not specified", Action.STOP, status=400)
        return self.collections[f"{name} {self._shard!r}"]

    def _maybe_fail(self, *, before: bool) -> None:
        for probability, error, applied in self.faults:
            if applied is not before and self._random.random() < probability:
                raise error

    def _matches(self, point_id: PointId, vectors: Mapping[str, Any], chosen: dict[str, Any] | None) -> bool:
        for condition in (chosen or {}).get("must", []):
            if "has_id" in condition and point_id not in condition["has_id"]:
                return False
            if "has_vector" in condition and condition["has_vector"] not in vectors:
                return False
        return all(c["has_vector"] not in vectors for c in (chosen or {}).get("must_not", []))

    # the Wire

    def scroll(
        self,
        name: str,
        *,
        start: PointId | None,
        limit: int,
        payload: bool | Sequence[str] = True,
        vectors: Sequence[str] = (),
        filter: dict[str, Any] | None = None,
    ) -> MemoryPage:
        if limit < 1:
            raise ClusterError("limit: value 0 invalid, must be 1 or larger", Action.STOP, status=422)
        self._maybe_fail(before=True)
        with self.lock:
            points = self._points(name)
            low = id_key(start) if start is not None else b""
            ids = sorted(
                (i for i, p in points.items() if id_key(i) >= low and self._matches(i, p[1], filter)), key=id_key
            )
            rows = [
                (i, dict(points[i][0]), {n: v for n, v in points[i][1].items() if n in vectors}) for i in ids[:limit]
            ]
            return MemoryPage(rows, ids[limit] if len(ids) > limit else None)

    def upsert(
        self,
        name: str,
        page: Any,
        rows: Sequence[int],
        new: Mapping[str, Column],
        *,
        carry: Mapping[str, str] | None = None,
        insert_only: bool = False,
    ) -> None:
        self._write_checks(len(rows))
        if any(len(str(page.payload(row).get("text"))) > self.largest_text for row in rows):
            raise ClusterError("JSON payload is larger than allowed (limit: 33554432 bytes).", Action.SPLIT, status=400)
        time.sleep(self.seconds_per_point * len(rows))
        with self.lock:
            for position, row in enumerate(rows):
                point_id = page.ids[row]
                if insert_only and point_id in self._points(name):
                    continue
                vectors = {target: page.vector(row, source) for source, target in (carry or {}).items()}
                vectors = {n: v for n, v in vectors.items() if v is not None}
                vectors |= stored(new, position)
                payload = dict(page.payload(row))
                if self.indexed and point_id in self._points(name):
                    before = self._points(name)[point_id]
                    payload, vectors = payload or before[0], before[1] | vectors
                self._points(name)[point_id] = (payload, vectors)
        self._maybe_fail(before=False)

    def update_vectors(
        self, name: str, ids: Sequence[PointId], new: Mapping[str, Column], *, only_absent: bool = False
    ) -> None:
        self._write_checks(len(ids))
        with self.lock:
            missing = [i for i in ids if i not in self._points(name)]
            for position, point_id in enumerate(ids):
                if point_id in missing or (missing and position % 2):
                    continue
                vectors = self._points(name)[point_id][1]
                if not (only_absent and new.keys() & vectors.keys()):
                    vectors |= stored(new, position)
        if missing:
            raise ClusterError(f"Not found: No point with id {missing[0]} found", Action.MISSING, status=404)
        self._maybe_fail(before=False)

    def delete(self, name: str, ids: Sequence[PointId]) -> None:
        self._write_checks(len(ids))
        with self.lock:
            for point_id in ids:
                self._points(name).pop(point_id, None)
        self._maybe_fail(before=False)

    def delete_vectors(self, name: str, ids: Sequence[PointId], vectors: Sequence[str]) -> None:
        self._write_checks(len(ids))
        with self.lock:
            for point_id in ids:
                if point_id in self._points(name):
                    for vector in vectors:
                        self._points(name)[point_id][1].pop(vector, None)
        self._maybe_fail(before=False)

    def clear_payload(self, name: str, ids: Sequence[PointId]) -> None:
        self._write_checks(len(ids))
        with self.lock:
            for point_id in ids:
                if point_id in self._points(name):
                    self._points(name)[point_id] = ({}, self._points(name)[point_id][1])

    def _write_checks(self, points: int) -> None:
        self._maybe_fail(before=True)
        if points > self.largest_batch:
            raise ClusterError(f"Limit exceeded {points} > {self.largest_batch}", Action.SPLIT, status=400)

    # the Gateway

    async def version(self) -> str:
        return "1.18.3"

    async def send(self, method: str, path: str, body: Any = None, *, timeout_s: float | None = None) -> Any:
        self.sent.append((method, path, body))
        name = path.split("/")[2] if path.count("/") > 1 else ""
        if path.endswith("/cluster"):
            keys = self.shard_keys[name]
            return {"local_shards": [{"shard_id": n, "shard_key": key} for n, key in enumerate(keys)]}
        if path.endswith("/shards"):
            self.add_key(name, body["shard_key"])
        if path.endswith("/shards/delete"):
            self.shard_keys[name].remove(body["shard_key"])
            del self.collections[f"{name} {body['shard_key']!r}"]
        for action in (body or {}).get("actions", []) if isinstance(body, dict) else []:
            self.aliases_now[action["create_alias"]["alias_name"]] = action["create_alias"]["collection_name"]
        return True

    def add_key(self, name: str, key: int | str) -> None:
        """Create a shard key; creating one again is an error, as on servers up to 1.19."""
        if key in self.shard_keys[name]:
            raise ClusterError(f"Shard key {key} already exists", Action.STOP, status=400)
        self.shard_keys[name].append(key)
        self.collections[f"{name} {key!r}"] = {}

    async def exists(self, name: str) -> bool:
        return name in self.collections

    async def aliases(self) -> dict[str, str]:
        return dict(self.aliases_now)

    async def collection(self, name: str) -> dict[str, Any]:
        vectors = {name: {"size": DIMENSION, "distance": "Cosine"} for name in ("old", "new")}
        vectors |= self.configured
        return {"config": {"params": {"vectors": vectors}}, "payload_schema": {}, "points_count": 0}

    async def count(self, name: str, filter: dict[str, Any] | None = None) -> int:
        parts = [self.of(key) for key in self.shard_keys[name]] if name in self.shard_keys else [self]
        return sum(len(part.scroll(name, start=None, limit=10**9, filter=filter).ids) for part in parts)

    async def sample(
        self, name: str, n: int, *, payload: Any = True, vectors: Any = False, shard_key: int | str | None = None
    ) -> list[Point]:
        part = self if shard_key is None else self.of(shard_key)
        page, points = part.scroll(name, start=None, limit=10**9), part._points(name)
        ids = random.Random(1).sample(page.ids, min(n, len(page.ids)))
        return [Point(id=i, payload=points[i][0], vectors=points[i][1]) for i in ids]

    async def search(self, name: str, vector: Sequence[float], **options: Any) -> list[Hit]:
        return []

    async def optimizations(self, name: str) -> Optimizations:
        return Optimizations(color=self.color, queued=0, running=0)

    def close(self) -> Any:
        return _Nothing()


def stored(new: Mapping[str, Column], position: int) -> dict[str, Any]:
    """What the server keeps of one point's new vectors, as REST answers it."""
    kept: dict[str, Any] = {}
    for name, column in new.items():
        value = entry(column, position)
        if isinstance(value, SparseValue):
            kept[name] = {"indices": value.indices.tolist(), "values": value.values.tolist()}
        elif value is not None:
            kept[name] = value.copy()
    return kept


class _Nothing:
    def __await__(self) -> Any:
        yield from ()


def slices(*cuts: PointId) -> tuple[pm.Slice, ...]:
    """Slices over the whole id space, cut at these ids."""
    edges: list[PointId | None] = [None, *cuts, None]
    return tuple(pm.Slice(number=n, start=a, end=b) for n, (a, b) in enumerate(itertools.pairwise(edges)))


TEXT_JOB: dict[str, Any] = {
    "target_vector": "new",
    "makes": (pm.FromText(vector="new", dimension=DIMENSION),),
    "model": ModelSpec(provider="sandbox", name="hash"),
    "dimension": DIMENSION,
    "template": "{text}",
}


def plan(mode: pm.Mode, parts: tuple[pm.Slice, ...], *, batch: int = 7, **job: Any) -> pm.Plan:
    """A small sealed plan: load, catch-up, verify, cutover, sweep."""
    blue_green = mode == "blue-green"
    request = pm.Request(
        method="POST",
        path="/collections/aliases",
        body={"actions": [{"create_alias": {"collection_name": "target", "alias_name": "app"}}]},
    )
    swap: pm.Step = (
        pm.SwapAlias(id="swap", title="Swap the alias", alias="app", expected="source", request=request)
        if blue_green
        else pm.SwitchApplication(id="swap", title="Switch the application", vector="new")
    )
    return seals.seal(
        pm.Plan(
            id="test-run",
            created_at="2026-01-01T00:00:00Z",
            changeover="0",
            route="blue-green" if blue_green else "in-place",
            job=pm.Job(
                access=pm.Access(url="http://127.0.0.1:1"),
                mode=mode,
                source="source",
                target="target" if blue_green else "source",
                name_in_use="app" if blue_green else "source",
                source_vector="old",
                batch=batch,
                **{**TEXT_JOB, **job},
            ),
            answers=Answers(),
            findings=(),
            steps=(
                pm.Load(id="load", title="Load", slices=parts),
                pm.CatchUp(id="catch-up", title="Catch up"),
                pm.WaitGreen(id="green", title="Wait for green", collection="target" if blue_green else "source"),
                pm.Verify(id="verify", title="Verify", sample=50),
                pm.AwaitCutover(id="await", title="Await the cutover", mode="when-ready", confirm="app"),
                swap,
                pm.Sweep(id="sweep", title="Sweep"),
            ),
            estimate=pm.Estimate(points=0, tokens=0, seconds=0, disk_bytes=0, memory_bytes=0),
            application="",
            fingerprint=pm.Fingerprint(version="1.18.3", collection="source", vectors={}, aliases={}, indexes={}),
        )
    )


def context(folder: Path, made: pm.Plan, cluster: MemoryCluster, encoder: Any = None) -> Context:
    """A context on the cluster in memory; close `journal` and `ledger` when done."""
    run = RunFolder.create(made, {}, folder)
    throttle = Throttle(made.job.batch, made.job.streams, made.job.rate)
    throttle.back_off = lambda seconds, reason: time.sleep(0)  # type: ignore[method-assign]
    return Context(
        folder=run,
        plan=made,
        journal=Journal(run.journal),
        ledger=Ledger(run.ledger),
        throttle=throttle,
        gateway=cluster,  # type: ignore[arg-type]
        wire=cluster,  # type: ignore[arg-type]
        meter=Meter(),
        accepted=frozenset(),
        begun_before=frozenset(),
        environ={},
        state=run_state.begin(made),
        open_encoder=lambda spec: encoder or HashEmbedder(),
    )


def close(ctx: Context) -> None:
    """Close the context's files."""
    ctx.journal.close()
    ctx.ledger.close()
