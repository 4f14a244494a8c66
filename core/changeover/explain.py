"""Every question, choice, route, finding, exit code and word of the field, explained."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from changeover.checks.registry import CHECKS
from changeover.decision.questions import KEYS, QUESTIONS
from changeover.errors import EXIT_MEANING, UsageError
from changeover.glossary import TERMS, term

ROUTES = {
    "in-place": (
        "In place: the new vector is added to the collection that serves (from 1.18.1 on) and filled in the background.\n"
        "Searches by the old vector go on. At the cutover the application changes the vector that it searches and the\n"
        "model that embeds its queries. No alias is needed, nothing is copied, and going back is changing that back."
    ),
    "blue-green": (
        "Blue-green: a new collection with the same configuration, indexes, payload and other vectors is filled, and an\n"
        "alias is pointed at it in one request. It works on every version, needs twice the room for a while, and leaves\n"
        "the old collection untouched. Without zero downtime it can also take the old collection's own name."
    ),
    "side-by-side": (
        "Side by side: both models stay live in one collection, each under a vector name of its own, and are compared\n"
        "until somebody decides. From 1.18.1 on the new vector is added to the collection that serves; before, a new\n"
        "collection is made with both names and the old vectors are carried into it unchanged. Vectors per token are kept\n"
        "on disk without a graph. A further name can be reserved for the next change."
    ),
    "hybrid": (
        "Hybrid: words are searched beside meaning, and both results are fused. The dense vectors need no re-embedding:\n"
        "from 1.18.1 on a sparse vector is added and filled, before that a new collection carries the dense vectors over,\n"
        "and from 1.20 on a text index with scoring needs no vector at all. Documents and queries take one encoder: the\n"
        "server's BM25 (1.15.2 and later), the same code on this machine, or fastembed (BM25, SPLADE, miniCOIL)."
    ),
    "dimensions": (
        "Fewer dimensions: the stored vectors are cut and normalised again, in place or into a new collection. No text and\n"
        "no model is needed. Leading numbers suit a Matryoshka model; for any other a rotation by the vectors' own principal\n"
        "components before the cut keeps far more. The application cuts its queries in the same way, with the matrix that\n"
        "the run writes where there is a rotation."
    ),
    "quantization": (
        "Quantization: the server keeps smaller copies of the vectors beside the originals and makes them itself, after\n"
        "one change of the configuration. Nothing is embedded and no point is written. Recall is measured before and\n"
        "after; below the limit the former configuration is brought back."
    ),
    "linear-map": (
        "Linear map: stored vectors of the old model are turned into approximations of the new one's by a matrix learnt\n"
        "from a few thousand pairs of this collection. A bridge until re-embedding is affordable, never its equal: it is\n"
        "measured on queries that it has not seen, and refused where it finds no more than the old vectors do."
    ),
}

LEADS_TO = {("keep_both", "true"): "side-by-side", ("add_sparse", "true"): "hybrid"}
"""Choices whose value is not the name of the route that they lead to."""


VERDICTS = {
    "no-go": (
        "NO-GO: the run compared both sides on all points with your labelled queries, and the new one loses more than is\n"
        "allowed. The run stays at the cutover with its quality lamp dark; nothing is switched. Take another model or\n"
        "mend its prefixes and text, and start anew. `changeover control RUN accept no-go` overrules it; acknowledging\n"
        "what a sample said before the run does not."
    ),
    "points-left-out": (
        "Points left out: the model or the server rejected points, each with its reason in the report. A few do not hold\n"
        "anything up; more than ten and one in a thousand keep the lamp `verified` dark, and two hundred in a row stop the\n"
        "run: then something is wrong with the target, the model, or what stands between. Mend the cause and\n"
        "`changeover resume RUN`: every one is tried again. `changeover control RUN accept points-left-out` (or `resume RUN\n"
        "--accept points-left-out`) goes on without them. The cleanup keeps the old side while it holds the only copy."
    ),
    "many-deleted": (
        "Many deleted: after the cutover far more points were gone from the side that is read than an application deletes\n"
        "in a while: more than fifty and one in a hundred (on the way back one in five), or half of them. Somebody may have\n"
        "emptied that collection, or made it anew; carried over, these deletes would empty the other side too. Nothing was\n"
        "deleted. If the points are to go, `changeover resume RUN --accept many-deleted`."
    ),
    "no-old-vector": (
        "No old vector: `changeover rollback` was asked for without the old model. Points that were added, or got another\n"
        "text, after the cutover have no vector of the old model, and nobody can make one; searches of the old side would\n"
        "not find them. Nothing was written. Give the old model with --set old_model.provider and old_model.name, or go\n"
        "back without these vectors with --accept no-old-vector."
    ),
}

SUPPORT = {
    "bundle": (
        "Bundle: `changeover bundle RUN` or `bundle COLLECTION` writes one JSON file for a support desk: survey, answers,\n"
        "what was measured, and of a run its plan, journal and the end of engine.log. Keys are never in it. Hosts, paths of\n"
        "files and texts of the payload are taken out unless --allow lets them in: texts keep their length, logs and errors\n"
        "keep what Changeover itself writes. Names of collections, vectors and fields, ids of points and figures stay: the\n"
        "questions need them. `changeover open` walks the questions, checks and plan on it and connects nowhere; the plan\n"
        "that it writes runs where the bundle was made, which kept the addresses, and is refused if the collection changed."
    ),
}


def topics() -> Mapping[str, str]:
    """Topic -> one line, for the list that `explain` prints without a topic. A choice is `question=choice`."""
    found = {one.name: one.text for one in TERMS}
    found |= {question.id: question.prompt for question in QUESTIONS}
    found |= {f"{q.id}={c.value}": c.label for q in QUESTIONS for c in q.choices if c.value}
    found |= KEYS
    found |= {name: text.split(":")[0] for name, text in ROUTES.items()}
    found |= {name: text.split(":")[0] for name, text in VERDICTS.items()}
    found |= {name: text.split(":")[0] for name, text in SUPPORT.items()}
    found |= {check.code: check.explain.splitlines()[0] for check in CHECKS}
    found |= {f"exit-{int(code)}": meaning for code, meaning in EXIT_MEANING.items()}
    return found


def explain(name: str) -> str:
    """The words for one topic; raises UsageError with near matches for an unknown one."""
    wanted = name.strip()
    words = (
        _route(wanted) or _check(wanted) or _question(wanted) or _choice(wanted) or _exit_code(wanted) or _term(wanted)
    )
    if words:
        return words
    near = difflib.get_close_matches(wanted, topics(), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "`changeover explain` lists the topics"
    raise UsageError(f"explain: there is no topic {wanted!r}; {hint}")


def _route(name: str) -> str:
    return ROUTES.get(name, "") or VERDICTS.get(name, "") or SUPPORT.get(name, "")


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
                route = _route(LEADS_TO.get((question.id, choice.value), choice.value))
                return f"{question.prompt} {choice.label}: {choice.consequence}." + (f"\n\n{route}" if route else "")
    return ""


def _term(name: str) -> str:
    found = term(name)
    return f"{found.name}: {found.text}." if found is not None else ""


def _exit_code(name: str) -> str:
    for code, meaning in EXIT_MEANING.items():
        if name in (f"exit-{int(code)}", str(int(code))):
            return f"Exit code {int(code)}: {meaning}."
    return ""
