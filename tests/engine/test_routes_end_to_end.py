"""Each route to its end on the sandbox, with a writer beside it; what it promised is computed independently."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from changeover.cluster.capabilities import supports
from changeover.decision.answers import MapAnswer, TargetAnswer
from changeover.embed.model import ModelSpec
from changeover.engine import control
from changeover.engine.folder import RunFolder
from changeover.routes.quantization import way_back
from changeover.sandbox.server import start
from changeover.sandbox.server.generations import GENERATIONS
from tests.engine import live
from tests.engine.route_cases import CASES, NAMED, TARGET, Case, run_case
from tests.engine.small_world import ACCEPTED, OLD, World, kill_leftovers

pytestmark = pytest.mark.slow

LONG = {"side-by-side-unnamed", "hybrid-and-dense", "hybrid-server", "offline-in-place", "linear-map", "side-by-side"}
"""Their parts are run by other cases too."""

ON = {
    "dimensions-pca": "1.17",
    "quantization": "1.17",
    "side-by-side-unnamed": "1.17",
    "hybrid-server": "1.17",
    "hybrid-local": "1.19",
    "side-by-side": "1.19",
    "offline-in-place": "1.19",
    "unnamed-in-place": "1.19",
}
"""Generation that a case runs on; 1.18 for the others. Every case runs on every real server (tests/server)."""


@contextmanager
def world_on(generation: str, tmp_path: Path, **world: Any) -> Iterator[tuple[World, dict[str, str]]]:
    environ = live.environ_for(tmp_path / "runs")
    with start(generation, tmp_path / "server") as server:
        made = World(server.url, collection=NAMED, folder=tmp_path, **world)
        try:
            yield made, environ
        finally:
            kill_leftovers(environ)
            made.close()


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name, marks=pytest.mark.long if case.name in LONG else ()) for case in CASES]
)
def test_the_route_ends_as_promised(case: Case, tmp_path: Path) -> None:
    generation = ON.get(case.name, "1.18")
    assert all(supports(feature, GENERATIONS[generation].version) for feature in case.needs)
    with world_on(generation, tmp_path, **case.world) as (world, environ):
        run_case(case, world, environ)


def configured(world: World) -> dict[str, Any]:
    """The configuration, without the metadata, where an ended lease stays."""
    config: dict[str, Any] = world.send("GET", f"/collections/{NAMED}")["config"]
    return {key: value for key, value in config.items() if key != "metadata"}


def test_the_way_back_from_a_quantization_is_a_plan_too(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "quantization")
    with world_on("1.18", tmp_path, **case.world) as (world, environ):
        plan = world.plan(case.answers(world), environ)
        before = configured(world)
        world.run(plan, environ, writes=False)
        assert configured(world) != before
        world.run(way_back(plan), environ, writes=False)
        assert configured(world) == before


def test_a_map_that_gains_nothing_writes_nothing(tmp_path: Path) -> None:
    with world_on("1.18", tmp_path) as (world, environ):
        scrambled = ModelSpec(provider="sandbox", name="scrambled")
        plan = world.plan(world.answers(avoid="linear-map", model=scrambled, map=MapAnswer(anchors=80)), environ)
        with pytest.raises(AssertionError, match="the map gains nothing"):
            world.run(plan, environ, writes=False)
        assert list(world.send("GET", f"/collections/{NAMED}")["config"]["params"]["vectors"]) == ["text"]


def test_the_old_collection_is_not_removed_while_somebody_writes(tmp_path: Path) -> None:
    with world_on("1.18", tmp_path) as (world, environ):
        target = TargetAnswer(same_name=True, collection=TARGET)
        plan = world.plan(world.answers(zero_downtime=False, model=OLD, target=target), environ)
        run = RunFolder.create(plan, environ, accepted=ACCEPTED | {f.code for f in plan.findings})
        live.start(run, environ)
        live.wait_for(run, lambda state: state.ready is not None and state.ready.ready)
        world.start_writer(pause_s=0.0)
        control.ask(run.control, "cutover", plan.job.name_in_use)
        with pytest.raises(AssertionError, match="still being written to"):
            live.wait_for(run, lambda state: state.status == "finished")
        world.stop_writer()
        world.check_points(world.stored(NAMED))
