"""`cleanup`: the old side goes, once everything that could still need it is over and its name was typed."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from changeover.errors import ExitCode
from changeover_tui.verbs.common import out, say, write_plan
from changeover_tui.verbs.rollback import confirmed


def run(options: argparse.Namespace, environ: dict[str, str]) -> int:
    """Print the plan; with the typed name of what is removed start its engine and follow it."""
    from changeover.afterwards import cleanup
    from changeover.engine.folder import find
    from changeover.plan.text import as_text
    from changeover_tui.verbs.apply import follow

    folder = find(options.name, environ)
    proposal = asyncio.run(cleanup.propose(folder, environ, snapshot=not options.no_snapshot))
    out(as_text(proposal.plan))
    if any(step.id == "take-snapshot" for step in proposal.plan.steps):
        say(cleanup.SNAPSHOT)
    if options.output:
        write_plan(Path(options.output), proposal.plan)
    if not confirmed(options.confirm, proposal.word, "remove it for good"):
        say(f"nothing was removed; remove it with: changeover cleanup {folder.name} --confirm {proposal.word}")
        return int(ExitCode.DONE)
    return follow(cleanup.begin(proposal, environ), environ, detach=options.detach)
