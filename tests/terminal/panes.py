"""One pane of a tmux server of its own, with a command in it: keys in, lines out."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pytest

PATIENCE_S = 600.0
"""Generous: nothing here fails because a machine is busy."""
LEAVING_S = 30.0


class Pane:
    """A command on a terminal of tmux; the socket is private, so no other tmux is met."""

    def __init__(
        self, command: Sequence[str], environ: Mapping[str, str], folder: Path, columns: int = 80, rows: int = 24
    ) -> None:
        if shutil.which("tmux") is None:
            pytest.skip("tmux is not installed on this machine")
        # Of a short name: a socket's path has at most about a hundred characters.
        self._folder = tempfile.mkdtemp(prefix="changeover-")
        self._environ = {name: value for name, value in environ.items() if name != "TMUX"}
        size = ("-x", str(columns), "-y", str(rows))
        self._tmux("-f", os.devnull, "new-session", "-d", *size, "-c", str(folder), *command)
        self._tmux("set-option", "-g", "remain-on-exit", "on")

    def __enter__(self) -> Pane:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", f"{self._folder}/tmux", *words],
            capture_output=True,
            text=True,
            env=self._environ,
            timeout=60,
        )
        return done.stdout

    def keys(self, *names: str) -> None:
        """Press keys by tmux's names; a longer word is typed."""
        self._tmux("send-keys", *names)

    def write(self, data: bytes) -> None:
        """Send bytes as a terminal would, also such that are no text."""
        self._tmux("send-keys", "-H", *(f"{byte:02x}" for byte in data))

    def resize(self, columns: int, rows: int) -> None:
        """Make the window another size."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def text(self, *, styles: bool = False) -> str:
        """What is shown now; with `styles` also the codes of colours."""
        return self._tmux("capture-pane", "-p", *(["-e"] if styles else []))

    def printed(self) -> str:
        """What was shown and what has scrolled away, in whole lines."""
        return self._tmux("capture-pane", "-p", "-J", "-S", "-")

    def until(self, *wanted: str | Callable[[str], bool]) -> str:
        """Wait until all of these are shown; fails with the screen when the command or patience ends."""
        until = time.monotonic() + PATIENCE_S
        while True:
            dead, shown = self.dead(), self.text()
            if all(one in shown if isinstance(one, str) else one(shown) for one in wanted):
                return shown
            assert not dead, f"it ended before {wanted} was shown:\n{shown}"
            assert time.monotonic() < until, f"{wanted} was not shown in time:\n{shown}"
            time.sleep(0.05)

    def pid(self) -> int:
        """The process of the command."""
        return int(self._tmux("display-message", "-p", "#{pane_pid}"))

    def dead(self) -> bool:
        """Whether the command has ended."""
        return self._tmux("display-message", "-p", "#{pane_dead}").strip() == "1"

    def exit_code(self) -> int:
        """Wait for the command's end and return its code; 128 + n when a signal ended it."""
        until = time.monotonic() + PATIENCE_S
        # The end of the output is noticed before the code is known.
        while not (ended := self._tmux("display-message", "-p", "#{pane_dead_status}#{pane_dead_signal}").strip()):
            assert time.monotonic() < until, f"it did not end:\n{self.text()}"
            if self.dead():
                # When a pane's output ends tmux 3.3a sets SIGCHLD aside for its helper of login records: of a command
                # that ends just then it never hears, unless it is told again.
                os.kill(int(self._tmux("display-message", "-p", "#{pid}")), signal.SIGCHLD)
            time.sleep(0.05)
        by_signal = self._tmux("display-message", "-p", "#{pane_dead_signal}").strip()
        return 128 + int(by_signal) if by_signal else int(ended)

    def alternate(self) -> bool:
        """Whether the alternate screen is on."""
        return self._tmux("display-message", "-p", "#{alternate_on}").strip() == "1"

    def mouse(self) -> bool:
        """Whether the command asked for mouse reports."""
        return self._tmux("display-message", "-p", "#{mouse_any_flag}").strip() == "1"

    def vanish(self) -> None:
        """End the server at once; its command gets a hang-up."""
        self._tmux("kill-server")
        shutil.rmtree(self._folder, ignore_errors=True)

    def close(self) -> None:
        """Ask the command to leave while there is a terminal to be restored, then end the server."""
        if Path(self._folder).exists() and not self.dead():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid(), signal.SIGTERM)
            until = time.monotonic() + LEAVING_S
            while not self.dead() and time.monotonic() < until:
                time.sleep(0.05)
        self.vanish()
