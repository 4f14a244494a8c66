"""Counts points and busy time of embedder and writers, to be read once a second."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

Part = Literal["embed", "write"]


class Reading(NamedTuple):
    """One interval: `points` in all, rates over the interval, busy shares 0 to 1 per worker."""

    points: int
    points_per_s: float
    embed_busy: float
    write_busy: float


def resident_bytes() -> int:
    """Memory that this process holds now, in bytes; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


class Meter:
    """Thread-safe. Busy time of work still under way counts too, so a long batch does not read as idle."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._points = 0
        self._busy: dict[Part, float] = {"embed": 0.0, "write": 0.0}
        self._open: dict[Part, dict[int, float]] = {"embed": {}, "write": {}}
        self._at = time.monotonic()
        self._last_points = 0

    def start(self, points: int) -> None:
        """A step begins with this many points already done by earlier engines."""
        with self._lock:
            self._points = self._last_points = points

    def add(self, points: int) -> None:
        """Points were acknowledged."""
        with self._lock:
            self._points += points

    @contextmanager
    def busy(self, part: Part) -> Iterator[None]:
        """Time spent inside counts as busy."""
        me = threading.get_ident()
        with self._lock:
            self._open[part][me] = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._busy[part] += time.monotonic() - self._open[part].pop(me)

    def read(self, embedders: int, streams: int) -> Reading:
        """The interval since the last call."""
        now = time.monotonic()
        with self._lock:
            span = max(1e-6, now - self._at)
            embed = min(1.0, self._drain("embed", now) / span / max(1, embedders))
            write = min(1.0, self._drain("write", now) / span / max(1, streams))
            reading = Reading(self._points, (self._points - self._last_points) / span, embed, write)
            self._at, self._last_points = now, self._points
        return reading

    def _drain(self, part: Part, now: float) -> float:
        total = self._busy[part] + sum(now - since for since in self._open[part].values())
        self._busy[part] = 0.0
        self._open[part] = dict.fromkeys(self._open[part], now)
        return total
