"""The app on a real terminal: its first frame, its signals, a lost connection, and bytes that are no text."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("pseudo terminals of POSIX", allow_module_level=True)

from .terminal import ENTER_ALT, LEAVE_ALT, MOUSE_OFF, Terminal, codes

FIRST = b"Try it on the sandbox"
COMMAND = [sys.executable, "-m", "changeover_tui"]


def test_the_first_frame_comes_and_q_leaves(runs: Path) -> None:
    with Terminal.wizard(runs) as terminal:
        assert ENTER_ALT in terminal.read_until(FIRST)
        terminal.send(b"q")
        assert terminal.wait() == 0
        assert LEAVE_ALT in terminal.seen


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_the_terminal_and_sets_the_exit_code(number: signal.Signals, runs: Path) -> None:
    with Terminal.wizard(runs) as terminal:
        terminal.read_until(FIRST)
        terminal.signal(number)
        assert terminal.wait() == 128 + number
        assert LEAVE_ALT in terminal.seen
        assert MOUSE_OFF in terminal.seen


def test_a_lost_connection_ends_the_app(runs: Path) -> None:
    with Terminal.wizard(runs) as terminal:
        terminal.read_until(FIRST)
        terminal.hang_up()
        terminal.signal(signal.SIGHUP)
        assert terminal.process.wait(30) != 0


def test_a_legacy_mouse_report_past_column_95_does_not_crash(runs: Path) -> None:
    with Terminal.wizard(runs) as terminal:
        terminal.read_until(FIRST)
        terminal.send(b"\x1b[M" + bytes([35, 200, 220]))
        terminal.send(b"2")
        terminal.send(b"\x1bOP")
        terminal.read_until(b"What do you want to do?")
        terminal.send(b"\x11")
        assert terminal.wait() == 0
        assert b"UnicodeDecodeError" not in terminal.seen


def test_a_resize_is_seen_although_the_shell_exported_its_size(runs: Path) -> None:
    with Terminal.wizard(runs, COLUMNS="80", LINES="24") as terminal:
        terminal.read_until(FIRST)
        terminal.resize(50, 15)
        terminal.read_until(b"at least 60 x 20")
        terminal.send(b"\x11")
        assert terminal.wait() == 0


def test_without_a_terminal_there_are_prompts_and_no_codes(runs: Path) -> None:
    environ = {**os.environ, "TERM": "xterm-256color", "CHANGEOVER_RUNS": str(runs)}
    environ.pop("QDRANT_URL", None)
    done = subprocess.run(COMMAND, input=b"?\n", capture_output=True, env=environ, timeout=120)
    assert done.returncode == 2
    assert b"What do you want to do?" in done.stderr
    assert b"go back one step" in done.stderr
    assert b"changeover plan COLLECTION --answers FILE" in done.stderr
    assert b"\x1b" not in done.stderr + done.stdout


@pytest.mark.parametrize("also", [{"TERM": "dumb"}, {"ACCESSIBLE": "1"}], ids=["dumb", "accessible"])
def test_a_dumb_terminal_and_a_screen_reader_get_lines(also: dict[str, str], runs: Path) -> None:
    environ = {**os.environ, "TERM": "xterm-256color", "CHANGEOVER_RUNS": str(runs), **also}
    environ.pop("QDRANT_URL", None)
    with Terminal(COMMAND, environ) as terminal:
        terminal.read_until(b"Number [2]: ")
        terminal.send(b"\n")
        terminal.read_until(b"REST address of your cluster")
        terminal.send(b"back\n")
        terminal.read_until(b"there is nothing before this")
        terminal.send(b"quit\n")
        assert terminal.wait() == 6
        assert b"nothing was written to the cluster" in terminal.seen
        assert not codes(terminal.seen)
