"""Going back and cleaning up on the screens: what they mean comes first, then a typed name, then the run of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from changeover import seals
from changeover.afterwards import backs, cleanup, rollback
from changeover.embed.model import ModelSpec
from changeover.engine import control, launch
from changeover.engine import events as ev
from changeover.engine.folder import RunFolder
from changeover.plan import model as pm
from changeover.routes import way_back
from changeover_tui.screens.afterwards import AfterwardsScreen
from changeover_tui.screens.run import RunScreen
from changeover_tui.screens.summary import SummaryScreen

from . import fakes, stories
from .conftest import Check, as_text, shows
from .test_screens import Size, each_size, settle, showing
from .test_walk import press

HOUR = 3600.0
SIDES = way_back.Sides(
    version="1.19.0",
    old={"config": {"params": {"vectors": {"text": {"size": 256, "distance": "Cosine"}}}}},
    aliases={"docs": "docs_v2"},
    points=4002,
)
CONFLICTS = tuple(ev.Conflict(at=1.0, id=i, kept="new", reason="edited on both sides") for i in (17, 20, 31, 40, 52))


class Machine:
    """Engines that work, those that were started, and a cluster that answers how both sides are."""

    def __init__(self) -> None:
        self.works: set[str] = set()
        self.started: list[str] = []

    def start(self, folder: RunFolder, environ: object) -> int:
        self.started.append(folder.name)
        self.works.add(folder.name)
        return 1


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine()

    async def back(folder: RunFolder, environ: Any, old_model: ModelSpec | None, name: str) -> pm.Plan:
        done = folder.plan()
        return way_back.build(done, SIDES, old_model or done.job.old_model, run=folder.name, name=name)

    async def removal(folder: RunFolder, environ: Any, name: str, *, snapshot: bool) -> pm.Plan:
        return way_back.removal(folder.plan(), SIDES, run=folder.name, name=name, snapshot=snapshot, safe=True)

    monkeypatch.setattr(rollback, "planned", back)
    monkeypatch.setattr(cleanup, "planned", removal)
    monkeypatch.setattr(launch, "running_pid", lambda folder: 7 if folder.name in found.works else None)
    monkeypatch.setattr(launch, "start", found.start)
    monkeypatch.setattr(backs, "time", SimpleNamespace(time=fakes.clock))
    return found


def done(*, old_model: bool = True, window_s: float = 0.0) -> RunFolder:
    """A run that has cut over."""
    plan = fakes.plan()
    steps = plan.steps
    if window_s:
        steps = (*steps, pm.OpenWayBack(id="open-way-back", title="Keep the way back open for 24 h", window_s=window_s))
    job = msgspec.structs.replace(plan.job, old_model=fakes.OLD if old_model else None)
    run = stories.run_of(seals.seal(msgspec.structs.replace(plan, job=job, steps=steps, hash="")), Path("runs"))
    story = stories.Story(run)
    story.until_cutover()
    story.write(*CONFLICTS)
    story.finish()
    if window_s:
        story.done("open-way-back", detail="open for 24 h")
    run.ledger.touch()
    return run


def opened(run: RunFolder, machine: Machine, *, left_s: float, behind: int = 3) -> stories.Story:
    """The way back that the run keeps open, with an engine that works on it."""
    plan = run.plan()
    window_s = left_s + 200.0
    back = way_back.build(plan, SIDES, plan.job.old_model, run=run.name, name=f"{run.name}-back", window_s=window_s)
    folder = RunFolder.create(back, {}, run.path.with_name(back.id))
    story = stories.Story(folder)
    story.at = fakes.clock() - 200.0
    story.begin()
    story.done("catch-up", 0.0)
    story.done("wait-green", 0.0)
    story.write(ev.StepStarted(at=fakes.clock() - 200.0, step="await-cutover"))
    story.at = fakes.clock() - 4
    story.write(ev.Differences(at=story.at, step="await-cutover", number=40, new=1, edited=behind - 1))
    story.write(ev.CutoverReady(at=story.at, lamps=stories.LAMPS[:2]))
    machine.works.add(folder.name)
    return story


@each_size
async def test_the_summary_counts_the_way_back_down(size: Size, check: Check, machine: Machine) -> None:
    run = done(window_s=24 * HOUR)
    opened(run, machine, left_s=3 * HOUR + 720)
    async with showing(RunScreen(run), size) as pilot:
        await shows(pilot, "way back open for 3 h 12 min")
        await check(pilot.app, "run/window")
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, SummaryScreen)
        await check(pilot.app, "summary/window")


@each_size
async def test_going_back_says_what_it_means_first(size: Size, check: Check, machine: Machine) -> None:
    run = done()
    async with showing(RunScreen(run), size) as pilot:
        await press(pilot, "g")
        assert isinstance(pilot.app.screen, AfterwardsScreen)
        await check(pilot.app, "afterwards/back")
        await press(pilot, *"doc", "enter")
        assert "Error: that is not docs" in as_text(pilot.app)
        assert not machine.started and not (run.path.parent / f"{run.name}-back").exists()
        await press(pilot, "s", "enter")
        assert machine.started == [f"{run.name}-back"]
        assert isinstance(pilot.app.screen, RunScreen)
        assert pilot.app.screen.feed.run.name == f"{run.name}-back"
        [asked] = control.Inbox(pilot.app.screen.feed.run.control).read()
        assert (asked.verb, asked.value) == ("when-ready", "docs")


async def test_a_way_back_that_is_open_is_asked(check: Check, machine: Machine) -> None:
    run = done(window_s=24 * HOUR)
    back = opened(run, machine, left_s=3 * HOUR).run
    async with showing(RunScreen(run), (80, 24)) as pilot:
        await press(pilot, "enter", "g")
        await check(pilot.app, "afterwards/back-open")
        await press(pilot, *"docs", "enter")
        assert not machine.started
        assert [asked.verb for asked in control.Inbox(back.control).read()] == ["when-ready"]


@each_size
async def test_without_the_old_model_the_points_are_named_before_anything_happens(
    size: Size, check: Check, machine: Machine
) -> None:
    run = done(old_model=False)
    async with showing(RunScreen(run), size) as pilot:
        await press(pilot, "g")
        assert "counted first, reading only" in " ".join(as_text(pilot.app).split())
        await press(pilot, *"docs", "enter")
        back = RunFolder(run.path.with_name(f"{run.name}-back"))
        assert machine.started == [back.name]
        screen = pilot.app.screen
        assert isinstance(screen, AfterwardsScreen)
        story = stories.Story(back)
        story.begin()
        story.write(ev.StepStarted(at=story.at, step="count-lacking"))
        note = "12 points written since the cutover would lack vector text: 3, 9, 12, 40, 41, ..."
        story.write(ev.Progress(at=story.at, step="count-lacking", done=12, note=note))
        story.write(ev.EngineStopped(at=story.at, reason=f"no-old-vector: {note}", exit_code=4))
        screen._look()
        assert screen._busy, "its engine has not let go yet"
        machine.works.clear()
        screen._look()
        await settle(pilot)
        await check(pilot.app, "afterwards/lacking")
        await press(pilot, *"docs", "enter")
        assert machine.started == [back.name], "that is not the code"
        await press(pilot, *["backspace"] * 4, *"no-old-vector", "enter")
        assert machine.started == [back.name], "the name is asked for once more"
        await press(pilot, *"docs", "enter")
        assert machine.started == [back.name] * 2
        assert (back.path / "accepted.txt").read_text() == "no-old-vector\n"
        assert isinstance(pilot.app.screen, RunScreen)


async def test_a_count_that_finds_none_goes_on_by_itself(machine: Machine) -> None:
    run = done(old_model=False)
    async with showing(RunScreen(run), (80, 24)) as pilot:
        await press(pilot, "g", *"docs", "enter")
        screen = pilot.app.screen
        assert isinstance(screen, AfterwardsScreen)
        story = stories.Story(RunFolder(run.path.with_name(f"{run.name}-back")))
        story.begin()
        story.done("count-lacking", detail="every point has its old vector")
        screen._look()
        await settle(pilot)
        assert isinstance(pilot.app.screen, RunScreen)
        assert pilot.app.screen.feed.run.name == f"{run.name}-back"


@each_size
async def test_a_cleanup_says_what_is_removed_first(size: Size, check: Check, machine: Machine) -> None:
    run = done()
    async with showing(RunScreen(run), size) as pilot:
        await press(pilot, "x")
        await check(pilot.app, "afterwards/cleanup")
        await press(pilot, "f8")
        assert "No snapshot of docs_v1 is taken" in as_text(pilot.app)
        await press(pilot, *"docs", "enter")
        assert not machine.started, "the name of the alias is not the name of what is removed"
        await press(pilot, *"_v1", "enter")
        assert machine.started == [f"{run.name}-cleanup"]
        removal = RunFolder(run.path.with_name(f"{run.name}-cleanup"))
        assert [type(step) for step in removal.plan().steps] == [pm.Sweep, pm.DropCollection]
        story = stories.Story(removal)
        story.begin()
        story.write(ev.RunFinished(at=story.at, summary="finished: the old side is removed"))
        machine.works.clear()
        pilot.app.screen._look_at = 0.0  # type: ignore[attr-defined]
        pilot.app.screen.tick()  # type: ignore[attr-defined]
        await settle(pilot)
        shown = as_text(pilot.app)
        assert "no searches in a cleanup" in shown and "Compare" not in shown
        await press(pilot, "enter")
        shown = " ".join(as_text(pilot.app).split())
        assert "none: the old side is removed" in shown and "snapshot" not in shown and "to be stopped" not in shown


@pytest.mark.parametrize(("key", "reason"), [("x", "old-still-needed: the way back"), ("g", "taken back already by")])
async def test_what_cannot_be_done_says_why(key: str, reason: str, check: Check, machine: Machine) -> None:
    run = done(window_s=24 * HOUR)
    back = opened(run, machine, left_s=3 * HOUR)
    if key == "g":
        back.write(ev.StepDone(at=back.at, step="await-cutover"), ev.CutOver(at=back.at, detail="back"))
        back.write(ev.RunFinished(at=back.at, summary="finished: back"))
        machine.works.clear()
    async with showing(RunScreen(run), (80, 24)) as pilot:
        await press(pilot, key)
        shown = " ".join(as_text(pilot.app).split())
        assert "This cannot be done now:" in shown and reason in shown.replace("│ │ ", "")
        await check(pilot.app, f"afterwards/not-now-{key}")
        await press(pilot, *"docs_v1", "enter")
        assert not machine.started
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, RunScreen)


async def test_before_the_cutover_neither_is_offered(machine: Machine) -> None:
    run = stories.new_run(Path("runs"))
    stories.Story(run).until_cutover()
    async with showing(RunScreen(run), (80, 24)) as pilot:
        await press(pilot, "g", "x")
        assert isinstance(pilot.app.screen, RunScreen)
        assert "Go back" not in as_text(pilot.app)
