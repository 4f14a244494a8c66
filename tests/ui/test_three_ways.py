"""Screens, prompts and verbs are three ways to the same thing: the questions, the findings, the plan, and every deed."""

from __future__ import annotations

import asyncio
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import changeover.wizard
from changeover.checks.model import Finding
from changeover.decision.answers import Answers, to_toml
from changeover.decision.questions import QUESTIONS
from changeover.engine.folder import RunFolder
from changeover.plan import file as plan_file
from changeover.plan.model import Plan
from changeover.routes import build
from changeover.survey.model import Survey
from changeover.wizard import Wizard, refuse_unaccepted
from changeover_tui import bindings, cli, plain
from changeover_tui.plain import aid, menu, walk
from changeover_tui.plain.prompts import Scripted
from changeover_tui.screens.ask import AskScreen
from changeover_tui.screens.checks import ChecksScreen
from changeover_tui.screens.plan import PlanScreen
from changeover_tui.verbs.common import answers_given
from tests.unit import surveys

from .conftest import as_text
from .test_screens import app_of, settle


class Scenario(NamedTuple):
    """What is said other than Enter: the keys of the screen, and the answers of prompts and file. `route` follows."""

    route: str
    keys: dict[str, tuple[str, ...]]
    said: dict[str, str]
    survey: Survey = surveys.survey()
    given: Answers = Answers(collection="docs", old_model=surveys.OLD)


MINILM = {"model.provider": ("end",), "model.name": tuple("minilm")}
SAID_MINILM = {"model.provider": "sandbox", "model.name": "minilm"}
SCENARIOS = {
    "in place": Scenario("in-place", MINILM, SAID_MINILM),
    "blue-green, an old server": Scenario("blue-green", MINILM, SAID_MINILM, surveys.survey(version="1.17.1")),
    "hybrid": Scenario(
        "hybrid",
        {"add_sparse": ("1",), "sparse.language": ("tab", *"german")},
        {"add_sparse": "true", "sparse.language": "german"},
    ),
    "fewer dimensions": Scenario(
        "dimensions",
        {"avoid": ("2",), "target.dimension": ("tab", *"100")},
        {"avoid": "dimensions", "target.dimension": "100"},
    ),
    "quantization": Scenario(
        "quantization",
        {"avoid": ("3",), "quantization.kind": ("down",)},
        {"avoid": "quantization", "quantization.kind": "turbo-4"},
    ),
}


class Recalled(Wizard):
    """The wizard itself on a survey from memory; nothing is connected to, and no engine is started."""

    survey_to_take: Survey
    root: Path
    made: list[Recalled]

    async def take_survey(self, name: str) -> Survey:
        self.survey = self.survey_to_take
        return self.survey

    async def probe(self, **_: Any) -> Any:
        self.probes = surveys.PROBES
        return self.probes

    def untried(self) -> tuple[str, ...]:
        return ()

    def start(self, plan: Plan, accepted: frozenset[str], folder: Path | None = None) -> RunFolder:
        refuse_unaccepted(plan, accepted)
        return RunFolder.create(plan, {}, self.root / plan.id, accepted)


class Outcome(NamedTuple):
    """What one way came to."""

    asked: list[str]
    findings: tuple[Finding, ...]
    plan: Plan


