"""Every screen in every state as one table; the pictures in snapshots/ and the newcomer test are made from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from textual.pilot import Pilot
from textual.screen import Screen

from changeover.decision.answers import Answers
from changeover.engine import events as ev
from changeover.engine.lock import RunLock
from changeover.errors import BlockedError, UnreachableError
from changeover.plan.model import Access
from changeover.survey import model as sm
from changeover_tui.app import ChangeoverApp
from changeover_tui.screens.ask import AskScreen
from changeover_tui.screens.checks import ChecksScreen
from changeover_tui.screens.collections import CollectionsScreen
from changeover_tui.screens.connect import ConnectScreen
from changeover_tui.screens.plan import PlanScreen, confirmation
from changeover_tui.screens.run import RunScreen
from changeover_tui.screens.scenarios import ScenariosScreen

from . import fakes, stories
from .conftest import as_text

Size = tuple[int, int]
USUAL: Size = (80, 24)
EVERY: tuple[Size, ...] = (USUAL, (120, 40), (60, 20))
ACCESS = Access(url="http://localhost:6333")
OLDER = sm.Cluster(url="http://localhost:6333", version="1.17.0", peers=(sm.Peer(id=0, version="1.17.0"),))
WORSE = "NO-GO: nDCG@10 falls by 0.105 (95 % interval -0.139 to -0.071, 300 queries)"


class Scene:
    """What a screen is opened on: a wizard over a surveyed collection, a run with its journal, an engine at work."""

    def __init__(self) -> None:
        self._lock: RunLock | None = None

    async def wizard(self, **given: str) -> Any:
        """Surveyed and answered; with answers by id only those."""
        wizard = fakes.FakeWizard(ACCESS, {})
        await wizard.take_survey("docs")
        wizard.answer(fakes.said(Answers(collection="docs"), **given) if given else fakes.answers())
        wizard.probes = fakes.PROBES
        return wizard

    def story(self, *, engine: bool = True) -> stories.Story:
        """The journal of a new run; an engine holds its lock."""
        run = stories.new_run(Path("runs"))
        if engine:
            self._lock = RunLock(run.lock)
            self._lock.acquire()
        return stories.Story(run)

    def close(self) -> None:
        """The engine goes."""
        if self._lock is not None:
            self._lock.release()


Open = Callable[[Scene], Awaitable[Screen[Any] | None]]


class Shot(NamedTuple):
    """One screen in one state."""

    name: str
    open: Open
    keys: tuple[str, ...] = ()
    """Pressed once it is open."""
    looks: bool = False
    """Whether it is also taken in the light theme, in the terminal's colours and without colour."""
    busy: bool = False
    """Something is under way that never ends here."""
    sizes: tuple[Size, ...] = EVERY


# How each is opened


async def first(scene: Scene) -> None:
    """The first screen, which is there already."""


async def connect(scene: Scene) -> Screen[Any]:
    return ConnectScreen()


async def collections(scene: Scene) -> Screen[Any]:
    return CollectionsScreen(await scene.wizard())


async def reading(scene: Scene) -> Screen[Any]:
    wizard = await scene.wizard()
    wizard.collections = asyncio.Event().wait
    return CollectionsScreen(wizard)


async def surveying(scene: Scene) -> Screen[Any]:
    wizard = await scene.wizard()

    async def endless(name: str) -> None:
        await asyncio.Event().wait()

    wizard.take_survey = endless
    return CollectionsScreen(wizard)


async def unreachable(scene: Scene) -> Screen[Any]:
    wizard = await scene.wizard()
    wizard.access = Access(url="http://nowhere:6333")
    return CollectionsScreen(wizard)


async def none_there(scene: Scene) -> Screen[Any]:
    wizard = await scene.wizard()

    async def nothing() -> tuple[Any, ...]:
        return ()

    wizard.collections = nothing
    return CollectionsScreen(wizard)


async def scenarios(scene: Scene) -> Screen[Any]:
    return ScenariosScreen()


def ask(which: str = "", older: bool = False, **given: str) -> Open:
    """The questions at one of them; with `older` on a server that cannot add vectors."""

    async def opened(scene: Scene) -> Screen[Any]:
        wizard = await scene.wizard(**given)
        if older:
            wizard.survey = msgspec.structs.replace(wizard.survey, cluster=OLDER)
        screen = AskScreen(wizard)
        screen.set_reactive(Screen.title, which)
        return screen

    return opened


