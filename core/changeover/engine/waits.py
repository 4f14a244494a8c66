"""Requests that were sent again: counted by reason, and written down once a second instead of one by one."""

from __future__ import annotations

import threading

from changeover.engine import events as ev
from changeover.engine.troubles import key_of


class Waits:
    """Thread-safe; `drain` gives what came since the last call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: dict[str, tuple[str, int, float]] = {}

    def note(self, reason: str, seconds: float) -> None:
        """A request is sent again after so many seconds."""
        with self._lock:
            _, times, waited = self._since.get(key_of(reason), ("", 0, 0.0))
            self._since[key_of(reason)] = (reason, times + 1, waited + seconds)

    def drain(self, at: float) -> list[ev.Retried]:
        """One event for each reason."""
        with self._lock:
            since, self._since = self._since, {}
        return [ev.Retried(at=at, reason=r, times=n, waited_s=round(s, 2)) for r, n, s in since.values()]
