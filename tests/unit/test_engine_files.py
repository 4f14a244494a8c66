"""Journal, control, lock, ledger, run folder: what survives a crash and what is refused."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import closing, nullcontext
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from changeover.engine import control, engine
from changeover.engine import events as ev
from changeover.engine.folder import RunFolder, find, runs
from changeover.engine.journal import Journal, JournalError, Tail, read_all
from changeover.engine.ledger import Entry, Ledger, LedgerError, Mark
from changeover.engine.lock import RunLock, holder
from changeover.engine.state import begin, fold
from changeover.errors import BlockedError, UsageError
from changeover.ids import from_key, id_key, successor
from changeover.plan import file as plan_file
from tests.engine.fakes import plan, slices

ids = st.one_of(st.integers(0, 2**64 - 1), st.uuids().map(str))


def log(text: str) -> ev.Log:
    return ev.Log(at=1.0, level="info", text=text)


@given(st.lists(st.text(max_size=20), max_size=10), st.integers(0, 400))
def test_a_journal_cut_anywhere_keeps_its_whole_lines_and_takes_new_ones(words: list[str], cut: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        journal = Journal(path)
        for word in words:
            journal.write(log(word))
        journal.close()
        data = path.read_bytes()
        path.write_bytes(data[: min(cut, len(data))])
        whole = data[: min(cut, len(data))].count(b"\n")
        journal = Journal(path)
        journal.write(log("after"))
        journal.close()
        assert [e.text for e in read_all(path) if isinstance(e, ev.Log)] == [*words[:whole], "after"]


def test_a_tail_leaves_a_line_in_the_making_for_later(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    tail = Tail(path)
    assert tail.read() == []
    line = ev.encode(log("one")) + b"\n"
    path.write_bytes(line[:10])
    assert tail.read() == []
    path.write_bytes(line + b"not json\n" + line)
    assert tail.read() == [log("one"), log("one")]
    assert tail.read() == []


def test_a_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("/dev/full is a Linux device")
    path = tmp_path / "journal.jsonl"
    path.symlink_to("/dev/full")
    journal = Journal.__new__(Journal)
    journal.__init__(tmp_path / "other.jsonl")  # type: ignore[misc]
    os.dup2(os.open("/dev/full", os.O_WRONLY), journal._fd)
    with pytest.raises(JournalError, match="cannot write the journal: No space left on device"):
        journal.write(log("x"))


def test_what_follows_a_line_that_broke_off_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk was full in the middle of a line, and has room again for the word that the engine stopped."""
    path = tmp_path / "journal.jsonl"
    journal, write = Journal(path), os.write
    journal.write(log("first"))

    room = iter([10])

    def full(descriptor: int, data: bytes) -> int:
        if not (left := next(room, 0)):
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:left])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(JournalError):
        journal.write(log("x"))
    monkeypatch.undo()
    journal.write(ev.EngineStopped(at=2.0, reason="disk full", exit_code=3))
    journal.close()
    assert [type(event) for event in read_all(path)] == [ev.Log, ev.EngineStopped]


