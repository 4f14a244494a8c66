"""Start an engine process that outlives the screen; say whether one is running."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from changeover.engine.folder import RunFolder
from changeover.errors import BlockedError


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


def running_pid(run: RunFolder) -> int | None:
    """The pid of the engine that holds the run's lock, or None."""
    from changeover.engine.lock import holder

    return holder(run.lock)
