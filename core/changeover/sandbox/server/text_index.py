"""Parameters of a text index as the core takes them: tokenizer, stop words, stemmer, scoring."""

from __future__ import annotations

from typing import Any

import qdrant_edge as edge

from changeover.sandbox.server import refusals

TOKENIZERS = {
    "word": edge.TokenizerType.Word,
    "whitespace": edge.TokenizerType.Whitespace,
    "prefix": edge.TokenizerType.Prefix,
    "multilingual": edge.TokenizerType.Multilingual,
}
NO_SCHEMA = "data did not match any variant of untagged enum PayloadFieldSchema"


def text_options(given: dict[str, Any]) -> dict[str, Any]:
    """The parameters that are more than a number or a switch. Raises Refused for a language that the servers lack."""
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


def _of(family: Any, language: Any) -> Any:
    found = getattr(family, str(language).capitalize(), None)
    if found is None:
        raise refusals.malformed(NO_SCHEMA)
    return found
