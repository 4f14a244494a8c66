"""Comparisons of the two sides that verification is made of; blocking, no repair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from changeover.cluster.api import Inference
from changeover.engine import by_ids, scans
from changeover.engine.context import Context
from changeover.engine.hashes import payload_hash
from changeover.engine.ledger import LEFT_OUT, Entry
from changeover.engine.recipe import SAME_COSINE, entry, likeness
from changeover.engine.shards import slices_of
from changeover.ids import id_key
from changeover.plan.model import Job, Slice
from changeover.survey.model import PointId

if TYPE_CHECKING:
    from changeover.cluster.api import Page

SECTIONS = ("hnsw_config", "optimizer_config", "wal_config", "quantization_config", "strict_mode_config")
EXACT = (None, "float32", "uint8")
"""Datatypes whose vectors a server stores as they are sent, but for Cosine's division of a float32."""
PARAMETERS = ("shard_number", "sharding_method", "replication_factor", "write_consistency_factor", "on_disk_payload")


def in_place_ids(ctx: Context) -> set[PointId]:
    """Points that have text and no new vector, and were not skipped."""
    found = scans.Found()
    for part in slices_of(ctx):
        for _ in scans.missing(ctx, part, found):
            pass
    return found.suspects


def blue_green_ids(ctx: Context) -> set[PointId]:
    """Points that only one side has, or whose payload differs; not those that the server rejected as they are now."""
    bad: set[PointId] = set()
    for part in slices_of(ctx):
        old, new = _hashes(ctx, ctx.job.source, part), _hashes(ctx, ctx.job.target, part)
        differing = [point_id for point_id in old.keys() | new.keys() if old.get(point_id) != new.get(point_id)]
        known = ctx.ledger.get(differing)
        rejected = {p for p, entry in known.items() if entry.mark in LEFT_OUT and entry.payload == old.get(p)}
        bad.update(point_id for point_id in differing if point_id not in rejected or point_id in new)
    return bad


def sampled_vectors(ctx: Context, ids: list[PointId], least: float) -> tuple[set[PointId], float, int]:
    """Sampled points whose stored new vectors are not those of their text (or source vector) now; lowest likeness; how
    many points had a vector to compare with: of those that the server embeds itself it is only seen that one is there.
    """
    bad: set[PointId] = set()
    lowest, compared = 1.0, 0
    for source in by_ids.read(ctx, ctx.job.source, ids, vectors=ctx.recipe.reads):
        if not source.ids:  # the application has deleted them all meanwhile
            continue
        where = _found(ctx, ctx.job.target, list(source.ids), ctx.recipe.names)
        entries = ctx.ledger.get(list(source.ids))
        rows = [
            row
            for row, point_id in enumerate(source.ids)
            if point_id in where and not _accounted(entries.get(point_id), ctx.recipe.basis(source, row))
        ]
        made = ctx.recipe.make(source, rows)
        for position, row in enumerate(rows):
            point_id = source.ids[row]
            fresh = {name: one for name, c in made.columns.items() if (one := entry(c, position)) is not None}
            compared += any(not isinstance(one, Inference) for one in fresh.values())
            alike = min((likeness(_vector(where[point_id], n), one) for n, one in fresh.items()), default=1.0)
            lowest = min(lowest, alike)
            if alike < least:
                bad.add(point_id)
    return bad, lowest, compared


def rounded(source: dict[str, Any]) -> frozenset[str]:
    """Vectors that are not the same bit for bit after a copy: a length that is 1 but for the rounding of a float16 is
    divided by once more (measured on 1.18.3)."""
    return frozenset(
        name
        for name, config in _vectors(source["config"]).items()
        if config["distance"] == "Cosine" and config.get("datatype") not in EXACT
    )


