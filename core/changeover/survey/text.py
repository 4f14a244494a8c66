"""The text behind the vectors, proposed: payload fields ranked on the sample by how much they look like it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any

import msgspec

from changeover.embed.model import ModelSpec
from changeover.survey.model import Field, Sampled, Text
from changeover.survey.template import paths, render

MOST_FIELDS = 8
LEAST_SCORE = 0.02
LONG = 400
"""Characters from which a longer text is no likelier."""
LIKELY_NAMES = frozenset({"text", "content", "body", "chunk", "document", "page_content", "description", "passage"})
LETTERS = 0.5
"""Share of letters in what is not white space, below which a value is a number, a date or a code."""
SINGLE_WORD = 0.15
OTHER_GLUES = (" ", "\n\n")


def propose(sample: Sequence[Sampled], old_model: ModelSpec | None) -> Text:
    """The best-ranked field as the text, not proven."""
    fields = fields_of(sample)
    template = f"{{{fields[0].path}}}" if fields else None
    return described(Text(template=template, fields=fields, old_model=old_model), sample)


def described(text: Text, sample: Sequence[Sampled]) -> Text:
    """The text with the shares of points that lack every field of the template, and whose text is blank."""
    if text.template is None or not sample:
        return text
    alone = [f"{{{path}}}" for path in paths(text.template)]
    missing = sum(all(render(one, point.payload) == "" for one in alone) for point in sample)
    empty = sum(not render(text.template, point.payload).strip() for point in sample)
    return msgspec.structs.replace(text, missing=missing / len(sample), empty=empty / len(sample))


def fields_of(sample: Sequence[Sampled]) -> tuple[Field, ...]:
    """Payload fields that hold text, likeliest first: long, nearly always there, mostly different."""
    values: dict[str, list[str]] = {}
    for point in sample:
        for path, value in _leaves(point.payload):
            values.setdefault(path, []).append(value)
    found = [_field(path, texts, len(sample)) for path, texts in values.items()]
    likely = sorted((f for f in found if f.score >= LEAST_SCORE), key=lambda f: (-f.score, f.path))
    return tuple(likely[:MOST_FIELDS])


def templates(fields: Sequence[Field]) -> tuple[str, ...]:
    """Templates to try on the best fields: each alone, then two and three of them in every order, a line each."""
    names = [f"{{{field.path}}}" for field in fields[:5]]
    joined = ["\n".join(chosen) for size in (2, 3) for chosen in permutations(names[:3], size)]
    return (*names, *joined)


def reglued(template: str) -> tuple[str, ...]:
    """The same fields joined otherwise: by a space, by a blank line."""
    return tuple(template.replace("}\n{", f"}}{glue}{{") for glue in OTHER_GLUES) if "}\n{" in template else ()


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text in the payload with its dotted path; keys that no path or filter of Qdrant's can name are left out."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key and key == key.strip() and not set(key) & set('.{}[]"'):
                yield from _leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, str):
        yield path, value
    elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        yield path, "\n".join(value)


def _field(path: str, texts: list[str], sampled: int) -> Field:
    filled = [t for t in texts if t.strip()]
    mean = sum(map(len, filled)) / len(filled) if filled else 0.0
    distinct = len(set(filled)) / len(filled) if filled else 0.0
    language = sum(map(_language, filled)) / len(filled) if filled else 0.0
    share = len(filled) / sampled
    named = 0.15 if path.rpartition(".")[2].lower() in LIKELY_NAMES else 0.0
    score = share * distinct * language * (0.3 + 0.55 * min(1.0, mean / LONG) + named)
    return Field(
        path=path,
        present=round(len(texts) / sampled, 4),
        text=round(share, 4),
        mean_chars=round(mean, 1),
        distinct=round(distinct, 4),
        score=round(score, 4),
    )


def _language(text: str) -> float:
    """How much a value looks like language, 0 to 1; one word may be a name or a code, scripts without spaces count."""
    dense = "".join(text.split())
    if sum(map(str.isalpha, dense)) < LETTERS * len(dense) or dense.startswith(("http://", "https://")):
        return 0.0
    if len(dense) < len(text.strip()) or (len(text) >= 8 and not text.isascii()):
        return 1.0
    return SINGLE_WORD if dense.isalpha() else 0.0
