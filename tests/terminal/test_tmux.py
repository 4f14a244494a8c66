"""The first screens inside tmux, where many terminals live: what is drawn, what keys arrive, a resize storm."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .terminal import OPEN

if shutil.which("tmux") is None:
    pytest.skip("tmux is not installed on this machine", allow_module_level=True)

PATIENCE_S = 30.0


class Pane:
    """One tmux server of our own, one pane."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._socket = f"changeover-{uuid.uuid4().hex[:8]}"
        self._environ = environ
        inner = [sys.executable, "-c", OPEN]
        self._tmux("-f", os.devnull, "new-session", "-d", "-x", "80", "-y", "24", "-c", str(folder), *inner)

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._socket, *words], capture_output=True, text=True, env=self._environ, timeout=20
        )
        return done.stdout

    def keys(self, *names: str) -> None:
        self._tmux("send-keys", *names)

    def resize(self, columns: int, rows: int) -> None:
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def text(self) -> str:
        return self._tmux("capture-pane", "-p")

    def until(self, holds: Callable[[str], bool]) -> str:
        until = time.monotonic() + PATIENCE_S
        while not holds(shown := self.text()):
            assert time.monotonic() < until, f"not shown in time:\n{shown}"
            time.sleep(0.05)
        return shown

    def pid(self) -> int:
        return int(self._tmux("display-message", "-p", "#{pane_pid}"))

    def close(self) -> None:
        self._tmux("kill-server")


@pytest.fixture
def pane(tmp_path: Path) -> Iterator[Pane]:
    environ = {**os.environ, "CHANGEOVER_RUNS": str(tmp_path / "runs"), "TERM": "xterm-256color"}
    environ.pop("TMUX", None)
    made = Pane(tmp_path, environ)
    yield made
    made.close()


def test_keys_arrive_and_the_way_back_is_there(pane: Pane) -> None:
    pane.until(lambda shown: "Try it on the sandbox" in shown)
    pane.keys("2", "Enter")
    pane.until(lambda shown: "Where is your cluster?" in shown and "enter Connect" in shown)
    pane.keys("F1")
    pane.until(lambda shown: "Give the address of the REST interface" in shown)
    pane.keys("Escape")
    pane.until(lambda shown: "Where is your cluster?" in shown)
    pane.keys("Escape")
    pane.until(lambda shown: "Try it on the sandbox" in shown)


def test_a_resize_storm_ends_in_a_whole_screen(pane: Pane) -> None:
    pane.until(lambda shown: "Try it on the sandbox" in shown)
    for columns, rows in ((120, 40), (50, 10), (200, 60), (61, 21), (50, 30), (80, 24)) * 3:
        pane.resize(columns, rows)
    pane.until(lambda shown: "Try it on the sandbox" in shown and "enter Choose" in shown)
    pane.resize(50, 15)
    pane.until(lambda shown: "at least 60 x 20" in shown)


def test_no_process_stays_behind_when_the_terminal_is_gone(pane: Pane) -> None:
    pane.until(lambda shown: "Try it on the sandbox" in shown)
    pid = pane.pid()
    pane.close()
    until = time.monotonic() + PATIENCE_S
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.kill(pid, 0)
            assert time.monotonic() < until, "the app is still there"
            time.sleep(0.1)
