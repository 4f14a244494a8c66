"""How an engine ends: with its threads, soon, and with a word somewhere whatever has failed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from changeover import seals
from changeover.cluster.errors import NeedsRestError
from changeover.engine import control, engine
from changeover.engine import events as ev
from changeover.engine.context import Context
from changeover.engine.folder import RunFolder
from changeover.engine.journal import Journal, JournalError
from changeover.engine.state import begin
from changeover.errors import ExitCode, StoppedError, UnreachableError
from changeover.plan import model as pm
from tests.engine import fakes

FULL = JournalError("journal.jsonl: cannot write the journal: No space left on device")


def made(tmp_path: Path) -> RunFolder:
    plan = fakes.plan("blue-green", fakes.slices(), lease=False)
    job = msgspec.structs.replace(plan.job, keeps_serving=False)
    return RunFolder.create(seals.seal(msgspec.structs.replace(plan, job=job, hash="")), {}, tmp_path / "run")


def ended(
    folder: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[[Context], None],
    *,
    opening: Callable[[], None] = lambda: None,
    change: Callable[[Context], None] = lambda ctx: None,
) -> ExitCode:
    """Run an engine whose load is `work` in a thread, and whose cluster is opened after `opening`."""
    cluster = fakes.MemoryCluster()
    cluster.collections.update(source={}, target={})

    async def opened(*_: Any) -> Context:
        opening()
        ctx = fakes.context(folder.path, folder.plan(), cluster)
        change(ctx)
        return ctx

    async def load(ctx: Context, step: pm.Step) -> str:
        await asyncio.to_thread(work, ctx)
        return ""

    monkeypatch.setattr(engine, "_open", opened)
    monkeypatch.setitem(engine.STEPS, pm.Load, load)
    return engine.run(folder, {})


def test_a_stop_that_was_asked_while_the_engine_opened_its_cluster_is_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made(tmp_path)
    control.ask(folder.control, "stop")

    def asked() -> None:
        assert "stop" in folder.control.read_text()
        control.ask(folder.control, "stop")

    code = ended(folder, monkeypatch, lambda ctx: ctx.throttle.admit(1), opening=asked)
    assert code == ExitCode.STOPPED
    first, second = folder.state().asked
    assert first.refused == "it was asked of an engine that is gone" and not second.refused


def dead_helper(monkeypatch: pytest.MonkeyPatch, begun: threading.Event) -> None:
    """A helper that finds the journal's disk full once the load is at work."""

    async def measure(ctx: Context) -> None:
        await asyncio.to_thread(begun.wait)
        raise FULL

    monkeypatch.setattr(engine, "_measure", measure)


def test_a_dead_helper_ends_a_paused_engine_and_its_threads_before_ledger_and_wire(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, order = threading.Event(), []

    def paused(ctx: Context) -> None:
        ctx.throttle.pause()
        begun.set()
        try:
            ctx.throttle.admit(1)
        except StoppedError:
            ctx.ledger.count()
            order.append("thread")
            raise

    def change(ctx: Context) -> None:
        close = ctx.wire.close
        ctx.wire.close = lambda: (order.append("wire"), close())[1]  # type: ignore[method-assign, func-returns-value]

    dead_helper(monkeypatch, begun)
    folder = made(tmp_path)
    assert ended(folder, monkeypatch, paused, change=change) == ExitCode.BUG
    assert order[:2] == ["thread", "wire"]
    stopped = folder.state().stopped
    assert stopped is not None and "No space left" in stopped.reason


class Leased:
    """A lease on a server that does not answer."""

    def __init__(self) -> None:
        self.asked = False

    async def release(self) -> None:
        self.asked = True
        await asyncio.Event().wait()


@pytest.mark.parametrize("stuck", [True, False])
def test_neither_a_request_nor_a_server_without_an_answer_holds_the_engine(
    stuck: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, answer, found, lease = threading.Event(), threading.Event(), [], Leased()
    finished = threading.Event()

    def waiting(ctx: Context) -> None:
        begun.set()
        if stuck:
            answer.wait(10)
        found.append(ctx.ledger.count())
        finished.set()
        ctx.throttle.sleep(10)

    def change(ctx: Context) -> None:
        ctx.lease = lease  # type: ignore[assignment]

    monkeypatch.setattr(engine, "ENDING_S", 0.3)
    monkeypatch.setattr(engine, "RELEASE_S", 0.3)
    dead_helper(monkeypatch, begun)
    since = time.monotonic()
    assert ended(made(tmp_path), monkeypatch, waiting, change=change) == ExitCode.BUG
    assert time.monotonic() - since < 5
    assert engine.threads_left() is stuck
    answer.set()
    assert finished.wait(5)
    assert found == [0], "nothing is closed under a thread that is at work"
    assert lease.asked is not stuck, "a lease is not given back while a write may still arrive"


def test_a_process_does_not_wait_for_threads_without_an_answer() -> None:
    script = (
        "import threading\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from changeover.engine import __main__ as process, engine\n"
        "def run(folder, environ):\n"
        "    ThreadPoolExecutor(thread_name_prefix=engine.THREADS).submit(threading.Event().wait)\n"
        "    return engine.ExitCode.BLOCKED\n"
        "process.run = run\n"
        "process.leave(process.main(['somewhere']))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == ExitCode.BLOCKED, done.stderr
    assert "without an answer" in done.stderr


def test_what_cannot_be_opened_is_said_although_the_journal_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(tmp_path)

    def away() -> None:
        def full(self: Journal, event: ev.Event) -> None:
            raise FULL

        monkeypatch.setattr(Journal, "write", full)
        raise UnreachableError("127.0.0.1:1 does not answer")

    assert ended(folder, monkeypatch, lambda ctx: None, opening=away) == ExitCode.UNREACHABLE
    told = capsys.readouterr().err
    assert "127.0.0.1:1 does not answer" in told and "No space left" in told


def test_a_payload_that_grpc_cannot_carry_lets_the_run_go_on_over_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One large number among millions of points, in no sample: the run is neither stuck nor rounds it."""
    folder, loads = made(tmp_path), list[bool]()

    def work(ctx: Context) -> None:
        loads.append(folder.over_rest.exists())
        if len(loads) == 1:
            raise NeedsRestError("the payload of point 7 holds a number beyond 2^63")
        ctx.throttle.stop()
        ctx.throttle.admit(1)

    assert ended(folder, monkeypatch, work) == ExitCode.STOPPED
    assert loads == [False, True] and folder.state().engines == 2
    assert any("going on over REST" in text for _, _, text in folder.state().log)


async def test_an_engine_that_is_to_use_rest_opens_no_grpc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, ports = made(tmp_path), list[int | None]()

    async def gateway(access: pm.Access, environ: Any) -> Any:
        return fakes.MemoryCluster()

    monkeypatch.setattr("changeover.cluster.connect.open_gateway", gateway)
    monkeypatch.setattr("changeover.cluster.connect.open_wire", lambda access, *_: ports.append(access.grpc_port))
    plan = folder.plan()
    plan = msgspec.structs.replace(plan, job=msgspec.structs.replace(plan.job, access=pm.Access(url="u", grpc_port=6)))
    for there in (False, True):
        if there:
            folder.over_rest.touch()
        journal = Journal(folder.journal)
        ctx = await engine._open(folder, plan, journal, {}, begin(plan))
        ctx.ledger.close()
        journal.close()
    assert ports == [6, None]
