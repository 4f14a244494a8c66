"""Start an engine process that outlives the screen; say whether one is running."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from changeover.engine.folder import RunFolder
from changeover.errors import BlockedError

STARTING_S = 5.0
"""How long a run folder without a journal is given to show that another command has just started its engine."""


def start(run: RunFolder, environ: Mapping[str, str]) -> int:
    """Start the engine in its own session with its own log; returns its pid. Raises BlockedError if one is running."""
    running = running_pid(run)
    if running is not None:
        raise BlockedError(f"{run.name}: an engine (pid {running}) is already working on this run; `changeover watch`")
    descriptor = os.open(run.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "changeover.engine", str(run.path)],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            env=dict(environ),
            cwd=Path(run.path),
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
    # The engine outlives this process by design, so nothing here waits for it or warns that it still runs.
    process.returncode = 0
    return process.pid


def refuse_begun(run: RunFolder, patience_s: float = STARTING_S) -> None:
    """A plan runs once: raises BlockedError when it runs, ran, or stopped half-way."""
    if not (run.path / "plan.json").exists():
        return
    until = time.monotonic() + patience_s
    while running_pid(run) is None and not run.journal.exists() and time.monotonic() < until:
        time.sleep(0.1)
    running = running_pid(run)
    if running is not None:
        raise BlockedError(f"{run.name}: an engine (pid {running}) is already working on it; `changeover watch`")
    if not run.journal.exists():
        return
    if run.state().status == "finished":
        raise BlockedError(f"{run.name}: this plan has been run to its end; make a new plan for another run")
    raise BlockedError(f"{run.name}: this plan was begun before; go on with `changeover resume {run.name}`")


def running_pid(run: RunFolder) -> int | None:
    """The pid of the engine that holds the run's lock, or None."""
    from changeover.engine.lock import holder

    return holder(run.lock)
