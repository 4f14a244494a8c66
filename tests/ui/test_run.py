"""The run screen by its keys: what only watches cannot ask, panes, the filter of the log, and the replay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from changeover.engine import events as ev
from changeover.engine import state as run_state
from changeover.engine.folder import RunFolder
from changeover.engine.journal import read_all
from changeover.engine.lock import RunLock
from changeover.engine.replay import Replay
from changeover_tui import runner
from changeover_tui.cli import main
from changeover_tui.player import SPEEDS, Player
from changeover_tui.screens.run import RunScreen
from changeover_tui.screens.start import StartScreen
from changeover_tui.screens.summary import SummaryScreen
from changeover_tui.widgets import run_text
from tests.unit import journals

from . import stories
from .conftest import as_text
from .test_screens import app_of, settle, showing


@pytest.fixture
def run() -> RunFolder:
    return stories.new_run(Path("runs"))


@pytest.fixture
def engine(run: RunFolder) -> Iterator[None]:
    """Somebody holds the run's lock, as an engine does."""
    lock = RunLock(run.lock)
    lock.acquire()
    yield
    lock.release()


def finished(run: RunFolder) -> None:
    story = stories.Story(run)
    story.until_cutover()
    story.finish()


def lower(pilot: Pilot[int]) -> str:
    """The lower pane as text, without its tabs."""
    lines = as_text(pilot.app).splitlines()
    tabs = next(i for i, line in enumerate(lines) if "1 log" in line and "4 skipped" in line)
    return "\n".join(lines[tabs + 1 : -2])


