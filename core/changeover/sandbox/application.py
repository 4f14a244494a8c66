"""The demo's application, a process of its own: it searches and writes through one name, whatever happens behind it.

python -m changeover.sandbox.application --url URL --name docs --deploy deploy.json --stats stats.json
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec

from changeover.errors import ChangeoverError, ExitCode
from changeover.sandbox import corpus, models
from changeover.sandbox.changes import Change, Changes
from changeover.sandbox.client import Client, Deploy, Numbers, RequestFailed, Speaks, read_deploy

STATS_EVERY = 0.5
LATENCIES = 2_000
"""How many of the last searches p50 and p95 are taken from."""
QUERIES = 300


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What the application lived through, since it was started; latencies in milliseconds."""

    pid: int
    at: float
    """Unix time of writing."""
    searches: int = 0
    failed_searches: int = 0
    p50: float | None = None
    p95: float | None = None
    inserts: int = 0
    edits: int = 0
    payload_edits: int = 0
    deletes: int = 0
    reinserts: int = 0
    failed_writes: int = 0
    last_error: str = ""
    deployments: int = 0
    """Deploy files taken up so far; 1 from the start."""
    deploy: Deploy | None = None
    """The configuration in use."""
    searching_with: str = ""
    """The way of the last search."""
    writing: bool = False
    """False once writes are switched off and the last one has ended."""
    stopped: bool = False


class Encoders:
    """Sandbox models by name, opened once; query vectors are kept, since the same queries come again."""

    def __init__(self, data_dir: Path | None) -> None:
        self._data_dir = data_dir
        self._models: dict[tuple[str, bool], Any] = {}
        self._queries: dict[tuple[str, bool, str], Any] = {}

    def open(self, deploy: Deploy) -> None:
        """Load every model of a deployment before it goes live."""
        for way in deploy.speaks:
            self._model(way)

    def document(self, way: Speaks, text: str) -> Numbers:
        """The vector to store."""
        return self._fitting(way, self._model(way).embed_documents([text])[0])

    def query(self, way: Speaks, text: str) -> Numbers:
        """The vector to search with."""
        key = (way.model, way.tokens, text)
        if key not in self._queries:
            self._queries[key] = self._model(way).embed_query(text)
        return self._fitting(way, self._queries[key])

    def _model(self, way: Speaks) -> Any:
        key = (way.model, way.tokens)
        if key not in self._models:
            spec = models.spec(way.model, self._data_dir)
            if way.tokens:
                self._models[key] = models.open_late(msgspec.structs.replace(spec, kind="late-interaction"), os.environ)
            else:
                # One text at a time needs one core; the others are for the migration that is watched.
                self._models[key] = models.open_embedder(spec, os.environ, threads=1)
        return self._models[key]

    def _fitting(self, way: Speaks, numbers: Any) -> Numbers:
        """The leading numbers, as many as the way has; of each token's vector where there are several."""
        kept: Numbers = numbers[..., : way.dimension].tolist()
        return kept


