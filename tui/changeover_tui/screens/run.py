"""A run while it runs: phases, rates, searches, catch-up, log. It only tails the journal and asks through a file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.containers import Horizontal, Vertical
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Log, Sparkline

from changeover.engine.folder import RunFolder
from changeover.errors import ChangeoverError
from changeover.plan.model import SwitchApplication
from changeover.side_by_side.model import BEGUN_BY
from changeover_tui import plan_words
from changeover_tui.bindings import bindings
from changeover_tui.runner import LogLine, RunFeed
from changeover_tui.screens.base import WizardScreen
from changeover_tui.screens.number import NumberScreen
from changeover_tui.screens.typed import TypedScreen
from changeover_tui.widgets import run_text
from changeover_tui.widgets.cell import Cell

if TYPE_CHECKING:
    from changeover.engine.control import Verb

TICK_S = 0.25
ENGINE_LOOK_S = 2.0
"""How often the lock is looked at; between two looks the last answer stands."""
STARTING_S = 15.0
"""How long a started engine may take before its lock is missed."""
NUMBERS = {
    "rate": ("Most points per second", "0 for no limit", 0, 1_000_000),
    "batch": ("Points per request", "from 1 to 4,096", 1, 4096),
    "streams": ("Requests under way at once", "from 1 to 8", 1, 8),
}


class RunScreen(WizardScreen[None]):
    """Live panes over the fold of a journal."""

    CSS_PATH = "run.tcss"
    AUTO_FOCUS = ""
    STAGE = "run"
    KEYS_OF = "run"
    HEADING = "The run"
    EXPLAIN = (
        "The engine is a process of its own and writes a journal; this screen only reads it. Closing it, or losing the "
        "connection to this terminal, does not stop the run: `changeover watch` shows it again, from any terminal.\n\n"
        "Left: the steps of the plan with what is done, what runs and what waits. Right, as far as the plan has it: "
        "points per second, how busy embedder and writer are, the recall before and after a change of the storage, the "
        "searches made all the while through the name that your application uses, and what the last catch-up pass "
        "found. Below: the log. What you ask for (rate, batch, streams, pause, stop) is shown as asked until the engine "
        "has taken it up.\n\n"
        "When everything is verified the run waits for you: c shows the conditions of the cutover. A plan that only "
        "changes the configuration has no cutover."
    )
    BINDINGS = bindings("run")

    def __init__(self, run: RunFolder, *, just_started: bool = False) -> None:
        super().__init__()
        self.feed = RunFeed(run)
        self._timer: Timer | None = None
        self._alive = False
        now = 0.0
        self._look_at = now
        self._patience = STARTING_S if just_started else 0.0
        self._facts: tuple[object, ...] = ()
        self._cutover_asked: int | None = None
        self.deployed = False
        """Sandbox, in place: whether its application was told to search the new vector."""

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
                yield Cell("", id="application", hides=True)
        yield Log(id="log", max_lines=2000, highlight=False)

    def on_mount(self) -> None:
        """Read what there is, then look four times a second."""
        self.query_one("#phases-pane").border_title = "steps"
        self.query_one("#now-pane").border_title = "now"
        self.query_one("#rate-row").display = plan_words.loads(self.feed.plan)
        log = self.query_one(Log)
        log.border_title = f"log · {self.feed.run.path}"
        self._patience_until = self.wizard_app.clock() + self._patience
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
            self.call_after_refresh(self.query_one(Log).scroll_end, animate=False, immediate=True, x_axis=False)

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
            self._look_at_demo()
        with self.app.batch_update():
            if lines:
                self._write_log(lines)
            self._show(new=new)

    # What is shown

    def _write_log(self, lines: list[LogLine]) -> None:
        begun = self.feed.state.started_at or lines[0][0]
        log = self.query_one(Log)
        follow = not log.has_focus or log.is_vertical_scroll_end
        log.write_lines(run_text.log_lines(lines, begun), scroll_end=False)
        if follow:
            # After the refresh: the height of what was just written is not known before, nor under another screen.
            self.call_after_refresh(log.scroll_end, animate=False, immediate=True, x_axis=False)

    def _show(self, *, new: bool) -> None:
        state = self.feed.state
        begun = state.started_at
        until = self.wizard_app.clock() if self.at_work else (state.last_at or 0.0)
        seconds = 0.0 if begun is None else until - begun
        self.query_one("#run-heading", Cell).say(run_text.heading(self.feed.plan, self.standing, seconds))
        self.query_one("#asked", Cell).say(run_text.asked(self.feed.requested, state))
        if new:
            pane = self.query_one("#phases")
            self.query_one("#phases", Cell).say(run_text.phases(state, max(24, pane.size.width)))
            self.query_one("#note", Cell).say(run_text.note(state))
            self.query_one("#rate", Cell).say(run_text.rate(state))
            spark = self.query_one(Sparkline)
            rates = list(state.rates[-60:])
            if spark.data != rates:
                spark.data = rates
            plan = self.feed.plan
            self.query_one("#load", Cell).say(run_text.load(plan, state))
            self.query_one("#measured", Cell).say(run_text.measured(state))
            self.query_one("#canary", Cell).say(run_text.canary(plan, state))
            self.query_one("#backlog", Cell).say(run_text.backlog(plan, state))
            self._answer_about_cutover()
        facts = (self.standing, self._waits, self.can_deploy, self.can_compare, self._alive)
        if facts != self._facts:
            self._facts = facts
            self.refresh_bindings()
            self._say_standing()

    def _look_at_demo(self) -> None:
        demo = self.wizard_app.demo
        if demo is None:
            return
        if self.deployed:
            offer = "the application was deployed"
        else:
            offer = "d deploys the application's change" if self.can_deploy else ""
        self.query_one("#application", Cell).say(run_text.application(demo.stats(), offer))

    @property
    def at_work(self) -> bool:
        """An engine works on it, or has just been started."""
        state = self.feed.state
        if state.status in ("finished", "stopped") and not self._alive:
            return False
        return self._alive or self.wizard_app.clock() < self._patience_until

    @property
    def standing(self) -> str:
        """Where the run stands, in words."""
        state = self.feed.state
        if state.status == "finished":
            return "finished"
        if self.at_work:
            words = {"new": "starting", "stopped": "starting", "ready": "ready for the cutover"}
            return words.get(state.status, state.status)
        return "stopped" if state.status == "stopped" else "interrupted"

    @property
    def _waits(self) -> bool:
        step = self.feed.state.current
        return step is not None and step.kind == "await-cutover" and self.at_work

    @property
    def _in_place(self) -> bool:
        return any(isinstance(step, SwitchApplication) for step in self.feed.plan.steps)

    @property
    def can_deploy(self) -> bool:
        """Sandbox: the application can take up its new configuration now, where it does not do so by itself."""
        if self.wizard_app.demo is None or self.deployed:
            return False
        job = self.feed.plan.job
        if not plan_words.loads(self.feed.plan):
            return self.feed.state.status == "finished"
        moved = self.feed.state.cutover is not None or self._waits
        return moved and (self._in_place or job.target_vector in job.carry.values())

    @property
    def can_compare(self) -> bool:
        """Whether there is a new side to ask: the step that makes it has begun."""
        begun = any(s.kind in BEGUN_BY and s.status != "waiting" for s in self.feed.state.steps)
        return begun or bool(self.feed.plan.follows)

    def _say_standing(self) -> None:
        state = self.feed.state
        match self.standing:
            case "finished":
                offer = "d deploys the application's change; " if self.can_deploy else ""
                self.tell(f"{state.finished.summary if state.finished else 'finished'}. {offer}Enter: the summary.")
            case "ready for the cutover":
                self.tell("READY: every condition is met. c shows them; a typed name cuts over.")
            case "stopped":
                reason = state.stopped.reason if state.stopped else "no reason given"
                self.fail(f"the engine stopped: {reason}. e starts it again where it was.")
            case "interrupted":
                self.fail("no engine works on this run and none said why; e starts it again where it was.")
            case "paused":
                self.tell(f"Paused ({state.paused}). p lets it go on.")
            case _ if self._waits:
                self.tell("The run waits for the cutover, and not every condition is met yet; c shows them.")
            case _:
                self.tell("The engine is a process of its own: q leaves it running, S asks it to stop.")

    # What can be asked

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only keys that work now are shown and taken."""
        state = self.feed.state
        if action == "summary":
            return state.status == "finished"
        if action == "cutover":
            return self._waits
        if action == "engine":
            return not self.at_work and state.status != "finished"
        if action == "deploy":
            return self.can_deploy
        if action == "compare":
            return self.can_compare
        if action in ("pause", "rate", "batch", "streams", "stop", "resume"):
            if not self.at_work or state.status == "finished":
                return False
            if action in ("pause", "resume"):
                return (action == "resume") == (state.status == "paused")
            # Nothing is loaded while the run waits for the cutover, or where only the configuration changes.
            return action == "stop" or not (self._waits or not plan_words.loads(self.feed.plan))
        return True

    def _ask(self, verb: Verb, value: float | int | str | None = None) -> int | None:
        try:
            return self.feed.ask(verb, value)
        except OSError as error:
            self.fail(f"{self.feed.run.control}: cannot write the request: {error.strerror}")
            return None

    def action_pause(self) -> None:
        """Ask for a pause."""
        self._ask("pause")

    def action_resume(self) -> None:
        """Ask it to go on."""
        self._ask("resume")

    def action_rate(self) -> None:
        """Ask for another limit of points per second."""
        self._retune("rate")

    def action_batch(self) -> None:
        """Ask for another batch size."""
        self._retune("batch")

    def action_streams(self) -> None:
        """Ask for another number of streams."""
        self._retune("streams")

    def _retune(self, verb: Verb) -> None:
        title, bounds, least, most = NUMBERS[verb]
        metrics = self.feed.state.metrics
        now = getattr(metrics, verb) if metrics is not None else None
        screen = NumberScreen(title=title, bounds=bounds, now=now, least=least, most=most)
        self.app.push_screen(screen, lambda value: None if value is None else self._asked_for(verb, value))

    def _asked_for(self, verb: Verb, value: int) -> None:
        self._ask(verb, value)

    def action_stop(self) -> None:
        """Ask for a stop, once the word is typed."""
        screen = TypedScreen(
            stage="run",
            heading="Stop the engine?",
            said=(
                "It finishes the requests under way, writes its checkpoint and ends. What is there stays as it is;"
                " your application is not affected.",
                "The run can be started again where it stopped, here or with `changeover resume`.",
            ),
            word="stop",
            ask="Type stop",
        )
        self.app.push_screen(screen, self._stop)

    def _stop(self, typed: bool | None) -> None:
        if typed:
            self._ask("stop")

    def action_engine(self) -> None:
        """Start the engine again."""
        try:
            self.feed.start_engine(self.wizard_app.run_environ)
        except (ChangeoverError, OSError) as error:
            self.fail(error)
            return
        self._patience_until = self.wizard_app.clock() + STARTING_S
        self._look_at = 0.0
        self.tell("The engine was started; it goes on where it stopped.")

    def action_cutover(self) -> None:
        """Show the conditions."""
        from changeover_tui.screens.cutover import CutoverScreen

        self.app.push_screen(CutoverScreen(self), self._cutover_sent)

    def _cutover_sent(self, sent: bool | None) -> None:
        if sent:
            self._cutover_asked = self._ask("cutover")
            self.tell("Asked for the cutover; the engine looks at every condition once more before it goes on.")

    def _answer_about_cutover(self) -> None:
        if self._cutover_asked is None:
            return
        refused = self.feed.refusal(self._cutover_asked)
        if refused is None:
            return
        self._cutover_asked = None
        if refused:
            self.fail(f"the engine refused the cutover: {refused}")
        else:
            self.tell("The engine took the cutover up.")

    def action_compare(self) -> None:
        """Ask a query on both sides."""
        from changeover_tui.screens.compare import CompareScreen

        self.app.push_screen(CompareScreen(self.feed.run))

    def action_deploy(self) -> None:
        """Sandbox: the application's deployment that is the cutover in place."""
        self.tell("Deploying the application's new configuration …")
        self.in_background(self._deploy(), "deploy")

    async def _deploy(self) -> None:
        demo = self.wizard_app.demo
        assert demo is not None
        await asyncio.to_thread(demo.deploy_new)
        self.deployed = True
        self.tell("The sandbox's application searches the new vector now.")
        self._look_at_demo()
        self.refresh_bindings()

    def action_summary(self) -> None:
        """What came out."""
        from changeover_tui.screens.summary import SummaryScreen

        self.app.push_screen(SummaryScreen(self.feed))

    def action_quit(self) -> None:
        """Detach; say what goes on."""
        self.wizard_app.detach(self.feed, at_work=self.at_work)