async def checks(scene: Scene) -> Screen[Any]:
    return ChecksScreen(await scene.wizard(), set())


async def blocked(scene: Scene) -> Screen[Any]:
    wizard = await scene.wizard()
    wizard.found = (*fakes.FINDINGS, fakes.BLOCKER)
    return ChecksScreen(wizard, set())


async def nothing_found(scene: Scene) -> Screen[Any]:
    wizard = await scene.wizard()
    wizard.found = ()
    return ChecksScreen(wizard, set())


async def trying(scene: Scene) -> Screen[Any]:
    wizard = await scene.wizard()
    wizard.trial = asyncio.Event()
    return ChecksScreen(wizard, set())


async def not_measured(scene: Scene) -> Screen[Any]:
    wizard = await scene.wizard()

    async def refuse(**given: Any) -> None:
        raise UnreachableError("http://localhost:6333: nothing answers there any more; is the cluster up?")

    wizard.probe = refuse
    return ChecksScreen(wizard, set())


async def plan(scene: Scene) -> Screen[Any]:
    return PlanScreen(await scene.wizard(), set())


async def no_plan(scene: Scene) -> Screen[Any]:
    wizard = await scene.wizard()

    def refuse() -> None:
        raise BlockedError("no route is open: this server cannot add vectors, and the collection has no alias")

    wizard.plan = refuse
    return PlanScreen(wizard, set())


async def confirm(scene: Scene) -> Screen[Any]:
    return confirmation(fakes.plan())


def run(tell: Callable[[stories.Story], None], *, engine: bool = True, **given: Any) -> Open:
    """The run screen over what the journal tells."""

    async def opened(scene: Scene) -> Screen[Any]:
        story = scene.story(engine=engine)
        tell(story)
        return RunScreen(story.run, **given)

    return opened


def loading(story: stories.Story) -> None:
    story.loading(throttle="slowed: search p95 31 ms > 24 ms (2x baseline)")


def ready(story: stories.Story) -> None:
    story.until_cutover()


def not_ready(story: stories.Story) -> None:
    dark = ev.Lamp(name="caught up", on=False, detail="94.0 s behind; last pass: 57 new (at most 30 s or 50 points)")
    story.until_cutover(lamps=(stories.LAMPS[0], dark, *stories.LAMPS[2:]))


def worse(story: stories.Story) -> None:
    dark = ev.Lamp(
        name="quality", on=False, detail=f"{WORSE} `changeover control {story.run.name} accept no-go` overrules"
    )
    story.until_cutover(lamps=(*stories.LAMPS[:3], dark, stories.LAMPS[4]))


def finished(story: stories.Story) -> None:
    story.until_cutover()
    story.finish()
    story.run.report.write_text("<html>")


def stopped(story: stories.Story) -> None:
    story.loading()
    story.write(ev.EngineStopped(at=story.later(1), reason="asked to stop", exit_code=6))


def troubled(story: stories.Story) -> None:
    loading(story)
    story.troubles()


def begun(story: stories.Story) -> None:
    """Nothing is written yet."""


def readme(story: stories.Story) -> None:
    story.loading(points=2600, seconds=40)