@pytest.fixture
def recalled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[Recalled]:
    """The class of every wizard that is made, at a moment that does not pass."""

    class Frozen(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Frozen:
            return cls(2027, 1, 15, 8, tzinfo=UTC)

    class Made(Recalled):
        root = tmp_path / "runs"
        made: list[Recalled] = []  # noqa: RUF012  # one list for each test

        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.made.append(self)

    monkeypatch.setattr(build, "datetime", Frozen)
    monkeypatch.setattr(build.secrets, "token_hex", lambda _: "0000")
    monkeypatch.setattr(changeover.wizard, "Wizard", Made)
    return Made


async def by_keys(scenario: Scenario, recalled: type[Recalled]) -> Outcome:
    """The screens, by what is pressed."""
    app = app_of()
    asked: list[str] = []
    async with app.run_test(size=(80, 24)) as pilot:
        wizard = recalled(surveys.ACCESS, {})
        await wizard.take_survey("docs")
        wizard.answer(scenario.given)
        app.wizard = wizard
        await settle(pilot)
        await app.push_screen(AskScreen(wizard))
        await pilot.pause()
        while isinstance(screen := app.screen, AskScreen):
            assert len(asked) < 50, asked
            asked.append(screen._at)
            await pilot.press(*scenario.keys.get(screen._at, ()), "enter")
        await settle(pilot)
        assert isinstance(app.screen, ChecksScreen), as_text(app)
        for finding in wizard.findings():
            if finding.acknowledge and finding.code not in app.accepted:
                await pilot.press("enter", *finding.code, "enter")
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(app.screen, PlanScreen), as_text(app)
        plan = app.screen._plan
        assert plan is not None, as_text(app)
        refuse_unaccepted(plan, frozenset(app.accepted))
        return Outcome(asked, wizard.findings(), plan)


def by_prompts(scenario: Scenario, recalled: type[Recalled]) -> Outcome:
    """The prompts, by what is typed."""

    class Person(Scripted):
        """Answers by the exact id."""

        def _find(self, question: str) -> str | None:
            return scenario.said.get(question)

    person = Person()
    run = walk.prepare(surveys.ACCESS, {}, person, lambda _: None, answers=scenario.given, collection="docs")
    wizard = recalled.made[-1]
    ids = {question.id for question in QUESTIONS}
    return Outcome([asked for asked in person.asked if asked in ids], wizard.findings(), run.plan())


def by_file(answers: Path, recalled: type[Recalled], folder: Path) -> Outcome:
    """The verb, by an answers file."""
    path = folder / "plan.json"
    words = ["plan", "docs", "--answers", str(answers), "--url", surveys.ACCESS.url, "-o", str(path)]
    assert cli.main(words) == 0
    wizard = recalled.made[-1]
    return Outcome([one.question.id for one in wizard.questions()], wizard.findings(), plan_file.load(path))


@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(one, id=name, marks=() if name == "in place" else pytest.mark.long)
        for name, one in SCENARIOS.items()
    ],
)
async def test_the_same_questions_findings_and_plan(
    scenario: Scenario, recalled: type[Recalled], tmp_path: Path
) -> None:
    recalled.survey_to_take = scenario.survey
    screens = await by_keys(scenario, recalled)
    prompts = await asyncio.to_thread(by_prompts, scenario, recalled)
    kept = RunFolder(recalled.root / prompts.plan.id).answers
    few = tmp_path / "few.toml"
    few.write_text(to_toml(scenario.given), "utf-8")
    few.write_text(to_toml(answers_given(str(few), [f"{id_}={said}" for id_, said in scenario.said.items()])), "utf-8")
    assert screens.plan.route == scenario.route
    # What the walk kept says everything; a person's own file says only what differs from the proposals.
    for answers in (kept, few):
        verb = await asyncio.to_thread(by_file, answers, recalled, tmp_path)
        assert screens.asked == prompts.asked == verb.asked
        assert screens.findings == prompts.findings == verb.findings
        assert screens.plan.answers == prompts.plan.answers == verb.plan.answers
        assert screens.plan.hash == prompts.plan.hash == verb.plan.hash


class Verb(str):
    """A command line without the command's name."""

    __slots__ = ()


class Word(str):
    """A word that can be typed at any prompt."""

    __slots__ = ()


class Said(str):
    """What the plain wizard says or asks for it."""

    __slots__ = ()


class Deed(str):
    """A row of the list of what can be done with a run."""

    __slots__ = ()


class Needless(str):
    """Why lines need no such thing."""

    __slots__ = ()


