"""A bundle in prompts and lines: what is in it, how its run stood, the walk, and the plan as a file."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.bundle.describe import lines
from changeover.bundle.offline import unpacked
from changeover.errors import ExitCode
from changeover.safe_text import clean, clean_line
from changeover_tui.plain import follow, judge, questions
from changeover_tui.plain.aid import BackError, Quit
from changeover_tui.plain.follow import Say
from changeover_tui.plain.prompts import Option, Prompts
from changeover_tui.verbs.common import write_plan

if TYPE_CHECKING:
    from changeover.bundle.offline import BundleWizard
    from changeover.plan.model import Plan

LAST = 20
"""Lines of the run's log that are said."""
MARKS = {"done": "done", "running": "was running", "waiting": "waits"}


def for_the_customer(plan: Plan, path: str) -> str:
    """What is done with the plan file, and where."""
    accept = "".join(f" --accept {finding.code}" for finding in plan.findings if finding.acknowledge)
    return f"written: {path}; send it to where the bundle was made, where it runs with: changeover apply {path}{accept}"


def walk(wizard: BundleWizard, prompts: Prompts, say: Say) -> int:
    """Everything that can be done with the bundle; returns the exit code."""
    for label, value in lines(wizard.bundle):
        say(f"{label:>9}  {value}")
    if wizard.bundle.plan is not None:
        _run(wizard, say)
    if wizard.survey is None:
        say("")
        say("there is no survey in this bundle, so there is nothing to ask or to plan")
        return int(ExitCode.DONE)
    say("")
    say(f"{wizard.offline}: what it holds is shown, and nothing is asked anywhere")
    try:
        with asyncio.Runner() as runner:
            return _planned(runner, wizard, prompts, say)
    except Quit:
        say("left; no plan was written")
        return int(ExitCode.DONE)


def _planned(runner: asyncio.Runner, wizard: BundleWizard, prompts: Prompts, say: Say) -> int:
    """Questions, checks and plan until a plan is written or the person leaves."""
    returning = False

    def nothing_here(question: str, answer: str) -> None:
        say(f"{wizard.offline}; nothing can be tried")

    while True:
        try:
            questions.ask_all(wizard, prompts, say, attempt=nothing_here, from_the_last=returning)
            verdict = judge.check(runner, wizard, prompts, say)
        except BackError:
            returning = True
            continue
        returning = False
        if verdict is not None:
            judge.show(verdict[0], say)
            path = prompts.text("Write the plan to", f"{verdict[0].id}.plan.json").strip()
            write_plan(Path(path), verdict[0])
            say(for_the_customer(verdict[0], path))
            return int(ExitCode.DONE)
        choices = (Option(value="again", label="go through the questions again"), Option(value="leave", label="leave"))
        if prompts.automatic or prompts.choose("What now?", choices, "again") == "leave":
            return int(ExitCode.BLOCKED)


def _run(wizard: BundleWizard, say: Say) -> None:
    """How the run stood when the bundle was taken."""
    with tempfile.TemporaryDirectory(prefix="changeover-bundle-") as folder:
        run = unpacked(wizard.bundle, Path(folder))
        state = run.state()
        say("")
        say(clean(f"the run {wizard.bundle.about}, as it stood then ({state.status}):"))
        for step in state.steps:
            part = f", {step.done:,} of {step.total:,}" if step.total else ""
            detail = f": {step.detail}" if step.detail else ""
            say(clean_line(f"  {MARKS[step.status]:>11}  {step.title}{part}{detail}"))
        for line in follow.lamp_lines(state):
            say(line)
        for at, level, text in state.log[-LAST:]:
            passed = at - (state.started_at or at)
            say(clean_line(f"  {passed:8.0f} s  {'' if level == 'info' else f'{level}: '}{text}"))
        for line in follow.summary(run, state):
            say(f"  {line}")
