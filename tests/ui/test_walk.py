"""The whole walk by keys alone: from the first screen to a finished run, and every way back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot

from changeover import seals
from changeover.decision.answers import set_answer
from changeover.engine import control
from changeover.engine import events as ev
from changeover.engine.folder import RunFolder
from changeover.engine.lock import RunLock
from changeover.errors import UnreachableError
from changeover.plan import file as plan_file
from changeover.plan.model import Access
from changeover.sandbox.application import Stats
from changeover_tui.app import ChangeoverApp
from changeover_tui.screens.ask import AskScreen
from changeover_tui.screens.checks import ChecksScreen
from changeover_tui.screens.collections import CollectionsScreen
from changeover_tui.screens.connect import ConnectScreen
from changeover_tui.screens.cutover import CutoverScreen
from changeover_tui.screens.plan import PlanScreen
from changeover_tui.screens.run import RunScreen
from changeover_tui.screens.scenarios import ScenariosScreen
from changeover_tui.screens.start import StartScreen
from changeover_tui.screens.summary import SummaryScreen

from . import fakes, stories
from .conftest import as_text
from .test_screens import app_of, settle


async def press(pilot: Pilot[int], *keys: str) -> None:
    """Press keys one by one; after one that leads on, wait until what it set off is done."""
    for key in keys:
        await pilot.press(key)
        if len(key) > 1 or key == keys[-1]:
            await settle(pilot)


async def to_questions(pilot: Pilot[int]) -> fakes.FakeWizard:
    """Start, connect, choose the collection."""
    app = pilot.app
    assert isinstance(app, ChangeoverApp)
    await settle(pilot)
    assert isinstance(app.screen, StartScreen)
    await press(pilot, "2", "enter")
    assert isinstance(app.screen, ConnectScreen)
    await press(pilot, "enter")
    assert isinstance(app.screen, CollectionsScreen)
    await press(pilot, "enter")
    assert isinstance(app.screen, AskScreen)
    wizard: Any = app.wizard
    return wizard  # type: ignore[no-any-return]


async def leave_questions(pilot: Pilot[int], *, one_by_one: bool = False) -> None:
    """Enter on the last question, or on each."""
    screen = pilot.app.screen
    assert isinstance(screen, AskScreen)
    if not one_by_one:
        screen._refresh_questions()
        screen._show(screen._asked[-1])
    for _ in range(40):
        if not isinstance(pilot.app.screen, AskScreen):
            break
        await pilot.press("enter")
    await pilot.pause()
    assert isinstance(pilot.app.screen, ChecksScreen)


async def to_checks(pilot: Pilot[int], *, one_by_one: bool = False) -> fakes.FakeWizard:
    wizard = await to_questions(pilot)
    wizard.answer(fakes.answers())
    await leave_questions(pilot, one_by_one=one_by_one)
    await settle(pilot)
    return wizard


async def test_from_the_first_key_to_the_summary() -> None:
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        wizard = await to_checks(pilot, one_by_one=True)
        assert wizard.probed == 1
        await press(pilot, "enter", *"query-model-must-change", "enter")
        assert app.accepted == {"query-model-must-change"}
        await press(pilot, "enter")
        assert isinstance(app.screen, PlanScreen)
        assert not wizard.started
        await press(pilot, "enter", *"docs", "enter")
        assert isinstance(app.screen, RunScreen)
        [(plan, accepted)] = wizard.started
        assert accepted == {"query-model-must-change"}
        run = app.screen.feed.run
        lock = RunLock(run.lock)
        lock.acquire()
        story = stories.Story(run)
        story.until_cutover()
        app.screen.tick()
        await press(pilot, "c")
        assert isinstance(app.screen, CutoverScreen)
        await press(pilot, *"docs", "enter")
        assert isinstance(app.screen, RunScreen)
        [asked] = control.Inbox(run.control).read()
        assert asked.verb == "cutover"
        story.write(ev.Controlled(at=story.later(0.1), number=asked.number, verb="cutover"))
        story.finish()
        lock.release()
        app.screen._look_at = 0.0
        app.screen.tick()
        await press(pilot, "enter")
        assert isinstance(app.screen, SummaryScreen)
        assert "the new model serves" in as_text(app)
        await press(pilot, "escape", "q")
    assert app.return_code == 0
    assert plan.job.name_in_use == "docs"


@pytest.mark.long
async def test_back_to_the_first_screen_loses_no_answer() -> None:
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        wizard = await to_checks(pilot)
        given = wizard.answers
        await press(pilot, "escape")
        assert isinstance(app.screen, AskScreen)
        for _ in range(40):
            if not isinstance(app.screen, AskScreen):
                break
            await pilot.press("escape")
        await settle(pilot)
        assert isinstance(app.screen, CollectionsScreen)
        assert wizard.answers == given
        await press(pilot, "escape", "escape")
        assert isinstance(app.screen, StartScreen)
        await press(pilot, "escape")
        assert isinstance(app.screen, StartScreen)


async def test_a_cluster_that_does_not_answer_is_one_line_and_can_be_mended() -> None:
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "2", "enter")
        app.screen.query_one("#url").value = "http://nowhere:6333"  # type: ignore[attr-defined]
        await press(pilot, "enter")
        assert isinstance(app.screen, ConnectScreen)
        assert "Error: http://nowhere:6333: nothing answers there" in as_text(app)
        app.screen.query_one("#url").value = "http://localhost:6333"  # type: ignore[attr-defined]
        await press(pilot, "enter")
        assert isinstance(app.screen, CollectionsScreen)


async def test_a_typed_key_goes_to_the_engine_and_nowhere_else() -> None:
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "2", "enter")
        app.screen.query_one("#key").value = "s3cret"  # type: ignore[attr-defined]
        await press(pilot, "enter")
        assert app.run_environ["QDRANT_API_KEY"] == "s3cret"
        assert "QDRANT_API_KEY" not in app.environ
        assert app.access is not None
        assert app.access.api_key_env == "QDRANT_API_KEY"
        assert "s3cret" not in repr(app.access)


async def test_a_bug_in_a_job_is_a_line_and_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: fakes.FakeWizard, name: str) -> None:
        raise KeyError("vectors")

    monkeypatch.setattr(fakes.FakeWizard, "take_survey", broken)
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "2", "enter", "enter", "enter")
        assert isinstance(app.screen, CollectionsScreen)
        assert "a bug in Changeover (KeyError" in as_text(app)


async def test_an_engine_that_cannot_start_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: fakes.FakeWizard, *given: Any) -> None:
        raise UnreachableError("the run folder cannot be written")

    monkeypatch.setattr(fakes.FakeWizard, "start", refuse)
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await to_checks(pilot)
        await press(pilot, "enter", *"query-model-must-change", "enter", "enter", "enter", *"docs", "enter")
        assert isinstance(app.screen, PlanScreen)
        assert "Error: the run folder cannot be written" in as_text(app)


async def test_nothing_happens_by_one_key_on_the_run_screen() -> None:
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        run = stories.new_run(fakes.Path("runs"))
        stories.Story(run).loading()
        lock = RunLock(run.lock)
        lock.acquire()
        await app.push_screen(RunScreen(run))
        await press(pilot, "S", "escape", "c", "d", "e", "x", "delete", "enter")
        assert not run.control.exists()
        await press(pilot, "S", *"stop", "enter")
        assert [asked.verb for asked in control.Inbox(run.control).read()] == ["stop"]
        await press(pilot, "p", "t", *"99", "enter")
        assert "type a whole number, from 1 to 8" in as_text(app)
        await press(pilot, "escape", "q")
        lock.release()
    assert app.return_code == 0
    assert "The engine goes on" in app.farewell


async def test_leaving_a_stopped_run_gives_its_exit_code() -> None:
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        run = stories.new_run(fakes.Path("runs"))
        story = stories.Story(run)
        story.loading()
        story.write(ev.EngineStopped(at=story.later(1), reason="verification failed", exit_code=5))
        await app.push_screen(RunScreen(run))
        await press(pilot, "q")
    assert app.return_code == 5
    assert f"changeover resume {run.name}" in app.farewell


async def test_the_run_screen_rests_while_another_is_on_top() -> None:
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        run = stories.new_run(fakes.Path("runs"))
        stories.Story(run).loading()
        screen = RunScreen(run)
        await app.push_screen(screen)
        await settle(pilot)
        await press(pilot, "f1")
        assert screen._timer is not None
        assert not screen._timer._active.is_set()
        await press(pilot, "escape")
        assert screen._timer._active.is_set()


async def test_text_of_the_server_is_neither_markup_nor_escape_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    nasty = "[bold red]x[/] \x1b[31mred\x1b[0m \u202eevil"
    monkeypatch.setattr(fakes, "LISTED", (fakes.Listed(name=nasty, points=1, vectors=(nasty,)),))
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "2", "enter", "enter")
        shown = as_text(app)
        assert "[bold red]x[/] red evil" in shown
        assert "\x1b" not in shown
        assert "\u202e" not in shown


class FakeDemo:
    """The sandbox's handle, with nothing behind it."""

    def __init__(self) -> None:
        self.access = Access(url="http://127.0.0.1:7000")
        self.answers = fakes.answers()
        self.collection = "docs"
        self.deployed = 0
        self.stopped = False

    def stats(self) -> Stats:
        return Stats(pid=1, at=fakes.BEGAN, searches=1200, inserts=20, edits=11, searching_with="wordllama")

    def deploy_new(self) -> None:
        self.deployed += 1

    def deploy_old(self) -> None:
        self.deployed -= 1

    def stop(self) -> None:
        self.stopped = True


