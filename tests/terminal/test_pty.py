"""The app on a real terminal: its first frame, its signals, a lost connection, and bytes that are no text."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("pseudo terminals of POSIX", allow_module_level=True)

from .terminal import ENTER_ALT, LEAVE_ALT, MOUSE_OFF, Terminal

FIRST = b"Try it on the sandbox"


def test_the_first_frame_comes_and_q_leaves(tmp_path: Path) -> None:
    with Terminal.wizard(tmp_path) as terminal:
        assert ENTER_ALT in terminal.read_until(FIRST)
        terminal.send(b"q")
        assert terminal.wait() == 0
        assert LEAVE_ALT in terminal.seen


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_the_terminal_and_sets_the_exit_code(number: signal.Signals, tmp_path: Path) -> None:
    with Terminal.wizard(tmp_path) as terminal:
        terminal.read_until(FIRST)
        terminal.signal(number)
        assert terminal.wait() == 128 + number
        assert LEAVE_ALT in terminal.seen
        assert MOUSE_OFF in terminal.seen


def test_a_lost_connection_ends_the_app(tmp_path: Path) -> None:
    with Terminal.wizard(tmp_path) as terminal:
        terminal.read_until(FIRST)
        terminal.hang_up()
        terminal.signal(signal.SIGHUP)
        assert terminal.process.wait(30) != 0


def test_a_legacy_mouse_report_past_column_95_does_not_crash(tmp_path: Path) -> None:
    with Terminal.wizard(tmp_path) as terminal:
        terminal.read_until(FIRST)
        terminal.send(b"\x1b[M" + bytes([35, 200, 220]))
        terminal.send(b"2")
        terminal.send(b"\x1bOP")
        terminal.read_until(b"What do you want to do?")
        terminal.send(b"\x11")
        assert terminal.wait() == 0
        assert b"UnicodeDecodeError" not in terminal.seen


def test_a_resize_is_seen_although_the_shell_exported_its_size(tmp_path: Path) -> None:
    with Terminal.wizard(tmp_path, COLUMNS="80", LINES="24") as terminal:
        terminal.read_until(FIRST)
        terminal.resize(50, 15)
        terminal.read_until(b"at least 60 x 20")
        terminal.send(b"\x11")
        assert terminal.wait() == 0