@pytest.mark.parametrize("locked", [False, True], ids=["asked for", "the folder cannot be written"])
async def test_what_only_watches_asks_for_nothing(
    locked: bool, run: RunFolder, engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stories.Story(run).until_cutover()
    monkeypatch.setattr("changeover_tui.screens.run_asks.writable", lambda _: not locked)
    async with showing(RunScreen(run, read_only=not locked), (80, 24)) as pilot:
        await pilot.press("p", "r", "b", "t", "S", "c", "e", "d", "v")
        await settle(pilot)
        shown = as_text(pilot.app)
        assert isinstance(pilot.app.screen, RunScreen)
        assert not run.control.exists()
        assert "read-only" in shown
        assert ("cannot be written by you" in shown) == locked
        footer = shown.splitlines()[-1]
        assert not any(word in footer for word in ("Pause", "Cutover", "Stop", "Compare"))


async def test_who_only_watches_cannot_go_back_nor_vote(run: RunFolder) -> None:
    finished(run)
    before = sorted(path.name for path in run.path.iterdir())
    async with showing(RunScreen(run, read_only=True), (80, 24)) as pilot:
        await pilot.press("g", "x", "enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, SummaryScreen)
        await pilot.press("g", "x", "v")
        await settle(pilot)
        assert isinstance(pilot.app.screen, SummaryScreen)
        assert sorted(path.name for path in run.path.iterdir()) == before


def test_a_folder_is_writable_when_a_request_can_be_written(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert runner.writable(run)
    asked: list[Path] = []
    monkeypatch.setattr(runner.os, "access", lambda path, mode: asked.append(path) or False)
    assert not runner.writable(run)
    run.control.write_text("")
    assert not runner.writable(run)
    assert asked == [run.path, run.control]


async def test_panes_open_by_digit_and_close_by_esc(run: RunFolder, engine: None) -> None:
    story = stories.Story(run)
    story.loading()
    story.troubles()
    async with showing(RunScreen(run), (80, 24)) as pilot:
        assert "steps" in as_text(pilot.app)
        await pilot.press("3")
        await settle(pilot)
        assert "ASKED AGAIN  14 times, 31 s waited" in lower(pilot)
        assert "steps" not in as_text(pilot.app)
        await pilot.press("tab")
        await settle(pilot)
        assert "Its text is too long for the model" in lower(pilot)
        await pilot.press("escape")
        await settle(pilot)
        assert "steps" in as_text(pilot.app)
        assert "[1 log]" in as_text(pilot.app)
        await pilot.press("escape")
        await settle(pilot)
        assert isinstance(pilot.app.screen, StartScreen)


async def test_on_a_tall_terminal_a_pane_stays_below_until_it_is_asked_for_again(run: RunFolder, engine: None) -> None:
    stories.Story(run).loading()
    async with showing(RunScreen(run), (120, 40)) as pilot:
        for press, whole in (("2", False), ("2", True), ("3", True), ("escape", False)):
            await pilot.press(press)
            await settle(pilot)
            assert ("steps" in as_text(pilot.app)) != whole


async def test_the_log_is_filtered_by_level_and_by_words(run: RunFolder, engine: None) -> None:
    story = stories.Story(run)
    story.loading()
    story.troubles()
    async with showing(RunScreen(run), (80, 24)) as pilot:
        await pilot.press("1", "f")
        await settle(pilot)
        assert "Create collection" not in lower(pilot)
        assert "only warnings" in lower(pilot)
        await pilot.press("slash", *"NO search", "enter")
        await settle(pilot)
        rows = lower(pilot).splitlines()
        assert [row.split()[0] for row in rows if ":" in row and row.startswith(" 00")] == ["00:00:12"]
        story.write(ev.Log(at=story.at, level="warning", text="no search came back"))
        story.write(ev.Log(at=story.at, level="warning", text="something else"))
        pilot.app.screen.tick()  # type: ignore[attr-defined]
        await settle(pilot)
        assert "no search came back" in lower(pilot)
        assert "something else" not in lower(pilot)
        await pilot.press("slash", "escape", "f", "f")
        await settle(pilot)
        assert "Create collection" in lower(pilot)
        assert "something else" in lower(pilot)
        assert isinstance(pilot.app.screen, RunScreen)


async def test_the_log_stays_where_somebody_reads_and_follows_again_from_its_end(run: RunFolder, engine: None) -> None:
    story = stories.Story(run)
    story.loading()
    async with showing(RunScreen(run), (80, 24)) as pilot:
        for key, last in (("pageup", False), ("pagedown", False), ("pagedown", True)):
            await pilot.press(key)
            story.write(ev.Log(at=story.at, level="info", text=f"after {key}"))
            pilot.app.screen.tick()  # type: ignore[attr-defined]
            await settle(pilot)
            assert (f"after {key}" in lower(pilot).splitlines()[-1]) == last


async def test_a_finished_run_is_gone_through_again(run: RunFolder) -> None:
    finished(run)
    async with showing(RunScreen(run), (80, 24)) as pilot:
        assert "FINISHED" in as_text(pilot.app)
        await pilot.press("w", "space", "home")
        await settle(pilot)
        assert "REPLAY" in as_text(pilot.app)
        assert "00:00:00 of 00:00:37" in as_text(pilot.app)
        await pilot.press(*["down"] * 5)
        await settle(pilot)
        assert "Embed and write 4,000 points: started" in lower(pilot)
        assert "finished" not in lower(pilot)
        await pilot.press("up")
        await settle(pilot)
        assert "Embed and write 4,000 points: started" not in lower(pilot)
        await pilot.press("end", "enter")
        await settle(pilot)
        assert "FINISHED" in as_text(pilot.app)
        assert "00:00:37 of 00:00:37" in as_text(pilot.app)
        await pilot.press("home", "space")
        for _ in range(4):
            pilot.app.screen.tick()  # type: ignore[attr-defined]
        await settle(pilot)
        assert "PLAYS" in as_text(pilot.app)
        await pilot.press("escape")
        await settle(pilot)
        assert "REPLAY" not in as_text(pilot.app)
        assert "finished: the new model serves" in lower(pilot)


async def test_a_run_at_work_can_be_watched_from_its_beginning(run: RunFolder, engine: None) -> None:
    stories.Story(run).loading()
    app = app_of(start="watch", run=run, replay=True, read_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.screen.tick()  # type: ignore[attr-defined]
        await settle(pilot)
        assert "REPLAY" in as_text(app)
        await pilot.press("w")
        await settle(pilot)
        assert "read-only" in as_text(app)


def test_plain_watching_tells_a_run_again(
    run: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(run)
    before = sorted(path.name for path in run.path.iterdir())
    assert main(["watch", str(run.path), "--plain", "--replay"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("[00:00:00] engine started")
    assert told[-1].endswith("finished: the new model serves")
    assert main(["watch", str(run.path), "--plain", "--read-only"]) == 0
    assert capsys.readouterr().err.startswith("read-only; nothing is asked for from here")
    assert sorted(path.name for path in run.path.iterdir()) == before, "nothing was written"


Move = tuple[str, float]
moves = st.lists(
    st.one_of(
        st.tuples(st.just("step"), st.integers(-150, 150)),
        st.tuples(st.just("mark"), st.booleans()),
        st.tuples(st.just("play"), st.floats(0, 20)),
        st.tuples(st.just("speed"), st.none()),
    ),
    max_size=12,
)


@given(moves)
def test_a_player_stays_within_the_run_and_shows_its_moment(said: list[tuple[str, float]]) -> None:
    events = journals.whole()
    start = run_state.begin(journals.a_plan())
    player = Player(Replay(start, events))
    for what, value in said:
        match what:
            case "step":
                player.step(int(value))
            case "mark":
                player.to_mark(bool(value))
            case "play":
                player.play_or_pause()
                player.goes_on(value)
            case "speed":
                player.faster()
        assert player.replay.begun <= player.moment <= player.replay.ended
        assert 0 <= player.share <= 1
        assert player.speed in SPEEDS
        assert player.state == run_state.fold(start, [event for event in events if event.at <= player.moment])
        assert len(run_text.slider(player, 80).plain) <= 80


def test_the_trend_of_the_backlog(run: RunFolder) -> None:
    story = stories.Story(run)
    story.until_load()
    found = []
    for number, new in enumerate((57, 30, 30, 31), start=1):
        story.write(ev.Differences(at=story.later(1), step="catch-up", number=number, new=new))
        state = run_state.fold(run_state.begin(story.plan), read_all(run.journal))
        found.append(run_text.trend(state).strip())
    assert found == ["", "falling: 57 → 30", "steady: 57 → 30 → 30", "rising: 30 → 30 → 31"]
