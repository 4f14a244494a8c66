"""The demo's own check after a migration, apart from the engine: what the application wrote against what is stored.

It asks the cluster over plain REST, knows the initial documents and the application's own log of writes, and embeds
a sample anew; it looks at neither journal, ledger nor plan.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec

from changeover.embed import load
from changeover.errors import UnreachableError
from changeover.sandbox import corpus
from changeover.sandbox.world import Scenario
from changeover.survey.model import PointId

PAGE = 500
SAMPLE = 200
COSINE = 0.999
NAMED = 3
"""Ids named in a problem."""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """`problems` is empty when everything agreed; `expected` and `stored` count points."""

    collection: str
    expected: int
    stored: int
    sampled: int
    worst_cosine: float | None
    problems: tuple[str, ...] = ()


def expected(world: Scenario) -> dict[PointId, dict[str, Any]]:
    """Every point that should be there: the documents it began with, then each write that was acknowledged, in order.

    A write that failed is sent again by the application until it succeeds, so only its last line counts.
    """
    known: dict[PointId, dict[str, Any]] = {doc.id: doc.payload() for doc in corpus.documents(world.points)}
    for line in _lines(world.log_file):
        if line.get("failed"):
            continue
        if line["payload"] is None:
            known.pop(line["id"], None)
        else:
            known[line["id"]] = line["payload"]
    return known


def check(world: Scenario, seed: int = 0) -> Proof:
    """Compare through the name that the application uses; the application must have stopped writing.

    Raises UnreachableError when the cluster does not answer.
    """
    known = expected(world)
    with httpx.Client(base_url=world.url, timeout=60.0) as http:
        collection = _behind(http, world.alias)
        stored, without = _payloads(http, world.alias, world.new_vector)
        problems = [*_compared(known, stored), *_named(without, f"points have no vector {world.new_vector}")]
        some = random.Random(seed).sample(sorted(stored, key=str), min(SAMPLE, len(stored)))
        vectors = _vectors(http, world.alias, world.new_vector, some)
    worst, low = _likeness(world, {point: stored[point] for point in some}, vectors)
    problems += _named(low, f"sampled points do not hold the vector of their text (lowest cosine {worst})")
    return Proof(
        collection=collection,
        expected=len(known),
        stored=len(stored),
        sampled=len(some),
        worst_cosine=worst,
        problems=tuple(problems),
    )


def _compared(known: Mapping[PointId, Any], stored: Mapping[PointId, Any]) -> list[str]:
    differing = {point for point in known.keys() & stored.keys() if known[point] != stored[point]}
    return [
        *_named(known.keys() - stored.keys(), "points are missing"),
        *_named(stored.keys() - known.keys(), "points are there that the application deleted or never wrote"),
        *_named(differing, "points hold another payload than the application wrote"),
    ]


def _named(points: Any, words: str) -> list[str]:
    ids = sorted(points, key=str)
    return (
        [f"{len(ids):,} {words}: {', '.join(map(str, ids[:NAMED]))}{', ...' if len(ids) > NAMED else ''}"]
        if ids
        else []
    )


def _likeness(
    world: Scenario, payloads: Mapping[PointId, Mapping[str, Any]], vectors: Mapping[PointId, list[float]]
) -> tuple[float | None, set[PointId]]:
    """The lowest cosine between stored and fresh vectors, and the points below COSINE."""
    import numpy as np

    points = [point for point in payloads if point in vectors]
    if not points:
        return None, set()
    model = load(world.new_model)
    try:
        fresh = model.embed_documents([str(payloads[point]["text"]) for point in points])
    finally:
        model.close()
    stored = np.array([vectors[point] for point in points], dtype=np.float32)
    norms = np.linalg.norm(stored, axis=1) * np.linalg.norm(fresh, axis=1)
    cosines = (stored * fresh).sum(axis=1) / np.where(norms == 0, 1, norms)
    low = {point for point, cosine in zip(points, cosines, strict=True) if cosine < COSINE}
    return round(float(cosines.min()), 5), low


def _payloads(http: httpx.Client, name: str, vector: str) -> tuple[dict[PointId, dict[str, Any]], set[PointId]]:
    """Every point's payload, and the points without the vector."""
    found = {point["id"]: point.get("payload") or {} for point in _scroll(http, name, None)}
    lacking = {"must_not": [{"has_vector": vector}]}
    return found, {point["id"] for point in _scroll(http, name, lacking)}


def _scroll(http: httpx.Client, name: str, filter_: dict[str, Any] | None) -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = []
    offset: PointId | None = None
    while True:
        body = {"limit": PAGE, "with_payload": True, "with_vector": False, "offset": offset, "filter": filter_}
        page = _send(http, "POST", f"/collections/{name}/points/scroll", body)
        points += page["points"]
        offset = page.get("next_page_offset")
        if offset is None:
            return points


def _vectors(http: httpx.Client, name: str, vector: str, ids: list[PointId]) -> dict[PointId, list[float]]:
    body = {"ids": ids, "with_payload": False, "with_vector": [vector]}
    points = _send(http, "POST", f"/collections/{name}/points", body)
    return {point["id"]: point["vector"][vector] for point in points if vector in (point.get("vector") or {})}


def _behind(http: httpx.Client, alias: str) -> str:
    """The collection that the alias points to; the name itself when it is none."""
    aliases = _send(http, "GET", "/aliases", None)["aliases"]
    return next((str(one["collection_name"]) for one in aliases if one["alias_name"] == alias), alias)


def _send(http: httpx.Client, method: str, path: str, body: Any) -> Any:
    try:
        response = http.request(method, path, json=body)
    except httpx.TransportError as error:
        raise UnreachableError(f"{http.base_url}: {type(error).__name__} during the demo's own check") from error
    if not response.is_success:
        words = " ".join(response.text.split())[:200]
        raise UnreachableError(f"{method} {path} answered {response.status_code} during the demo's own check: {words}")
    return msgspec.json.decode(response.content)["result"]


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    return [msgspec.json.decode(line) for line in lines if line.strip()]
