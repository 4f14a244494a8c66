"""What the collection is busy with and how large it is."""

from __future__ import annotations

from typing import Any

from changeover.cluster.api import Gateway
from changeover.cluster.errors import Action, ClusterError
from changeover.survey.model import Sampled, Size, State, Vector
from changeover.survey.samples import vector_bytes
from changeover.survey.template import render

BYTES: dict[str | None, float] = {"float16": 2, "uint8": 1, "turbo4": 0.5, "turbo8": 1, "turbo16": 2}
"""Bytes of one stored number; float32 (4) where no datatype is named."""


async def state_of(gateway: Gateway, name: str, info: dict[str, Any]) -> State:
    """Colour, optimizer queue, update queue."""
    now = await gateway.optimizations(name)
    queue = info.get("update_queue") or {}
    return State(
        color=now.color,
        optimizer_error=now.error,
        queued_optimizations=now.queued,
        running_optimizations=now.running,
        update_queue=queue.get("length"),
        deferred_points=queue.get("deferred_points"),
    )


async def size_of(
    gateway: Gateway,
    name: str,
    info: dict[str, Any],
    vectors: tuple[Vector, ...],
    sample: tuple[Sampled, ...],
    template: str | None,
) -> tuple[Size, tuple[str, ...]]:
    """(size, notes). Points counted exactly; bytes of dense vectors by their shape, all else by the sample's mean."""
    import orjson

    notes = []
    points, exact = await _count(gateway, name, info)
    if not exact:
        notes.append("the points could not be counted exactly, so their number is the server's estimate")
    try:
        measured = await vector_bytes(gateway, name, sample)
    except ClusterError as error:
        measured = {}
        notes.append(f"the size of stored vectors could not be measured: {error}")
    payload = sum(len(orjson.dumps(s.payload)) for s in sample) / len(sample) if sample else 0.0
    chars = sum(len(render(template, s.payload)) for s in sample) / len(sample) if sample and template else 0.0
    total, resident, note = await _memory(gateway)
    size = Size(
        points=points,
        exact=exact,
        vector_bytes=int(sum(stored_bytes(v, points, measured.get(v.name)) for v in vectors)),
        payload_bytes=int(points * payload),
        text_chars=int(points * chars),
        memory_total_bytes=total,
        memory_resident_bytes=resident,
    )
    return size, (*notes, *((note,) if note else ()))


async def _count(gateway: Gateway, name: str, info: dict[str, Any]) -> tuple[int, bool]:
    """(points, whether that is exact): strict mode can forbid exact counts, and a huge collection can time out."""
    try:
        points = await gateway.count(name)
    except ClusterError as error:
        if error.action is not Action.RETRY:
            raise
        return int(info.get("points_count") or 0), False
    return points, name not in gateway.inexact_counts


def stored_bytes(vector: Vector, points: int, measured: float | None) -> float:
    """Bytes of one vector over the whole collection; `measured` is the mean of sampled ones as float32, if any."""
    having = points if vector.points is None else vector.points
    if vector.kind == "dense":
        return having * (vector.size or 0) * BYTES.get(vector.datatype, 4)
    return having * (measured or 0.0) * BYTES.get(vector.datatype, 4) / 4


async def _memory(gateway: Gateway) -> tuple[int | None, int | None, str]:
    """Memory of the machine and of the server process, where telemetry tells (needs global read)."""
    try:
        telemetry = await gateway.send("GET", "/telemetry?details_level=2")
        system = telemetry["app"]["system"]
        total = int(system["ram_size"]) * 1024 if system.get("ram_size") else None
        resident = (telemetry.get("memory") or {}).get("resident_bytes")
    except ClusterError as error:
        return None, None, f"the server's memory could not be read: {error}"
    except (AttributeError, KeyError, TypeError, ValueError):
        return None, None, "the server does not tell how much memory it has"
    return total, int(resident) if resident else None, ""
