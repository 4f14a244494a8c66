"""Every screen in every state that matters, at the two design sizes, against the pictures in snapshots/."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen

from changeover.decision import map as tree
from changeover.decision.answers import Answers
from changeover.engine import events as ev
from changeover.engine.folder import RunFolder
from changeover.engine.lock import RunLock
from changeover.plan.model import Access
from changeover_tui.app import ChangeoverApp
from changeover_tui.screens.ask import AskScreen
from changeover_tui.screens.checks import ChecksScreen
from changeover_tui.screens.collections import CollectionsScreen
from changeover_tui.screens.connect import ConnectScreen
from changeover_tui.screens.map import MapScreen
from changeover_tui.screens.plan import PlanScreen, confirmation
from changeover_tui.screens.run import RunScreen

from . import fakes, stories
from .conftest import SIZES, Check, as_text

ACCESS = Access(url="http://localhost:6333")
each_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
Size = tuple[int, int]


def app_of(**given: Any) -> ChangeoverApp:
    environ = {"CHANGEOVER_RUNS": "runs", "QDRANT_URL": "http://localhost:6333"}
    return ChangeoverApp(None, environ, clock=fakes.clock, make_wizard=fakes.FakeWizard, warm_up=False, **given)  # type: ignore[arg-type]


@asynccontextmanager
async def showing(screen: Screen[Any] | None, size: Size, **given: Any) -> AsyncIterator[Pilot[int]]:
    app = app_of(**given)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        if screen is not None:
            await app.push_screen(screen)
            await settle(pilot)
        yield pilot


async def settle(pilot: Pilot[int]) -> None:
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def surveyed() -> fakes.FakeWizard:
    wizard = fakes.FakeWizard(ACCESS, {})
    await wizard.take_survey("docs")
    wizard.answer(fakes.answers())
    wizard.probes = fakes.PROBES
    return wizard


@pytest.fixture
def run() -> RunFolder:
    return stories.new_run(Path("runs"))


@pytest.fixture
def engine(run: RunFolder) -> Any:
    """Somebody holds the run's lock, as an engine does."""
    lock = RunLock(run.lock)
    lock.acquire()
    yield lock
    lock.release()


@each_size
async def test_start(size: Size, check: Check) -> None:
    async with showing(None, size) as pilot:
        await check(pilot.app, "start/empty")


@each_size
async def test_connect(size: Size, check: Check) -> None:
    async with showing(ConnectScreen(), size) as pilot:
        await check(pilot.app, "connect/empty")


async def test_connect_says_what_is_wrong_and_never_shows_a_key(check: Check) -> None:
    async with showing(ConnectScreen(), (80, 24)) as pilot:
        pilot.app.screen.query_one("#url").value = "localhost:6333"  # type: ignore[attr-defined]
        pilot.app.screen.query_one("#key").value = "s3cret"  # type: ignore[attr-defined]
        await pilot.press("enter")
        await settle(pilot)
        assert "not an address" in as_text(pilot.app)
        assert "s3cret" not in as_text(pilot.app)
        await check(pilot.app, "connect/not-an-address")


@each_size
async def test_collections(size: Size, check: Check) -> None:
    wizard: Any = fakes.FakeWizard(ACCESS, {})
    async with showing(CollectionsScreen(wizard), size) as pilot:
        await check(pilot.app, "collections/two")


async def test_an_empty_cluster_says_so(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fakes, "LISTED", ())
    wizard: Any = fakes.FakeWizard(ACCESS, {})
    async with showing(CollectionsScreen(wizard), (80, 24)) as pilot:
        await check(pilot.app, "collections/none")


@each_size
async def test_ask(size: Size, check: Check) -> None:
    wizard: Any = await surveyed()
    async with showing(AskScreen(wizard), size) as pilot:
        await check(pilot.app, "ask/first")


@each_size
@pytest.mark.parametrize("which", ["target.dimension", "sparse.language", "quantization.kind"])
async def test_ask_more(which: str, size: Size, check: Check) -> None:
    wizard: Any = await surveyed()
    said = {"sparse.language": {"add_sparse": "true"}, "target.dimension": {"avoid": "dimensions"}}
    wizard.answer(fakes.said(Answers(collection="docs"), **said.get(which, {"avoid": "quantization"})))
    screen = AskScreen(wizard)
    async with showing(screen, size) as pilot:
        screen._show(next(asked for asked in screen._asked if asked.question.id == which))
        await settle(pilot)
        await check(pilot.app, f"ask/{which.replace('.', '-')}")


