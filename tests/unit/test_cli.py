"""The command: one line for whatever is wrong, the right exit code, data on stdout, no key anywhere."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from changeover import seals
from changeover.checks.model import Finding
from changeover.engine import control
from changeover.engine import events as ev
from changeover.engine.folder import RunFolder
from changeover.engine.lock import RunLock
from changeover.errors import BlockedError, ExitCode, StoppedError, UnreachableError, UnverifiedError, UsageError
from changeover.plan import file as plan_file
from changeover.plan.model import Plan
from changeover.version import __version__
from changeover_tui import cli, crash
from changeover_tui.verbs import common, inspect
from tests.unit import journals

HEAVY = {
    *("textual", "rich", "qdrant_client", "fastembed", "numpy", "questionary", "prompt_toolkit", "httpx", "msgspec"),
    *("orjson", "onnxruntime", "asyncio", "qdrant_edge", "starlette", "uvicorn"),
}
SECRET = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Runs and crashes go to the test's folder; nothing is known of a cluster."""
    for name in ("QDRANT_URL", "QDRANT_API_KEY", "ACCESSIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CHANGEOVER_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> int:
    """The exit code, also of what argparse leaves with."""
    try:
        return cli.main(arguments)
    except SystemExit as left:
        assert isinstance(left.code, int)
        return left.code


def one_error(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr, with nothing on stdout."""
    seen = capsys.readouterr()
    assert seen.out == ""
    lines = seen.err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("changeover: ")
    return lines[0]


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["apply", "--help"], ["frobnicate"]])
def test_nothing_heavy_is_imported_for_little(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom changeover_tui import cli\ntry:\n cli.main(sys.argv[1:])\nexcept SystemExit:\n pass\n"
        "sys.stderr.write('\\nIMPORTED ' + ' '.join({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    imported = set(done.stderr.rpartition("IMPORTED ")[2].split())
    assert "argparse" in imported
    assert not imported & HEAVY
    if arguments == ["--version"]:
        assert done.stdout == f"changeover {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["plan"],
        ["plan", "docs"],
        ["inspect", "--grpc-port", "70000"],
        ["apply", "plan.json", "--wat"],
        ["apply", "no-such-plan.json"],
        ["inspect"],
        ["inspect", "--url", "ftp://here"],
        ["watch", "no-such-run"],
        ["report"],
        ["control", "run", "explode"],
        ["demo", "--documents", "0"],
        ["demo", "--generation", "0.9"],
        ["plan", "docs", "--answers", "no-such-file.toml", "--url", "http://127.0.0.1:1"],
    ],
)
def test_what_is_not_understood(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == ExitCode.USAGE
    one_error(capsys)


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "--api-key", SECRET],
        ["--api-key", SECRET],
        [f"--api-key={SECRET}", "inspect"],
        ["inspect", "--token", SECRET],
        ["inspect", "--url", "http://127.0.0.1:1", "--api-key-env", SECRET],
        ["inspect", "--url", "http://127.0.0.1:1", "--api-key-env", SECRET.replace("-", "_")],
        ["--url", f"http://user:{SECRET}@127.0.0.1:1", "inspect"],
    ],
)
def test_a_key_is_never_an_argument_and_never_repeated(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == ExitCode.USAGE
    line = one_error(capsys)
    assert "very" not in line
    assert "--api-key-env" in line


def test_nobody_answers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_API_KEY", SECRET)
    assert run("inspect", "--url", "http://127.0.0.1:1") == ExitCode.UNREACHABLE
    line = one_error(capsys)
    assert "http://127.0.0.1:1" in line
    assert SECRET not in line


def test_flags_before_the_verb_count(monkeypatch: pytest.MonkeyPatch) -> None:
    options = cli.parse(["--url", "http://one:6333", "inspect", "docs"])
    assert (options.url, options.verb, options.collection) == ("http://one:6333", "inspect", "docs")
    options = cli.parse(["--url", "http://one:6333", "inspect", "--url", "http://two:6333", "--grpc-port", "6334"])
    assert (options.url, options.grpc_port) == ("http://two:6333", 6334)
    monkeypatch.setenv("KEY_OF_MINE", SECRET)
    options = cli.parse(["inspect", "--url", "http://one", "--api-key-env", "KEY_OF_MINE"])
    access = common.access_given(options, os.environ)
    assert access is not None and access.api_key_env == "KEY_OF_MINE"
    assert SECRET not in repr(access)


def test_the_environment_names_cluster_and_key() -> None:
    environ = {"QDRANT_URL": "http://there:6333", "QDRANT_API_KEY": SECRET}
    access = common.access_given(cli.parse(["inspect"]), environ)
    assert access is not None
    assert (access.url, access.api_key_env) == ("http://there:6333", "QDRANT_API_KEY")
    assert common.access_given(cli.parse(["inspect"]), {}) is None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (UnreachableError("x"), 3),
        (BlockedError("x"), 4),
        (UnverifiedError("x"), 5),
        (StoppedError("x"), 6),
    ],
)
def test_expected_errors(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(inspect, "run", fail)
    assert run("inspect") == code
    assert one_error(capsys) == "changeover: x"


def test_a_bug_leaves_a_file_without_keys(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> int:
        raise RuntimeError(f"\x1b[31mthe header was {SECRET}\nand typed-key too")

    monkeypatch.setenv("MY_API_KEY", SECRET)
    crash.remember_secret("typed-key")
    monkeypatch.setattr(inspect, "run", fail)
    assert run("inspect") == ExitCode.BUG
    line = one_error(capsys)
    assert "the header was *** and *** too" in line
    path = Path(line.rpartition(" ")[2])
    written = path.read_text("utf-8")
    assert "Traceback" in written and "RuntimeError" in written
    assert SECRET not in written and "typed-key" not in written
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(inspect, "run", interrupt)
    assert run("inspect") == ExitCode.INTERRUPTED
    assert one_error(capsys) == "changeover: interrupted"


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    for number in range(40):
        plan = msgspec.structs.replace(journals.a_plan(), id=f"run-{number}-" + "x" * 200)
        RunFolder.create(seals.seal(plan), {}, tmp_path / "runs" / plan.id)
    command = f"{sys.executable} -m changeover_tui.cli runs | head -n 1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("run")
    assert done.stderr == ""
    assert done.returncode == 0


def test_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("runs") == 0
    assert capsys.readouterr().out == ""
    journals.on_disk(tmp_path / "runs" / "done", journals.whole())
    journals.on_disk(tmp_path / "runs" / "dead", journals.loading()[:9])
    assert run("runs") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["run", "route", "collection", "state", "progress", "age"]
    by_name = {line.split()[0]: line for line in lines[1:]}
    assert "finished" in by_name["done"]
    assert "interrupted" in by_name["dead"] and "Load 30%" in by_name["dead"]
    assert run("runs", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["name"]: row["state"] for row in rows} == {"done": "finished", "dead": "interrupted"}


def test_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journals.on_disk(tmp_path / "runs" / "done", journals.whole())
    assert run("report", "done") == 0
    path = Path(capsys.readouterr().out.strip())
    assert path == tmp_path / "runs" / "done" / "report.html"
    assert path.read_text("utf-8").startswith("<!doctype html>")
    assert run("report", "done", "-o", "mine.md") == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "mine.md")
    assert (tmp_path / "mine.md").read_text("utf-8").startswith("# Changeover of app")
    assert run("report", "done", "-o", "no/such/folder/x.html") == ExitCode.USAGE


def test_watch_without_a_terminal_says_what_happened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journals.on_disk(tmp_path / "runs" / "done", journals.whole())
    assert run("watch") == 0
    seen = capsys.readouterr()
    assert "done: 6 of 7 steps done so far" in seen.err
    assert "searches: 0 of 640 failed" in seen.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rate", "fast"), "needs a number from 0"),
        (("rate", "-1"), "needs a number from 0"),
        (("rate", "nan"), "needs a number from 0"),
        (("batch", "0"), "needs a number from 1 to 4,096"),
        (("batch", "2.5"), "needs a number from 1"),
        (("streams", "9"), "needs a number from 1 to 8"),
        (("streams",), "needs a number from 1 to 8"),
        (("pause", "5"), "takes no value"),
    ],
)
def test_control_checks_its_numbers(
    arguments: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = journals.on_disk(tmp_path / "runs" / "one", journals.loading())
    assert run("control", "one", *arguments) == ExitCode.USAGE
    assert words in one_error(capsys)
    assert not folder.control.exists()


def test_control_needs_an_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journals.on_disk(tmp_path / "runs" / "one", journals.loading())
    assert run("control", "one", "pause") == ExitCode.BLOCKED
    assert "changeover resume one" in one_error(capsys)


def answering(folder: RunFolder, refused: str = "") -> threading.Thread:
    """An engine that answers the first request and no other."""

    def answer() -> None:
        until = time.monotonic() + 20
        inbox = control.Inbox(folder.control)
        asks: list[control.Ask] = []
        while not asks and time.monotonic() < until:
            asks = inbox.read()
            time.sleep(0.02)
        event = ev.Controlled(at=2_000.0, number=1, verb=asks[0].verb, value=asks[0].value, refused=refused)
        journals.append(folder, [event])

    thread = threading.Thread(target=answer)
    thread.start()
    return thread


@pytest.mark.parametrize("refused", ["", "caught up: 60 points behind"])
def test_control_waits_for_the_answer(refused: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = journals.on_disk(tmp_path / "runs" / "one", [*journals.loading(), *journals.ready()])
    lock = RunLock(folder.lock)
    lock.acquire()
    engine = answering(folder, refused)
    try:
        assert run("control", "one", "cutover", "--confirm", "app") == (ExitCode.BLOCKED if refused else 0)
        assert (f"cutover was refused: {refused}" if refused else "cutover: taken up") in capsys.readouterr().err
    finally:
        engine.join()
        lock.release()


def test_a_cutover_needs_the_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = journals.on_disk(tmp_path / "runs" / "one", [*journals.loading(), *journals.ready()])
    lock = RunLock(folder.lock)
    lock.acquire()
    try:
        assert run("control", "one", "cutover", "--confirm", "ap") == ExitCode.USAGE
        assert "--confirm app" in one_error(capsys)
        assert not folder.control.exists()
    finally:
        lock.release()


def planned(tmp_path: Path, **changes: object) -> Plan:
    """A plan file plan.json in the test's folder."""
    plan = seals.seal(msgspec.structs.replace(journals.a_plan(), **changes))
    (tmp_path / "plan.json").write_bytes(plan_file.to_json(plan))
    return plan


def test_apply_refuses_a_plan_that_was_edited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned(tmp_path)
    path = tmp_path / "plan.json"
    path.write_bytes(path.read_bytes().replace(b'"batch": 7', b'"batch": 9'))
    assert run("apply", "plan.json") == ExitCode.USAGE
    assert "hash differs" in one_error(capsys)


def test_apply_wants_findings_acknowledged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned(tmp_path, findings=(Finding(code="plain-name", severity="warning", title="t", acknowledge=True),))
    assert run("apply", "plan.json") == ExitCode.BLOCKED
    assert "--accept plain-name" in one_error(capsys)
    assert run("apply", "plan.json", "--accept", "plain-nam") == ExitCode.USAGE
    assert "no such finding" in one_error(capsys)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        (journals.whole(), "has been run to its end"),
        (journals.loading(), "go on with `changeover resume test-run`"),
    ],
)
def test_a_plan_runs_once(
    events: list[ev.Event], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = planned(tmp_path)
    journals.on_disk(tmp_path / "runs" / plan.id, events, plan)
    assert run("apply", "plan.json") == ExitCode.BLOCKED
    assert words in one_error(capsys)


def test_a_second_engine_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = planned(tmp_path)
    folder = journals.on_disk(tmp_path / "runs" / plan.id, journals.loading(), plan)
    lock = RunLock(folder.lock)
    lock.acquire()
    try:
        assert run("apply", "plan.json") == ExitCode.BLOCKED
        assert f"an engine (pid {os.getpid()}) is already working on it" in one_error(capsys)
        assert run("resume", plan.id) == ExitCode.BLOCKED
        assert "already working" in one_error(capsys)
    finally:
        lock.release()


def test_a_finished_run_is_not_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journals.on_disk(tmp_path / "runs" / "done", journals.whole())
    assert run("resume", "done") == ExitCode.BLOCKED
    assert "the run is finished" in one_error(capsys)


def test_answers_that_were_written_for_another_collection_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.toml"
    path.write_text('collection = "docs"\nroute = "in-place"\n')
    for collection, said in (("docs", ""), ("other", "the answers were written for docs; they are taken for other\n")):
        answers = common.answers_for(collection, str(path), [])
        assert answers.collection == collection and answers.route == "in-place"
        assert capsys.readouterr().err == said


def test_relative_paths_of_answers_do_not_depend_on_where_the_engine_works(tmp_path: Path) -> None:
    folder = tmp_path / "answers"
    folder.mkdir()
    (folder / "a.toml").write_text('[queries]\nfile = "q.jsonl"\n[model]\nprovider = "fastembed"\npath = "model"\n')
    answers = common.answers_given(str(folder / "a.toml"), ["limits.batch=64", "old_model.path=old"])
    assert answers.queries.file == str(folder / "q.jsonl")
    assert answers.model is not None and answers.model.path == str(folder / "model")
    assert answers.old_model is not None and answers.old_model.path == str(tmp_path / "old")
    assert answers.limits.batch == 64
    with pytest.raises(UsageError, match="--set id=value"):
        common.answers_given(None, ["batch"])


def test_a_table_is_aligned_and_safe() -> None:
    rows = inspect.table(("name", "n"), [("\x1b[31mred", "1"), ("猫猫", "22")])
    assert rows == ["name  n", "red   1", "猫猫  22"]
    assert inspect.table(("name",), []) == []


def test_the_help_names_every_request_of_the_engine(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("control", "--help") == 0
    said = capsys.readouterr().out
    for request in control.VERBS:
        assert f"\n  {request}" in said
    assert "spend N" in said and "accept CODE" in said


def test_accept_needs_a_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journals.on_disk(tmp_path / "runs" / "one", journals.loading())
    assert run("control", "one", "accept") == ExitCode.USAGE
    assert "needs the code" in one_error(capsys)


def test_blanks_of_a_prefix_survive_the_flag() -> None:
    given = common.answers_given(None, ["model.document_prefix=passage: ", "vector.name= new "])
    assert given.model is not None and given.model.document_prefix == "passage: "
    assert given.vector.name == "new"


def test_rollback_and_cleanup_need_a_cutover(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journals.on_disk(tmp_path / "runs" / "one", journals.loading())
    assert run("cleanup", "one") == ExitCode.BLOCKED
    assert "nothing was cut over, the old side serves" in one_error(capsys)
    assert run("rollback", "one") == ExitCode.BLOCKED
    assert "nothing was cut over; the old side serves as before" in one_error(capsys)
