"""How long, and how often, a request is sent again while the server says that it may succeed later."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from changeover.cluster.errors import Action, ClusterError
from changeover.errors import UnreachableError

if TYPE_CHECKING:
    from changeover.engine.context import Context

T = TypeVar("T")

SAME_500_S = 120.0
"""Seconds that one write is answered the same 500 before a point in it is suspected instead of the server."""

NODES_AWAY = re.compile(r"replica|consensus|connect|unavailable|time(d )?.?out|transport", re.IGNORECASE)
"""A 500 that speaks of other nodes: a shard of theirs is away for all of its points, however few a request holds."""


class SuspectError(ClusterError):
    """The server answered one request with the same 500 for long: what the request holds may be the cause."""

    def __init__(self, error: ClusterError) -> None:
        super().__init__(str(error), error.action, status=error.status, where=error.where)


class Patience:
    """The retries of one request: `pause_s` after each failure, until `longest_s` seconds were waited in all."""

    def __init__(self, *, first_s: float, longest_pause_s: float, longest_s: float) -> None:
        self._pause, self._longest_pause, self._longest = first_s, longest_pause_s, longest_s
        self.waited = 0.0
        self.attempts = 0

    def pause_s(self, error: ClusterError) -> float:
        """Seconds to wait before the next attempt: doubling, spread by 30 %, and never less than the server asks for.

        Raises the error itself unless it says RETRY, UnreachableError when enough was waited.
        """
        if error.action is not Action.RETRY:
            raise error
        if self.waited > self._longest:
            raise UnreachableError(f"gave up after {self.waited:.0f} s of retries: {error}") from None
        pause: float = min(self._longest_pause, self._pause * 2**self.attempts) * random.uniform(0.7, 1.3)
        pause = max(pause, error.retry_after_s or 0.0)
        self.attempts += 1
        self.waited += pause
        return pause


def patiently(ctx: Context, request: Callable[[], T], *, same_500_s: float | None = None) -> T:
    """Run a request again while the answer says RETRY; raises ClusterError for all else, UnreachableError at last.

    With `same_500_s` it raises SuspectError once the server has answered the same 500 for so many seconds of waiting.
    """
    patience = Patience(first_s=0.2, longest_pause_s=30.0, longest_s=900.0)
    same, since = "", 0.0
    while True:
        try:
            return request()
        except ClusterError as error:
            words = _words(error)
            if words != same:
                same, since = words, patience.waited
            elif same_500_s is not None and words and patience.waited - since >= same_500_s:
                raise SuspectError(error) from None
            pause = patience.pause_s(error)
            if patience.attempts in (3, 8):
                ctx.log(f"the server is not keeping up, retrying: {error}", "warning")
            why = f"waiting {pause:.1f} s: {error}"
            ctx.waits.note(str(error), pause)
        with ctx.lanes.waiting(why):
            ctx.throttle.back_off(pause, why)


def _words(error: ClusterError) -> str:
    """What a 500 says, without its numbers: a panic names another task each time. "" where no point can be the cause."""
    text = str(error)
    if error.status != 500 or error.action is not Action.RETRY or NODES_AWAY.search(text):
        return ""
    return re.sub(r"\d+", "#", text)