async def test_the_sandbox_opens_from_the_first_screen_with_its_answers() -> None:
    demo = FakeDemo()
    asked = []

    def open_demo(environ: Any, say: Any, scenario: str) -> FakeDemo:
        asked.append(scenario)
        return demo

    app = app_of(open_demo=open_demo)
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "1", "enter")
        assert isinstance(app.screen, ScenariosScreen)
        await press(pilot, "7", "enter")
        assert isinstance(app.screen, CollectionsScreen)
        assert asked == ["bad-model"]
        assert app.wizard is not None
        assert app.wizard.access == demo.access
        await press(pilot, "enter")
        assert isinstance(app.screen, AskScreen)
        assert app.wizard.answers.model == fakes.NEW
    app.stop_sandbox()
    assert demo.stopped


async def test_a_sandbox_that_was_given_is_left_to_its_owner() -> None:
    demo = FakeDemo()
    app = app_of(demo=demo, start="collections")
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert isinstance(app.screen, CollectionsScreen)
    app.stop_sandbox()
    assert not demo.stopped


async def test_in_place_the_sandbox_offers_to_deploy_its_application() -> None:
    demo = FakeDemo()
    app = app_of(demo=demo)
    async with app.run_test(size=(80, 24)) as pilot:
        run = stories.new_run(fakes.Path("runs"), "in-place")
        lock = RunLock(run.lock)
        lock.acquire()
        story = stories.Story(run)
        await app.push_screen(RunScreen(run))
        await press(pilot, "d")
        assert demo.deployed == 0
        story.until_cutover(stories.LAMPS[:4])
        app.screen.tick()  # type: ignore[attr-defined]
        await press(pilot, "c")
        assert isinstance(app.screen, CutoverScreen)
        assert "Nothing is sent to the cluster" in as_text(app)
        await press(pilot, "f3")
        assert demo.deployed == 1
        await press(pilot, "escape", "d")
        assert demo.deployed == 1
        assert "the application was deployed" in as_text(app)
        assert "1,200 searches, 0 failed" in as_text(app)
        lock.release()


