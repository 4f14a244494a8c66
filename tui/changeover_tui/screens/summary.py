"""What came out, and where the report lies."""

from __future__ import annotations

from collections.abc import Iterable

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget

from changeover_tui.bindings import bindings
from changeover_tui.runner import RunFeed
from changeover_tui.screens.base import WizardScreen
from changeover_tui.widgets import summary_text
from changeover_tui.widgets.cell import Cell
from changeover_tui.words import hang

INDENT = 12


class SummaryScreen(WizardScreen[None]):
    """Result, quality, report."""

    CSS_PATH = "summary.tcss"
    STAGE = "report"
    KEYS_OF = "summary"
    HEADING = "The report"
    EXPLAIN = (
        "What came out of the run in short. The HTML report holds everything and can be sent to a colleague; it holds "
        "no key. The Markdown file beside it says the same."
    )
    HINT = "q leaves; esc goes back to the run. y copies the path of the report."
    BINDINGS = bindings("summary")

    def __init__(self, feed: RunFeed) -> None:
        super().__init__()
        self._feed = feed

    def body(self) -> Iterable[Widget]:
        yield Cell("What came out", classes="heading")
        yield VerticalScroll(Cell("", id="rows"), id="rows-box")
        yield Cell("Report", classes="heading")
        yield Cell(self._report(), id="report", classes="muted")

    def on_resize(self) -> None:
        """Wrap the rows to the width that there is."""
        parts: list[str | tuple[str, str]] = []
        for label, text in summary_text.rows(self._feed.plan, self._feed.state, self._feed.run.name):
            wrapped = hang(text, INDENT, max(40, self.size.width - 3))[INDENT:]
            parts += [
                (f"{label:>{INDENT - 2}}  ", "$foreground-muted"),
                (f"{wrapped}\n", "bold" if label == "result" else ""),
            ]
        self.query_one("#rows", Cell).say(Content.assemble(*parts))
        if self.wizard_app.offline:
            self.tell("q leaves; esc goes back to the run.")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """In a bundle there is neither a report nor a side to ask."""
        return not (self.wizard_app.offline and action in ("copy", "compare"))

    def _report(self) -> str:
        if self.wizard_app.offline:
            return "the report lies where the run was made"
        run = self._feed.run
        markdown = run.report.with_suffix(".md")
        if run.report.exists():
            return f"{run.report}\n{markdown}"
        return f"not written yet; `changeover report {run.name}` writes it"

    def action_compare(self) -> None:
        """Both sides, as long as both are there."""
        from changeover_tui.screens.compare import CompareScreen

        self.app.push_screen(CompareScreen(self._feed.run))

    def action_copy(self) -> None:
        """Copy the path, and say it: copying fails silently in some terminals."""
        self.app.copy_to_clipboard(str(self._feed.run.report))
        self.tell(f"copied, if this terminal allows it: {self._feed.run.report}")