@each_size
async def test_map(size: Size, check: Check) -> None:
    wizard: Any = await surveyed()
    async with showing(MapScreen(tree.lines(wizard.survey, wizard.answers, wizard.probes, "keep_both")), size) as pilot:
        await check(pilot.app, "map/whole")


@each_size
async def test_checks(size: Size, check: Check) -> None:
    wizard: Any = await surveyed()
    async with showing(ChecksScreen(wizard, set()), size) as pilot:
        await check(pilot.app, "checks/to-acknowledge")


@each_size
async def test_checks_trying(size: Size, check: Check) -> None:
    wizard: Any = await surveyed()
    wizard.trial = asyncio.Event()
    app = app_of()
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await app.push_screen(ChecksScreen(wizard, set()))
        await pilot.pause()
        await pilot.pause()
        await check(app, "checks/trying")
        await pilot.press("x")
        await settle(pilot)
        await check(app, "checks/not-tried")


async def test_checks_blocked(check: Check) -> None:
    wizard: Any = await surveyed()
    wizard.found = (*fakes.FINDINGS, fakes.BLOCKER)
    async with showing(ChecksScreen(wizard, set()), (80, 24)) as pilot:
        await check(pilot.app, "checks/blocked")
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, ChecksScreen)


async def test_checks_typing_a_code(check: Check) -> None:
    wizard: Any = await surveyed()
    accepted: set[str] = set()
    async with showing(ChecksScreen(wizard, accepted), (80, 24)) as pilot:
        await pilot.press("enter", *"query", "enter")
        await check(pilot.app, "checks/typing")
        assert not accepted


@each_size
async def test_plan(size: Size, check: Check) -> None:
    wizard: Any = await surveyed()
    async with showing(PlanScreen(wizard, set()), size) as pilot:
        await check(pilot.app, "plan/blue-green")


@each_size
async def test_confirm(size: Size, check: Check) -> None:
    async with showing(confirmation(fakes.plan()), size) as pilot:
        await check(pilot.app, "confirm/empty")
        await pilot.press(*"doc", "enter")
        await check(pilot.app, "confirm/wrong")


@each_size
async def test_run(size: Size, check: Check, run: RunFolder, engine: RunLock) -> None:
    stories.Story(run).loading(throttle="slowed: search p95 31 ms > 24 ms (2x baseline)")
    async with showing(RunScreen(run), size) as pilot:
        await check(pilot.app, "run/loading")


@each_size
@pytest.mark.parametrize("pane", ["log", "streams", "errors", "skipped"])
async def test_run_panes(pane: str, size: Size, check: Check, run: RunFolder, engine: RunLock) -> None:
    story = stories.Story(run)
    story.loading(throttle="slowed: search p95 31 ms > 24 ms (2x baseline)")
    story.troubles()
    async with showing(RunScreen(run), size) as pilot:
        await pilot.press(str(["log", "streams", "errors", "skipped"].index(pane) + 1))
        await settle(pilot)
        await check(pilot.app, f"run/pane-{pane}")


@each_size
async def test_run_read_only(size: Size, check: Check, run: RunFolder, engine: RunLock) -> None:
    stories.Story(run).loading()
    async with showing(RunScreen(run, read_only=True), size) as pilot:
        await check(pilot.app, "run/read-only")


@each_size
async def test_run_replay(size: Size, check: Check, run: RunFolder) -> None:
    story = stories.Story(run)
    story.until_cutover()
    story.finish()
    async with showing(RunScreen(run), size) as pilot:
        await pilot.press("w", "space", "home", *["n"] * 9, *["right"] * 20)
        await settle(pilot)
        await check(pilot.app, "run/replay")


async def test_run_starting(check: Check, run: RunFolder) -> None:
    async with showing(RunScreen(run, just_started=True), (80, 24)) as pilot:
        await check(pilot.app, "run/starting")


async def test_run_shows_what_was_asked_until_it_is_taken_up(check: Check, run: RunFolder, engine: RunLock) -> None:
    story = stories.Story(run)
    story.loading()
    async with showing(RunScreen(run), (80, 24)) as pilot:
        await pilot.press("b", *"128", "enter")
        await settle(pilot)
        assert "batch 128: asked, no answer yet" in as_text(pilot.app)
        await check(pilot.app, "run/asked")
        story.write(ev.Controlled(at=story.at, number=1, verb="batch", value=128))
        pilot.app.screen.tick()  # type: ignore[attr-defined]
        await settle(pilot)
        assert "asked batch 128: taken up" in as_text(pilot.app)


async def test_run_interrupted_offers_to_start_the_engine(check: Check, run: RunFolder) -> None:
    stories.Story(run).loading()
    async with showing(RunScreen(run), (80, 24)) as pilot:
        await check(pilot.app, "run/interrupted")
        assert "Start engine" in as_text(pilot.app)


