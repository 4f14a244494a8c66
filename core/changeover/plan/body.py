"""The body of a search request as a tree: what REST takes, and the TypeScript client as well."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from changeover.embed.model import SparseSpec
from changeover.plan.searched import LIMIT, PREFETCHED, Dense, Searched


class Code(str):
    """A leaf that is code of the language, not a value."""

    __slots__ = ()


class Language(NamedTuple):
    """How a language writes what only the application knows."""

    dense: Callable[[Dense], Any]
    """The query of the dense part."""
    terms: Callable[[SparseSpec], Any]
    """The query of the sparse part."""
    text: Any
    """The text that is searched for."""
    key: Callable[[str], str]
    value: Callable[[Any], str]


def body(searched: Searched, language: Language) -> dict[str, Any]:
    """The request; values that only the application knows are `Code`."""
    dense = {"query": language.dense(searched.dense)}
    if searched.dense.using:
        dense["using"] = searched.dense.using
    ends = {"with_payload": True, "limit": LIMIT}
    if searched.terms is not None:
        other = {"query": language.terms(searched.terms.encoder), "using": searched.terms.vector}
    elif searched.text_field:
        other = {"query": {"text": language.text}, "using": searched.text_field}
    else:
        setting = searched.setting
        if setting is None:
            return dense | ends
        rescore = {"rescore": setting.rescore}
        over = {"oversampling": setting.oversampling} if setting.oversampling else {}
        return dense | {"params": {"quantization": rescore | over}} | ends
    parts = [part | {"limit": PREFETCHED} for part in (dense, other)]
    return {"prefetch": parts, "query": {"fusion": "rrf"}} | ends


def lines(tree: Any, language: Language, indent: int = 0) -> list[str]:
    """The tree in the language, a line for each field."""
    pad = "  " * indent
    if isinstance(tree, dict):
        out = ["{"]
        for number, (name, value) in enumerate(tree.items(), start=1):
            [first, *rest] = lines(value, language, indent + 1)
            inner = [f"{pad}  {language.key(name)}: {first}", *rest]
            inner[-1] += "," if number < len(tree) else ""
            out += inner
        return [*out, f"{pad}}}"]
    if isinstance(tree, list):
        out = ["["]
        for number, value in enumerate(tree, start=1):
            [first, *rest] = lines(value, language, indent + 1)
            inner = [f"{pad}  {first}", *rest]
            inner[-1] += "," if number < len(tree) else ""
            out += inner
        return [*out, f"{pad}]"]
    return [str(tree) if isinstance(tree, Code) else language.value(tree)]


def quoted(text: Any) -> str:
    """As a JSON value, which Python and TypeScript read as a string too."""
    return json.dumps(text, ensure_ascii=False)


def bm25_options(encoder: SparseSpec) -> dict[str, Any]:
    """What the server's BM25 is told, the same as for the documents."""
    length = {"avg_len": encoder.average_length} if encoder.average_length else {}
    return {"language": encoder.language} | length
