"""`rollback`: what a run changed is brought back, once a name was typed: a storage, or the side that serves."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.errors import BlockedError, ExitCode, UsageError
from changeover.safe_text import clean
from changeover_tui.verbs.common import answers_given, out, say, write_plan

ENDING_S = 60.0
"""How long an engine may take to stop."""

if TYPE_CHECKING:
    from changeover.decision.answers import Answers
    from changeover.engine.folder import RunFolder
    from changeover.engine.state import RunState
    from changeover.plan.model import Plan


def run(options: argparse.Namespace, environ: dict[str, str]) -> int:
    """Print the plan; with the typed name start its engine (or ask the one that waits) and follow it."""
    from changeover.engine.folder import find
    from changeover.plan.model import ChangeStorage

    folder = find(options.name, environ)
    done = folder.plan()
    if any(isinstance(step, ChangeStorage) for step in done.steps):
        return _storage(options, environ, folder, done)
    return _side(options, environ, folder, done)


def _storage(options: argparse.Namespace, environ: dict[str, str], folder: RunFolder, done: Plan) -> int:
    from changeover.engine.folder import RunFolder, runs_root
    from changeover.plan.text import as_text
    from changeover.wizard import Wizard
    from changeover_tui.verbs import storage_back
    from changeover_tui.verbs.apply import follow, refuse_begun

    storage_back.refuse(folder, done)
    wizard = Wizard(done.job.access, environ)
    plan = asyncio.run(storage_back.plan(wizard, done))
    refuse_begun(RunFolder(runs_root(environ) / plan.id))
    out(as_text(plan))
    path = Path(options.output or f"{plan.id}.plan.json")
    write_plan(path, plan)
    if not confirmed(options.confirm, plan.job.name_in_use, "bring it back now"):
        say(f"nothing was sent; bring it back with: changeover apply {path}")
        return int(ExitCode.DONE)
    return follow(wizard.start(plan, frozenset()), environ, detach=options.detach)


def _side(options: argparse.Namespace, environ: dict[str, str], folder: RunFolder, done: Plan) -> int:
    from changeover.engine.launch import running_pid, start
    from changeover_tui.verbs.apply import follow

    _refuse_unfinished(folder)
    back = _open_one(folder)
    replaced = back if options.set else None
    if replaced is not None:
        if replaced.state().cutover is not None:
            raise BlockedError(
                f"{replaced.name} has gone back already; `changeover resume {replaced.name}` finishes it"
            )
        back = None
    if back is not None:
        _refuse_lacking(back, options.accept)
    if back is None:
        back = _planned(options, environ, folder, done, replaced)
    elif not confirmed(options.confirm, back.plan().job.name_in_use, "go back now"):
        say(f"nothing was changed; the way back is open: changeover watch {back.name}")
        return int(ExitCode.DONE)
    if back is None:
        say(f"nothing was changed; go back with: changeover rollback {folder.name} --confirm NAME")
        return int(ExitCode.DONE)
    _accept(back, options.accept)
    if running_pid(back) is None:
        start(back, environ)
    if options.detach:
        say(f"started: {back.name}; when it is ready: changeover control {back.name} cutover --confirm NAME")
        return follow(back, environ, detach=True)
    return _go_back(back)


def _go_back(back: RunFolder) -> int:
    """Follow until every lamp is on, ask for the cutover, which was confirmed already, and follow to the end."""
    from changeover_tui.plain import attend

    code = attend.attend(back, say, on_ready=lambda _: True, starting=True)
    if back.report.exists():
        out(str(back.report))
    return code


def _refuse_unfinished(folder: RunFolder) -> None:
    """Raises BlockedError when the run works still or did not get to its cutover."""
    from changeover.engine.launch import running_pid
    from changeover_tui.plan_words import way_back

    _refuse_cleaned(folder)
    pid, state = running_pid(folder), folder.state()
    if state.cutover is None:
        raise BlockedError(f"{folder.name}: {way_back(folder.plan(), state, folder.name)}")
    if pid is not None:
        raise BlockedError(f"{folder.name}: an engine (pid {pid}) works on it; `changeover control {folder.name} stop`")


def _refuse_cleaned(folder: RunFolder) -> None:
    """Raises BlockedError when the run's cleanup was begun: it removes what a way back leads to."""
    from changeover.engine.folder import RunFolder
    from changeover.engine.launch import running_pid

    cleanup = RunFolder(folder.path.with_name(f"{folder.name}-cleanup"))
    if not (cleanup.path / "plan.json").exists():
        return
    pid, state = running_pid(cleanup), cleanup.state()
    if state.status == "finished":
        raise BlockedError(f"{folder.name}: {cleanup.name} removed the old side; there is nothing to go back to")
    if pid is not None:
        what = f"was begun, an engine (pid {pid}) works on it; `changeover control {cleanup.name} stop`"
    elif _removes_vector(state):
        what = f"was removing the old vector; finish it with `changeover resume {cleanup.name}`"
    else:
        what = (
            f"was begun and is not finished: finish it with `changeover resume {cleanup.name}`, or, to go back, give it"
            f" up first: move its folder {cleanup.path} away"
        )
    raise BlockedError(f"{folder.name}: its cleanup {what}")


def _removes_vector(state: RunState) -> bool:
    """Whether the server may have been asked to remove the old vector; a step that was refused has not asked."""
    refused = state.stopped is not None and state.stopped.exit_code == ExitCode.BLOCKED
    return not refused and any(step.kind == "drop-vector" and step.status != "waiting" for step in state.steps)


