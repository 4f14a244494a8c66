"""The cutover: its conditions, what will be sent, what the application must change, and a typed name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.containers import VerticalScroll
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from changeover.plan.model import AwaitCutover, ReplaceByAlias
from changeover_tui import after_words
from changeover_tui.bindings import bindings
from changeover_tui.screens.base import WizardScreen
from changeover_tui.theme import glyph
from changeover_tui.widgets import run_text
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.enter import Field
from changeover_tui.words import clean, hang

if TYPE_CHECKING:
    from changeover_tui.screens.run_asks import RunAsks

TICK_S = 0.5
DARK = "not every lamp is on; the engine keeps looking, and esc goes back to the run"


class CutoverScreen(WizardScreen[bool]):
    """Returns True when the name was typed while every lamp was on."""

    CSS_PATH = "cutover.tcss"
    STAGE = "run"
    KEYS_OF = "cutover"
    HEADING = "Ready for the cutover?"
    EXPLAIN = (
        "Every lamp is a condition that the engine looked at just now, and will look at once more before it sends "
        "anything. As long as you wait, the new side is kept caught up. Type the name to cut over; esc goes back to the "
        "run."
    )
    BINDINGS = bindings("cutover")

    def __init__(self, run: RunAsks) -> None:
        super().__init__()
        self._run = run
        self._timer: Timer | None = None
        self._page = 0
        self._seen: tuple[bool, bool] | None = None
        """What the line was said for: a refusal stays until the lamps change."""

    def body(self) -> Iterable[Widget]:
        yield Cell("Ready for the cutover?", classes="heading")
        yield Cell("", id="lamps")
        yield VerticalScroll(Cell("", id="page"), id="page-pane", classes="pane")
        yield Field(id="name")

    def on_mount(self) -> None:
        """The field; the lamps follow the journal."""
        self._show_page()
        self.query_one(Input).border_title = f"type {self._word} to cut over"
        self.query_one(Input).focus()
        self._timer = self.set_interval(TICK_S, self._look)
        self._look()

    def on_resize(self) -> None:
        """Wrap the page to the width that there is."""
        self._show_page()

    def _show_page(self) -> None:
        pages = after_words.cutover_pages(self._run.feed.plan, self._run.feed.run.name)
        title, lines = pages[self._page % len(pages)]
        titles = [f"{glyph('here')} {name}" if name == title else name for name, _ in pages]
        pane = self.query_one("#page-pane", VerticalScroll)
        pane.border_title = f"{'  '.join(titles)}  (F8)"
        prose = not self._page % len(pages)
        width = max(40, self.size.width - 8)
        self.query_one("#page", Cell).say("\n".join(hang(line, 0, width) if prose else clean(line) for line in lines))
        pane.scroll_home(animate=False)

    def action_page(self) -> None:
        """What will be sent; what the application must change, in one language after the other."""
        self._page += 1
        self._show_page()

    def on_screen_suspend(self) -> None:
        """No work while the help is on top."""
        if self._timer is not None:
            self._timer.pause()

    def on_screen_resume(self) -> None:
        """Go on."""
        if self._timer is not None:
            self._timer.resume()

    def help_text(self) -> str:
        """With what becomes of the old side."""
        plan = self._run.feed.plan
        removed = any(isinstance(step, ReplaceByAlias) for step in plan.steps)
        old = (
            f"Collection {plan.job.source} is REMOVED by it, after a snapshot: there is no other way back."
            if removed
            else "The old side stays complete: going back is possible afterwards."
        )
        return f"{self.EXPLAIN}\n\n{old}"

    @property
    def _word(self) -> str:
        plan = self._run.feed.plan
        step = next((step for step in plan.steps if isinstance(step, AwaitCutover)), None)
        return step.confirm if step is not None else plan.job.name_in_use

    @property
    def _all_on(self) -> bool:
        ready = self._run.feed.state.ready
        return ready is not None and ready.ready

    def _look(self) -> None:
        self._run.tick()
        self.query_one("#lamps", Cell).say(run_text.lamps(self._run.feed.state))
        seen = (self._all_on, self._run.can_deploy)
        if seen == self._seen:
            return
        self._seen = seen
        if self._all_on:
            deploy = "F3 deploys the application's change; then type" if self._run.can_deploy else "Type"
            self.tell(f"Every lamp is on. {deploy} {self._word} and press Enter; esc waits.")
        else:
            self.fail(DARK)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The deployment belongs to the sandbox."""
        return self._run.check_action("deploy", ()) if action == "deploy" else True

    def action_send(self) -> None:
        """Ask the engine, when the name is right and every lamp is on."""
        if not self._all_on:
            self.fail(DARK)
        elif self.query_one(Input).value.strip() != self._word:
            self.fail(f"that is not {self._word}; type it exactly, or esc to wait")
        else:
            self.dismiss(True)

    def action_deploy(self) -> None:
        """Sandbox: let the application search the new vector."""
        self._run.action_deploy()
        self._look()

    def action_back(self) -> None:
        """Not yet."""
        self.dismiss(False)
