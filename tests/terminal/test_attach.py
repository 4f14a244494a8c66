"""A screen on a running engine: a lost connection ends the screen only, and another one comes back to the run."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from changeover.engine import control, launch
from changeover.engine.folder import RunFolder
from changeover.sandbox.demo import open_demo
from tests.engine import live
from tests.terminal.terminal import Terminal


@pytest.mark.slow
def test_the_engine_outlives_its_screen_and_watch_comes_back(tmp_path: Path) -> None:
    environ = {**live.environ_for(tmp_path / "runs"), "TERM": "xterm-256color"}
    with open_demo(environ, documents=200) as world:
        run = RunFolder.create(live.plan_for(world, environ, batch=8, rate=15.0), environ)
        pid = live.start(run, environ)
        watch = [sys.executable, "-m", "changeover_tui", "watch", run.name]
        with Terminal(watch, environ) as screen:
            screen.read_until(b"RUNNING")
            live.wait_for_work(run)
            screen.signal(signal.SIGHUP)
            assert screen.wait() == 128 + signal.SIGHUP
        assert launch.running_pid(run) == pid
        live.wait_for_work(run)
        assert launch.running_pid(run) == pid
        with Terminal(watch, environ) as screen:
            screen.read_until(b"RUNNING")
            screen.send(b"q")
            assert screen.wait() == 0
        assert launch.running_pid(run) == pid
        control.ask(run.control, "rate", 0)
        live.wait_for(run, lambda state: state.ready is not None and state.ready.ready)
        control.ask(run.control, "stop")
        live.wait_until_stopped(run)
        state = run.state()
        assert state.stopped is not None and state.stopped.exit_code == 6
        assert state.failures == 0
