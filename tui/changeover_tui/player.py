"""Where a replay stands: its moment, its speed, whether it plays. No Textual, no clock of its own."""

from __future__ import annotations

from changeover.engine.replay import Replay
from changeover.engine.state import RunState

SPEEDS = (1, 10, 60, 600, 3600)
WHOLE_S = 60.0
"""A run is replayed in about a minute unless another speed is chosen."""
STEP = 0.01
"""Of the whole, at one press of an arrow."""


class Player:
    """Moves over a replay; the state is that of the moment it stands at."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self.moment = replay.begun
        self.plays = False
        span = replay.ended - replay.begun
        self.speed = next((speed for speed in SPEEDS if span / speed <= WHOLE_S), SPEEDS[-1])

    @property
    def state(self) -> RunState:
        """The run as it was then."""
        return self.replay.at(self.moment)

    @property
    def share(self) -> float:
        """How far it is through the whole, 0 to 1."""
        span = self.replay.ended - self.replay.begun
        return (self.moment - self.replay.begun) / span if span > 0 else 1.0

    def goes_on(self, seconds: float) -> None:
        """So much time went by on the watch of whoever looks on; it stops by itself at the end."""
        if self.plays:
            self.go_to(self.moment + seconds * self.speed)
            self.plays = self.moment < self.replay.ended

    def go_to(self, moment: float) -> None:
        """To a moment, within the run."""
        self.moment = min(max(moment, self.replay.begun), self.replay.ended)

    def step(self, count: int) -> None:
        """So many steps of one per cent, back with a negative count."""
        self.go_to(self.moment + count * STEP * (self.replay.ended - self.replay.begun))

    def to_mark(self, forward: bool) -> None:
        """To the next thing that matters, or the one before."""
        self.go_to(self.replay.next_mark(self.moment) if forward else self.replay.previous_mark(self.moment))

    def play_or_pause(self) -> None:
        """Play, from the beginning when it stood at the end; or stand still."""
        if not self.plays and self.moment >= self.replay.ended:
            self.moment = self.replay.begun
        self.plays = not self.plays

    def faster(self) -> None:
        """The next speed, and after the fastest the slowest."""
        self.speed = SPEEDS[(SPEEDS.index(self.speed) + 1) % len(SPEEDS)]
