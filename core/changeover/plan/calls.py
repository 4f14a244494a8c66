"""The application's query call before and after: lines of Python for qdrant-client."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from changeover.embed.model import ModelSpec, SparseSpec
from changeover.plan.model import FromTerms, FromText, FromVector, Job
from changeover.quality.reduction import numpy_code
from changeover.quality.trials import SearchSetting

PREFETCHED = 50
"""Points that each part of a fused search brings: five times what is asked for."""


class Call(msgspec.Struct, frozen=True):
    """One search: lines to stand before it, and the arguments that make it this search (a line each)."""

    setup: tuple[str, ...]
    arguments: tuple[str, ...]


def searched_before(job: Job) -> Call:
    """The call as it is now: the old model on the old vector."""
    return Call((), _dense(_label(job.old_model), _prefix(job.old_model), job.source_vector))


def searched_after(job: Job, *, setting: SearchSetting | None = None, text_field: str = "") -> Call:
    """The call after the cutover: by the vector that serves then, fused with the sparse one or the text index."""
    make = job.make(job.target_vector)
    setup: tuple[str, ...]
    if isinstance(make, FromVector) and not make.maps:
        setup = (*numpy_code(make.method, make.distance, make.dimension).split("\n"), "", "")
        arguments = _dense(_label(job.old_model), _prefix(job.old_model), job.target_vector, "shorter({})")
    elif make is None:
        setup, arguments = (), _dense(_label(job.old_model), _prefix(job.old_model), job.target_vector)
    elif job.model is not None and job.model.provider == "qdrant":
        document = f"models.Document(text={_text(_prefix(job.model))}, model={_label(job.model)})"
        setup, arguments = ("from qdrant_client import models",), (f"query={document},", *_using(job.target_vector))
    elif isinstance(make, FromText) and make.multi:
        setup = ()
        arguments = _dense(_label(job.model), _prefix(job.model), job.target_vector, call="embed_tokens")
    else:
        setup, arguments = (), _dense(_label(job.model), _prefix(job.model), job.target_vector)
    terms = next((make for make in job.makes if isinstance(make, FromTerms)), None)
    if terms is not None:
        return _fused(setup, arguments, terms)
    if text_field:
        part = ("query=models.TextQuery(text=text),", f"using={quoted(text_field)},")
        return _together(("from qdrant_client import models", *setup), arguments, part)
    if setting is not None:
        over = f", oversampling={setting.oversampling}" if setting.oversampling else ""
        inner = f"models.QuantizationSearchParams(rescore={setting.rescore}{over})"
        params = f"search_params=models.SearchParams(quantization={inner}),"
        return Call(("from qdrant_client import models", *setup), (*arguments, params))
    return Call(setup, arguments)


def quoted(text: Any) -> str:
    """As a Python string in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def _fused(setup: tuple[str, ...], dense: tuple[str, ...], make: FromTerms) -> Call:
    before, query = _sparse(make.encoder)
    part = (f"query={query},", f"using={quoted(make.vector)},")
    imports = () if "from qdrant_client import models" in setup else ("from qdrant_client import models",)
    return _together((*imports, *before, *setup), dense, part)


def _together(setup: tuple[str, ...], dense: tuple[str, ...], other: tuple[str, ...]) -> Call:
    """Both parts as prefetches, fused by their ranks."""
    limit = f"limit={PREFETCHED}"
    parts = [f"    models.Prefetch({' '.join((*part, limit))})," for part in (dense, other)]
    fusion = "query=models.FusionQuery(fusion=models.Fusion.RRF),"
    return Call(setup, ("prefetch=[", *parts, "],", fusion))


def _sparse(encoder: SparseSpec) -> tuple[tuple[str, ...], str]:
    """Lines before, and the expression that encodes a query: by the same encoder as the documents."""
    language, length = encoder.language, encoder.average_length
    if encoder.encoder == "server-bm25":
        options = {"language": language} | ({"avg_len": length} if length else {})
        return (), f'models.Document(text=text, model="qdrant/bm25", options={_literal(options)})'
    if encoder.encoder == "local-bm25":
        given = f"language={quoted(language)}" + (f", avg_len={length}" if length else "")
        setup = (
            "import qdrant_edge",
            f"BM25 = qdrant_edge.Bm25(qdrant_edge.Bm25Config({given}))",
            "",
            "",
            "def terms(text):",
            "    found = BM25.embed_query(text)",
            "    return models.SparseVector(indices=found.indices, values=found.values)",
            "",
            "",
        )
        return setup, "terms(text)"
    load = ("from fastembed import SparseTextEmbedding", f"SPARSE = SparseTextEmbedding({quoted(encoder.model)})")
    return load, "models.SparseVector(**next(iter(SPARSE.query_embed(text))).as_object())"


def _literal(options: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{quoted(key)}: {value!r}" for key, value in options.items()) + "}"


def _dense(model: str, prefix: str, using: str, form: str = "{}", call: str = "embed") -> tuple[str, ...]:
    query = form.format(f"{call}({model}, {_text(prefix)})")
    return (f"query={query},", *_using(using))


def _text(prefix: str) -> str:
    return f"{quoted(prefix)} + text" if prefix else "text"


def _using(vector: str) -> tuple[str, ...]:
    return (f"using={quoted(vector)},",) if vector else ()


def _label(model: ModelSpec | None) -> str:
    return quoted(model.label if model else "the old model")


def _prefix(model: ModelSpec | None) -> str:
    return model.query_prefix if model else ""
