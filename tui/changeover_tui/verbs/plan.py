"""`plan`: survey, answers, measurements and findings made into a plan file; nothing is written to the cluster."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.errors import BlockedError
from changeover_tui.verbs.common import access_needed, answers_for, out, out_bytes, say, write_plan

if TYPE_CHECKING:
    from changeover.plan.model import Plan
    from changeover.wizard import Wizard


def run(options: argparse.Namespace, environ: dict[str, str]) -> int:
    """Print the plan and write its file; exit code 4 and no file when a finding blocks it."""
    answers = answers_for(options.collection, options.answers, options.sets)
    access = access_needed(options, environ)
    from changeover.plan.file import to_json
    from changeover.plan.text import as_text
    from changeover.wizard import Wizard

    wizard = Wizard(access, environ)
    wizard.answer(answers)
    asyncio.run(measure(wizard, options.collection, trials=not options.quick))
    plan = wizard.plan()
    if options.output == "-":
        refuse_blocked(plan)
        out_bytes(to_json(plan))
    else:
        out(as_text(plan))
        refuse_blocked(plan)
        write_plan(Path(options.output), plan)
        accept = "".join(f" --accept {f.code}" for f in plan.findings if f.acknowledge)
        say(f"written: {options.output}; run it with: changeover apply {options.output}{accept}")
    return 0


async def measure(wizard: Wizard, collection: str, *, trials: bool) -> None:
    """Survey the collection and measure on a sample; closes the wizard's connection."""
    from changeover_tui.plain.words import announcing

    try:
        say(f"reading {collection} ...")
        await wizard.take_survey(collection)
        say("measuring ..." if trials else "measuring the new model; nothing is tried on a sample ...")
        await wizard.probe(trials=trials, progress=announcing(say))
        for skipped in wizard.untried():
            say(f"not tried: {skipped}")
    finally:
        await wizard.close()


def refuse_blocked(plan: Plan) -> None:
    """Say every blocker of the plan; raises BlockedError when there is one."""
    from changeover_tui.plain.words import finding_lines

    blockers = [finding for finding in plan.findings if finding.severity == "blocker"]
    for finding in blockers:
        for line in finding_lines(finding):
            say(line)
    if blockers:
        raise BlockedError(f"blocked by {', '.join(f.code for f in blockers)}; no plan file was written")
