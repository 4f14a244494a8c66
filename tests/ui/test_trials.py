"""Trials on a sample by keys: how far they are, skipping them, taking them later, and a measurement that fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from textual.pilot import Pilot

from changeover.errors import UnreachableError
from changeover_tui.screens.ask import AskScreen
from changeover_tui.screens.checks import ChecksScreen
from changeover_tui.screens.plan import PlanScreen

from . import fakes
from .conftest import as_text
from .test_screens import app_of
from .test_walk import leave_questions, press, to_checks, to_questions


async def to_trials(pilot: Pilot[int]) -> fakes.FakeWizard:
    """The checks while something is tried that does not end by itself."""
    wizard = await to_questions(pilot)
    wizard.answer(fakes.answers())
    wizard.trial = asyncio.Event()
    await leave_questions(pilot)
    return wizard


async def test_trials_say_how_far_they_are_can_be_skipped_and_taken_later() -> None:
    async with app_of().run_test(size=(80, 24)) as pilot:
        wizard = await to_trials(pilot)
        assert wizard.trial is not None
        screen = " ".join(as_text(pilot.app).split())
        assert "Trying fewer dimensions on stored vectors: reading stored vectors … 40 %. x skips it" in screen
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, ChecksScreen), "nothing goes on before it is measured"
        await press(pilot, "x")
        screen = " ".join(as_text(pilot.app).split())
        assert "query-model-must-change" in screen and "Skip trials" not in screen
        assert "not tried: fewer dimensions on stored vectors; t tries it on a sample" in screen
        wizard.trial.set()
        await press(pilot, "t")
        assert "not tried" not in as_text(pilot.app)
        await press(pilot, "enter", *"query-model-must-change", "enter", "enter")
        assert isinstance(pilot.app.screen, PlanScreen)


async def test_a_plan_can_be_made_without_the_trials() -> None:
    async with app_of().run_test(size=(80, 24)) as pilot:
        await to_trials(pilot)
        await press(pilot, "x", "enter", *"query-model-must-change", "enter", "enter")
        assert isinstance(pilot.app.screen, PlanScreen)


async def test_going_back_ends_the_trials() -> None:
    async with app_of().run_test(size=(80, 24)) as pilot:
        wizard = await to_trials(pilot)
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, AskScreen)
        assert not pilot.app.workers
        assert wizard.untried()


async def test_a_measurement_that_fails_can_be_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: fakes.FakeWizard, **_: Any) -> None:
        raise UnreachableError("queries.file q.jsonl: no such file")

    monkeypatch.setattr(fakes.FakeWizard, "probe", broken)
    async with app_of().run_test(size=(80, 24)) as pilot:
        await to_checks(pilot)
        assert "Error: queries.file q.jsonl: no such file" in as_text(pilot.app)
        assert "m measures again" in as_text(pilot.app)
        monkeypatch.undo()
        await press(pilot, "m")
        assert "query-model-must-change" in as_text(pilot.app)
