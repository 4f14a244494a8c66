"""The questions one after the other: what the cluster says, the choices with what is closed and why, the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from changeover.decision import charts
from changeover.decision.answers import Answers, set_answer, without_answer
from changeover.errors import ChangeoverError, UsageError
from changeover.safe_text import clean
from changeover_tui.plain.aid import NONE, BackError
from changeover_tui.plain.follow import Say
from changeover_tui.plain.prompts import Option, Prompts
from changeover_tui.words import refusal

if TYPE_CHECKING:
    from changeover.decision.charts import Evidence
    from changeover.decision.tree import Asked
    from changeover.wizard import Wizard

Attempt = Callable[[str, str], None]
"""Called with the id of a question and an answer to it."""
STATES = {"taken": "taken", "here": "you are here", "open": "open", "closed": "closed"}


def ask_all(
    wizard: Wizard,
    prompts: Prompts,
    say: Say,
    *,
    from_the_last: bool = False,
    back: str = "",
    attempt: Attempt = lambda question, answer: None,
) -> None:
    """Ask every question that matters now, in order; an answer may open or close later ones.

    `attempt` tries an answer on a sample. `back`: where the way back leads from the first question; BackError is raised then. "" is nowhere.
    """
    from changeover.decision import order

    now = wizard.questions()
    asked: Asked | None = now[-1 if from_the_last else 0]
    while asked is not None:
        before, earlier = wizard.questions(), order.previous(asked.question.id, now)
        try:
            _ask(wizard, asked, prompts, say, back="the question before" if earlier else back, attempt=attempt)
        except BackError:
            if earlier is None:
                raise
            asked = earlier
            continue
        now = wizard.questions()
        asked = order.after(order.ids(before), asked.question.id, now)


def _ask(wizard: Wizard, asked: Asked, prompts: Prompts, say: Say, *, back: str, attempt: Attempt) -> None:
    """Ask one question until the answer can be taken; raises BackError."""
    question = asked.question
    ids = [one.question.id for one in wizard.questions()]
    for line in heading(asked, ids.index(question.id) + 1, len(ids)):
        say(line)
    for option in options(asked):
        mark = f"closed: {option.closed}" if option.closed else ""
        if mark or question.kind not in ("choice", "yesno"):
            say(f"   * {option.value or '(empty)'}: {option.label}{f' ({mark})' if mark else ''}")
    prompts.aid.at(
        question.prompt,
        question.help,
        f"The id of this question in an answers file is {question.id}.",
        *([f"{NONE}: no answer of your own"] if question.optional else ()),
        back=back,
        tree=lambda: tree(wizard, question.id),
        attempt=lambda answer: attempt(question.id, _meant(asked, answer)),
    )
    while True:
        given = _given(asked, prompts)
        is_answer = bool(given) or any(option.value == "" and not option.closed for option in options(asked))
        if not is_answer and not question.optional:
            if prompts.automatic:
                raise UsageError(f"{question.id}: an answer is needed and nothing is proposed")
            say("   an answer is needed; ? says what it is for")
            continue
        try:
            wizard.answer(_with(wizard.answers, question.id, given if is_answer else None))
            wizard.questions()
        except ChangeoverError as error:
            if prompts.automatic:
                raise
            say(f"   {refusal(error)}")
            continue
        chosen = asked.choices if question.kind in ("choice", "yesno") else ()
        label = next((one.choice.label for one in chosen if one.choice.value == given), given)
        say(f"   -> {label or 'nothing'}")
        return


def heading(asked: Asked, number: int, total: int) -> list[str]:
    """A question before its choices: what is asked, why, what the cluster says with its source, and figures of trials."""
    question = asked.question
    return ["", f"{number} of {total}. {question.prompt}", f"   {question.help}", *measured(asked)]


def measured(known: Asked | Evidence) -> list[str]:
    """What the cluster says, then the figures of trials."""
    lines = known.lines if isinstance(known, charts.Evidence) else known.evidence
    figures = (line for chart in known.charts for line in charts.lines(chart))
    return [*(f"   - {line}" for line in lines), *(f"   {line}" for line in figures)]


def tree(wizard: Wizard, at: str = "") -> Iterator[str]:
    """The decision tree as lines: each branching question and its choices, taken, open, or closed with the reason."""
    from changeover.decision.map import lines

    if wizard.survey is None:
        return
    prompt = next((one.question.prompt for one in wizard.questions() if one.question.id == at), "")
    for line in lines(wizard.survey, wizard.answers, wizard.probes, at):
        more = (
            f": {line.why}" if line.state == "closed" else f" {line.value}" if line.value and not line.branches else ""
        )
        yield f"{'  ' * line.depth}[{STATES[line.state]}] {line.text}{more}"
    yield f"you are at: {prompt or 'the end of the questions'}"


def options(asked: Asked) -> list[Option]:
    """The choices of a question, the closed ones with their reason."""
    return [
        Option(
            value=one.choice.value,
            label=one.choice.label + (f": {one.choice.consequence}" if one.choice.consequence else ""),
            closed="" if one.open else one.reason or "not possible here",
        )
        for one in asked.choices
    ]


def _meant(asked: Asked, typed: str) -> str:
    """The answer that is to be tried: what was typed, the choice of that number, or what Enter takes."""
    rows = options(asked) if asked.question.kind in ("choice", "yesno") else []
    if typed.isdecimal() and 1 <= int(typed) <= len(rows):
        return rows[int(typed) - 1].value
    return typed or text(asked.taken)


def text(value: object) -> str:
    """An answer as it is written in `--set id=value`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _with(answers: Answers, question: str, given: str | None) -> Answers:
    return without_answer(answers, question) if given is None else set_answer(answers, question, given)


def _given(asked: Asked, prompts: Prompts) -> str:
    question = asked.question
    proposed = text(asked.taken)
    rows = options(asked)
    if rows and question.kind in ("choice", "yesno"):
        if all(row.closed for row in rows):
            raise UsageError(f"{question.id}: every choice is closed: {rows[0].closed}")
        return prompts.choose(question.id, rows, proposed)
    typed = prompts.text(question.id, proposed)
    if question.optional and typed.strip() == NONE and NONE not in (row.value for row in rows):
        return ""
    return typed if question.blanks and typed.strip() else clean(typed)
