"""What a point is about, from its payload, as lines that are safe to print."""

from __future__ import annotations

from typing import Any, NamedTuple

from changeover.plan.model import Evaluate, Plan
from changeover.safe_text import clean
from changeover.survey.template import render

TITLES = ("title", "name", "headline", "subject", "question")
"""Payload fields that are taken for a title where the answers name none."""
TITLE_CELLS, TEXT_CELLS = 80, 300
LONG = 20_000
"""Characters of a text that are looked at: a payload may hold a whole book."""


class Excerpt(NamedTuple):
    """Title and beginning of the text; "" for what the payload does not have."""

    title: str
    text: str


class Reader:
    """Reads payloads as one plan describes them."""

    def __init__(self, plan: Plan) -> None:
        step = next((step for step in plan.steps if isinstance(step, Evaluate)), None)
        self._title = (step.title_field if step else "") or plan.answers.queries.title_field or ""
        self._template = plan.job.template or plan.answers.text.as_template or ""

    def excerpt(self, payload: dict[str, Any]) -> Excerpt:
        """The title field and the text that is embedded; without them the usual names and the longest text."""
        title = render(f"{{{self._title}}}", payload) if self._title else ""
        title = title or next((v for name in TITLES if isinstance(v := payload.get(name), str) and v.strip()), "")
        text = render(self._template, payload) if self._template else ""
        if not text.strip():
            texts = [value for value in payload.values() if isinstance(value, str) and value != title]
            text = max(texts, key=len, default="")
        return Excerpt(clean(title[:LONG], TITLE_CELLS), clean(text[:LONG], TEXT_CELLS))
