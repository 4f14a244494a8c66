"""Help: the thing in focus, then what the screen is for, every key that works there, and its words."""

from __future__ import annotations

from collections.abc import Iterable

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget

from changeover_tui import panes
from changeover_tui.bindings import Key, bindings, keys, shown
from changeover_tui.menu import works
from changeover_tui.screens.base import WizardScreen
from changeover_tui.widgets.cell import Cell
from changeover_tui.words import hang

INDENT = 12
MOST = 100
"""Longer lines are hard to read."""
Parts = list[str | tuple[str, str]]


class HelpScreen(WizardScreen[None]):
    """Text about the screen it was opened from."""

    CSS_PATH = "help.tcss"
    KEYS_OF = "help"
    LOOKS_UP = True
    HEADING = "Help"
    EXPLAIN = "What is in focus on the screen below, what that screen is for, its keys and its words. Esc closes it."
    HINT = "Esc closes the help; up and down scroll; F6 explains a word."
    BINDINGS = bindings("help")

    def __init__(self, about: WizardScreen[object]) -> None:
        super().__init__()
        self._about = about
        self.STAGE = about.STAGE

    def body(self) -> Iterable[Widget]:
        yield VerticalScroll(Cell("", id="help-text"), id="help-box")

    def on_mount(self) -> None:
        """It scrolls by the keys."""
        self.query_one("#help-box").focus()

    def on_resize(self) -> None:
        """Wrap the rows to the width that there is."""
        about, width = self._about, min(MOST, self.size.width - 6)
        now = [key for key in keys(about.KEYS_OF) if works(about, key.action)]
        later = [key for key in keys(about.KEYS_OF) if not works(about, key.action)]
        parts = [*_in_focus(about), (f"{about.HEADING}\n\n", "bold"), f"{about.help_text()}\n\n"]
        parts += [("Keys\n", "bold"), *_rows(now, width)]
        if later:
            parts += [("\nKeys that do something at another time\n", "bold"), *_rows(later, width)]
        self.query_one("#help-text", Cell).say(Content.assemble(*parts, *_words(about, width)))

    def topic(self) -> str:
        """That of the screen below."""
        return self._about.topic()


def _in_focus(about: WizardScreen[object]) -> Parts:
    name, shows, how = panes.in_focus(about.KEYS_OF, about.focused)
    if not name:
        return []
    how = f"Its keys: {how}." if how else ""
    return [(f"In focus: {name}\n\n", "bold"), "\n".join(part for part in (shows, how) if part), "\n\n"]


def _rows(listed: Iterable[Key], width: int) -> Parts:
    parts: Parts = []
    for key in listed:
        text = hang(key.help, INDENT, width)[INDENT:]
        parts += [(f"  {shown(key.key):{INDENT - 2}}", "bold $accent"), f"{text}\n"]
    return parts


def _words(about: WizardScreen[object], width: int) -> Parts:
    """The words of the field that stand on the screen, each in one sentence."""
    from changeover.glossary import terms_in

    found = terms_in(f"{about.words_shown()}\n{about.help_text()}")
    parts: Parts = [("\nWords\n", "bold")] if found else []
    for term in found:
        text = hang(f"{term.name}: {term.text}", 4, width, 2)
        parts += [(text[: 3 + len(term.name)], "bold"), f"{text[3 + len(term.name) :]}\n"]
    return parts
