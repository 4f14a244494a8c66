"""What the application must change, as a unified diff of its query call."""

from __future__ import annotations

import difflib

from changeover.plan.calls import Call, quoted, searched_after, searched_before
from changeover.plan.model import CreateTextIndex, Job, Step
from changeover.quality.trials import SearchSetting

WHOLE = 99
"""Lines of context: the call is short enough to show whole."""


def diff(job: Job, alias: str = "", *, steps: tuple[Step, ...] = (), setting: SearchSetting | None = None) -> str:
    """A unified diff in Python for qdrant-client; `alias` is the one that blue-green swaps.

    Blue-green behind an alias: a build that speaks both models, deployed before the cutover. In place, and where the
    alias is made by the cutover itself: the call as it is from the cutover on. `setting` are the search parameters to
    use with another quantization.
    """
    field = next((step.request.body["field_name"] for step in steps if isinstance(step, CreateTextIndex)), "")
    old, new = searched_before(job), searched_after(job, setting=setting, text_field=field)
    before, after = _one(job.name_in_use, old), _one(alias or job.name_in_use, new)
    if old == new:
        return "nothing: the call stays as it is\n"
    if not job.makes:
        note = "deploy this when the run has ended; until then the call works as it is"
    elif job.mode == "in-place":
        note = "deploy this at the cutover; until the sweep has ended, write both vectors"
        if job.make(job.target_vector) is None:
            note = "deploy this at the cutover; the dense search works before and after it"
    elif not alias:
        note = "deploy this before the application starts again: the name is an alias then"
    elif alias != job.name_in_use:
        note = f"deploy this right after the cutover, which makes the alias {alias}"
    elif job.target_vector in job.carry.values() and job.target_vector == job.source_vector:
        note = "deploy this after the cutover; the dense search works before and after it"
    else:
        after = _both(alias, old, new)
        note = "deploy this before the cutover: it goes with whatever the alias serves"
    lines = difflib.unified_diff(
        before.split("\n"), after.split("\n"), "application.py", f"application.py  # {note}", lineterm="", n=WHOLE
    )
    return "\n".join(lines) + "\n"


def undone(text: str) -> str:
    """The diff the other way round, for a plan that brings the former state back."""
    swapped = {"+": "-", "-": "+"}
    lines = [
        line
        if line.startswith(("---", "@@")) or line[:1] not in swapped
        else "+++ application.py  # deploy this when the run has ended: it takes the former change back"
        if line.startswith("+++")
        else swapped[line[0]] + line[1:]
        for line in text.split("\n")
    ]
    return "\n".join(lines)


def _one(name: str, call: Call) -> str:
    return "\n".join(
        [
            *call.setup,
            "points = client.query_points(",
            f"    collection_name={quoted(name)},",
            *(f"    {line}" for line in call.arguments),
            "    limit=10,",
            ").points",
        ]
    )


def _both(alias: str, old: Call, new: Call) -> str:
    return "\n".join(
        [
            "from qdrant_client.http.exceptions import UnexpectedResponse",
            *old.setup,
            *new.setup,
            "",
            "",
            "def by_old(text):",
            "    return dict(",
            *(f"        {line}" for line in old.arguments),
            "    )",
            "",
            "",
            "def by_new(text):",
            "    return dict(",
            *(f"        {line}" for line in new.arguments),
            "    )",
            "",
            "",
            "SIDES = [by_old, by_new]  # the one that fitted last stands first",
            "",
            "",
            "def search(text):",
            "    for side in list(SIDES):",
            "        try:",
            f"            found = client.query_points(collection_name={quoted(alias)}, limit=10, **side(text))",
            "        except UnexpectedResponse as error:",
            "            if error.status_code != 400:",
            "                raise",
            "            continue  # another dimension or vector name: the other side serves now",
            "        SIDES.sort(key=lambda other: other is not side)",
            "        return found.points",
            '    raise RuntimeError("neither model fits the collection")',
        ]
    )
