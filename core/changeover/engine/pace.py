"""How large and how many requests are, by what the server did with the last ones. Pure arithmetic; no lock, no clock."""

from __future__ import annotations

TARGET_S = 1.0
"""A write request should take about so long: under it a batch grows, above it one shrinks."""
LEAST = 16
"""Slow requests alone do not make batches smaller than this: what is left then is the way to the server and back."""
WEIGHT = 0.3
"""Of the latest request in the average."""
LIFT_AFTER = 50
"""Requests that went well at a learned ceiling before it is tried with twice as many points."""


class Pace:
    """Batch by time per request, streams by additive increase and halving; never above what was asked for."""

    def __init__(self, batch: int, streams: int) -> None:
        self.asked_batch = batch
        self.asked_streams = streams
        self._allowed = float(streams)
        self._per_point: float | None = None
        self._seconds = 0.0
        self._ceiling: int | None = None
        self._well = 0

    @property
    def batch(self) -> int:
        """Points per request now, at least 1."""
        wanted = self.asked_batch
        if self._per_point and wanted > LEAST:
            wanted = max(LEAST, int(min(wanted, TARGET_S / self._per_point)))
        return max(1, min(wanted, self._ceiling) if self._ceiling else wanted)

    @property
    def streams(self) -> int:
        """Requests at once now, at least 1."""
        return max(1, int(self._allowed))

    @property
    def why(self) -> str:
        """Why it is less than asked for, in words; "" when it is not."""
        if self.streams < self.asked_streams:
            return f"{self.streams} of {self.asked_streams} streams: the server pushed back"
        if self.batch < self.asked_batch:
            if self._ceiling == self.batch:
                return f"{self.batch} of {self.asked_batch} points per request: the server takes no more"
            return f"{self.batch} of {self.asked_batch} points per request: they take {self._seconds:.1f} s"
        return ""

    def ask(self, *, batch: int | None = None, streams: int | None = None) -> None:
        """Somebody asked for other numbers: they are tried afresh, but for what the server refused."""
        if batch:
            self.asked_batch, self._per_point = batch, None
        if streams:
            self.asked_streams, self._allowed = streams, float(streams)

    def went_well(self, points: int, seconds: float) -> None:
        """A request with so many points was done in so many seconds."""
        # A small request is mostly the way to the server and back, and says nothing about larger ones.
        if 2 * points >= self.batch or (points and seconds > TARGET_S):
            cost = seconds / points
            self._per_point = cost if self._per_point is None else WEIGHT * cost + (1 - WEIGHT) * self._per_point
            self._seconds = seconds
        self._allowed = min(float(self.asked_streams), self._allowed + 0.1)
        if self._ceiling is not None and points >= self._ceiling:
            self._well += 1
            if self._well >= LIFT_AFTER:
                self._ceiling, self._well = 2 * self._ceiling, 0
            if self._ceiling >= self.asked_batch:
                self._ceiling = None

    def pushed_back(self) -> None:
        """The server had no time for a request, or there was none to be had."""
        self._allowed = max(1.0, self._allowed / 2)

    def too_large(self, points: int) -> None:
        """The server refused a request for its size; `points` is the most that is tried next."""
        self._ceiling, self._well = max(1, min(points, self._ceiling or points)), 0
