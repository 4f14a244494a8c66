"""kill -9 between any two journal records of a run, and in the middle of each: the end is the same."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from changeover import seals
from changeover.decision.answers import Answers, Limits, TextAnswer
from changeover.engine import control
from changeover.engine.folder import RunFolder
from changeover.engine.journal import read_all
from changeover.engine.ledger import Ledger
from changeover.errors import ExitCode
from changeover.plan.model import Access, Plan
from changeover.sandbox.server import start
from tests.engine import dying, live
from tests.stress.endpoint import MODEL
from tests.stress.run import ROUTES, check
from tests.stress.world import World

pytestmark = pytest.mark.slow
NAME = "dying"
POINTS = 24


def planned(world: World, route: str, environ: dict[str, str]) -> Plan:
    answers = {
        "collection": world.alias,
        "text": TextAnswer(field="text"),
        "limits": Limits(batch=16, streams=1),
        "cutover": "when-ready",
        **ROUTES[route].answers(f"{NAME}_v2", MODEL),
    }
    return live.plan_of(Access(url=world.url), world.alias, Answers(**answers), environ, trials=False)


def again(plan: Plan, number: int, torn: bool, environ: dict[str, str]) -> RunFolder:
    """A run of its own."""
    copy = seals.seal(msgspec.structs.replace(plan, id=f"{plan.id}-{number}{'t' if torn else ''}", hash=""))
    return RunFolder.create(copy, environ, accepted=frozenset({"no-go"} | {f.code for f in plan.findings}))


def undone(world: World, plan: Plan) -> None:
    """The cluster as it was before the run."""
    if plan.job.mode == "blue-green":
        action = {"create_alias": {"collection_name": world.collection, "alias_name": world.alias}}
        world.send("POST", "/collections/aliases", {"actions": [action]})
        world.http.delete(f"/collections/{plan.job.target}")
    else:
        world.send("DELETE", f"/collections/{world.collection}/vectors/{plan.job.target_vector}?wait=true")


@pytest.mark.parametrize(
    ("route", "every"),
    [
        ("in-place", 8),
        ("blue-green", 4),
        pytest.param("in-place", 1, marks=pytest.mark.long),
        pytest.param("blue-green", 1, marks=pytest.mark.long),
    ],
)
def test_a_kill_between_any_two_records_changes_nothing(route: str, every: int, tmp_path: Path) -> None:
    """Every record in the long run, some of them in each."""
    environ = live.environ_for(tmp_path / "runs")
    context = dying.forking()
    with start("1.19", tmp_path / "server") as server:
        world = World(server.url.rstrip("/"), NAME, points=POINTS, seed=1)
        world.searches = 1
        plan = planned(world, route, environ)
        died = 0
        for record in range(1, 500, every):
            torn = record // every % 2 == 0
            run = again(plan, record, torn, environ)
            code = dying.until_record(context, run.path, environ, record, torn=torn)
            if code == 0:
                break
            assert code == -9, run.log.read_text()[-2000:]
            died += 1
            code = dying.until_record(context, run.path, environ, 0)
            assert code == 0, f"record {record}: {run.log.read_text()[-2000:]} {run.state().stopped}"
            assert run.state().status == "finished"
            check(world, plan, ROUTES[route], run)
            ledger = Ledger(run.ledger)
            assert ledger.count() == len(world.points)
            ledger.close()
            undone(world, plan)
        assert died > 30 / every, f"only {died} records: {len(read_all(run.journal))}"
        world.close(f"{NAME}_v2")


def test_a_paused_engine_whose_journal_is_full_ends_and_can_be_resumed(tmp_path: Path) -> None:
    """Its threads wait for the word to go on, and nothing that is asked of it can be answered any more."""
    environ = live.environ_for(tmp_path / "runs")
    context = dying.forking()
    with start("1.19", tmp_path / "server") as server:
        world = World(server.url.rstrip("/"), NAME, points=POINTS, seed=1)
        world.searches = 1
        plan = planned(world, "blue-green", environ)
        run = again(plan, 0, False, environ)
        control.ask(run.control, "pause")
        process = context.Process(target=dying.run_until_full, args=(str(run.path), environ))
        process.start()
        live.wait_for(run, lambda state: state.step("load").status == "running")
        (run.path / "full").touch()
        process.join(30)
        assert process.exitcode == ExitCode.BUG, "the engine hangs"
        assert "No space left on device" in run.log.read_text()
        (run.path / "full").unlink()
        control.ask(run.control, "resume")
        assert dying.until_record(context, run.path, environ, 0) == 0
        check(world, plan, ROUTES["blue-green"], run)
        world.close(f"{NAME}_v2")
