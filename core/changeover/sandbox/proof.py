"""The demo's own check after a migration, apart from the engine: what the application wrote against what is stored.

It asks the cluster over plain REST, knows the initial documents and the application's own log of writes, and embeds
a sample anew; it looks at neither journal, ledger nor plan.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec

from changeover.errors import UnreachableError
from changeover.sandbox import corpus
from changeover.sandbox.application import Encoders
from changeover.sandbox.client import Speaks, Words
from changeover.sandbox.world import Scenario
from changeover.survey.model import PointId

PAGE = 500
SAMPLE = 200
COSINE = 0.999
TOKEN_COSINE = 0.98
"""Vectors of tokens are stored as sent, and a batch of texts rounds an int8 model otherwise than one text."""
WEIGHT = 1e-3
CHUNK = 50
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
    way = world.after.speaks[-1]
    with httpx.Client(base_url=world.url, timeout=60.0) as http:
        collection = _behind(http, world.alias)
        stored = _payloads(http, world.alias)
        problems = _compared(known, stored)
        for name in way.vectors:
            problems += _named(_lacking(http, world.alias, name), f"points have no vector {name}")
        some = random.Random(seed).sample(sorted(stored, key=str), min(SAMPLE, len(stored)))
        vectors = _vectors(http, world.alias, way.vectors, some)
        config = _send(http, "GET", f"/collections/{world.alias}", None)["config"]
    texts = {point: str(stored[point]["text"]) for point in some}
    worst, low = likeness(world, way, texts, vectors)
    problems += _named(low, f"sampled points do not hold the vector of their text (lowest cosine {worst})")
    if way.words is not None:
        problems += _named(
            _other_words(way.words, texts, vectors), "sampled points do not hold the words of their text"
        )
    if not _holds(config, world.promised):
        problems.append(f"the configuration does not hold {msgspec.json.encode(world.promised).decode()}")
    return Proof(
        collection=collection,
        expected=len(known),
        stored=len(stored),
        sampled=len(some),
        worst_cosine=worst,
        problems=tuple(problems),
    )


def _holds(config: Any, promised: Any) -> bool:
    """Whether every promised key has its value, however deep."""
    if isinstance(promised, Mapping):
        return isinstance(config, Mapping) and all(_holds(config.get(key), value) for key, value in promised.items())
    return bool(config == promised)


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


def likeness(
    world: Scenario, way: Speaks, texts: Mapping[PointId, str], vectors: Mapping[PointId, Mapping[str, Any]]
) -> tuple[float | None, set[PointId]]:
    """The lowest cosine between what is stored and what the application makes of the text, and the points below COSINE.

    Of several vectors per text it is the mean over the tokens; another number of them counts as -1.
    """
    import numpy as np

    encoders = Encoders(world.models_dir)
    cosines: dict[PointId, float] = {}
    for point, found in vectors.items():
        if way.using not in found:
            continue
        stored = np.atleast_2d(np.array(found[way.using], dtype=np.float64))
        fresh = np.atleast_2d(np.array(encoders.document(way, texts[point]), dtype=np.float64))
        if stored.shape != fresh.shape:
            cosines[point] = -1.0
            continue
        norms = np.linalg.norm(stored, axis=1) * np.linalg.norm(fresh, axis=1)
        cosines[point] = float(np.mean((stored * fresh).sum(axis=1) / np.where(norms == 0, 1, norms)))
    low = {point for point, cosine in cosines.items() if cosine < (TOKEN_COSINE if way.tokens else COSINE)}
    return (round(min(cosines.values()), 5) if cosines else None), low


def _other_words(
    words: Words, texts: Mapping[PointId, str], vectors: Mapping[PointId, Mapping[str, Any]]
) -> set[PointId]:
    """Points whose stored terms or weights are not those of BM25 on this machine."""
    import qdrant_edge as edge

    bm25 = edge.Bm25(edge.Bm25Config(language=words.language, avg_len=words.average_length))
    other = set()
    for point, found in vectors.items():
        kept = found.get(words.using) or {"indices": [], "values": []}
        wanted = bm25.embed_document(texts[point])
        fresh = dict(zip(wanted.indices, wanted.values, strict=True))
        stored = dict(zip(kept["indices"], kept["values"], strict=True))
        if stored.keys() != fresh.keys() or any(abs(stored[term] - fresh[term]) > WEIGHT for term in fresh):
            other.add(point)
    return other


def _payloads(http: httpx.Client, name: str) -> dict[PointId, dict[str, Any]]:
    return {point["id"]: point.get("payload") or {} for point in _scroll(http, name, None)}


def _lacking(http: httpx.Client, name: str, vector: str) -> set[PointId]:
    return {point["id"] for point in _scroll(http, name, {"must_not": [{"has_vector": vector}]})}


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


def _vectors(
    http: httpx.Client, name: str, vectors: Sequence[str], ids: list[PointId]
) -> dict[PointId, dict[str, Any]]:
    found: dict[PointId, dict[str, Any]] = {}
    for start in range(0, len(ids), CHUNK):
        body = {"ids": ids[start : start + CHUNK], "with_payload": False, "with_vector": list(vectors)}
        rows = _send(http, "POST", f"/collections/{name}/points", body)
        found |= {row["id"]: row.get("vector") or {} for row in rows}
    return found


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
