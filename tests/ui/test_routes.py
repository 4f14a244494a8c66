"""Every route on the screens: what a plan, a run and its end say, and what they do not say where it is not so."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from changeover.engine import state as run_state
from changeover.engine.journal import read_all
from changeover.engine.lock import RunLock
from changeover.engine.state import RunState
from changeover.plan.model import Plan
from changeover_tui import plan_words
from changeover_tui.plain import follow
from changeover_tui.runner import title_of
from changeover_tui.screens.cutover import CutoverScreen
from changeover_tui.screens.plan import PlanScreen, confirmation
from changeover_tui.screens.run import RunScreen
from changeover_tui.screens.summary import SummaryScreen
from changeover_tui.widgets import run_text, summary_text

from . import fakes, stories
from .conftest import Check, as_text
from .route_plans import ROUTES, route_plan
from .test_screens import ACCESS, settle, showing

SIZE = (80, 24)
WHERE = {
    "dimensions": "docs_v1, vector text-128",
    "quantization": "docs_v1, vector text",
    "linear-map": "docs_v1, vector minilm-bridge",
    "hybrid": "docs_v1, vector bm25",
    "text-index": "docs_v1, text index on text",
    "side-by-side": "docs_v1, vector minilm",
    "offline": "docs_v1, vector minilm",
    "same-name": "docs_v1 -> docs_v2",
    "server": "docs_v1, vector b",
}
LANE = {"hybrid": "encoder", "side-by-side": "embedder", "offline": "embedder", "same-name": "embedder"}
every_route = pytest.mark.parametrize("which", ROUTES)


def told(which: str, until: str = "", folder: Path = Path("runs")) -> tuple[Plan, RunState]:
    """The plan, and the state of its run up to a step of that kind, or at its end."""
    run = stories.run_of(route_plan(which), folder)
    stories.Story(run).go(until)
    return run.plan(), run_state.fold(run_state.begin(run.plan()), read_all(run.journal))


@every_route
def test_a_run_shows_only_lanes_that_it_has(which: str) -> None:
    plan, state = told(which, "load" if which not in ("quantization", "text-index") else "wait-green")
    said = "\n".join(
        (run_text.load(plan, state).plain, run_text.canary(plan, state).plain, run_text.backlog(plan, state).plain)
    )
    lane = LANE.get(which, "")
    assert plan_words.embedder(plan) == lane
    assert {word for word in ("embedder", "encoder") if word in said} == ({lane} if lane else set())
    assert ("writer" in said) == plan_words.loads(plan)
    assert ("catch-up" in said) == (plan_words.loads(plan) and plan.job.keeps_serving)
    assert ("the application is to be stopped" in said) == (not plan.job.keeps_serving)


@every_route
def test_a_run_has_a_name_and_a_way_back(which: str) -> None:
    plan, state = told(which)
    assert plan_words.where(plan) == WHERE[which]
    rows = dict(summary_text.rows(plan, state, "a-run"))
    assert rows["way back"]
    assert ("changeover rollback a-run" in rows["way back"]) == (which not in ("same-name", "hybrid", "text-index"))
    assert ("was removed" in rows["way back"]) == (which == "same-name")
    assert ("searches" in rows) == (which not in ("quantization", "text-index"))
    anew = "computed" if which in ("dimensions", "linear-map", "hybrid") else "embedded"
    assert ("verified" in rows) == plan_words.loads(plan)
    assert f"200 {anew} anew" in rows.get("verified", f"200 {anew} anew")


@every_route
def test_what_is_typed_for_is_said_before(which: str) -> None:
    plan = route_plan(which)
    said = " ".join(plan_words.before(plan))
    assert ("YOUR APPLICATION HAS TO BE STOPPED" in said) == (not plan.job.keeps_serving)
    assert ("goes on serving all the while" in said) == plan.job.keeps_serving
    assert ("There is no cutover" in said) == (which in ("quantization", "text-index"))
    assert ("REMOVES docs_v1" in said) == (which == "same-name")
    assert ("a bridge" in said) == (which == "linear-map")
    assert ("No point is written" in said) == (not plan_words.loads(plan))
    assert "token" not in said


@every_route
def test_what_the_cutover_sends(which: str) -> None:
    said = plan_words.sent(route_plan(which))
    requests = [line.partition(" ")[0] for line in said[1:]]
    assert requests == (["DELETE", "POST"] if which == "same-name" else [])
    assert ("plan has no cutover" in said[0]) == (which in ("quantization", "text-index"))


@every_route
def test_the_plain_end_says_what_was_measured(which: str, tmp_path: Path) -> None:
    run = stories.run_of(route_plan(which), tmp_path)
    stories.Story(run).go()
    state = run_state.fold(run_state.begin(run.plan()), read_all(run.journal))
    said = "\n".join(follow.summary(run, state))
    assert ("a bridge: " in said) == (which == "linear-map")
    assert ("65% of the gain recovered" in said) == (which == "linear-map")
    assert ("computed: principal components (PCA), on 4,000 stored vectors" in said) == (which == "dimensions")
    after = "after: recall@10 0.941, 2.1 ms; 0.992 with rescore, oversampling 2"
    assert (after in said) == (which == "quantization")
    assert "way back: " in said
    assert title_of(run.plan()) == f"{plan_words.kind(run.plan())}: {WHERE[which]}"


async def running(which: str, until: str, pilot: Pilot[int], *keys: str) -> None:
    run = stories.run_of(route_plan(which), Path("runs"))
    stories.Story(run).go(until)
    if until:
        lock = RunLock(run.lock)
        lock.acquire()
    await pilot.app.push_screen(RunScreen(run))
    await settle(pilot)
    for key in keys:
        await pilot.press(key)
    await settle(pilot)
    if until:
        lock.release()


@pytest.mark.parametrize("which", ["quantization", "linear-map", "same-name"])
async def test_plan(which: str, check: Check) -> None:
    wizard = fakes.FakeWizard(ACCESS, {})
    wizard.plan = lambda: route_plan(which)  # type: ignore[method-assign]
    async with showing(PlanScreen(wizard, set()), SIZE) as pilot:  # type: ignore[arg-type]
        await check(pilot.app, f"plan/{which}")


@pytest.mark.parametrize("which", ["quantization", "linear-map", "same-name"])
async def test_confirm(which: str, check: Check) -> None:
    async with showing(confirmation(route_plan(which)), SIZE) as pilot:
        await check(pilot.app, f"confirm/{which}")


@pytest.mark.parametrize(
    ("which", "until"), [("quantization", "wait-green"), ("linear-map", "load"), ("dimensions", "load")]
)
async def test_run(which: str, until: str, check: Check) -> None:
    async with showing(None, SIZE) as pilot:
        await running(which, until, pilot)
        shown = as_text(pilot.app)
        assert ("Speed" in shown) == (until == "load")
        assert ("(a bridge)" in shown) == (which == "linear-map")
        await check(pilot.app, f"run/{which}")


async def test_a_cutover_that_removes_says_so(check: Check) -> None:
    async with showing(None, SIZE) as pilot:
        await running("same-name", "await-cutover", pilot, "c")
        assert isinstance(pilot.app.screen, CutoverScreen)
        shown = as_text(pilot.app)
        assert "docs_v1 is REMOVED after a snapshot" in shown
        assert "alias where planned" not in shown
        await check(pilot.app, "cutover/same-name")
        await pilot.press("f1")
        await settle(pilot)
        assert "there is no other way back" in " ".join(as_text(pilot.app).split())


@pytest.mark.parametrize("which", ["quantization", "linear-map"])
async def test_summary(which: str, check: Check) -> None:
    async with showing(None, SIZE) as pilot:
        await running(which, "", pilot, "enter")
        assert isinstance(pilot.app.screen, SummaryScreen)
        await check(pilot.app, f"summary/{which}")
