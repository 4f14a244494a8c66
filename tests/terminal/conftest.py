"""Nothing that a terminal test starts outlives it: no process and no tmux server."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

GONE_S = 30.0
"""How long what was told to end may take to be gone, on a busy machine."""


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Path]:
    """A folder for runs; whatever was started with it in its environment has to be gone at the end."""
    folder = tmp_path / "runs"
    yield folder
    until = time.monotonic() + GONE_S
    while (left := started_with(folder)) and time.monotonic() < until:
        time.sleep(0.1)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not left, f"left behind: {left}"


def started_with(folder: Path) -> dict[int, str]:
    """The processes whose environment names this folder for runs, with their commands; only where /proc tells."""
    found: dict[int, str] = {}
    wanted = f"CHANGEOVER_RUNS={folder}\0".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(entry.name) != os.getpid() and wanted in (entry / "environ").read_bytes() + b"\0":
                found[int(entry.name)] = (
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                )
    return found
