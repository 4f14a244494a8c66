"""A whole migration for tests: sandbox, application, plan, engine process; and a check that knows nothing of the engine."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np

from changeover.decision.answers import Answers, Limits
from changeover.embed.protocol import load
from changeover.engine import control, launch
from changeover.engine import events as ev
from changeover.engine.folder import RunFolder
from changeover.engine.journal import read_all
from changeover.engine.state import RunState
from changeover.plan.model import Access, Plan
from changeover.sandbox.demo import DemoWorld
from changeover.wizard import Wizard

PATIENCE_S = 240.0


def plan_of(access: Access, collection: str, answers: Answers, environ: dict[str, str], *, trials: bool = True) -> Plan:
    """The plan that the wizard makes of these answers, after it has surveyed and probed the collection."""

    async def walk() -> Plan:
        wizard = Wizard(access, environ)
        wizard.answer(answers)
        try:
            await wizard.take_survey(collection)
            await wizard.probe(trials=trials)
            return wizard.plan()
        finally:
            await wizard.close()

    return asyncio.run(walk())


def plan_for(world: DemoWorld, environ: dict[str, str], **limits: Any) -> Plan:
    """The plan of the demo's answers."""
    answers = msgspec.structs.replace(world.answers, limits=Limits(**limits))
    return plan_of(world.access, world.collection, answers, environ)


def wait_for(run: RunFolder, enough: Callable[[RunState], bool], patience_s: float = PATIENCE_S) -> RunState:
    """Wait until the journal says so; fails with the log's end when the engine stopped for good or time is up."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        state = run.state()
        if enough(state):
            return state
        if state.status == "stopped":
            raise AssertionError(f"the engine stopped: {state.stopped}\n{run.log.read_text()[-2000:]}")
        time.sleep(0.05)
    ready = run.state().ready
    dark = [f"{lamp.name}: {lamp.detail}" for lamp in ready.lamps if not lamp.on] if ready else []
    raise AssertionError("\n".join(["too slow", *dark, *(text for _, _, text in run.state().log[-20:])]))


def checkpoints(run: RunFolder) -> list[ev.SliceAcked]:
    """Every checkpoint that was written, by all engines."""
    return [event for event in read_all(run.journal) if isinstance(event, ev.SliceAcked)]


def wait_for_work(run: RunFolder) -> None:
    """Wait until the engine that runs now has written a checkpoint, or is beyond the load."""
    before = len(checkpoints(run))
    wait_for(run, lambda state: len(checkpoints(run)) > before or state.step("load").status == "done")


def start(run: RunFolder, environ: dict[str, str]) -> int:
    """Start an engine and wait until it has written that it is there; returns its pid."""
    engines = run.state().engines
    pid = launch.start(run, environ)
    wait_for(run, lambda state: state.engines > engines)
    return pid


def kill(run: RunFolder, pid: int) -> None:
    """SIGKILL, and wait until the lock is free."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)
    while launch.running_pid(run) is not None:
        time.sleep(0.02)


def wait_until_stopped(run: RunFolder) -> None:
    """Wait until no engine holds the run and it says that it stopped."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if launch.running_pid(run) is None and run.state().status == "stopped":
            return
        time.sleep(0.05)
    raise AssertionError("the engine did not stop")


def wait_until_gone(run: RunFolder) -> None:
    """Wait until no engine holds the run: after its last event it still gives back what it held."""
    until = time.monotonic() + PATIENCE_S
    while launch.running_pid(run) is not None:
        assert time.monotonic() < until, "the engine does not end"
        time.sleep(0.02)


def ask_cutover(run: RunFolder) -> None:
    """What a person does by typing the name."""
    control.ask(run.control, "cutover", run.plan().job.name_in_use)


def expected_points(world: DemoWorld, before: dict[Any, dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """The state that the application's own log leads to, from the payloads that were stored before it started."""
    points = dict(before)
    for line in world.scenario.log_file.read_text().splitlines():
        entry = msgspec.json.decode(line)
        if entry.get("failed"):
            continue
        if entry["payload"] is None:
            points.pop(entry["id"], None)
        else:
            points[entry["id"]] = entry["payload"]
    return points


def wait_for_write(world: DemoWorld) -> None:
    """Wait for the application's next acknowledged write: a refused one that took effect all the same is settled then."""

    def acknowledged() -> int:
        lines = world.scenario.log_file.read_text().splitlines()
        return sum(not msgspec.json.decode(line).get("failed") for line in lines)

    before, until = acknowledged(), time.monotonic() + 30
    while acknowledged() == before:
        assert time.monotonic() < until, "the application does not write any more"
        time.sleep(0.05)


def stored_points(url: str, collection: str) -> dict[Any, dict[str, Any]]:
    """Every point with payload and vectors, read over REST."""
    points: dict[Any, dict[str, Any]] = {}
    body: dict[str, Any] = {"limit": 500, "with_payload": True, "with_vector": True}
    while True:
        answer = httpx.post(f"{url}/collections/{collection}/points/scroll", json=body, timeout=60).json()["result"]
        points.update({row["id"]: row for row in answer["points"]})
        if answer["next_page_offset"] is None:
            return points
        body["offset"] = answer["next_page_offset"]


def check_end(world: DemoWorld, plan: Plan, expected: dict[Any, dict[str, Any]]) -> None:
    """Ids, payloads and every new vector are what the application wrote and a fresh embedding of it gives."""
    stored = stored_points(world.access.url, plan.job.target)
    assert set(stored) == set(expected)
    wrong = [i for i, payload in expected.items() if stored[i]["payload"] != payload]
    assert not wrong, f"payloads differ: {wrong[:5]}"
    model = load(plan.job.model)
    ids = list(stored)
    fresh = model.embed_documents([stored[i]["payload"]["text"] for i in ids])
    model.close()
    without = [i for i in ids if plan.job.target_vector not in stored[i]["vector"]]
    assert not without, f"no new vector: {without[:5]}"
    kept = np.array([stored[i]["vector"][plan.job.target_vector] for i in ids], dtype=np.float32)
    cosines = (kept * fresh).sum(axis=1) / (np.linalg.norm(kept, axis=1) * np.linalg.norm(fresh, axis=1))
    stale = [i for i, c in zip(ids, cosines, strict=True) if c < 0.999]
    assert not stale, f"{len(stale)} stale vectors, e.g. {stale[:5]}"


def before_application(world: DemoWorld) -> dict[Any, dict[str, Any]]:
    """Payloads as the world was built: the documents of the corpus."""
    from changeover.sandbox import corpus

    return {document.id: document.payload() for document in corpus.documents(world.scenario.points)}


def environ_for(folder: Path) -> dict[str, str]:
    """This process's environment with the runs in `folder`."""
    return {**os.environ, "CHANGEOVER_RUNS": str(folder)}
