"""A collection that is deleted, or turns red, while the engine works on it: one line, nothing made anew, resumable."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from changeover.cluster.api import Optimizations
from changeover.decision.answers import Limits, TargetAnswer
from changeover.engine import launch
from changeover.engine.folder import RunFolder
from changeover.engine.steps.wait_green import wait_green
from changeover.errors import ExitCode, UnreachableError
from changeover.plan.model import WaitGreen
from changeover.sandbox.server import start
from tests.engine import live
from tests.engine.fakes import close
from tests.engine.small_world import ACCEPTED, NEW, World, kill_leftovers
from tests.engine.two_sides import world

TARGET = "docs_v2"


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("side", ["source", "target"])
def test_a_collection_that_is_deleted_under_the_engine_ends_the_run_by_its_name(side: str, tmp_path: Path) -> None:
    environ = live.environ_for(tmp_path / "runs")
    with start("1.17", tmp_path / "server") as server:
        made = World(server.url, collection="docs_v1", folder=tmp_path, documents=80, alias="docs")
        try:
            limits = Limits(batch=4, streams=1, rate=12.0)
            given = made.answers(route="blue-green", model=NEW, target=TargetAnswer(collection=TARGET), limits=limits)
            plan = made.plan(given, environ)
            run = RunFolder.create(plan, environ, accepted=ACCEPTED | {finding.code for finding in plan.findings})
            live.start(run, environ)
            live.wait_for_work(run)
            gone = made.collection if side == "source" else TARGET
            made.send("DELETE", f"/collections/{gone}")
            live.wait_until_gone(run)
            for engines in (1, 2):
                assert run.state().engines == engines
                stopped = run.state().stopped
                assert stopped is not None and gone in stopped.reason and "\n" not in stopped.reason
                assert stopped.exit_code not in (ExitCode.DONE, ExitCode.BUG)
                assert "Traceback" not in run.log.read_text()
                names = {row["name"] for row in made.send("GET", "/collections")["collections"]}
                assert gone not in names, "nothing is made anew behind somebody's back"
                os.waitpid(launch.start(run, environ), 0)
        finally:
            kill_leftovers(environ)
            made.close(TARGET)


async def test_a_collection_that_turns_red_ends_the_run_with_the_servers_reason(tmp_path: Path) -> None:
    cluster, ctx = world("blue-green", {1: ("text", 0)}, [], str(tmp_path))

    async def red(name: str) -> Optimizations:
        return Optimizations(color="red", queued=0, running=0, error="Not enough space available for optimization")

    cluster.optimizations = red
    with pytest.raises(UnreachableError, match="target is red: Not enough space available for optimization"):
        await wait_green(ctx, WaitGreen(id="wait-green", title="Wait", collection="target"))
    close(ctx)
