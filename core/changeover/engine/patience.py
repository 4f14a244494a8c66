"""How long, and how often, a request is sent again while the server says that it may succeed later."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from changeover.cluster.errors import Action, ClusterError
from changeover.errors import UnreachableError

if TYPE_CHECKING:
    from changeover.engine.context import Context

T = TypeVar("T")


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


def patiently(ctx: Context, request: Callable[[], T]) -> T:
    """Run a request again while the answer says RETRY; raises ClusterError for all else, UnreachableError at last."""
    patience = Patience(first_s=0.2, longest_pause_s=30.0, longest_s=900.0)
    while True:
        try:
            return request()
        except ClusterError as error:
            pause = patience.pause_s(error)
            if patience.attempts in (3, 8):
                ctx.log(f"the server is not keeping up, retrying: {error}", "warning")
            why = f"waiting {pause:.1f} s: {error}"
        ctx.throttle.back_off(pause, why)
