"""What the application must change, as a unified diff of its query call."""

from __future__ import annotations

import difflib
import json

from changeover.embed.model import ModelSpec
from changeover.plan.model import Job

WHOLE = 99
"""Lines of context: the call is short enough to show whole."""


def diff(job: Job, alias: str = "") -> str:
    """A unified diff in Python for qdrant-client; `alias` is the one that blue-green swaps.

    Blue-green behind an alias: a build that speaks both models, deployed before the cutover. In place, and where the
    alias is made by the cutover itself: the call as it is from the cutover on.
    """
    before = _query(job.name_in_use, _model(job.old_model), _prefix(job.old_model), job.source_vector)
    after = _query(alias or job.name_in_use, _model(job.model), _prefix(job.model), job.target_vector)
    if job.mode == "in-place":
        note = "deploy this at the cutover; until the sweep has ended, write both vectors"
    elif alias != job.name_in_use:
        note = f"deploy this right after the cutover, which makes the alias {alias}"
    else:
        after = _both(job, alias)
        note = "deploy this before the cutover: it goes with whatever the alias serves"
    lines = difflib.unified_diff(
        before.split("\n"), after.split("\n"), "application.py", f"application.py  # {note}", lineterm="", n=WHOLE
    )
    return "\n".join(lines) + "\n"


def _query(name: str, model: str, prefix: str, using: str) -> str:
    vector = [f"    using={_quoted(using)},"] if using else []
    text = f"{_quoted(prefix)} + text" if prefix else "text"
    return "\n".join(
        [
            f"MODEL = {model}",
            "",
            "points = client.query_points(",
            f"    collection_name={_quoted(name)},",
            f"    query=embed(MODEL, {text}),",
            *vector,
            "    limit=10,",
            ").points",
        ]
    )


def _both(job: Job, alias: str) -> str:
    old = (_model(job.old_model), _quoted(_prefix(job.old_model)), _using(job.source_vector))
    new = (_model(job.model), _quoted(_prefix(job.model)), _using(job.target_vector))
    return "\n".join(
        [
            "from qdrant_client.http.exceptions import UnexpectedResponse",
            "",
            "# model, prefix of a query, vector name; the one that fitted last stands first",
            f"SIDES = [({', '.join(old)}), ({', '.join(new)})]",
            "",
            "",
            "def search(text):",
            "    for side in list(SIDES):",
            "        model, prefix, using = side",
            "        try:",
            "            found = client.query_points(",
            f"                collection_name={_quoted(alias)},",
            "                query=embed(model, prefix + text),",
            "                using=using,",
            "                limit=10,",
            "            )",
            "        except UnexpectedResponse as error:",
            "            if error.status_code != 400:",
            "                raise",
            "            continue  # another dimension or vector name: the other side serves now",
            "        SIDES.sort(key=lambda other: other is not side)",
            "        return found.points",
            '    raise RuntimeError("neither model fits the collection")',
        ]
    )


def _model(model: ModelSpec | None) -> str:
    return _quoted(model.label if model else "the old model")


def _prefix(model: ModelSpec | None) -> str:
    return model.query_prefix if model else ""


def _using(vector: str) -> str:
    return _quoted(vector) if vector else "None"


def _quoted(text: str) -> str:
    """As a Python string in double quotes."""
    return json.dumps(text, ensure_ascii=False)
