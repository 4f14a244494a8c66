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


def render(survey: Survey, answers: Answers, probes: Probes) -> tuple[Content, int]:
    """The map and the number of the line where the person is."""
    from changeover.decision.map import lines

    parts: list[str | tuple[str, str]] = []
    here = 0
    for number, line in enumerate(lines(survey, answers, probes)):
        sign, style = LOOK[line.state]
        if line.state == "here":
            here = number
        newline = "\n" if number else ""
        parts.append((f"{newline}{'  ' * line.depth}{glyph(sign)} {one_line(line.text, 200)}", style))
    return Content.assemble(*parts), here


def legend() -> str:
    """What the signs mean."""
    return f"{glyph('taken')} taken   {glyph('here')} you are here   {glyph('open')} open   {glyph('shut')} closed"
