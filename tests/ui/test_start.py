"""The runs on the first screen: where each stands, how old it is, what can be done with it by one key."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from changeover import seals
from changeover.engine import events as ev
from changeover.engine import launch
from changeover.engine.folder import RunFolder
from changeover.plan import file as plan_file
from changeover.plan import model as pm
from changeover_tui.screens.run import RunScreen
from changeover_tui.screens.start import StartScreen
from changeover_tui.widgets.choice_list import ChoiceList

from . import fakes, stories
from .conftest import Check, as_text
from .test_screens import Size, each_size, settle, showing
from .test_walk import press

HOUR = 3600.0
ROOT = Path("runs")


def one(name: str, age: int, *, follows: str = "", window_s: float = 0.0) -> stories.Story:
    """The story of a run of that name; a smaller age stands above a larger one."""
    plan = fakes.plan()
    steps = tuple(
        msgspec.structs.replace(step, window_s=window_s) if isinstance(step, pm.AwaitCutover) else step
        for step in plan.steps
    )
    sealed = seals.seal(msgspec.structs.replace(plan, id=name, steps=steps, hash=""))
    if follows:  # as if it had been begun from the other one, without a ledger
        sealed = seals.seal(msgspec.structs.replace(sealed, follows=follows, hash=""))
        folder = RunFolder(ROOT / name)
        folder.path.mkdir(parents=True)
        (folder.path / "plan.json").write_bytes(plan_file.to_json(sealed))
    else:
        folder = stories.run_of(sealed, ROOT)
    os.utime(folder.path / "plan.json", (fakes.BEGAN - age, fakes.BEGAN - age))
    return stories.Story(folder)


def machine() -> None:
    """Runs in every state that a machine can hold."""
    one("docs-loading", 1).loading()
    paused = one("docs-paused", 2)
    paused.loading()
    paused.write(ev.Paused(at=paused.at, reason="on request"))
    one("docs-ready", 3).until_cutover()
    done = one("docs-done", 4)
    done.until_cutover()
    done.finish()
    back = one("docs-done-back", 5, follows="docs-done", window_s=3 * HOUR + 1000)
    back.until_cutover()
    stopped = one("docs-stopped", 6)
    stopped.loading()
    stopped.write(ev.EngineStopped(at=stopped.at, reason="asked to stop", exit_code=6))
    one("docs-dead", 7).loading()
    one("docs-edited", 8)
    plan = ROOT / "docs-edited" / "plan.json"
    plan.write_text(plan.read_text().replace("docs_v2", "docs_v3"))
    os.utime(plan, (fakes.BEGAN - 8, fakes.BEGAN - 8))


@contextmanager
def engines(monkeypatch: pytest.MonkeyPatch, *names: str) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(launch, "running_pid", lambda folder: 7 if folder.name in names else None)
        yield


WORKED_ON = ("docs-loading", "docs-paused", "docs-ready", "docs-done-back")


@each_size
async def test_every_run_says_where_it_stands(size: Size, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    machine()
    with engines(monkeypatch, *WORKED_ON):
        async with showing(None, size) as pilot:
            await check(pilot.app, "start/runs")
            await press(pilot, "end")
            await check(pilot.app, "start/runs-scrolled")
            assert "docs-edited" in as_text(pilot.app), "what does not fit is scrolled to"
            await press(pilot, "enter")
            assert "Error: runs/docs-edited: plan.json: the plan was changed" in " ".join(as_text(pilot.app).split())
            assert isinstance(pilot.app.screen, StartScreen)


async def test_a_run_that_stopped_goes_on_by_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    machine()
    started: list[str] = []

    def start(folder: RunFolder, environ: object) -> int:
        started.append(folder.name)
        return 1

    monkeypatch.setattr(launch, "start", start)
    with engines(monkeypatch, *WORKED_ON):
        async with showing(None, (80, 24)) as pilot:
            await press(pilot, "3", "r")
            assert not started, "an engine works on it"
            assert "Resume" not in as_text(pilot.app)
            await press(pilot, "8")
            assert "Resume" in as_text(pilot.app)
            await press(pilot, "r")
            assert started == ["docs-stopped"]
            assert isinstance(pilot.app.screen, RunScreen)
            shown = as_text(pilot.app)
            assert "STARTING" in shown and "The engine is starting" in shown and "Error" not in shown, (
                "until the engine holds the lock"
            )
            await press(pilot, "escape")
            await press(pilot, "9", "enter")
            assert isinstance(pilot.app.screen, RunScreen)
            assert started == ["docs-stopped"], "enter only opens it"


async def test_the_mark_stays_where_it_is_when_runs_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    machine()
    async with showing(None, (80, 24)) as pilot:
        await press(pilot, "8")
        screen = pilot.app.screen
        assert isinstance(screen, StartScreen)
        one("docs-new", 0).loading()
        screen._look()
        await settle(pilot)
        row = screen.query_one(ChoiceList).row
        assert row is not None and row.value == "runs/docs-stopped"
        assert "docs-new" in " ".join(line.detail for line in screen.query_one(ChoiceList).rows)
