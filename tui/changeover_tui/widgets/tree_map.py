"""The decision tree as text: a sign and a word's colour for each branch, its depth as indentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from changeover_tui.theme import glyph
from changeover_tui.words import one_line

if TYPE_CHECKING:
    from changeover.checks.model import Probes
    from changeover.decision.answers import Answers
    from changeover.survey.model import Survey

LOOK = {
    "taken": ("taken", ""),
    "here": ("here", "bold $accent"),
    "open": ("open", ""),
    "closed": ("shut", "$foreground-muted"),
}


def render(
    survey: Survey, answers: Answers, probes: Probes, at: str = "", width: int | None = None
) -> tuple[Content, int]:
    """The map and the number of the line where the person is; `at` is the id of the question in hand.

    With a `width` each branch is one line and reasons are left to the large map.

    A question in hand that does not branch has no line of its own on the map and is put in where it is asked.
    """
    from changeover.decision.map import lines
    from changeover.decision.tree import view

    prompts = {asked.question.prompt: asked.question.id for asked in view(survey, answers, probes)}
    order = list(prompts.values())
    rows: list[tuple[str, str, int]] = []
    for line in lines(survey, answers, probes):
        question = prompts.get(line.text) if line.depth == 0 else None
        if at and question is not None:
            if order.index(question) > order.index(at) and not any(state == "here" for _, state, _ in rows):
                rows.append((_prompt_of(prompts, at), "here", 0))
            state = "here" if question == at else "open" if line.state == "here" else line.state
        else:
            state = line.state
        rows.append((line.text, state, line.depth))
    if at and not any(state == "here" for _, state, _ in rows):
        rows.append((_prompt_of(prompts, at), "here", 0))
    here = next((number for number, (_, state, _) in enumerate(rows) if state == "here"), 0)
    return Content.assemble(*(_line(number, *row, width) for number, row in enumerate(rows))), here


def _prompt_of(prompts: dict[str, str], at: str) -> str:
    return next(prompt for prompt, question in prompts.items() if question == at)


def _line(number: int, text: str, state: str, depth: int, width: int | None) -> tuple[str, str]:
    sign, style = LOOK[state]
    newline = "\n" if number else ""
    if width is not None and state == "closed":
        text = text.partition(": ")[0]
    room = 200 if width is None else max(8, width - 2 * depth - 2)
    return f"{newline}{'  ' * depth}{glyph(sign)} {one_line(text, room)}", style


def legend() -> str:
    """What the signs mean."""
    return f"{glyph('taken')} taken   {glyph('here')} you are here   {glyph('open')} open   {glyph('shut')} closed"
