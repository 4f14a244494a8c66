"""Snapshots of screens: `await check(app, "ask/first")` compares an SVG and a text with those in snapshots/."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input

from changeover_tui.app import ChangeoverApp

SNAPSHOTS = Path(__file__).resolve().parents[2] / "snapshots"
SIZES = ((80, 24), (120, 40))
Check = Callable[[App[int], str], Awaitable[None]]


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing blinks or depends on this machine; runs live under a relative path so that it reads the same anywhere."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.delenv("SSH_TTY", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Input, "_toggle_cursor", lambda self: None)


@pytest.fixture
def check(request: pytest.FixtureRequest) -> Check:
    """Compare the screen with snapshots/<name>-<size>.svg and .txt; --snapshot-update writes them."""
    update = bool(request.config.getoption("--snapshot-update"))

    async def compare(app: App[int], name: str) -> None:
        await app.animator.wait_for_idle()
        where = SNAPSHOTS / f"{name}-{app.size.width}x{app.size.height}"
        svg, text = picture(app), as_text(app)
        if update:
            where.parent.mkdir(parents=True, exist_ok=True)
            where.with_name(where.name + ".svg").write_text(svg, "utf-8", newline="\n")
            where.with_name(where.name + ".txt").write_text(text, "utf-8", newline="\n")
            return
        known = _read(where.with_name(where.name + ".txt"))
        if text != known or svg != _read(where.with_name(where.name + ".svg")):
            where.parent.mkdir(parents=True, exist_ok=True)
            where.with_name(where.name + ".new.svg").write_text(svg, "utf-8", newline="\n")
            lines = difflib.unified_diff(known.splitlines(), text.splitlines(), "kept", "now", lineterm="")
            diff = "\n".join(lines) or "the text is the same; colours or styles differ"
            pytest.fail(f"{name}: the screen changed (picture: *.new.svg; --snapshot-update keeps it)\n{diff}")

    return compare


def picture(app: App[int]) -> str:
    """The screen as SVG without the ids that change from one process to the next."""
    return re.sub(r"terminal-\d+-", "terminal-", app.export_screenshot(title="changeover", simplify=True))


def as_text(app: App[int]) -> str:
    """The screen as lines of text."""
    strips = app.screen._compositor.render_strips()
    return "".join("".join(segment.text for segment in strip).rstrip() + "\n" for strip in strips)


async def shows(pilot: Pilot[Any], words: str) -> None:
    """Wait until the screen has these words; how long that takes is the machine's affair."""
    until = time.monotonic() + 30
    while words not in as_text(pilot.app):
        assert time.monotonic() < until, f"no {words!r} on the screen:\n{as_text(pilot.app)}"
        await pilot.pause(0.02)
    await pilot.pause()


def _read(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


__all__ = ["SIZES", "ChangeoverApp", "Check", "as_text", "picture", "shows"]
