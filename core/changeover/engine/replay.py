"""A journal as something to go through in time: the state of the run at any moment, and the moments that matter. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

from changeover.engine import events as ev
from changeover.engine.state import RunState, fold

EVERY = 500
"""Events between two states that are kept: going anywhere costs folding at most so many."""
MATTER = (
    ev.EngineStarted,
    ev.StepStarted,
    ev.StepDone,
    ev.Skipped,
    ev.Evaluated,
    ev.Verified,
    ev.CutOver,
    ev.Conflict,
    ev.Controlled,
    ev.Paused,
    ev.Resumed,
    ev.EngineStopped,
    ev.RunFinished,
)
"""Events that a person wants to go to; so are warnings and errors of the log."""


class Replay:
    """States are folded when they are asked for, and one in `EVERY` is kept: they share what they have in common."""

    def __init__(self, start: RunState, events: Sequence[ev.Event]) -> None:
        self._events = tuple(events)
        # A clock that was set back must not make time run backwards here.
        self._times = list(accumulate((event.at for event in self._events), max))
        self._kept = [start]
        self._marks = sorted({at for at, event in zip(self._times, self._events, strict=True) if _matters(event)})
        self.steps = [
            at for at, event in zip(self._times, self._events, strict=True) if isinstance(event, ev.StepStarted)
        ]
        """When a step began."""

    @property
    def begun(self) -> float:
        """The moment of the first event; 0 in an empty journal."""
        return self._times[0] if self._times else 0.0

    @property
    def ended(self) -> float:
        """The moment of the last event."""
        return self._times[-1] if self._times else 0.0

    def at(self, moment: float) -> RunState:
        """The state after every event up to that moment."""
        return self.after(bisect_right(self._times, moment))

    def after(self, count: int) -> RunState:
        """The state after the first `count` events."""
        whole = min(max(count, 0), len(self._events))
        while len(self._kept) <= whole // EVERY:
            done = (len(self._kept) - 1) * EVERY
            self._kept.append(fold(self._kept[-1], self._events[done : done + EVERY]))
        near = whole // EVERY
        return fold(self._kept[near], self._events[near * EVERY : whole])

    def next_mark(self, moment: float) -> float:
        """The next moment at which something happened that matters; the end when there is none."""
        index = bisect_right(self._marks, moment)
        return self._marks[index] if index < len(self._marks) else self.ended

    def previous_mark(self, moment: float) -> float:
        """The last such moment before this one; the beginning when there is none."""
        index = bisect_left(self._marks, moment)
        return self._marks[index - 1] if index else self.begun


def _matters(event: ev.Event) -> bool:
    return isinstance(event, MATTER) or (isinstance(event, ev.Log) and event.level != "info")
