"""Being with a run until it ends: its lines, the cutover when it is ready, the summary. Ctrl+C leaves it running."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from changeover.engine import control
from changeover.errors import BlockedError, ExitCode
from changeover.plan.model import AwaitCutover
from changeover.safe_text import clean, clean_block
from changeover_tui import plan_words
from changeover_tui.plain.follow import Follower, Say, ended, exit_code, lamp_lines, summary
from changeover_tui.plain.prompts import insist

if TYPE_CHECKING:
    from changeover.engine.folder import RunFolder
    from changeover.engine.state import RunState
    from changeover_tui.plain.prompts import Prompts

OnReady = Callable[["RunState"], bool]
"""Called when every lamp is on: whether to ask the engine for the cutover now."""
GiveUp = Callable[["RunState"], str]
"""Looked at after every change: a reason to stop the run, or ""."""
MOST_REFUSALS = 20


def attend(
    run: RunFolder,
    say: Say,
    *,
    on_ready: OnReady | None = None,
    give_up: GiveUp | None = None,
    starting: bool = False,
    outlives: bool = True,
    watches: bool = False,
) -> int:
    """Say what the engine does until the run ends; returns the exit code, UNVERIFIED when `give_up` had a reason.

    `starting`: the engine was started just now. `outlives`: it goes on after Ctrl+C, which is said; else the
    KeyboardInterrupt is raised. Without an `on_ready` nothing is asked for at the cutover. `watches`: nothing is
    written into the run's folder, and nothing is offered that would be.
    """
    attendance = _Attendance(run, say, on_ready, give_up)
    if starting:
        leaves = "leaves it to that" if outlives else "ends it"
        say(clean(f"the engine works on {run.name} by itself; Ctrl+C {leaves}"))
        asks = f"changeover control {run.name} pause, resume, rate N, batch N, streams N, stop"
        say(clean(f"from another terminal: {asks}"))
    try:
        state = attendance.until_the_end(starting=starting)
    except KeyboardInterrupt:
        if not outlives:
            raise
        say("")
        say(clean(f"the engine goes on by itself. Follow it with: changeover watch {run.name}"))
        if not watches:
            say(clean(f"Stop it with: changeover control {run.name} stop"))
        return int(ExitCode.INTERRUPTED)
    code = exit_code(run, state, say, resumable=outlives and not watches)
    ended(run)
    if state.status == "finished" and not run.report.exists() and not watches:
        from changeover.report.build import write

        write(run)
    for line in summary(run, state):
        say(line)
    return int(ExitCode.UNVERIFIED if attendance.gave_up else code)


class _Attendance:
    """One attended run: what was shown as ready already, and how often the cutover was refused."""

    def __init__(self, run: RunFolder, say: Say, on_ready: OnReady | None, give_up: GiveUp | None) -> None:
        self.gave_up = ""
        self._follower = Follower(run, say)
        self._run = run
        self._say = say
        self._on_ready = on_ready
        self._give_up = give_up
        self._handled: object = None
        """The readiness that was dealt with; another one is asked about again."""

    def until_the_end(self, *, starting: bool) -> RunState:
        state = self._follower.catch_up()
        if state.status != "new":
            done = sum(step.status == "done" for step in state.steps)
            self._say(clean(f"{self._run.name}: {done} of {len(state.steps)} steps done so far"))
        refusals = 0
        while True:
            state = self._follower.until(self._needs_me, starting=starting)
            starting = False
            if not self._needs_me(state):
                return state
            if self._reason(state):
                return self._stop(state)
            self._handled = state.ready
            assert self._on_ready is not None
            if not self._on_ready(state):
                self._on_ready = None
                continue
            refused = self._cut_over()
            if refused:
                refusals += 1
                if refusals == MOST_REFUSALS:
                    raise BlockedError(f"the cutover was refused {refusals} times, the last time because of {refused}")

    def _needs_me(self, state: RunState) -> bool:
        if state.status in ("finished", "stopped"):
            return False
        is_ready = state.status == "ready" and state.ready is not self._handled
        return bool(self._reason(state)) or (is_ready and self._on_ready is not None)

    def _reason(self, state: RunState) -> str:
        return self._give_up(state) if self._give_up is not None else ""

    def _stop(self, state: RunState) -> RunState:
        self.gave_up = self._reason(state)
        self._say(clean(f"{self.gave_up.rstrip('.')}; the engine is asked to stop"))
        control.ask(self._run.control, "stop")
        return self._follower.until(lambda _: False)

    def _cut_over(self) -> str:
        """Ask for it; returns why it was refused, and then only after the next comparison of both sides."""
        before = self._follower.state.differences
        number = control.ask(self._run.control, "cutover", self._run.plan().job.name_in_use)
        state = self._follower.until(lambda now: any(asked.number == number for asked in now.asked))
        refused = next((asked.refused for asked in state.asked if asked.number == number), "")
        if refused:
            self._follower.until(lambda now: now.differences is not before)
        # Taken up, it is not asked again while the run still reads as ready: the engine brings newcomers over first.
        self._handled = None if refused else self._follower.state.ready
        return refused


def typed_name(run: RunFolder, prompts: Prompts, say: Say) -> OnReady | None:
    """Asks a person for the name when the run is ready; None when the plan does not wait for a person."""
    step = _manual(run)
    if step is None:
        return None

    def ask(state: RunState) -> bool:
        if cut_over_confirmed(run, state, step, prompts, say):
            return True
        say(how_to_cut_over(run, step))
        return False

    return ask


def cut_over_confirmed(run: RunFolder, state: RunState, step: AwaitCutover, prompts: Prompts, say: Say) -> bool:
    """Say what the cutover sends and what the application must change; whether the name was typed then."""
    plan = run.plan()
    say("")
    for line in plan_words.sent(plan):
        say(clean(line))
    say("what your application must change:")
    for line in clean_block(plan.application).rstrip("\n").split("\n"):
        say(f"  {line}")
    prompts.aid.at(
        "Every lamp is a condition that the engine looked at just now, and looks at again before it sends anything.",
        *lamp_lines(state),
        *plan_words.sent(plan),
        "As long as you wait, the new side is kept caught up.",
        back="not now: the run waits",
    )
    return insist(
        prompts, f"Everything is ready. Type {step.confirm} to cut over now, or back to wait", step.confirm, say
    )


def tell_how(run: RunFolder, say: Say) -> OnReady | None:
    """Says the command that cuts over when the run is ready; None when the plan does not wait for a person."""
    step = _manual(run)
    if step is None:
        return None

    def tell(_: RunState) -> bool:
        say(how_to_cut_over(run, step))
        return False

    return tell


def how_to_cut_over(run: RunFolder, step: AwaitCutover) -> str:
    """The command that cuts over, for a run that waits."""
    command = f"changeover control {run.name} cutover --confirm {step.confirm}"
    return clean(f"the run stays caught up and waits. Cut over with: {command}")


def _manual(run: RunFolder) -> AwaitCutover | None:
    step = next((s for s in run.plan().steps if isinstance(s, AwaitCutover)), None)
    return step if step is not None and step.mode == "manual" else None
