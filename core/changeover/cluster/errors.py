"""The error taxonomy: every answer that a Qdrant server gives is sorted once, here, into what the engine does next."""

from __future__ import annotations

from enum import Enum

from changeover.errors import ChangeoverError, ExitCode


class Action(Enum):
    """What to do about a failed request."""

    RETRY = "retry"
    """The same request again later; `retry_after_s` when the server said when."""
    SPLIT = "split"
    """Too large or too many points: halve the batch."""
    SKIP = "skip"
    """Something in the batch is rejected for good: bisect, record the point, go on."""
    MISSING = "missing"
    """A point of an update is gone and part of the batch was not applied: re-send those that still exist."""
    STOP = "stop"
    """No request like this will succeed: stop, resumable."""


class ClusterError(ChangeoverError):
    """A request failed; the message is one line without any key."""

    def __init__(
        self,
        message: str,
        action: Action,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        where: str = "",
    ) -> None:
        super().__init__(message)
        self.action = action
        self.status = status
        self.retry_after_s = retry_after_s
        self.where = where
        self.exit_code = ExitCode.UNREACHABLE if action in (Action.RETRY, Action.STOP) else ExitCode.BUG