class Application:
    """A searching thread, a writing thread, and a main loop that watches the deploy file and writes statistics."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._http = httpx.Client(base_url=options.url, timeout=30.0, headers=_key_header(options.api_key_env))
        self._encoders = Encoders(options.data_dir)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(("searches", "failed_searches", "failed_writes"), 0)
        self._changes = {"insert": 0, "edit": 0, "payload_edit": 0, "delete": 0, "reinsert": 0}
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        self._last_error = ""
        self._writing = False
        self._log = options.log.open("a", encoding="utf-8") if options.log else None
        self._deployed = b""
        self._deployments = 0
        self._deploy, self._client = self._take_up(options.deploy.read_bytes())

    def run(self) -> None:
        """Search and write until stopped, the duration is over, or (with --with-parent) the parent is gone."""
        library = corpus.documents(None)
        changes = Changes(self._client.scroll(), library, self._options.seed)
        queries = [query.query for query in corpus.queries(library, QUERIES, self._options.seed)]
        threads = [
            threading.Thread(target=self._search_loop, args=(queries,), name="searches"),
            threading.Thread(target=self._write_loop, args=(changes,), name="writes"),
        ]
        for thread in threads:
            thread.start()
        parent = os.getppid()
        end = time.monotonic() + self._options.duration if self._options.duration else None
        while not self._stop.wait(STATS_EVERY):
            self._watch_deploy_file()
            self._write_stats()
            over = end is not None and time.monotonic() >= end
            orphaned = self._options.with_parent and os.getppid() != parent
            if over or orphaned:
                self._stop.set()
        for thread in threads:
            thread.join()
        self._write_stats(stopped=True)
        if self._log:
            self._log.close()
        self._http.close()

    def stop(self, *_: object) -> None:
        """Stop after the search and the write in hand."""
        self._stop.set()

    def _search_loop(self, queries: Sequence[str]) -> None:
        number = 0
        while self._pace(self._options.rate):
            if not self._deploy.searches:
                continue
            try:
                _, seconds = self._client.search(queries[number % len(queries)])
                with self._lock:
                    self._latencies.append(seconds)
            except RequestFailed as error:
                self._failed("failed_searches", error)
            number += 1
            with self._lock:
                self._counts["searches"] += 1

    def _write_loop(self, changes: Changes) -> None:
        sequence = 0
        change: Change | None = None
        while self._pace(self._options.writes):
            self._writing = self._deploy.writes
            if not self._writing:
                continue
            change = change or changes.next()
            sequence += 1
            try:
                self._apply(change)
            except RequestFailed as error:
                self._failed("failed_writes", error)
                self._note(sequence, change, failed=True)
                continue  # the same write is sent again: each is idempotent, and its outcome must be known
            changes.done(change)
            self._note(sequence, change, failed=False)
            with self._lock:
                self._changes[change.operation] += 1
            change = None
        self._writing = False

    def _apply(self, change: Change) -> None:
        if change.payload is None:
            self._client.delete(change.id)
        elif change.operation == "payload_edit":
            self._client.set_payload(change.id, change.fields)
        else:
            self._client.put(change.id, change.payload)

    def _note(self, sequence: int, change: Change, *, failed: bool) -> None:
        """One line per write: the whole payload afterwards, so that a test knows what must be stored at the end."""
        if self._log:
            line = {"seq": sequence, "op": change.operation, "id": change.id, "payload": change.payload}
            self._log.write(msgspec.json.encode(line | ({"failed": True} if failed else {})).decode() + "\n")
            self._log.flush()

    def _pace(self, per_second: float) -> bool:
        """Wait one interval; False when it is time to stop. A rate of 0 means never."""
        return not self._stop.wait(1 / per_second if per_second else None)

    def _failed(self, kind: str, error: RequestFailed) -> None:
        with self._lock:
            self._counts[kind] += 1
            self._last_error = str(error)

    def _watch_deploy_file(self) -> None:
        """Take up a changed deploy file; one that is broken leaves the old configuration in use."""
        try:
            content = self._options.deploy.read_bytes()
            if content != self._deployed:
                self._deploy, self._client = self._take_up(content)
        except (OSError, ChangeoverError) as error:
            with self._lock:
                self._last_error = str(error)

    def _take_up(self, content: bytes) -> tuple[Deploy, Client]:
        deploy = read_deploy(content, str(self._options.deploy))
        self._encoders.open(deploy)
        self._deployed = content
        self._deployments += 1
        return deploy, Client(self._http, self._options.name, deploy, self._encoders)

    def _write_stats(self, *, stopped: bool = False) -> None:
        with self._lock:
            latencies = sorted(self._latencies)
            changes = {f"{name}s": count for name, count in self._changes.items()}
            stats = Stats(
                pid=os.getpid(),
                at=time.time(),
                **self._counts,
                **changes,
                p50=_quantile(latencies, 0.50),
                p95=_quantile(latencies, 0.95),
                last_error=self._last_error,
                deployments=self._deployments,
                deploy=self._deploy,
                searching_with=self._client.searching_with,
                writing=self._writing,
                stopped=stopped,
            )
        replace(self._options.stats, msgspec.json.encode(stats))


def replace(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never half."""
    making = path.with_name(f".{path.name}.{os.getpid()}")
    making.write_bytes(content)
    making.replace(path)


def read_stats(path: Path) -> Stats | None:
    """The statistics written last; None before the first."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Stats)
    except FileNotFoundError:
        return None


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else None


def _key_header(variable: str | None) -> dict[str, str]:
    key = os.environ.get(variable) if variable else None
    return {"api-key": key} if key else {}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m changeover.sandbox.application", description=__doc__)
    add: Callable[..., Any] = parser.add_argument
    add("--url", required=True)
    add("--name", required=True, help="the alias or collection to search and write through")
    add("--deploy", type=Path, required=True, help="its configuration; read again whenever it changes")
    add("--stats", type=Path, required=True, help="where statistics are written, twice a second")
    add("--log", type=Path, help="append every write as a JSON line")
    add("--data-dir", type=Path, help="where model folders are made (default: the user's cache)")
    add("--rate", type=float, default=20.0, help="searches per second")
    add("--writes", type=float, default=2.0, help="writes per second")
    add("--seed", type=int, default=0)
    add("--duration", type=float, default=0.0, help="seconds; 0 runs until SIGTERM")
    add("--api-key-env", help="environment variable that holds the key")
    add("--with-parent", action="store_true", help="stop when the process that started it is gone")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop; an expected failure is one line on stderr and its exit code."""
    options = _options(arguments)
    try:
        application = Application(options)
        signal.signal(signal.SIGTERM, application.stop)
        signal.signal(signal.SIGINT, application.stop)
        application.run()
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.USAGE
    except ChangeoverError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return ExitCode.DONE


if __name__ == "__main__":
    raise SystemExit(main())
