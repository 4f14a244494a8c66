"""The evidence pane by keys: trying from a question, partial figures, cancelling, errors; and charts as text."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from changeover.checks.model import Probes
from changeover.decision.answers import Answers
from changeover.decision.charts import Bar, Chart
from changeover.errors import StoppedError, UnreachableError
from changeover.quality.model import Score
from changeover.quality.trials import Cut, DimensionsTrial, GainTrial
from changeover.safe_text import cells
from changeover.survey.trials import take
from changeover.wizard import Wizard
from changeover_tui.plain import walk
from changeover_tui.plain.prompts import Numbered
from changeover_tui.screens.ask import AskScreen
from changeover_tui.screens.checks import ChecksScreen
from changeover_tui.widgets import chart as charts
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.evidence import EvidencePane

from . import fakes
from .conftest import Check, as_text, shows
from .test_screens import ACCESS, Size, each_size, settle, showing

CUTS = tuple(
    Cut(method=method, size=size, overlap=kept, ndcg_kept=kept + 0.04)  # type: ignore[arg-type]
    for size, many in ((192, (0.92, 0.81, 0.97)), (128, (0.81, 0.68, 0.92)), (64, (0.6, 0.41, 0.74)))
    for method, kept in zip(("leading", "random", "pca"), many, strict=True)
)
WORSE = tuple(msgspec.structs.replace(cut, ndcg_kept=cut.overlap - 0.1) for cut in CUTS)
CUT = DimensionsTrial(vector="text", full=256, sampled=2000, queries=300, cuts=CUTS, gap=0.143, matryoshka=True)


class Trying:
    """The real wizard on a survey from memory; every trial waits for `go`, then gives `found` or raises `breaks`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = asyncio.Event()
        self.under_way = 0
        self.taken = 0
        self.found: Any = CUT
        self.breaks: BaseException | None = None
        rows = tuple(trial._replace(run=self._run) for trial in take.TRIALS)
        monkeypatch.setattr(take, "TRIALS", rows)

        async def gateway(wizard: Wizard) -> Any:
            return None

        monkeypatch.setattr(Wizard, "gateway", gateway)
        self.wizard = Wizard(ACCESS, {})
        self.wizard.survey = fakes.survey()

    async def _run(self, gateway: Any, survey: Any, answers: Any, environ: Any, progress: Any, partly: Any) -> Any:
        self.under_way += 1
        try:
            progress(300, 2000, "reading stored vectors")
            if isinstance(self.found, DimensionsTrial):
                partly(DimensionsTrial(vector="text", full=256, sampled=2000, queries=300, cuts=CUTS[:3]))
            await self.go.wait()
            if self.breaks is not None:
                raise self.breaks
            self.taken += 1
            return self.found
        finally:
            self.under_way -= 1


@pytest.fixture
def trying(monkeypatch: pytest.MonkeyPatch) -> Trying:
    return Trying(monkeypatch)


def asking(trying: Trying, question: str, **said: str) -> AskScreen:
    trying.wizard.answer(fakes.said(Answers(collection="docs"), **said))
    screen = AskScreen(trying.wizard)
    screen._at = question
    return screen


async def to(pilot: Pilot[int], question: str) -> AskScreen:
    screen = pilot.app.screen
    assert isinstance(screen, AskScreen)
    screen._show(next(asked for asked in screen._asked if asked.question.id == question))
    await settle(pilot)
    return screen


async def begin(pilot: Pilot[int], key: str = "t") -> None:
    """Press the key that tries, and wait until it is under way."""
    await pilot.press(key)
    await pilot.pause()
    await pilot.pause()


def said(pilot: Pilot[int]) -> str:
    """The pane, on one line."""
    cells = pilot.app.screen.query_one(EvidencePane).query(Cell)
    return " ".join(" ".join(cell.said for cell in cells).split())


@each_size
async def test_a_question_is_tried_on_a_sample(size: Size, check: Check, trying: Trying) -> None:
    async with showing(asking(trying, "", avoid="dimensions"), size) as pilot:
        screen = await to(pilot, "target.dimension")
        await check(pilot.app, "ask/not-tried")
        await begin(pilot)
        screen._show_evidence()
        await pilot.pause()
        await check(pilot.app, "ask/trying")
        trying.go.set()
        await settle(pilot)
        await check(pilot.app, "ask/tried")
        assert trying.wizard.probes.dimensions == CUT
        await pilot.press("t")
        await settle(pilot)
        assert trying.taken == 1, "what is known is not tried again"


