"""Whole runs on real servers: the sandbox's text and application, kills in the load and around the cutover."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest

from changeover.engine import control
from changeover.engine.folder import RunFolder
from changeover.errors import BlockedError
from changeover.plan.model import Access
from changeover.sandbox import world as worlds
from changeover.sandbox.application import read_stats, replace
from tests.engine import live
from tests.server.conftest import CLOSED, Server, adds_vectors

PATIENCE_S = 60.0


@contextmanager
def application(url: str, folder: Path) -> Iterator[Any]:
    """The sandbox's collection and application on another server; both are removed afterwards."""
    scenario = worlds.build(url, "", folder, 400)
    process = subprocess.Popen(scenario.application(sys.executable, writes=5))
    try:
        wait(lambda: read_stats(scenario.stats_file) is not None)
        yield SimpleNamespace(
            scenario=scenario,
            access=Access(url=url),
            answers=scenario.answers,
            collection=scenario.alias,
            process=process,
        )
    finally:
        process.kill()
        process.wait()
        for collection in (worlds.COLLECTION, worlds.TARGET):
            httpx.delete(f"{url}/collections/{collection}", timeout=60)


def wait(enough: Any) -> None:
    until = time.monotonic() + PATIENCE_S
    while not enough():
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("route", ["in-place", "blue-green"])
def test_kills_and_writes_lose_nothing(real_server: Server, route: str, tmp_path: Path) -> None:
    server = real_server
    if httpx.get(f"{server.url}/collections/{worlds.ALIAS}/exists").json()["result"]["exists"]:
        pytest.skip(f"this server already has a {worlds.ALIAS}; the test would overwrite it")
    environ = live.environ_for(tmp_path / "runs")
    with application(server.url, tmp_path / "world") as world:
        world.answers = msgspec.structs.replace(world.answers, route=route)
        if route == "in-place" and not adds_vectors(server):
            with pytest.raises(BlockedError, match=CLOSED):
                live.plan_for(world, environ, batch=16, rate=60.0)
            return
        plan = live.plan_for(world, environ, batch=16, rate=60.0)
        run = RunFolder.create(plan, environ)
        pid = live.start(run, environ)
        for _ in range(4):
            live.wait_for_work(run)
            live.kill(run, pid)
            pid = live.start(run, environ)
        control.ask(run.control, "rate", 0)
        live.wait_for(run, lambda state: state.ready is not None and state.ready.ready)
        if route == "in-place":
            moved = world.scenario.after
            replace(world.scenario.deploy_file, msgspec.json.encode(moved))
            wait(lambda: read_stats(world.scenario.stats_file).deploy == moved)  # type: ignore[union-attr]
        live.ask_cutover(run)
        time.sleep(0.3)
        live.kill(run, pid)
        live.start(run, environ)
        if run.state().cutover is None:
            live.wait_for(run, lambda state: state.current is not None and state.current.kind == "await-cutover")
            live.ask_cutover(run)
        state = live.wait_for(run, lambda s: s.status == "finished")
        world.process.terminate()
        world.process.wait(PATIENCE_S)
        stats = read_stats(world.scenario.stats_file)
        assert stats is not None and stats.failed_searches == 0
        assert state.failures == 0
        live.check_end(world, plan, live.expected_points(world, live.before_application(world)))
