"""Whole runs on the sandbox over HTTP, with the application writing: kill -9 ten times, and every kind of fault."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from changeover.engine import control, launch
from changeover.engine.folder import RunFolder
from changeover.errors import BlockedError
from changeover.sandbox.demo import open_demo
from tests.engine import live

DOCUMENTS = 160
ROUTES = [("1.18", "in-place"), ("1.17", "blue-green"), ("1.19", "in-place")]

FAULTS: list[dict[str, Any]] = [
    {"kind": "429", "method": "PUT", "path_contains": "/points", "probability": 0.05, "seed": 1},
    {"kind": "500", "method": "PUT", "path_contains": "/points", "probability": 0.05, "seed": 2},
    {"kind": "503", "method": "PUT", "path_contains": "/points", "probability": 0.05, "seed": 3, "apply": "before"},
    {
        "kind": "wait_timeout",
        "method": "PUT",
        "path_contains": "/points",
        "probability": 0.05,
        "seed": 4,
        "apply": "before",
    },
    {"kind": "drop", "method": "PUT", "path_contains": "/points", "probability": 0.05, "seed": 5, "apply": "before"},
    {"kind": "drop", "method": "PUT", "path_contains": "/points", "probability": 0.05, "seed": 6},
    {"kind": "timeout", "method": "PUT", "path_contains": "/points", "probability": 0.05, "seed": 7, "delay_s": 0.5},
    {"kind": "500", "method": "POST", "path_contains": "/scroll", "probability": 0.06, "seed": 8},
    {"kind": "drop", "method": "POST", "path_contains": "/scroll", "probability": 0.06, "seed": 9},
    {"kind": "429", "method": "POST", "path_contains": "/scroll", "probability": 0.05, "seed": 10},
]


@pytest.mark.slow
@pytest.mark.parametrize(("generation", "route"), ROUTES[:2])
def test_ten_kills_lose_nothing(generation: str, route: str, tmp_path: Path) -> None:
    """On the older server while it also fails in every way."""
    environ = live.environ_for(tmp_path / "runs")
    moments = random.Random(20261123)
    with open_demo(environ, generation=generation, documents=DOCUMENTS) as world:
        plan = live.plan_for(world, environ, batch=16, streams=2, rate=40.0)
        assert plan.route == route
        run = RunFolder.create(plan, environ)
        world.server.faults(FAULTS if generation == "1.17" else [])
        pid = live.start(run, environ)
        kills = 0
        while kills < 8:
            # One in four dies while it still opens the model; the others in the middle of the load.
            if kills % 4:
                live.wait_for_work(run)
            time.sleep(moments.uniform(0.0, 0.6))
            live.kill(run, pid)
            kills += 1
            pid = live.start(run, environ)
        in_load = sum(event.step == "load" for event in live.checkpoints(run))
        assert in_load >= 4, "the kills hit the load"
        control.ask(run.control, "rate", 0)
        live.wait_for(run, lambda state: state.ready is not None and state.ready.ready)
        if route == "in-place":
            world.deploy_new()
        live.ask_cutover(run)
        while kills < 10:
            time.sleep(moments.uniform(0.05, 0.6))
            if run.state().status == "finished":
                break
            live.kill(run, pid)
            kills += 1
            pid = live.start(run, environ)
            if run.state().cutover is None:
                live.ask_cutover(run)
        state = live.wait_for(run, lambda s: s.status == "finished")
        world.server.faults([])
        assert kills >= 9
        assert state.engines == kills + 1
        assert state.failures == 0
        live.wait_for_write(world)
        stats = world.stop_application()
        assert stats.failed_searches == 0
        assert stats.inserts and stats.edits and stats.deletes
        live.check_end(world, plan, live.expected_points(world, live.before_application(world)))
        assert run.report.exists()


@pytest.mark.slow
@pytest.mark.parametrize(("generation", "route"), ROUTES[2:])
def test_every_kind_of_fault_loses_nothing(generation: str, route: str, tmp_path: Path) -> None:
    environ = live.environ_for(tmp_path / "runs")
    with open_demo(environ, generation=generation, documents=160) as world:
        plan = live.plan_for(world, environ, batch=24, streams=2)
        assert plan.route == route
        run = RunFolder.create(plan, environ)
        world.server.faults(FAULTS)
        live.start(run, environ)
        with pytest.raises(BlockedError, match="already working on this run"):
            launch.start(run, environ)
        live.wait_for(run, lambda state: state.ready is not None and state.ready.ready)
        if route == "in-place":
            world.deploy_new()
        live.ask_cutover(run)
        state = live.wait_for(run, lambda s: s.status == "finished")
        struck = world.server.stats()["faults"]
        world.server.faults([])
        live.wait_for_write(world)
        stats = world.stop_application()
        assert {"429", "500", "503", "wait_timeout", "drop", "timeout"} <= {kind for kind, n in struck.items() if n}
        assert stats.failed_searches == 0
        assert state.skipped == 0
        live.check_end(world, plan, live.expected_points(world, live.before_application(world)))
