"""Every route to its end on real servers, with a writer beside it; and its requests refused by plan where they do not fit."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from changeover.cluster.capabilities import supports
from tests.engine import live
from tests.engine.route_cases import CASES, NAMED, TARGET, Case, run_case
from tests.engine.small_world import World, kill_leftovers
from tests.server.conftest import Server


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_route_ends_as_promised(server: Server, case: Case, tmp_path: Path) -> None:
    if not server.real:
        pytest.skip("the sandbox has its own test of this")
    version = httpx.get(server.url).json()["version"]
    if missing := [feature for feature in case.needs if not supports(feature, version)]:
        pytest.skip(f"{version} has no {', '.join(missing)}; the tree closes this way there")
    environ = live.environ_for(tmp_path / "runs")
    world = World(server.url, collection=NAMED, folder=tmp_path, **case.world)
    try:
        run_case(case, world, environ)
    finally:
        kill_leftovers(environ)
        world.close(TARGET)
