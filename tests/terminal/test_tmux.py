"""The first screens inside tmux, where many terminals live: keys, signals, a resize storm, bytes that are no text."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .panes import PATIENCE_S, Pane
from .terminal import OPEN

FIRST = "Try it on the sandbox"


@pytest.fixture
def pane(runs: Path, tmp_path: Path) -> Iterator[Pane]:
    environ = {**os.environ, "CHANGEOVER_RUNS": str(runs), "TERM": "xterm-256color"}
    with Pane([sys.executable, "-c", OPEN], environ, tmp_path) as made:
        made.until(FIRST, "enter Choose")
        yield made


def test_keys_arrive_and_the_way_back_is_there(pane: Pane) -> None:
    pane.keys("2", "Enter")
    pane.until("Where is your cluster?", "enter Connect")
    pane.keys("F1")
    pane.until("Give the address of the REST interface")
    pane.keys("Escape")
    pane.until("Where is your cluster?", "enter Connect")
    pane.keys("Escape")
    pane.until(FIRST)


def test_a_resize_storm_ends_in_a_whole_screen(pane: Pane) -> None:
    for columns, rows in ((120, 40), (50, 10), (200, 60), (61, 21), (50, 30), (80, 24)) * 3:
        pane.resize(columns, rows)
    pane.until(FIRST, "enter Choose")
    pane.resize(50, 15)
    pane.until("at least 60 x 20")


def test_a_legacy_mouse_report_past_column_95_is_not_the_end(pane: Pane) -> None:
    pane.resize(220, 40)
    pane.write(b"\x1b[M" + bytes([35, 200, 60]))
    pane.keys("2", "Enter")
    pane.until("Where is your cluster?")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back(pane: Pane, number: signal.Signals) -> None:
    assert pane.alternate() and pane.mouse()
    os.kill(pane.pid(), number)
    assert pane.exit_code() == 128 + number
    assert not pane.alternate() and not pane.mouse()


def test_no_process_stays_behind_when_the_terminal_is_gone(pane: Pane) -> None:
    pid = pane.pid()
    pane.vanish()
    until = time.monotonic() + PATIENCE_S
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.kill(pid, 0)
            assert time.monotonic() < until, "the app is still there"
            time.sleep(0.1)


def test_no_color_means_no_colour(runs: Path, tmp_path: Path) -> None:
    environ = {**os.environ, "CHANGEOVER_RUNS": str(runs), "TERM": "xterm-256color", "NO_COLOR": "1"}
    with Pane([sys.executable, "-c", OPEN], environ, tmp_path) as pane:
        pane.until(FIRST, "enter Choose")
        styled = pane.text(styles=True)
    colours = [tuple(found.split(";")) for found in re.findall(r"[34]8;2;(\d+;\d+;\d+)", styled)]
    assert [colour for colour in colours if len(set(colour)) > 1] == [], "not grey"
    assert not re.search(r"\x1b\[(?:[0-9;]*;)?(?:3[1-6]|4[1-6]|9[1-6])m", styled)
