"""`demo`: the wizard on the embedded sandbox; with `--auto` nobody has to be there."""

from __future__ import annotations

import argparse
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from changeover.errors import ExitCode
from changeover_tui.verbs.common import look, out, say, wants_screens

if TYPE_CHECKING:
    from changeover.engine.folder import RunFolder
    from changeover.engine.state import RunState
    from changeover.sandbox.application import Stats
    from changeover.sandbox.demo import DemoWorld
    from changeover.sandbox.proof import Proof
    from changeover.sandbox.scenarios import ScenarioName
    from changeover_tui.plain.attend import OnReady
    from changeover_tui.plain.prompts import Prompts

REPORT = "changeover-demo.html"
FIRST: ScenarioName = "upgrade"
"""What is shown to somebody who chose nothing and has no screens to choose on."""
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What an unattended demo ended with."""

    code: int
    """Of the engine's run."""
    state: RunState
    application: Stats
    proof: Proof | None
    seconds: float


def run(options: argparse.Namespace, environ: dict[str, str]) -> int:
    """Start the sandbox, walk, stop the sandbox; exit code 0 only when nothing failed."""
    from changeover.sandbox.demo import open_demo, require_extra

    require_extra()
    screens = wants_screens(options, environ) and not options.auto
    if screens and options.scenario is None:
        return _choosing(options, environ)
    begun = time.monotonic()
    if screens:
        say("starting the sandbox ...")
    else:
        _end_in_order()
    demo = open_demo(
        environ,
        generation=options.generation,
        documents=options.documents,
        scenario=options.scenario or (FIRST if options.auto else _asked(environ)),
        keep=options.keep,
        say=say,
    )
    with _stopped_in_peace(demo):
        if screens:
            code = _screens(demo, options, environ)
            finished = _finished(demo)
        elif options.auto:
            code, finished = _auto(demo, environ, begun)
        else:
            code, finished = _prompts(demo, environ)
        if options.keep:
            say(f"kept: {demo.folder}")
        if finished is not None:
            _hand_over(finished, options.report)
    return code


@contextmanager
def _stopped_in_peace(demo: DemoWorld) -> Iterator[None]:
    """Stop the demo at the end; a second Ctrl+C, or the terminal's end, does not leave half of it behind."""
    try:
        yield
    finally:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        demo.stop()


def _end_in_order() -> None:
    """A closed terminal or a `kill` ends the demo like Ctrl+C does: everything that it started is stopped."""

    def leave(*_: object) -> None:
        raise KeyboardInterrupt

    for number in _SIGNALS:
        signal.signal(number, leave)


def _screens(demo: DemoWorld, options: argparse.Namespace, environ: dict[str, str]) -> int:
    from changeover_tui.app import run_wizard

    return run_wizard(demo.access, environ, start="collections", demo=demo, **look(options))


def _choosing(options: argparse.Namespace, environ: dict[str, str]) -> int:
    """The screens with the list of scenarios; the app starts and stops the sandboxes that are chosen there."""
    from changeover.sandbox.demo import open_demo
    from changeover_tui.app import run_wizard

    opened: list[DemoWorld] = []

    def start(environ: Mapping[str, str], say: Callable[[str], None], scenario: ScenarioName) -> DemoWorld:
        demo = open_demo(
            environ,
            generation=options.generation,
            documents=options.documents,
            scenario=scenario,
            keep=options.keep,
            say=say,
        )
        opened.append(demo)
        return demo

    code = run_wizard(None, environ, start="scenarios", open_demo=start, **look(options))
    for demo in opened:
        if options.keep:
            say(f"kept: {demo.folder}")
    if opened and (finished := _finished(opened[-1])) is not None:
        _hand_over(finished, options.report)
    return code


def _asked(environ: dict[str, str]) -> ScenarioName:
    """The scenario that a person chooses in prompts, by what each teaches."""
    from changeover.sandbox.scenarios import SCENARIOS
    from changeover_tui.plain.prompts import Option, for_terminal

    person = for_terminal(environ)
    person.aid.at("Each starts a sandbox on this machine: a real core, real texts, an application that searches.")
    rows = [Option(value=name, label=f"{row.title}: {row.teaches}") for name, row in SCENARIOS.items()]
    chosen = person.choose("What do you want to see?", rows, FIRST)
    return next(name for name in SCENARIOS if name == chosen)


def _prompts(demo: DemoWorld, environ: dict[str, str]) -> tuple[int, RunFolder | None]:
    """A person walks in prompts; the application is deployed when they ask for the cutover."""
    from changeover_tui.plain import attend, prompts, walk
    from changeover_tui.verbs.wizard import what_next

    person = prompts.for_terminal(environ)
    folder = walk.prepare(demo.access, environ, person, say, answers=demo.answers, collection=demo.collection)
    code = attend.attend(folder, say, on_ready=_deploying(demo, folder, person), starting=True, outlives=False)
    return what_next(folder, code, person, environ), _finished(demo)


def _auto(demo: DemoWorld, environ: dict[str, str], begun: float) -> tuple[int, RunFolder | None]:
    """Nobody is there: proposals are taken, findings acknowledged, the new configuration deployed, the run cut over."""
    from changeover.sandbox import proof
    from changeover_tui.plain import attend, prompts, walk

    script = prompts.Scripted()
    folder = walk.prepare(demo.access, environ, script, say, answers=demo.answers, collection=demo.collection)
    code = attend.attend(
        folder, say, on_ready=_deploying(demo, folder, script), give_up=worse_for_good, starting=True, outlives=False
    )
    state = folder.state()
    if state.status == "finished" and not cuts_over(state):
        demo.deploy_new()
    application = demo.stop_application()
    checked = None
    if state.status == "finished":
        say("")
        say("the demo checks by itself what is stored against what the application wrote ...")
        checked = proof.check(demo.scenario)
    outcome = Outcome(code=code, state=state, application=application, proof=checked, seconds=time.monotonic() - begun)
    out("")
    for name, value in closing(outcome):
        out(f"{name:<28}{value}")
    wrong = failures(outcome)
    for line in wrong:
        say(f"changeover: {line}")
    return code or int(ExitCode.UNVERIFIED if wrong else ExitCode.DONE), _finished(demo)


