"""What a plan will cost: points, tokens, time, disk, memory, money. Says what each figure is based on."""

from __future__ import annotations

from changeover.checks.model import Probes
from changeover.plan.model import Estimate, Job
from changeover.survey.model import Survey

ASSUMED_TEXTS_PER_S = 50.0
"""A small transformer on a CPU without other figures (published: 50 to 100)."""
CHARS_PER_TOKEN = 4.0
INDEX_OVERHEAD = 1.5
"""Of a vector's bytes, for its index."""
WRITES_PER_S = 4_000.0
"""Points per second that the server takes at the default batch and streams (measured: 4,000 to 14,000 locally)."""


def new_vector_bytes(points: int, dimension: int) -> int:
    """Bytes of the new vector with its index, float32."""
    return int(points * dimension * 4 * INDEX_OVERHEAD)


def estimate(survey: Survey, probes: Probes, job: Job) -> Estimate:
    """The estimate; measured figures where a probe was taken."""
    points = survey.size.points
    probe = probes.new_model if probes.new_model is not None and not probes.new_model.error else None
    per_text = probe.tokens_per_text if probe and probe.tokens_per_text else _tokens_by_chars(survey)
    tokens = int(points * per_text)
    measured = probe is not None and probe.texts_per_s > 0
    rate = probe.texts_per_s if probe and measured else ASSUMED_TEXTS_PER_S
    effective = min(rate, WRITES_PER_S, job.rate or WRITES_PER_S)
    new = new_vector_bytes(points, job.dimension)
    copied = (
        0 if job.mode == "in-place" else int((survey.size.vector_bytes * INDEX_OVERHEAD) + survey.size.payload_bytes)
    )
    price = job.model.price_per_million_tokens
    basis = f"{rate:,.0f} texts/s {'measured on a sample' if measured else 'assumed: the model was not tried'}"
    if job.rate:
        basis += f", limited to {job.rate:,.0f} points/s"
    return Estimate(
        points=points,
        tokens=tokens,
        seconds=round(points / effective, 1),
        # The optimizer rewrites segments beside the old ones, so as much again is needed for a while.
        disk_bytes=2 * (new + copied),
        memory_bytes=new + copied,
        money=round(tokens / 1e6 * price, 4) if price is not None else None,
        basis=basis,
    )


def _tokens_by_chars(survey: Survey) -> float:
    points = survey.size.points
    return survey.size.text_chars / points / CHARS_PER_TOKEN if points else 0.0
