"""The way back and the cleanup on the sandbox: nothing written before or after the cutover is lost on the way."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from changeover.decision.answers import RollbackAnswer, TargetAnswer, VectorAnswer
from changeover.embed.protocol import load
from changeover.engine import control, launch
from changeover.engine.folder import RunFolder
from changeover.engine.state import RunState
from changeover.errors import ExitCode
from changeover.plan.model import Plan
from changeover.sandbox.server import start
from changeover_tui import cli
from tests.engine import live
from tests.engine.small_world import ACCEPTED, NEW, OLD, World, kill_leftovers, same

pytestmark = pytest.mark.slow

COLLECTION = f"changeover_test_back_{os.environ.get('PYTEST_XDIST_WORKER', 'one')}"
"""Another name in each worker: they share the real servers."""
LIVE = f"{COLLECTION}_live"
TARGET = f"{COLLECTION}_v2"
DOCUMENTS = 120


@contextmanager
def world_on(
    generation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **world: Any
) -> Iterator[tuple[World, dict[str, str]]]:
    environ = live.environ_for(tmp_path / "runs")
    monkeypatch.setenv("CHANGEOVER_RUNS", str(tmp_path / "runs"))
    with start(generation, tmp_path / "server") as server:
        made = World(server.url, collection=COLLECTION, folder=tmp_path, documents=DOCUMENTS, **world)
        try:
            yield made, environ
        finally:
            kill_leftovers(environ)
            made.close()


def begun(world: World, environ: dict[str, str], route: str, **answers: Any) -> tuple[Plan, RunFolder]:
    """A run that waits for its cutover."""
    given = world.answers(route=route, model=NEW, target=TargetAnswer(collection=TARGET), **answers)
    plan = world.plan(given, environ)
    run = RunFolder.create(plan, environ, accepted=ACCEPTED | {finding.code for finding in plan.findings})
    live.start(run, environ)
    live.wait_for(run, lambda state: state.ready is not None and state.ready.ready)
    return plan, run


def back_of(run: RunFolder) -> RunFolder:
    """The run that takes it back."""
    return RunFolder(run.path.with_name(f"{run.name}-back"))


def cut_over(run: RunFolder, name: str) -> None:
    control.ask(run.control, "cutover", name)
    live.wait_for(run, lambda state: state.cutover is not None)


def finished(run: RunFolder) -> RunState:
    state = live.wait_for(run, lambda state: state.status == "finished")
    live.wait_until_gone(run)
    return state


class Application:
    """Writes one side by its name and its model, and remembers every acknowledged write in the world's points."""

    def __init__(self, world: World, collection: str, vector: str, model: Any, seed: int) -> None:
        self.world, self.collection, self.vector, self.chance = world, collection, vector, random.Random(seed)
        self.model = load(model)

    def put(self, payloads: dict[Any, dict[str, Any]]) -> None:
        vectors = self.model.embed_documents([payload["text"] for payload in payloads.values()]).tolist()
        points = [
            {"id": i, "payload": payload, "vector": {self.vector: vector}}
            for (i, payload), vector in zip(payloads.items(), vectors, strict=True)
        ]
        self.world.send("PUT", f"/collections/{self.collection}/points?wait=true", {"points": points})
        self.world.points |= {i: (payload, []) for i, payload in payloads.items()}

    def edit(self, ids: list[Any]) -> None:
        """Another text."""
        self.put({i: {**self.payload(i), "text": f"{self.payload(i)['text']} edit {self.number()}"} for i in ids})

    def rewrite(self, ids: list[Any]) -> None:
        """Another text and its vector, in two requests; another vector of the point stays beside it."""
        for i in ids:
            text = f"quite another text {i} {self.number()}"
            body = {"points": [i], "payload": {"text": text}}
            self.world.send("POST", f"/collections/{self.collection}/points/payload?wait=true", body)
            vector = {"id": i, "vector": {self.vector: self.model.embed_query(text).tolist()}}
            self.world.send("PUT", f"/collections/{self.collection}/points/vectors?wait=true", {"points": [vector]})
            self.world.points[i] = ({**self.payload(i), "text": text}, [])

    def touch(self, ids: list[Any]) -> None:
        """Another payload, the same text."""
        self.put({i: {**self.payload(i), "seen": self.number()} for i in ids})

    def insert(self, first: int, count: int) -> None:
        self.put({i: {"text": f"inserted {i} {self.number()}", "module": "late"} for i in range(first, first + count)})

    def delete(self, ids: list[Any]) -> None:
        self.world.send("POST", f"/collections/{self.collection}/points/delete?wait=true", {"points": ids})
        for i in ids:
            del self.world.points[i]

    def payload(self, point_id: Any) -> dict[str, Any]:
        return self.world.points[point_id][0]

    def number(self) -> int:
        return self.chance.randrange(10**6)


