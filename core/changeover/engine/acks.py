"""How far a slice is written without a gap, while its pages are acknowledged in any order."""

from __future__ import annotations

from typing import NamedTuple

from changeover.survey.model import PointId


class Acked(NamedTuple):
    """Everything below `position` is acknowledged; `points` counts them; `done` when the slice is finished."""

    position: PointId | None
    points: int
    done: bool


class SliceAcks:
    """Pages are registered in reading order and acknowledged in any; the position moves only over a closed run."""

    def __init__(self, start: PointId | None, points: int = 0) -> None:
        self._position = start
        self._points = points
        self._pages: dict[int, tuple[PointId | None, int]] = {}
        self._acked: set[int] = set()
        self._next_page = 0
        self._lowest = 0
        self._last: int | None = None

    def register(self, following: PointId | None, points: int, *, last: bool) -> int:
        """A page was read; `following` is the id to read after it. Returns the page's number."""
        number = self._next_page
        self._next_page += 1
        self._pages[number] = (following, points)
        if last:
            self._last = number
        return number

    def ack(self, number: int) -> Acked:
        """A page is written; returns how far the slice is now."""
        self._acked.add(number)
        while self._lowest in self._acked:
            self._acked.remove(self._lowest)
            position, points = self._pages.pop(self._lowest)
            self._position = position
            self._points += points
            self._lowest += 1
        done = self._last is not None and self._lowest > self._last
        return Acked(None if done else self._position, self._points, done)
