"""A number for the engine: what is in force now, what may be asked."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import Input

from changeover_tui.bindings import bindings
from changeover_tui.screens.base import WizardScreen
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.enter import Field


class NumberScreen(WizardScreen[int | None]):
    """Returns the number, or None when the person went back."""

    CSS_PATH = "typed.tcss"
    STAGE = "run"
    KEYS_OF = "number"
    HEADING = "Ask the engine"
    EXPLAIN = "The engine takes the number up within a second and says so in the log. Esc goes back; nothing changes."
    HINT = "Enter asks the engine for it; esc goes back and nothing changes."
    BINDINGS = bindings("number")

    def __init__(self, *, title: str, bounds: str, now: float | int | None, least: int, most: int) -> None:
        super().__init__()
        self._title, self._bounds, self._now, self._least, self._most = title, bounds, now, least, most

    def body(self) -> Iterable[Widget]:
        now = "no limit" if self._now is None else f"{self._now:,.0f}"
        yield Cell(self._title, classes="heading")
        yield Cell(f"In force now: {now}. Allowed: {self._bounds}.", classes="said")
        field = Field(id="word", type="integer")
        field.border_title = "new value"
        yield field

    def on_mount(self) -> None:
        """Straight into the field."""
        self.query_one(Input).focus()

    def action_submit(self) -> None:
        """Return the number when it is within bounds."""
        typed = self.query_one(Input).value.strip()
        try:
            value = int(typed)
        except ValueError:
            value = self._least - 1
        if self._least <= value <= self._most:
            self.dismiss(value)
        else:
            self.fail(f"{typed or 'nothing'}: type a whole number, {self._bounds}")

    def action_back(self) -> None:
        """Nothing changes."""
        self.dismiss(None)
