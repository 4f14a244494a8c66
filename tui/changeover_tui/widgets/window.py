"""The way back that is open from a run, followed live: how long still, and how fresh the old side is."""

from __future__ import annotations

from collections.abc import Callable

from changeover.afterwards.backs import Window, back_runs, window_of
from changeover.engine.folder import RunFolder
from changeover.errors import ChangeoverError
from changeover_tui import after_words
from changeover_tui.runner import RunFeed
from changeover_tui.widgets.cell import Cell

LOOK_S = 1.0
ENGINE_LOOK_S = 3.0
"""How often the lock is looked at; between two looks the last answer stands."""


class BackFeed:
    """Follows the latest way back of a run, or the run itself where it is one that is kept open."""

    def __init__(self, feed: RunFeed) -> None:
        self._of = feed
        self._back: RunFeed | None = None
        self._alive = False
        self._look_at = 0.0

    def look(self, now: float) -> Window | None:
        """The open way back as it stands now; None when there is none, or before the cutover."""
        try:
            return self._look(now)
        except (ChangeoverError, OSError, KeyError):
            return None

    def _look(self, now: float) -> Window | None:
        state = self._of.state
        if not self._of.plan.follows and state.cutover is None:
            return None
        if now >= self._look_at:
            self._look_at = now + ENGINE_LOOK_S
            run = self._run()
            if self._back is None or (run is not None and run.path != self._back.run.path):
                self._back = RunFeed(run) if run is not None else None
            self._alive = self._back is not None and self._back.engine_pid() is not None
        if self._back is None:
            return None
        self._back.poll()
        there = self._back.state
        if self._of.plan.follows and there.cutover is not None:
            return None
        window = window_of(self._back.run, self._back.plan, there, now=now, alive=self._alive)
        own = self._of.plan.follows
        return window if window is not None and (not own or window.left_s is not None) else None

    def _run(self) -> RunFolder | None:
        if self._of.plan.follows:
            return self._of.run
        return next(iter(back_runs(self._of.run)[-1:]), None)


class WindowCell(Cell):
    """The countdown in two lines; takes no room while no way back is open."""

    def __init__(self, feed: RunFeed, clock: Callable[[], float], *, id: str = "window") -> None:
        super().__init__("", id=id, hides=True)
        self._feed, self._clock = feed, clock
        self._back = BackFeed(feed)

    def on_mount(self) -> None:
        """Once a second is enough for a countdown."""
        self.set_interval(LOOK_S, self.look)
        self.look()

    def look(self) -> None:
        """Say it anew."""
        now = self._clock()
        window = self._back.look(now)
        if window is None or not self.screen.is_current:
            self.say("" if window is None else self.said)
            return
        self.say(after_words.countdown_short(window, now))
