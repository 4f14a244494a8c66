"""What speaks for and against the answers; what must be acknowledged is acknowledged by typing its code."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual import on
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from changeover.decision import charts
from changeover.errors import ChangeoverError
from changeover.survey.trials.pace import Pace
from changeover_tui import messages
from changeover_tui.bindings import bindings
from changeover_tui.screens.base import WizardScreen
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.enter import Field, Rows
from changeover_tui.widgets.evidence import TICK_S, EvidencePane, under_way
from changeover_tui.words import clean, hang, one_line, plural, trying

if TYPE_CHECKING:
    from changeover.checks.model import Finding
    from changeover.wizard import Wizard

WORDS = {"blocker": ("BLOCK", "$text-error"), "warning": ("WARN", "$text-warning"), "info": ("INFO", "$text-primary")}
PASS = ("PASS", "$text-success")
UNTRIED = ("not tried", "; t tries it on a sample")
OFFLINE = ("not measured, no cluster here", "")
"""What stands before and after the names of what was not measured."""
ORDER = ("blocker", "warning", "info")
PARTS = (
    ("measured", "measured"),
    ("limit", "limit"),
    ("consequence", "what follows"),
    ("remedy", "what to do"),
    ("source", "source"),
)


class ChecksScreen(WizardScreen[None]):
    """Findings on the left, the one in hand on the right."""

    CSS_PATH = "checks.tcss"
    STAGE = "checks"
    KEYS_OF = "checks"
    HEADING = "Checks"
    EXPLAIN = (
        "Every check that fits your answers, with what was measured. BLOCK: the plan cannot be made until this is "
        "solved; go back and change an answer, or do what the remedy says and measure again. WARN with 'to "
        "acknowledge': type its code to say that you have read it. WARN and INFO without that are for reading. PASS: "
        "looked at, nothing found.\n\nWhat your answers call for is first tried on a sample of your own data, which can "
        "take up to two minutes: stored vectors are read and compared on this machine. x skips that; the findings then "
        "say what nobody has tried, and the plan can be made all the same. Nothing is written to the cluster here."
    )
    BINDINGS = bindings("checks")

    def __init__(self, wizard: Wizard, accepted: set[str]) -> None:
        super().__init__()
        self._wizard = wizard
        self._accepted = accepted
        self._findings: tuple[Finding, ...] = ()
        self._passed: tuple[tuple[str, str], ...] = ()
        self._ready = False
        self._untried: tuple[str, ...] = ()
        """What was skipped, in words."""
        self._trials: asyncio.Task[object] | None = None
        """Trials that go on now."""
        self._skipped = False
        self._pace = Pace()
        """How far the measurement is that goes on now."""

    def body(self) -> Iterable[Widget]:
        yield Cell("Measuring …", id="count", classes="heading")
        with Horizontal(id="checks"):
            yield Rows(id="findings", markup=False)
            yield EvidencePane(id="detail-pane")
        yield Field(id="acknowledge")

    def on_mount(self) -> None:
        """Measure what is not measured yet, then list."""
        self.query_one("#acknowledge").display = False
        self.query_one(OptionList).focus()
        self._ticking = self.set_interval(TICK_S, self._show_so_far, pause=True)
        self.in_background(self._measure(again=False), "measure")

    def topic(self) -> str:
        """The marked finding, or the check that passed."""
        index = self.query_one(OptionList).highlighted
        codes = [*(finding.code for finding in self._findings), *(code for code, _ in self._passed)]
        return codes[index] if index is not None and index < len(codes) else ""

    def action_measure(self) -> None:
        """Ask everything once more."""
        self.in_background(self._measure(again=True), "measure")

    def action_try_it(self) -> None:
        """Take the trials that were skipped."""
        self.in_background(self._measure(again=False), "measure")

    def action_skip(self) -> None:
        """Go on without the trials."""
        if self._trials is not None:
            self._skipped = True
            self._trials.cancel()
            self.tell("Skipping; what is being asked now still ends …")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Trials are skipped while they go on, and taken when they were skipped; one measurement at a time."""
        if action == "skip":
            return self._trials is not None
        if action == "measure":
            return not self._measuring and not self._wizard.offline
        if action == "try_it":
            return self._ready and bool(self._untried) and not self._wizard.offline
        return True

    async def _measure(self, *, again: bool) -> None:
        self._ready, self._measuring, self._pace = False, True, Pace()
        self._ticking.resume()
        self.query_one("#count", Cell).say("Measuring …")
        self.refresh_bindings()
        try:
            await self._measured(again=again)
        except ChangeoverError:
            self.query_one("#count", Cell).say("Not measured. m measures again, b goes back to the questions.")
            raise
        finally:
            self._measuring = False
            self._ticking.pause()
        self._list()

    async def _measured(self, *, again: bool) -> None:
        """The model first, which the plan needs; then the trials, which can be skipped. What is known is not repeated."""
        wizard = self._wizard
        assert wizard.survey is not None
        if again:
            self.tell("Reading the collection again …")
            await wizard.take_survey(wizard.survey.asked)
        await wizard.probe(trials=False, progress=self._progress)
        if wizard.untried() and not wizard.offline:
            await self._try()
        self._untried = wizard.untried()

    async def _try(self) -> None:
        self.query_one("#count", Cell).say("Trying it on a sample of your data; nothing is written.")
        self._skipped = False
        self._trials = asyncio.ensure_future(self._wizard.probe(progress=self._progress))
        self.refresh_bindings()
        try:
            await self._trials
        except asyncio.CancelledError:
            if not self._skipped:
                raise
        finally:
            self._trials = None

    def _progress(self, done: int, total: int, words: str) -> None:
        if self.is_running:
            skip = ". x skips it, esc goes back." if total else ""
            self.tell(trying(done, total, words) + skip)
            new = words != self._pace.words
            self._pace.tell(done, total, words)
            if new:
                self._show_so_far()

    def _show_so_far(self) -> None:
        """What is being measured, and the figures that there are already."""
        if self._measuring and self._pace.words:
            pane = self.query_one(EvidencePane)
            pane.border_title = "measured so far"
            pane.show(under_way(self._pace, pane.room), (), (), self._wizard.so_far())

    def _list(self) -> None:
        found = self._wizard.findings()
        self._findings = tuple(sorted(found, key=lambda f: ORDER.index(f.severity)))
        self._passed = self._wizard.passed()
        self._ready = True
        self.refresh_bindings()
        self._fill()
        self._mark_first_open()
        self._say_next()

    def _fill(self) -> None:
        options = self.query_one(OptionList)
        at = options.highlighted
        options.clear_options()
        options.add_options(Option(self._row(finding)) for finding in self._findings)
        options.add_options(
            Option(Content.assemble((f"{PASS[0]:5} ", f"bold {PASS[1]}"), (one_line(code), "$foreground-muted")))
            for code, _ in self._passed
        )
        options.highlighted = min(at or 0, options.option_count - 1) if options.option_count else None
        blocks = sum(f.severity == "blocker" for f in self._findings)
        warns = sum(f.severity == "warning" for f in self._findings)
        infos = len(self._findings) - blocks - warns
        words = f"{blocks} BLOCK   {warns} WARN   {infos} INFO   {len(self._passed)} PASS"
        if self._untried:
            before, after = OFFLINE if self._wizard.offline else UNTRIED
            words += f"\n{before}: {', '.join(self._untried)}{after}"
        self.query_one("#count", Cell).say(words)

    def _row(self, finding: Finding) -> Content:
        word, style = WORDS[finding.severity]
        open_ = finding.acknowledge and finding.code not in self._accepted
        mark = "to acknowledge: " if open_ else ("acknowledged: " if finding.acknowledge else "")
        width = (self.query_one("#findings").size.width or 40) - 4
        return Content.assemble(
            (f"{word:5} ", f"bold {style}"),
            (one_line(finding.code, 60), "bold"),
            ("\n" + hang(mark + finding.title, 6, width), "$foreground-muted"),
        )

    def on_resize(self) -> None:
        """Wrap the rows to the new width."""
        if self._ready:
            self.call_after_refresh(self._fill)

    def _open(self) -> list[Finding]:
        return [f for f in self._findings if f.acknowledge and f.code not in self._accepted]

    def _blockers(self) -> list[Finding]:
        return [f for f in self._findings if f.severity == "blocker"]

    def _mark_first_open(self) -> None:
        wanted = next(iter(self._blockers() or self._open()), None)
        if wanted is not None:
            self.query_one(OptionList).highlighted = self._findings.index(wanted)

    def _say_next(self) -> None:
        blockers, open_ = self._blockers(), self._open()
        if blockers:
            self.fail(f"{plural(len(blockers), 'finding')} in the way: see 'what to do'; F5 leads to any question")
        elif open_:
            self.hint(f"Enter: acknowledge {open_[0].code} ({len(open_)} left), then on to the plan.")
        else:
            self.hint("Enter goes on to the plan; still nothing is written.")

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        finding = self._findings[event.option_index] if event.option_index < len(self._findings) else None
        pane = self.query_one(EvidencePane)
        if finding is None:
            code, looks_at = self._passed[event.option_index - len(self._findings)]
            nothing = f"Looked at: {clean(looks_at)}.\n\nNothing speaks against your answers here."
            said = Content(f"{code}\n\n{nothing}")
        else:
            code = finding.code
            parts: list[str | tuple[str, str]] = [(clean(finding.title), "bold")]
            for name, words in PARTS:
                if text := getattr(finding, name):
                    parts += [(f"\n\n{words}: ", "$foreground-muted"), clean(text)]
            said = Content.assemble(*parts)
        pane.border_title = "the marked one"
        pane.show([said], (), (), charts.drawn(charts.FINDINGS.get(code, ()), self._wizard.probes))
        pane.scroll_home(animate=False)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_go_on()

    def action_go_on(self) -> None:
        """To the plan, unless something is in the way."""
        if not self._ready:
            self.tell("Still measuring; esc goes back.")
            return
        if self.query_one("#acknowledge").display:
            self._acknowledge()
            return
        self._mark_first_open()
        if self._blockers():
            self._say_next()
        elif self._open():
            self._ask_for(self._open()[0])
        else:
            self.post_message(messages.Checked())

    def _ask_for(self, finding: Finding) -> None:
        field = self.query_one("#acknowledge", Input)
        field.display = True
        field.value = ""
        field.border_title = f"type {finding.code} to acknowledge it"
        field.focus()
        self.tell("Read the finding on the right. Typing its code says that you know what follows.")

    def _acknowledge(self) -> None:
        """Take what was typed, and go to the next one to acknowledge."""
        field = self.query_one("#acknowledge", Input)
        finding = next(iter(self._open()), None)
        if finding is None or field.value.strip() != finding.code:
            self.fail(f"type exactly {finding.code if finding else ''} to acknowledge it, or esc to go back")
            return
        self._accepted.add(finding.code)
        field.display = False
        self._fill()
        self._mark_first_open()
        if self._open():
            self._ask_for(self._open()[0])
        else:
            self.query_one(OptionList).focus()
            self._say_next()

    def action_back(self) -> None:
        """Close the field if it is open, else back to the questions."""
        field = self.query_one("#acknowledge", Input)
        if field.display:
            field.display = False
            self.query_one(OptionList).focus()
            self._say_next()
        else:
            self.app.pop_screen()
