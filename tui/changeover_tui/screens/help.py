"""Help: what the screen below is for, and every key that it knows."""

from __future__ import annotations

from collections.abc import Iterable

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget

from changeover_tui.bindings import bindings, keys, shown
from changeover_tui.screens.base import WizardScreen
from changeover_tui.widgets.cell import Cell


class HelpScreen(WizardScreen[None]):
    """Text about the screen it was opened from."""

    CSS_PATH = "help.tcss"
    KEYS_OF = "help"
    HEADING = "Help"
    HINT = "Esc closes the help; up and down scroll."
    BINDINGS = bindings("help")

    def __init__(self, heading: str, text: str, keys_of: str) -> None:
        super().__init__()
        self._heading, self._text, self._keys_of = heading, text, keys_of

    def body(self) -> Iterable[Widget]:
        parts: list[str | tuple[str, str]] = [(f"{self._heading}\n\n", "bold"), f"{self._text}\n\n", ("Keys\n", "bold")]
        for key in keys(self._keys_of):
            parts += [(f"  {shown(key.key):10}", "bold $accent"), f"{key.help}\n"]
        yield VerticalScroll(Cell(Content.assemble(*parts), id="help-text"), id="help-box")

    def action_help(self) -> None:
        """Help on help closes it."""
        self.action_back()
