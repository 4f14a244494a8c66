"""Every screen of the gallery against its picture, at each size and in each theme, and read by somebody new."""

from __future__ import annotations

import pytest

from changeover_tui.app import ChangeoverApp
from changeover_tui.theme import THEMES

from .conftest import Check, as_text
from .gallery import SHOTS, USUAL, Shot, settle, shown
from .newcomer import missing

each_shot = pytest.mark.parametrize("shot", SHOTS, ids=lambda shot: shot.name)
LOOKS = [name for name in THEMES if name != "dark"]


@each_shot
async def test_a_screen(shot: Shot, check: Check) -> None:
    async with shown(shot) as pilot:
        app = pilot.app
        assert isinstance(app, ChangeoverApp)
        await check(app, shot.name)
        assert not missing(app, as_text(app))
        for name in LOOKS if shot.looks else ():
            app.choose_theme(name)
            await settle(pilot, busy=shot.busy)
            await check(app, f"{shot.name}-{name}")
        app.choose_theme("dark")
        for size in shot.sizes[1:]:
            await pilot.resize_terminal(*size)
            await settle(pilot, busy=shot.busy)
            await check(app, shot.name)
            assert not missing(app, as_text(app)), size


@pytest.mark.parametrize("shot", [shot for shot in SHOTS if shot.looks], ids=lambda shot: shot.name)
async def test_a_screen_without_colour(shot: Shot, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert shot.sizes[0] == USUAL
    async with shown(shot) as pilot:
        await check(pilot.app, f"{shot.name}-no-colour")
