"""How far a measurement is, and how long the part in hand still takes at its present speed."""

from __future__ import annotations

import time
from collections.abc import Callable

SETTLED_S = 2.0
"""Seconds after which a speed is believed."""


class Pace:
    """Told (done, total, words) like any progress; new words begin a new part."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.done = 0
        self.total = 0
        """0 where nobody knows."""
        self.words = ""
        self._clock = clock
        self._began = clock()
        self._from = 0

    def tell(self, done: int, total: int, words: str) -> None:
        """Take up a report."""
        if words != self.words:
            self.words, self._began, self._from = words, self._clock(), done
        self.done, self.total = done, total

    @property
    def share(self) -> float | None:
        """Share of the part in hand that is done; None where nobody knows."""
        return min(self.done / self.total, 1.0) if self.total else None

    @property
    def left(self) -> float | None:
        """Seconds that the part in hand still takes; None while its speed is not known."""
        took = self._clock() - self._began
        if took < SETTLED_S or self.done <= self._from or not self.total:
            return None
        return max(self.total - self.done, 0) * took / (self.done - self._from)
