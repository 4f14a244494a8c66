"""`check`: what speaks for and against answers, measured on a sample; nothing is written to the cluster."""

from __future__ import annotations

import argparse
import asyncio

from changeover.errors import BlockedError
from changeover_tui.verbs.common import access_needed, answers_for, out, out_bytes


def run(options: argparse.Namespace, environ: dict[str, str]) -> int:
    """Print every finding and what was looked at; exit code 4 when a finding is in the way or no plan can be made."""
    import msgspec

    answers = answers_for(options.collection, options.answers, options.sets)
    access = access_needed(options, environ)
    from changeover.wizard import Wizard
    from changeover_tui.plain.words import by_severity, finding_lines
    from changeover_tui.verbs.plan import measure

    wizard = Wizard(access, environ)
    wizard.answer(answers)
    asyncio.run(measure(wizard, options.collection, trials=not options.quick))
    findings = by_severity(wizard.findings())
    if options.json:
        out_bytes(msgspec.json.format(msgspec.json.encode(findings), indent=2))
    else:
        for finding in findings:
            out("\n".join([*finding_lines(finding), ""]))
            out("")
        out(f"looked at and well: {', '.join(code for code, _ in wizard.passed()) or 'nothing'}")
        for skipped in wizard.untried():
            out(f"not tried: {skipped}")
    blockers = [finding.code for finding in findings if finding.severity == "blocker"]
    if blockers:
        raise BlockedError(f"in the way: {', '.join(blockers)}")
    wizard.plan()
    return 0
