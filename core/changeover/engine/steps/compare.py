"""Comparisons of the two sides that verification is made of; blocking, no repair."""

from __future__ import annotations

from typing import Any

import numpy as np

from changeover.engine import scans
from changeover.engine.context import Context
from changeover.engine.deliver import patiently
from changeover.engine.hashes import payload_hash, text_hash
from changeover.engine.ledger import Mark
from changeover.engine.pipeline import cosine
from changeover.engine.steps.converge import slices_of
from changeover.ids import id_key
from changeover.plan.model import Job, Slice
from changeover.survey.model import PointId
from changeover.survey.template import render

SECTIONS = ("hnsw_config", "optimizer_config", "wal_config", "quantization_config", "strict_mode_config")
PARAMETERS = ("shard_number", "replication_factor", "write_consistency_factor", "on_disk_payload", "sparse_vectors")
ACCOUNTED = {Mark.BLANK, Mark.SKIPPED}


def in_place_ids(ctx: Context) -> set[PointId]:
    """Points that have text and no new vector, and were not skipped."""
    found = scans.Found()
    for part in slices_of(ctx):
        for _ in scans.missing(ctx, part, found):
            pass
    return found.suspects


def blue_green_ids(ctx: Context) -> set[PointId]:
    """Points that only one side has, or whose payload differs."""
    bad: set[PointId] = set()
    for part in slices_of(ctx):
        old, new = _hashes(ctx, ctx.job.source, part), _hashes(ctx, ctx.job.target, part)
        bad.update(point_id for point_id in old.keys() | new.keys() if old.get(point_id) != new.get(point_id))
    return bad


def sampled_vectors(ctx: Context, ids: list[PointId], least: float) -> tuple[set[PointId], float]:
    """Sampled points whose stored new vector is not that of their text now; and the lowest cosine seen."""
    job = ctx.job
    bad: set[PointId] = set()
    lowest = 1.0
    for begin in range(0, len(ids), 64):
        page = _read(ctx, job.target, ids[begin : begin + 64], vectors=(job.target_vector,))
        entries = ctx.ledger.get(list(page.ids))
        texts = [render(job.template, page.payload(row)) for row in range(len(page.ids))]
        wanted = [
            row
            for row, text in enumerate(texts)
            if text.strip() and not _accounted(entries.get(page.ids[row]), text_hash(text))
        ]
        if not wanted:
            continue
        fresh = ctx.embedder.embed_documents([texts[row] for row in wanted])
        for row, vector in zip(wanted, fresh, strict=True):
            stored = page.vector(row, job.target_vector)
            likeness = 0.0 if stored is None else cosine(np.asarray(stored, dtype=np.float32), vector)
            lowest = min(lowest, likeness)
            if likeness < least:
                bad.add(page.ids[row])
    return bad, lowest


def carried_vectors(ctx: Context, ids: list[PointId]) -> set[PointId]:
    """Sampled points whose carried vectors are not the same on both sides."""
    job = ctx.job
    bad: set[PointId] = set()
    if not job.carry:
        return bad
    for begin in range(0, len(ids), 64):
        part = ids[begin : begin + 64]
        old, new = (_read(ctx, side, part, vectors=job.carry) for side in (job.source, job.target))
        rows = {point_id: row for row, point_id in enumerate(new.ids)}
        for row, point_id in enumerate(old.ids):
            if point_id not in rows:
                continue
            if any(not _same(old.vector(row, name), new.vector(rows[point_id], name)) for name in job.carry):
                bad.add(point_id)
    return bad


def configuration(source: dict[str, Any], target: dict[str, Any], job: Job) -> list[str]:
    """Lines that say where the target's configuration or indexes are not those of the source."""
    old, new = source["config"], target["config"]
    pairs = [(key, old.get(key), new.get(key)) for key in SECTIONS]
    pairs += [(key, old["params"].get(key), new["params"].get(key)) for key in PARAMETERS]
    problems = [f"{key} differs: {a} on the old side, {b} on the new" for key, a, b in pairs if a != b]
    old_vectors, new_vectors = _vectors(old), _vectors(new)
    problems += [
        f"vector {name!r} is configured differently on the new side"
        for name in job.carry
        if name in old_vectors and old_vectors[name] != new_vectors.get(name)
    ]
    old_schema, new_schema = (_schema(side) for side in (source, target))
    if old_schema != new_schema:
        differing = sorted(k for k in old_schema.keys() | new_schema.keys() if old_schema.get(k) != new_schema.get(k))
        problems.append(f"payload indexes differ: {', '.join(differing)}")
    return problems


def _vectors(config: dict[str, Any]) -> dict[str, Any]:
    vectors = config["params"].get("vectors") or {}
    return {"": vectors} if "size" in vectors else vectors


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


def _read(ctx: Context, collection: str, ids: list[PointId], vectors: tuple[str, ...]) -> Any:
    return patiently(
        ctx,
        lambda: ctx.wire.scroll(
            collection, start=None, limit=len(ids), payload=True, vectors=vectors, filter={"must": [{"has_id": ids}]}
        ),
    )


def _accounted(entry: Any, text: bytes) -> bool:
    return entry is not None and entry.mark in ACCOUNTED and entry.text == text


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
