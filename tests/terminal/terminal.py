"""A real terminal around a real process, by the standard library: what a driver does cannot be seen from inside."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import TracebackType

OPEN = "import os, sys; from changeover_tui.app import run_wizard; sys.exit(run_wizard(None, dict(os.environ)))"
ENTER_ALT, LEAVE_ALT = b"\x1b[?1049h", b"\x1b[?1049l"
MOUSE_OFF = b"\x1b[?1000l"
PATIENCE_S = 30.0


class Terminal:
    """Runs a command on a pseudo terminal of 80 x 24 and reads what it prints."""

    def __init__(self, command: list[str], environ: dict[str, str], columns: int = 80, rows: int = 24) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True, close_fds=True
        )
        os.close(theirs)
        self.seen = b""

    @classmethod
    def wizard(cls, runs: Path, **environ_also: str) -> Terminal:
        """The wizard on its first screen, with no runs but those in that folder."""
        environ = {**os.environ, "TERM": "xterm-256color", "CHANGEOVER_RUNS": str(runs), **environ_also}
        return cls([sys.executable, "-c", OPEN], environ)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.hang_up()

    def send(self, data: bytes) -> None:
        """Type."""
        os.write(self._ours, data)

    def hang_up(self) -> None:
        """Close our end, as a lost connection does."""
        if self._ours >= 0:
            os.close(self._ours)
            self._ours = -1

    def resize(self, columns: int, rows: int) -> None:
        """Make the window another size; the kernel tells the process."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self.process.send_signal(number)

    def read_until(self, wanted: bytes) -> bytes:
        """Everything printed so far, once `wanted` is in it; fails when the process ends or patience does."""
        self._read(lambda: wanted in self.seen)
        assert wanted in self.seen, f"{wanted!r} was not printed; last: {self.seen[-2000:]!r}"
        return self.seen

    def wait(self) -> int:
        """Read to the end and return the exit code; -n when a signal ended it."""
        self._read(lambda: False)
        return self.process.wait(PATIENCE_S)

    def _read(self, enough: object) -> None:
        assert callable(enough)
        until = time.monotonic() + PATIENCE_S
        while not enough() and time.monotonic() < until:
            ready, _, _ = select.select([self._ours], [], [], 0.1)
            if ready:
                with contextlib.suppress(OSError):
                    data = os.read(self._ours, 65536)
                    self.seen += data
                    if data:
                        continue
                return
            if self.process.poll() is not None and not ready:
                return
