"""`rollback`: a plan that brings back what a change of the storage replaced, applied once a name was typed."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from changeover.errors import BlockedError, ExitCode, UsageError
from changeover_tui.verbs.common import out, say, write_plan

if TYPE_CHECKING:
    from changeover.engine.folder import RunFolder
    from changeover.plan.model import Plan
    from changeover.survey.model import Survey
    from changeover.wizard import Wizard


def run(options: argparse.Namespace, environ: dict[str, str]) -> int:
    """Print and write the plan; with the typed name start its engine and follow it, else say how to apply it."""
    from changeover.engine.folder import find
    from changeover.plan.text import as_text
    from changeover.wizard import Wizard
    from changeover_tui.verbs.apply import follow, refuse_begun

    folder = find(options.name, environ)
    done = folder.plan()
    _refuse(folder, done)
    wizard = Wizard(done.job.access, environ)
    plan = asyncio.run(_way_back(wizard, done))
    refuse_begun(_folder_of(plan, environ))
    out(as_text(plan))
    path = Path(options.output or f"{plan.id}.plan.json")
    write_plan(path, plan)
    if not _confirmed(options.confirm, plan.job.name_in_use):
        say(f"nothing was sent; bring it back with: changeover apply {path}")
        return int(ExitCode.DONE)
    return follow(wizard.start(plan, frozenset()), environ, detach=options.detach)


def _folder_of(plan: Plan, environ: Mapping[str, str]) -> RunFolder:
    from changeover.engine.folder import RunFolder, runs_root

    return RunFolder(runs_root(environ) / plan.id)


def _refuse(folder: RunFolder, done: Plan) -> None:
    """Raises BlockedError or UsageError when this run has nothing that can be brought back, or still works."""
    from changeover.engine.launch import running_pid
    from changeover.plan.model import ChangeStorage
    from changeover_tui.plan_words import way_back

    state = folder.state()
    changes = {step.id for step in done.steps if isinstance(step, ChangeStorage)}
    if not changes:
        how = way_back(done, state, folder.name)
        raise UsageError(f"{folder.name}: rollback brings back a change of the storage; for this run: {how}")
    pid = running_pid(folder)
    if pid is not None:
        raise BlockedError(f"{folder.name}: an engine (pid {pid}) works on it; `changeover control {folder.name} stop`")
    if all(step.status == "waiting" for step in state.steps if step.id in changes):
        raise BlockedError(
            f"{folder.name}: it did not get so far as to change anything; there is nothing to bring back"
        )


async def _way_back(wizard: Wizard, done: Plan) -> Plan:
    """The plan, made for the cluster as it is now; raises BlockedError when the change is no longer in force."""
    import msgspec

    from changeover.plan import file as plan_file
    from changeover.plan.drift import fingerprint
    from changeover.plan.model import ChangeStorage
    from changeover.routes.quantization import way_back

    back = way_back(done)
    try:
        say(f"reading {done.job.source} ...")
        survey = await wizard.take_survey(done.job.source)
    finally:
        await wizard.close()
    for step in done.steps:
        if isinstance(step, ChangeStorage) and not in_force(survey, step.request.body):
            if in_force(survey, step.undo.body):
                raise BlockedError(f"{done.job.source}: the former configuration is in force already; nothing to do")
            raise BlockedError(
                f"{done.job.source}: its storage was changed again after this run; look with"
                f" `changeover inspect {done.job.source}` and make a plan for what it is now"
            )
    return plan_file.seal(msgspec.structs.replace(back, fingerprint=fingerprint(survey, back.job), hash=""))


def in_force(survey: Survey, body: Mapping[str, Any]) -> bool:
    """Whether the collection has what this body of a PATCH asked for; values that the server filled in do not count."""
    whole = _holds(survey.config.get("quantization_config"), body.get("quantization_config"))
    own = {vector.name: vector.params.get("quantization_config") for vector in survey.vectors}
    asked = body.get("vectors") or {}
    return whole and all(_holds(own.get(name), wanted.get("quantization_config")) for name, wanted in asked.items())


def _holds(there: Any, wanted: Any) -> bool:
    if wanted is None:
        return True
    if wanted == "Disabled":
        return not there
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(_holds(there.get(key), value) for key, value in wanted.items())
    return bool(there == wanted)


def _confirmed(given: str | None, name: str) -> bool:
    """Whether the name was given or typed; UsageError when another one was given."""
    if given is None and sys.stdin.isatty():
        sys.stderr.write(f"Type {name} to bring it back now, or Enter to leave it as it is: ")
        sys.stderr.flush()
        return sys.stdin.readline().strip() == name
    if given is not None and given != name:
        raise UsageError(f"that is not the name: give --confirm {name}")
    return given is not None
