"""Going back: the old side serves again, with everything written since the cutover; or a storage is brought back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from changeover.afterwards import storage
from changeover.afterwards.backs import COUNTED, back_run, back_runs, cleanup_run, open_back
from changeover.afterwards.model import Proposal
from changeover.engine import launch
from changeover.engine.control import ask
from changeover.engine.folder import RunFolder, write_private
from changeover.engine.state import RunState
from changeover.errors import BlockedError, ExitCode
from changeover.plan.model import ChangeStorage, CreateTextIndex, Kept, Plan
from changeover.routes.way_back import LACKING_CODE
from changeover.words import named

if TYPE_CHECKING:
    from changeover.embed.model import ModelSpec

ENDING_S = 60.0
"""How long an engine may take to stop."""


def refuse(folder: RunFolder) -> None:
    """Raises BlockedError in one line while there is no going back from this run; looks at run folders only."""
    plan = folder.plan()
    if any(isinstance(step, ChangeStorage) for step in plan.steps):
        storage.refuse(folder, plan)
        return
    _refuse_cleaned(folder)
    pid, state = launch.running_pid(folder), folder.state()
    if state.cutover is None:
        raise BlockedError(f"{folder.name}: {no_cutover(plan)}")
    if pid is not None:
        raise BlockedError(f"{folder.name}: an engine (pid {pid}) works on it; `changeover control {folder.name} stop`")
    open_back(folder)


def no_cutover(plan: Plan) -> str:
    """Why there is nothing to go back from, for a run without a cutover."""
    if plan.follows:
        return "nothing was brought back; the new side serves as before"
    if any(isinstance(step, CreateTextIndex) for step in plan.steps):
        return "remove the text index; nothing else was changed"
    return "nothing was cut over; the old side serves as before"


async def propose(folder: RunFolder, environ: Mapping[str, str], old_model: ModelSpec | None = None) -> Proposal:
    """What going back means now; reads only. With an `old_model` it is planned anew, in place of one that is open.

    Raises BlockedError or UsageError in one line when there is no way back.
    """
    done = folder.plan()
    if any(isinstance(step, ChangeStorage) for step in done.steps):
        return await storage.propose(folder, environ)
    refuse(folder)
    opened = open_back(folder)
    if opened is not None and old_model is None:
        return _opened(folder, opened)
    if opened is not None and opened.state().cutover is not None:
        raise BlockedError(f"{opened.name} has gone back already; `changeover resume {opened.name}` finishes it")
    earlier = back_runs(folder)
    run = back_run(folder, len(earlier) + 1)
    plan = await planned(folder, environ, old_model, run.name)
    return Proposal(
        kind="back",
        done=folder,
        run=run,
        plan=plan,
        word=plan.job.name_in_use,
        replaced=opened,
        # What an earlier way back wrote to the old side stands in its ledger alone.
        base=next((back for back in reversed(earlier) if back.ledger.exists()), None),
        counts=_keeps(plan),
    )


async def planned(folder: RunFolder, environ: Mapping[str, str], old_model: ModelSpec | None, name: str) -> Plan:
    """The plan of a way back from the run, to be run as `name`, for the cluster as it is now."""
    from changeover.cluster.connect import open_gateway
    from changeover.engine.sides import sides_of
    from changeover.routes.way_back import build

    done = folder.plan()
    gateway = await open_gateway(done.job.access, environ)
    try:
        sides = await sides_of(gateway, done)
    finally:
        await gateway.close()
    return build(done, sides, old_model or done.job.old_model, run=folder.name, name=name)


def begin(proposal: Proposal, environ: Mapping[str, str], accepted: frozenset[str] = frozenset()) -> RunFolder:
    """Carry it out, as confirmed: the engine goes back by itself as soon as every lamp is on. Returns its run.

    Raises BlockedError when points would lack an old vector and that was not accepted.
    """
    if proposal.kind == "storage":
        return storage.begin(proposal, environ)
    refuse_lacking(proposal, accepted)
    run = proposal.run
    if not proposal.opened:
        if proposal.replaced is not None:
            end(proposal.replaced)
        RunFolder.create(proposal.plan, environ, run.path, base=proposal.base)
    if accepted:
        write_private(run.path / "accepted.txt", "".join(f"{code}\n" for code in sorted(accepted)).encode())
    if not run.state().when_ready:
        ask(run.control, "when-ready", proposal.word)
    if launch.running_pid(run) is None:
        launch.start(run, environ)
    return run


def refuse_lacking(proposal: Proposal, accepted: frozenset[str] = frozenset()) -> None:
    """Raises BlockedError when points would lack an old vector and that was not accepted."""
    if proposal.lacking and LACKING_CODE not in accepted:
        raise BlockedError(
            f"{LACKING_CODE}: {proposal.lacking}; give the old model with --set old_model.provider=..."
            f" --set old_model.name=..., or go back without them: --accept {LACKING_CODE}"
        )


def end(run: RunFolder) -> None:
    """Have the engine of a run stop, so that another one can go on from what it did."""
    if launch.running_pid(run) is None:
        return
    until = time.monotonic() + ENDING_S
    ask(run.control, "stop")
    while launch.running_pid(run) is not None:
        if time.monotonic() > until:
            raise BlockedError(f"{run.name}: its engine does not stop; try again when it has")
        time.sleep(0.1)


def _opened(folder: RunFolder, back: RunFolder) -> Proposal:
    """The way back that is open: its plan stands, and its ledger knows which points lack an old vector."""
    plan, state = back.plan(), back.state()
    keeps = _keeps(plan) and LACKING_CODE not in state.accepted
    counted = next((step for step in state.steps if step.kind == COUNTED), None)
    return Proposal(
        kind="back",
        done=folder,
        run=back,
        plan=plan,
        word=plan.job.name_in_use,
        opened=True,
        counts=keeps and (counted is None or counted.status != "done"),
        lacking=(_lacking(back) or (counted.note if counted is not None else "")) if keeps else "",
    )


def _keeps(plan: Plan) -> bool:
    return any(isinstance(make, Kept) for make in plan.job.makes)


def _lacking(back: RunFolder) -> str:
    """The points that were written since the cutover without an old vector, as the way back's ledger has them."""
    from changeover.engine.ledger import Ledger, Mark

    if not back.ledger.exists():
        return ""
    ledger = Ledger(back.ledger)
    try:
        count, ids = ledger.count(Mark.BLANK), ledger.marked([Mark.BLANK])
    finally:
        ledger.close()
    return f"{count:,} points written since the cutover have no old vector{named(ids)}" if count else ""


def _refuse_cleaned(folder: RunFolder) -> None:
    """Raises BlockedError when the run's cleanup was begun: it removes what a way back leads to."""
    cleanup = cleanup_run(folder)
    if not (cleanup.path / "plan.json").exists():
        return
    pid, state = launch.running_pid(cleanup), cleanup.state()
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