def carried_vectors(ctx: Context, ids: list[PointId], rounded: frozenset[str] = frozenset()) -> set[PointId]:
    """Sampled points whose carried vectors are not the same on both sides; those in `rounded` point the same way."""
    job = ctx.job
    bad: set[PointId] = set()
    if not job.carry:
        return bad
    for old in by_ids.read(ctx, job.source, ids, payload=False, vectors=tuple(job.carry)):
        where = _found(ctx, job.target, list(old.ids), tuple(job.carry.values()))
        for row, point_id in enumerate(old.ids):
            if point_id not in where:
                continue
            new = where[point_id]
            for was, name in job.carry.items():
                a, b = old.vector(row, was), _vector(new, name)
                same = likeness(a, b) >= SAME_COSINE if was in rounded else _same(a, b)
                if not same:
                    bad.add(point_id)
    return bad


def configuration(source: dict[str, Any], target: dict[str, Any], job: Job) -> list[str]:
    """Lines that say where the target's configuration or indexes are not those of the source."""
    old, new = source["config"], target["config"]
    pairs = [(key, old.get(key), new.get(key)) for key in SECTIONS]
    pairs += [(key, old["params"].get(key), new["params"].get(key)) for key in PARAMETERS]
    pairs += [
        (f"sparse vector {was}", _sparse(old).get(was), _sparse(new).get(name))
        for was, name in job.carry.items()
        if was in _sparse(old)
    ]
    problems = [f"{key} differs: {a} on the old side, {b} on the new" for key, a, b in pairs if a != b]
    old_vectors, new_vectors = _vectors(old), _vectors(new)
    problems += [
        f"vector {name!r} is configured differently on the new side"
        for was, name in job.carry.items()
        if was in old_vectors and old_vectors[was] != new_vectors.get(name)
    ]
    old_schema, new_schema = (_schema(side) for side in (source, target))
    if old_schema != new_schema:
        differing = sorted(k for k in old_schema.keys() | new_schema.keys() if old_schema.get(k) != new_schema.get(k))
        problems.append(f"payload indexes differ: {', '.join(differing)}")
    return problems


def _vectors(config: dict[str, Any]) -> dict[str, Any]:
    vectors = config["params"].get("vectors") or {}
    return {"": vectors} if "size" in vectors else vectors


def _sparse(config: dict[str, Any]) -> dict[str, Any]:
    return config["params"].get("sparse_vectors") or {}


def _schema(info: dict[str, Any]) -> dict[str, Any]:
    # An index made by its type's name alone has no params; made from an object it has {"type": name}: the same index.
    return {k: s.get("params") or {"type": s.get("data_type")} for k, s in info.get("payload_schema", {}).items()}


def _hashes(ctx: Context, collection: str, part: Slice) -> dict[PointId, bytes]:
    hashes: dict[PointId, bytes] = {}
    end = id_key(part.end) if part.end is not None else None

    def read(cursor: PointId | None, size: int) -> Any:
        return ctx.wire.scroll(collection, start=cursor, limit=size, payload=True)

    for page, rows, _, _ in scans.walk(ctx, part, read):
        hashes.update({page.ids[row]: payload_hash(page.payload(row)) for row in rows})
    return hashes if end is None else {i: h for i, h in hashes.items() if id_key(i) < end}


def _found(
    ctx: Context, collection: str, ids: list[PointId], vectors: tuple[str, ...]
) -> dict[PointId, tuple[Page, int]]:
    """Page and row of each of these points that the collection has."""
    pages = by_ids.read(ctx, collection, ids, payload=False, vectors=vectors)
    return {point_id: (page, row) for page in pages for row, point_id in enumerate(page.ids)}


def _vector(found: tuple[Page, int], name: str) -> Any:
    page, row = found
    return page.vector(row, name)


def _accounted(known: Entry | None, basis: bytes) -> bool:
    return known is not None and known.mark in LEFT_OUT and known.text == basis


def _same(old: Any, new: Any) -> bool:
    if old is None or new is None:
        return old is new
    if isinstance(old, dict):
        return isinstance(new, dict) and dict(zip(old["indices"], old["values"], strict=True)) == dict(
            zip(new["indices"], new["values"], strict=True)
        )
    a, b = np.asarray(old, dtype=np.float32), np.asarray(new, dtype=np.float32)
    # A Cosine collection normalises what it is given once more, which may move the last bit.
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=0, atol=1e-6))
