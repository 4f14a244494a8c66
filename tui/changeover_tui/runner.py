"""A run as the screen sees it: the fold of its journal, the requests made to it, the engine behind it. No Textual."""

from __future__ import annotations

import os
from collections.abc import Mapping

from changeover.engine import control, launch
from changeover.engine import state as run_state
from changeover.engine.folder import RunFolder
from changeover.engine.journal import Tail, read_all
from changeover.engine.replay import Replay
from changeover.engine.state import RunState
from changeover.errors import ExitCode
from changeover.plan.model import Plan
from changeover_tui import plan_words

LogLine = tuple[float, str, str]


class RunFeed:
    """Follows one run folder; reads the journal, appends to control.jsonl, and never touches anything else."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.plan = run.plan()
        self.state: RunState = run_state.begin(self.plan)
        self.requested: dict[str, tuple[int, float | int | str | None]] = {}
        """Verb -> (number of the request, value) of what was asked from here and not answered yet."""
        self._tail = Tail(run.journal)

    def poll(self) -> tuple[bool, list[LogLine]]:
        """Read what the engine wrote since; returns (anything new, new log lines)."""
        events = self._tail.read()
        if not events:
            return False, []
        before = self.state
        self.state = run_state.fold(before, events)
        answered = {asked.number for asked in self.state.asked}
        self.requested = {verb: ask for verb, ask in self.requested.items() if ask[0] not in answered}
        lines = lines_since(before.log, self.state.log)
        return True, list(self.state.log) if lines is None else lines

    def replay(self) -> Replay:
        """The journal as it is now, to go through in time."""
        return Replay(run_state.begin(self.plan), read_all(self.run.journal))

    def ask(self, verb: control.Verb, value: float | int | str | None = None) -> int:
        """Ask the engine for something; it answers in the journal with the number that is returned."""
        number = control.ask(self.run.control, verb, value)
        self.requested[verb] = (number, value)
        return number

    def refusal(self, number: int) -> str | None:
        """Why the request of that number was refused; "" when it was taken up; None when there is no answer yet."""
        return next((asked.refused for asked in reversed(self.state.asked) if asked.number == number), None)

    def engine_pid(self) -> int | None:
        """The pid of the engine at work, or None."""
        return launch.running_pid(self.run)

    def start_engine(self, environ: Mapping[str, str]) -> int:
        """Start the engine where it stopped; raises BlockedError when one is running."""
        return launch.start(self.run, environ)


def lines_since(before: tuple[LogLine, ...], now: tuple[LogLine, ...]) -> list[LogLine] | None:
    """The lines added since, None where these do not go on from those; the fold keeps the very same tuples."""
    if not before:
        return list(now)
    last = before[-1]
    for index in range(len(now) - 1, -1, -1):
        if now[index] is last:
            return list(now[index + 1 :])
    return None


def writable(run: RunFolder) -> bool:
    """Whether requests to the engine can be written into the run's folder."""
    return os.access(run.control if run.control.exists() else run.path, os.W_OK)


def title_of(plan: Plan) -> str:
    """A run in a few words: route, from, to."""
    return f"{plan_words.kind(plan)}: {plan_words.where(plan)}"


def parting(feed: RunFeed, *, at_work: bool, sandbox: bool) -> tuple[str, int]:
    """What is said when a person leaves a run, and the exit code."""
    state, run = feed.state, feed.run
    if at_work and sandbox:
        return f"The sandbox ends with its window, and the run with it. Its folder: {run.path}", ExitCode.DONE
    if at_work:
        return f"The engine goes on. Watch it again with: changeover watch {run.name}", ExitCode.DONE
    if state.finished is not None:
        return f"{state.finished.summary}. Report: {run.report}", ExitCode.DONE
    code = state.stopped.exit_code if state.stopped is not None else ExitCode.STOPPED
    return f"Not finished. Go on with: changeover resume {run.name}", code