async def test_after_a_way_back_the_sandbox_deploys_what_it_had_before() -> None:
    demo = FakeDemo()
    app = app_of(demo=demo)
    async with app.run_test(size=(80, 24)) as pilot:
        done = stories.new_run(fakes.Path("runs"), "in-place").plan()
        back = RunFolder(fakes.Path("backs"))
        back.path.mkdir()
        plan = seals.seal(msgspec.structs.replace(done, follows="docs-run", hash=""))
        (back.path / "plan.json").write_bytes(plan_file.to_json(plan))
        story = stories.Story(back)
        story.until_cutover()
        story.finish()
        await app.push_screen(RunScreen(back))
        await press(pilot, "d")
        assert demo.deployed == -1
        assert "the application was deployed" in as_text(app)
        await press(pilot, "enter")
        assert isinstance(app.screen, SummaryScreen)
        assert "g goes back" not in as_text(app), "there is no way back from a way back"


async def test_the_log_follows_also_what_came_under_another_screen() -> None:
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        run = stories.new_run(fakes.Path("runs"))
        lock = RunLock(run.lock)
        lock.acquire()
        story = stories.Story(run)
        story.until_cutover()
        await app.push_screen(RunScreen(run))
        await press(pilot, "c")
        assert isinstance(app.screen, CutoverScreen)
        story.finish()
        app.screen._look()
        await press(pilot, "escape")
        assert "finished: the new model serves" in as_text(app).splitlines()[-3]
        lock.release()


async def test_an_answer_that_removes_its_own_question_goes_on_to_the_next() -> None:
    async with app_of().run_test(size=(80, 24)) as pilot:
        wizard = await to_questions(pilot)
        wizard.answer(set_answer(fakes.answers(), "vector.distance", "Dot"))
        screen = pilot.app.screen
        assert isinstance(screen, AskScreen)
        ids = [one.question.id for one in wizard.questions()]
        at, following = ids.index("vector.distance"), ids[ids.index("vector.distance") + 1]
        for _ in range(at):
            await pilot.press("enter")
        assert screen._at == "vector.distance"
        wizard.gone = "vector.distance"
        await press(pilot, "enter")
        assert screen._at == following


async def test_blanks_at_the_end_of_a_prefix_are_kept() -> None:
    async with app_of().run_test(size=(80, 24)) as pilot:
        wizard = await to_questions(pilot)
        model = msgspec.structs.replace(fakes.NEW, provider="fastembed", name="a/b")
        wizard.answer(msgspec.structs.replace(fakes.answers(), model=model))
        screen = pilot.app.screen
        assert isinstance(screen, AskScreen)
        for _ in range(40):
            if screen._at == "model.document_prefix":
                break
            await pilot.press("enter")
        await press(pilot, "tab")
        await press(pilot, *"find", "colon", "space", "enter")
        assert wizard.answers.model is not None and wizard.answers.model.document_prefix == "find: "


async def test_enter_alone_never_starts_a_run() -> None:
    async with app_of().run_test(size=(80, 24)) as pilot:
        wizard = await to_questions(pilot)
        wizard.answer(fakes.answers())
        for _ in range(30):
            await pilot.press("enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, ChecksScreen)
        assert "type exactly query-model-must-change" in as_text(pilot.app)
        assert not wizard.started