SHOTS: tuple[Shot, ...] = (
    Shot("start/empty", first, looks=True),
    Shot("scenarios/all", scenarios, looks=True),
    Shot("connect/empty", connect),
    Shot("connect/not-an-address", connect, ("ctrl+u", *"localhost", "enter")),
    Shot("connect/unreachable", connect, ("ctrl+u", *"http", "colon", "slash", "slash", *"nowhere", "enter")),
    Shot("collections/two", collections, looks=True),
    Shot("collections/none", none_there),
    Shot("collections/reading", reading, busy=True),
    Shot("collections/surveying", surveying, ("enter",), busy=True),
    Shot("collections/unreachable", unreachable),
    Shot("ask/first", ask(), looks=True),
    Shot("ask/closed", ask("route", older=True)),
    Shot("ask/target-dimension", ask("target.dimension", avoid="dimensions")),
    Shot("ask/sparse-language", ask("sparse.language", add_sparse="true")),
    Shot("ask/quantization-kind", ask("quantization.kind", avoid="quantization")),
    Shot("ask/typed", ask("limits.batch"), ("ctrl+u", *"many"), sizes=(USUAL,)),
    Shot("ask/no-hints", ask(), ("f7",), sizes=(USUAL,)),
    Shot("checks/to-acknowledge", checks, looks=True),
    Shot("checks/trying", trying, busy=True),
    Shot("checks/not-tried", trying, ("x",)),
    Shot("checks/blocked", blocked),
    Shot("checks/typing", checks, ("enter", *"query", "enter")),
    Shot("checks/nothing", nothing_found),
    Shot("checks/not-measured", not_measured),
    Shot("plan/blue-green", plan, looks=True),
    Shot("plan/none", no_plan),
    Shot("confirm/empty", confirm, looks=True),
    Shot("confirm/wrong", confirm, (*"doc", "enter")),
    Shot("run/starting", run(begun, engine=False, just_started=True)),
    Shot("run/loading", run(loading), looks=True),
    Shot("run/read-only", run(loading, read_only=True)),
    Shot("run/pane-streams", run(troubled), ("2",)),
    Shot("run/pane-errors", run(troubled), ("3",)),
    Shot("run/pane-skipped", run(troubled), ("4",)),
    Shot("run/interrupted", run(loading, engine=False)),
    Shot("run/stopped", run(stopped, engine=False)),
    Shot("run/ready", run(ready)),
    Shot("run/finished", run(finished)),
    Shot("number/rate", run(loading), ("r",)),
    Shot("typed/stop", run(loading), ("S",)),
    Shot("cutover/ready", run(ready), ("c",), looks=True),
    Shot("cutover/python", run(ready), ("c", "f8")),
    Shot("cutover/typescript", run(ready), ("c", "f8", "f8")),
    Shot("cutover/curl", run(ready), ("c", "f8", "f8", "f8")),
    Shot("cutover/not-yet", run(not_ready), ("c",)),
    Shot("cutover/no-go", run(worse), ("c",)),
    Shot("summary/go", run(finished), ("enter",), looks=True),
    Shot("help/connect", connect, ("f1",)),
    Shot("help/checks", checks, ("f1",), looks=True),
    Shot("explain/finding", checks, ("f6",), looks=True),
    Shot("explain/narrowed", checks, ("f6", *"canar")),
    Shot("map/whole", ask("keep_both"), ("f5",), looks=True),
    Shot("map/closed", ask("route", older=True), ("f5", "down")),
    Shot("map/of-a-run", run(loading), ("f5",)),
    Shot("menu/ask", ask(), ("f4",), looks=True),
    Shot("menu/found", plan, ("f4", *"theme"), sizes=(USUAL,)),
    Shot("readme/ask", ask(), sizes=((100, 30),)),
    Shot("readme/run", run(readme), sizes=((100, 30),)),
)
"""Name under snapshots/ -> how it comes about."""


def app_of(**given: Any) -> ChangeoverApp:
    """The app with a wizard from memory."""
    environ = {"CHANGEOVER_RUNS": "runs", "QDRANT_URL": "http://localhost:6333"}
    return ChangeoverApp(None, environ, clock=fakes.clock, make_wizard=fakes.FakeWizard, warm_up=False, **given)  # type: ignore[arg-type]


async def settle(pilot: Pilot[int], *, busy: bool = False) -> None:
    """Until everything that was set off is done; what is busy is only looked at."""
    await pilot.pause()
    if busy:
        await at_rest(pilot)
    else:
        await pilot.app.workers.wait_for_complete()
    # What was said is laid out after the next refresh, and what is called after that one is shown by the third.
    for _ in range(3):
        await pilot.pause()


async def at_rest(pilot: Pilot[int]) -> None:
    """Until the screen has stayed as it is for a fifth of a second: a bar that comes lays the text beside it anew."""
    same, before = 0, ""
    while same < 10:
        await pilot.pause(0.02)
        now = as_text(pilot.app)
        same, before = (same + 1 if now == before else 0), now


@asynccontextmanager
async def shown(shot: Shot) -> AsyncIterator[Pilot[int]]:
    """The screen in its state at the first of its sizes."""
    scene = Scene()
    app = app_of()
    try:
        async with app.run_test(size=shot.sizes[0]) as pilot:
            await settle(pilot)
            screen = await shot.open(scene)
            if screen is not None:
                if isinstance(screen, AskScreen | ChecksScreen | PlanScreen):
                    app.wizard = screen._wizard
                await app.push_screen(screen)
                await settle(pilot, busy=shot.busy or "x" in shot.keys)
                if isinstance(screen, AskScreen) and screen.title:
                    screen.go_to(screen.title)
                    await settle(pilot)
            for key in shot.keys:
                await pilot.press(key)
            await settle(pilot, busy=shot.busy)
            yield pilot
    finally:
        scene.close()
