"""What a bundle holds and what was taken out of it; from here to its questions and to its run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual import on
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import OptionList

from changeover.bundle.describe import lines
from changeover_tui import messages
from changeover_tui.bindings import bindings
from changeover_tui.screens.base import WizardScreen
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.choice_list import ChoiceList, Row
from changeover_tui.words import hang

if TYPE_CHECKING:
    from changeover.bundle.offline import BundleWizard
    from changeover.engine.folder import RunFolder

INDENT = 12


class BundleScreen(WizardScreen[None]):
    """What is in it, and the ways to look at it."""

    CSS_PATH = "bundle.tcss"
    KEYS_OF = "bundle"
    HEADING = "A bundle"
    EXPLAIN = (
        "A bundle is one file that somebody made with `changeover bundle` on a machine that reaches the cluster. It "
        "holds what Changeover read there and, of a run, its plan and journal. Nothing here connects anywhere: the "
        "questions, checks and plan work on what the bundle holds, and what was not measured stays unmeasured.\n\n"
        "A plan that you save here is sent back and run with `changeover apply` where the bundle was made. There the "
        "addresses that were taken out are put back, and the plan is refused if the collection has changed since."
    )
    HINT = "Enter opens the marked row. Nothing here connects anywhere."
    BINDINGS = bindings("bundle")

    def __init__(self, wizard: BundleWizard, run: RunFolder | None) -> None:
        super().__init__()
        self._wizard, self._bundled_run = wizard, run

    def body(self) -> Iterable[Widget]:
        yield Cell("What this bundle holds", classes="heading")
        yield VerticalScroll(Cell("", id="rows"), id="rows-box", can_focus=True)
        yield ChoiceList(id="ways")

    def on_mount(self) -> None:
        """The ways that there are."""
        ways = []
        if self._bundled_run is not None:
            detail = "Its steps, figures and log when the bundle was taken."
            ways.append(Row(value="run", label="See the run as it stood", detail=detail))
        if self._wizard.survey is not None:
            detail = "With what was measured there; the plan is saved for the customer."
            ways.append(Row(value="walk", label="Walk the questions, checks and plan", detail=detail))
        choices = self.query_one(ChoiceList)
        choices.show(tuple(ways))
        choices.focus()
        if not ways:
            self.tell("There is neither a survey nor a run in it. q leaves.")

    def on_resize(self) -> None:
        """Wrap the rows to the width that there is."""
        parts: list[str | tuple[str, str]] = []
        for label, text in lines(self._wizard.bundle):
            wrapped = hang(text, INDENT, max(40, self.size.width - 4))[INDENT:]
            parts += [(f"{label:>{INDENT - 2}}  ", "$foreground-muted"), f"{wrapped}\n"]
        self.query_one("#rows", Cell).say(Content.assemble(*parts))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_choose()

    def action_choose(self) -> None:
        """Open the marked row."""
        row = self.query_one(ChoiceList).row
        if row is None:
            return
        if row.value == "run" and self._bundled_run is not None:
            self.post_message(messages.RunChosen(self._bundled_run))
        elif row.value == "walk":
            self.post_message(messages.Surveyed())

    def action_back(self) -> None:
        """There is nothing before this screen."""
