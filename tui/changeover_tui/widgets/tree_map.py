"""The decision tree as text: a sign and a word's colour for each branch, its depth as indentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from changeover_tui.theme import glyph
from changeover_tui.words import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.decision.map import MapLine

LOOK = {
    "taken": ("taken", ""),
    "here": ("here", "bold $accent"),
    "open": ("open", ""),
    "closed": ("shut", "$foreground-muted"),
}
WORDS = {"taken": "taken", "here": "you are here", "open": "open", "closed": "closed"}


def small(lines: Sequence[MapLine], width: int) -> tuple[Content, int]:
    """The asked branches, a line each, and the number of the line where the person is.

    A question in hand that does not branch is put in where it is asked; reasons are left to the large map.
    """
    shown = [line for line in lines if line.asked and (line.branches or line.state == "here")]
    here = next((number for number, line in enumerate(shown) if line.state == "here"), 0)
    parts = [row(line, width) for line in shown]
    return Content("\n").join(parts), here


def row(line: MapLine, width: int, *, reasons: bool = False) -> Content:
    """One line of the tree, as much of it as fits; with `reasons` a closed one says why."""
    sign, style = LOOK[line.state]
    text = line.text
    if line.value and not line.branches:
        text = f"{line.text} {line.value}"
    elif reasons and line.state == "closed":
        text = f"{line.text}{'' if line.text.endswith('?') else ':'} {line.why}"
    head = f"{'  ' * line.depth}{glyph(sign)} "
    return Content.assemble((f"{head}{one_line(text, max(8, width - len(head)))}", style))


def legend(*, of_run: bool = False) -> str:
    """What the signs mean."""
    if of_run:
        return f"{glyph('taken')} what the plan was made from   {glyph('open')} not taken"
    return "   ".join(f"{glyph(LOOK[state][0])} {words}" for state, words in WORDS.items())
