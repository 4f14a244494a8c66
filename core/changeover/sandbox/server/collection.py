"""One collection: a shard of the real core on disk, its configuration, and the work that the core does behind the scenes.

One lock a collection stands in front of every core call: the core's calls hold the interpreter anyway (measured on
qdrant-edge-py 0.9.0), so nothing is lost, and a shard can be reloaded without anybody seeing it closed. Optimising,
the one call that takes long, is done by a child process on a copy (see `optimiser`).
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import orjson
import qdrant_edge as edge

from changeover.sandbox.server import refusals, schema
from changeover.sandbox.server.optimiser import Build, described
from changeover.sandbox.server.strict import Bucket

OVERDUE_S = 10.0
"""The optimiser starts this long after the first write when writing never pauses."""
FLUSH_S = 5.0
"""The servers' flush interval. What was not flushed is in the core's write-ahead log and survives kill -9."""
KEPT_OPTIMIZATIONS = 16
AT_ONCE = 2000
"""Up to so many points the shard is optimised in place: quicker than a copy and a child process."""
LAST_UPDATES = 4
"""So few updates are repeated on an optimised copy while everybody waits; more than that while nobody does."""

T = TypeVar("T")


class Collection:
    """A collection that is open; every method is safe to call from any thread."""

    def __init__(self, directory: Path, state: schema.Document, shard: Any) -> None:
        self.directory = directory
        self.name: str = state["name"]
        self.config: schema.Document = state["config"]
        self.indexes: dict[str, schema.Document] = state["indexes"]
        self.completed: list[schema.Document] = []
        self.buckets: dict[str, Bucket] = {}
        self.lock = threading.RLock()
        self._folder: str = state.get("shard", "shard")
        self._shard = shard
        self._build: Build | None = None
        self._written = 0
        self._operation = 0
        self._first_write: float | None = None
        self._last_write = 0.0
        self._flushed = time.monotonic()
        self._unflushed = False
        self._reconfigured = False
        self._optimiser_error: str | None = None

    @classmethod
    def create(cls, root: Path, name: str, config: schema.Document) -> Collection:
        """A new, empty collection in a folder of its own under `root`."""
        directory = root / uuid.uuid4().hex
        (directory / "shard").mkdir(parents=True)
        shard = edge.EdgeShard.create(str(directory / "shard"), _core(config))
        collection = cls(directory, {"name": name, "config": config, "indexes": {}}, shard)
        collection._save()
        return collection

    @classmethod
    def load(cls, directory: Path) -> Collection:
        """A collection as it was left, also by kill -9; a vector name whose change was cut short is gone."""
        state = orjson.loads((directory / "collection.json").read_bytes())
        folder = state.get("shard", "shard")
        for other in directory.glob("shard*"):
            if other.name != folder:
                shutil.rmtree(other)
        shard = edge.EdgeShard.load(str(directory / folder))
        if state.get("unfinished"):
            shard.update(edge.UpdateOperation.delete_vector_name(state["unfinished"]))
            shard.flush()
        collection = cls(directory, state, shard)
        info = shard.info()
        collection._written = max(0, info.points_count - info.indexed_vectors_count)
        collection._save()
        return collection

    def read(self, call: Callable[[Any], T]) -> T:
        """Run a reading call on the core's shard; its refusals become the servers' answers."""
        with self.lock:
            try:
                return call(self._open())
            except refusals.Refused:
                raise
            except Exception as error:
                raise refusals.from_core(error) from error

    def update(self, operation: Any, points: int = 0) -> int:
        """Apply an update of the core, of so many points, and return its operation id."""
        with self.lock:
            try:
                self.read(lambda shard: shard.update(operation))
            except refusals.Refused:
                # Part of it may have been applied, and which part cannot be repeated on the copy.
                self._abandon()
                raise
            if self._build is not None and not self._build.abandoned:
                self._build.updates.append(operation)
            now = time.monotonic()
            self._first_write = self._first_write or now
            self._last_write = now
            self._unflushed = True
            self._written += points
            return self.next_operation()

    def next_operation(self) -> int:
        """The next operation id."""
        with self.lock:
            self._operation += 1
            return self._operation

    def points(self) -> int:
        """How many points there are."""
        count: int = self.read(lambda shard: shard.info().points_count)
        return count

    def reconfigure(self, config: schema.Document) -> None:
        """Take a PATCHed configuration: the shard is reloaded with it, and the optimiser looks at it soon."""
        core = _core(config)
        with self.lock:
            shard = self._open()
            self._abandon()
            shard.flush()
            shard.close()
            path = str(self.directory / self._folder)
            try:
                self._shard = edge.EdgeShard.load(path, core)
            except Exception as error:
                self._shard = edge.EdgeShard.load(path)
                raise refusals.from_core(error) from error
            self.config = config
            self._save()
            self._first_write = self._last_write = time.monotonic()
            self._reconfigured = True

    def remember(self, config: schema.Document) -> None:
        """Take a configuration that does not concern the core: metadata, strict mode, replication."""
        with self.lock:
            self.config = config
            self.buckets.clear()
            self._save()

    def change_vectors(self, name: str, config: schema.Document, operation: Any) -> int:
        """Add or delete a vector name; a crash in between leaves the collection without it, never in between."""
        with self.lock:
            added = operation is not None and name in {**schema.dense(config), **schema.sparse(config)}
            if not added:
                self.config = config
            self._save(unfinished=name)
            self._open().flush()
            applied = self.update(operation)
            self._open().flush()
            self.config = config
            self._save()
            return applied

    def change_index(self, field: str, shown: schema.Document | None, operation: Any) -> int:
        """Create (`shown` is what payload_schema says) or delete a payload index."""
        with self.lock:
            applied = self.update(operation)
            self.indexes.pop(field, None)
            if shown is not None:
                self.indexes[field] = shown
            self._save()
            return applied

    def info(self) -> schema.Document:
        """The result of `GET /collections/{c}`."""
        with self.lock:
            info = self.read(lambda shard: shard.info())
            payload_schema = {
                field: {**shown, "points": info.payload_schema[field].points if field in info.payload_schema else 0}
                for field, shown in self.indexes.items()
            }
            return {
                "status": "red" if self._optimiser_error else "yellow" if self._busy(info) else "green",
                "optimizer_status": {"error": self._optimiser_error} if self._optimiser_error else "ok",
                "indexed_vectors_count": info.indexed_vectors_count,
                "points_count": info.points_count,
                "segments_count": info.segments_count,
                "config": self.config,
                "payload_schema": payload_schema,
                "update_queue": {"length": 0},
            }

    def optimizations(self, wanted: set[str]) -> schema.Document:
        """The result of `GET /collections/{c}/optimizations`; `wanted` names the lists asked for with `?with=`."""
        with self.lock:
            info = self.read(lambda shard: shard.info())
            busy = self._busy(info)
            started = self._build.started if self._build is not None else time.time()
            segments = [
                {
                    "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.directory.name}/{number}")),
                    "points_count": info.points_count if number == 0 else 0,
                }
                for number in range(info.segments_count)
            ]
            answer: schema.Document = {
                "summary": {
                    "queued_optimizations": int(busy),
                    "queued_segments": len(segments) if busy else 0,
                    "queued_points": info.points_count if busy else 0,
                    "idle_segments": 0 if busy else len(segments),
                },
                "running": [described("optimizing", self._optimizer(), segments, started)] if busy else [],
            }
            lists = {"queued": [], "completed": self.completed, "idle_segments": [] if busy else segments}
            return answer | {name: found for name, found in lists.items() if name in wanted}

    def tend(self, quiet_s: float) -> None:
        """Flush, and optimise `quiet_s` seconds after the last write; called again and again by the housekeeper."""
        now = time.monotonic()
        with self.lock:
            if self._shard is None:
                return
            if self._first_write is not None and self._build is None:
                quiet = now - self._last_write >= quiet_s
                if quiet or now - self._first_write >= max(OVERDUE_S, quiet_s):
                    self._optimise()
            if self._unflushed and now - self._flushed >= FLUSH_S:
                self._shard.flush()
                self._flushed = now
                self._unflushed = False
            build = self._build
        if build is not None:
            self._finish(build)

    def close(self) -> None:
        """Flush and close the shard; later calls answer that the collection is gone."""
        with self.lock:
            if self._build is not None:
                self._abandon()
                self._build.discard()
            if self._shard is not None:
                self._shard.flush()
                self._shard.close()
                self._shard = None

    def delete(self) -> None:
        """Remove the collection for good; the state file goes first, so that a crash leaves only rubbish to sweep."""
        with self.lock:
            (self.directory / "collection.json").unlink()
            self.close()
            shutil.rmtree(self.directory, ignore_errors=True)

    def _open(self) -> Any:
        if self._shard is None:
            raise refusals.no_collection(self.name)
        return self._shard

    def _busy(self, info: Any) -> bool:
        """Whether the optimiser works or has to: a new configuration, or more written than the indexing threshold.

        The core's count of indexed vectors says nothing once a second vector is backfilled (measured on servers too).
        """
        if self._build is not None:
            return True
        if self._first_write is None:
            return False
        threshold = self.config["optimizer_config"]["indexing_threshold"] or 0
        widest = max((parameters["size"] for parameters in schema.dense(self.config).values()), default=0)
        unindexed_kb = min(info.points_count, self._written) * widest * 4 / 1024
        return self._reconfigured or bool(threshold and unindexed_kb > threshold)

    def _optimise(self) -> None:
        """Optimise a small shard at once, start a child for a large one that needs it, leave the others alone."""
        info = self._shard.info()
        busy = self._busy(info)
        started = time.time()
        self._first_write = None
        if info.points_count <= AT_ONCE:
            try:
                self._shard.optimize()
                failure = None
            except Exception as error:
                # The core has one class for all its failures; a server turns red with the text and goes on.
                failure = str(error)
            self._note(failure, info.points_count if busy else 0, started)
            self._reconfigured = False
            if busy:
                self._written = 0
        elif busy:
            self._shard.flush()
            try:
                self._build = Build(self.directory / self._folder, self._written, self._reconfigured)
            except OSError as error:
                self._note(error.strerror or str(error), 0, started)
                return
            self._reconfigured = False
            self._written = 0

    def _finish(self, build: Build) -> None:
        """Let a copy that is done take the shard's place, or clear away one that is of no use; the housekeeper's work."""
        if not build.ended():
            return
        failure = None
        if not build.abandoned:
            try:
                failure = build.failure()
                if failure is None and self._succeed(build):
                    return
            except Exception as error:
                failure = str(error)
        with self.lock:
            if failure is not None and not build.abandoned:
                self._note(failure, 0, build.started)
            self._build = None
            build.discard()

    def _succeed(self, build: Build) -> bool:
        """Repeat on the copy what was written since, until it is level, and change over; False if it was abandoned."""
        copy = edge.EdgeShard.load(str(build.folder))
        while True:
            with self.lock:
                if build.abandoned or self._shard is None:
                    break
                updates, build.updates = build.updates, []
                if len(updates) <= LAST_UPDATES:
                    for operation in updates:
                        copy.update(operation)
                    self._replace(copy, build)
                    return True
            for operation in updates:
                copy.update(operation)
        copy.close()
        return False

    def _replace(self, copy: Any, build: Build) -> None:
        """From here on the copy is the shard; what was acknowledged is in its write-ahead log before the old one goes."""
        former, old = self._shard, self.directory / self._folder
        self._shard, self._folder = copy, build.folder.name
        self._save()
        self._note(None, copy.info().points_count, build.started)
        self._build = None
        self._unflushed = True
        # Nothing in the former shard is needed any more, not even that it closes well.
        with contextlib.suppress(Exception):
            former.close()
        shutil.rmtree(old, ignore_errors=True)

    def _abandon(self) -> None:
        """Make a running build useless, and do its work again later."""
        if self._build is not None and not self._build.abandoned:
            self._build.abandon()
            self._written += self._build.written
            self._reconfigured = self._reconfigured or self._build.reconfigured
            self._first_write = self._first_write or time.monotonic()

    def _note(self, failure: str | None, points: int, started: float) -> None:
        """Remember how an optimisation went; one without points was not worth telling."""
        self._optimiser_error = f"Service internal error: {failure}" if failure else None
        if points:
            segments = [{"uuid": str(uuid.uuid4()), "points_count": points}]
            done = described("done", self._optimizer(), segments, started, time.time())
            self.completed = [done, *self.completed][:KEPT_OPTIMIZATIONS]

    def _optimizer(self) -> str:
        changed = self._build.reconfigured if self._build is not None else self._reconfigured
        return "config mismatch" if changed else "indexing"

    def _save(self, unfinished: str | None = None) -> None:
        state = {
            "name": self.name,
            "config": self.config,
            "indexes": self.indexes,
            "shard": self._folder,
            "unfinished": unfinished,
        }
        write_json(self.directory / "collection.json", state)


def _core(config: schema.Document) -> Any:
    try:
        return schema.core_config(config)
    except (TypeError, ValueError, OverflowError) as error:
        raise refusals.malformed(str(error)) from error


def write_json(path: Path, document: Any) -> None:
    """Write a JSON file so that a killed process leaves the old or the new content, never a part.

    No fsync: a sandbox has to survive kill -9, not a power cut.
    """
    beside = path.with_suffix(".new")
    beside.write_bytes(orjson.dumps(document))
    beside.replace(path)
