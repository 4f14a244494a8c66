"""One query on both sides of a run, side by side, and a vote; reading only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input

from changeover.engine.folder import RunFolder
from changeover.errors import ChangeoverError
from changeover.side_by_side import votes, words
from changeover.side_by_side.model import Answer, Ranking, query_of
from changeover.side_by_side.votes import Choice
from changeover_tui import doors
from changeover_tui.bindings import bindings
from changeover_tui.screens.base import WizardScreen
from changeover_tui.widgets import compare_text
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.enter import Field
from changeover_tui.words import one_line

if TYPE_CHECKING:
    from changeover.side_by_side.comparison import Comparison

WIDE = 100
"""Terminal cells from which the two lists stand side by side."""


class CompareScreen(WizardScreen[None]):
    """Query, two lists (or one with both ranks), times, votes."""

    CSS_PATH = "compare.tcss"
    AUTO_FOCUS = ""
    STAGE = "run"
    KEYS_OF = "compare"
    HEADING = "Compare"
    EXPLAIN = (
        "One query is embedded by the old and by the new model and searched on both sides, as the application does it "
        "before and after the cutover. Nothing is written to the cluster, and the run goes on meanwhile.\n\n"
        "Each point has its rank on both sides and how it moved:\n"
        + "\n".join(f"  {name}: {meaning}" for name, meaning in words.MOVES)
        + "\n\nScores belong to one list: those of two models cannot be compared. The times are of this one query.\n\n"
        "Say which list is better. The votes are kept in the run folder, a new one on the same query replaces the "
        "old one, and the tally goes into the report. They decide nothing by themselves."
    )
    BINDINGS = bindings("compare")

    def __init__(self, run: RunFolder) -> None:
        super().__init__()
        self._run = run
        self._comparison: Comparison | None = None
        self._queries: tuple[str, ...] = ()
        self._at: int | None = None
        """The query of the file that is shown; None for a typed one."""
        self._query = ""
        self._answer: Answer | None = None
        self._list = 0
        """Which list of the new side is shown: 0 for what serves, then the parts that it is fused from."""
        self._busy = ""
        self._opening = False
        self._votes: dict[str, votes.Vote] = {}
        self._voted = False

    def body(self) -> Iterable[Widget]:
        yield Cell("", id="sides")
        yield Field(id="query", placeholder="Type a query; Enter asks both sides")
        yield Cell("", id="times")
        with Horizontal(id="lists"):
            yield VerticalScroll(Cell("", id="left-list"), id="left", classes="pane")
            yield VerticalScroll(Cell("", id="right-list"), id="right", classes="pane")
        yield Cell("", id="tally")

    def on_mount(self) -> None:
        """Open both sides behind the first picture."""
        self._open("")

    async def on_unmount(self) -> None:
        """Close what was opened; the report, where there is one, takes up the votes."""
        if self._comparison is None:
            return
        await self._comparison.close()
        if self._voted:
            # The votes are kept in any case; `changeover report` writes the report again.
            with suppress(ChangeoverError):
                await asyncio.to_thread(votes.into_report, self._comparison.run)

    def on_resize(self) -> None:
        """One list or two."""
        self.call_after_refresh(self._show)

    # Asking

    def _open(self, query: str) -> None:
        """Connect and load the models, then ask `query`, or the first one of the file without a vote."""
        self._query = query
        self._opening = True
        self.tell("Reading only: nothing is written, and the run is not disturbed.")
        self.in_background(self._opened(), "open")

    async def _opened(self) -> None:
        loop = asyncio.get_running_loop()

        def say(line: str) -> None:
            loop.call_soon_threadsafe(self._say_opening, line)

        self._say_busy("opening both sides")
        try:
            self._comparison = await doors.real_comparison(self._run, self.wizard_app.run_environ, say)
            self._votes = votes.read(self._comparison.run)
            problem = await self._read_queries(self._comparison)
        finally:
            self._opening = False
            self._say_busy("")
        if not self._query and self._queries:
            unvoted = (n for n, query in enumerate(self._queries) if votes.key(query) not in self._votes)
            self._step_to(next(unvoted, 0))
        elif self._query:
            self._ask(self._query)
        else:
            self.query_one(Input).focus()
            self.tell("Type a query; Enter asks both sides.")
        if problem is not None:
            self.fail(problem)

    async def _read_queries(self, comparison: Comparison) -> ChangeoverError | None:
        """A plan whose queries cannot be read is compared with typed ones."""
        try:
            self._queries = await comparison.queries()
        except ChangeoverError as error:
            return error
        return None

    def _ask(self, text: str, at: int | None = None) -> None:
        try:
            query = query_of(text)
        except ChangeoverError as error:
            self.fail(error)
            return
        self._query, self._at, self._answer, self._list = query, at, None, 0
        field = self.query_one(Input)
        if field.value != query:
            field.value = one_line(query, 2_000)
        if self._comparison is None:
            if not self._opening:
                self._open(query)
            return
        self.tell("Reading only: nothing is written, and the run is not disturbed.")
        self._say_busy("asking both sides")
        self.in_background(self._asked(self._comparison, query), "ask")

    async def _asked(self, comparison: Comparison, query: str) -> None:
        answer: Answer | None = None
        try:
            answer = await comparison.ask(query)
        finally:
            # A later query has its own answer under way.
            if query == self._query and self.is_running:
                self._answer = answer
                self._say_busy("")
        if not answer.both:
            self.fail(answer.why_no_old or answer.why_no_new)
            return
        self.query_one("#right").focus()
        self.tell("Which list is better: 1 old, 2 new, 3 the same, 4 skip? Tab: another query.")

    # What is shown

    def _say_opening(self, line: str) -> None:
        """What another thread says may arrive after the end."""
        if self._opening:
            self._say_busy(line)

    def _say_busy(self, words: str) -> None:
        if not self.is_running:
            return
        self._busy = words
        self._show()

    def _show(self) -> None:
        if not self.is_running:
            return
        wide = self.size.width >= WIDE
        left, right = self.query_one("#left"), self.query_one("#right")
        comparison, answer = self._comparison, self._answer
        if comparison is not None:
            self.query_one("#sides", Cell).say(f"{comparison.old.words}  →  {comparison.new.words}")
        self.query_one("#sides", Cell).display = comparison is not None
        self._title_query()
        self.query_one("#times", Cell).say(compare_text.times(answer) if answer else "")
        self.query_one("#tally", Cell).say(f"votes: {votes.tally(self._votes.values()).words}")
        left.border_title = "old"
        if answer is None:
            said = one_line(f"{self._busy} …".capitalize()) if self._busy else self._nothing
            right.border_title = "new" if wide else "both sides"
            self.query_one("#left-list", Cell).say(said)
            self.query_one("#right-list", Cell).say(said)
        else:
            room = right.scrollable_content_region.width - 1, right.scrollable_content_region.height
            self.query_one("#left-list", Cell).say(_list(answer.old, answer.why_no_old, room))
            right.border_title, content = self._right(answer, room, wide=wide)
            self.query_one("#right-list", Cell).say(content)
        self.refresh_bindings()

    def _right(self, answer: Answer, room: tuple[int, int], *, wide: bool) -> tuple[str, Content]:
        """Title and list of the right pane; where it is the only one it merges both lists."""
        if self._list:
            part = answer.parts[self._list - 1]
            return f"new: {part.way} alone", compare_text.column(part, *room, part=True)
        if not wide and answer.both:
            return "both sides", compare_text.merged(answer, *room)
        if not wide and answer.new is None:
            return "old", _list(answer.old, answer.why_no_old, room)
        return "new: fused" if answer.parts else "new", _list(answer.new, answer.why_no_new, room)

    @property
    def _nothing(self) -> str:
        """What stands where the lists will be."""
        return "No answer." if self._query else "Nothing was asked yet."

    def _title_query(self) -> None:
        field = self.query_one(Input)
        title = "query" if self._at is None else f"query {self._at + 1:,} of {len(self._queries):,}"
        vote = self._votes.get(votes.key(self._query))
        field.border_title = f"{title} · your vote: {votes.WORDS[vote.choice]}" if vote is not None else title

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only keys that work now are shown and taken."""
        if action == "ask":
            return isinstance(self.focused, Input)
        if action in ("next", "previous"):
            return bool(self._queries)
        if action == "vote":
            return self._answer is not None and self._answer.both
        if action == "list":
            return self._answer is not None and bool(self._answer.parts)
        return True

    def action_ask(self) -> None:
        """Ask what was typed."""
        self._ask(self.query_one(Input).value)

    def action_next(self) -> None:
        """The next query of the plan."""
        self._step_to(0 if self._at is None else (self._at + 1) % len(self._queries))

    def action_previous(self) -> None:
        """The one before."""
        self._step_to((len(self._queries) if self._at is None else self._at) - 1)

    def _step_to(self, number: int) -> None:
        at = number % len(self._queries)
        self.query_one("#right").focus()
        self._ask(self._queries[at], at)

    def action_list(self) -> None:
        """Another list of the new side: fused, dense alone, sparse alone."""
        assert self._answer is not None
        self._list = (self._list + 1) % (1 + len(self._answer.parts))
        self._show()

    def action_vote(self, choice: Choice) -> None:
        """Keep a vote on the query in hand."""
        assert self._comparison is not None
        try:
            votes.cast(self._comparison.run, self._query, choice, self.wizard_app.clock())
            self._votes = votes.read(self._comparison.run)
        except ChangeoverError as error:
            self.fail(error)
            return
        self._voted = True
        self._show()
        on = "n: the next query." if self._queries else "Tab: another query."
        self.tell(f"Kept: {votes.WORDS[choice]}. Another vote on it replaces this one. {on}")


def _list(found: Ranking | None, why: str, room: tuple[int, int]) -> Content:
    """The list of a side, or why there is none."""
    return compare_text.column(found, *room) if found is not None else compare_text.why(why, room[0])
