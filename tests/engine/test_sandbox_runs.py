"""Whole runs on the sandbox over HTTP, with the demo's application writing, and kill -9 a few times."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from changeover.engine import control
from changeover.engine.folder import RunFolder
from changeover.sandbox.demo import open_demo
from tests.engine import live

DOCUMENTS = 100


@pytest.mark.slow
@pytest.mark.long
def test_kills_lose_nothing(tmp_path: Path) -> None:
    """With the demo's application, which is deployed anew in the middle; tests/stress kills on every route."""
    environ = live.environ_for(tmp_path / "runs")
    moments = random.Random(20261123)
    with open_demo(environ, generation="1.18", documents=DOCUMENTS) as world:
        plan = live.plan_for(world, environ, batch=16, streams=2, rate=40.0)
        assert plan.route == "in-place"
        run = RunFolder.create(plan, environ)
        pid = live.start(run, environ)
        kills = 0
        while kills < 3:
            # The first dies while it still opens the model; the others in the middle of the load.
            if kills % 3:
                live.wait_for_work(run)
            time.sleep(moments.uniform(0.0, 0.6))
            live.kill(run, pid)
            kills += 1
            pid = live.start(run, environ)
        in_load = sum(event.step == "load" for event in live.checkpoints(run))
        assert in_load >= 2, "the kills hit the load"
        control.ask(run.control, "rate", 0)
        live.wait_for(run, lambda state: state.ready is not None and state.ready.ready)
        world.deploy_new()
        live.ask_cutover(run)
        while kills < 4:
            time.sleep(moments.uniform(0.05, 0.6))
            if run.state().status == "finished":
                break
            live.kill(run, pid)
            kills += 1
            pid = live.start(run, environ)
            if run.state().cutover is None:
                live.ask_cutover(run)
        state = live.wait_for(run, lambda s: s.status == "finished")
        assert kills >= 3
        assert state.engines == kills + 1
        assert state.failures == 0
        live.wait_for_write(world)
        stats = world.stop_application()
        assert stats.failed_searches == 0
        assert stats.inserts and stats.edits and stats.deletes
        live.check_end(world, plan, live.expected_points(world, live.before_application(world)))
        assert run.report.exists()
