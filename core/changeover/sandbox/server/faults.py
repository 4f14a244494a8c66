"""Faults to order: rules say which requests fail, how, and whether the operation takes effect all the same."""

from __future__ import annotations

import random
import threading
from typing import Any, Literal

import msgspec

from changeover.sandbox.server.refusals import Refused, malformed

Kind = Literal["429", "429-no-retry-after", "500", "503", "408", "timeout", "drop", "wait_timeout", "partial-404"]


VECTORS_PATH = "/points/vectors"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Requests of `method` (all if empty) whose path contains `path_contains` fail with `probability`, `count` times.

    apply "before": the operation takes effect and the fault is answered; "never": it does not take effect; "after": it
    takes effect `delay_s` seconds after the fault was answered, when its sender may long have tried again.
    `delay_s` seconds also pass before a "timeout" closes the connection without an answer.
    "partial-404" strikes updates of vectors only: part of the batch is applied and an id of it is said to be missing.
    """

    kind: Kind
    method: str = ""
    path_contains: str = ""
    probability: float = 1.0
    count: int | None = None
    seed: int = 0
    delay_s: float = 1.0
    apply: Literal["before", "after", "never"] = "never"

    def fits(self, method: str, path: str) -> bool:
        """Whether the rule is for such requests."""
        if self.kind == "partial-404" and not (method == "PUT" and path.endswith(VECTORS_PATH)):
            return False
        return self.method in ("", method) and self.path_contains in path


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT /sandbox/faults`."""

    rules: tuple[Rule, ...]


REFUSALS: dict[str, tuple[int, str, int | None]] = {
    "429": (
        429,
        "Rate limiting exceeded: Write rate limit exceeded: Operation requires 1 tokens but only 0.0 were available. "
        "Retry after 1s",
        1,
    ),
    "429-no-retry-after": (
        429,
        "Rate limiting exceeded: Write rate limit exceeded, request larger than rate limiter capacity, "
        "please try to split your request",
        None,
    ),
    "500": (500, "Service internal error: the sandbox was asked to fail", None),
    "503": (503, "Shard temporarily unavailable: the sandbox was asked to fail", None),
    "408": (408, "Timeout: Operation 'Update' timed out after 1 seconds", None),
}
"""Kind -> status, text and Retry-After of the answer (texts of server source and recorded answers)."""


class Faults:
    """The rules in force, and how often each kind struck."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[tuple[Rule, random.Random]] = []
        self._left: list[int | None] = []
        self.struck: dict[str, int] = {}

    def set(self, raw: bytes) -> None:
        """Take new rules in place of the old ones; Refused (400) for a body that is not rules."""
        try:
            rules = msgspec.json.decode(raw, type=Rules).rules
        except msgspec.DecodeError as error:
            raise malformed(str(error)) from error
        with self._lock:
            # The seed makes a sequence of faults repeatable; it protects nothing.
            self._rules = [(rule, random.Random(rule.seed)) for rule in rules]
            self._left = [rule.count for rule in rules]

    def pick(self, method: str, path: str) -> Rule | None:
        """The first rule that strikes this request."""
        with self._lock:
            for position, (rule, dice) in enumerate(self._rules):
                if not rule.fits(method, path):
                    continue
                left = self._left[position]
                if left == 0 or dice.random() >= rule.probability:
                    continue
                self._left[position] = None if left is None else left - 1
                self.struck[rule.kind] = self.struck.get(rule.kind, 0) + 1
                return rule
        return None


def refusal(rule: Rule) -> Refused | None:
    """What the kind answers; None for those that close the connection or answer 200."""
    if rule.kind not in REFUSALS:
        return None
    status, text, retry_after = REFUSALS[rule.kind]
    return Refused(status, text, retry_after=retry_after)


def unfinished(operation: int) -> dict[str, Any]:
    """The result of an update that did not end within the server's own timeout (200, from 1.17)."""
    return {"operation_id": operation, "status": "wait_timeout"}
