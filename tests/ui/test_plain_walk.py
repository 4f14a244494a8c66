"""The plain walk on a cluster from memory: the same questions, findings, plan and run as the screens."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

import changeover.wizard
from changeover import seals
from changeover.decision.answers import from_toml
from changeover.engine import events as ev
from changeover.engine.control import ask
from changeover.engine.folder import RunFolder
from changeover.engine.lock import RunLock
from changeover.errors import ExitCode, StoppedError, UsageError
from changeover.plan import file as plan_file
from changeover.plan.model import Access
from changeover_tui import cli
from changeover_tui.plain import attend, prompts, questions, walk
from changeover_tui.plain.prompts import Numbered, Scripted
from changeover_tui.verbs import demo as demo_verb
from changeover_tui.verbs import wizard as wizard_verb
from tests.ui import fakes
from tests.unit import journals

ACCESS = Access(url="http://127.0.0.1:6333")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[fakes.FakeWizard]:
    """Every wizard that the walk makes."""
    wizards: list[fakes.FakeWizard] = []

    def make(access: Access, environ: Any) -> fakes.FakeWizard:
        wizards.append(fakes.FakeWizard(access, environ, root=tmp_path / "runs"))
        return wizards[-1]

    monkeypatch.setattr(changeover.wizard, "Wizard", make)
    return wizards


def test_proposals_lead_to_a_run(made: list[fakes.FakeWizard]) -> None:
    said: list[str] = []
    script = Scripted()
    run = walk.prepare(ACCESS, {}, script, said.append, answers=fakes.said(fakes.answers(), add_sparse="true"))
    (wizard,) = made
    assert run.plan().hash == fakes.plan().hash
    assert wizard.started[0][1] == frozenset({"query-model-must-change"})
    assert wizard.closed
    text = "\n".join(said)
    for words in (
        ". Can re-embedding be avoided?",
        "text-index: A text index with scoring: no vector, no load: one request (closed: text indexes score from 1.20 on",
        "   -> No, re-embed everything",
        "   -> minilm",
        "WARNING query-model-must-change",
        "acknowledged automatically, because nobody is there: query-model-must-change",
        "PUT /collections/docs_v2",
    ):
        assert words in text, words
    asked = [question.id for question in (one.question for one in wizard.questions())]
    assert [question for question in script.asked if question in asked] == asked


def test_ctrl_c_skips_the_trials_and_the_plan_is_made_all_the_same(
    made: list[fakes.FakeWizard], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Person(Scripted):
        automatic = False

    async def probe(self: fakes.FakeWizard, *, trials: bool = True, progress: Any = None) -> Any:
        self.probes = fakes.PROBES
        if trials:
            progress(1, 2, "reading stored vectors")
            raise KeyboardInterrupt
        return self.probes

    monkeypatch.setattr(fakes.FakeWizard, "probe", probe)
    monkeypatch.setattr(fakes.FakeWizard, "untried", lambda self: (fakes.TRIAL,))
    said: list[str] = []
    walk.prepare(ACCESS, {}, Person(), said.append, answers=fakes.answers())
    assert f"trying on a sample: {fakes.TRIAL} (Ctrl+C skips it)" in said
    assert "  reading stored vectors ... 50%" in said
    assert f"skipped, and therefore not known: {fakes.TRIAL}" in said
    assert len(made[0].started) == 1
    with pytest.raises(KeyboardInterrupt):
        walk.prepare(ACCESS, {}, Scripted(), said.append, answers=fakes.answers())


def test_a_measurement_that_fails_leads_back_to_the_questions(
    made: list[fakes.FakeWizard], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Person(Scripted):
        automatic = False

    async def probe(self: fakes.FakeWizard, **_: Any) -> Any:
        raise UsageError("queries.file q.jsonl: no such file; give a JSONL file of labelled queries")

    monkeypatch.setattr(fakes.FakeWizard, "probe", probe)
    said: list[str] = []
    with pytest.raises(StoppedError):
        walk.prepare(ACCESS, {}, Person({"What now?": "leave"}), said.append, answers=fakes.answers())
    assert "not measured: queries.file q.jsonl: no such file; give a JSONL file of labelled queries" in said
    assert made[0].closed


def test_what_is_not_acknowledged_is_not_started(made: list[fakes.FakeWizard]) -> None:
    with pytest.raises(StoppedError, match="nothing was written"):
        walk.prepare(ACCESS, {}, Scripted(confirm=False), lambda _: None, answers=fakes.answers())
    assert made[0].started == []
    assert made[0].closed


def test_a_blocker_stops_the_walk(made: list[fakes.FakeWizard], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fakes.FakeWizard, "findings", lambda self: (fakes.BLOCKER,))
    said: list[str] = []
    with pytest.raises(StoppedError):
        walk.prepare(ACCESS, {}, Scripted(), said.append, answers=fakes.answers())
    assert "BLOCKER dimension-mismatch: The model returns another dimension than was declared" in said
    assert made[0].started == []


class Typing(Numbered):
    """A person who types these answers, each once its words were said; every other prompt gets Enter."""

    def __init__(self, *typed: tuple[str, str]) -> None:
        self.said: list[str] = []
        self.waiting = list(typed)
        self._read_to = 0
        super().__init__(self._type, self.said.append)

    def _line(self, prompt: str, word: str = "") -> str:
        self.said.append(prompt)
        return super()._line(prompt, word)

    def _type(self) -> str:
        assert len(self.said) < 3_000, "asked for ever"
        since, self._read_to = "\n".join(self.said[self._read_to :]), len(self.said)
        if self.waiting and self.waiting[0][0] in since:
            return self.waiting.pop(0)[1]
        return ""

    @property
    def text_said(self) -> str:
        return "\n".join(self.said)


CODE, NAME = "query-model-must-change", "docs"
TO_THE_END = ((f"Type {CODE} to acknowledge it", CODE), ("Type docs to start", NAME))


def test_back_leads_through_every_stage_and_loses_nothing(made: list[fakes.FakeWizard]) -> None:
    person = Typing(
        ("Which collection?", "back"),
        ("REST address", "http://127.0.0.1:6333"),
        ("Which collection?", "2"),
        ("1 of", "back"),
        ("Which collection?", "1"),
        ("1 of", ""),
        (f"Type {CODE} to acknowledge it", "back"),
        ("rollback.window", "24h"),
        (f"Type {CODE} to acknowledge it", CODE),
        ("Type docs to start", "back"),
        ("What now?", "back"),
        ("rollback.window", "12h"),
        *TO_THE_END,
    )
    given = msgspec.structs.replace(fakes.answers(), collection=None)
    run = walk.prepare(None, {"QDRANT_API_KEY": "hush"}, person, person.said.append, answers=given)
    assert not person.waiting
    assert [wizard.closed for wizard in made] == [True, True]
    assert made[-1].answers.rollback.window == "12h"
    assert made[-1].answers.model == fakes.NEW
    assert len(made[-1].started) == 1
    assert f"answers: {run.answers}" in person.text_said
    assert from_toml(run.answers) == run.plan().answers


def test_an_address_where_nothing_answers_is_asked_for_again(made: list[fakes.FakeWizard]) -> None:
    person = Typing(
        ("REST address", "http://nowhere:6333"),
        ("nothing answers there", "http://there:6333"),
        ("Variable", "back"),
        ("REST address", "http://there:6333"),
        ("Variable", "NO_SUCH_KEY"),
        ("no variable of that name", "http://there:6333"),
        *TO_THE_END,
    )
    given = msgspec.structs.replace(fakes.answers(), collection=None)
    walk.prepare(None, {}, person, person.said.append, answers=given)
    assert [wizard.access.url for wizard in made] == ["http://nowhere:6333", "http://there:6333"]


def test_the_word_leaves_before_anything_is_written(made: list[fakes.FakeWizard]) -> None:
    person = Typing(("1 of", "quit"))
    with pytest.raises(StoppedError, match="nothing was written"):
        walk.prepare(ACCESS, {}, person, person.said.append, answers=fakes.answers())
    assert made[0].closed


def test_plan_and_answers_can_be_kept_without_a_start(
    made: list[fakes.FakeWizard], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    person = Typing(TO_THE_END[0], ("Type docs to start", "back"), ("What now?", "2"), ("What now?", "3"))
    with pytest.raises(StoppedError):
        walk.prepare(ACCESS, {}, person, person.said.append, answers=fakes.answers())
    plan_path, answers_path = sorted(tmp_path.glob("*.plan.json"))[0], sorted(tmp_path.glob("*.answers.toml"))[0]
    assert plan_file.load(plan_path).hash == fakes.plan().hash
    assert from_toml(answers_path) == fakes.plan().answers
    assert f"changeover apply {plan_path.name} --accept {CODE}" in person.text_said


def test_an_answer_can_be_taken_back(made: list[fakes.FakeWizard]) -> None:
    wizard = fakes.FakeWizard(ACCESS, {})
    wizard.survey = fakes.survey()
    wizard.answer(fakes.said(fakes.answers(), limits__rate="50"))
    person = Typing(("limits.rate", "none"))
    questions.ask_all(wizard, person, person.said.append)  # type: ignore[arg-type]
    assert wizard.answers.limits.rate is None


def test_the_start_offers_what_the_first_screen_offers(
    made: list[fakes.FakeWizard],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    journals.on_disk(tmp_path / "runs" / "one", journals.whole())
    person = Typing(("What do you want to do?", "3"), ("What now?", "1"), ("What now?", "3"), ("What now?", ""))
    monkeypatch.setattr(prompts, "for_terminal", lambda _: person)
    monkeypatch.setattr(wizard_verb, "say", person.said.append)
    code = wizard_verb.run(cli.parse(["--plain"]), {"CHANGEOVER_RUNS": str(tmp_path / "runs")})
    assert code == ExitCode.DONE
    assert not person.waiting
    assert "  1. try it on the sandbox" in person.text_said
    assert ": finished, one" in person.text_said
    assert "start its engine again" not in person.text_said
    assert (tmp_path / "runs" / "one" / "report.html").exists()
    shown = capsys.readouterr().out
    for words in ("  Load: done in ", "searches:", "went wrong:", "left out:", "  [on ] caught up: "):
        assert words in shown, words


def test_the_demo_asks_for_its_scenario(monkeypatch: pytest.MonkeyPatch) -> None:
    person = Typing(("What do you want to see?", "?"), ("a real core", "3"))
    monkeypatch.setattr(prompts, "for_terminal", lambda _: person)
    assert demo_verb._asked({}) == "fewer-dimensions"
    assert "  7. A model that is worse: " in person.text_said


def test_a_typed_key_goes_to_the_engine_and_nowhere_else(made: list[fakes.FakeWizard]) -> None:
    said: list[str] = []
    script = Scripted({"kept in memory": "hush-hush", "REST address": "http://there:6333"})
    run = walk.prepare(None, {}, script, said.append, answers=fakes.answers())
    assert made[0].access == Access(url="http://there:6333", api_key_env="QDRANT_API_KEY")
    assert made[0].environ == {"QDRANT_API_KEY": "hush-hush"}
    assert "hush-hush" not in "\n".join(said)
    assert all(b"hush-hush" not in path.read_bytes() for path in run.path.iterdir())


def test_back_forgets_nothing(made: list[fakes.FakeWizard]) -> None:
    wizard = fakes.FakeWizard(ACCESS, {})
    wizard.survey = fakes.survey()
    wizard.answer(fakes.answers())
    ids = [one.question.id for one in wizard.questions()]
    first = next(n for n, one in enumerate(wizard.questions()) if one.question.kind == "text")
    lines = iter([*[""] * first, "back", *[""] * 100])
    asked: list[str] = []
    questions.ask_all(wizard, Numbered(lambda: next(lines), lambda _: None), asked.append)  # type: ignore[arg-type]
    numbers = [int(line.partition(" of ")[0]) for line in asked if line[:1].isdigit()]
    assert numbers == [*range(1, first + 2), *range(first, len(ids) + 1)]
    assert wizard.answers.model == fakes.NEW


def test_a_wrong_answer_is_asked_again(made: list[fakes.FakeWizard]) -> None:
    wizard = fakes.FakeWizard(ACCESS, {})
    wizard.survey = fakes.survey()
    wizard.answer(fakes.answers())
    at = [one.question.id for one in wizard.questions()].index("limits.batch")
    lines = iter([*[""] * at, "many", "64", *[""] * 100])
    said: list[str] = []
    questions.ask_all(wizard, Numbered(lambda: next(lines), lambda _: None), said.append)  # type: ignore[arg-type]
    assert wizard.answers.limits.batch == 64
    assert "   many: a whole number is needed" in said


class Engine(threading.Thread):
    """Holds the lock, writes the rest of the journal once the cutover was asked for, and lets go."""

    def __init__(self, run: RunFolder, refuse: int = 0) -> None:
        super().__init__()
        self.run_folder = run
        self.refuse = refuse
        self.asked: list[str] = []
        self._lock = RunLock(run.lock)
        self._lock.acquire()

    def run(self) -> None:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            control = self.run_folder.control
            lines = control.read_bytes().splitlines() if control.exists() else []
            for number, line in enumerate(lines[len(self.asked) :], len(self.asked) + 1):
                verb = msgspec.json.decode(line)["verb"]
                self.asked.append(verb)
                if self._answer(number, verb):
                    self._lock.release()
                    return
            time.sleep(0.02)

    def _answer(self, number: int, verb: str) -> bool:
        run, at = self.run_folder, 1_030.0 + number
        if verb == "stop":
            journals.append(run, [ev.EngineStopped(at=at, reason="on request", exit_code=6)])
            return True
        refused = number <= self.refuse
        answer = ev.Controlled(at=at, number=number, verb=verb, refused="caught up: 60 behind" if refused else "")
        journals.append(run, [answer])
        if refused:
            journals.append(run, [ev.Differences(at=at, step="await", number=number + 1)])
            return False
        journals.append(run, journals.after(at)[1:])
        return True


@pytest.fixture
def waiting(tmp_path: Path) -> RunFolder:
    """A run that is ready and waits for a person."""
    plan = journals.a_plan()
    steps = tuple(msgspec.structs.replace(s, mode="manual") if s.id == "await" else s for s in plan.steps)
    plan = seals.seal(msgspec.structs.replace(plan, steps=steps))
    return journals.on_disk(tmp_path / "runs" / "one", [*journals.loading(), *journals.ready()], plan)


@pytest.mark.parametrize("refusals", [0, 2])
def test_the_typed_name_cuts_over_also_after_a_refusal(waiting: RunFolder, refusals: int) -> None:
    engine, said = Engine(waiting, refusals), list[str]()
    engine.start()
    script = Scripted()
    code = attend.attend(waiting, said.append, on_ready=attend.typed_name(waiting, script, said.append))
    engine.join()
    assert code == ExitCode.DONE
    assert engine.asked == ["cutover"] * (refusals + 1)
    assert len(script.asked) == refusals + 1
    assert said[-1] == f"report: {waiting.report}"
    asked_at = next(n for n, line in enumerate(said) if line == "what your application must change:")
    assert "POST /collections/aliases" in said[asked_at - 1]
    assert "the new model serves" in waiting.report.read_text("utf-8")


def test_a_cutover_that_was_taken_up_is_not_asked_for_again(waiting: RunFolder) -> None:
    script, said = Scripted(), list[str]()
    lock = RunLock(waiting.lock)
    lock.acquire()

    def say(line: str) -> None:
        """The engine: a last look before it takes it up, and newcomers before the run is no longer ready."""
        said.append(line)
        if "asked: cutover" in line:
            threading.Timer(0.3, goes_on).start()

    def goes_on() -> None:
        journals.append(waiting, journals.after(1_035.0)[1:])
        lock.release()

    def typed(state: Any) -> bool:
        lamps = tuple(ev.Lamp(name=name, on=True, detail="seen again") for name in journals.LAMPS)
        journals.append(waiting, [ev.CutoverReady(at=1_032.0, lamps=lamps)])
        journals.append(waiting, [ev.Controlled(at=1_033.0, number=1, verb="cutover")])
        return ready is not None and ready(state)

    ready = attend.typed_name(waiting, script, say)

    assert attend.attend(waiting, say, on_ready=typed) == ExitCode.DONE
    assert len(script.asked) == 1


def test_without_the_name_it_says_how(waiting: RunFolder) -> None:
    said: list[str] = []
    engine = Engine(waiting)
    engine.start()

    def later() -> None:
        while not any("--confirm app" in line for line in said):
            time.sleep(0.02)
        ask(waiting.control, "cutover", "app")

    person = threading.Thread(target=later)
    person.start()
    code = attend.attend(
        waiting, said.append, on_ready=attend.typed_name(waiting, Scripted(confirm=False), said.append)
    )
    person.join()
    engine.join()
    assert code == ExitCode.DONE
    assert "changeover control one cutover --confirm app" in "\n".join(said)


def test_giving_up_stops_the_engine(waiting: RunFolder) -> None:
    said: list[str] = []
    engine = Engine(waiting)
    engine.start()
    code = attend.attend(waiting, said.append, give_up=lambda state: "NO-GO: worse" if state.quality else "")
    engine.join()
    assert code == ExitCode.UNVERIFIED
    assert engine.asked == ["stop"]
    assert "NO-GO: worse; the engine is asked to stop" in said


def test_a_plan_that_does_not_wait_asks_nobody(tmp_path: Path) -> None:
    run = journals.on_disk(tmp_path / "runs" / "one", journals.loading())
    assert attend.typed_name(run, Scripted(), lambda _: None) is None
    assert attend.tell_how(run, lambda _: None) is None