def old_side_is_whole(world: World, without: set[Any] = frozenset()) -> None:  # type: ignore[assignment]
    """Ids, payloads, and every old vector a fresh embedding of the text as it is now."""
    stored = world.stored(world.collection)
    world.check_points(stored)
    ids = [i for i in stored if i not in without]
    fresh = load(OLD).embed_documents([stored[i]["payload"]["text"] for i in ids])
    wrong = [i for i, row in zip(ids, fresh, strict=True) if not same(stored[i]["vector"][world.vector], row)]
    assert not wrong, f"not the old vector of its text: {wrong[:5]}"


def payload_writer(world: World, ids: list[Any], stop: threading.Event) -> threading.Thread:
    """Somebody who sets payloads through the alias all the while: it needs no vector, so that both sides take it."""

    def write() -> None:
        number = 0
        while not stop.wait(0.05):
            number += 1
            i = ids[number % len(ids)]
            body = {"points": [i], "payload": {"during": number}}
            world.send("POST", f"/collections/{LIVE}/points/payload?wait=true", body)
            world.points[i] = ({**world.points[i][0], "during": number}, [])

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def test_sweep_and_rollback_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world_on("1.17", tmp_path, monkeypatch, alias=LIVE) as (world, environ):
        sweep_and_rollback(world, environ)


def sweep_and_rollback(world: World, environ: dict[str, str]) -> None:
    """50 late writes to the old side, 500 to the new one, then back: nothing is missing on either side."""
    plan, run = begun(world, environ, "blue-green")
    ids = sorted(world.points, key=str)
    old = Application(world, world.collection, world.vector, OLD, 1)
    cut_over(run, LIVE)
    old.edit(ids[:20])  # 50 writes that still reach the old side
    old.insert(900_000, 15)
    old.delete(ids[20:35])
    finished(run)
    world.check_points(world.stored(TARGET))

    new = Application(world, LIVE, plan.job.target_vector, NEW, 2)
    new.insert(910_000, 100)
    for begin in range(35, 115, 20):  # 500 writes to the new side: some of them again and again
        new.edit(ids[begin : begin + 20])
        new.touch(ids[begin : begin + 20])
    new.edit(list(range(900_000, 900_015)))
    new.delete(list(range(910_000, 910_020)))
    for _ in range(11):
        new.touch(ids[:20])

    straggler = Application(world, world.collection, world.vector, OLD, 3)
    straggler.edit([ids[116]])  # after the sweep: the new side does not know it, the old one keeps it
    stop = threading.Event()
    writer = payload_writer(world, ids[60:80], stop)
    try:
        assert cli.main(["rollback", run.name, "--confirm", LIVE]) == ExitCode.DONE
    finally:
        stop.set()
        writer.join()
    state = back_of(run).state()
    assert state.failures == 0 and state.searches > 0
    served = {"alias_name": LIVE, "collection_name": world.collection}
    assert served in world.send("GET", "/aliases")["aliases"]
    old_side_is_whole(world)
    assert cli.main(["rollback", run.name, "--confirm", LIVE]) == ExitCode.BLOCKED
    assert cli.main(["cleanup", run.name, "--confirm", world.collection]) == ExitCode.BLOCKED
    assert world.stored(world.collection)


def test_rollback_in_place_fills_the_old_vector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world_on("1.18", tmp_path, monkeypatch) as (world, environ):
        rollback_in_place(world, environ)


def rollback_in_place(world: World, environ: dict[str, str]) -> None:
    """Points written since with the new vector alone, and texts changed beside the old one, get an old vector again."""
    window = RollbackAnswer(window="1h")
    _, run = begun(world, environ, "in-place", vector=VectorAnswer(name="better"), rollback=window)
    ids = sorted(world.points, key=str)
    new = Application(world, world.collection, "better", NEW, 2)
    passes = len(run.state().passes)
    new.rewrite(ids[50:60])  # the application was deployed anew before anybody typed the name
    live.wait_for(run, lambda state: len(state.passes) > passes + 1)
    cut_over(run, world.name)
    finished(run)
    new.edit(ids[:30])  # a whole point with the new vector alone: the old one is gone
    new.insert(900_000, 10)
    new.rewrite(ids[40:50])
    engine = launch.running_pid(back_of(run))
    assert cli.main(["rollback", run.name, "--set", "old_model.name=wordllama"]) == ExitCode.DONE
    assert launch.running_pid(back_of(run)) == engine is not None, "only looked at: nothing was changed"
    assert cli.main(["rollback", run.name, "--confirm", world.name]) == ExitCode.DONE
    old_side_is_whole(world)
    assert cli.main(["cleanup", run.name, "--confirm", "text"]) == ExitCode.BLOCKED


