"""The lower pane of a run: the log with a filter, the write streams, what went wrong, the points left out."""

from __future__ import annotations

from collections import deque
from typing import Literal

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Input, Log

from changeover.engine.state import RunState
from changeover.plan.model import Plan
from changeover_tui.runner import LogLine
from changeover_tui.widgets import drawer_text, run_text
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.drawer_text import PANES, Pane
from changeover_tui.widgets.enter import Field

Level = Literal["all", "warnings", "errors"]
LEVELS: dict[Level, frozenset[str]] = {
    "all": frozenset({"info", "warning", "error"}),
    "warnings": frozenset({"warning", "error"}),
    "errors": frozenset({"error"}),
}
MOST_LINES = 2000


class LowerPane(Vertical):
    """Shows one of four; repaints what changed, and the log as it grows."""

    def __init__(self, plan: Plan, where: str) -> None:
        super().__init__(id="lower")
        self.shows: Pane = "log"
        self.level: Level = "all"
        self.words = ""
        """What log lines are searched for; "" for all of them."""
        self._plan = plan
        self._where = where
        self._lines: deque[LogLine] = deque(maxlen=MOST_LINES)
        self._begun = 0.0
        self._follows = True
        """Whether the log shows its last lines; then it needs no scrollbar, which would be painted by itself each time."""
        self._wrapped_to = 0

    def compose(self) -> ComposeResult:
        yield Cell("", id="tabs")
        yield Log(id="log", max_lines=MOST_LINES, highlight=False)
        yield VerticalScroll(Cell("", id="drawer"), id="drawer-box", can_focus=False)
        yield Cell("", id="filter", hides=True)
        yield Field(id="search", placeholder="show only log lines with these words; Enter keeps it, esc ends it")

    def on_mount(self) -> None:
        """The log is scrolled by keys of the screen; no pane has to be focused for it."""
        self.query_one(Log).can_focus = False
        self.query_one("#search").display = False
        self.show("log")

    def on_resize(self) -> None:
        """Wrap the log anew."""
        if self._wrapped_to != self._width:
            self._write_all()

    @property
    def _width(self) -> int:
        return max(40, self.size.width - 4)

    def show(self, pane: Pane) -> None:
        """Show that one."""
        self.shows = pane
        self.query_one(Log).display = pane == "log"
        box = self.query_one("#drawer-box")
        box.display = pane != "log"
        box.set_class(pane == "streams", "-table")
        box.scroll_home(animate=False)
        if pane == "log":
            self.call_after_refresh(self.to_the_end)
        self._say_filter()

    def cycle(self) -> None:
        """Show the next one."""
        self.show(PANES[(PANES.index(self.shows) + 1) % len(PANES)])

    def look(self, state: RunState, begun: float) -> None:
        """Take over what the state says; the log has its lines by `add` and `begin_anew`."""
        width = self._width
        self.query_one("#tabs", Cell).say(drawer_text.tabs(self.shows, state, self._where, self.size.width))
        drawer = self.query_one("#drawer", Cell)
        match self.shows:
            case "streams":
                metrics = run_text.fresh(state)
                drawer.say(drawer_text.streams(self._plan, state, None if metrics is None else metrics.lanes))
            case "errors":
                drawer.say(drawer_text.errors(state, begun, width))
            case "skipped":
                drawer.say(drawer_text.skipped(state, width))
            case "log":
                self._begun = begun

    # The log

    def add(self, lines: list[LogLine], begun: float) -> None:
        """New lines at the end of the log."""
        self._begun = begun
        self._lines.extend(lines)
        self._write([line for line in lines if self._wanted(line)])

    def begin_anew(self, lines: tuple[LogLine, ...], begun: float) -> None:
        """These lines instead of all that are there."""
        self._begun = begun
        self._lines = deque(lines, maxlen=MOST_LINES)
        self._write_all()

    def next_level(self) -> None:
        """All lines, then warnings and errors, then errors."""
        levels = tuple(LEVELS)
        self.level = levels[(levels.index(self.level) + 1) % len(levels)]
        self._write_all()

    def begin_search(self) -> None:
        """Open the field for the words."""
        field = self.query_one("#search", Input)
        field.display = True
        field.value = self.words
        field.focus()

    @property
    def searching(self) -> bool:
        """Whether the field is open."""
        return self.query_one("#search").display

    def end_search(self, words: str | None) -> None:
        """Close the field; without words every line is shown again."""
        self.query_one("#search").display = False
        self.screen.set_focus(None)
        self.words = (words or "").strip()
        self._write_all()

    def scroll(self, pages: float) -> None:
        """Up or down by so many pages of what is shown, at least a line; the log follows again from its end on."""
        shown = self.query_one(Log) if self.shows == "log" else self.query_one("#drawer-box")
        lines = max(1, round(abs(pages) * shown.size.height)) * (1 if pages > 0 else -1)
        y = min(max(shown.scroll_target_y + lines, 0), shown.max_scroll_y)
        shown.scroll_to(y=y, animate=False, immediate=True)
        if self.shows == "log":
            self._follows = y >= shown.max_scroll_y
            shown.set_class(self._follows, "-follows")

    def to_the_end(self) -> None:
        """Show the last lines of the log, unless somebody has scrolled up to read."""
        if self._follows:
            for log in self.query(Log):  # none once the screen is being closed
                log.scroll_end(animate=False, immediate=True, x_axis=False)

    def _wanted(self, line: LogLine) -> bool:
        return line[1] in LEVELS[self.level] and self.words.casefold() in line[2].casefold()

    def _write_all(self) -> None:
        self.query_one(Log).clear()
        self._follows, self._wrapped_to = True, self._width
        self._write([line for line in self._lines if self._wanted(line)])
        self._say_filter()

    def _write(self, lines: list[LogLine]) -> None:
        if not lines:
            return
        log = self.query_one(Log)
        self._follows = self._follows or log.scroll_target_y >= log.max_scroll_y
        log.set_class(self._follows, "-follows")
        # Not `write_lines`: that measures the lines in a thread of its own and paints once more when it has.
        words = "".join(f"{line}\n" for line in run_text.log_lines(lines, self._begun, self._width))
        log.write(words, scroll_end=False)
        if self.screen.is_current and log.size.height:
            self.to_the_end()
        else:  # how high it will be is not known yet
            self.call_after_refresh(self.to_the_end)

    def _say_filter(self) -> None:
        parts = [] if self.level == "all" else [f"only {self.level}"]
        if self.words:
            parts.append(f"only lines with “{self.words}”")
        words = f"{', '.join(parts)} · f and / change this" if parts and self.shows == "log" else ""
        self.query_one("#filter", Cell).say(words)
