"""The whole decision tree on one screen: taken, open and closed branches, and where you are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.containers import VerticalScroll
from textual.widget import Widget

from changeover_tui.bindings import bindings
from changeover_tui.screens.base import WizardScreen
from changeover_tui.widgets import tree_map
from changeover_tui.widgets.cell import Cell

if TYPE_CHECKING:
    from changeover.wizard import Wizard


class MapScreen(WizardScreen[None]):
    """The tree of decisions."""

    CSS_PATH = "map.tcss"
    STAGE = "questions"
    KEYS_OF = "help"
    HEADING = "The map"
    EXPLAIN = "Every branch of the decision tree, with the reason where one is closed. Esc goes back to the question."
    HINT = "Esc goes back to the question."
    BINDINGS = bindings("help")

    def __init__(self, wizard: Wizard, at: str = "") -> None:
        super().__init__()
        self._wizard = wizard
        self._at = at

    def body(self) -> Iterable[Widget]:
        survey = self._wizard.survey
        content, _ = tree_map.render(survey, self._wizard.answers, self._wizard.probes, self._at) if survey else ("", 0)
        yield Cell("The decision tree", classes="heading")
        yield Cell(tree_map.legend(), classes="muted")
        yield VerticalScroll(Cell(content, id="whole-map"), id="map-box")
