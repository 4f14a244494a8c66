"""The questions one after the other: what the cluster says, the choices with what is closed and why, the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.decision.answers import Answers, set_answer, without_answer
from changeover.errors import ChangeoverError, UsageError
from changeover.safe_text import clean
from changeover_tui.plain.follow import Say
from changeover_tui.plain.prompts import Option, Prompts
from changeover_tui.words import refusal

if TYPE_CHECKING:
    from changeover.decision.tree import Asked
    from changeover.wizard import Wizard

BACK = "<"


def ask_all(wizard: Wizard, prompts: Prompts, say: Say) -> None:
    """Ask every question that matters now, in order; an answer may open or close later ones. `<` goes one back."""
    done: list[str] = []
    while True:
        asked = next((one for one in wizard.questions() if one.question.id not in done), None)
        if asked is None:
            return
        if _ask(wizard, asked, len(done) + 1, prompts, say, may_go_back=bool(done)):
            done.append(asked.question.id)
        elif done:
            done.pop()


def _ask(wizard: Wizard, asked: Asked, number: int, prompts: Prompts, say: Say, *, may_go_back: bool) -> bool:
    """Ask one question until the answer can be taken; False to go back."""
    question = asked.question
    say("")
    say(f"{number}. {question.prompt}")
    say(f"   {question.help}")
    for line in asked.evidence:
        say(f"   - {line}")
    for option in options(asked):
        mark = f"closed: {option.closed}" if option.closed else ""
        if mark or question.kind not in ("choice", "yesno"):
            say(f"   * {option.value}: {option.label}{f' ({mark})' if mark else ''}")
    while True:
        given = _given(asked, prompts, may_go_back=may_go_back)
        if given == BACK:
            return False
        is_answer = bool(given) or any(option.value == "" and not option.closed for option in options(asked))
        if not is_answer and not question.optional:
            if prompts.automatic:
                raise UsageError(f"{question.id}: an answer is needed and nothing is proposed")
            say("   an answer is needed")
            continue
        try:
            wizard.answer(_with(wizard.answers, question.id, given if is_answer else None))
            wizard.questions()
        except ChangeoverError as error:
            if prompts.automatic:
                raise
            say(f"   {refusal(error)}")
            continue
        say(f"   -> {given or 'nothing'}")
        return True


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


def text(value: object) -> str:
    """An answer as it is written in `--set id=value`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _with(answers: Answers, question: str, given: str | None) -> Answers:
    return without_answer(answers, question) if given is None else set_answer(answers, question, given)


def _given(asked: Asked, prompts: Prompts, *, may_go_back: bool) -> str:
    question = asked.question
    proposed = text(asked.taken)
    rows = options(asked)
    if rows and question.kind in ("choice", "yesno"):
        if all(row.closed for row in rows):
            raise UsageError(f"{question.id}: every choice is closed: {rows[0].closed}")
        if may_go_back and not prompts.automatic:
            rows.append(Option(value=BACK, label="back to the question before"))
        return prompts.choose(question.id, rows, proposed)
    back = " (< goes back)" if may_go_back and not prompts.automatic else ""
    typed = prompts.text(f"{question.id}{back}", proposed)
    return typed if question.blanks and typed.strip() not in ("", BACK) else clean(typed)