def test_without_the_old_model_nothing_happens_before_it_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with world_on("1.18", tmp_path, monkeypatch, alias=LIVE) as (world, environ):
        plan, run = begun(world, environ, "blue-green", old_model=None)
        cut_over(run, LIVE)
        finished(run)
        ids = sorted(world.points, key=str)
        new = Application(world, LIVE, plan.job.target_vector, NEW, 2)
        new.edit(ids[:3])
        new.touch(ids[3:6])
        new.insert(900_000, 2)
        before = world.stored(world.collection)
        assert cli.main(["rollback", run.name, "--confirm", LIVE]) == ExitCode.BLOCKED
        said = capsys.readouterr().err
        assert "no-old-vector: 5 points written since the cutover would lack vector text" in said
        assert world.stored(world.collection) == before
        assert world.send("GET", "/aliases")["aliases"][0]["collection_name"] == TARGET
        assert cli.main(["rollback", run.name, "--confirm", LIVE, "--accept", "no-old-vector"]) == ExitCode.DONE
        lacking = {*ids[:3], 900_000, 900_001}
        assert "5 points have none" in " ".join(lamp.detail for lamp in back_of(run).state().ready.lamps)  # type: ignore[union-attr]
        stored = world.stored(world.collection)
        assert {i for i in stored if world.vector not in stored[i]["vector"]} == lacking
        old_side_is_whole(world, lacking)


def test_cleanup_brings_late_writes_over_before_it_removes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world_on("1.19", tmp_path, monkeypatch, alias=LIVE) as (world, environ):
        plan, run = begun(world, environ, "blue-green", rollback=RollbackAnswer(window="8s"))
        assert cli.main(["cleanup", run.name, "--confirm", world.collection]) == ExitCode.BLOCKED
        cut_over(run, LIVE)
        finished(run)
        assert cli.main(["cleanup", run.name, "--confirm", world.collection]) == ExitCode.BLOCKED
        new = Application(world, LIVE, plan.job.target_vector, NEW, 4)
        new.insert(920_000, 3)
        live.wait_for(back_of(run), lambda state: any(found.new for found in state.passes))
        back = finished(back_of(run))
        assert back.cutover is None and back.finished is not None and "window of 8 s ended" in back.finished.summary
        assert {920_000, 920_001} <= world.stored(world.collection).keys(), "brought to the old side while it was open"
        new.delete([920_000, 920_001])  # and gone after it closed: the old side's copies must not come back
        new.touch([920_002])
        straggler = Application(world, world.collection, world.vector, OLD, 3)
        straggler.insert(900_000, 3)
        straggler.edit(sorted(world.points, key=str)[:3])
        assert cli.main(["cleanup", run.name, "--confirm", LIVE]) == ExitCode.USAGE
        assert cli.main(["cleanup", run.name, "--confirm", world.collection]) == ExitCode.DONE
        killed_at_the_removal(world, RunFolder(run.path.with_name(f"{run.name}-cleanup")))
        names = [entry["name"] for entry in world.send("GET", "/collections")["collections"]]
        assert names == [TARGET]
        world.check_points(world.stored(TARGET))
        assert cli.main(["rollback", run.name, "--confirm", LIVE]) == ExitCode.BLOCKED


def killed_at_the_removal(world: World, run: RunFolder) -> None:
    """The same journal, but the engine died before it wrote that it had removed the collection: it is resumed.

    Then once more with the collection still there, and written since the sweep: that is brought over first.
    """
    body = {"vectors": {world.vector: {"size": 256, "distance": "Cosine"}}}
    lines = run.journal.read_bytes().splitlines(keepends=True)
    begun = next(i for i, line in enumerate(lines) if b"step-started" in line and b"drop-collection" in line)
    for there in (False, True):
        run.journal.write_bytes(b"".join(lines[: begun + 1]))
        if there:
            world.send("PUT", f"/collections/{world.collection}", body)
            known = {i: payload for i, (payload, _) in world.points.items()}
            copy = Application(world, world.collection, world.vector, OLD, 5)
            copy.put(known)
            copy.edit(sorted(world.points, key=str)[5:8])
        assert cli.main(["resume", run.name]) == ExitCode.DONE
        assert run.state().status == "finished"


def test_cleanup_in_place_removes_the_vector_from_119(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with world_on("1.19", tmp_path, monkeypatch) as (world, environ):
        _, run = begun(world, environ, "in-place", vector=VectorAnswer(name="better"))
        cut_over(run, world.name)
        finished(run)
        assert cli.main(["cleanup", run.name, "--confirm", "text"]) == ExitCode.DONE
        stored = world.stored(world.collection)
        world.check_points(stored)
        assert all(list(point["vector"]) == ["better"] for point in stored.values())
