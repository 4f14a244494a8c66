"""After the cutover: going back, or cleaning up. What exactly will happen, then a typed name, then the run of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from textual.containers import VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from changeover.afterwards import cleanup, rollback
from changeover.afterwards.backs import COUNTED, Window, window_of
from changeover.afterwards.model import Kind, Proposal
from changeover.afterwards.offers import why_not
from changeover.engine import launch
from changeover.engine.folder import RunFolder
from changeover.errors import BlockedError
from changeover.plan.model import ChangeStorage
from changeover.routes.way_back import LACKING_CODE
from changeover_tui import after_words, messages
from changeover_tui.bindings import bindings
from changeover_tui.runner import RunFeed
from changeover_tui.screens.base import WizardScreen
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.enter import Field
from changeover_tui.words import clean, hang, one_line

TICK_S = 0.25
STARTING_S = 15.0
"""How long a started engine may take until it says something."""


class AfterwardsScreen(WizardScreen[None]):
    """One thing that can be done with a run that has cut over."""

    CSS_PATH = "afterwards.tcss"
    STAGE = "report"
    KEYS_OF = "afterwards"
    BINDINGS = bindings("afterwards")

    def __init__(self, kind: Kind, run: RunFolder) -> None:
        super().__init__()
        plan = run.plan()
        changed = kind == "back" and any(isinstance(step, ChangeStorage) for step in plan.steps)
        self._kind: Kind = "storage" if changed else kind
        self._words = after_words.WORDS[self._kind]
        self.HEADING, self.EXPLAIN = self._words.heading, self._words.explain  # type: ignore[misc]
        self._done = run
        self._plan = plan
        self._proposal: Proposal | None = None
        self._snapshot = True
        self._accepted: frozenset[str] = frozenset()
        self._busy = False
        self._counting: RunFeed | None = None
        self._engines = 0
        self._patience_until = 0.0
        self._timer: Timer | None = None

    def body(self) -> Iterable[Widget]:
        yield Cell(self._words.heading, classes="heading")
        yield VerticalScroll(Cell("", id="after"), id="after-pane", classes="pane")
        yield Field(id="word", disabled=True)

    def on_mount(self) -> None:
        """Refuse at once what the run folders tell; else ask the cluster how both sides are now."""
        self.query_one("#after-pane").border_title = "what will happen"
        self._timer = self.set_interval(TICK_S, self._look, pause=True)
        reason = why_not(self._kind, self._done)
        if reason:
            self._refused(reason)
        else:
            self._propose()

    def on_resize(self) -> None:
        """Wrap to the width that there is."""
        self.call_after_refresh(self._show)

    def _propose(self) -> None:
        self._busy = True
        self.query_one("#after", Cell).say("Reading both sides as they are now; nothing is written.")
        self.tell("Reading …")
        self.in_background(self._proposed(), "propose")

    async def _proposed(self) -> None:
        try:
            await self.wizard_app.ready()
            environ = self.wizard_app.run_environ
            if self._kind == "cleanup":
                self._proposal = await cleanup.propose(self._done, environ, snapshot=self._snapshot)
            else:
                self._proposal = await rollback.propose(self._done, environ)
        except BlockedError as refused:
            self._refused(str(refused).removeprefix(f"{self._done.name}: "))
            return
        finally:
            self._busy = False
        self._show()
        self._ask()

    def _refused(self, reason: str) -> None:
        self._proposal = None
        self.query_one(Input).display = False
        self.query_one("#after-pane").border_title = "not now"
        self.query_one("#after", Cell).say(hang(f"This cannot be done now: {reason}.", 0, self._width))
        self.tell("Nothing was changed; esc goes back.")
        self.refresh_bindings()

    # What is shown

    @property
    def _width(self) -> int:
        """Terminal cells of a line in the pane."""
        return max(40, self.size.width - 8)

    def _show(self) -> None:
        proposal = self._proposal
        if proposal is None or not self.is_mounted:
            return
        width = self._width
        parts: list[str | tuple[str, str]] = []
        for number, said in enumerate(after_words.what_happens(proposal, self._window(proposal)), start=1):
            lines = [hang(line, 3, width) for line in said.split("\n")]
            parts.append(f"{number}. {chr(10).join(lines)[3:]}\n")
        lacking = after_words.without_model(proposal)
        if lacking:
            parts.append((f"\n{hang(f'WITHOUT THE OLD MODEL: {lacking}', 0, width)}\n", "bold $text-warning"))
        parts.append(("\nThe plan\n", "bold"))
        parts += [(f"{clean(line)}\n", "$foreground-muted") for line in after_words.plan_lines(proposal.plan)]
        self.query_one("#after", Cell).say(Content.assemble(*parts))

    def _window(self, proposal: Proposal) -> Window | None:
        if not proposal.opened:
            return None
        state, alive = proposal.run.state(), launch.running_pid(proposal.run) is not None
        return window_of(proposal.run, proposal.plan, state, now=self.wizard_app.clock(), alive=alive)

    @property
    def _word(self) -> str:
        """What has to be typed now."""
        assert self._proposal is not None
        return LACKING_CODE if self._to_accept else self._proposal.word

    @property
    def _to_accept(self) -> bool:
        proposal = self._proposal
        return proposal is not None and bool(proposal.lacking) and LACKING_CODE not in self._accepted

    def _ask(self) -> None:
        field = self.query_one(Input)
        field.disabled, field.value = False, ""
        does = "go back without these old vectors" if self._to_accept else self._words.ask
        field.border_title = f"type {one_line(self._word, 80)} to {does}"
        field.focus()
        self.tell(f"Type {self._word} and press Enter to {does}; esc leaves everything as it is.")
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only keys that work now."""
        ready = self._proposal is not None and not self._busy
        if action == "snapshot":
            return ready and self._kind == "cleanup" and self._plan.job.mode == "blue-green"
        return ready if action in ("submit", "app.focus_next") else True

    # What is done

    def action_snapshot(self) -> None:
        """Cleanup: with or without a snapshot."""
        self._snapshot = not self._snapshot
        self._propose()

    def action_submit(self) -> None:
        """Go on when the word is right."""
        if self.query_one(Input).value.strip() != self._word:
            self.fail(f"that is not {self._word}; type it exactly, or esc to leave everything as it is")
        elif self._to_accept:
            self._accepted |= {LACKING_CODE}
            self._ask()
        else:
            self._busy = True
            self.query_one(Input).disabled = True
            self.tell("Starting the engine …")
            self.in_background(self._begun(), "begin")

    async def _begun(self) -> None:
        proposal = self._proposal
        assert proposal is not None
        environ = self.wizard_app.run_environ
        try:
            before = proposal.run.state().engines if proposal.run.journal.exists() else 0
            if proposal.kind == "cleanup":
                run = await asyncio.to_thread(cleanup.begin, proposal, environ)
            else:
                run = await asyncio.to_thread(rollback.begin, proposal, environ, self._accepted)
        except Exception:
            self._busy = False
            self._ask()
            raise
        if not proposal.counts or self._accepted:
            self.post_message(messages.RunStarted(run))
            return
        self._counting, self._engines = RunFeed(run), before
        self._patience_until = self.wizard_app.clock() + STARTING_S
        self.tell("Counting the points that would lack an old vector; reading only …")
        assert self._timer is not None
        self._timer.resume()

    def _look(self) -> None:
        """Follow the engine that counts: with nothing lacking it goes on, else it has ended and a person is asked."""
        feed = self._counting
        if feed is None:
            return
        feed.poll()
        state = feed.state
        if any(step.kind == COUNTED and step.status == "done" for step in state.steps):
            self._counted()
            self.post_message(messages.RunStarted(feed.run))
        elif state.engines > self._engines and state.stopped is not None and feed.engine_pid() is None:
            self._counted()
            counted = any(step.kind == COUNTED and step.note for step in state.steps)
            if counted:
                self._propose()
            else:
                self.post_message(messages.RunStarted(feed.run))
        elif feed.engine_pid() is None and self.wizard_app.clock() > self._patience_until:
            self._counted()
            self._ask()
            self.fail(f"no engine started; its log is {feed.run.log}")

    def _counted(self) -> None:
        assert self._timer is not None
        self._counting, self._busy = None, False
        self._timer.pause()
