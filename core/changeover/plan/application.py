"""What the application must change, as a unified diff of its query call: in Python, TypeScript and for curl."""

from __future__ import annotations

import difflib
from types import ModuleType

from changeover.plan import curl, python, typescript
from changeover.plan.model import CreateTextIndex, Job, Step
from changeover.plan.searched import after as searched_after
from changeover.plan.searched import before as searched_before
from changeover.quality.trials import SearchSetting

WHOLE = 99
"""Lines of context: the call is short enough to show whole."""
NOTHING = "nothing: the call stays as it is\n"
LANGUAGES: dict[str, tuple[ModuleType, str, str]] = {
    "python": (python, "application.py", "#"),
    "typescript": (typescript, "application.ts", "//"),
    "curl": (curl, "application.sh", "#"),
}
"""Language -> the module that writes it, the name of the file in the diff, the sign of a comment."""
TAKEN_BACK = "deploy this when the run has ended: it takes the former change back"


def diff(
    job: Job,
    alias: str = "",
    *,
    steps: tuple[Step, ...] = (),
    setting: SearchSetting | None = None,
    language: str = "python",
) -> str:
    """A unified diff in that language; `alias` is the one that blue-green swaps.

    Blue-green behind an alias: a build that speaks both models, deployed before the cutover. In place, and where the
    alias is made by the cutover itself: the call as it is from the cutover on. `setting` are the search parameters to
    use with another quantization.
    """
    writes, file, comment = LANGUAGES[language]
    field = next((step.request.body["field_name"] for step in steps if isinstance(step, CreateTextIndex)), "")
    old, new = searched_before(job), searched_after(job, setting=setting, text_field=field)
    if old == new:
        return NOTHING
    name = alias or job.name_in_use
    before, after = writes.call(job.name_in_use, old), writes.call(name, new)
    note, speaks_both = _note(job, alias)
    if speaks_both:
        after = writes.both(name, old, new)
    lines = difflib.unified_diff(before, after, file, f"{file}  {comment} {note}", lineterm="", n=WHOLE)
    return "\n".join(lines) + "\n"


def elsewhere(
    job: Job, alias: str = "", *, steps: tuple[Step, ...] = (), setting: SearchSetting | None = None
) -> dict[str, str]:
    """The same diff in the languages other than Python."""
    others = (language for language in LANGUAGES if language != "python")
    return {language: diff(job, alias, steps=steps, setting=setting, language=language) for language in others}


def _note(job: Job, alias: str) -> tuple[str, bool]:
    """When it is deployed, and whether it is the build that speaks both models."""
    if not job.makes:
        return "deploy this when the run has ended; until then the call works as it is", False
    if job.mode == "in-place":
        if job.make(job.target_vector) is None:
            return "deploy this at the cutover; the dense search works before and after it", False
        return "deploy this at the cutover; until the sweep has ended, write both vectors", False
    if not alias:
        return "deploy this before the application starts again: the name is an alias then", False
    if alias != job.name_in_use:
        return f"deploy this right after the cutover, which makes the alias {alias}", False
    if job.target_vector in job.carry.values() and job.target_vector == job.source_vector:
        return "deploy this after the cutover; the dense search works before and after it", False
    return "deploy this before the cutover: it goes with whatever the alias serves", True


def undone(text: str) -> str:
    """The diff the other way round, for a plan that brings the former state back."""
    swapped = {"+": "-", "-": "+"}
    lines = []
    for line in text.split("\n"):
        if line.startswith("+++ "):
            file = line.split()[1]
            comment = next((sign for _, name, sign in LANGUAGES.values() if name == file), "#")
            line = f"+++ {file}  {comment} {TAKEN_BACK}"
        elif not line.startswith(("---", "@@")) and line[:1] in swapped:
            line = swapped[line[0]] + line[1:]
        lines.append(line)
    return "\n".join(lines)


def all_undone(texts: dict[str, str]) -> dict[str, str]:
    """Each of the diffs the other way round."""
    return {language: undone(text) for language, text in texts.items()}
