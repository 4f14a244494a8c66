"""What speaks against the answers, the plan that follows, and the typed words between a person and its start."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.errors import BlockedError, ChangeoverError, UsageError
from changeover.safe_text import clean
from changeover.words import plural
from changeover_tui import plan_words
from changeover_tui.plain.aid import BackError
from changeover_tui.plain.follow import Say
from changeover_tui.plain.prompts import Prompts, insist
from changeover_tui.plain.words import announcing, by_severity, finding_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.checks.model import Finding
    from changeover.plan.model import Plan
    from changeover.wizard import Wizard


def check(runner: asyncio.Runner, made: Wizard, prompts: Prompts, say: Say) -> tuple[Plan, frozenset[str]] | None:
    """Measure, show the findings, have them acknowledged; the plan, or None when something stands against it.

    Raises BackError when the person goes back instead of acknowledging.
    """
    say("")
    say(made.offline or "measuring on a sample of the collection; nothing is written ...")
    try:
        _probe(runner, made, prompts, say)
    except ChangeoverError as error:
        if prompts.automatic:
            raise
        say(f"not measured: {error}")
        return None
    findings = by_severity(made.findings())
    for finding in findings:
        say("")
        for line in finding_lines(finding, flag=False):
            say(line)
    say("")
    say(f"{plural(len(made.passed()), 'other check')} found nothing; explain CODE says what one looks at")
    if any(finding.severity == "blocker" for finding in findings):
        say("a blocker stands against these answers; change them, or the cluster")
        return None
    accepted = _acknowledged(findings, prompts, say)
    if accepted is None:
        return None
    try:
        return made.plan(), accepted
    except ChangeoverError as error:
        if prompts.automatic and not isinstance(error, BlockedError):
            raise
        say(f"no plan: {error}")
        return None


def _acknowledged(findings: Sequence[Finding], prompts: Prompts, say: Say) -> frozenset[str] | None:
    """The codes that were typed; None when nobody is there and one was not. Raises BackError."""
    accepted = set()
    for finding in findings:
        if not finding.acknowledge:
            continue
        code = finding.code
        prompts.aid.at(
            *finding_lines(finding, flag=False), f"Typing {code} says that you know this.", back="the last question"
        )
        say("")
        say(clean(f"to acknowledge: {finding.title}"))
        if not insist(prompts, f"Type {code} to acknowledge it, or back", code, say):
            say(f"{code} was not acknowledged")
            if prompts.automatic:
                return None
            raise BackError
        accepted.add(code)
        say(f"acknowledged{' automatically, because nobody is there' if prompts.automatic else ''}: {code}")
    return frozenset(accepted)


def _probe(runner: asyncio.Runner, made: Wizard, prompts: Prompts, say: Say) -> None:
    """Measure the model, then try on a sample; Ctrl+C goes on without the trials, a second one leaves."""
    told = announcing(say)
    runner.run(made.probe(trials=False, progress=told))
    if made.offline:
        for words in made.untried():
            say(f"not measured, no cluster here: {words}")
        return
    if not made.untried():
        return
    say(f"trying on a sample: {', '.join(made.untried())}" + ("" if prompts.automatic else " (Ctrl+C skips it)"))
    try:
        runner.run(made.probe(progress=told))
    except KeyboardInterrupt:
        if prompts.automatic:
            raise
        say(f"skipped, and therefore not known: {', '.join(made.untried())}")


def show(plan: Plan, say: Say) -> None:
    """The whole plan, then what starting it does."""
    from changeover.plan.text import as_text

    say("")
    for line in as_text(plan).rstrip("\n").split("\n"):
        say(line)
    say("")
    for line in plan_words.before(plan):
        say(clean(line))


def confirmed(plan: Plan, prompts: Prompts, say: Say) -> bool:
    """Whether the plan's own name was typed."""
    word = plan.job.name_in_use
    prompts.aid.at(*plan_words.before(plan), f"Typing {word} starts the engine.", back="what else can be done")
    return insist(prompts, f"Type {clean(word)} to start the engine, or back", word, say)


def save(plan: Plan, accepted: frozenset[str]) -> list[str]:
    """Write the plan and its answers beside each other where the person is; says what runs them. Raises UsageError."""
    from changeover.decision.answers import to_toml
    from changeover.engine.folder import write_private
    from changeover.plan.file import to_json

    files = {
        Path(f"{plan.id}.plan.json"): to_json(plan),
        Path(f"{plan.id}.answers.toml"): to_toml(plan.answers).encode(),
    }
    for path, data in files.items():
        try:
            write_private(path, data)
        except OSError as error:
            raise UsageError(f"{path.absolute()}: cannot be written: {error.strerror}") from None
    flags = "".join(f" --accept {code}" for code in sorted(accepted))
    plan_path, answers_path = files
    anew = f"changeover plan {plan.job.name_in_use} --answers {answers_path}"
    return [
        f"written: {plan_path.absolute()}; run it with: changeover apply {plan_path}{flags}",
        f"written: {answers_path.absolute()}; make the plan anew with: {anew}",
    ]
