"""Paths in answers: the engine works in the run's folder, so none may depend on where the command was given."""

from __future__ import annotations

from pathlib import Path

import msgspec

from changeover.decision.answers import Answers
from changeover.embed.model import ModelSpec


def absolute(answers: Answers, base: Path) -> Answers:
    """The answers with relative paths taken from `base`, and `~` as the user's home."""

    def whole(path: str) -> str:
        return str(base / Path(path).expanduser())

    def model(spec: ModelSpec | None) -> ModelSpec | None:
        return msgspec.structs.replace(spec, path=whole(spec.path)) if spec is not None and spec.path else spec

    queries = answers.queries
    if queries.file:
        queries = msgspec.structs.replace(queries, file=whole(queries.file))
    return msgspec.structs.replace(
        answers, model=model(answers.model), old_model=model(answers.old_model), queries=queries
    )
