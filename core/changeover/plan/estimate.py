"""What a plan will cost: points, tokens, time, disk, memory, money. Says what each figure is based on."""

from __future__ import annotations

from typing import NamedTuple

from changeover.checks.model import Probes
from changeover.plan.model import Estimate, Job, Mode
from changeover.survey.model import Survey, Vector

ASSUMED_TEXTS_PER_S = 50.0
"""A small transformer on a CPU without other figures (published: 50 to 100)."""
CHARS_PER_TOKEN = 4.0
INDEX_OVERHEAD = 1.5
"""Of a vector's bytes, for its index."""
WRITES_PER_S = 4_000.0
"""Points per second that the server takes at the default batch and streams (measured: 4,000 to 14,000 locally)."""


class Added(NamedTuple):
    """Bytes that a migration adds while both sides are there."""

    memory: int
    disk: int
    """With what the optimizer needs for a while: it rewrites segments beside the old ones, so twice the data."""


def added(survey: Survey, old: Vector, dimension: int, mode: Mode, on_disk: bool) -> Added:
    """What comes on top: the new vector with its index and, blue-green, a copy of the other vectors and the payload.

    A vector on disk keeps its index in memory.
    """
    points = survey.size.points
    vector = points * dimension * _width(old)
    index = vector * (INDEX_OVERHEAD - 1)
    memory, disk = index if on_disk else vector + index, vector + index
    if mode == "blue-green":
        replaced = points * (old.size or 0) * _width(old)
        carried = max(0, survey.size.vector_bytes - replaced) * INDEX_OVERHEAD
        payload = survey.size.payload_bytes
        memory += carried + (0 if (survey.config.get("params") or {}).get("on_disk_payload") else payload)
        disk += carried + payload
    return Added(memory=int(memory), disk=int(2 * disk))


def _width(old: Vector) -> int:
    return 2 if old.datatype == "float16" else 4


def estimate(survey: Survey, probes: Probes, job: Job, on_disk: bool = False) -> Estimate:
    """The estimate; measured figures where a probe was taken. `on_disk`: where the new vector is kept."""
    points = survey.size.points
    probe = probes.new_model if probes.new_model is not None and not probes.new_model.error else None
    per_text = probe.tokens_per_text if probe and probe.tokens_per_text else _tokens_by_chars(survey)
    tokens = int(points * per_text)
    measured = probe is not None and probe.texts_per_s > 0
    rate = probe.texts_per_s if probe and measured else ASSUMED_TEXTS_PER_S
    basis = f"{rate:,.0f} texts/s {'measured on a sample' if measured else 'assumed: the model was not tried'}"
    limits = [(WRITES_PER_S, "")]
    if job.rate:
        limits.append((job.rate, f", limited to {job.rate:,.0f} points/s"))
    if per_minute := survey.strict.get("write_rate_limit"):
        limits.append((int(per_minute) / 60, f", strict mode takes {int(per_minute):,} points a minute"))
    slowest, why = min(limits)
    if slowest < rate:
        basis += why
    old = survey.vector(job.source_vector)
    room = added(survey, old, job.dimension, job.mode, on_disk) if old else Added(0, 0)
    price = job.model.price_per_million_tokens
    return Estimate(
        points=points,
        tokens=tokens,
        seconds=round(points / min(rate, slowest), 1),
        disk_bytes=room.disk,
        memory_bytes=room.memory,
        money=round(tokens / 1e6 * price, 4) if price is not None else None,
        basis=basis,
    )


def _tokens_by_chars(survey: Survey) -> float:
    points = survey.size.points
    return survey.size.text_chars / points / CHARS_PER_TOKEN if points else 0.0
