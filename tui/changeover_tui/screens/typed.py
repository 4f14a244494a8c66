"""A typed word before something that matters: it says what will happen, and what to type."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import Input

from changeover_tui.bindings import bindings
from changeover_tui.screens.base import WizardScreen
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.enter import Field
from changeover_tui.words import clean


class TypedScreen(WizardScreen[bool]):
    """Returns True when the word was typed exactly, False when the person went back."""

    CSS_PATH = "typed.tcss"
    KEYS_OF = "typed"
    HEADING = "Confirm"
    EXPLAIN = "What is said above happens only when the word is typed exactly and Enter is pressed. Esc goes back."
    BINDINGS = bindings("typed")

    def __init__(self, *, stage: str, heading: str, said: tuple[str, ...], word: str, ask: str) -> None:
        super().__init__()
        self.STAGE = stage
        self._heading, self._said, self._word, self._ask = heading, said, word, ask

    def body(self) -> Iterable[Widget]:
        yield Cell(self._heading, classes="heading")
        for line in self._said:
            yield Cell(clean(line), classes="said")
        field = Field(id="word")
        field.border_title = clean(self._ask)
        yield field

    def on_mount(self) -> None:
        """Straight into the field."""
        self.query_one(Input).focus()
        self.tell("Enter once the word is typed; esc goes back and nothing happens.")

    def action_submit(self) -> None:
        """Go on when the word is right."""
        if self.query_one(Input).value.strip() == self._word:
            self.dismiss(True)
        else:
            self.fail(f"that is not {self._word}; type it exactly, or esc to go back")

    def action_back(self) -> None:
        """Nothing happens."""
        self.dismiss(False)
