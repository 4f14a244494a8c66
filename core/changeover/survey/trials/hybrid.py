"""Dense, sparse and fused search on the user's own chunks, before a sparse vector is added: reading only.

Rarity of terms is counted on the sample, as the server counts it on the collection.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from changeover.checks.model import Probes
from changeover.cluster.api import Gateway, SparseValue
from changeover.decision.answers import Answers
from changeover.embed.bm25 import has_edge
from changeover.embed.model import ModelSpec, SparseSpec
from changeover.embed.protocol import Encoder, TextRejected, load, load_encoder
from changeover.embed.sparse import is_bm25
from changeover.embed.terms import guess_language, terms_per_text
from changeover.errors import ChangeoverError, UsageError
from changeover.quality.compare import DECIDES, bootstrap
from changeover.quality.fusion import LARGER_IS_NEARER, dbsf, rrf
from changeover.quality.lexical import Terms
from changeover.quality.metrics import per_query
from changeover.quality.model import Score
from changeover.quality.nearest import nearest
from changeover.quality.queries import LabelledQuery
from changeover.quality.trials import HybridTrial
from changeover.routes.made import sparse_spec
from changeover.survey.model import Survey
from changeover.survey.trials.budget import BATCH, Budget, Partly, Progress, asked, embedded, require_size, spread
from changeover.survey.trials.collect import (
    Found,
    Subject,
    answerable,
    labelled,
    random_ids,
    read_points,
    rows_of,
    subject_of,
    within,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]

POINTS = 2_000
QUERIES = 200
SECONDS = 90.0
FETCHED = 50
"""Points of each search that are fused: five times the ten that are wanted, as on the cluster."""
TOP = 10
COUNTED = 128
"""Texts whose terms are counted where a network makes them."""
DOCUMENTS, ASKING = 0.6, 0.75
"""Shares of the time after which sparse vectors of texts and then of queries are made no more."""
STAND_IN = ("server-bm25", "text-index")
"""Encoders that the server runs; the same Rust code runs here as local-bm25."""

Ranked = list[list[tuple[int, float]]]
"""(row, score) per query, best first."""


class _Dense(NamedTuple):
    """The dense side: who asks, and who makes the texts' vectors (None: they are stored)."""

    asks: ModelSpec
    writes: ModelSpec | None


async def try_hybrid(
    gateway: Gateway,
    survey: Survey,
    answers: Answers,
    environ: Mapping[str, str],
    *,
    points: int = POINTS,
    queries: int = QUERIES,
    budget_s: float | None = SECONDS,
    progress: Progress | None = None,
    partly: Partly | None = None,
) -> HybridTrial:
    """Search `points` points, among them all that are relevant, in every way. Texts are counted even without queries.

    The dense side is the new model where one is answered, else the stored vectors, asked by the old model. What was left
    out for want of queries, a model or time is in `note`; `error` says why nothing could be measured.
    """
    label: str = answers.sparse.encoder or ""
    try:
        spec = sparse_spec(survey, answers, Probes())
        label = spec.label
        subject = subject_of(survey, answers)
        if not subject.template:
            raise UsageError("not tried: no payload field holds the text; answer text.field or text.template")
        budget = Budget(budget_s, progress, partly)
        budget.tell(0, points, "reading the sample")
        chosen: tuple[LabelledQuery, ...] = ()
        relevant: list[Found] = []
        if subject.asks:
            chosen, relevant = await answerable(
                gateway, subject, await labelled(gateway, subject, queries), points // 2
            )
        ids = await random_ids(gateway, subject, points - len(relevant), without=[point.id for point in relevant])
        sample = spread(relevant, await read_points(gateway, subject, ids))
        if not sample:
            raise UsageError("not tried: no sampled point has this vector and a text")
        return await budget.run(_measured, subject, spec, sample, chosen, environ, budget)
    except ChangeoverError as error:
        return HybridTrial(encoder=label, points=0, queries=0, error=str(error))


