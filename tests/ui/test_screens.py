"""What screens do beside what they show (gallery.py): refusals, what was asked, a terminal that is too small."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen

from changeover.engine import events as ev
from changeover.engine.folder import RunFolder
from changeover.engine.lock import RunLock
from changeover_tui.screens.checks import ChecksScreen
from changeover_tui.screens.connect import ConnectScreen
from changeover_tui.screens.run import RunScreen
from changeover_tui.widgets import run_text

from . import fakes, gallery, stories
from .conftest import SIZES, Check, as_text
from .gallery import ACCESS, Size, app_of, settle

__all__ = ["ACCESS", "Size", "app_of", "each_size", "settle", "showing", "surveyed"]

each_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")


@asynccontextmanager
async def showing(screen: Screen[Any] | None, size: Size, **given: Any) -> AsyncIterator[Pilot[int]]:
    app = app_of(**given)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        if screen is not None:
            await app.push_screen(screen)
            await settle(pilot)
        yield pilot


async def surveyed() -> fakes.FakeWizard:
    wizard: fakes.FakeWizard = await gallery.Scene().wizard()
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


async def test_connect_says_what_is_wrong_and_never_shows_a_key() -> None:
    async with showing(ConnectScreen(), (80, 24)) as pilot:
        pilot.app.screen.query_one("#url").value = "localhost:6333"  # type: ignore[attr-defined]
        pilot.app.screen.query_one("#key").value = "s3cret"  # type: ignore[attr-defined]
        await pilot.press("enter")
        await settle(pilot)
        assert "not an address" in as_text(pilot.app)
        assert "s3cret" not in as_text(pilot.app)


async def test_a_blocker_is_not_passed() -> None:
    wizard: Any = await surveyed()
    wizard.found = (*fakes.FINDINGS, fakes.BLOCKER)
    async with showing(ChecksScreen(wizard, set()), (80, 24)) as pilot:
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, ChecksScreen)


async def test_a_wrong_code_acknowledges_nothing() -> None:
    accepted: set[str] = set()
    wizard: Any = await surveyed()
    async with showing(ChecksScreen(wizard, accepted), (80, 24)) as pilot:
        await pilot.press("enter", *"query", "enter")
        assert not accepted


@each_size
async def test_run_replay(size: Size, check: Check, run: RunFolder) -> None:
    story = stories.Story(run)
    story.until_cutover()
    story.finish()
    async with showing(RunScreen(run), size) as pilot:
        await pilot.press("w", "space", "home", *["n"] * 9, *["right"] * 20)
        await settle(pilot)
        await check(pilot.app, "run/replay")


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


async def test_with_a_dark_lamp_nothing_is_asked_for(run: RunFolder, engine: RunLock) -> None:
    gallery.not_ready(stories.Story(run))
    async with showing(RunScreen(run), (80, 24)) as pilot:
        await pilot.press("c")
        await settle(pilot)
        await pilot.press(*"docs", "enter")
        assert not run.control.exists()


async def test_a_wrong_name_is_said_until_the_lamps_change(run: RunFolder, engine: RunLock) -> None:
    story = stories.Story(run)
    gallery.ready(story)
    async with showing(RunScreen(run), (80, 24)) as pilot:
        await pilot.press("c")
        await settle(pilot)
        await pilot.press(*"doc", "enter")
        pilot.app.screen._look()  # type: ignore[attr-defined]
        await settle(pilot)
        assert "Error: that is not docs" in as_text(pilot.app)
        dark = ev.Lamp(name="caught up", on=False, detail="94.0 s behind")
        story.write(ev.CutoverReady(at=story.at, lamps=(dark,)))
        pilot.app.screen._look()  # type: ignore[attr-defined]
        await settle(pilot)
        assert "Error: not every lamp is on" in as_text(pilot.app)


async def test_an_engine_that_just_stopped_is_not_said_to_start(run: RunFolder, engine: RunLock) -> None:
    story = stories.Story(run)
    story.loading()
    async with showing(RunScreen(run), (80, 24)) as pilot:
        await settle(pilot)
        story.write(ev.EngineStopped(at=pilot.app.clock(), reason="asked to stop", exit_code=6))  # type: ignore[attr-defined]
        pilot.app.screen.tick()  # type: ignore[attr-defined]
        await settle(pilot)
        shown = as_text(pilot.app)
        assert "STOPPING" in shown and "starting" not in shown and "Pause" not in shown


async def test_where_no_engine_works_nothing_is_loaded_now(run: RunFolder) -> None:
    gallery.loading(stories.Story(run))
    async with showing(RunScreen(run), (80, 24)) as pilot:
        await settle(pilot)
        shown = as_text(pilot.app)
        assert "INTERRUPTED" in shown
        assert "0 points/s" in shown and "embedder idle" in shown and "slowed" not in shown


async def test_an_answer_from_long_ago_makes_room(run: RunFolder) -> None:
    story = stories.Story(run)
    story.loading()
    story.write(ev.Controlled(at=story.at, number=1, verb="rate", value=100))
    assert "asked rate 100: taken up" in run_text.asked({}, run.state()).plain
    story.search(10)
    story.write(ev.Differences(at=story.later(30), step="catch-up", number=2, new=3, deleted=1))
    assert not run_text.asked({}, run.state()).plain
    assert run_text.backlog(run.plan(), run.state()).plain.endswith("\n3 new, 1 deleted")


async def test_a_no_go_says_how_it_is_overruled(run: RunFolder, engine: RunLock) -> None:
    gallery.worse(stories.Story(run))
    async with showing(RunScreen(run), (80, 24)) as pilot:
        await pilot.press("c")
        await settle(pilot)
        assert "accept no-go` overrules" in " ".join(as_text(pilot.app).split())


async def test_a_terminal_that_is_too_small_says_so(check: Check) -> None:
    async with showing(None, (50, 15)) as pilot:
        assert as_text(pilot.app).startswith(" Changeover needs a terminal of at least 60 x 20")
        await check(pilot.app, "start/too-small")
