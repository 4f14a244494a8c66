"""The application's query call in Python, for qdrant-client."""

from __future__ import annotations

from typing import Any

import msgspec

from changeover.embed.model import SparseSpec
from changeover.plan.body import bm25_options, quoted
from changeover.plan.model import FromTerms
from changeover.plan.searched import LIMIT, PREFETCHED, Searched
from changeover.quality.reduction import numpy_code

MODELS = "from qdrant_client import models"


class Call(msgspec.Struct, frozen=True):
    """One search: lines to stand before it, and the arguments that make it this search (a line each)."""

    setup: tuple[str, ...]
    arguments: tuple[str, ...]


def call(name: str, searched: Searched) -> list[str]:
    """One search through that name."""
    parts = parts_of(searched)
    arguments = [f"    {line}" for line in parts.arguments]
    return [
        *parts.setup,
        "points = client.query_points(",
        f"    collection_name={quoted(name)},",
        *arguments,
        f"    limit={LIMIT},",
        ").points",
    ]


def both(name: str, old: Searched, new: Searched) -> list[str]:
    """A search that fits whichever side serves: the other one answers 400 to a wrong dimension or vector name."""
    before, after = parts_of(old), parts_of(new)
    return [
        "from qdrant_client.http.exceptions import UnexpectedResponse",
        *before.setup,
        *after.setup,
        "",
        "",
        "def by_old(text):",
        "    return dict(",
        *(f"        {line}" for line in before.arguments),
        "    )",
        "",
        "",
        "def by_new(text):",
        "    return dict(",
        *(f"        {line}" for line in after.arguments),
        "    )",
        "",
        "",
        "SIDES = [by_old, by_new]  # the one that fitted last stands first",
        "",
        "",
        "def search(text):",
        "    for side in list(SIDES):",
        "        try:",
        f"            found = client.query_points(collection_name={quoted(name)}, limit={LIMIT}, **side(text))",
        "        except UnexpectedResponse as error:",
        "            if error.status_code != 400:",
        "                raise",
        "            continue  # another dimension or vector name: the other side serves now",
        "        SIDES.sort(key=lambda other: other is not side)",
        "        return found.points",
        '    raise RuntimeError("neither model fits the collection")',
    ]


def parts_of(searched: Searched) -> Call:
    """The lines before the call, and its arguments."""
    dense, setting = searched.dense, searched.setting
    setup: tuple[str, ...] = ()
    form, embed = "{}", "embed_tokens" if dense.way == "tokens" else "embed"
    if dense.shorter is not None:
        cut = dense.shorter
        setup, form = (*numpy_code(cut.method, cut.distance, cut.dimension).split("\n"), "", ""), "shorter({})"
    if dense.way == "server":
        setup = (MODELS,)
        document = f"models.Document(text={_text(dense.prefix)}, model={quoted(dense.model)})"
        arguments: tuple[str, ...] = (f"query={document},", *_using(dense.using))
    else:
        query = form.format(f"{embed}({quoted(dense.model)}, {_text(dense.prefix)})")
        arguments = (f"query={query},", *_using(dense.using))
    if searched.terms is not None:
        return _fused(setup, arguments, searched.terms)
    if searched.text_field:
        part = ("query=models.TextQuery(text=text),", f"using={quoted(searched.text_field)},")
        return _together((MODELS, *setup), arguments, part)
    if setting is not None:
        over = f", oversampling={setting.oversampling}" if setting.oversampling else ""
        inner = f"models.QuantizationSearchParams(rescore={setting.rescore}{over})"
        params = f"search_params=models.SearchParams(quantization={inner}),"
        return Call((MODELS, *setup), (*arguments, params))
    return Call(setup, arguments)


def _fused(setup: tuple[str, ...], dense: tuple[str, ...], make: FromTerms) -> Call:
    before, query = _sparse(make.encoder)
    part = (f"query={query},", f"using={quoted(make.vector)},")
    imports = () if MODELS in setup else (MODELS,)
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
        return (), f'models.Document(text=text, model="qdrant/bm25", options={_literal(bm25_options(encoder))})'
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


def _text(prefix: str) -> str:
    return f"{quoted(prefix)} + text" if prefix else "text"


def _using(vector: str) -> tuple[str, ...]:
    return (f"using={quoted(vector)},",) if vector else ()
