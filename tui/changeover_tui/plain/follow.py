"""A run as lines of text: what changed between two states. Pure; `Follower` beside it reads the journal."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from changeover.engine import launch
from changeover.engine import state as run_state
from changeover.engine.folder import RunFolder
from changeover.engine.journal import Tail
from changeover.engine.state import RunState, StepState
from changeover.errors import ExitCode
from changeover.safe_text import clean, clean_line
from changeover.words import duration, plural
from changeover_tui import plan_words

POLL_S = 0.25
EVERY_S = 5
"""Seconds of the journal's own time between two progress lines of one step."""
STARTING_S = 30.0
"""How long a new engine may take until it holds the lock of its run."""
Say = Callable[[str], None]


def lines(old: RunState, new: RunState) -> list[str]:
    """What happened between two states of one run, a line each, oldest first."""
    found = [f"{'' if level == 'info' else f'{level}: '}{text}" for _, level, text in _new_log(old, new)]
    found += _passes(old, new)
    found += _canary(old, new)
    found += _quality(old, new)
    found += _progress(old, new)
    found += _lamps(old, new)
    if new.paused and not old.paused:
        found.append(f"paused: {new.paused}")
    if old.paused and not new.paused and new.status == "running":
        found.append("goes on")
    return [clean_line(line) for line in found]


def stamp(state: RunState) -> str:
    """The time since the run began, as `00:04:12`."""
    if state.started_at is None or state.last_at is None:
        return "00:00:00"
    whole = max(0, int(state.last_at - state.started_at))
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def lamp_lines(state: RunState) -> list[str]:
    """The conditions of the cutover, a line each."""
    if state.ready is None:
        return []
    return [clean_line(f"  [{'on ' if lamp.on else 'OFF'}] {lamp.name}: {lamp.detail}") for lamp in state.ready.lamps]


def _new_log(old: RunState, new: RunState) -> list[tuple[float, str, str]]:
    """Log lines added since; what a pass of catch-up found is said by `_passes`, and only when it found something."""
    fresh = new.log
    if old.log:
        last = len(new.log) - 1
        while last >= 0 and new.log[last] is not old.log[-1]:
            last -= 1
        fresh = new.log[last + 1 :]
    return [line for line in fresh if not (line[1] == "info" and line[2].startswith("pass "))]


def _passes(old: RunState, new: RunState) -> list[str]:
    if new.differences is None or new.differences is old.differences:
        return []
    found = new.differences
    named = (
        (found.new, "new"),
        (found.edited, "edited"),
        (found.payload, "with another payload"),
        (found.deleted, "deleted"),
        (found.missing, "without their vector"),
        (found.conflicts, "in conflict"),
    )
    words = ", ".join(f"{count:,} {word}" for count, word in named if count)
    return [f"pass {found.number} brought over: {words}"] if words else []


def _canary(old: RunState, new: RunState) -> list[str]:
    if new.failures <= old.failures:
        return []
    why = f": {new.canary.last_error}" if new.canary and new.canary.last_error else ""
    return [f"warning: {new.failures:,} of {new.searches:,} canary searches failed{why}"]


def _quality(old: RunState, new: RunState) -> list[str]:
    quality = new.quality
    if quality is None or quality is old.quality:
        return []
    before = {score.metric: score for score in quality.old}
    found = [f"quality {quality.verdict} on {quality.queries:,} queries: {quality.reason}"]
    for score in quality.new:
        was = before.get(score.metric)
        left = "" if was is None else f"{was.mean:.3f} [{was.low:.3f}, {was.high:.3f}] -> "
        found.append(f"  {score.metric}: {left}{score.mean:.3f} [{score.low:.3f}, {score.high:.3f}]")
    return found


def _progress(old: RunState, new: RunState) -> list[str]:
    step = new.current
    if step is None or not step.total or step.done <= 0:
        return []
    was = next((s for s in old.steps if s.id == step.id), None)
    if was is not None and was.done == step.done:
        return []
    if was is not None and _tenth(was) == _tenth(step) and _span(was, old) == _span(step, new):
        return []
    share = min(1.0, step.done / step.total)
    parts = [f"{step.title}: {step.done:,} of {step.total:,} ({share:.0%})"]
    if step.kind == "load" and new.metrics is not None:
        parts.append(f"{new.metrics.points_per_s:,.0f} points/s")
        if new.metrics.throttle:
            parts.append(new.metrics.throttle)
    eta = run_state.eta_s(new)
    if eta is not None and share < 1:
        parts.append(f"{duration(eta)} left")
    if new.canary is not None:
        parts.append(f"search p95 {new.canary.p95_ms:.0f} ms, {new.failures:,} failed")
    return [", ".join(parts)]


def _tenth(step: StepState) -> int:
    return 10 * step.done // step.total if step.total else -1


