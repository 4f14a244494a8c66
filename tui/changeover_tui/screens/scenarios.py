"""The scenarios of the sandbox: each says what it teaches, and Enter starts it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from textual import on
from textual.widget import Widget
from textual.widgets import OptionList

from changeover.sandbox.scenarios import SCENARIOS, ScenarioName
from changeover_tui import messages
from changeover_tui.bindings import bindings
from changeover_tui.screens.base import WizardScreen
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.choice_list import ChoiceList, Row


class ScenariosScreen(WizardScreen[None]):
    """What do you want to see?"""

    CSS_PATH = "start.tcss"
    KEYS_OF = "scenarios"
    HEADING = "What do you want to see?"
    EXPLAIN = (
        "The sandbox is a small cluster on this machine with the docstrings of Python as texts and an application that "
        "searches and writes all the while. Nothing is downloaded and nothing leaves this machine. Each scenario is a "
        "real migration with every question, check and step; Enter starts it, and the answers are proposed. It ends "
        "when you leave, and takes its data with it."
    )
    HINT = "Enter starts the marked one on this machine; esc goes back."
    BINDINGS = bindings("scenarios")

    def __init__(self) -> None:
        super().__init__()
        self._starting = False

    def body(self) -> Iterable[Widget]:
        yield Cell(self.HEADING, classes="heading")
        yield Cell("Real migrations on a sandbox: no network, no account, nothing to clean up.", classes="muted hint")
        yield ChoiceList(id="scenarios")

    def on_mount(self) -> None:
        """All of them."""
        rows = tuple(Row(value=name, label=row.title, detail=row.teaches) for name, row in SCENARIOS.items())
        self.query_one(ChoiceList).show(rows)
        self.query_one(ChoiceList).focus()

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_choose()

    def action_choose(self) -> None:
        """Start the marked one."""
        row = self.query_one(ChoiceList).row
        if row is not None and not self._starting:
            self._starting = True
            self.tell("Starting the sandbox: its cluster, its texts, its application. The first time takes a minute.")
            self.post_message(messages.ScenarioChosen(cast("ScenarioName", row.value)))

    def fail(self, error: BaseException | str) -> None:
        """It did not start; another try may."""
        self._starting = False
        super().fail(error)

    def on_screen_resume(self) -> None:
        """Coming back from a scenario."""
        if self._starting and self.app.screen is self:
            self._starting = False
            self.tell()
