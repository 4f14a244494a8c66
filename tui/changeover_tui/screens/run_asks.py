"""What can be asked of a run from its screen, and when: pause, rate, cutover, stop, a new engine. No panes here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from changeover.engine.folder import RunFolder
from changeover.errors import ChangeoverError
from changeover.plan.model import SwitchApplication
from changeover.side_by_side.model import BEGUN_BY
from changeover_tui import after_words, plan_words
from changeover_tui.runner import RunFeed, writable
from changeover_tui.screens.base import WizardScreen
from changeover_tui.screens.number import NumberScreen
from changeover_tui.screens.typed import TypedScreen

if TYPE_CHECKING:
    from changeover.afterwards.model import Kind
    from changeover.engine.control import Verb
    from changeover.engine.state import RunState

STARTING_S = 15.0
"""How long a started engine may take before its lock is missed."""
STOPPING_S = 5.0
"""How long an engine that said that it stops may still hold its lock."""
NUMBERS = {
    "rate": ("Most points per second", "0 for no limit", 0, 1_000_000),
    "batch": ("Points per request", "from 1 to 4,096", 1, 4096),
    "streams": ("Requests under way at once", "from 1 to 8", 1, 8),
}
ASKS = frozenset(
    {
        "cutover",
        "engine",
        "deploy",
        "compare",
        "pause",
        "resume",
        "rate",
        "batch",
        "streams",
        "stop",
        "summary",
        "go_back",
        "clean_up",
    }
)
"""Actions that ask the engine, the sandbox or the cluster for something, or that are about a run's end."""
WRITES = ASKS - {"summary"}
"""Those of them that write into the run's folder, or start what does."""


class RunAsks(WizardScreen[None]):
    """The run, where it stands, and the keys that ask for something."""

    def __init__(self, run: RunFolder, *, read_only: bool = False) -> None:
        super().__init__()
        self.feed = RunFeed(run)
        self.read_only = read_only
        """Nothing is asked for from here."""
        self.locked = not writable(run)
        """The folder cannot be written, so nothing can be asked for."""
        self.deployed = False
        """Sandbox, in place: whether its application was told to search the new vector."""
        self._alive = False
        self._look_at = 0.0
        self._patience_until = 0.0
        self._begun_at = 0.0
        """When an engine was started from here; a stop before that is no longer how it stands."""
        self._cutover_asked: int | None = None

    @property
    def state(self) -> RunState:
        """The state that is shown."""
        return self.feed.state

    @property
    def at_work(self) -> bool:
        """An engine works on it, or has just been started."""
        state = self.feed.state
        stopped = state.stopped is not None and state.stopped.at >= self._begun_at
        if (stopped or state.status == "finished") and not self._alive:
            return False
        return self._alive or self.wizard_app.clock() < self._patience_until

    @property
    def stopping(self) -> bool:
        """The engine has just said that it stops, and still holds the lock; an older stop is of an engine before."""
        stopped = self.feed.state.stopped
        return stopped is not None and stopped.at >= max(self._begun_at, self.wizard_app.clock() - STOPPING_S)

    def _wait_for_engine(self) -> None:
        """An engine was started just now: it takes a moment to hold the lock."""
        self._begun_at = self.wizard_app.clock()
        self._patience_until = self._begun_at + STARTING_S

    @property
    def offline(self) -> str:
        """Why nothing is at work here: the run lies in a bundle; "" elsewhere."""
        return self.wizard_app.offline

    @property
    def only_watches(self) -> bool:
        """Whether this window cannot ask for anything."""
        return self.read_only or self.locked

    @property
    def waits(self) -> bool:
        """Whether the run waits for the cutover."""
        state = self.feed.state
        step = state.current if state.stopped is None else None
        return step is not None and step.kind == "await-cutover" and self.at_work

    @property
    def _in_place(self) -> bool:
        return any(isinstance(step, SwitchApplication) for step in self.feed.plan.steps)

    @property
    def can_deploy(self) -> bool:
        """Sandbox: the application can take up its new configuration now, where it does not do so by itself."""
        if self.wizard_app.demo is None or self.deployed or self.only_watches:
            return False
        job = self.feed.plan.job
        if plan_words.cleans_up(self.feed.plan):
            return False
        if not plan_words.loads(self.feed.plan):
            return self.feed.state.status == "finished"
        moved = self.feed.state.cutover is not None or self.waits
        return moved and (self._in_place or job.target_vector in job.carry.values())

    @property
    def can_compare(self) -> bool:
        """Whether there is a new side to ask: the step that makes it has begun."""
        if self.offline or plan_words.cleans_up(self.feed.plan):
            return False
        begun = any(s.kind in BEGUN_BY and s.status != "waiting" for s in self.feed.state.steps)
        return begun or bool(self.feed.plan.follows)

    def can_ask(self, action: str) -> bool:
        """Whether this makes sense now."""
        state = self.feed.state
        if action in WRITES and self.only_watches:
            return False
        match action:
            case "summary":
                return state.status == "finished"
            case "cutover":
                return self.waits
            case "engine":
                return not self.at_work and state.status != "finished"
            case "deploy":
                return self.can_deploy
            case "compare":
                return self.can_compare
            case "go_back" | "clean_up":
                return not self.at_work and after_words.offered(self.feed.plan, self.feed.state)
        if not self.at_work or self.stopping or state.status == "finished":
            return False
        if action in ("pause", "resume"):
            return (action == "resume") == (state.status == "paused")
        # Nothing is loaded while the run waits for the cutover, or where only the configuration changes.
        return action == "stop" or not (self.waits or not plan_words.loads(self.feed.plan))

    def _ask(self, verb: Verb, value: float | int | str | None = None) -> int | None:
        try:
            return self.feed.ask(verb, value)
        except OSError as error:
            self.fail(f"{self.feed.run.control}: cannot write the request: {error.strerror}")
            return None

    def action_go_back(self) -> None:
        """What going back means, and a typed name."""
        self._afterwards("back")

    def action_clean_up(self) -> None:
        """What a cleanup removes, and a typed name."""
        self._afterwards("cleanup")

    def _afterwards(self, kind: Kind) -> None:
        from changeover_tui.screens.afterwards import AfterwardsScreen

        self.app.push_screen(AfterwardsScreen(kind, self.feed.run))

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
        self._wait_for_engine()
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

    def answer_about_cutover(self) -> None:
        """Say what became of the cutover that was asked for from here."""
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
        back = bool(self.feed.plan.follows)
        await asyncio.to_thread(demo.deploy_old if back else demo.deploy_new)
        self.deployed = True
        self.tell(f"The sandbox's application searches the {'old vector again' if back else 'new vector now'}.")
        self.look_at_demo()
        self.refresh_bindings()

    def tick(self) -> None:
        """Take over what the engine wrote."""
        self.feed.poll()

    def look_at_demo(self) -> None:
        """Say what the sandbox's application lives through; screens with such a pane do."""

    def action_summary(self) -> None:
        """What came out."""
        from changeover_tui.screens.summary import SummaryScreen

        self.app.push_screen(SummaryScreen(self.feed, only_watches=self.only_watches))

    def action_quit(self) -> None:
        """Detach; say what goes on."""
        if self.offline:
            self.wizard_app.leave()
            return
        self.wizard_app.detach(self.feed, at_work=self.at_work)
