"""`open`: the questions, checks and plan on a bundle, without a cluster; the plan is saved for the customer."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.errors import ExitCode, UsageError
from changeover_tui.verbs.common import out, out_bytes, say, wants_screens, write_plan

if TYPE_CHECKING:
    from changeover.bundle.offline import BundleWizard


def run(options: argparse.Namespace, environ: dict[str, str]) -> int:
    """Open the screens, or walk in lines; with -o make the plan without asking. Connects nowhere."""
    from changeover.bundle.offline import opened as open_bundle

    wizard = open_bundle(Path(options.bundle))
    _answer(wizard, options)
    if options.output:
        return _headless(wizard, options.output)
    if wants_screens(options, environ):
        return _screens(wizard, environ)
    from changeover_tui.plain import opened, prompts

    return opened.walk(wizard, prompts.for_terminal(environ), say)


def _screens(wizard: BundleWizard, environ: dict[str, str]) -> int:
    """The screens; the bundle's run lies in a folder of its own until they are closed."""
    import tempfile

    from changeover.bundle.offline import unpacked
    from changeover_tui.app import run_wizard

    with tempfile.TemporaryDirectory(prefix="changeover-bundle-") as folder:
        run = unpacked(wizard.bundle, Path(folder)) if wizard.bundle.plan is not None else None
        return run_wizard(None, environ, "bundle", run, read_only=True, bundle=wizard)


def _answer(wizard: BundleWizard, options: argparse.Namespace) -> None:
    from changeover.decision.answers import from_toml, set_answer

    if options.answers:
        wizard.answer(from_toml(Path(options.answers)))
    for item in options.sets:
        question, sign, value = item.partition("=")
        if not sign or not question:
            raise UsageError(f"--set {item}: write it as --set id=value; `changeover explain` lists the ids")
        wizard.answer(set_answer(wizard.answers, question.strip(), value))


def _headless(wizard: BundleWizard, output: str) -> int:
    from changeover.plan.file import to_json
    from changeover.plan.text import as_text
    from changeover_tui.plain.opened import for_the_customer
    from changeover_tui.verbs.plan import refuse_blocked

    for words in wizard.untried():
        say(f"not measured, no cluster here: {words}")
    plan = wizard.plan()
    if output == "-":
        refuse_blocked(plan)
        out_bytes(to_json(plan))
        return int(ExitCode.DONE)
    out(as_text(plan))
    refuse_blocked(plan)
    write_plan(Path(output), plan)
    say(for_the_customer(plan, output))
    return int(ExitCode.DONE)
