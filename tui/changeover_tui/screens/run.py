"""A run while it runs, or as it went: phases, rates, searches, catch-up, log. It only tails the journal."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs
from textual.containers import Horizontal, Vertical
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Sparkline

from changeover.engine.folder import RunFolder
from changeover.engine.state import RunState
from changeover_tui import plan_words
from changeover_tui.bindings import bindings
from changeover_tui.player import Player
from changeover_tui.runner import lines_since
from changeover_tui.screens.run_asks import ASKS, RunAsks
from changeover_tui.widgets import run_text
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.drawer_text import PANES
from changeover_tui.widgets.lower import LowerPane
from changeover_tui.widgets.window import WindowCell

TICK_S = 0.5
ENGINE_LOOK_S = 2.0
"""How often the lock is looked at; between two looks the last answer stands."""
REPLAYS = frozenset({"play", "seek", "mark", "faster", "end"})
"""Actions of a replay; what asks for something is off meanwhile."""


class RunScreen(RunAsks):
    """Live panes over the fold of a journal, or over what it was at an earlier moment."""

    CSS_PATH = "run.tcss"
    AUTO_FOCUS = ""
    STAGE = "run"
    KEYS_OF = "run"
    HEADING = "The run"
    EXPLAIN = (
        "The engine is a process of its own and writes a journal; this screen only reads it. Closing it, or losing the "
        "connection to this terminal, does not stop the run: `changeover watch` shows it again, from any terminal; "
        "with --read-only it has no keys that ask for anything.\n\n"
        "Left: the steps of the plan with what is done, what runs and what waits. Right, as far as the plan has it: "
        "points per second, how busy embedder and writer are, batch, streams and rate as asked for and as they are "
        "now, why it is slower than asked, the recall before and after a change of the storage, the "
        "searches made all the while through the name that your application uses, and what the last catch-up passes "
        "found.\n\n"
        "Below, by digit: 1 the log (f: all, warnings, errors; / looks for words), 2 what each write stream does, "
        "3 what went wrong or slower and what the engine does about it, 4 the points that are left out and what to do. "
        "The same digit again makes the pane larger, esc smaller; up and down scroll it. What you ask for (rate, "
        "batch, streams, pause, stop) is shown as asked until the engine has taken it up.\n\n"
        "When everything is verified the run waits for you: c shows the conditions of the cutover. A plan that only "
        "changes the configuration has no cutover.\n\n"
        "w goes through the journal again: space plays and stands still, left and right move by one per cent of the "
        "whole, up and down to the things that matter, s changes the speed, home and end; w comes back."
    )
    BINDINGS = bindings("run")

    def __init__(
        self, run: RunFolder, *, just_started: bool = False, read_only: bool = False, replay: bool = False
    ) -> None:
        super().__init__(run, read_only=read_only)
        self._timer: Timer | None = None
        self._just_started = just_started
        self._facts: tuple[object, ...] = ()
        self._player: Player | None = None
        self._shown: RunState | None = None
        """The state whose log is in the lower pane during a replay."""
        self._replays_first = replay

    def body(self) -> Iterable[Widget]:
        yield Cell("", id="run-heading", classes="heading")
        with Horizontal(id="run"):
            with Vertical(id="phases-pane", classes="pane"):
                yield Cell("", id="phases")
                yield Cell("", id="note", hides=True)
            with Vertical(id="now-pane", classes="pane"):
                with Horizontal(id="rate-row"):
                    yield Cell("", id="rate")
                    yield Sparkline([], id="spark")
                yield Cell("", id="load", hides=True)
                yield Cell("", id="measured", hides=True)
                yield Cell("", id="canary")
                yield Cell("", id="asked", hides=True)
                yield Cell("", id="backlog", hides=True)
                yield WindowCell(self.feed, self.wizard_app.clock)
                yield Cell("", id="application", hides=True)
        yield Cell("", id="slider", hides=True)
        yield LowerPane(self.feed.plan, self.feed.run.name if self.offline else str(self.feed.run.path))

    @property
    def lower(self) -> LowerPane:
        """The lower pane."""
        return self.query_one(LowerPane)

    @property
    def state(self) -> RunState:
        """The state that is shown: the present one, or that of the moment of the replay."""
        return self.feed.state if self._player is None else self._player.state

    def on_mount(self) -> None:
        """Read what there is, then look four times a second."""
        self.query_one("#phases-pane").border_title = "steps"
        self.query_one("#now-pane").border_title = "now"
        self.query_one("#rate-row").display = plan_words.loads(self.feed.plan)
        if self._just_started:
            self._wait_for_engine()
        self._timer = self.set_interval(TICK_S, self.tick)
        self.call_after_refresh(self.tick)

    def on_resize(self) -> None:
        """The phases fill the width that they have."""
        self.call_after_refresh(self._show, new=True)

    def on_screen_suspend(self) -> None:
        """No work while another screen is on top."""
        if self._timer is not None:
            self._timer.pause()

    def on_screen_resume(self) -> None:
        """Go on, and catch up at once."""
        if self._timer is not None:
            self._timer.resume()
            self.tick()
            self.call_after_refresh(self.lower.to_the_end)

    def tick(self) -> None:
        """Read the journal and the lock, and touch what changed."""
        try:
            new, lines = self.feed.poll()
        except (OSError, KeyError) as error:
            self.fail(f"{self.feed.run.journal}: cannot read the journal: {error}")
            return
        now = self.wizard_app.clock()
        if now >= self._look_at:
            self._look_at = now + ENGINE_LOOK_S
            self._alive = self.feed.engine_pid() is not None
            if self._alive:
                self._patience_until = 0.0
            self.look_at_demo()
        if self._replays_first:
            self._replays_first = False
            self.action_replay()
        with self.app.batch_update():
            if self._player is not None:
                if self._player.plays:
                    self._player.goes_on(TICK_S)
                    self._show_moment()
                return
            if lines:
                self.lower.add(lines, self.feed.state.started_at or lines[0][0])
            self._show(new=new)

    # What is shown

    def _show(self, *, new: bool) -> None:
        state = self.state
        begun = state.started_at
        until = self.wizard_app.clock() if self.at_work else (state.last_at or 0.0)
        until = until if self._player is None else self._player.moment
        seconds = 0.0 if begun is None else until - begun
        mode = "REPLAY" if self._player is not None else "read-only" if self.only_watches else ""
        heading = run_text.heading(self.feed.plan, self.standing, seconds, mode)
        self.query_one("#run-heading", Cell).say(heading)
        asked = {} if self._player is not None else self.feed.requested
        self.query_one("#asked", Cell).say(run_text.asked(asked, state))
        facts = (self.standing, self.waits, self.can_deploy, self.can_compare, self._alive, self._player is None)
        changed = facts != self._facts
        if new or changed:
            idle = self._player is None and not self.at_work
            self._show_state(structs.replace(state, metrics=None) if idle else state)
            self.answer_about_cutover()
        if changed:
            self._facts = facts
            self.refresh_bindings()
            self._say_standing()

    def _show_state(self, state: RunState) -> None:
        self.lower.look(state, state.started_at or 0.0)
        if self.has_class("-large"):
            return
        plan = self.feed.plan
        pane = self.query_one("#phases")
        self.query_one("#phases", Cell).say(run_text.phases(state, pane.size.width or run_text.WITH_TIMES))
        self.query_one("#note", Cell).say(run_text.note(state))
        self.query_one("#rate", Cell).say(run_text.rate(state))
        spark = self.query_one(Sparkline)
        rates = list(state.rates[-60:])
        if spark.data != rates:
            spark.data = rates
        self.query_one("#load", Cell).say(run_text.load(plan, state))
        self.query_one("#measured", Cell).say(run_text.measured(state))
        self.query_one("#canary", Cell).say(run_text.canary(plan, state))
        self.query_one("#backlog", Cell).say(run_text.backlog(plan, state))

    def look_at_demo(self) -> None:
        """Say what the sandbox's application lives through."""
        demo = self.wizard_app.demo
        if demo is None:
            return
        if self.deployed:
            offer = "the application was deployed"
        else:
            offer = "d deploys the application's change" if self.can_deploy else ""
        self.query_one("#application", Cell).say(run_text.application(demo.stats(), offer))

    @property
    def standing(self) -> str:
        """Where the run stands, in words; in a bundle where it stood."""
        state = self.state
        if self._player is not None or self.offline:
            return {"new": "not begun", "ready": "ready for the cutover"}.get(state.status, state.status)
        if state.status == "finished":
            return "finished"
        if self.at_work:
            if self.stopping:
                return "stopping"
            words = {"new": "starting", "stopped": "starting", "ready": "ready for the cutover"}
            return words.get(state.status, state.status)
        return "stopped" if state.status == "stopped" else "interrupted"

    def _say_standing(self) -> None:
        state = self.feed.state
        go_on = "Nothing can be asked for from here." if self.only_watches else "e starts it again where it was."
        match self.standing:
            case _ if self._player is not None:
                self.tell("This is how it went. Up and down go to what matters; w comes back.")
            case stood if self.offline:
                summary = " Enter: the summary." if state.status == "finished" else ""
                self.tell(f"As it stood when the bundle was taken: {stood}.{summary} w: how it went.")
            case "finished":
                offer = "d deploys the application's change; " if self.can_deploy else ""
                words = state.finished.summary if state.finished else "finished"
                self.tell(f"{words}. {offer}Enter: the summary. w: how it went.")
            case "stopped":
                reason = state.stopped.reason if state.stopped else "no reason given"
                self.fail(f"the engine stopped: {reason}. {go_on}")
            case "interrupted":
                self.fail(f"no engine works on this run and none said why. {go_on}")
            case _ if self.locked:
                self.tell("This window only watches: the run's folder cannot be written by you.")
            case _ if self.read_only:
                self.tell("This window only watches. q leaves; the engine goes on.")
            case "ready for the cutover":
                self.tell("READY: every condition is met. c shows them; a typed name cuts over.")
            case "stopping":
                self.tell("The engine has written its checkpoint and ends.")
            case "starting":
                self.tell("The engine is starting; it takes a few seconds until it works.")
            case "paused":
                self.tell(f"Paused ({state.paused}). p lets it go on.")
            case _ if self.waits:
                self.tell("The run waits for the cutover, and not every condition is met yet; c shows them.")
            case _:
                self.tell("The engine is a process of its own: q leaves it running, S asks it to stop.")

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only keys that work now are shown and taken."""
        replays, large = self._player is not None, self.has_class("-large")
        searching = self.is_mounted and self.lower.searching
        match action:
            case "keep":
                return searching
            case _ if action in REPLAYS:
                return replays and not searching
            case "scroll":  # during a replay the arrows go through time
                return not replays or abs(float(str(parameters[0]))) >= 1
            case "replay":
                return not replays and self.feed.state.started_at is not None and not self.at_work
            case "level" | "search":
                # Beside the keys of a run there is room for these only on a large terminal.
                return self.lower.shows == "log" and (large or self.size.width >= 100)
            case "smaller":
                return large and not searching
            case _ if action in ASKS:
                beside = action in ("pause", "resume", "stop", "summary") or not large
                return not replays and not searching and beside and self.can_ask(action)
        return True

    def action_pane(self, number: int) -> None:
        """Show that pane; larger where it is shown already, or where a terminal is too low to read it."""
        same = self.lower.shows == PANES[number - 1]
        self._large(same or self.has_class("-large") or self.size.height < 32)
        self.lower.show(PANES[number - 1])
        self._show(new=True)

    def action_next_pane(self) -> None:
        """Show the next pane."""
        self.lower.cycle()
        self._show(new=True)
        self.refresh_bindings()

    def action_smaller(self) -> None:
        """The pane gives the room back."""
        self._large(False)
        self.lower.show("log")
        self._show(new=True)

    def _large(self, large: bool) -> None:
        self.set_class(large, "-large")
        if not large:  # how wide the upper panes are is known once they are there
            self.call_after_refresh(self._show, new=True)
        self.refresh_bindings()

    def action_scroll(self, pages: float) -> None:
        """Scroll the lower pane."""
        self.lower.scroll(pages)

    def action_level(self) -> None:
        """All lines of the log, warnings, or errors."""
        self.lower.next_level()

    def action_search(self) -> None:
        """Look for words in the log."""
        self.lower.begin_search()
        self.refresh_bindings()

    def action_keep(self) -> None:
        """Keep what is looked for."""
        self.lower.end_search(self.lower.query_one(Input).value)
        self.refresh_bindings()

    def action_back(self) -> None:
        """End the search, or the replay, or go back to the first screen."""
        if self.lower.searching:
            self.lower.end_search(None)
            self.refresh_bindings()
        elif self.has_class("-large"):
            self.action_smaller()
        elif self._player is not None:
            self.action_end()
        else:
            super().action_back()

    # The replay

    def action_replay(self) -> None:
        """Go through the journal again."""
        try:
            replay = self.feed.replay()
        except OSError as error:
            self.fail(f"{self.feed.run.journal}: cannot read the journal: {error}")
            return
        self._player, self._shown = Player(replay), None
        self._player.play_or_pause()
        self.add_class("-replay")
        self._show_moment()

    def action_end(self) -> None:
        """Back to how it stands now."""
        self._player = None
        self.remove_class("-replay")
        self.query_one("#slider", Cell).say("")
        state = self.feed.state
        self.lower.begin_anew(state.log, state.started_at or 0.0)
        self._show(new=True)

    def action_play(self) -> None:
        """Play or stand still."""
        if self._player is not None:
            self._player.play_or_pause()
            self._show_moment()

    def action_seek(self, steps: int) -> None:
        """Back or forth by so many per cent of the whole."""
        if self._player is not None:
            self._player.step(steps)
            self._show_moment()

    def action_mark(self, forward: bool) -> None:
        """To the next or last thing that matters."""
        if self._player is not None:
            self._player.plays = False
            self._player.to_mark(forward)
            self._show_moment()

    def action_faster(self) -> None:
        """Another speed."""
        if self._player is not None:
            self._player.faster()
            self._show_moment()

    def _show_moment(self) -> None:
        player = self._player
        assert player is not None
        state = player.state
        self.query_one("#slider", Cell).say(run_text.slider(player, self.size.width))
        if state is not self._shown:
            lines = None if self._shown is None else lines_since(self._shown.log, state.log)
            if lines is None:
                self.lower.begin_anew(state.log, state.started_at or 0.0)
            elif lines:
                self.lower.add(lines, state.started_at or lines[0][0])
            self._shown = state
        self._show(new=True)
