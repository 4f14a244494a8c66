"""The questions as data: the same ids are prompts, widgets, flags and keys of an answers file."""

from __future__ import annotations

from changeover.decision.questions.base import Choice, Group, Kind, Question
from changeover.decision.questions.branches import BRANCHES
from changeover.decision.questions.models import MODELS, OLD_PROVIDERS, PROVIDERS
from changeover.decision.questions.running import RUNNING
from changeover.decision.questions.vectors import SPARSE, STORAGE, VECTORS

__all__ = ["KEYS", "OLD_PROVIDERS", "PROVIDERS", "QUESTIONS", "Choice", "Group", "Kind", "Question", "by_id"]

QUESTIONS: tuple[Question, ...] = (*BRANCHES, *MODELS, *SPARSE, *VECTORS, *STORAGE, *RUNNING)

KEYS: dict[str, str] = {
    "collection": "the collection, or an alias of it, that an answers file is for",
    "model.pooling": "mean, cls, last or disabled: how a local ONNX model's token vectors become one",
    "model.normalise": "whether a local ONNX model's vectors are divided by their length",
    "model.model_file": "the file inside a local model's folder",
    "text.field": "one payload path as the text; short for a template with one hole",
}
"""Keys of an answers file that the wizard does not ask for."""


def by_id(question: str) -> Question | None:
    """The question of that id, or None."""
    return next((q for q in QUESTIONS if q.id == question), None)
