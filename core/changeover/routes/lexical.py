"""Hybrid search without a vector: a text index with scoring beside the dense vector (servers from 1.20)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from changeover.checks.model import Probes
from changeover.decision.answers import Answers
from changeover.embed.languages import LANGUAGES, STEMMED
from changeover.errors import BlockedError
from changeover.plan import model as plan
from changeover.routes import common
from changeover.survey.model import Survey
from changeover.survey.template import paths


def steps(survey: Survey, answers: Answers, job: plan.Job, probes: Probes, run: str) -> tuple[plan.Step, ...]:
    """One request; the server reads the payload that is there. Nothing is written to the points."""
    field = text_field(survey, answers)
    schema: dict[str, Any] = {"type": "text", "tokenizer": "word", "lowercase": True, "scoring": True}
    language = (answers.sparse.language or "").lower()
    if language in STEMMED:
        schema["stemmer"] = {"type": "snowball", "language": language}
    if language in LANGUAGES:
        schema["stopwords"] = language
    request = plan.Request(
        method="PUT",
        path=f"/collections/{quote(survey.collection, safe='')}/index?wait=true",
        body={"field_name": field, "field_schema": schema},
    )
    return (
        plan.CreateTextIndex(id="create-text-index", title=f"Index the words of {field}", request=request),
        plan.WaitGreen(id="wait-green", title="Wait for the index", collection=survey.collection),
        *common.evaluate(answers, probes),
    )


def text_field(survey: Survey, answers: Answers) -> str:
    """The one payload field that is indexed; raises BlockedError when the text is made of several or of none."""
    found = paths(answers.text.as_template or survey.text.template or "")
    if len(found) != 1:
        raise BlockedError(
            "a text index is for one payload field, and the text is made of "
            f"{', '.join(found) or 'none'}; answer text.field, or another sparse.encoder"
        )
    return found[0]
