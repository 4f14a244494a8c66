"""`apply` and `resume`: start an engine on a plan or on a stopped run, and follow it as lines."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.errors import BlockedError, ExitCode, UsageError
from changeover_tui.verbs.common import out, say

if TYPE_CHECKING:
    from changeover.engine.folder import RunFolder
    from changeover.plan.model import Access, Plan
    from changeover.wizard import Wizard


def run(options: argparse.Namespace, environ: dict[str, str]) -> int:
    """Start, then follow until the run ends; `--detach` leaves at once."""
    folder = _resume(options, environ) if options.verb == "resume" else _apply(options, environ)
    return follow(folder, environ, detach=options.detach)


def follow(folder: RunFolder, environ: dict[str, str], *, detach: bool, confirmed: bool = False) -> int:
    """Say what the engine that was just started does until its run ends, or at once how to follow it.

    `confirmed`: its cutover was confirmed before, nobody is asked for it.
    """
    if detach:
        say(f"started: {folder.name}; follow it with: changeover watch {folder.name}")
        return int(ExitCode.DONE)
    from changeover_tui.plain import attend, prompts

    asker = prompts.for_terminal(environ) if sys.stdin.isatty() and sys.stderr.isatty() else None
    on_ready = None
    if not confirmed:
        on_ready = attend.typed_name(folder, asker, say) if asker else attend.tell_how(folder, say)
    code = attend.attend(folder, say, on_ready=on_ready, starting=True)
    if folder.report.exists():
        out(str(folder.report))
    return code


def _apply(options: argparse.Namespace, environ: dict[str, str]) -> RunFolder:
    from changeover.engine.folder import RunFolder, runs_root
    from changeover.engine.launch import refuse_begun
    from changeover.plan import file as plan_file

    plan = _at_home(plan_file.load(Path(options.plan)), options, environ)
    accepted = frozenset(options.accept)
    unknown = accepted - {finding.code for finding in plan.findings}
    if unknown:
        raise UsageError(f"--accept {', '.join(sorted(unknown))}: the plan has no such finding")
    where = Path(options.run_dir).absolute() if options.run_dir else runs_root(environ) / plan.id
    refuse_begun(RunFolder(where))
    from changeover.wizard import Wizard, refuse_unaccepted

    refuse_unaccepted(plan, accepted)
    wizard = Wizard(plan.job.access, environ)
    asyncio.run(_refuse_drift(wizard, plan))
    return wizard.start(plan, accepted, where if options.run_dir else None)


def _at_home(plan: Plan, options: argparse.Namespace, environ: dict[str, str]) -> Plan:
    """A plan that was made from a bundle with what was taken out of it put back; any other plan as it is."""
    from changeover.bundle.places import bundle_of, filled
    from changeover.plan.text import texts_go_to

    bundle = bundle_of(plan)
    if bundle is None:
        _same_cluster(plan.job.access, options)
        return plan
    full = filled(plan, environ, options.url)
    say(f"the plan was made from bundle {bundle}; what was taken out of it is put back")
    say(f"it is for {full.job.access.url}")
    if (sent := texts_go_to(full.job)) is not None:
        say(sent)
    return full


async def _refuse_drift(wizard: Wizard, plan: Plan) -> None:
    """Survey again; raises BlockedError with every difference when the plan was made for something else."""
    from changeover.plan.drift import differences

    asked = plan.answers.collection or plan.fingerprint.collection
    try:
        survey = await wizard.take_survey(asked)
    except UsageError as error:
        raise BlockedError(f"{error}; it was there when the plan was made, nothing was written") from None
    finally:
        await wizard.close()
    changed = differences(plan, survey)
    for line in changed:
        say(f"  changed: {line}")
    if changed:
        count = f"{len(changed)} thing{'s' if len(changed) > 1 else ''}"
        raise BlockedError(f"the cluster is not as it was when the plan was made: {count} changed; make a new plan")


def _same_cluster(planned: Access, options: argparse.Namespace) -> None:
    if options.url and options.url.rstrip("/") != planned.url.rstrip("/"):
        raise UsageError(f"--url: the plan is for {planned.url}; make another plan for another cluster")


def _resume(options: argparse.Namespace, environ: dict[str, str]) -> RunFolder:
    from changeover.afterwards.resume import resume
    from changeover.engine.folder import find

    folder = find(options.name, environ)
    resume(folder, environ, accept=tuple(options.accept), spend=options.spend)
    return folder
