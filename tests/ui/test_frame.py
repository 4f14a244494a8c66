"""What is reached from every screen: the menu, the map and its way back, explanations, themes, hints."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from changeover_tui.app import ChangeoverApp
from changeover_tui.menu import Menu
from changeover_tui.screens.ask import AskScreen
from changeover_tui.screens.checks import ChecksScreen
from changeover_tui.screens.collections import CollectionsScreen
from changeover_tui.screens.explain import ExplainScreen
from changeover_tui.screens.help import HelpScreen
from changeover_tui.screens.map import MapScreen
from changeover_tui.screens.plan import PlanScreen
from changeover_tui.screens.run import RunScreen
from changeover_tui.screens.typed import TypedScreen
from changeover_tui.widgets.cell import Cell

from . import fakes, gallery
from .conftest import as_text
from .gallery import app_of, settle


async def at_the_plan(pilot: Pilot[int]) -> fakes.FakeWizard:
    """Questions, checks and plan stand one above the other, as after a walk."""
    app = pilot.app
    assert isinstance(app, ChangeoverApp)
    wizard: Any = await gallery.Scene().wizard()
    app.wizard = wizard
    for screen in (AskScreen(wizard), ChecksScreen(wizard, app.accepted), PlanScreen(wizard, app.accepted)):
        await app.push_screen(screen)
        await settle(pilot)
    return wizard  # type: ignore[no-any-return]


async def typed_into_the_menu(pilot: Pilot[int], words: str) -> None:
    await pilot.press("f4")
    await settle(pilot)
    assert isinstance(pilot.app.screen, Menu)
    await pilot.press(*words.replace(" ", ""))
    await settle(pilot)
    await pilot.press("enter")
    await settle(pilot)


async def test_the_map_leads_back_to_a_question_and_no_answer_is_lost() -> None:
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        wizard = await at_the_plan(pilot)
        given = wizard.answers
        await pilot.press("f5")
        await settle(pilot)
        assert isinstance(app.screen, MapScreen)
        assert "you are here" not in as_text(app).splitlines()[4], "everything is decided"
        names = [line.question for line in app.screen._lines]
        await pilot.press(*["down"] * names.index("keep_both"), "enter")
        await settle(pilot)
        assert isinstance(app.screen, AskScreen)
        assert app.screen.topic() == "keep_both"
        assert wizard.answers == given


async def test_a_question_that_is_not_asked_says_why_on_the_map() -> None:
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_the_plan(pilot)
        await pilot.press("f5")
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, MapScreen)
        index = next(n for n, line in enumerate(screen._lines) if line.question == "quantization.kind")
        await pilot.press(*["down"] * index, "enter")
        await settle(pilot)
        assert app.screen is screen
        assert "asked for another quantization" in screen.query_one("#line", Cell).said


async def test_the_map_of_a_run_changes_nothing_and_before_a_collection_there_is_none() -> None:
    app = app_of()
    scene = gallery.Scene()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("f5")
        assert not app.check_action("map", ())
        run = await gallery.run(gallery.loading)(scene)
        assert isinstance(run, RunScreen)
        await app.push_screen(run)
        await settle(pilot)
        await pilot.press("f5")
        await settle(pilot)
        assert isinstance(app.screen, MapScreen)
        assert "Go to it" not in as_text(app)
        await pilot.press("enter", "escape")
        await settle(pilot)
        assert app.screen is run
    scene.close()


async def test_the_marked_finding_is_explained_at_once() -> None:
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_the_plan(pilot)
        await pilot.press("escape")
        await settle(pilot)
        assert isinstance(app.screen, ChecksScreen)
        await pilot.press("f6")
        await settle(pilot)
        assert isinstance(app.screen, ExplainScreen)
        assert app.screen.topic() == "query-model-must-change"
        await pilot.press(*"nosuchword")
        await settle(pilot)
        assert "There is no such topic" in as_text(app)
        await pilot.press("escape", "escape", "f6")
        await settle(pilot)
        assert app.screen.topic() == "avoid", "on the questions the one in hand"


async def test_what_is_looked_up_lies_one_deep_and_goes_when_the_way_goes_on() -> None:
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        wizard = await at_the_plan(pilot)
        plan = app.screen
        await pilot.press("f1")
        await settle(pilot)
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("f6")
        await settle(pilot)
        await pilot.press("f5")
        await settle(pilot)
        assert app.screen_stack[-2] is plan
        app._next(CollectionsScreen(wizard))  # type: ignore[arg-type]
        await settle(pilot)
        assert app.screen_stack[-2] is plan
        await pilot.press("f4")
        await settle(pilot)
        app.subject.tell("something ended in the background")
        assert isinstance(app.screen, Menu)


@pytest.mark.long
async def test_the_menu_has_what_works_now_and_destroys_nothing_untyped() -> None:
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        wizard = await at_the_plan(pilot)
        await typed_into_the_menu(pilot, "Accept")
        assert isinstance(app.screen, TypedScreen)
        await typed_into_the_menu(pilot, "Confirm")
        assert isinstance(app.screen, TypedScreen), "the name is still to be typed"
        assert not wizard.started
        await typed_into_the_menu(pilot, "Question: In place, or")
        assert isinstance(app.screen, AskScreen)
        assert app.screen.topic() == "route"
        await typed_into_the_menu(pilot, "Explain canary")
        assert isinstance(app.screen, ExplainScreen)
        assert app.screen.topic() == "canary"


async def test_a_run_is_opened_from_the_menu() -> None:
    app = app_of()
    scene = gallery.Scene()
    gallery.stopped(scene.story(engine=False))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await typed_into_the_menu(pilot, "Open run docs")
        assert isinstance(app.screen, RunScreen)


async def test_themes_and_hints_stay_until_the_end() -> None:
    app = app_of(theme="light", hints=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert app.screen.query_one("#line", Cell).said == ""
        await at_the_plan(pilot)
        assert app.screen.query_one("#line", Cell).said == ""
        await pilot.press("f7")
        assert "Enter goes to the confirmation" in app.screen.query_one("#line", Cell).said
        seen = [app.theme]
        for _ in range(3):
            await pilot.press("f2")
            seen.append(app.theme)
        assert seen == ["changeover-light", "changeover-terminal", "changeover-dark", "changeover-light"]
        await pilot.press("escape", "escape")
        await settle(pilot)
        assert app.screen.query_one("#line", Cell).said.startswith("Enter keeps")


async def test_help_begins_with_what_is_in_focus() -> None:
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_the_plan(pilot)
        await pilot.press("tab", "f1")
        await settle(pilot)
        assert "In focus: The marked step" in as_text(app)
        said = app.screen.query_one("#help-text", Cell).said
        assert "alias: a second name for a collection" in said, "the words of the screen are explained"
        await pilot.press("f1")
        await settle(pilot)
        assert isinstance(app.screen, PlanScreen)


async def test_what_is_typed_is_not_taken_for_keys() -> None:
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_the_plan(pilot)
        await pilot.press("enter", *"qbm", "f6")
        await settle(pilot)
        await pilot.press("escape")
        await settle(pilot)
        assert app.screen.query_one(Input).value == "qbm"