VOTE = (Deed("compare"), Verb("compare RUN --vote"))
COMPARE = (Deed("compare"), Verb("compare RUN --queries FILE"))
WITHOUT_A_SCREEN: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "back"): (Word("back"),),
    ("", "quit"): (Word("quit"),),
    ("", "app.help"): (Word("?"), Word("explain TOPIC"), Verb("explain avoid")),
    ("", "app.menu"): (Word("?"),),
    ("", "app.map"): (Word("map"),),
    ("", "app.explain"): (Word("explain TOPIC"), Verb("explain avoid")),
    ("", "app.next_theme"): (Needless("lines have the colours of the terminal"),),
    ("", "app.toggle_hints"): (Needless("a person types ? for what explains"),),
    ("", "app.focus_next"): (Needless("there are no panes"),),
    ("", "app.focus_previous"): (Needless("there are no panes"),),
    ("", "copy_text"): (Needless("the terminal's own copying works on lines"),),
    ("start", "choose"): (Said("What do you want to do?"), Verb("demo --plain"), Verb("runs")),
    ("start", "resume_run"): (Deed("resume"), Verb("resume RUN")),
    ("connect", "submit"): (Said("REST address of your cluster"), Verb("inspect --url http://localhost:6333")),
    ("collections", "choose"): (Said("Which collection?"), Verb("inspect docs")),
    ("collections", "reload"): (Word("back"), Verb("inspect")),
    ("ask", "take"): (Said("Enter takes what is proposed"), Verb("plan docs --answers FILE --set avoid=none")),
    ("scenarios", "choose"): (Verb("demo --plain --scenario hybrid"),),
    ("map", "go"): (Word("back"),),
    ("ask", "try_it"): (Word("try [ANSWER]"),),
    ("ask", "try_typed"): (Word("try [ANSWER]"),),
    ("ask", "cancel"): (Said("(Ctrl+C cancels)"),),
    ("ask", "cancel_typed"): (Said("(Ctrl+C cancels)"),),
    ("checks", "go_on"): (Said("to acknowledge it, or back"), Verb("apply plan.json --accept CODE")),
    ("checks", "skip"): (Said("(Ctrl+C skips it)"), Verb("plan docs --quick")),
    ("checks", "try_it"): (Said("go through the questions again"), Verb("check docs")),
    ("checks", "measure"): (Verb("check docs --answers FILE"),),
    ("plan", "accept"): (Said("to start the engine, or back"), Verb("apply plan.json")),
    ("plan", "hand_over"): (Said("Write the plan to"), Verb("open docs.bundle.json -o FILE")),
    ("bundle", "choose"): (Verb("open docs.bundle.json --plain"),),
    ("plan", "copy"): (Said("write plan and answers to files"), Verb("plan docs")),
    ("plan", "save"): (Said("write plan and answers to files"), Verb("plan docs -o FILE")),
    ("run", "summary"): (Deed("report"), Verb("report RUN")),
    ("run", "cutover"): (Deed("attend"), Verb("control RUN cutover --confirm docs")),
    ("run", "engine"): (Deed("resume"), Verb("resume RUN")),
    ("run", "deploy"): (Needless("the demo deploys once the name was typed"),),
    ("run", "pause"): (Deed("pause"), Verb("control RUN pause")),
    ("run", "resume"): (Deed("go-on"), Verb("control RUN resume")),
    ("run", "rate"): (Verb("control RUN rate 100"),),
    ("run", "batch"): (Verb("control RUN batch 64"),),
    ("run", "streams"): (Verb("control RUN streams 2"),),
    ("run", "pane"): (Deed("look"), Verb("watch RUN --once")),
    ("run", "next_pane"): (Needless("there are no panes"),),
    ("run", "scroll"): (Needless("lines scroll in the terminal"),),
    ("run", "smaller"): (Needless("there are no panes"),),
    ("run", "level"): (Needless("each line says its level; `grep` shows one"),),
    ("run", "search"): (Needless("`grep` looks for words in lines"),),
    ("run", "keep"): (Needless("`grep` looks for words in lines"),),
    ("run", "replay"): (Verb("watch RUN --replay"),),
    ("run", "play"): (Verb("watch RUN --replay"),),
    ("run", "seek"): (Needless("each line of the replay has its time"),),
    ("run", "mark"): (Needless("each line of the replay has its time"),),
    ("run", "faster"): (Needless("lines are told at once"),),
    ("run", "end"): (Deed("look"), Verb("watch RUN --once")),
    ("run", "compare"): COMPARE,
    ("run", "stop"): (Deed("stop"), Verb("control RUN stop")),
    ("run", "quit"): (Said("Ctrl+C leaves"), Verb("apply plan.json --detach")),
    ("run", "back"): (Said("Ctrl+C leaves"), Verb("runs")),
    ("cutover", "send"): (Said("to cut over now, or back to wait"), Verb("control RUN cutover")),
    ("cutover", "page"): (Verb("plan docs -o FILE"),),
    ("cutover", "deploy"): (Needless("the demo deploys once the name was typed"),),
    ("summary", "copy"): (Verb("report RUN -o FILE"),),
    ("summary", "compare"): COMPARE,
    ("run", "go_back"): (Deed("rollback"), Verb("rollback RUN --confirm docs")),
    ("run", "clean_up"): (Deed("cleanup"), Verb("cleanup RUN --confirm docs_v1")),
    ("summary", "go_back"): (Deed("rollback"), Verb("rollback RUN --confirm docs")),
    ("summary", "clean_up"): (Deed("cleanup"), Verb("cleanup RUN --confirm docs_v1")),
    ("afterwards", "submit"): (Said("to {what}, or Enter to leave it as it is"), Verb("rollback RUN --confirm docs")),
    ("afterwards", "snapshot"): (Verb("cleanup RUN --no-snapshot"),),
    ("compare", "ask"): (Verb("compare RUN --query TEXT"),),
    ("compare", "next"): COMPARE,
    ("compare", "previous"): (Needless("what was said stays on the terminal"),),
    ("compare", "vote"): VOTE,
    ("compare", "list"): (Needless("every list is said"),),
    ("explain", "mark"): (Word("explain TOPIC"), Verb("explain avoid")),
    ("explain", "page"): (Needless("lines scroll in the terminal"),),
    ("typed", "submit"): (Said("type it exactly, or back"),),
    ("number", "submit"): (Verb("control RUN rate 100"),),
}
"""(Screen, action without its arguments) -> what does the same without a screen; "" is any screen. A new key needs a
row here: a verb that the command has, a word, something the plain wizard says, a deed with a run; or why none is needed.
"""