def _measured(
    subject: Subject,
    spec: SparseSpec,
    sample: list[Found],
    queries: Sequence[LabelledQuery],
    environ: Mapping[str, str],
    budget: Budget,
) -> HybridTrial:
    """Count the terms, then search where there are queries. Blocking."""
    texts = [point.text for point in sample]
    budget.tell(0, len(texts), "counting terms")
    counted = terms_per_text(texts if spec.encoder != "fastembed" or is_bm25(spec) else texts[:COUNTED], spec)
    trial = HybridTrial(
        encoder=spec.label,
        points=len(sample),
        queries=0,
        average_length=counted.average,
        without_terms=counted.without_terms,
        stopword_share=counted.stopword_share,
        guessed_language=guess_language(texts) if has_edge() else None,
    )
    budget.show(trial)
    if not queries:
        why = "no labelled queries were given (queries.file or queries.title_field), so no search was tried"
        return msgspec.structs.replace(trial, note=why)
    return _searched(trial, subject, _here(spec, counted.average), sample, queries, environ, budget)


def _searched(
    trial: HybridTrial,
    subject: Subject,
    spec: SparseSpec,
    sample: list[Found],
    queries: Sequence[LabelledQuery],
    environ: Mapping[str, str],
    budget: Budget,
) -> HybridTrial:
    notes: list[str] = []
    encoder = load_encoder(spec, environ)
    try:
        terms = _terms_of_texts(encoder, [point.text for point in sample], budget)
        asking = _terms_of_queries(encoder, [query.query for query in queries], budget)
    finally:
        encoder.close()
    dense, why = _dense_side(subject)
    if why:
        notes.append(why)
    stored: Rows | None = None
    asked_with: list[Any] = []
    if dense is not None:
        stored, asked_with = _vectors(dense, subject, sample[: len(terms)], queries[: len(asking)], environ, budget)
        terms, asking = terms[: len(stored)], asking[: len(asked_with)]
    if len(terms) < len(sample) or len(asking) < len(queries):
        notes.append(f"the time was enough for {len(terms):,} of {len(sample):,} texts")
    kept = _kept(sample[: len(terms)], queries[: len(asking)], asked_with if dense else None)
    if not kept:
        return msgspec.structs.replace(trial, note="; ".join([*notes, "no labelled query could be asked in this time"]))
    # Rows in random order: what equal scores are ordered by must not favour the relevant ones.
    order = random.Random(0).sample(range(len(terms)), len(terms))
    ids = [sample[row].id for row in order]
    lists: dict[str, Ranked] = {}
    index = Terms([terms[row] for row in order], idf=spec.uses_idf)
    lists["sparse"] = [index.search(asking[number], FETCHED) for number, _ in kept]
    if stored is not None:
        lists["dense"] = _near([asked_with[number] for number, _ in kept], stored[order], _distance(subject, dense))
        pairs = [list(pair) for pair in zip(lists["dense"], lists["sparse"], strict=True)]
        lists["rrf"] = [rrf(pair) for pair in pairs]
        if _distance(subject, dense) in LARGER_IS_NEARER:
            lists["dbsf"] = [dbsf(pair) for pair in pairs]
    scores = _scores([query for _, query in kept], ids, lists)
    return msgspec.structs.replace(
        trial, points=len(terms), queries=len(kept), note="; ".join(notes), **{str(k): v for k, v in scores.items()}
    )


def _here(spec: SparseSpec, average: float) -> SparseSpec:
    """The encoder that this machine runs, with the measured length where none was given."""
    encoder = "local-bm25" if spec.encoder in STAND_IN else spec.encoder
    return msgspec.structs.replace(spec, encoder=encoder, average_length=spec.average_length or average or None)


def _dense_side(subject: Subject) -> tuple[_Dense | None, str]:
    """Who makes the dense vectors, or None with the reason."""
    new = subject.model
    if new is not None and new.kind == "dense" and new.provider != "qdrant":
        return _Dense(asks=new, writes=new), ""
    if subject.old_model is not None:
        return _Dense(asks=subject.old_model, writes=None), ""
    return None, "dense and fused search were not tried: no old model (old_model.*) to ask the stored vectors with"


