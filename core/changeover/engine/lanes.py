"""What each write stream does now: who writes, of which slice, how many points it has written, how fast."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from changeover.engine.events import Stream

if TYPE_CHECKING:
    from changeover.survey.model import ShardKey

READINGS = 6
"""A stream's rate is over so many readings: one request of it may take longer than a second."""


@dataclass
class _Lane:
    doing: str = ""
    slice: int | None = None
    shard_key: ShardKey | None = None
    points: int = 0
    seen: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=READINGS))


class Lanes:
    """Thread-safe. A stream is the lowest number that is free, and belongs to the thread that took it until it is done."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._lanes: dict[int, _Lane] = {}
        self._mine: dict[int, int] = {}
        """Thread -> stream."""

    @contextmanager
    def taken(self, points: int, part: int | None, shard_key: ShardKey | None) -> Iterator[None]:
        """This thread writes so many points of that slice; they count as written when it comes out well."""
        me = threading.get_ident()
        with self._lock:
            number = min(set(range(1, len(self._mine) + 2)) - set(self._mine.values()))
            self._mine[me] = number
            lane = self._lanes.setdefault(number, _Lane())
            if not lane.seen:
                lane.seen.append((self._clock(), 0))
            lane.doing, lane.slice, lane.shard_key = f"writes {points:,} points", part, shard_key
        try:
            yield
        except BaseException:
            self._free(me, lane, 0)
            raise
        self._free(me, lane, points)

    @contextmanager
    def waiting(self, why: str) -> Iterator[None]:
        """This thread's stream waits; nothing for a thread that has none."""
        with self._lock:
            number = self._mine.get(threading.get_ident())
            lane = None if number is None else self._lanes[number]
            before = "" if lane is None else lane.doing
            if lane is not None:
                lane.doing = why[:120]
        try:
            yield
        finally:
            with self._lock:
                if lane is not None:
                    lane.doing = before

    def read(self, streams: int) -> tuple[Stream, ...]:
        """The first `streams` streams and all that are still at work, with their rate since some readings ago."""
        now = self._clock()
        with self._lock:
            most = max([streams, *self._mine.values()])
            found = []
            for number in range(1, most + 1):
                lane = self._lanes.get(number, _Lane())
                rate = 0.0
                if lane.seen:
                    since, before = lane.seen[0]
                    rate = round((lane.points - before) / max(1e-6, now - since), 1)
                    lane.seen.append((now, lane.points))
                found.append(Stream(number, lane.doing, lane.slice, lane.shard_key, lane.points, rate))
            return tuple(found)

    def _free(self, thread: int, lane: _Lane, points: int) -> None:
        with self._lock:
            del self._mine[thread]
            lane.points += points
            lane.doing = ""
