"""The way back from a change of the storage: a plan for the cluster as it is now."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from changeover import seals
from changeover.afterwards.model import Proposal
from changeover.engine import launch
from changeover.engine.folder import RunFolder, runs_root
from changeover.errors import BlockedError
from changeover.plan.model import ChangeStorage

if TYPE_CHECKING:
    from changeover.plan.model import Plan
    from changeover.wizard import Wizard


def refuse(folder: RunFolder, done: Plan) -> None:
    """Raises BlockedError when this run has nothing that can be brought back, or still works."""
    state = folder.state()
    changes = {step.id for step in done.steps if isinstance(step, ChangeStorage)}
    pid = launch.running_pid(folder)
    if pid is not None:
        raise BlockedError(f"{folder.name}: an engine (pid {pid}) works on it; `changeover control {folder.name} stop`")
    if all(step.status == "waiting" for step in state.steps if step.id in changes):
        raise BlockedError(
            f"{folder.name}: it did not get so far as to change anything; there is nothing to bring back"
        )


async def propose(folder: RunFolder, environ: Mapping[str, str]) -> Proposal:
    """The plan that brings the former configuration back; reads only. Raises BlockedError when there is none."""
    from changeover.wizard import Wizard

    done = folder.plan()
    refuse(folder, done)
    plan = await planned(Wizard(done.job.access, environ), done)
    run = RunFolder(runs_root(environ) / plan.id)
    await asyncio.to_thread(launch.refuse_begun, run)
    return Proposal(kind="storage", done=folder, run=run, plan=plan, word=plan.job.name_in_use)


def begin(proposal: Proposal, environ: Mapping[str, str]) -> RunFolder:
    """Write its run folder and start its engine."""
    from changeover.wizard import Wizard

    return Wizard(proposal.plan.job.access, environ).start(proposal.plan, frozenset())


async def planned(wizard: Wizard, done: Plan) -> Plan:
    """The plan, made for the cluster as it is now; raises BlockedError when the change is no longer in force."""
    from changeover.plan.drift import fingerprint
    from changeover.quality.storage import in_force
    from changeover.routes.quantization import way_back

    back = way_back(done)
    try:
        survey = await wizard.take_survey(done.job.source)
    finally:
        await wizard.close()
    for step in done.steps:
        if not isinstance(step, ChangeStorage):
            continue
        now = in_force(survey.config, step.request.body, step.undo.body)
        if now != step.request.body:
            if now is not None:
                raise BlockedError(f"{done.job.source}: the former configuration is in force already; nothing to do")
            raise BlockedError(
                f"{done.job.source}: its storage was changed again after this run; look with"
                f" `changeover inspect {done.job.source}` and make a plan for what it is now"
            )
    return seals.seal(msgspec.structs.replace(back, fingerprint=fingerprint(survey, back.job), hash=""))
