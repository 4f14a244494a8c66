"""Every question, choice, route, finding and exit code in words."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from changeover.checks.registry import CHECKS
from changeover.decision.questions import QUESTIONS
from changeover.errors import EXIT_MEANING, UsageError

ROUTES = {
    "in-place": (
        "In place: the new vector is added to the collection that serves (from 1.18.1 on) and filled in the background.\n"
        "Searches by the old vector go on. At the cutover the application changes the vector that it searches and the\n"
        "model that embeds its queries. No alias is needed, nothing is copied, and going back is changing that back."
    ),
    "blue-green": (
        "Blue-green: a new collection with the same configuration, indexes, payload and other vectors is filled, and an\n"
        "alias is pointed at it in one request. It works on every version, needs twice the room for a while, and leaves\n"
        "the old collection untouched."
    ),
}


def topics() -> Mapping[str, str]:
    """Topic -> one line, for the list that `explain` prints without a topic."""
    found = {question.id: question.prompt for question in QUESTIONS}
    found |= {name: text.split(":")[0] for name, text in ROUTES.items()}
    found |= {check.code: check.explain.splitlines()[0] for check in CHECKS}
    found |= {f"exit-{int(code)}": meaning for code, meaning in EXIT_MEANING.items()}
    return found


def explain(name: str) -> str:
    """The words for one topic; raises UsageError with near matches for an unknown one."""
    wanted = name.strip()
    if wanted in ROUTES:
        return ROUTES[wanted]
    for check in CHECKS:
        if check.code == wanted:
            return check.explain
    for question in QUESTIONS:
        if question.id == wanted:
            choices = [f"  {c.value or '(empty)':14} {c.label}: {c.consequence}" for c in question.choices]
            return "\n".join([question.prompt, "", question.help, *([""] if choices else []), *choices])
    for code, meaning in EXIT_MEANING.items():
        if wanted in (f"exit-{int(code)}", str(int(code))):
            return f"Exit code {int(code)}: {meaning}."
    near = difflib.get_close_matches(wanted, topics(), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "`changeover explain` lists the topics"
    raise UsageError(f"explain: there is no topic {wanted!r}; {hint}")
