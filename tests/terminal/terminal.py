"""A real terminal around a real process, by the standard library: what a driver does cannot be seen from inside."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

OPEN = "import os, sys; from changeover_tui.app import run_wizard; sys.exit(run_wizard(None, dict(os.environ)))"
ENTER_ALT, LEAVE_ALT = b"\x1b[?1049h", b"\x1b[?1049l"
MOUSE_OFF = b"\x1b[?1000l"
PATIENCE_S = 600.0
PROMPT_ENDS = b": "
QUIET_S = 0.3


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
        self._answered = 0

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

    def until_asked(self) -> bytes:
        """What was printed since the last answer, once the cursor waits behind a prompt; fails when patience ends."""
        until = time.monotonic() + PATIENCE_S
        heard = -1
        # A line can be read in two halves: a prompt is what nothing comes after.
        while heard != len(self.seen) and time.monotonic() < until:
            self._read(lambda: self._unanswered.endswith(PROMPT_ENDS))
            heard = now = len(self.seen)
            self._read(lambda now=now: len(self.seen) > now, QUIET_S)  # type: ignore[misc]
        assert self._unanswered.endswith(PROMPT_ENDS), f"nothing is asked; last: {self.seen[-2000:]!r}"
        return self._unanswered

    def answer(self, asked: bytes, line: bytes) -> None:
        """Type a line once `asked` was printed; every prompt before gets Enter alone."""
        while asked not in self.until_asked():
            self.type(b"")
        self.type(line)

    def asked_for(self, before: bytes, after: bytes) -> bytes:
        """What stands between both in what was printed since the last answer; "" when they do not."""
        found = re.search(re.escape(before) + b"([^\n]*?)" + re.escape(after), self._unanswered)
        return found[1] if found else b""

    def type(self, line: bytes) -> None:
        """Type a line at the prompt that waits."""
        self.until_asked()
        self._answered = len(self.seen) + len(line)
        self.send(line + b"\n")

    @property
    def _unanswered(self) -> bytes:
        return self.seen[self._answered :]

    def read_for(self, seconds: float) -> None:
        """Read whatever is printed in that time, at most as long as patience lasts."""
        until = time.monotonic() + seconds
        self._read(lambda: time.monotonic() >= until)

    def wait(self) -> int:
        """Read to the end and return the exit code; -n when a signal ended it."""
        self._read(lambda: False)
        return self.process.wait(PATIENCE_S)

    def _read(self, enough: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        until = time.monotonic() + patience_s
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


def codes(written: bytes) -> bytes:
    """Every byte that is more than text and line ends: escape codes, redrawing, bells."""
    return bytes(byte for byte in written.replace(b"\r\n", b"\n") if byte < 32 and byte != 10)
