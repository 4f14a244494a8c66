"""Text indexes as the core takes them: tokenizer, stop words, stemmer and scoring of an index, and queries by words.

The scores are the core's own BM25: idf = ln(1 + (N - n + 0.5) / (n + 0.5)), k1 = 1.2 and b = 0.75 unless a query says else.
"""

from __future__ import annotations

from typing import Any

import msgspec
import qdrant_edge as edge

from changeover.sandbox.server import refusals

TOKENIZERS = {
    "word": edge.TokenizerType.Word,
    "whitespace": edge.TokenizerType.Whitespace,
    "prefix": edge.TokenizerType.Prefix,
    "multilingual": edge.TokenizerType.Multilingual,
}
NO_SCHEMA = "data did not match any variant of untagged enum PayloadFieldSchema"
SCORING = (None, False, True, {"type": "bm25"})


class Bm25(msgspec.Struct, frozen=True):
    """Saturation of term frequency, and how much a document's length counts."""

    k: float | None = None
    b: float | None = None


class Scoring(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of the scorer, under its name."""

    bm25: Bm25


class Words(msgspec.Struct, frozen=True):
    """The longer form of what a query by words asks for."""

    query: str
    scoring: Scoring | None = None


def text_options(given: dict[str, Any]) -> dict[str, Any]:
    """The parameters that are more than a number or a switch. Raises Refused for a language that the servers lack."""
    if given.get("scoring") not in SCORING:
        raise refusals.malformed(NO_SCHEMA)
    options: dict[str, Any] = {
        "tokenizer": TOKENIZERS.get(str(given.get("tokenizer")), edge.TokenizerType.Word),
        "scoring": bool(given.get("scoring")) or None,
    }
    stopwords = given.get("stopwords")
    if isinstance(stopwords, str):
        options["stopwords"] = _of(edge.Language, stopwords)
    elif isinstance(stopwords, dict):
        languages = {_of(edge.Language, one) for one in stopwords.get("languages") or ()}
        options["stopwords"] = edge.StopwordsSet(languages, set(stopwords.get("custom") or ()))
    stemmer = given.get("stemmer")
    if isinstance(stemmer, dict) and stemmer.get("type") == "snowball":
        options["stemmer"] = edge.SnowballParams(_of(edge.SnowballLanguage, stemmer.get("language")))
    return {name: value for name, value in options.items() if value is not None}


def words_query(text: Any, field: str) -> Any:
    """The query by words of a field whose index scores; Refused for anything but words."""
    try:
        asked = Words(text) if isinstance(text, str) else msgspec.convert(text, Words)
    except msgspec.ValidationError as error:
        raise refusals.malformed(refusals.NO_QUERY) from error
    bm25 = asked.scoring.bm25 if asked.scoring is not None else Bm25()
    try:
        return edge.TextQuery(field, asked.query, edge.Bm25Params(bm25.k, bm25.b))
    except ValueError as error:
        # `using` is missing or no path; what a server says was not measured.
        raise refusals.Refused(400, f"Bad request: {error}") from error


def _of(family: Any, language: Any) -> Any:
    found = getattr(family, str(language).capitalize(), None)
    if found is None:
        raise refusals.malformed(NO_SCHEMA)
    return found
