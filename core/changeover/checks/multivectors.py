"""Vectors per token beside dense ones."""

from __future__ import annotations

from changeover.checks import way
from changeover.checks.base import Check
from changeover.checks.model import Finding, Probes
from changeover.decision.answers import Answers
from changeover.plan.estimate import TOKENS
from changeover.quality.trials import ColocatedTrial
from changeover.survey.describe import in_bytes
from changeover.survey.model import Survey, Vector

SLOWER = 1.2
"""Measured latency with the multivector divided by that without it, from which it slows searches down."""


def colocated_multivector(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """A multivector lies, or will lie, beside dense vectors; in memory or with a graph it slows every search."""
    dense = [vector for vector in survey.vectors if vector.kind == "dense"]
    there = [vector for vector in survey.vectors if vector.kind == "multi"] if dense else []
    planned = way.multi(answers) and way.dense_stays(survey, answers)
    if not there and not planned:
        return None
    trial = _usable(probes.colocated, there, planned)
    heavy = [vector for vector in there if not _light(survey, vector)]
    planned_heavy = planned and answers.vector.on_disk is False
    slower = trial is not None and _times(trial) >= SLOWER
    danger = bool(heavy or planned_heavy or slower) and way.writes_points(answers)
    return Finding(
        code="colocated-multivector",
        severity="warning" if danger or heavy or slower else "info",
        title=(
            "vectors per token beside dense ones slow every search down, also those that only use the dense ones"
            if danger or heavy or slower
            else "vectors per token lie beside dense ones, on disk and without a graph"
        ),
        measured="; ".join(_measured(answers, probes, there, planned, trial)),
        limit="on_disk = true and hnsw m = 0, or a collection of their own",
        consequence=(
            "they are many times larger than the dense vectors and push these out of memory; with millions of points"
            " searches went from 2 s to 13 s, and a load that rewrites every point makes it worse for as long as it takes"
        ),
        remedy=_remedy(heavy, planned_heavy),
        source="measured with and without, on a sample"
        if trial is not None
        else "experience of Qdrant's own guide; sizes computed",
        acknowledge=danger,
    )


def _usable(trial: ColocatedTrial | None, there: list[Vector], planned: bool) -> ColocatedTrial | None:
    if trial is None or not trial.with_ms or not trial.without_ms:
        return None
    fits = planned if trial.planned else any(vector.name == trial.vector for vector in there)
    return trial if fits else None


def _times(trial: ColocatedTrial) -> float:
    return (trial.with_ms or 0.0) / (trial.without_ms or 1.0)


def _light(survey: Survey, vector: Vector) -> bool:
    """On disk, and not indexed by a graph of its own."""
    own = (vector.params.get("hnsw_config") or {}).get("m")
    m = own if own is not None else (survey.config.get("hnsw_config") or {}).get("m")
    return bool(vector.on_disk or vector.params.get("on_disk")) and m == 0


def _measured(
    answers: Answers, probes: Probes, there: list[Vector], planned: bool, trial: ColocatedTrial | None
) -> list[str]:
    said = []
    if there:
        said.append(", ".join(f"{v.name or '(unnamed)'}: {'on disk' if v.on_disk else 'in memory'}" for v in there))
    if planned:
        each = way.numbers(answers, probes)
        label = answers.model.label if answers.model else "the new model"
        size = f", about {in_bytes(4 * each)} a point at {TOKENS} tokens" if each else ""
        place = "in memory" if answers.vector.on_disk is False else "on disk, m = 0"
        said.append(f"planned: {label}, {place}{size}")
    if trial is not None:
        said.append(
            f"a dense search over {trial.points:,} points takes {trial.with_ms:.2f} ms beside {trial.vector or 'it'} and"
            f" {trial.without_ms:.2f} ms without (scratch index); {in_bytes(trial.bytes_per_point)} beside"
            f" {in_bytes(trial.dense_bytes_per_point)} a point"
        )
        if trial.cluster_ms:
            said.append(f"{trial.cluster_ms:.1f} ms on the collection as it is")
    return said


def _remedy(heavy: list[Vector], planned_heavy: bool) -> str:
    if planned_heavy:
        return "leave vector.on_disk out, and the new vectors are kept on disk without a graph of their own"
    if heavy:
        names = ", ".join(vector.name or '""' for vector in heavy)
        return f"PATCH {names} with on_disk: true and hnsw_config: {{m: 0}} before the run, or move it to another collection"
    return "nothing to do; use these vectors to rank again what the dense ones found"


CHECKS = (
    Check(
        code="colocated-multivector",
        looks_at="no large multivector lies beside dense vectors",
        run=colocated_multivector,
        explain=(
            "A late-interaction model (ColBERT) keeps a vector for every token: a hundred times the bytes of a dense one. In\n"
            "the same collection it takes the memory that the dense vectors and their graph need, and every search pays,\n"
            "also one that never looks at it. On disk, without a graph of its own (m = 0) and used only to rank again what\n"
            "the dense search found, it does little harm. The probe measures searches with and without it."
        ),
    ),
)
