"""A small collection with a writer of its own, for whole runs of any route on any server; nothing of the engine in it."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np

from changeover.decision.answers import Answers, QueriesAnswer, TextAnswer
from changeover.embed.model import ModelSpec
from changeover.embed.protocol import load
from changeover.engine import control, launch
from changeover.engine.folder import RunFolder
from changeover.engine.state import RunState
from changeover.plan.model import Access, Plan
from changeover.sandbox import corpus
from tests.engine import live

OLD = ModelSpec(provider="sandbox", name="wordllama")
NEW = ModelSpec(provider="sandbox", name="minilm")
ACCEPTED = frozenset({"no-go"})
"""A handful of documents decides nothing about quality."""
Points = dict[Any, tuple[dict[str, Any], list[float]]]


class World:
    """Documents under one name, with the old model's vectors; `points` is what every acknowledged write led to."""

    def __init__(
        self,
        url: str,
        *,
        collection: str = "small",
        vector: str = "text",
        alias: str = "",
        documents: int = 100,
        config: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        folder: Path,
    ) -> None:
        self.url, self.collection, self.vector, self.alias, self.folder = url, collection, vector, "", folder
        self.http = httpx.Client(base_url=url, timeout=60.0, trust_env=False)
        self.model = load(OLD)
        self.points: Points = {}
        self._documents = corpus.documents(documents + 60)
        one = {"size": 256, "distance": "Cosine", **(params or {})}
        self.send("PUT", f"/collections/{collection}", {"vectors": {vector: one} if vector else one, **(config or {})})
        index = {"field_name": "module", "field_schema": "keyword"}
        self.send("PUT", f"/collections/{collection}/index?wait=true", index)
        self.write(self._documents[:documents])
        if alias:
            action = {"create_alias": {"collection_name": collection, "alias_name": alias}}
            self.send("POST", "/collections/aliases", {"actions": [action]})
            self.alias = alias
        queries = [q for q in corpus.queries(self._documents[:documents], 60) if q.relevant]
        self.queries = folder / "queries.jsonl"
        corpus_queries(self.queries, queries)
        self._stop = threading.Event()
        self._writer: threading.Thread | None = None

    @property
    def name(self) -> str:
        """The name that the application uses."""
        return self.alias or self.collection

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """One request; fails on anything but success."""
        answer = self.http.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer.json()["result"]

    def write(self, documents: Any) -> None:
        """Insert or overwrite documents, as the application does: payload and the old vector."""
        payloads = [document.payload() for document in documents]
        self.put({document.id: payload for document, payload in zip(documents, payloads, strict=True)})

    def put(self, payloads: dict[Any, dict[str, Any]]) -> None:
        """Upsert payloads with the old vector of their text."""
        vectors = self.model.embed_documents([payload["text"] for payload in payloads.values()]).tolist()
        points = [
            {"id": i, "payload": payload, "vector": {self.vector: vector} if self.vector else vector}
            for (i, payload), vector in zip(payloads.items(), vectors, strict=True)
        ]
        self.send("PUT", f"/collections/{self.name}/points?wait=true", {"points": points})
        self.points |= {i: (p, v) for (i, p), v in zip(payloads.items(), vectors, strict=True)}

    def start_writer(self, seed: int = 0, pause_s: float = 0.05) -> None:
        """Inserts, edits, payload edits and deletes until `stop_writer`."""
        chance = random.Random(seed)
        fresh = [document for document in self._documents if document.id not in self.points]

        def write_on() -> None:
            while not self._stop.wait(pause_s):
                kind = chance.choice(["insert", "edit", "edit", "payload", "delete"])
                some = chance.choice(sorted(self.points, key=str))
                payload = self.points[some][0]
                if kind == "insert" and fresh:
                    self.write([fresh.pop()])
                elif kind == "edit":
                    words = f"{payload['text']} edited {chance.randrange(10**6)}"
                    self.put({some: {**payload, "text": words}})
                elif kind == "payload":
                    self.put({some: {**payload, "seen": chance.randrange(10**6)}})
                elif kind == "delete" and len(self.points) > 50:
                    self.send("POST", f"/collections/{self.name}/points/delete?wait=true", {"points": [some]})
                    del self.points[some]

        self._writer = threading.Thread(target=write_on, daemon=True)
        self._writer.start()

    def stop_writer(self) -> None:
        """End the writer after the write in hand."""
        self._stop.set()
        if self._writer is not None:
            self._writer.join(30)
            assert not self._writer.is_alive(), "the writer failed or hangs"

    def answers(self, **given: Any) -> Answers:
        """Answers with the text and the queries of this world."""
        usual: dict[str, Any] = {
            "collection": self.name,
            "old_model": OLD,
            "text": TextAnswer(field="text"),
            "queries": QueriesAnswer(file=str(self.queries)),
        }
        return Answers(**{**usual, **given})

    def plan(self, answers: Answers, environ: dict[str, str], *, trials: bool = False) -> Plan:
        """The plan that the wizard makes."""
        return live.plan_of(Access(url=self.url), self.name, answers, environ, trials=trials)

    def run(
        self, plan: Plan, environ: dict[str, str], *, writes: bool = True, pause_s: float = 0.05
    ) -> tuple[RunFolder, RunState]:
        """Run the plan to its end with the writer beside it until the cutover is asked for; the engine is gone then."""
        run = RunFolder.create(plan, environ, accepted=ACCEPTED | {f.code for f in plan.findings})
        if writes:
            self.start_writer(pause_s=pause_s)
        live.start(run, environ)
        if any(step.kind == "await-cutover" for step in run.state().steps):
            live.wait_for(run, lambda state: state.ready is not None and state.ready.ready, 90)
            self.stop_writer()
            passes = len(run.state().passes)
            live.wait_for(run, lambda state: len(state.passes) > passes)
            control.ask(run.control, "cutover", plan.job.name_in_use)
        state = live.wait_for(run, lambda state: state.status == "finished")
        self.stop_writer()
        live.wait_until_gone(run)
        return run, state

    def stored(self, collection: str) -> dict[Any, dict[str, Any]]:
        """Every point of a collection with payload and vectors."""
        return live.stored_points(self.url, collection)

    def check_points(self, stored: Mapping[Any, Mapping[str, Any]]) -> None:
        """Ids and payloads are those of the writes that were acknowledged."""
        assert set(stored) == set(self.points)
        assert not [i for i, (payload, _) in self.points.items() if stored[i]["payload"] != payload]

    def close(self, *more: str) -> None:
        """Remove what was made on the server."""
        self.stop_writer()
        for collection in (self.collection, *more):
            self.http.delete(f"/collections/{collection}")
        self.http.close()


def corpus_queries(path: Path, queries: Any) -> None:
    """The queries as a file."""
    lines = [msgspec.json.encode({"query": q.query, "relevant": list(q.relevant)}).decode() for q in queries]
    path.write_text("\n".join(lines) + "\n")


def same(stored: Any, fresh: Any, least: float = 0.999) -> bool:
    """Whether two dense vectors point the same way."""
    a, b = np.asarray(stored, dtype=np.float32), np.asarray(fresh, dtype=np.float32)
    return a.shape == b.shape and float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))) >= least


def kill_leftovers(environ: dict[str, str]) -> None:
    """Stop engines that a failed test left behind."""
    from changeover.engine.folder import runs

    for run in runs(environ):
        if (pid := launch.running_pid(run)) is not None:
            live.kill(run, pid)