def back_runs(folder: RunFolder) -> list[RunFolder]:
    """The ways back from this run that were begun, the latest last."""
    from changeover.engine.folder import RunFolder
    from changeover.engine.steps.way_back import back_name

    found: list[RunFolder] = []
    number = 1
    while True:
        tail = "" if number == 1 else f"-{number}"
        path = folder.path.with_name(back_name(folder.name) + tail)
        if not (path / "plan.json").exists():
            return found
        found.append(RunFolder(path))
        number += 1


def window_left(back: RunFolder) -> float | None:
    """Seconds that a way back stays open, negative when that is over; None when it has no window or was used."""
    from datetime import datetime

    from changeover.plan.model import AwaitCutover

    plan, state = back.plan(), back.state()
    step = next((step for step in plan.steps if isinstance(step, AwaitCutover)), None)
    if step is None or not step.window_s or state.step(step.id).status == "done":
        return None
    # The engine counts from where it began to wait; one that never came so far does not keep it open for ever.
    began = state.step(step.id).started_at or state.started_at or datetime.fromisoformat(plan.created_at).timestamp()
    return began + step.window_s - time.time()


def is_over(back: RunFolder) -> bool:
    """Whether a way back is open no more: it has ended, or its window has and no engine holds it."""
    from changeover.engine.launch import running_pid

    if back.state().status == "finished":
        return True
    left = window_left(back)
    return left is not None and left <= 0 and running_pid(back) is None


def _open_one(folder: RunFolder) -> RunFolder | None:
    """The way back that is open; None when none is. Raises BlockedError when the run was taken back already."""
    backs = back_runs(folder)
    for back in backs:
        state = back.state()
        if state.cutover is not None and state.status == "finished":
            raise BlockedError(f"{folder.name}: it was taken back already by {back.name}; make a new plan to go on")
    return backs[-1] if backs and not is_over(backs[-1]) else None


def _end(back: RunFolder) -> None:
    """Have the engine of a way back stop, so that another one can go on from what it did."""
    from changeover.engine.control import ask
    from changeover.engine.launch import running_pid

    if running_pid(back) is None:
        return
    until = time.monotonic() + ENDING_S
    ask(back.control, "stop")
    while running_pid(back) is not None:
        if time.monotonic() > until:
            raise BlockedError(f"{back.name}: its engine does not stop; try again when it has")
        time.sleep(0.1)


def _refuse_lacking(back: RunFolder, accepted: list[str]) -> None:
    """Raises BlockedError when the open way back has no old model and wrote points without an old vector."""
    from changeover.engine.ledger import Ledger, Mark
    from changeover.plan.model import Kept
    from changeover.routes.way_back import LACKING_CODE

    if LACKING_CODE in accepted or not any(isinstance(make, Kept) for make in back.plan().job.makes):
        return
    ledger = Ledger(back.ledger)
    lacking = ledger.count(Mark.BLANK)
    ledger.close()
    if lacking:
        raise BlockedError(
            f"{LACKING_CODE}: {lacking:,} points written since the cutover have no old vector; give the old model with"
            f" --set old_model.provider=... --set old_model.name=..., or go back without them: --accept {LACKING_CODE}"
        )


def _planned(
    options: argparse.Namespace, environ: dict[str, str], folder: RunFolder, done: Plan, replaced: RunFolder | None
) -> RunFolder | None:
    """A new run for the way back, written down; None when nobody confirmed it. The one that it replaces ends before."""
    from changeover.engine.folder import RunFolder
    from changeover.engine.steps.way_back import back_name
    from changeover.plan.text import as_text

    earlier = back_runs(folder)
    number = len(earlier) + 1
    name = back_name(folder.name) + ("" if number == 1 else f"-{number}")
    plan = asyncio.run(_plan(environ, folder.name, done, answers_given(None, options.set), name))
    out(as_text(plan))
    if options.output:
        write_plan(Path(options.output), plan)
    if not confirmed(options.confirm, plan.job.name_in_use, "go back now"):
        return None
    if replaced is not None:
        _end(replaced)
    # What an earlier way back wrote to the old side stands in its ledger alone.
    base = next((run for run in reversed(earlier) if run.ledger.exists()), None)
    return RunFolder.create(plan, environ, folder.path.with_name(name), base=base)


async def _plan(environ: dict[str, str], run: str, done: Plan, given: Answers, name: str) -> Plan:
    from changeover.cluster.connect import open_gateway
    from changeover.engine.sides import sides_of
    from changeover.routes.way_back import build

    gateway = await open_gateway(done.job.access, environ)
    try:
        sides = await sides_of(gateway, done)
    finally:
        await gateway.close()
    return build(done, sides, given.old_model or done.job.old_model, run=run, name=name)


def _accept(back: RunFolder, codes: list[str]) -> None:
    """Keep what was accepted for the engine that is started next."""
    from changeover.engine.folder import write_private
    from changeover.routes.way_back import LACKING_CODE

    unknown = sorted(set(codes) - {LACKING_CODE})
    if unknown:
        raise UsageError(f"--accept {', '.join(unknown)}: only {LACKING_CODE} can be accepted here")
    if codes:
        write_private(back.path / "accepted.txt", f"{LACKING_CODE}\n".encode())


def confirmed(given: str | None, name: str, what: str) -> bool:
    """Whether the name was given or typed; UsageError when another one was given."""
    if given is None and sys.stdin.isatty():
        sys.stderr.write(f"Type {clean(name)} to {what}, or Enter to leave it as it is: ")
        sys.stderr.flush()
        return sys.stdin.readline().strip() == name
    if given is not None and given != name:
        raise UsageError(f"that is not the name: give --confirm {clean(name)}")
    return given is not None
