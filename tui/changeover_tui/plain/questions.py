"""The questions one after the other: what the cluster says, the choices with what is closed and why, the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.decision.answers import set_answer
from changeover.errors import ChangeoverError, UsageError
from changeover.safe_text import clean
from changeover_tui.plain.follow import Say
from changeover_tui.plain.prompts import Option, Prompts

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
        if option.closed:
            say(f"   closed: {option.label} ({option.closed})")
    while True:
        given = _given(asked, prompts, may_go_back=may_go_back)
        if given == BACK:
            return False
        try:
            if given or asked.value is not None:
                wizard.answer(set_answer(wizard.answers, question.id, given))
            wizard.questions()
        except ChangeoverError as error:
            if prompts.automatic:
                raise
            say(str(error).removeprefix("--set "))
            continue
        say(f"   -> {given or 'nothing'}")
        return True


def options(asked: Asked) -> list[Option]:
    """The choices of a question, the closed ones with their reason."""
    return [
        Option(value=text(choice.value), label=choice.label, closed=choice.closed or "") for choice in asked.choices
    ]


def text(value: object) -> str:
    """An answer as it is written in `--set id=value`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _given(asked: Asked, prompts: Prompts, *, may_go_back: bool) -> str:
    proposed = text(asked.value if asked.value is not None else asked.proposal)
    if asked.choices:
        rows = options(asked)
        if all(row.closed for row in rows):
            raise UsageError(f"{asked.question.id}: every choice is closed: {rows[0].closed}")
        if may_go_back and not prompts.automatic:
            rows.append(Option(value=BACK, label="back to the question before"))
        return prompts.choose(f"{asked.question.id}", rows, proposed)
    back = " (< goes back)" if may_go_back and not prompts.automatic else ""
    return clean(prompts.text(f"{asked.question.id}{back}", proposed))
