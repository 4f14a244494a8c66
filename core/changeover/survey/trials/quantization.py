"""Another quantization, tried on a sample of the stored vectors in a scratch index: recall@10 and bytes, nothing written.

Measured beside a 1.18.3 server with the same 2,800 vectors of 384 numbers: within 0.02 of it for scalar, binary,
product-x16 and turbo-2 at every setting. Recall on some thousand points is higher than on millions, so the run measures
again on the collection itself, before and after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from changeover.cluster.api import Gateway
from changeover.decision.answers import Answers
from changeover.errors import ChangeoverError, UsageError
from changeover.quality import storage
from changeover.quality.trials import QuantizationTrial
from changeover.routes.job import server_version, source_vector
from changeover.survey.model import PointId, Survey, Vector
from changeover.survey.trials.budget import Partly, Progress
from changeover.survey.trials.collect import Subject, random_ids, read_points, rows_of, subject_of
from changeover.survey.trials.scratch import Measured, Task, measure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]

POINTS = 5_000
FEWEST = 200
NUMBERS = 4_000_000
"""Numbers read at most: about 80 MB of JSON from the server, 16 MB here."""
AT_ONCE = 500
"""Points read between two reports of progress."""
ASKED = 200
"""Stored vectors left out of the index, to ask with."""
SECONDS = 180.0
"""For one scratch index. Product quantization x4 took 12 s for 4,800 vectors of 384 numbers on two cores, the other
kinds under a second."""
SETTINGS: tuple[tuple[bool, float | None], ...] = ((False, None), (True, None), (True, 2.0), (True, 3.0), (True, 4.0))
"""(rescore, oversampling). Without oversampling rescoring reorders the ten that were found and finds no other."""


async def try_quantization(
    gateway: Gateway,
    survey: Survey,
    answers: Answers,
    environ: Mapping[str, str],
    *,
    points: int = POINTS,
    budget_s: float = SECONDS,
    progress: Progress | None = None,
    partly: Partly | None = None,
) -> QuantizationTrial:
    """Recall@10 of the answered quantization at several search parameters, beside the present one. Reading only.

    Asked with stored vectors that are left out of the index. Whatever fails or is missing is in `error`.
    """
    kind, name = answers.quantization.kind or "", answers.vector.source or ""
    try:
        vector = source_vector(survey, answers)
        name = vector.name
        subject = subject_of(survey, answers)
        before, after = _configs(survey, vector, answers)
        sample = await _read(gateway, subject, _wanted(points, vector), progress)
        return await _tried(vector, kind, (before, after), sample, _hnsw(survey, vector), budget_s, progress, partly)
    except ChangeoverError as error:
        return QuantizationTrial(vector=name, kind=kind, sampled=0, error=str(error))


def _configs(survey: Survey, vector: Vector, answers: Answers) -> tuple[storage.Config | None, storage.Config | None]:
    """The present and the asked configuration; raises UsageError for what this cluster cannot be given."""
    kind, encoding = answers.quantization.kind, answers.quantization.query_encoding
    if kind is None:
        raise UsageError("not tried: which quantization is wanted is not answered; give quantization.kind")
    if reason := storage.closed(kind, vector, server_version(survey), encoding):
        raise UsageError(f"not tried: {reason}")
    before = storage.present(survey, vector)
    if storage.kind_of(before) is None:
        raise UsageError(f"not tried: the present quantization {before} is not known here")
    return before, storage.config_of(kind, query_encoding=encoding)


async def _read(gateway: Gateway, subject: Subject, wanted: int, progress: Progress | None) -> Rows:
    """Stored vectors of random points, float32 (n, size)."""
    import numpy as np

    if progress:
        progress(0, wanted, "reading stored vectors")
    ids = await random_ids(gateway, subject, wanted)
    pages: list[Rows] = []
    for begin in range(0, len(ids), AT_ONCE):
        found = await read_points(gateway, subject, _part(ids, begin), text=False)
        pages += [rows_of(found)] if found else []
        if progress:
            progress(min(begin + AT_ONCE, len(ids)), len(ids), "reading stored vectors")
    count = sum(map(len, pages))
    if count < FEWEST:
        raise UsageError(f"not tried: {count} points with this vector were found, and under {FEWEST} tell nothing")
    return np.concatenate(pages)


async def _tried(
    vector: Vector,
    kind: str,
    configs: tuple[storage.Config | None, storage.Config | None],
    sample: Rows,
    hnsw: dict[str, int],
    budget_s: float,
    progress: Progress | None,
    partly: Partly | None,
) -> QuantizationTrial:
    trial = QuantizationTrial(vector=vector.name, kind=kind, sampled=len(sample))
    asked = min(ASKED, len(sample) // 10)
    arrays = {"dense": sample[asked:], "asked": sample[:asked]}
    done: list[Measured] = []
    for number, config in enumerate(configs):
        if progress:
            progress(number, len(configs), f"searching a scratch index, {_label(config)}")
        task = Task(
            size=sample.shape[1],
            distance=vector.distance or "Cosine",
            datatype=vector.datatype,
            hnsw=hnsw,
            quantization=config,
            settings=SETTINGS if config else SETTINGS[:1],
        )
        done.append(await measure(task, arrays, budget_s))
        if partly and not number:
            partly(msgspec.structs.replace(trial, before=done[0].default))
    before, after = (storage.kind_of(config) for config in configs)
    assert before is not None and after is not None
    return msgspec.structs.replace(
        trial,
        before=done[0].default,
        settings=done[1].settings,
        bytes_before=storage.bytes_per_vector(before, vector),
        bytes_after=storage.bytes_per_vector(after, vector),
    )


def _wanted(points: int, vector: Vector) -> int:
    return max(FEWEST, min(points, NUMBERS // (vector.size or 1)))


def _hnsw(survey: Survey, vector: Vector) -> dict[str, int]:
    """The graph's `m` and `ef_construct` as configured for the vector, else for the collection."""
    merged: dict[str, Any] = dict(survey.config.get("hnsw_config") or {})
    merged |= {key: value for key, value in (vector.params.get("hnsw_config") or {}).items() if value is not None}
    return {key: int(merged[key]) for key in ("m", "ef_construct") if merged.get(key) is not None}


def _label(config: storage.Config | None) -> str:
    kind = storage.kind_of(config)
    return "not quantized" if kind == "none" else str(kind)


def _part(ids: Sequence[PointId], begin: int) -> Sequence[PointId]:
    return ids[begin : begin + AT_ONCE]
