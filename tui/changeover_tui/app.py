"""The Textual app: it holds the wizard and the run, and decides which screen comes next. Nothing else."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from textual import on
from textual.screen import Screen

from changeover.errors import ChangeoverError
from changeover_tui import messages
from changeover_tui.decisions import Decisions
from changeover_tui.doors import MakeWizard, OpenDemo, WarmUp, real_demo, real_wizard
from changeover_tui.runner import parting
from changeover_tui.screens.base import WizardScreen
from changeover_tui.screens.start import StartScreen
from changeover_tui.terminal import ask_the_terminal_for_its_size, called_off, on_hangup, tolerate_broken_bytes
from changeover_tui.theme import far_away

if TYPE_CHECKING:
    from changeover.bundle.offline import BundleWizard
    from changeover.engine.folder import RunFolder
    from changeover.plan.model import Access, Plan
    from changeover.sandbox.demo import DemoWorld
    from changeover.sandbox.scenarios import ScenarioName
    from changeover.wizard import Wizard
    from changeover_tui.runner import RunFeed

Start = Literal["start", "scenarios", "collections", "watch", "bundle"]


class ChangeoverApp(Decisions):
    """Screens tell it what happened by messages; it pushes the next one."""

    CSS_PATH = "app.tcss"
    TITLE = "Changeover"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-too-narrow"), (60, "-slim"), (80, "-narrow"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-too-low"), (20, "-low"), (24, "-usual"), (32, "-tall")]  # noqa: RUF012

    def __init__(
        self,
        access: Access | None,
        environ: Mapping[str, str],
        *,
        start: Start = "start",
        run: RunFolder | None = None,
        demo: DemoWorld | None = None,
        bundle: BundleWizard | None = None,
        clock: Callable[[], float] = time.time,
        make_wizard: MakeWizard = real_wizard,
        open_demo: OpenDemo = real_demo,
        warm_up: bool = True,
        read_only: bool = False,
        replay: bool = False,
        theme: str = "dark",
        hints: bool = True,
    ) -> None:
        super().__init__(theme=theme, hints=hints)
        self.access = access
        self.environ = dict(environ)
        self.clock = clock
        self.demo = demo
        self.wizard: Wizard | None = bundle
        self.offline = bundle.offline if bundle is not None else ""
        """What stands on every screen of a bundle; "" on a cluster."""
        self.accepted: set[str] = set()
        """Codes of findings that were acknowledged in this walk."""
        self.farewell = ""
        """What is said on the terminal once the app has gone."""
        self._start: Start = start
        self._bundle = bundle
        self._run = run
        self.read_only = read_only
        """Nobody asks an engine for anything from here."""
        self._replay = replay
        self._make_wizard = make_wizard
        self._open_demo = open_demo
        self._opened_demo: DemoWorld | None = None
        self._one_sandbox = threading.Lock()
        self._warm_up = WarmUp() if warm_up and start not in ("watch", "bundle") else None
        if far_away(self.environ):
            self.animation_level = "none"

    def on_mount(self) -> None:
        """The first screen; the heavy import begins only once it is painted."""
        if not self.is_headless:
            on_hangup(self.leave)
        self.push_screen(self._home())
        if self._start == "watch" and self._run is not None:
            self.post_message(messages.RunChosen(self._run))
        elif self._start == "collections":
            self._open_collections()
        elif self._start == "scenarios":
            self._sandbox()
        elif self._start == "bundle" and self._run is None and self.wizard is not None and self.wizard.survey:
            self.post_message(messages.Surveyed())
        if self._warm_up is not None:
            self.call_after_refresh(self._warm_up.start)

    def _home(self) -> WizardScreen[None]:
        """The screen below all others."""
        if self._bundle is None:
            return StartScreen()
        from changeover_tui.screens.bundle import BundleScreen

        return BundleScreen(self._bundle, self._run)

    async def on_unmount(self) -> None:
        """Close the connection."""
        if self.wizard is not None:
            await self.wizard.close()

    async def ready(self) -> None:
        """Wait until the client library is imported; the event loop goes on meanwhile."""
        if self._warm_up is not None:
            await self._warm_up.done()

    async def open_wizard(self, access: Access, environ: Mapping[str, str]) -> Wizard:
        """A wizard on that cluster; it becomes the walk in hand."""
        await self.ready()
        if self.wizard is not None:
            await self.wizard.close()
        self.access = access
        self.accepted = set()
        self.wizard = self._make_wizard(access, environ)
        return self.wizard

    @property
    def run_environ(self) -> Mapping[str, str]:
        """What an engine process is started with: the wizard's, which holds a typed key."""
        return self.wizard.environ if self.wizard is not None else self.environ

    @on(messages.ConnectChosen)
    def _connect(self) -> None:
        from changeover_tui.screens.connect import ConnectScreen

        self._next(ConnectScreen())

    @on(messages.SandboxChosen)
    def _sandbox(self) -> None:
        if self.demo is not None:
            self._open_collections()
            return
        from changeover_tui.screens.scenarios import ScenariosScreen

        self._next(ScenariosScreen())

    @on(messages.ScenarioChosen)
    def _scenario(self, message: messages.ScenarioChosen) -> None:
        self.subject.in_background(self._start_sandbox(message.name), "sandbox")

    async def _start_sandbox(self, scenario: ScenarioName) -> None:
        loop = asyncio.get_running_loop()

        def say(line: str) -> None:
            loop.call_soon_threadsafe(self.subject.tell, line)

        def start() -> DemoWorld:
            # In the thread: a person may have gone back meanwhile, and it must be stopped all the same.
            with self._one_sandbox:
                self.stop_sandbox()
                self.demo = self._opened_demo = demo = self._open_demo(self.environ, say, scenario)
                return demo

        demo = await asyncio.to_thread(start)
        await self._to_collections(demo.access)

    def _open_collections(self) -> None:
        access = self.demo.access if self.demo is not None else self.access
        if access is None:
            self._connect()
        else:
            self.subject.in_background(self._to_collections(access), "connect")

    async def _to_collections(self, access: Access) -> None:
        wizard = await self.open_wizard(access, self.environ)
        if self.demo is not None:
            wizard.answer(self.demo.answers)
        self.subject.tell()
        self.post_message(messages.Connected(wizard))

    @on(messages.Connected)
    def _connected(self, message: messages.Connected) -> None:
        from changeover_tui.screens.collections import CollectionsScreen

        self._next(CollectionsScreen(message.wizard))

    @on(messages.Surveyed)
    def _surveyed(self) -> None:
        from changeover_tui.screens.ask import AskScreen

        assert self.wizard is not None
        self._next(AskScreen(self.wizard))

    @on(messages.Answered)
    def _answered(self) -> None:
        from changeover_tui.screens.checks import ChecksScreen

        assert self.wizard is not None
        self._next(ChecksScreen(self.wizard, self.accepted))

    @on(messages.Checked)
    def _checked(self) -> None:
        from changeover_tui.screens.plan import PlanScreen

        assert self.wizard is not None
        self._next(PlanScreen(self.wizard, self.accepted))

    @on(messages.PlanAccepted)
    def _accepted(self, message: messages.PlanAccepted) -> None:
        self.subject.tell("Writing the run folder and starting the engine …")
        self.subject.in_background(self._start_run(message.plan), "start")

    async def _start_run(self, plan: Plan) -> None:
        assert self.wizard is not None
        run = await asyncio.to_thread(self.wizard.start, plan, frozenset(self.accepted))
        self.post_message(messages.RunStarted(run))

    @on(messages.RunStarted)
    def _started(self, message: messages.RunStarted) -> None:
        self._watch(message.run, just_started=True)

    @on(messages.RunChosen)
    def _chosen(self, message: messages.RunChosen) -> None:
        self._watch(message.run, just_started=False)

    def _watch(self, run: RunFolder, *, just_started: bool) -> None:
        from changeover_tui.screens.run import RunScreen

        try:
            replay, self._replay = self._replay, False
            screen = RunScreen(run, just_started=just_started, read_only=self.read_only, replay=replay)
        except ChangeoverError as error:
            self.subject.fail(error)
            return
        # The walk that led here is over: back leads to the first screen, not into a plan that was started.
        while len(self.screen_stack) > 2:  # Textual's own, and the first of ours
            self.pop_screen()
        self.push_screen(screen)

    def _next(self, screen: Screen[None]) -> None:
        """The next screen of the way; what was opened to look something up is closed."""
        self.close_lookups()
        self.push_screen(screen)

    def leave(self, code: int = 0) -> None:
        """End the app; an engine goes on."""
        self.exit(code, return_code=code)

    def detach(self, feed: RunFeed, *, at_work: bool) -> None:
        """End the app from a run, and say how to come back to it."""
        self.farewell, code = parting(feed, at_work=at_work, sandbox=self.demo is not None)
        self.leave(code)

    def stop_sandbox(self) -> None:
        """End the sandbox that this app opened, if it did."""
        if self._opened_demo is not None:
            self._opened_demo.stop()
            self.demo = self._opened_demo = None


def run_wizard(
    access: Access | None,
    environ: Mapping[str, str],
    start: Start = "start",
    run: RunFolder | None = None,
    demo: DemoWorld | None = None,
    *,
    read_only: bool = False,
    replay: bool = False,
    open_demo: OpenDemo = real_demo,
    theme: str = "dark",
    hints: bool = True,
    bundle: BundleWizard | None = None,
) -> int:
    """Open the wizard on this terminal and return the exit code; the caller has made sure that there is a terminal."""
    tolerate_broken_bytes()
    ask_the_terminal_for_its_size()
    app = ChangeoverApp(
        access,
        environ,
        start=start,
        run=run,
        demo=demo,
        read_only=read_only,
        replay=replay,
        open_demo=open_demo,
        theme=theme,
        hints=hints,
        bundle=bundle,
    )
    try:
        app.run()
    finally:
        called_off()
        app.stop_sandbox()
    if app.farewell:
        sys.stderr.write(f"{app.farewell}\n")
    return int(app.return_code or 0)
