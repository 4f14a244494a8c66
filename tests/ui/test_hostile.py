"""What a cluster, a payload or a model says is only text: no markup, no escape sequence, no way out of a line."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import msgspec
import pytest

from changeover import seals
from changeover.checks.model import Finding
from changeover.engine import events as ev
from changeover.engine import state as run_state
from changeover.engine.folder import RunFolder
from changeover.engine.lock import RunLock
from changeover.report.build import write as write_report
from changeover.survey.listing import Listed
from changeover_tui.plain.follow import lines
from changeover_tui.screens.checks import ChecksScreen
from changeover_tui.screens.collections import CollectionsScreen
from changeover_tui.screens.plan import PlanScreen
from changeover_tui.screens.run import RunScreen

from . import fakes, stories
from .conftest import as_text
from .test_screens import ACCESS, settle, showing, surveyed

HOSTILE = (
    "[bold red]red[/] [/] [@click=app.quit]go[/] <script>alert(1)</script> &amp; \"'",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b2J a\u202eb\u200fc\ufeff one\ntwo\r\nthree\ttab\x00nul\x08back",
    "x" * 10_000,
    "漢字" * 200 + "\ud800 {braces} %s {0} $text \\",
)
each_text = pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))


def is_safe(shown: str) -> bool:
    """Nothing that a terminal obeys: only line breaks between lines."""
    return all(char == "\n" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in shown)


def events(story: stories.Story, text: str) -> list[ev.Event]:
    """Everything in a journal that foreign text can be in."""
    at = story.at
    return [
        ev.Log(at=at, level="error", text=text),
        ev.Log(at=at, level="info", text=text),
        ev.Skipped(at=at, id=7, reason=text),
        ev.Conflict(at=at, id=7, kept="new", reason=text),
        ev.Canary(at=at, searches=6000, failures=3, p50_ms=1, p95_ms=2, baseline_p95_ms=1, last_error=text),
        ev.Progress(at=at, step="load", done=1, total=4000, note=text),
    ]


def journal(run: RunFolder, text: str, *, finished: bool) -> None:
    story = stories.Story(run)
    lamps = tuple(ev.Lamp(name=lamp.name, on=finished, detail=text) for lamp in stories.LAMPS)
    story.until_cutover(lamps=lamps)
    story.write(*events(story, text))
    if finished:
        story.finish()
        story.write(ev.CutOver(at=story.at, detail=text))
        story.write(ev.RunFinished(at=story.at, summary=text, report="report.html"))


def encodable(text: str) -> str:
    """As it can stand in JSON."""
    return text.encode("utf-8", "replace").decode()


@each_text
async def test_a_run_and_its_cutover_show_foreign_text_as_text(text: str, tmp_path: Path) -> None:
    run = stories.new_run(tmp_path / "runs")
    journal(run, encodable(text), finished=False)
    lock = RunLock(run.lock)
    lock.acquire()
    try:
        async with showing(RunScreen(run), (80, 24)) as pilot:
            assert is_safe(as_text(pilot.app))
            await pilot.press("c")
            await settle(pilot)
            assert is_safe(as_text(pilot.app))
            if text.startswith("[bold"):
                assert "[bold red]" in as_text(pilot.app), "shown as it is"
    finally:
        lock.release()


@each_text
async def test_the_summary_shows_foreign_text_as_text(text: str, tmp_path: Path) -> None:
    run = stories.new_run(tmp_path / "runs")
    journal(run, encodable(text), finished=True)
    run.report.write_text("<html>")
    async with showing(RunScreen(run), (80, 24)) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        assert is_safe(as_text(pilot.app))


@each_text
async def test_collections_findings_and_plans_show_foreign_text_as_text(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Listed(name=text, points=1, vectors=(text, text), aliases=(text,), flags=(text,))
    monkeypatch.setattr(fakes, "LISTED", (listed, *fakes.LISTED))
    wizard: Any = fakes.FakeWizard(ACCESS, {})
    async with showing(CollectionsScreen(wizard), (80, 24)) as pilot:
        assert is_safe(as_text(pilot.app))
    wizard = await surveyed()
    finding = Finding(
        code="days-not-hours",
        severity="warning",
        title=text,
        measured=text,
        consequence=text,
        remedy=text,
        source=text,
    )
    wizard.found = (finding, *fakes.FINDINGS)
    async with showing(ChecksScreen(wizard, set()), (80, 24)) as pilot:
        assert is_safe(as_text(pilot.app))
    said = encodable(text)
    plan = fakes.plan()
    job = msgspec.structs.replace(plan.job, source=said, target=said, name_in_use=said, template=said)
    hostile = seals.seal(msgspec.structs.replace(plan, job=job, application=said, hash=""))
    monkeypatch.setattr(wizard, "plan", lambda: hostile)
    async with showing(PlanScreen(wizard, set()), (80, 24)) as pilot:
        assert is_safe(as_text(pilot.app))


@each_text
def test_plain_lines_and_the_report_hold_foreign_text_as_text(text: str, tmp_path: Path) -> None:
    run = stories.new_run(tmp_path / "runs")
    journal(run, encodable(text), finished=True)
    state = run.state()
    said = "\n".join(lines(run_state.begin(run.plan()), state))
    assert is_safe(said)
    assert all(len(line) < 12_000 for line in said.split("\n"))
    write_report(run)
    html = run.report.read_text("utf-8")
    assert "<script" not in html.lower()
    assert "\x1b" not in html and "\u202e" not in html
