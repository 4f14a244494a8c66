"""What a multivector beside a dense vector costs: bytes per point, and the time of a dense search with and without it.

The collection cannot be measured without its multivector, because nothing is written to it: it is timed as it is, and the
two that compare are scratch indexes of the same points on this machine. Those fit in memory, where a dense search never
touches the multivectors; on a server they compete for memory, so `bytes_per_point` is the figure that grows with it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from changeover.cluster.api import Gateway
from changeover.decision.answers import Answers
from changeover.embed.protocol import load_encoder
from changeover.errors import ChangeoverError, UsageError
from changeover.quality.storage import NUMBER_BYTES
from changeover.quality.trials import ColocatedTrial
from changeover.survey.model import Survey, Vector
from changeover.survey.template import render
from changeover.survey.trials.budget import Budget, Partly, Progress, embedded
from changeover.survey.trials.scratch import Task, measure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]

POINTS = 2_000
"""Points of the scratch indexes at most."""
SAMPLED = 64
"""Points whose multivectors are read, or texts that are embedded; the scratch index repeats them."""
NUMBERS = 16_000_000
"""Numbers of all multivectors in the scratch index at most: 64 MB."""
AT_ONCE = 200
ASKED = 20
ROUNDS = 10
SECONDS = 120.0


class _Large(NamedTuple):
    """The multivector: its configuration, the tokens of some points, and whether it is in the collection."""

    vector: Vector
    tokens: list[Rows]
    planned: bool


async def try_colocated(
    gateway: Gateway,
    survey: Survey,
    answers: Answers | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    points: int = POINTS,
    progress: Progress | None = None,
    partly: Partly | None = None,
) -> ColocatedTrial | None:
    """The largest multivector of the collection, else the one that the answered model would add; None without either.

    Reading only. Whatever fails is in `error`, with what was measured before it.
    """
    answers = answers or Answers()
    multi = [vector for vector in survey.vectors if vector.kind == "multi"]
    late = answers.model is not None and answers.model.kind == "late-interaction"
    dense = _dense(survey, answers)
    if dense is None or not (multi or late):
        return None
    trial = ColocatedTrial(
        vector=multi[0].name if multi else "", bytes_per_point=0, dense_bytes_per_point=_bytes(dense)
    )
    try:
        budget = Budget(SECONDS, progress)
        large = await _read(gateway, survey, multi) if multi else await _made(survey, answers, environ or {}, budget)
        trial = msgspec.structs.replace(
            trial, vector=large.vector.name, bytes_per_point=_mean_bytes(large), planned=large.planned
        )
        stored = await _dense_vectors(gateway, survey, dense, _fitting(large, points), progress)
        trial = msgspec.structs.replace(trial, cluster_ms=await _on_cluster(gateway, survey, dense, stored))
        if partly:
            partly(trial)
        return await _scratch(trial, dense, large, stored, progress, partly)
    except ChangeoverError as error:
        return msgspec.structs.replace(trial, error=str(error))


async def _read(gateway: Gateway, survey: Survey, multi: Sequence[Vector]) -> _Large:
    """The multivector with most bytes per point, on sampled points that have it."""
    import numpy as np

    names = [vector.name for vector in multi]
    found: dict[str, list[Rows]] = {name: [] for name in names}
    for point in await gateway.sample(survey.collection, SAMPLED, payload=False, vectors=names):
        for name in names:
            if point.vectors.get(name):
                found[name].append(np.array(point.vectors[name], dtype=np.float32))
    having = [_Large(vector, found[vector.name], False) for vector in multi if found[vector.name]]
    if not having:
        raise UsageError(f"not tried: no sampled point has the multivector {', '.join(names)}")
    return max(having, key=_mean_bytes)


async def _made(survey: Survey, answers: Answers, environ: Mapping[str, str], budget: Budget) -> _Large:
    """What the answered model makes of sampled texts."""
    assert answers.model is not None
    template = answers.text.as_template or survey.text.template
    texts = [text for p in survey.sample[:SAMPLED] if template and (text := render(template, p.payload)).strip()]
    if not texts:
        raise UsageError("not tried: no sampled point has a text to embed; answer text.field or text.template")
    if answers.model.provider == "qdrant":
        raise UsageError(f"not tried: {answers.model.label} runs on the server, so its vectors are not known here")

    def embed() -> tuple[list[Any], int]:
        assert answers.model is not None
        model = load_encoder(answers.model, environ)
        try:
            return embedded(model, texts, budget, f"embedding with {answers.model.label}"), model.dimension
        finally:
            model.close()

    made, size = await budget.run(embed)
    tokens = [rows for rows in made if rows is not None]
    if not tokens:
        raise UsageError(f"not tried: {answers.model.label} refused all of {len(texts)} sampled texts")
    vector = Vector(name=answers.vector.name or answers.model.label, kind="multi", size=size, distance="Cosine")
    return _Large(vector, tokens, True)


async def _dense_vectors(
    gateway: Gateway, survey: Survey, dense: Vector, wanted: int, progress: Progress | None
) -> Rows:
    """Stored dense vectors of random points, float32 (n, size), `ASKED` more than `wanted` where there are as many."""
    import numpy as np

    found: dict[Any, Any] = {}
    while len(found) < wanted + ASKED:
        page = await gateway.sample(survey.collection, AT_ONCE, payload=False, vectors=[dense.name])
        before = len(found)
        found |= {p.id: p.vectors[dense.name] for p in page if p.vectors.get(dense.name)}
        if progress:
            progress(min(len(found), wanted), wanted, "reading stored vectors")
        if len(found) - before < len(page) // 4:
            # Nearly all are known: the collection holds hardly more, or hardly any have the vector.
            break
    if len(found) < 2:
        raise UsageError(f"not tried: no sampled points have the vector {dense.name!r}")
    return np.array(list(found.values())[: wanted + ASKED], dtype=np.float32)


async def _on_cluster(gateway: Gateway, survey: Survey, dense: Vector, stored: Rows) -> float:
    """Median time of dense searches one after another, over the network, in milliseconds; the first is not counted."""
    times = []
    for query in stored[: ASKED + 1].tolist():
        begun = time.perf_counter()
        await gateway.search(survey.collection, query, using=dense.name, limit=10)
        times.append((time.perf_counter() - begun) * 1000)
    return round(statistics.median(times[1:]), 3)


async def _scratch(
    trial: ColocatedTrial,
    dense: Vector,
    large: _Large,
    stored: Rows,
    progress: Progress | None,
    partly: Partly | None,
) -> ColocatedTrial:
    import numpy as np

    asked = min(ASKED, len(stored) // 2)
    kept = stored[asked:]
    repeated = [large.tokens[row % len(large.tokens)] for row in range(len(kept))]
    task = Task(
        size=kept.shape[1],
        distance=dense.distance or "Cosine",
        rounds=ROUNDS,
        multi_size=large.vector.size,
        multi_distance=large.vector.distance or "Cosine",
    )
    arrays: dict[str, Any] = {"dense": kept, "asked": stored[:asked]}
    tokens = {"tokens": np.concatenate(repeated), "counts": np.array([len(rows) for rows in repeated], dtype=np.int64)}
    if progress:
        progress(0, 2, "searching a scratch index, with the multivector")
    beside = await measure(task, arrays | tokens, SECONDS)
    trial = msgspec.structs.replace(trial, points=len(kept), with_ms=beside.median_ms)
    if partly:
        partly(trial)
    if progress:
        progress(1, 2, "searching a scratch index, without the multivector")
    alone = await measure(msgspec.structs.replace(task, multi_size=None), arrays, SECONDS)
    return msgspec.structs.replace(trial, without_ms=alone.median_ms)


def _dense(survey: Survey, answers: Answers) -> Vector | None:
    """The dense vector that the application searches."""
    dense = [vector for vector in survey.vectors if vector.kind == "dense"]
    return next((v for v in dense if v.name == answers.vector.source), dense[0] if dense else None)


def _fitting(large: _Large, points: int) -> int:
    numbers = sum(rows.size for rows in large.tokens) / len(large.tokens)
    return max(1, min(points, int(NUMBERS // max(numbers, 1))))


def _mean_bytes(large: _Large) -> int:
    tokens = sum(map(len, large.tokens)) / len(large.tokens)
    return round(tokens * _bytes(large.vector))


def _bytes(vector: Vector) -> int:
    """Of one vector or token as it is stored, unquantized."""
    return round((vector.size or 0) * NUMBER_BYTES.get(vector.datatype or "float32", 4.0))
