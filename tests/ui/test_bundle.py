"""A bundle on the screens: where it came from on every one, the same questions and plan, and nothing that runs."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from changeover.bundle.make import Contents, make
from changeover.bundle.model import Bundle, TakenOut
from changeover.bundle.offline import UNMEASURED, BundleWizard, unpacked
from changeover.engine import journal
from changeover.plan.file import load
from changeover.plan.model import Access
from changeover.version import __version__
from changeover_tui.app import ChangeoverApp
from changeover_tui.plain import opened
from changeover_tui.plain.prompts import Scripted
from changeover_tui.screens.ask import AskScreen
from changeover_tui.screens.bundle import BundleScreen
from changeover_tui.screens.checks import ChecksScreen
from changeover_tui.screens.plan import PlanScreen
from changeover_tui.screens.run import RunScreen
from changeover_tui.screens.summary import SummaryScreen
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.evidence import EvidencePane
from tests.unit import surveys

from .conftest import Check, as_text
from .fakes import clock, plan
from .stories import Story, new_run
from .test_screens import settle

URL = "https://cluster.acme.example:6333"
NOTE = "bundle taken 2027-01-15 08:00 UTC, no cluster here"


def bundle_of(run: Path | None = None, **changes: object) -> Bundle:
    """Of the synthetic collection; with `run` of a run's journal too."""
    contents = Contents(
        about="docs",
        access=Access(url=URL),
        answers=surveys.answers(),
        survey=surveys.survey(url=URL),
        probes=surveys.PROBES,
    )
    if run is not None:
        contents = msgspec.structs.replace(
            contents, about="docs-1", plan=plan(), journal=tuple(journal.read_all(run)), engine_log=("ready",)
        )
    made, _ = make(msgspec.structs.replace(contents, **changes), frozenset(), {})
    # What differs from one machine, or from one wording of the engine, to the next stands still.
    return msgspec.structs.replace(
        made,
        taken_at="2027-01-15T08:00:00+00:00",
        versions={"changeover": __version__, "python": "3.11"},
        taken_out=(TakenOut(what="addresses of hosts", count=2), TakenOut(what="texts of sampled points", count=40)),
    )


def app_on(bundle: Bundle, tmp_path: Path) -> ChangeoverApp:
    run = unpacked(bundle, tmp_path) if bundle.plan is not None else None
    return ChangeoverApp(
        None, {}, start="bundle", run=run, bundle=BundleWizard(bundle), read_only=True, clock=clock, warm_up=False
    )


async def test_a_bundle_is_walked_to_a_saved_plan(tmp_path: Path, check: Check) -> None:
    app = app_on(bundle_of(), tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert isinstance(app.screen, AskScreen) and NOTE in as_text(app)
        await check(app, "bundle/ask")
        await pilot.press("escape")
        await settle(pilot)
        assert isinstance(app.screen, BundleScreen) and NOTE in as_text(app)
        await check(app, "bundle/contents")
        await pilot.press("enter")
        await settle(pilot)
        while isinstance(app.screen, AskScreen):
            await pilot.press("enter")
            await pilot.pause()
        await settle(pilot)
        assert isinstance(app.screen, ChecksScreen) and NOTE in as_text(app)
        footer = {binding.binding.action for binding in app.screen.active_bindings.values() if binding.enabled}
        assert "measure" not in footer and "go_on" in footer
        for finding in app.screen._open():
            await pilot.press("enter", *finding.code, "enter")
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(app.screen, PlanScreen) and NOTE in as_text(app)
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(app.screen, PlanScreen), "nothing is confirmed, nothing runs"
        assert "for the customer" in as_text(app)
    saved = next(Path.cwd().glob("*.plan.json"))
    assert load(saved).job.access.url.endswith(".invalid:6333")


async def test_what_was_not_measured_is_said(tmp_path: Path) -> None:
    app = app_on(bundle_of(answers=surveys.answers(model=None, add_sparse=True), probes=surveys.Probes()), tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        said = ""
        while isinstance(app.screen, AskScreen):
            footer = {binding.binding.action for binding in app.screen.active_bindings.values() if binding.enabled}
            assert not footer & {"try_it", "try_typed"}
            said += " ".join(cell.said for cell in app.screen.query_one(EvidencePane).query(Cell))
            await pilot.press("enter")
            await pilot.pause()
        assert UNMEASURED in " ".join(said.split())
        await settle(pilot)
        assert "not measured, no cluster here: hybrid search on your texts" in " ".join(as_text(app).split())
        assert "t tries it" not in as_text(app)


async def test_the_run_in_a_bundle_is_looked_at_and_asked_nothing(tmp_path: Path, check: Check) -> None:
    story = Story(new_run(Path("runs")))
    story.loading()
    bundle = bundle_of(story.run.journal)
    (tmp_path / "open").mkdir()
    app = app_on(bundle, tmp_path / "open")
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert isinstance(app.screen, BundleScreen), "with a run in it there is a choice"
        await check(app, "bundle/contents-run")
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(app.screen, RunScreen)
        text = " ".join(as_text(app).split())
        assert NOTE in text and "As it stood when the bundle was taken: running." in text
        await check(app, "bundle/run")
        actions = {binding.binding.action for binding in app.screen.active_bindings.values() if binding.enabled}
        assert not actions & {"engine", "pause", "rate", "stop", "cutover", "compare", "deploy"}
        await pilot.press("w")
        await settle(pilot)
        await pilot.press("escape", "escape")
        await settle(pilot)
        assert isinstance(app.screen, BundleScreen)


async def test_a_finished_run_in_a_bundle_has_its_summary(tmp_path: Path) -> None:
    story = Story(new_run(Path("runs")))
    story.until_cutover()
    story.finish()
    (tmp_path / "open").mkdir()
    app = app_on(bundle_of(story.run.journal, survey=None), tmp_path / "open")
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(app.screen, SummaryScreen)
        assert "the report lies where the run was made" in as_text(app)


def test_a_bundle_in_lines(tmp_path: Path) -> None:
    story = Story(new_run(Path("runs")))
    story.loading()
    said: list[str] = []
    bundle = bundle_of(story.run.journal)
    assert opened.walk(BundleWizard(bundle), Scripted({"Write the plan to": "made.json"}), said.append) == 0
    lines = "\n".join(said)
    assert "the run docs-1, as it stood then (running):" in lines
    assert "taken out  addresses of hosts" in lines
    assert NOTE in lines and "changeover apply made.json" in lines
    assert load(Path("made.json")).job.source == "docs_v1"
    assert opened.walk(BundleWizard(bundle_of(survey=None)), Scripted(), said.append) == 0
    assert "nothing to ask or to plan" in said[-1]
    assert opened.walk(BundleWizard(bundle), Scripted(confirm=False), said.append) == 4


@pytest.mark.parametrize("size", [(60, 20), (120, 40)])
async def test_contents_fit(tmp_path: Path, size: tuple[int, int]) -> None:
    app = app_on(bundle_of(), tmp_path)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await pilot.press("escape")
        await settle(pilot)
        text = as_text(app)
        assert "Walk the questions" in text and "no cluster" in text and "Enter opens the marked row" in text
