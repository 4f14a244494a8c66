"""The ways back from a run: which were begun, which one is open, and for how long still."""

from __future__ import annotations

import time
from datetime import datetime

import msgspec

from changeover.engine import launch
from changeover.engine.folder import RunFolder
from changeover.engine.state import RunState
from changeover.errors import BlockedError
from changeover.plan.model import AwaitCutover, OpenWayBack, Plan

COUNTED = "count-lacking"
"""The step that counts, reading only, which points would lack an old vector."""
TAIL = "-back"
CLEANUP_TAIL = "-cleanup"


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A way back that is open, as its journal tells it."""

    run: str
    left_s: float | None
    """Until it closes by itself; None when it has no such end. Negative while its engine ends it."""
    behind: int | None = None
    """Differences that the last pass over both sides found, and brought over; None before the first pass."""
    looked_at: float | None = None
    """When that pass ended."""
    asked: bool = False
    """Somebody confirmed to go back: it is on its way."""
    alive: bool = True
    """An engine keeps the old side fresh."""


def back_runs(folder: RunFolder) -> list[RunFolder]:
    """The ways back from this run that were begun, the latest last."""
    found: list[RunFolder] = []
    while True:
        run = back_run(folder, len(found) + 1)
        if not (run.path / "plan.json").exists():
            return found
        found.append(run)


def back_run(folder: RunFolder, number: int) -> RunFolder:
    """The folder of the way back of that number, whether it is there or not."""
    tail = "" if number == 1 else f"-{number}"
    return RunFolder(folder.path.with_name(f"{folder.name}{TAIL}{tail}"))


def cleanup_run(folder: RunFolder) -> RunFolder:
    """The folder of the run's cleanup, whether it is there or not."""
    return RunFolder(folder.path.with_name(f"{folder.name}{CLEANUP_TAIL}"))


def window_left(plan: Plan, state: RunState, now: float | None = None) -> float | None:
    """Seconds that a way back stays open, negative when that is over; None when it has no window or was used."""
    step = next((step for step in plan.steps if isinstance(step, AwaitCutover)), None)
    if step is None or not step.window_s or state.when_ready or state.step(step.id).status == "done":
        return None
    # The engine counts from where it began to wait; one that never came so far does not keep it open for ever.
    began = state.step(step.id).started_at or state.started_at or datetime.fromisoformat(plan.created_at).timestamp()
    return began + step.window_s - (time.time() if now is None else now)


def is_over(back: RunFolder) -> bool:
    """Whether a way back is open no more: it has ended, or its window has and no engine holds it."""
    state = back.state()
    if state.status == "finished":
        return True
    left = window_left(back.plan(), state)
    return left is not None and left <= 0 and launch.running_pid(back) is None


def open_back(folder: RunFolder) -> RunFolder | None:
    """The way back that is open; None when none is. Raises BlockedError when the run was taken back already."""
    backs = back_runs(folder)
    for back in backs:
        state = back.state()
        if state.cutover is not None and state.status == "finished":
            raise BlockedError(f"{folder.name}: it was taken back already by {back.name}; make a new plan to go on")
    return backs[-1] if backs and not is_over(backs[-1]) else None


def only_counted(back: RunFolder, state: RunState) -> bool:
    """Whether a way back only counted which points would lack an old vector, and nobody accepted that."""
    begun = [step for step in state.steps if step.status != "waiting"]
    return (
        state.status == "stopped" and all(step.kind == COUNTED for step in begun) and launch.running_pid(back) is None
    )


def going_back(state: RunState) -> bool:
    """Whether somebody confirmed this way back."""
    return state.when_ready or any(step.kind == "await-cutover" and step.status == "done" for step in state.steps)


def window_of(back: RunFolder, plan: Plan, state: RunState, *, now: float, alive: bool) -> Window | None:
    """The way back as it stands, from its plan and state; None when it is over."""
    left = window_left(plan, state, now)
    if state.status == "finished" or (left is not None and left <= 0 and not alive):
        return None
    found = state.differences
    return Window(
        run=back.name,
        left_s=left,
        behind=None if found is None else found.total,
        looked_at=None if found is None else found.at,
        asked=going_back(state),
        alive=alive,
    )


def planned_window(plan: Plan) -> float:
    """Seconds that the plan keeps the way back open after its cutover; 0 for not at all."""
    return next((step.window_s for step in plan.steps if isinstance(step, OpenWayBack)), 0.0)
