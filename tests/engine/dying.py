"""Engines that die at a chosen journal record, by a real SIGKILL; forked from a process that has loaded everything."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import qdrant_client  # noqa: F401

from changeover.embed import protocol
from changeover.embed.model import ModelSpec
from changeover.engine import canary, desk, engine, journal, lease
from changeover.engine import events as ev
from changeover.engine.folder import RunFolder
from changeover.engine.steps import converge, cutover, load, wait_green
from changeover.report import build  # noqa: F401

MODEL = ModelSpec(provider="sandbox", name="wordllama")
FAST = (
    (lease, "SETTLE_S", 0.01),
    (wait_green, "POLL_S", 0.15),
    (cutover, "REST_S", 0.05),
    (cutover, "POLL_S", 0.02),
    (converge, "BETWEEN_S", 0.05),
    (load, "CHECKPOINT_S", 0.0),
    (canary, "BASELINE", 3),
    (desk, "POLL_S", 0.05),
)
"""Waits that only make a run gentle; none of them makes it right."""

ENCODER = protocol.load(MODEL)
"""Loaded once, before the forks."""


def forking() -> ForkServerContext:
    """Processes that begin with this module loaded."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.engine.dying"])
    return context


def run(path: str, environ: dict[str, str], record: int, torn: bool) -> None:
    """Run the engine of a folder; die right after the `record`-th record of this process, or in its middle. 0: live."""
    out = os.open(Path(path) / "engine.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    for module, name, value in FAST:
        setattr(module, name, value)
    protocol.load_encoder = lambda spec, environ: ENCODER  # type: ignore[assignment]
    written = 0
    write = journal.Journal.write

    def counted(self: journal.Journal, event: ev.Event) -> None:
        nonlocal written
        written += 1
        if written == record and torn:
            line = ev.encode(event)
            os.write(self._fd, line[: len(line) // 2])
        else:
            write(self, event)
        if written == record:
            os.kill(os.getpid(), signal.SIGKILL)

    journal.Journal.write = counted  # type: ignore[method-assign]
    code = engine.run(RunFolder(Path(path)), environ)
    os._exit(int(code))


def until_record(context: Any, path: Path, environ: dict[str, str], record: int, *, torn: bool = False) -> int:
    """Run an engine in a process of its own; returns its exit code, -9 when it died at the record."""
    process = context.Process(target=run, args=(str(path), environ, record, torn))
    process.start()
    process.join(90)
    assert process.exitcode is not None, "the engine hangs"
    return int(process.exitcode)


def run_until_full(path: str, environ: dict[str, str]) -> None:
    """Run the engine of a folder whose journal's disk is full from the moment on that a file `full` lies there."""
    write = journal.Journal.write

    def limited(self: journal.Journal, event: ev.Event) -> None:
        if (Path(path) / "full").exists():
            raise journal.JournalError("journal.jsonl: cannot write the journal: No space left on device")
        write(self, event)

    journal.Journal.write = limited  # type: ignore[method-assign]
    run(path, environ, 0, False)
