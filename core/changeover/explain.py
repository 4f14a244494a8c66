"""Every question, choice, route, finding and exit code in words."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from changeover.checks.registry import CHECKS
from changeover.decision.questions import KEYS, QUESTIONS
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
    "side-by-side": (
        "Side by side: both models stay live in one collection, each under a vector name of its own, and are compared\n"
        "until somebody decides. Where vectors can be added later (from 1.18.1 on) in place ends in exactly this state:\n"
        "answer keep_both = true."
    ),
    "hybrid": (
        "Hybrid: sparse vectors (BM25, SPLADE) are added beside the dense ones, and a search fuses both. The dense vectors\n"
        "need no re-embedding for that."
    ),
    "dimensions": (
        "Fewer dimensions: the stored vectors of a Matryoshka model are cut and normalised again. No text and no model is\n"
        "needed; the application has to cut its queries in the same way."
    ),
    "quantization": (
        "Quantization: the server keeps smaller copies of the vectors beside the originals and makes them itself, after\n"
        "one change of the configuration. Nothing is embedded."
    ),
    "linear-map": (
        "Linear map: vectors of the old model are turned into approximations of the new one's by a matrix learnt from\n"
        "pairs. It loses quality that re-embedding keeps, and pays only where embedding everything is out of reach."
    ),
}


def topics() -> Mapping[str, str]:
    """Topic -> one line, for the list that `explain` prints without a topic. A choice is `question=choice`."""
    found = {question.id: question.prompt for question in QUESTIONS}
    found |= {f"{q.id}={c.value}": c.label for q in QUESTIONS if q.kind == "choice" for c in q.choices if c.value}
    found |= KEYS
    found |= {name: text.split(":")[0] for name, text in ROUTES.items()}
    found |= {check.code: check.explain.splitlines()[0] for check in CHECKS}
    found |= {f"exit-{int(code)}": meaning for code, meaning in EXIT_MEANING.items()}
    return found


def explain(name: str) -> str:
    """The words for one topic; raises UsageError with near matches for an unknown one."""
    wanted = name.strip()
    words = _route(wanted) or _check(wanted) or _question(wanted) or _choice(wanted) or _exit_code(wanted)
    if words:
        return words
    near = difflib.get_close_matches(wanted, topics(), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "`changeover explain` lists the topics"
    raise UsageError(f"explain: there is no topic {wanted!r}; {hint}")


def _route(name: str) -> str:
    if name not in ROUTES:
        return ""
    return ROUTES[name]


def _check(name: str) -> str:
    return next((check.explain for check in CHECKS if check.code == name), "")


def _question(name: str) -> str:
    if name in KEYS:
        return f"{name}: {KEYS[name]}."
    for question in QUESTIONS:
        if question.id == name:
            rows = [f"  {c.value or '(empty)':14} {c.label}: {c.consequence}".rstrip(": ") for c in question.choices]
            return "\n".join([question.prompt, "", question.help, *([""] if rows else []), *rows])
    return ""


def _choice(name: str) -> str:
    asked, _, value = name.partition("=")
    for question in QUESTIONS:
        for choice in question.choices:
            if question.id == asked.strip() and choice.value and choice.value.strip() == value.strip():
                route = _route(choice.value)
                return f"{question.prompt} {choice.label}: {choice.consequence}." + (f"\n\n{route}" if route else "")
    return ""


def _exit_code(name: str) -> str:
    for code, meaning in EXIT_MEANING.items():
        if name in (f"exit-{int(code)}", str(int(code))):
            return f"Exit code {int(code)}: {meaning}."
    return ""
