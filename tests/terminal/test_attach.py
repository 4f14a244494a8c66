"""A screen on a running engine: whatever ends the screen, the engine goes on, and another screen comes back to the run."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from changeover.engine import control, launch
from changeover.engine.folder import RunFolder
from changeover.sandbox.demo import open_demo
from tests.engine import live

from .panes import Pane
from .terminal import Terminal


@pytest.mark.slow
def test_the_engine_outlives_its_screen_and_watch_comes_back(runs: Path, tmp_path: Path) -> None:
    environ = {**live.environ_for(runs), "TERM": "xterm-256color"}
    with open_demo(environ, documents=300) as world:
        run = RunFolder.create(live.plan_for(world, environ, batch=8, rate=10.0), environ)
        pid = live.start(run, environ)
        watch = [sys.executable, "-m", "changeover_tui", "watch", run.name]
        with Terminal(watch, environ) as screen:  # a connection that is lost
            screen.read_until(b"RUNNING")
            live.wait_for_work(run)
            screen.signal(signal.SIGHUP)
            assert screen.wait() == 128 + signal.SIGHUP
        assert launch.running_pid(run) == pid
        live.wait_for_work(run)
        with Pane(watch, environ, tmp_path) as pane:  # a screen that is killed
            pane.until("RUNNING", "q Detach")
            os.kill(pane.pid(), signal.SIGKILL)
            assert pane.exit_code() == 128 + signal.SIGKILL
        assert launch.running_pid(run) == pid
        live.wait_for_work(run)
        with Pane(watch, environ, tmp_path) as pane:  # detached, and what it says then
            pane.until("RUNNING", "q Detach")
            pane.keys("q")
            assert pane.exit_code() == 0
            assert f"changeover watch {run.name}" in pane.printed()
        assert launch.running_pid(run) == pid
        control.ask(run.control, "stop")
        live.wait_until_stopped(run)
        state = run.state()
        assert state.stopped is not None and state.stopped.exit_code == 6
        assert state.engines == 1
        assert state.failures == 0