def _span(step: StepState, state: RunState) -> int:
    if step.started_at is None or state.last_at is None:
        return -1
    return int((state.last_at - step.started_at) // EVERY_S)


def _lamps(old: RunState, new: RunState) -> list[str]:
    """Said again only when a lamp goes on or off, not when its words change."""
    if new.ready is None or new.ready is old.ready:
        return []
    before = [lamp.on for lamp in old.ready.lamps] if old.ready is not None else []
    if [lamp.on for lamp in new.ready.lamps] == before:
        return []
    head = "ready for the cutover" if new.ready.ready else "not ready for the cutover"
    return [head, *lamp_lines(new)]


class Follower:
    """Reads what an engine writes and says it, until the run ends or `until` is satisfied."""

    def __init__(self, run: RunFolder, say: Say) -> None:
        self.run = run
        self.state = run_state.begin(run.plan())
        self._say = say
        self._tail = Tail(run.journal)

    def catch_up(self) -> RunState:
        """Take in what is there already without saying it line by line."""
        self.state = run_state.fold(self.state, self._tail.read())
        return self.state

    def poll(self) -> bool:
        """Take in and say what was written since; True when there was anything."""
        events = self._tail.read()
        for event in events:
            old, self.state = self.state, run_state.fold(self.state, [event])
            for line in lines(old, self.state):
                self._say(f"[{stamp(self.state)}] {line}")
        return bool(events)

    def until(self, enough: Callable[[RunState], bool], *, starting: bool = False) -> RunState:
        """Follow until the run finished or stopped, its engine is gone, or `enough` says so.

        `starting`: an engine was started just now and may not hold the run's lock yet.
        """
        before, begun = self.state.stopped, time.monotonic()
        seen_running = False
        while True:
            self.poll()
            state = self.state
            if state.status == "finished" or enough(state):
                return state
            if state.stopped is not None and state.stopped is not before:
                return state
            running = launch.running_pid(self.run) is not None
            seen_running = seen_running or running
            gone = not running and (seen_running or not starting or time.monotonic() - begun > STARTING_S)
            if gone and not self.poll():
                return self.state
            time.sleep(POLL_S)


def retell(run: RunFolder, say: Say) -> int:
    """Say everything that happened so far, from the beginning, each line with its time; nothing is waited for."""
    follower = Follower(run, say)
    if not follower.poll():
        say("nothing has happened in this run yet")
    return int(ExitCode.DONE)


def exit_code(run: RunFolder, state: RunState, say: Say, *, resumable: bool = True) -> ExitCode:
    """What the command ends with for a run in this state; an engine that died without a word is explained.

    `resumable`: the cluster outlives the command, so it is worth saying how to go on.
    """
    if state.status == "finished":
        return ExitCode.DONE
    if state.stopped is not None and state.status == "stopped":
        if resumable:
            say(clean(f"the run can be resumed: changeover resume {run.name}"))
        return ExitCode(state.stopped.exit_code)
    last = _last_line(run.log)
    say(clean(f"changeover: the engine ended without a word{f' ({last})' if last else ''}; its log is {run.log}"))
    if resumable:
        say(clean(f"the run can be resumed: changeover resume {run.name}"))
    return ExitCode.BUG


def summary(run: RunFolder, state: RunState) -> list[str]:
    """The end of a run in a few lines, with the path of the report."""
    found, plan = [], run.plan()
    if plan.job.bridge:
        found.append(f"a bridge: {plan_words.BRIDGE}")
    if state.verified is not None:
        found.append(f"verified: {plan_words.verified(plan, state)}")
    if state.matrix is not None:
        found.append(f"computed: {plan_words.matrix(state.matrix)}")
    found += [f"{when}: {words}" for when, words in map(plan_words.storage, state.storage)]
    if state.searches:
        p95 = "" if state.canary is None else f", p95 {state.canary.p95_ms:.0f} ms"
        if state.canary is not None and state.canary.baseline_p95_ms is not None:
            p95 += f" (before: {state.canary.baseline_p95_ms:.0f} ms)"
        found.append(f"searches: {state.failures:,} of {state.searches:,} failed{p95}")
    if state.skipped:
        found.append(f"skipped: {plural(state.skipped, 'point')}; the report names them")
    if state.finished is not None:
        found.append(f"way back: {plan_words.way_back(plan, state, run.name)}")
    if run.report.exists():
        found.append(f"report: {run.report}")
    return [clean(line) for line in found]


def ended(run: RunFolder, patience_s: float = 15.0) -> None:
    """Wait until the engine process has let go of the run: it writes the report after its last event."""
    until = time.monotonic() + patience_s
    while launch.running_pid(run) is not None and time.monotonic() < until:
        time.sleep(0.05)


def _last_line(log: Path) -> str:
    try:
        words = log.read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return clean(words[-1], 200) if words else ""
