"""What a plan will cost: points, tokens, time, disk, memory, money. Says what each figure is based on."""

from __future__ import annotations

from typing import NamedTuple

from changeover.checks.model import Probes
from changeover.plan.model import Estimate, FromTerms, FromText, FromVector, Job, Mode
from changeover.survey.model import Survey, Vector

ASSUMED_TEXTS_PER_S = 50.0
"""A small transformer on a CPU without other figures (published: 50 to 100)."""
CHARS_PER_TOKEN = 4.0
INDEX_OVERHEAD = 1.5
"""Of a vector's bytes, for its index."""
TOKENS = 128
"""Token vectors of a text in a multivector, where nothing was measured."""
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


COMPUTED_PER_S = 200_000.0
"""Vectors per second that a matrix turns into others here: never what is waited for."""
TERMS_PER_S = 12_000.0
"""Texts per second of BM25 (measured: 12,600 of 200 words on one thread)."""
TERMS_BYTES = 8 * 60
"""Of one sparse vector: an index and a weight for each of about 60 terms."""


def estimate(survey: Survey, probes: Probes, job: Job, on_disk: bool = False) -> Estimate:
    """The estimate; measured figures where a probe was taken. `on_disk`: where the new vector is kept."""
    points = survey.size.points
    rate, basis = _rate(probes, job)
    limits = [(WRITES_PER_S, "")]
    if job.rate:
        limits.append((job.rate, f", limited to {job.rate:,.0f} points/s"))
    if per_minute := survey.strict.get("write_rate_limit"):
        limits.append((int(per_minute) / 60, f", strict mode takes {int(per_minute):,} points a minute"))
    slowest, why = min(limits)
    if slowest < rate:
        basis += why
    tokens = int(points * _tokens_per_text(survey, probes)) if job.model is not None and not job.bridge else 0
    room = _room(survey, job, on_disk)
    price = job.model.price_per_million_tokens if job.model is not None else None
    return Estimate(
        points=points,
        tokens=tokens,
        seconds=round(points / min(rate, slowest), 1) if job.makes or job.mode == "blue-green" else 0.0,
        disk_bytes=room.disk,
        memory_bytes=room.memory,
        money=round(tokens / 1e6 * price, 4) if price is not None else None,
        basis=basis,
    )


def _rate(probes: Probes, job: Job) -> tuple[float, str]:
    """Points per second that the new vectors are made at, and what that is based on."""
    if any(isinstance(make, FromText) for make in job.makes):
        probe = probes.new_model if probes.new_model is not None and not probes.new_model.error else None
        if probe is not None and probe.texts_per_s > 0:
            return probe.texts_per_s, f"{probe.texts_per_s:,.0f} texts/s measured on a sample"
        return ASSUMED_TEXTS_PER_S, f"{ASSUMED_TEXTS_PER_S:,.0f} texts/s assumed: the model was not tried"
    if any(isinstance(make, FromTerms) for make in job.makes):
        return TERMS_PER_S, "the server's pace; BM25 itself is quicker"
    if job.makes:
        return COMPUTED_PER_S, "the server's pace; nothing is embedded"
    return COMPUTED_PER_S, "the server builds it by itself"


def _tokens_per_text(survey: Survey, probes: Probes) -> float:
    probe = probes.new_model
    return probe.tokens_per_text if probe and not probe.error and probe.tokens_per_text else _tokens_by_chars(survey)


def _room(survey: Survey, job: Job, on_disk: bool) -> Added:
    """What comes on top for all new vectors of the job."""
    old = survey.vector(job.source_vector)
    if old is None or (not job.makes and job.mode == "in-place"):
        return Added(0, 0)
    terms = sum(isinstance(make, FromTerms) for make in job.makes) * survey.size.points * TERMS_BYTES
    stays = len(job.carry) == len(survey.vectors)
    dense = next((make for make in job.makes if isinstance(make, FromText | FromVector)), None)
    tokens = TOKENS if isinstance(dense, FromText) and dense.multi else 1
    room = added(survey, old, (dense.dimension if dense else 0) * tokens, job.mode, on_disk)
    kept = survey.size.points * (old.size or 0) * 4 if stays and job.mode == "blue-green" else 0
    return Added(int(room.memory + terms + kept), int(room.disk + 2 * (terms + kept)))


def _tokens_by_chars(survey: Survey) -> float:
    points = survey.size.points
    return survey.size.text_chars / points / CHARS_PER_TOKEN if points else 0.0
