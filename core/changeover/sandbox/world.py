"""Builds the demo's starting point over REST: a scenario's collection behind an alias, and the demo's files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec

from changeover.decision.answers import Answers, QueriesAnswer, TargetAnswer, TextAnswer, VectorAnswer
from changeover.embed import load
from changeover.errors import UnreachableError, UsageError
from changeover.quality import queries as query_sets
from changeover.sandbox import corpus, models
from changeover.sandbox.client import Deploy
from changeover.sandbox.scenarios import SCENARIOS, TARGET, VECTOR, ScenarioName, dense, name_of

ALIAS = "docs"
COLLECTION = "docs_v1"
BATCH = 256
INDEXES = {"module": "keyword", "kind": "keyword", "lineno": "integer"}


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """The names and files of a world that was built, and the answers that lead through the wizard."""

    name: ScenarioName
    url: str
    generation: str
    alias: str
    collection: str
    target: str
    vectors: dict[str, str]
    """Vector name -> sandbox model, of every vector that the collection begins with."""
    before: Deploy
    """The application as it is recommended before a cutover: it knows every way, and takes the first that is offered."""
    after: Deploy
    """The deployment that is the cutover of an in-place migration: the last way is searched, all are written."""
    promised: dict[str, Any]
    """What the collection's configuration must hold at the end."""
    points: int
    queries_file: Path
    deploy_file: Path
    stats_file: Path
    log_file: Path
    models_dir: Path
    answers: Answers

    def application(self, python: str, *, seed: int = 0, rate: float = 20.0, writes: float = 2.0) -> list[str]:
        """The command that starts the application on this world."""
        flags = {
            "--url": self.url,
            "--name": self.alias,
            "--deploy": self.deploy_file,
            "--stats": self.stats_file,
            "--log": self.log_file,
            "--data-dir": self.models_dir,
            "--seed": seed,
            "--rate": rate,
            "--writes": writes,
        }
        options = [word for flag, value in flags.items() for word in (flag, str(value))]
        return [python, "-m", "changeover.sandbox.application", *options, "--with-parent"]


def build(
    url: str,
    generation: str,
    data_dir: Path,
    limit: int | None = None,
    scenario: ScenarioName = "upgrade",
) -> Scenario:
    """Create and fill the collection, point the alias at it, and write queries.jsonl and deploy.json to `data_dir`.

    The same Python and limit give the same points; without a limit it is the scenario's own. Raises UsageError when the
    collection exists already or the server refuses something, UnreachableError when it does not answer.
    """
    world = describe(url, generation, data_dir, limit, scenario)
    data_dir.mkdir(parents=True, exist_ok=True)
    documents = corpus.documents(world.points)
    encoders = {name: load(models.spec(model, world.models_dir)) for name, model in world.vectors.items()}
    with httpx.Client(base_url=url, timeout=60.0) as http:
        vectors = {name: {"size": encoder.dimension, "distance": "Cosine"} for name, encoder in encoders.items()}
        body = {"vectors": vectors, **SCENARIOS[scenario].config}
        _send(http, "PUT", f"/collections/{COLLECTION}", body)
        for field, schema in INDEXES.items():
            body = {"field_name": field, "field_schema": schema}
            _send(http, "PUT", f"/collections/{COLLECTION}/index?wait=true", body)
        for batch in _batches(documents):
            texts = [document.text for document in batch]
            embedded = {name: encoder.embed_documents(texts) for name, encoder in encoders.items()}
            points = [
                {
                    "id": document.id,
                    "payload": document.payload(),
                    "vector": {name: rows[number].tolist() for name, rows in embedded.items()},
                }
                for number, document in enumerate(batch)
            ]
            _send(http, "PUT", f"/collections/{COLLECTION}/points?wait=true", {"points": points})
        alias = {"create_alias": {"collection_name": COLLECTION, "alias_name": ALIAS}}
        _send(http, "POST", "/collections/aliases", {"actions": [alias]})
    for encoder in encoders.values():
        encoder.close()
    query_sets.write(world.queries_file, corpus.queries(documents, SCENARIOS[scenario].queries))
    world.deploy_file.write_bytes(msgspec.json.format(msgspec.json.encode(world.before)))
    return world


def describe(url: str, generation: str, data_dir: Path, points: int | None, scenario: ScenarioName) -> Scenario:
    """The scenario's names without touching the cluster, to meet again a world that was built before."""
    row = SCENARIOS[scenario]
    models_dir = data_dir.absolute() / "models"
    vectors = {name_of(position, model): model for position, model in enumerate(row.stored)}
    ways = (*(dense(model, name) for name, model in vectors.items()), row.after)
    queries_file = data_dir / "queries.jsonl"
    said: dict[str, Any] = {
        "collection": ALIAS,
        "avoid": "none",
        "zero_downtime": True,
        "keep_both": False,
        "add_sparse": False,
        "old_model": models.spec(row.stored[0], models_dir),
        "text": TextAnswer(field="text"),
        "vector": VectorAnswer(source=VECTOR),
        "target": TargetAnswer(collection=TARGET),
        "writers": "unknown",
        "queries": QueriesAnswer(file=str(queries_file)),
        **row.answers(models_dir),
    }
    return Scenario(
        name=scenario,
        url=url,
        generation=generation,
        alias=ALIAS,
        collection=COLLECTION,
        target=TARGET,
        vectors=vectors,
        before=Deploy(speaks=ways, prefer="auto"),
        after=Deploy(speaks=ways, prefer="new"),
        promised=dict(row.promised),
        points=points or row.documents,
        queries_file=queries_file,
        deploy_file=data_dir / "deploy.json",
        stats_file=data_dir / "application.json",
        log_file=data_dir / "writes.jsonl",
        models_dir=models_dir,
        answers=Answers(**said),
    )


def _batches(documents: Sequence[corpus.Document]) -> Iterator[Sequence[corpus.Document]]:
    for start in range(0, len(documents), BATCH):
        yield documents[start : start + BATCH]


def _send(http: httpx.Client, method: str, path: str, body: dict[str, Any]) -> None:
    try:
        response = http.request(method, path, json=body)
    except httpx.TransportError as error:
        raise UnreachableError(f"{http.base_url}: {type(error).__name__} while building the sandbox.") from error
    if not response.is_success:
        words = " ".join(response.text.split())[:200]
        raise UsageError(f"{method} {path} answered {response.status_code}: {words}")
