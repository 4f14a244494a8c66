"""What the collection is busy with and how large it is."""

from __future__ import annotations

from typing import Any

from changeover.cluster.api import Gateway
from changeover.cluster.errors import ClusterError
from changeover.survey.model import Sampled, Size, State, Vector
from changeover.survey.template import render

BYTES = {None: 4, "float32": 4, "float16": 2, "uint8": 1}


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
    gateway: Gateway, name: str, vectors: tuple[Vector, ...], sample: tuple[Sampled, ...], template: str | None
) -> Size:
    """Points counted exactly; bytes of vectors by their shape, of payload and text by the sample's mean."""
    import orjson

    points = await gateway.count(name)
    per_point = sum((v.size or 0) * BYTES.get(v.datatype, 4) for v in vectors if v.kind == "dense")
    payload = sum(len(orjson.dumps(s.payload)) for s in sample) / len(sample) if sample else 0.0
    chars = sum(len(render(template, s.payload)) for s in sample) / len(sample) if sample and template else 0.0
    total, resident = await _memory(gateway)
    return Size(
        points=points,
        exact=not getattr(gateway, "inexact_counts", False),
        vector_bytes=points * per_point,
        payload_bytes=int(points * payload),
        text_chars=int(points * chars),
        memory_total_bytes=total,
        memory_resident_bytes=resident,
    )


async def _memory(gateway: Gateway) -> tuple[int | None, int | None]:
    """Memory of the machine and of the server process, where telemetry tells (needs global read)."""
    try:
        telemetry = await gateway.send("GET", "/telemetry?details_level=2")
        system = telemetry["app"]["system"]
        total = int(system["ram_size"]) * 1024 if system.get("ram_size") else None
        resident = (telemetry.get("memory") or {}).get("resident_bytes")
        return total, int(resident) if resident else None
    except (ClusterError, KeyError, TypeError, ValueError):
        return None, None
