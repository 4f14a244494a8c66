"""Optimising beside the shard: a child process works on a copy, and the collection goes on answering and writing.

The core holds the interpreter for as long as it optimises (measured on qdrant-edge-py 0.9.0: 12 s without any answer
at 16,000 points of 384 dimensions). What is written meanwhile is repeated on the copy, which then takes the shard's place.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import qdrant_edge as edge

NICE = 10
"""The child gives way to the server's own work, like the servers' optimiser threads."""
KILL_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of Linux."""


class Build:
    """One run of the optimiser on a copy; `updates` are to be repeated on it, `abandoned` says that it is of no use."""

    def __init__(self, shard: Path, written: int, reconfigured: bool) -> None:
        """Copy the folder of a flushed shard, to which nothing is written meanwhile, and start the child.

        OSError when the disk is full or no process can be started; nothing is left behind then.
        """
        self.folder = shard.parent / f"shard-{uuid.uuid4().hex}"
        self.written = written
        self.reconfigured = reconfigured
        self.updates: list[Any] = []
        self.abandoned = False
        self.started = time.time()
        try:
            shutil.copytree(shard, self.folder)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "changeover.sandbox.server.optimiser", str(self.folder), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        except OSError:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def ended(self) -> bool:
        """Whether the child is done, well or not."""
        return self._process.poll() is not None

    def failure(self) -> str | None:
        """What went wrong, once the child has ended; None when all went well."""
        assert self._process.stderr is not None
        with self._process.stderr as said:
            lines = said.read().decode(errors="replace").strip().splitlines()
        if self._process.wait() == 0:
            return None
        return lines[-1] if lines else f"the optimiser ended with {self._process.returncode}"

    def abandon(self) -> None:
        """Stop the child; `discard` removes the copy."""
        self.abandoned = True
        self.updates.clear()
        self._process.kill()

    def discard(self) -> None:
        """Stop the child if it runs, and remove the copy."""
        self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def moment(seconds: float) -> str:
    """A time of the epoch as the servers write it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def described(
    status: str, optimizer: str, segments: list[dict[str, Any]], started: float, ended: float | None = None
) -> dict[str, Any]:
    """An optimisation as `GET /collections/{c}/optimizations` shows it; times in seconds of the epoch."""
    progress: dict[str, Any] = {"name": "Segment Optimizing", "started_at": moment(started)}
    if ended is not None:
        progress |= {"finished_at": moment(ended), "duration_sec": ended - started}
    return {
        "uuid": str(uuid.uuid4()),
        "optimizer": optimizer,
        "status": status,
        "segments": segments,
        "progress": progress,
    }


def main(folder: str, parent: int) -> int:
    """Optimise the shard in `folder`; 1 with the core's words on stderr when it cannot, or when the parent is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(KILL_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        return 1
    os.nice(NICE)
    try:
        shard = edge.EdgeShard.load(folder)
        shard.optimize()
        shard.flush()
        shard.close()
    except Exception as error:
        # The core has one class for all its failures; the parent shows the text as the optimiser's error.
        sys.stderr.write(" ".join(str(error).split()) + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