def test_everything_that_a_key_does_can_be_done_without_a_screen() -> None:
    bound = {(screen, _bare(key.action)) for screen, own in bindings.KEYS.items() for key in own}
    bound |= {("", _bare(key.action)) for key in bindings.EVERYWHERE}
    missing = sorted(row for row in bound if not {row, ("", row[1])} & set(WITHOUT_A_SCREEN))
    assert not missing, f"keys without a counterpart in WITHOUT_A_SCREEN: {missing}"
    stale = [row for row in WITHOUT_A_SCREEN if row not in bound and (row[0] or not any(row[1] == a for _, a in bound))]
    assert not stale, f"rows of keys that are gone: {stale}"


def _bare(action: str) -> str:
    return action.partition("(")[0]


@pytest.mark.parametrize("row", WITHOUT_A_SCREEN, ids=lambda row: "-".join(filter(None, row)))
def test_the_counterpart_of_a_key_is_there(row: tuple[str, str]) -> None:
    here = Path(plain.__file__).parent
    source = "".join(path.read_text("utf-8") for path in [*here.glob("*.py"), *(here.parent / "verbs").glob("*.py")])
    for way in WITHOUT_A_SCREEN[row]:
        match way:
            case Verb():
                cli.parse(shlex.split(way))
            case Word():
                assert way in aid.WORDS
            case Deed():
                assert way in {deed.name for deed in menu.DEEDS}
            case Said():
                assert way in source
            case _:
                assert isinstance(way, Needless) and way


def test_every_deed_is_a_command() -> None:
    for deed in menu.DEEDS:
        assert deed.name == menu.ATTEND or cli.parse(list(deed.verb)).verb