def _vectors(
    dense: _Dense,
    subject: Subject,
    sample: list[Found],
    queries: Sequence[LabelledQuery],
    environ: Mapping[str, str],
    budget: Budget,
) -> tuple[Rows, list[Any]]:
    """Dense vectors of the points, as many as the time allows (NaN for refused texts), and of the queries."""
    import numpy as np

    model = load(dense.asks, environ)
    try:
        share = 1.0 if dense.writes is None else (1 + ASKING) / 2
        asking = asked(model, [query.query for query in queries], budget, share, f"asking with {dense.asks.label}")
        if dense.writes is None:
            stored = rows_of(sample)
        else:
            made = embedded(model, [point.text for point in sample], budget, f"embedding with {dense.asks.label}")
            empty = np.full(model.dimension, np.nan, dtype=np.float32)
            stored = np.array([empty if vector is None else vector for vector in made], dtype=np.float32)
    finally:
        model.close()
    if any(vector is not None for vector in asking):
        require_size(np.array([v for v in asking if v is not None][:1]), stored.shape[1], dense.asks.label)
    return stored, asking


def _near(asking: list[Any], stored: Rows, distance: str) -> Ranked:
    """The dense rankings with the scores that servers give: a length for Euclid and Manhattan, a product else."""
    import numpy as np

    usable = np.flatnonzero(np.isfinite(stored).all(axis=1))
    rows = stored[usable]
    asked_with = np.array(asking, dtype=np.float32)
    found = nearest(asked_with, rows, distance, FETCHED)
    return [
        [(int(usable[row]), _score(query, rows[row], distance)) for row in ranking]
        for query, ranking in zip(asked_with, found, strict=True)
    ]


def _score(query: Any, vector: Any, distance: str) -> float:
    import numpy as np

    if distance == "Euclid":
        return float(np.linalg.norm(query - vector))
    if distance == "Manhattan":
        return float(np.abs(query - vector).sum())
    product = float(query @ vector)
    lengths = float(np.linalg.norm(query) * np.linalg.norm(vector))
    return product / lengths if distance == "Cosine" and lengths else product


def _distance(subject: Subject, dense: _Dense | None) -> str:
    return subject.aim if dense is not None and dense.writes is not None else subject.distance


def _kept(
    sample: Sequence[Found], queries: Sequence[LabelledQuery], asked_with: Sequence[Any] | None
) -> list[tuple[int, LabelledQuery]]:
    """(number, query) of those that were asked in every way and whose labels are among the points."""
    ids = [point.id for point in sample]
    return [
        (number, left[0])
        for number, query in enumerate(queries)
        if (asked_with is None or asked_with[number] is not None) and (left := within([query], ids))
    ]


def _scores(
    queries: Sequence[LabelledQuery], ids: Sequence[int | str], lists: Mapping[str, Ranked]
) -> dict[str, Score]:
    """nDCG@10 of each way, and `difference`: the better fusion minus dense, paired."""
    values = {
        way: per_query(queries, [[ids[row] for row, _ in ranking[:TOP]] for ranking in ranked])[DECIDES]
        for way, ranked in lists.items()
    }
    if "dense" in values:
        best = max({"rrf", "dbsf"} & values.keys(), key=lambda way: (float(values[way].mean()), way))
        values["difference"] = values[best] - values["dense"]
    return dict(zip(values, bootstrap([DECIDES] * len(values), list(values.values()), 0), strict=True))


def _terms_of_texts(encoder: Encoder, texts: Sequence[str], budget: Budget) -> list[SparseValue | None]:
    """Sparse vectors as far as the time reached, one batch at least; None without terms or where refused."""
    done: list[SparseValue | None] = []
    for begin in range(0, len(texts), BATCH):
        if begin and budget.spent(DOCUMENTS):
            break
        budget.tell(begin, len(texts), "encoding texts")
        try:
            made: Any = encoder.embed_documents(texts[begin : begin + BATCH])
        except TextRejected as error:
            made = error.vectors
        done += made
    return done


def _terms_of_queries(encoder: Encoder, texts: Sequence[str], budget: Budget) -> list[SparseValue]:
    done: list[SparseValue] = []
    for number, text in enumerate(texts):
        if number and budget.spent(ASKING):
            break
        value = encoder.embed_query(text)
        assert isinstance(value, SparseValue)
        done.append(value)
    return done