def test_requests_are_numbered_and_rubbish_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "control.jsonl"
    assert control.ask(path, "pause") == 1
    with path.open("ab") as file:
        file.write(b'{"verb": "explode"}\nrubbish\n')
    assert control.ask(path, "rate", 50) == 4
    inbox = control.Inbox(path)
    assert [(a.number, a.verb, a.value) for a in inbox.read()] == [(1, "pause", None), (4, "rate", 50)]
    assert inbox.read() == []
    assert [a.number for a in control.Inbox(path, seen=1).read()] == [4]
    with path.open("ab") as file:
        file.write(b'{"verb": "\xff"}\n{"verb": "pause", "more": ' + b"[" * 10_000 + b'\n{"verb": "stop", "at')
    assert inbox.read() == []
    assert control.ask(path, "resume") == 8, "a line that broke off swallows no other"
    assert [(a.number, a.verb) for a in inbox.read()] == [(8, "resume")]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_disk_that_is_full_at_the_start_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, full = os.open, set[str]()

    def no_room(path: object, *given: int) -> int:
        if Path(str(path)).name in full:
            raise OSError(28, "No space left on device")
        return opened(path, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", no_room)
    full.add("lock.pid")
    lock = RunLock(tmp_path / "lock")
    lock.acquire()
    assert holder(tmp_path / "lock") == 0, "held, by whom is not known"
    lock.release()
    full |= {"lock", "journal.jsonl"}
    with pytest.raises(UsageError, match=r"lock: cannot be opened: No space left on device"):
        lock.acquire()
    with pytest.raises(JournalError, match=r"cannot open the journal: No space left on device"):
        Journal(tmp_path / "journal.jsonl")


def test_one_engine_per_run_and_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert holder(path) is None
    code = (
        "import sys, time; from pathlib import Path; from changeover.engine.lock import RunLock;"
        f"RunLock(Path({str(path)!r})).acquire(); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert holder(path) == other.pid
        with pytest.raises(BlockedError, match="another engine is already working"):
            RunLock(path).acquire()
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert holder(path) is None
    lock = RunLock(path)
    lock.acquire()
    assert holder(path) == os.getpid()
    lock.release()
    assert holder(path) is None


@given(st.lists(ids, unique=True, max_size=30), ids, ids)
def test_the_ledger_gives_ranges_in_the_order_of_ids(points: list[int | str], a: int | str, b: int | str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "ledger.sqlite")
        ledger.put((i, Entry(b"t", b"p", Mark.WRITTEN)) for i in points)
        got = list(ledger.between(a, b))
        assert got == sorted((i for i in points if id_key(a) <= id_key(i) < id_key(b)), key=id_key)
        assert list(ledger.between(None, None)) == sorted(points, key=id_key)
        ledger.drop(points[:5])
        assert ledger.count() == max(0, len(points) - 5)
        ledger.close()


@given(ids)
def test_ids_survive_their_key_and_successors_are_next(point: int | str) -> None:
    assert from_key(id_key(point)) == point
    following = successor(point)
    assert following is None or id_key(point) < id_key(following)


@pytest.mark.parametrize("bad", [-1, 2**64, "no uuid"])
def test_what_is_no_id_is_refused(bad: int | str) -> None:
    with pytest.raises(ValueError):
        id_key(bad)


def test_a_run_folder_is_private_and_belongs_to_one_plan(tmp_path: Path) -> None:
    environ = {"CHANGEOVER_RUNS": str(tmp_path / "runs")}
    made = plan("in-place", slices())
    folder = RunFolder.create(made, environ, accepted=frozenset({"unnamed-vector"}))
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in folder.path.iterdir()} == {0o600}
    assert RunFolder.create(made, environ).path == folder.path
    other = plan("blue-green", slices())
    with pytest.raises(UsageError, match="another plan"):
        RunFolder.create(other, environ)
    assert [r.name for r in runs(environ)] == ["test-run"]
    assert find("test-run", environ).plan() == made
    assert find(None, environ).name == "test-run"
    with pytest.raises(UsageError, match="no such run"):
        find("nothing", environ)


def test_a_plan_edited_by_hand_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    made = plan("in-place", slices(10))
    path.write_bytes(plan_file.to_json(made))
    assert plan_file.load(path) == made
    path.write_bytes(plan_file.to_json(made).replace(b'"target_vector": "new"', b'"target_vector": "other"'))
    with pytest.raises(UsageError, match="was changed after it was written"):
        plan_file.load(path)
    for other in (b"{}", b"[" * 200_000, b'{"id": "\xff"}'):
        path.write_bytes(other)
        with pytest.raises(UsageError, match="not a plan file"):
            plan_file.load(path)
    with pytest.raises(UsageError, match="cannot read"):
        plan_file.load(tmp_path / "none.json")


@given(st.lists(st.tuples(st.one_of(st.text(max_size=6), st.integers(0, 2**64 - 1)), ids), max_size=30))
def test_each_shard_key_has_its_part_of_the_ledger(points: list[tuple[int | str, int | str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "ledger.sqlite")
        for shard, point in points:
            ledger.of(shard).put([(point, Entry(str(shard).encode(), b"", Mark.SKIPPED))])
        ledger.put([(1, Entry(b"none", b"", Mark.WRITTEN))])
        for shard in {shard for shard, _ in points}:
            part, wanted = ledger.of(shard), {point for key, point in points if key == shard}
            assert {type(shard)(entry.text.decode()) for entry in part.between(None, None).values()} == {shard}
            assert set(part.between(None, None)) == set(part.marked([Mark.SKIPPED])) == wanted
            assert set(part.get(list(wanted))) == wanted
        assert list(ledger.between(None, None)) == [1]
        assert ledger.count() == len(set(points)) + 1
        ledger.close()


def test_a_ledger_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger._shared.db.execute("PRAGMA max_page_count=1")
    rows = [(i, Entry(b"x" * 16, b"y" * 16, Mark.WRITTEN)) for i in range(10_000)]
    with pytest.raises(LedgerError, match=r"ledger\.sqlite: the ledger cannot be used: .* full; free disk space"):
        ledger.put(rows)
    assert ledger.get([1]) == {}, "nothing of it is left half-written"
    ledger.close()


def test_a_damaged_ledger_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"no database at all, but long enough to be looked at " * 100)
    with pytest.raises(LedgerError, match=r"not a database; move it away: without it every point is compared anew"):
        Ledger(path)


@pytest.mark.parametrize(
    ("follows", "cut", "left", "refused"),
    [
        ("", False, None, False),
        ("", True, None, True),
        ("first", False, None, True),
        ("first", False, b"", True),
        ("first", True, b"x", False),
    ],
)
def test_without_its_ledger_no_run_goes_on_that_could_not_tell_the_sides_apart(
    follows: str, cut: bool, left: bytes | None, refused: bool, tmp_path: Path
) -> None:
    made = msgspec.structs.replace(plan("blue-green", slices()), follows=follows)
    events = [ev.CutOver(at=1.0, detail="done")] if cut else []
    folder = RunFolder(tmp_path)
    if left is not None:
        folder.ledger.write_bytes(left)
    with pytest.raises(UsageError, match=r"ledger\.sqlite: it is gone") if refused else nullcontext():
        engine._refuse_lost_ledger(folder, made, fold(begin(made), events))


def test_a_ledger_of_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.execute(
            "CREATE TABLE points (key BLOB PRIMARY KEY, text BLOB NOT NULL, payload BLOB NOT NULL,"
            " mark INTEGER NOT NULL) WITHOUT ROWID"
        )
        old.execute("INSERT INTO points VALUES (?, x'01', x'02', 0)", (id_key(7),))
        old.commit()
    ledger = Ledger(path)
    ledger.put([(8, Entry(b"a", b"b", Mark.WRITTEN))])
    assert set(ledger.between(None, None)) == {7, 8}
    ledger.close()