@each_size
async def test_what_is_tried_can_be_cancelled_and_tried_again(size: Size, check: Check, trying: Trying) -> None:
    async with showing(asking(trying, "", avoid="dimensions"), size) as pilot:
        await to(pilot, "target.dimension")
        await begin(pilot)
        assert trying.under_way == 1
        await pilot.press("x")
        await settle(pilot)
        assert trying.under_way == 0 and not pilot.app.workers
        await check(pilot.app, "ask/cancelled")
        assert "192 leading" in said(pilot), "what was measured stays"
        assert trying.wizard.probes.dimensions is None, "and decides nothing"
        trying.go.set()
        await begin(pilot)
        await settle(pilot)
        assert ("Cancelled" not in said(pilot) and "64 PCA" in said(pilot)) or size == (80, 24)
        assert trying.wizard.probes.dimensions == CUT


@each_size
async def test_a_cluster_that_goes_away_is_one_line_and_can_be_tried_again(
    size: Size, check: Check, trying: Trying
) -> None:
    trying.breaks = UnreachableError("http://localhost:6333: the connection was closed; is the server running?")
    async with showing(asking(trying, "", avoid="dimensions"), size) as pilot:
        await to(pilot, "target.dimension")
        await begin(pilot)
        trying.go.set()
        await settle(pilot)
        await check(pilot.app, "ask/error")
        assert trying.under_way == 0
        trying.breaks = None
        await begin(pilot)
        await settle(pilot)
        assert trying.wizard.probes.dimensions == CUT


async def test_an_error_inside_a_trial_is_tried_again(trying: Trying) -> None:
    trying.found = DimensionsTrial(vector="text", full=256, sampled=0, error="POST /points: 503 overloaded")
    trying.go.set()
    async with showing(asking(trying, "", avoid="dimensions"), (80, 24)) as pilot:
        await to(pilot, "target.dimension")
        await begin(pilot)
        await settle(pilot)
        assert "503 overloaded (trial) t tries again." in said(pilot)
        trying.found = CUT
        await begin(pilot)
        await settle(pilot)
        assert trying.taken == 2 and trying.wizard.probes.dimensions == CUT


@pytest.mark.parametrize("key", ["enter", "escape", "f1"])
async def test_leaving_the_question_ends_what_is_tried(key: str, trying: Trying) -> None:
    async with showing(asking(trying, "", avoid="dimensions"), (80, 24)) as pilot:
        screen = await to(pilot, "target.dimension")
        await begin(pilot)
        await pilot.press(key)
        for _ in range(3):
            await pilot.pause()
        assert (pilot.app.screen is screen) == (key != "f1")
        assert trying.under_way == (1 if key == "f1" else 0), "a look at the help ends nothing"
        if key == "f1":
            await pilot.press("escape")
            trying.go.set()
            await settle(pilot)
            assert pilot.app.screen is screen and trying.wizard.probes.dimensions == CUT


async def test_a_typed_answer_is_tried_with_a_key_that_types_nothing(trying: Trying) -> None:
    async with showing(asking(trying, "", avoid="dimensions"), (80, 24)) as pilot:
        await to(pilot, "target.dimension")
        await pilot.press("tab", *"100")
        await pilot.pause()
        assert "F8 tries it now" in said(pilot)
        await begin(pilot, "f8")
        assert trying.under_way == 1
        assert "F8 Cancel" in as_text(pilot.app)
        await pilot.press("f8")
        await settle(pilot)
        assert trying.under_way == 0
        assert "Cancelled" in said(pilot) and "F8 tries again" in said(pilot)


async def test_the_marked_choice_decides_what_is_shown_and_tried(trying: Trying) -> None:
    trying.go.set()
    async with showing(asking(trying, ""), (120, 40)) as pilot:
        await to(pilot, "avoid")
        assert "tries it now" not in said(pilot), "without queries and models old and new cannot be compared"
        await pilot.press("2")
        await pilot.pause()
        assert "t tries it now: up to 2,000 stored vectors are cut here; at most 1 min." in said(pilot)
        assert "Enter takes the marked row" in as_text(pilot.app)
        await begin(pilot)
        await settle(pilot)
        assert "64 PCA" in said(pilot)
        await pilot.press("1")
        await pilot.pause()
        assert "64 PCA" not in said(pilot)
        assert "Enter takes what is proposed" in as_text(pilot.app)