async def test_run_stopped(check: Check, run: RunFolder) -> None:
    story = stories.Story(run)
    story.loading()
    story.write(ev.EngineStopped(at=story.later(1), reason="asked to stop", exit_code=6))
    async with showing(RunScreen(run), (80, 24)) as pilot:
        await check(pilot.app, "run/stopped")


@each_size
async def test_cutover(size: Size, check: Check, run: RunFolder, engine: RunLock) -> None:
    stories.Story(run).until_cutover()
    async with showing(RunScreen(run), size) as pilot:
        await check(pilot.app, "run/ready")
        await pilot.press("c")
        await settle(pilot)
        await check(pilot.app, "cutover/ready")
        for page in ("python", "typescript", "curl"):
            await pilot.press("f8")
            await settle(pilot)
            await check(pilot.app, f"cutover/{page}")


async def test_cutover_with_a_dark_lamp(check: Check, run: RunFolder, engine: RunLock) -> None:
    dark = ev.Lamp(name="caught up", on=False, detail="last pass: 57 new (at most 4)")
    stories.Story(run).until_cutover(lamps=(stories.LAMPS[0], dark, *stories.LAMPS[2:]))
    async with showing(RunScreen(run), (80, 24)) as pilot:
        await pilot.press("c")
        await settle(pilot)
        await check(pilot.app, "cutover/not-yet")
        await pilot.press(*"docs", "enter")
        assert not run.control.exists()


async def test_a_no_go_says_how_it_is_overruled(check: Check, run: RunFolder, engine: RunLock) -> None:
    detail = (
        "NO-GO: nDCG@10 falls by 0.105 (95 % interval -0.139 to -0.071, 300 queries)"
        f" `changeover control {run.name} accept no-go` overrules"
    )
    dark = ev.Lamp(name="quality", on=False, detail=detail)
    stories.Story(run).until_cutover(lamps=(*stories.LAMPS[:3], dark, stories.LAMPS[4]))
    async with showing(RunScreen(run), (80, 24)) as pilot:
        await pilot.press("c")
        await settle(pilot)
        assert "accept no-go` overrules" in " ".join(as_text(pilot.app).split())
        await check(pilot.app, "cutover/no-go")


@each_size
async def test_summary(size: Size, check: Check, run: RunFolder) -> None:
    story = stories.Story(run)
    story.until_cutover()
    story.finish()
    run.report.write_text("<html>")
    async with showing(RunScreen(run), size) as pilot:
        await check(pilot.app, "run/finished")
        await pilot.press("enter")
        await settle(pilot)
        await check(pilot.app, "summary/go")


@each_size
async def test_help(size: Size, check: Check) -> None:
    async with showing(ConnectScreen(), size) as pilot:
        await pilot.press("f1")
        await settle(pilot)
        await check(pilot.app, "help/connect")


@each_size
async def test_a_number_is_asked_for(size: Size, check: Check, run: RunFolder, engine: RunLock) -> None:
    stories.Story(run).loading()
    async with showing(RunScreen(run), size) as pilot:
        await pilot.press("r")
        await settle(pilot)
        await check(pilot.app, "number/rate")


async def test_light(check: Check, run: RunFolder, engine: RunLock) -> None:
    stories.Story(run).loading()
    async with showing(RunScreen(run), (80, 24)) as pilot:
        await pilot.press("f2")
        await settle(pilot)
        await check(pilot.app, "run/light")


async def test_no_colour(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    wizard: Any = await surveyed()
    wizard.found = (*fakes.FINDINGS, fakes.BLOCKER)
    async with showing(ChecksScreen(wizard, set()), (80, 24)) as pilot:
        await check(pilot.app, "checks/no-colour")


async def test_a_terminal_that_is_too_small_says_so(check: Check) -> None:
    async with showing(None, (50, 15)) as pilot:
        assert as_text(pilot.app).startswith(" Changeover needs a terminal of at least 60 x 20")
        await check(pilot.app, "start/too-small")


@pytest.mark.parametrize("which", ["ask", "run"])
async def test_the_pictures_of_the_readme(which: str, check: Check, run: RunFolder, engine: RunLock) -> None:
    wizard: Any = await surveyed()
    if which == "ask":
        screen: Screen[Any] = AskScreen(wizard)
    else:
        stories.Story(run).loading(points=2600, seconds=40)
        screen = RunScreen(run)
    async with showing(screen, (100, 30)) as pilot:
        await check(pilot.app, f"readme/{which}")
