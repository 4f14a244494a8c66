"""Models that were trained with words in front of a text, and what they lose without them."""

from __future__ import annotations

import re

import msgspec

from changeover.checks import way
from changeover.checks.base import Check
from changeover.checks.model import Finding, Probes
from changeover.decision.answers import Answers
from changeover.embed.model import ModelSpec
from changeover.survey.model import Survey

BY_PURPOSE = ("cohere", "voyage", "jina", "gemini", "sandbox")
"""Providers that are told whether a text is a document or a query, and do the rest themselves."""
REPRESENT = "Represent this sentence for searching relevant passages: "
INSTRUCT = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """Models whose name matches, and what their cards ask for in front of each text; "" for nothing."""

    name: str
    matches: str
    """Regular expression, searched in the model's name or folder in lower case."""
    document: str = ""
    query: str = ""
    optional: bool = False
    """The card says that it helps, and that the model works without."""


FAMILIES: tuple[Family, ...] = (
    Family(name="E5 with instructions", matches=r"e5-mistral|e5.*instruct", query=INSTRUCT),
    Family(name="E5", matches=r"(^|[/_-])e5[-_](small|base|large)", document="passage: ", query="query: "),
    Family(name="Nomic", matches=r"nomic-embed-text", document="search_document: ", query="search_query: "),
    Family(
        name="EmbeddingGemma",
        matches=r"embeddinggemma",
        document="title: none | text: ",
        query="task: search result | query: ",
    ),
    Family(name="Arctic 2", matches=r"arctic-embed.*v2", query="query: "),
    Family(name="Arctic", matches=r"arctic-embed", query=REPRESENT),
    Family(name="Mixedbread", matches=r"mxbai-embed", query=REPRESENT),
    Family(name="BGE 1.5", matches=r"bge-(small|base|large)-en-v1\.5", query=REPRESENT, optional=True),
    Family(name="BGE", matches=r"bge-(small|base|large)-en", query=REPRESENT),
    Family(name="GTE with instructions", matches=r"gte-qwen", query=INSTRUCT),
    Family(name="Qwen3", matches=r"qwen3-embedding", query=INSTRUCT),
)
"""From the models' cards; the first that matches counts. fastembed adds none of them by itself (source of 0.9.1)."""


def family_of(model: ModelSpec) -> Family | None:
    """The family of a model, by its name and its folder; None when it is not known to need words in front."""
    known = f"{model.name} {model.path or ''}".lower()
    return next((family for family in FAMILIES if re.search(family.matches, known)), None)


def prefix_needed(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The model's family asks for a prefix that was not answered."""
    model = answers.model
    if model is None or not way.uses_model(answers) or model.provider in BY_PURPOSE or model.kind != "dense":
        return None
    family = family_of(model)
    if family is None:
        return None
    document, query = family.document and not model.document_prefix, family.query and not model.query_prefix
    if not document and not query:
        return None
    missing = [
        *([f"model.document_prefix = {family.document!r}"] if document else []),
        *([f"model.query_prefix = {family.query!r}"] if query else []),
    ]
    return Finding(
        code="prefix-needed",
        severity="info" if family.optional else "warning",
        title=f"models of this family ({family.name}) were trained with words in front of "
        + ("each text" if document and query else "each text that is stored" if document else "each query"),
        measured=f"{model.label}: none answered",
        limit="; ".join(missing),
        consequence=(
            "without them the model finds less, and every stored vector would have to be made again to mend it"
            if document
            else "without it the model finds less; the stored vectors are not touched by that"
        ),
        remedy=f"answer {' and '.join(missing)}, and put the same in front of the application's queries"
        if query
        else f"answer {missing[0]}",
        source="cards of the models; recognised by the name",
        acknowledge=bool(document),
    )


CHECKS = (
    Check(
        code="prefix-needed",
        looks_at="the model is given the words that it was trained with",
        run=prefix_needed,
        explain=(
            "E5 was trained with 'passage: ' in front of documents and 'query: ' in front of queries, Nomic and Gemma with\n"
            "others; BGE, Arctic and models with instructions want words in front of queries only. Left out, everything\n"
            "works and finds less. A document prefix is part of every stored vector, so a forgotten one costs a whole\n"
            "re-embedding. Cohere, Voyage, Jina and Gemini are told the purpose instead and need none."
        ),
    ),
)
