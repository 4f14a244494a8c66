"""Measurements of the new model on sampled texts, and the labelled queries that are there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from changeover.checks import way
from changeover.checks.model import ModelProbe, Probes
from changeover.decision.answers import Answers
from changeover.embed.model import ModelSpec
from changeover.errors import ChangeoverError, UsageError
from changeover.survey.model import Survey
from changeover.survey.template import render

TEXTS = 64


async def take_probes(
    survey: Survey, answers: Answers, environ: Mapping[str, str], known: ModelProbe | None = None
) -> Probes:
    """Load the new model and embed texts of the sample; a model that fails is reported in `error`, not raised.

    `known` is what was measured for the same model and texts, which is then not asked again. A model that the answers
    do not use is not asked. Raises UsageError when the query file cannot be read.
    """
    queries = None
    if answers.queries.file:
        from changeover.quality.queries import read

        path = Path(answers.queries.file).expanduser()
        if not path.is_file():
            raise UsageError(f"queries.file {path}: no such file; give a JSONL file of labelled queries")
        queries = sum(1 for query in read(path) if query.relevant)
    if answers.model is None or not way.uses_model(answers):
        return Probes(queries=queries)
    if known is not None:
        return Probes(new_model=known, queries=queries)
    template = answers.text.as_template or survey.text.template
    texts = [render(template, point.payload) for point in survey.sample] if template else []
    chosen = [t for t in texts if t.strip()][:TEXTS] or ["The quick brown fox jumps over the lazy dog."]
    probe = await asyncio.to_thread(probe_model, answers.model, chosen, environ)
    return Probes(new_model=probe, queries=queries)


def probe_model(spec: ModelSpec, texts: list[str], environ: Mapping[str, str]) -> ModelProbe:
    """What the model does with these texts; blocking. Never raises for what is wrong with the model."""
    from changeover.embed.protocol import DimensionMismatch, TextRejected, load_encoder

    try:
        model = load_encoder(spec, environ)
    except DimensionMismatch as error:
        return ModelProbe(dimension=error.real, error=str(error))
    except ChangeoverError as error:
        return ModelProbe(dimension=0, error=str(error))
    try:
        model.embed_query(texts[0])
        begun = time.perf_counter()
        try:
            vectors = model.embed_documents(texts)
        except TextRejected as error:
            # Single texts that a model refuses are skipped by the engine too; none left is an error.
            if len(error.rejected) == len(texts):
                raise
            vectors = error.vectors
        elapsed = time.perf_counter() - begun
        counts = [model.count_tokens([text]) for text in texts]
        limit = model.max_tokens
        return ModelProbe(
            dimension=model.dimension,
            max_tokens=limit,
            texts_per_s=round(len(texts) / max(elapsed, 1e-6), 1),
            tokens_per_text=round(sum(counts) / len(counts), 1),
            truncated=round(sum(c >= limit for c in counts) / len(counts), 3) if limit else 0.0,
            norm=_norm(vectors),
            fingerprint=model.fingerprint.digest,
        )
    except ChangeoverError as error:
        return ModelProbe(dimension=model.dimension, error=str(error))
    finally:
        model.close()


def _norm(vectors: Any) -> float:
    """Mean length of dense vectors; 1 for anything else: token vectors and what the server embeds are not measured."""
    import numpy as np

    if not isinstance(vectors, np.ndarray):
        return 1.0
    return round(float(np.nanmean(np.linalg.norm(vectors, axis=1))), 4)
