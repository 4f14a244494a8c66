"""Builds the demo's starting point over REST: a collection with the old model behind an alias, and the demo's files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import httpx
import msgspec

from changeover.decision.answers import Answers, QueriesAnswer, TargetAnswer, TextAnswer, VectorAnswer
from changeover.embed import load
from changeover.embed.model import ModelSpec
from changeover.errors import UnreachableError, UsageError
from changeover.quality import queries as query_sets
from changeover.sandbox import corpus, models
from changeover.sandbox.client import Deploy, Speaks

ALIAS = "docs"
COLLECTION = "docs_v1"
TARGET = "docs_v2"
VECTOR = "text"
QUERIES = 300
BATCH = 256
INDEXES = {"module": "keyword", "kind": "keyword", "lineno": "integer"}
ScenarioName = Literal["upgrade", "bad-model"]
MODELS: dict[ScenarioName, tuple[str, str]] = {
    "upgrade": ("wordllama", "minilm"),
    "bad-model": ("minilm", "scrambled"),
}
"""Scenario -> (old, new) sandbox models."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """The names and files of a world that was built, and the answers that lead through the wizard."""

    name: ScenarioName
    url: str
    generation: str
    alias: str
    collection: str
    target: str
    vector: str
    new_vector: str
    old_model: ModelSpec
    new_model: ModelSpec
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
    limit: int = corpus.DEFAULT_LIMIT,
    scenario: ScenarioName = "upgrade",
) -> Scenario:
    """Create and fill the collection, point the alias at it, and write queries.jsonl and deploy.json to `data_dir`.

    The same Python and limit give the same points. Raises UsageError when the collection exists already or the server
    refuses something, UnreachableError when it does not answer.
    """
    world = describe(url, generation, data_dir, limit, scenario)
    data_dir.mkdir(parents=True, exist_ok=True)
    documents = corpus.documents(limit)
    with httpx.Client(base_url=url, timeout=60.0) as http:
        model = load(world.old_model)
        vectors = {"vectors": {VECTOR: {"size": model.dimension, "distance": "Cosine"}}}
        _send(http, "PUT", f"/collections/{COLLECTION}", vectors)
        for field, schema in INDEXES.items():
            body = {"field_name": field, "field_schema": schema}
            _send(http, "PUT", f"/collections/{COLLECTION}/index?wait=true", body)
        for batch in _batches(documents):
            embedded = model.embed_documents([document.text for document in batch])
            points = [
                {"id": document.id, "payload": document.payload(), "vector": {VECTOR: vector.tolist()}}
                for document, vector in zip(batch, embedded, strict=True)
            ]
            _send(http, "PUT", f"/collections/{COLLECTION}/points?wait=true", {"points": points})
        alias = {"create_alias": {"collection_name": COLLECTION, "alias_name": ALIAS}}
        _send(http, "POST", "/collections/aliases", {"actions": [alias]})
        model.close()
    query_sets.write(world.queries_file, corpus.queries(documents, QUERIES))
    world.deploy_file.write_bytes(msgspec.json.format(msgspec.json.encode(ready_for_both(world))))
    return world


def describe(url: str, generation: str, data_dir: Path, points: int, scenario: ScenarioName) -> Scenario:
    """The scenario's names without touching the cluster, to meet again a world that was built before."""
    models_dir = data_dir.absolute() / "models"
    old, new = (models.spec(name, models_dir) for name in MODELS[scenario])
    new_vector = f"{VECTOR}_{new.name}"
    queries_file = data_dir / "queries.jsonl"
    return Scenario(
        name=scenario,
        url=url,
        generation=generation,
        alias=ALIAS,
        collection=COLLECTION,
        target=TARGET,
        vector=VECTOR,
        new_vector=new_vector,
        old_model=old,
        new_model=new,
        points=points,
        queries_file=queries_file,
        deploy_file=data_dir / "deploy.json",
        stats_file=data_dir / "application.json",
        log_file=data_dir / "writes.jsonl",
        models_dir=models_dir,
        answers=Answers(
            collection=ALIAS,
            avoid="none",
            zero_downtime=True,
            keep_both=False,
            add_sparse=False,
            model=new,
            old_model=old,
            text=TextAnswer(field="text"),
            vector=VectorAnswer(source=VECTOR, name=new_vector),
            target=TargetAnswer(collection=TARGET),
            writers="unknown",
            queries=QueriesAnswer(file=str(queries_file)),
        ),
    )


def ready_for_both(world: Scenario) -> Deploy:
    """The application's configuration that is recommended before a cutover: it speaks both models."""
    return Deploy(speaks=_speaks(world), prefer="auto")


def moved_to_new(world: Scenario) -> Deploy:
    """The deployment that is the cutover of an in-place migration: the new vector is searched, both are written."""
    return Deploy(speaks=_speaks(world), prefer="new")


def _speaks(world: Scenario) -> tuple[Speaks, ...]:
    return (
        Speaks(world.old_model.name, world.vector, models.DIMENSIONS[world.old_model.name]),
        Speaks(world.new_model.name, world.new_vector, models.DIMENSIONS[world.new_model.name]),
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
