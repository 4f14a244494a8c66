"""`rollback`: what a run changed is brought back, once a name was typed: a storage, or the side that serves."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from changeover.errors import ExitCode, UsageError
from changeover.safe_text import clean
from changeover_tui.verbs.common import answers_given, out, say, write_plan


def run(options: argparse.Namespace, environ: dict[str, str]) -> int:
    """Print the plan; with the typed name start its engine (or ask the one that waits) and follow it."""
    from changeover.afterwards import rollback
    from changeover.engine.folder import find
    from changeover.plan.text import as_text
    from changeover_tui.verbs.apply import follow

    folder = find(options.name, environ)
    accepted = _accepted(options.accept)
    old_model = answers_given(None, options.set).old_model if options.set else None
    rollback.refuse(folder)
    say(f"reading both sides of {folder.name} ...")
    proposal = asyncio.run(rollback.propose(folder, environ, old_model))
    rollback.refuse_lacking(proposal, accepted)
    if not proposal.opened:
        out(as_text(proposal.plan))
    path = options.output or (f"{proposal.plan.id}.plan.json" if proposal.kind == "storage" else "")
    if path:
        write_plan(Path(path), proposal.plan)
    if not confirmed(options.confirm, proposal.word, "go back now"):
        how = {
            "storage": f"bring it back with: changeover apply {path}",
            "back": f"go back with: changeover rollback {folder.name} --confirm NAME",
        }[proposal.kind]
        how = f"the way back is open: changeover watch {proposal.run.name}" if proposal.opened else how
        say(f"nothing was changed; {how}")
        return int(ExitCode.DONE)
    back = rollback.begin(proposal, environ, accepted)
    if proposal.kind == "back":
        say("it goes back by itself as soon as every lamp is on")
    return follow(back, environ, detach=options.detach, confirmed=proposal.kind == "back")


def _accepted(codes: list[str]) -> frozenset[str]:
    from changeover.routes.way_back import LACKING_CODE

    unknown = sorted(set(codes) - {LACKING_CODE})
    if unknown:
        raise UsageError(f"--accept {', '.join(unknown)}: only {LACKING_CODE} can be accepted here")
    return frozenset(codes)


def confirmed(given: str | None, name: str, what: str) -> bool:
    """Whether the name was given or typed; UsageError when another one was given."""
    if given is None and sys.stdin.isatty():
        sys.stderr.write(f"Type {clean(name)} to {what}, or Enter to leave it as it is: ")
        sys.stderr.flush()
        return sys.stdin.readline().strip() == name
    if given is not None and given != name:
        raise UsageError(f"that is not the name: give --confirm {clean(name)}")
    return given is not None