def _deploying(demo: DemoWorld, folder: RunFolder, who: Prompts) -> OnReady:
    """What happens when every lamp is on: the typed name, then the application's new configuration."""
    from changeover.plan.model import AwaitCutover
    from changeover_tui.plain import attend

    step = next((s for s in folder.plan().steps if isinstance(s, AwaitCutover)), None)
    deployed = False

    def ready(state: RunState) -> bool:
        nonlocal deployed
        while step is not None and not attend.cut_over_confirmed(folder, state, step, who, say):
            if who.automatic:
                return False
            who.aid.at("The run waits and stays caught up.")
            who.text("not cut over; Enter asks again, quit ends the demo")
        if not deployed:
            stats = demo.deploy_new()
            deployed = True
            say(f"sandbox: the application's new configuration is deployed (deployment {stats.deployments})")
        return True

    return ready


def worse_for_good(state: RunState) -> str:
    """The reason to give up when the comparison said NO-GO and the engine therefore will not be ready."""
    if state.quality is None or state.quality.verdict != "NO-GO" or state.ready is None or state.ready.ready:
        return ""
    return f"NO-GO: {state.quality.reason}"


def cuts_over(state: RunState) -> bool:
    """Whether the run has a cutover at all; a change of storage has none."""
    return any(step.kind == "await-cutover" for step in state.steps)


def closing(outcome: Outcome) -> list[tuple[str, str]]:
    """The table at the end, as pairs."""
    from changeover.words import duration

    state, app = outcome.state, outcome.application
    p95 = "" if app.p95 is None else f", p95 {app.p95:.0f} ms"
    rows = [
        ("application's searches", f"{app.searches:,}, {app.failed_searches:,} failed{p95}"),
        (
            "application's writes",
            f"{app.inserts + app.reinserts:,} inserted, {app.edits + app.payload_edits:,} edited, "
            f"{app.deletes:,} deleted, {app.failed_writes:,} failed",
        ),
        ("searches with", app.searching_with or "?"),
        ("canary searches", f"{state.searches:,}, {state.failures:,} failed"),
    ]
    if state.verified is not None:
        v = state.verified
        rows.append(("verified by the engine", f"{v.target_points:,} points, {v.sampled:,} embedded anew"))
    for found in state.storage:
        best = max((setting.recall for setting in found.settings), default=found.default_recall)
        when = "after" if found.after else "before"
        rows.append((f"recall@10 {when} the change", f"{found.default_recall:.3f} as it is, {best:.3f} at best"))
    if outcome.proof is not None:
        p = outcome.proof
        worst = "" if p.worst_cosine is None else f", lowest cosine {p.worst_cosine:.4f}"
        rows.append(
            ("checked by the demo", f"{p.stored:,} of {p.expected:,} points, {p.sampled:,} embedded anew{worst}")
        )
    if state.quality is not None:
        new = {score.metric: score for score in state.quality.new}
        for old in state.quality.old:
            if old.metric in new:
                fresh = new[old.metric]
                rows.append(
                    (
                        f"{old.metric}, old -> new",
                        f"{old.mean:.3f} [{old.low:.3f}, {old.high:.3f}] -> "
                        f"{fresh.mean:.3f} [{fresh.low:.3f}, {fresh.high:.3f}]",
                    )
                )
        rows.append(("verdict", f"{state.quality.verdict}: {state.quality.reason}"))
    rows.append(("took", duration(outcome.seconds)))
    return rows


def failures(outcome: Outcome) -> list[str]:
    """Everything that forbids exit code 0, a line each."""
    state, app = outcome.state, outcome.application
    found = []
    if app.failed_searches:
        found.append(f"{app.failed_searches:,} of the application's searches failed; the last error: {app.last_error}")
    if state.failures:
        found.append(f"{state.failures:,} canary searches failed")
    if not app.searches:
        found.append("the application did not search, so nothing is proven")
    verifies = any(step.kind == "verify" for step in state.steps)
    if verifies and (state.verified is None or state.verified.problems):
        found.append("the engine did not verify the points")
    if state.quality is not None and state.quality.verdict == "NO-GO":
        found.append("the new model is worse on the labelled queries: NO-GO")
    if state.status == "finished" and cuts_over(state) and state.cutover is None:
        found.append("nothing was cut over")
    if outcome.proof is not None:
        found += outcome.proof.problems
    elif state.status == "finished":
        found.append("the demo could not check the points by itself")
    return found


def _finished(demo: DemoWorld) -> RunFolder | None:
    """The newest run of this demo that has a report."""
    return next((folder for folder in demo.runs() if folder.report.exists()), None)


def _hand_over(folder: RunFolder, wanted: str | None) -> None:
    """Copy the report where a person looks for it, and say where that is."""
    from changeover_tui.verbs.report import copy

    try:
        path = copy(folder.report, Path(wanted or REPORT))
    except OSError as error:
        say(f"the report could not be copied ({error.strerror}); it is {folder.report}")
        return
    out(f"{'report':<28}{path}")
