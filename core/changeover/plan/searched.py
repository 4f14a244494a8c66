"""What the application searches with, before and after: the parts of one call, in no language."""

from __future__ import annotations

from typing import Literal

import msgspec

from changeover.embed.model import ModelSpec
from changeover.plan.model import FromTerms, FromText, FromVector, Job
from changeover.quality.trials import SearchSetting

PREFETCHED = 50
"""Points that each part of a fused search brings: five times what is asked for."""
LIMIT = 10


class Dense(msgspec.Struct, frozen=True, kw_only=True):
    """The dense part: who embeds the query, and the vector that is searched ("" for the unnamed one)."""

    model: str
    prefix: str
    using: str
    way: Literal["embed", "tokens", "server"] = "embed"
    """By the application, by it with a vector per token, or by the server."""
    shorter: FromVector | None = None
    """The query is cut in the same way as the stored vectors."""


class Searched(msgspec.Struct, frozen=True, kw_only=True):
    """One search. With `terms` or `text_field` both parts are fused by their ranks."""

    dense: Dense
    terms: FromTerms | None = None
    text_field: str = ""
    setting: SearchSetting | None = None


def before(job: Job) -> Searched:
    """The search as it is now: the old model on the old vector."""
    return Searched(dense=_dense(job.old_model, job.source_vector))


def after(job: Job, *, setting: SearchSetting | None = None, text_field: str = "") -> Searched:
    """The search after the cutover: by the vector that serves then, fused with the sparse one or the text index."""
    make = job.make(job.target_vector)
    if isinstance(make, FromVector) and not make.maps:
        dense = msgspec.structs.replace(_dense(job.old_model, job.target_vector), shorter=make)
    elif make is None:
        dense = _dense(job.old_model, job.target_vector)
    elif job.model is not None and job.model.provider == "qdrant":
        dense = msgspec.structs.replace(_dense(job.model, job.target_vector), way="server")
    elif isinstance(make, FromText) and make.multi:
        dense = msgspec.structs.replace(_dense(job.model, job.target_vector), way="tokens")
    else:
        dense = _dense(job.model, job.target_vector)
    terms = next((make for make in job.makes if isinstance(make, FromTerms)), None)
    fused = terms is not None or bool(text_field)
    return Searched(dense=dense, terms=terms, text_field=text_field, setting=None if fused else setting)


def _dense(model: ModelSpec | None, using: str) -> Dense:
    return Dense(
        model=model.label if model else "the old model", prefix=model.query_prefix if model else "", using=using
    )
