"""The walk from the first question to the report, in prompts and lines; a person, a script or the demo answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from changeover.decision.answers import Answers
from changeover.errors import BlockedError, ChangeoverError, StoppedError, UsageError
from changeover.plan.model import Access
from changeover.safe_text import clean
from changeover_tui import plan_words
from changeover_tui.plain import questions
from changeover_tui.plain.attend import attend, typed_name
from changeover_tui.plain.follow import Say
from changeover_tui.plain.prompts import Option, Prompts
from changeover_tui.plain.words import announcing, by_severity, finding_lines

if TYPE_CHECKING:
    from changeover.engine.folder import RunFolder
    from changeover.plan.model import Plan
    from changeover.wizard import Wizard

TYPED_KEY_ENV = "QDRANT_API_KEY"


def wizard(
    access: Access | None,
    environ: Mapping[str, str],
    prompts: Prompts,
    say: Say,
    *,
    answers: Answers | None = None,
    collection: str | None = None,
) -> int:
    """The whole wizard; returns the exit code. Raises ChangeoverError, KeyboardInterrupt."""
    run = prepare(access, environ, prompts, say, answers=answers, collection=collection)
    return attend(run, say, on_ready=typed_name(run, prompts, say), starting=True)


def prepare(
    access: Access | None,
    environ: Mapping[str, str],
    prompts: Prompts,
    say: Say,
    *,
    answers: Answers | None = None,
    collection: str | None = None,
) -> RunFolder:
    """Everything before the run: connect, choose, survey, ask, check, plan, confirm, start the engine."""
    from changeover.wizard import Wizard

    keys = dict(environ)
    access = access or _connect(prompts, keys)
    made = Wizard(access, keys)
    made.answer(answers or Answers())
    with asyncio.Runner() as runner:
        try:
            name = collection or made.answers.collection or _choose_collection(runner, made, prompts, say)
            _survey(runner, made, name, say)
            while True:
                questions.ask_all(made, prompts, say)
                plan, accepted = _check(runner, made, prompts, say)
                if plan is not None and _confirmed(plan, prompts, say):
                    return made.start(plan, accepted)
                again = prompts.choose(
                    "What now?",
                    (
                        Option(value="again", label="go through the questions again"),
                        Option(value="leave", label="leave"),
                    ),
                    "again",
                )
                if again == "leave" or prompts.automatic:
                    raise StoppedError("left before anything was started; nothing was written to the cluster")
        finally:
            runner.run(made.close())


def _connect(prompts: Prompts, environ: dict[str, str]) -> Access:
    from changeover_tui.crash import remember_secret

    url = prompts.text("REST address of your cluster", environ.get("QDRANT_URL") or "http://localhost:6333")
    named = "QDRANT_API_KEY" if environ.get("QDRANT_API_KEY") else ""
    key_env = prompts.text("Variable that holds the API key (empty: none, or type the key next)", named)
    if not key_env:
        key = prompts.secret("API key (empty: none); it is kept in memory only")
        if key:
            remember_secret(key)
            environ[TYPED_KEY_ENV] = key
            key_env = TYPED_KEY_ENV
    elif not environ.get(key_env):
        raise UsageError("the environment has no variable of that name; export the key, then name it")
    return Access(url=url, api_key_env=key_env or None)


def _choose_collection(runner: asyncio.Runner, made: Wizard, prompts: Prompts, say: Say) -> str:
    listed = runner.run(made.collections())
    if not listed:
        raise UsageError(f"there are no collections on {made.access.url}; nothing can be migrated")
    options = []
    for one in listed:
        name = one.aliases[0] if one.aliases else one.name
        label = f"{one.name}: {one.points:,} points, {'; '.join(one.vectors)}"
        label += f", alias {', '.join(one.aliases)}" if one.aliases else ""
        label += f" ({', '.join(one.flags)})" if one.flags else ""
        options.append(Option(value=name, label=label))
    return prompts.choose("Which collection?", options, options[0].value)


def _survey(runner: asyncio.Runner, made: Wizard, name: str, say: Say) -> None:
    from changeover.survey import describe

    say(f"reading {name}; nothing is written ...")
    survey = runner.run(made.take_survey(name))
    rows = describe.lines(survey)
    wide = max(len(label) for label, _ in rows)
    for label, value in rows:
        say(f"  {label:<{wide}}  {clean(value)}")


def _check(runner: asyncio.Runner, made: Wizard, prompts: Prompts, say: Say) -> tuple[Plan | None, frozenset[str]]:
    """Measure, show the findings, have them acknowledged; the plan, or None when something stands against it."""
    say("")
    say("measuring on a sample of the collection; nothing is written ...")
    try:
        _probe(runner, made, prompts, say)
    except ChangeoverError as error:
        if prompts.automatic:
            raise
        say(f"not measured: {error}")
        return None, frozenset()
    findings = by_severity(made.findings())
    for finding in findings:
        say("")
        for line in finding_lines(finding):
            say(line)
    if any(finding.severity == "blocker" for finding in findings):
        say("")
        say("a blocker stands against these answers; change them, or the cluster")
        return None, frozenset()
    accepted = set()
    for finding in findings:
        if not finding.acknowledge:
            continue
        if not prompts.typed(f"Type {finding.code} to acknowledge it", finding.code):
            say(f"{finding.code} was not acknowledged")
            return None, frozenset()
        accepted.add(finding.code)
        say(f"acknowledged{' automatically, because nobody is there' if prompts.automatic else ''}: {finding.code}")
    try:
        return made.plan(), frozenset(accepted)
    except ChangeoverError as error:
        if prompts.automatic and not isinstance(error, BlockedError):
            raise
        say(f"no plan: {error}")
        return None, frozenset()


def _probe(runner: asyncio.Runner, made: Wizard, prompts: Prompts, say: Say) -> None:
    """Measure the model, then try on a sample; Ctrl+C goes on without the trials, a second one leaves."""
    told = announcing(say)
    runner.run(made.probe(trials=False, progress=told))
    if not made.untried():
        return
    say(f"trying on a sample: {', '.join(made.untried())}" + ("" if prompts.automatic else " (Ctrl+C skips it)"))
    try:
        runner.run(made.probe(progress=told))
    except KeyboardInterrupt:
        if prompts.automatic:
            raise
        say(f"skipped, and therefore not known: {', '.join(made.untried())}")


def _confirmed(plan: Plan, prompts: Prompts, say: Say) -> bool:
    from changeover.plan.text import as_text

    say("")
    for line in as_text(plan).rstrip("\n").split("\n"):
        say(line)
    say("")
    for line in plan_words.before(plan):
        say(clean(line))
    word = plan.job.name_in_use
    return prompts.typed(f"Type {clean(word)} to start the engine, or Enter to go back", word)
