"""The whole decision tree: what was taken, what is open, what is closed and why, and a way back to each question."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual import on
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from changeover_tui import messages
from changeover_tui.bindings import bindings
from changeover_tui.screens.base import WizardScreen
from changeover_tui.widgets import tree_map
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.enter import Rows
from changeover_tui.words import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.decision.map import MapLine


class MapScreen(WizardScreen[None]):
    """Branches on the left or above, the marked one on the right or below."""

    CSS_PATH = "map.tcss"
    STAGE = "questions"
    KEYS_OF = "map"
    LOOKS_UP = True
    HEADING = "The decision tree"
    EXPLAIN = (
        "Every question in the order of asking. Those that branch show all their choices: taken, open, or closed with "
        "the reason; a question that is not asked says when it would be. Up and down mark a line, and the pane says "
        "what it means. Enter goes back to the marked question; every other answer is kept. On a run the map shows "
        "the answers that its plan was made from; nothing can be changed there any more."
    )
    HINT = "Enter goes back to the marked question; esc goes back to where you were."
    BINDINGS = bindings("map")

    def __init__(self, lines: Sequence[MapLine]) -> None:
        super().__init__()
        self._lines = lines
        self._of_run = not any(line.asked for line in lines)
        if self._of_run:
            self.STAGE, self.HINT = "run", "What the plan was made from. Esc goes back to the run."

    def body(self) -> Iterable[Widget]:
        yield Cell(self.HEADING, classes="heading")
        yield Cell(tree_map.legend(of_run=self._of_run), id="legend", classes="muted")
        with Container(id="map-box"):
            yield Rows(id="branches", markup=False)
            yield VerticalScroll(Cell("", id="branch"), id="branch-pane", classes="pane")

    def on_mount(self) -> None:
        """Where the person is, or the first line."""
        self.query_one("#branch-pane").border_title = "the marked line"
        self.query_one(OptionList).focus()
        self.call_after_refresh(self._fill)

    def on_resize(self) -> None:
        """The lines fit the new width."""
        self.call_after_refresh(self._fill)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The answers of a run stand."""
        return not self._of_run if action == "go" else True

    def _fill(self) -> None:
        options = self.query_one(OptionList)
        here = next((n for n, line in enumerate(self._lines) if line.state == "here"), 0)
        at = here if options.highlighted is None else options.highlighted
        width = (options.scrollable_content_region.width or 60) - 1
        options.clear_options()
        options.add_options(Option(tree_map.row(line, width, reasons=True)) for line in self._lines)
        options.highlighted = at
        options.scroll_to_highlight(top=False)

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        line = self._lines[event.option_index]
        words = tree_map.WORDS[line.state] if not (self._of_run and line.state == "open") else "not taken"
        if line.depth == 0:
            words = {"taken": "answered", "open": "not answered so far", "closed": "not asked"}.get(line.state, words)
        said = f"\nanswer: {clean(self._label(line))}" if line.depth == 0 and line.value else ""
        self.query_one("#branch", Cell).say(
            Content.assemble(
                (f"{clean(line.text)}\n", "bold"), (f"{words}{said}\n\n", "$foreground-muted"), clean(line.why)
            )
        )
        self.query_one("#branch-pane").scroll_home(animate=False)

    def _label(self, question: MapLine) -> str:
        """The answer as the choices name it."""
        choices = (line for line in self._lines if line.depth and line.question == question.question)
        return next((line.text for line in choices if line.value == question.value), question.value)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_go()

    def topic(self) -> str:
        """The marked question."""
        index = self.query_one(OptionList).highlighted
        return self._lines[index].question if index is not None and self._lines else ""

    def action_go(self) -> None:
        """Back to the marked question, when it is one of this walk."""
        index = self.query_one(OptionList).highlighted
        if index is None:
            return
        line = self._lines[index]
        if line.asked:
            self.post_message(messages.QuestionChosen(line.question))
        else:
            self.fail(f"this is not asked: {line.why}")
