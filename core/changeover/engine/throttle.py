"""How hard the engine works: asked for and effective batch, streams and rate; pause, stop and back-off in one place."""

from __future__ import annotations

import threading
import time

from changeover.engine.pace import Pace
from changeover.errors import StoppedError

SLOW_FACTOR = 2.0
"""The canary's p95 may be this many times its baseline before the engine slows down (design budget)."""
NOISE_MS = 20.0
"""A p95 under this is never called slow, whatever the baseline was."""
LONGEST_DELAY_S = 1.0
BACKLOG_DELAY_S = 0.25
"""Longest delay for the optimizer's sake: it goes on slowly, since new vectors make a backlog by themselves."""
IDS = 5_000
"""Points per page where nothing but ids is read; halved for good where strict mode takes fewer."""
HALVED_S = 1.0
"""Streams are halved at most this often: one outage fails the requests of all of them."""


class Throttle:
    """Read by every worker thread, set by control requests, the canary and failed writes. Thread-safe."""

    def __init__(self, batch: int, streams: int, rate: float | None) -> None:
        self._wake = threading.Condition()
        self._pace = Pace(batch, streams)
        self.rate = rate
        self.ids_at_once = IDS
        self.delay_s = 0.0
        self.reason = ""
        self.backlog_delay_s = 0.0
        self._backlog = ""
        self._paused = False
        self._stopping = False
        self._in_use = 0
        self._tokens = 0.0
        self._filled_at = time.monotonic()
        self._quiet_until = 0.0
        self._halved_at = 0.0

    @property
    def batch(self) -> int:
        """Points per request that were asked for."""
        return self._pace.asked_batch

    @property
    def streams(self) -> int:
        """Requests at once that were asked for."""
        return self._pace.asked_streams

    @property
    def effective_batch(self) -> int:
        """Points per request now: by what the server takes, and how long it takes."""
        return self._pace.batch

    @property
    def effective_streams(self) -> int:
        """Requests at once now."""
        return self._pace.streams

    @property
    def why(self) -> str:
        """Why it goes slower than asked, in words; "" when it does not."""
        return self.reason or self._backlog or self._pace.why

    def learn_ceiling(self, points: int) -> None:
        """The server rejected a larger batch: send no more than this for a good while."""
        with self._wake:
            self._pace.too_large(points)

    def wrote(self, points: int, seconds: float) -> None:
        """A write was done: the next ones become larger or smaller by its time."""
        with self._wake:
            self._pace.went_well(points, seconds)
            self._wake.notify_all()

    def pause(self) -> None:
        """Let work in hand finish, begin nothing new."""
        with self._wake:
            self._paused = True

    def resume(self) -> None:
        """Go on after a pause."""
        with self._wake:
            self._paused = False
            self._wake.notify_all()

    @property
    def paused(self) -> bool:
        """Whether a person paused the run."""
        return self._paused

    def stop(self) -> None:
        """Everyone who waits here gets StoppedError."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()

    @property
    def stopping(self) -> bool:
        """Whether the engine is asked to stop."""
        return self._stopping

    def retune(self, *, batch: int | None = None, streams: int | None = None, rate: float | None = None) -> None:
        """Change what was asked for, live; a rate of 0 lifts the limit."""
        with self._wake:
            self._pace.ask(batch=batch, streams=streams)
            if rate is not None:
                self.rate = rate or None
            self._wake.notify_all()

    def on_canary(self, p95_ms: float, baseline_ms: float | None) -> None:
        """Raise or lower the delay between pages by the application's search latency."""
        if baseline_ms is None:
            return
        limit = max(NOISE_MS, SLOW_FACTOR * baseline_ms)
        with self._wake:
            if p95_ms > limit:
                self.delay_s = min(LONGEST_DELAY_S, max(0.02, self.delay_s * 1.5))
                self.reason = f"slowed: search p95 {p95_ms:.0f} ms > {limit:.0f} ms ({SLOW_FACTOR:.0f}x baseline)"
            else:
                self.delay_s = 0.0 if self.delay_s < 0.02 else self.delay_s * 0.7
                self.reason = self.reason if self.delay_s else ""

    def on_backlog(self, queued: int, most: int) -> None:
        """Raise or lower the delay between pages by how many points wait for the optimizer."""
        with self._wake:
            if queued > most:
                self.backlog_delay_s = min(BACKLOG_DELAY_S, max(0.02, self.backlog_delay_s * 1.5))
                self._backlog = f"slowed: {queued:,} points wait for the optimizer (over {most:,})"
            else:
                self.backlog_delay_s = 0.0 if self.backlog_delay_s < 0.02 else self.backlog_delay_s * 0.7
                self._backlog = self._backlog if self.backlog_delay_s else ""

    def back_off(self, seconds: float, reason: str) -> None:
        """A worker was told to come back later: nobody starts a write before then. Raises StoppedError on stop."""
        with self._wake:
            now = time.monotonic()
            if now >= self._halved_at + HALVED_S:
                self._pace.pushed_back()
                self._halved_at = now
            self._quiet_until = max(self._quiet_until, now + seconds)
            self.reason = reason
        self.sleep(seconds)
        with self._wake:
            if time.monotonic() >= self._quiet_until and self.reason == reason:
                self.reason = ""

    def sleep(self, seconds: float) -> None:
        """Sleep that a stop ends; raises StoppedError."""
        until = time.monotonic() + seconds
        with self._wake:
            while (left := until - time.monotonic()) > 0:
                self._check()
                self._wake.wait(left)
            self._check()

    def admit(self, points: int) -> None:
        """Wait until this many more points may be read: pause, rate and delay. Raises StoppedError on stop."""
        delay = max(self.delay_s, self.backlog_delay_s)
        if delay:
            self.sleep(delay)
        with self._wake:
            while True:
                self._check()
                if self._paused:
                    self._wake.wait()
                    continue
                wait = max(self._rate_wait(points), self._quiet_until - time.monotonic())
                if wait <= 0:
                    return
                self._wake.wait(wait)

    def acquire(self) -> None:
        """Take a write stream; waits while as many as asked for are busy. Raises StoppedError on stop."""
        with self._wake:
            self._check()
            while self._in_use >= self._pace.streams:
                self._wake.wait()
                self._check()
            self._in_use += 1

    def release(self) -> None:
        """Give a write stream back."""
        with self._wake:
            self._in_use -= 1
            self._wake.notify_all()

    def _rate_wait(self, points: int) -> float:
        now = time.monotonic()
        if self.rate is None:
            self._tokens, self._filled_at = 0.0, now
            return 0.0
        # A second's worth may be saved up; a page larger than that goes into debt instead of waiting for ever.
        self._tokens = min(self.rate, self._tokens + (now - self._filled_at) * self.rate)
        self._filled_at = now
        if points and (self._tokens < 0 or self._tokens < min(points, self.rate)):
            return (min(points, self.rate) - self._tokens) / self.rate
        self._tokens -= points
        return 0.0

    def _check(self) -> None:
        if self._stopping:
            raise StoppedError("stopped on request; `changeover resume` goes on")
