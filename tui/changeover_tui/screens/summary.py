"""What came out, and where the report lies."""

from __future__ import annotations

from collections.abc import Iterable

from textual.containers import VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget

from changeover_tui import after_words, plan_words
from changeover_tui.bindings import bindings
from changeover_tui.runner import RunFeed
from changeover_tui.screens.afterwards import AfterwardsScreen
from changeover_tui.screens.base import WizardScreen
from changeover_tui.widgets import summary_text
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.window import LOOK_S, BackFeed
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
    HINT = "esc goes back to the run; q leaves."
    BINDINGS = bindings("summary")

    def __init__(self, feed: RunFeed, *, only_watches: bool = False) -> None:
        super().__init__()
        self._feed = feed
        self._only_watches = only_watches
        self._back = BackFeed(feed)
        self._timer: Timer | None = None

    def body(self) -> Iterable[Widget]:
        yield Cell("What came out", classes="heading")
        yield VerticalScroll(Cell("", id="rows"), id="rows-box")
        yield Cell("Report", classes="heading")
        yield Cell(self._report(), id="report", classes="muted")

    def on_mount(self) -> None:
        """The way back is counted down while it is open."""
        self._timer = self.set_interval(LOOK_S, self._show)
        if self.check_action("go_back", ()):
            self.hint("g goes back, x removes the old side: each says first what it means. esc: the run.")

    def on_screen_suspend(self) -> None:
        """No work while another screen is on top."""
        if self._timer is not None:
            self._timer.pause()

    def on_screen_resume(self) -> None:
        """Go on."""
        if self._timer is not None:
            self._timer.resume()

    def on_resize(self) -> None:
        """Wrap the rows to the width that there is."""
        self._show()

    def _show(self) -> None:
        feed, now = self._feed, self.wizard_app.clock()
        feed.poll()
        window = self._back.look(now)
        parts: list[str | tuple[str, str]] = []
        for label, text in summary_text.rows(feed.plan, feed.state, feed.run.name, window, now):
            wrapped = hang(text, INDENT, max(40, self.size.width - 3))[INDENT:]
            parts += [
                (f"{label:>{INDENT - 2}}  ", "$foreground-muted"),
                (f"{wrapped}\n", "bold" if label == "result" else ""),
            ]
        self.query_one("#rows", Cell).say(Content.assemble(*parts))

    def _report(self) -> str:
        if self.wizard_app.offline:
            return "the report lies where the run was made"
        run = self._feed.run
        markdown = run.report.with_suffix(".md")
        if run.report.exists():
            return f"{run.report}\n{markdown}"
        return f"not written yet; `changeover report {run.name}` writes it"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Going back and cleaning up belong to a run that has cut over; in a bundle there is no side to ask at all."""
        if self._only_watches and action in ("go_back", "clean_up", "compare"):
            return False
        if action in ("go_back", "clean_up"):
            return not self.wizard_app.offline and after_words.offered(self._feed.plan, self._feed.state)
        if action == "compare":
            return not (self.wizard_app.offline or plan_words.cleans_up(self._feed.plan))
        return not (self.wizard_app.offline and action == "copy")

    def action_go_back(self) -> None:
        """What going back means, and a typed name."""
        self.app.push_screen(AfterwardsScreen("back", self._feed.run))

    def action_clean_up(self) -> None:
        """What a cleanup removes, and a typed name."""
        self.app.push_screen(AfterwardsScreen("cleanup", self._feed.run))

    def action_compare(self) -> None:
        """Both sides, as long as both are there."""
        from changeover_tui.screens.compare import CompareScreen

        self.app.push_screen(CompareScreen(self._feed.run))

    def action_copy(self) -> None:
        """Copy the path, and say it: copying fails silently in some terminals."""
        self.app.copy_to_clipboard(str(self._feed.run.report))
        self.tell(f"copied, if this terminal allows it: {self._feed.run.report}")
