"""`cleanup`: the old side goes, once everything that could still need it is over and its name was typed."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.errors import BlockedError, ExitCode
from changeover_tui.verbs.common import out, say, write_plan
from changeover_tui.verbs.rollback import back_runs, confirmed, is_over, window_left

if TYPE_CHECKING:
    from changeover.engine.folder import RunFolder
    from changeover.plan.model import Plan

SNAPSHOT = (
    "a snapshot lies on the server's own disk, one per node, and can be recovered under another name; it does not"
    " survive the loss of that disk"
)


def run(options: argparse.Namespace, environ: dict[str, str]) -> int:
    """Print the plan; with the typed name of what is removed start its engine and follow it."""
    from changeover.engine.folder import RunFolder, find
    from changeover.engine.launch import start
    from changeover.plan.text import as_text
    from changeover.routes.way_back import removed
    from changeover_tui.verbs.apply import follow, refuse_begun

    folder = find(options.name, environ)
    done = folder.plan()
    _refuse(folder)
    name = f"{folder.name}-cleanup"
    path = folder.path.with_name(name)
    refuse_begun(RunFolder(path))
    plan = asyncio.run(_plan(environ, folder.name, done, name, snapshot=not options.no_snapshot))
    out(as_text(plan))
    if not options.no_snapshot and done.job.mode == "blue-green":
        say(SNAPSHOT)
    if options.output:
        write_plan(Path(options.output), plan)
    gone = removed(done)
    if not confirmed(options.confirm, gone, "remove it for good"):
        say(f"nothing was removed; remove it with: changeover cleanup {folder.name} --confirm {gone}")
        return int(ExitCode.DONE)
    # A way back that was open wrote to the old side; only its ledger knows what.
    base = next((back for back in reversed(back_runs(folder)) if back.ledger.exists()), None)
    run = RunFolder.create(plan, environ, path, base=base)
    start(run, environ)
    return follow(run, environ, detach=options.detach)


def _refuse(folder: RunFolder) -> None:
    """Raises BlockedError unless the run is finished, verified and cut over, and no way back is open or was taken."""
    from changeover.engine.launch import running_pid
    from changeover.words import duration

    state = folder.state()
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
        replaced = back is not backs[-1] and running_pid(back) is None
        if replaced or is_over(back):
            continue
        if any(step.kind == "await-cutover" and step.status == "done" for step in now.steps):
            raise BlockedError(
                f"old-still-needed: {back.name}: going back was asked for; `changeover resume {back.name}` goes on"
            )
        left = window_left(back)
        still = "" if left is None else f" for {duration(max(left, 0.0))}"
        raise BlockedError(
            f"old-still-needed: the way back {back.name} is open{still}; nothing is removed before it ends"
        )


async def _plan(environ: dict[str, str], run: str, done: Plan, name: str, *, snapshot: bool) -> Plan:
    from changeover.cluster.capabilities import supports
    from changeover.cluster.connect import open_gateway
    from changeover.engine.sides import sides_of
    from changeover.routes.way_back import removal

    gateway = await open_gateway(done.job.access, environ)
    try:
        sides = await sides_of(gateway, done)
    finally:
        await gateway.close()
    safe = supports("drop_vector_safe", sides.version)
    return removal(done, sides, run=run, name=name, snapshot=snapshot, safe=safe)
