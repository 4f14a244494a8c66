"""Cleaning up: the old side goes, once everything that could still need it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from changeover.afterwards.backs import back_runs, cleanup_run, going_back, is_over, only_counted, window_left
from changeover.afterwards.model import Proposal
from changeover.engine import launch
from changeover.engine.folder import RunFolder
from changeover.errors import BlockedError
from changeover.plan.model import ChangeStorage, Plan
from changeover.routes.way_back import removed
from changeover.words import duration

SNAPSHOT = (
    "a snapshot lies on the server's own disk, one per node, and can be recovered under another name; it does not"
    " survive the loss of that disk"
)


def refuse(folder: RunFolder) -> None:
    """Raises BlockedError unless the run is finished, verified and cut over, and no way back is open or was taken."""
    state, plan = folder.state(), folder.plan()
    if plan.follows:
        raise BlockedError(f"{folder.name}: this run is itself a way back or a cleanup; nothing is left to remove")
    if any(isinstance(step, ChangeStorage) for step in plan.steps):
        raise BlockedError(f"{folder.name}: a change of the storage leaves no old side behind")
    if state.cutover is None:
        raise BlockedError(f"old-still-needed: {folder.name}: nothing was cut over, the old side serves")
    if state.status != "finished":
        raise BlockedError(f"{folder.name}: the run is not finished; `changeover resume {folder.name}`")
    if state.verified is None or state.verified.problems:
        raise BlockedError(f"unverified: {folder.name}: the new side is not verified; nothing is removed")
    backs = back_runs(folder)
    for back in backs:
        now = back.state()
        if now.cutover is not None:
            raise BlockedError(f"old-still-needed: {folder.name} was taken back by {back.name}; the old side serves")
        replaced = back is not backs[-1] and launch.running_pid(back) is None
        if replaced or is_over(back) or only_counted(back, now):
            continue
        if going_back(now):
            raise BlockedError(
                f"old-still-needed: {back.name}: going back was asked for; `changeover resume {back.name}` goes on"
            )
        left = window_left(back.plan(), now)
        still = "" if left is None else f" for {duration(max(left, 0.0))}"
        raise BlockedError(
            f"old-still-needed: the way back {back.name} is open{still}; nothing is removed before it ends"
        )
    launch.refuse_begun(cleanup_run(folder), patience_s=0.0)


async def propose(folder: RunFolder, environ: Mapping[str, str], *, snapshot: bool = True) -> Proposal:
    """What would be removed, and what before; reads only. Raises BlockedError in one line when nothing may be."""
    refuse(folder)
    run = cleanup_run(folder)
    await asyncio.to_thread(launch.refuse_begun, run)
    plan = await planned(folder, environ, run.name, snapshot=snapshot)
    return Proposal(
        kind="cleanup",
        done=folder,
        run=run,
        plan=plan,
        word=removed(folder.plan()),
        # A way back that was open wrote to the old side; only its ledger knows what.
        base=next((back for back in reversed(back_runs(folder)) if back.ledger.exists()), None),
    )


def begin(proposal: Proposal, environ: Mapping[str, str]) -> RunFolder:
    """Carry it out, as confirmed; returns its run."""
    run = RunFolder.create(proposal.plan, environ, proposal.run.path, base=proposal.base)
    launch.start(run, environ)
    return run


async def planned(folder: RunFolder, environ: Mapping[str, str], name: str, *, snapshot: bool) -> Plan:
    """The plan of the run's cleanup, to be run as `name`, for the cluster as it is now."""
    from changeover.cluster.capabilities import supports
    from changeover.cluster.connect import open_gateway
    from changeover.engine.sides import sides_of
    from changeover.routes.way_back import removal

    done = folder.plan()
    gateway = await open_gateway(done.job.access, environ)
    try:
        sides = await sides_of(gateway, done)
    finally:
        await gateway.close()
    safe = supports("drop_vector_safe", sides.version)
    return removal(done, sides, run=folder.name, name=name, snapshot=snapshot, safe=safe)