@each_size
async def test_checks_show_figures_as_they_come_and_beside_their_finding(
    size: Size, check: Check, trying: Trying, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def probed(*_: Any) -> Probes:
        return fakes.PROBES

    monkeypatch.setattr("changeover.survey.probe.take_probes", probed)
    given = fakes.said(fakes.answers(), avoid="dimensions", target__reduction="leading", queries__file="q.jsonl")
    trying.wizard.answer(given)
    trying.found = msgspec.structs.replace(CUT, cuts=WORSE, matryoshka=False, gap=0.004)
    async with showing(None, size) as pilot:
        await pilot.app.push_screen(ChecksScreen(trying.wizard, set()))
        await shows(pilot, "192 leading")
        await check(pilot.app, "checks/measuring")
        trying.go.set()
        await settle(pilot)
        await pilot.press("down")
        await settle(pilot)
        await check(pilot.app, "checks/with-figures")
        assert "64 leading" in said(pilot)


def test_plain_prompts_try_too(trying: Trying, monkeypatch: pytest.MonkeyPatch) -> None:
    """`try` at a question: the same figures as lines; Ctrl+C leaves what there is."""
    typed = iter(("try", "try 2", "try dimensions", "quit"))
    said: list[str] = []
    wizard: Any = trying.wizard
    monkeypatch.setattr("changeover.wizard.Wizard", lambda access, environ: wizard)
    monkeypatch.setattr(Wizard, "take_survey", lambda self, name: asyncio.sleep(0, fakes.survey()))
    trying.go.set()
    trying.breaks = KeyboardInterrupt()

    def read() -> str:
        line = next(typed)
        if line == "try dimensions":
            trying.breaks = None
        return line

    with pytest.raises(StoppedError):
        walk.prepare(ACCESS, {}, Numbered(read, said.append), said.append, answers=Answers(collection="docs"))
    text = "\n".join(said)
    nothing, tried, cancelled, figures = (
        text.index(words)
        for words in (
            "there is nothing more to try for this answer",
            "trying it on a sample: up to 2,000 stored vectors are cut here; at most 1 min; nothing is written",
            "cancelled; what was measured before stands",
            "     64 PCA       74 %",
        )
    )
    assert nothing < tried < cancelled < figures
    assert trying.wizard.answers.avoid is None, "trying answers nothing"


@each_size
async def test_intervals_are_drawn(size: Size, check: Check, trying: Trying) -> None:
    def score(mean: float) -> Score:
        return Score(metric="nDCG@10", mean=mean, low=mean - 0.03, high=mean + 0.03)

    trying.found = GainTrial(
        points=1500, queries=200, old=score(0.412), new=score(0.547), difference=score(0.135), verdict="GO"
    )
    trying.go.set()
    given = fakes.said(fakes.answers(), queries__file="queries.jsonl")
    trying.wizard.answer(given)
    async with showing(AskScreen(trying.wizard), size) as pilot:
        await to(pilot, "avoid")
        await begin(pilot)
        await settle(pilot)
        await check(pilot.app, "ask/old-and-new")


@given(
    st.lists(st.tuples(st.text(max_size=20), st.floats(-0.5, 3), st.booleans()), min_size=1, max_size=5),
    st.integers(24, 90),
)
def test_a_chart_never_leaves_its_width(figures: list[tuple[str, float, bool]], width: int) -> None:
    bars = tuple(
        Bar(label=label, value=value, low=value - 0.1 if within else None, high=value + 0.1 if within else None)
        for label, value, within in figures
    )
    drawn = charts.draw(Chart(title="a title of some words", unit="score", source="measured here", bars=bars), width)
    lines = drawn.plain.split("\n")
    assert max(map(cells, lines)) <= width
    assert len(lines) >= len(bars) + 2


def test_bars_without_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    bar = Bar(label="old", value=0.5)
    assert charts.cells(bar, 1.0, 9) == "████▌░░░░"
    assert charts.cells(Bar(label="new", value=0.5, low=0.4, high=0.6), 1.0, 10) == "████▒▒░░░░"
    monkeypatch.setenv("TERM", "linux")
    assert charts.cells(bar, 1.0, 10) == "#####....."
    assert charts.cells(Bar(label="new", value=0.5, low=0.4, high=0.6), 1.0, 10) == "####==...."
