"""Strict mode: the limits that a collection can set, refused with the servers' words."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Container
from typing import Any

from changeover.sandbox.server.filters import conditions, indexes_needed
from changeover.sandbox.server.refusals import Refused

MINUTE_S = 60.0


class Bucket:
    """Tokens a minute: full at first, refilled steadily."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._tokens = float(capacity)
        self._at = time.monotonic()
        self._lock = threading.Lock()

    def take(self, cost: int, kind: str) -> None:
        """Take `cost` tokens, or Refused with 429; no Retry-After when the bucket can never hold that many."""
        refused = f"Rate limiting exceeded: {kind} rate limit exceeded"
        with self._lock:
            now = time.monotonic()
            self._tokens = min(self.capacity, self._tokens + (now - self._at) * self.capacity / MINUTE_S)
            self._at = now
            if cost > self.capacity:
                raise Refused(
                    429, f"{refused}, request larger than rate limiter capacity, please try to split your request"
                )
            if cost > self._tokens:
                wait = math.ceil((cost - self._tokens) * MINUTE_S / self.capacity)
                had = f"{math.floor(self._tokens * 10) / 10:.1f}"
                text = f"{refused}: Operation requires {cost} tokens but only {had} were available. Retry after {wait}s"
                raise Refused(429, text, retry_after=wait)
            self._tokens -= cost


class Strict:
    """The limits of one collection for one request; without strict mode everything passes."""

    def __init__(self, config: dict[str, Any], indexes: Container[str], buckets: dict[str, Bucket]) -> None:
        given = config.get("strict_mode_config") or {}
        self._limits: dict[str, Any] = given if given.get("enabled") else {}
        self._indexes = indexes
        self._buckets = buckets

    def write(self, cost: int, *, batch: int = 0, kind: str = "", points: int | None = None) -> None:
        """A write of `cost` points; `batch` of a `kind` ("upsert" or "update") is held against the batch limit.

        A write that is over the batch limit still costs one token (so add up the recorded refusals of 1.17.1 to 1.19.0).
        `points` is how many the collection has, for writes that may add some.
        """
        try:
            self._at_most(batch, "upsert_max_batchsize", f"{kind} limit")
        except Refused:
            self._take("write_rate_limit", 1, "Write")
            raise
        self._take("write_rate_limit", max(1, cost), "Write")
        most = self._limits.get("max_points_count")
        if most is not None and points is not None and points >= most:
            raise Refused(400, f"Bad request: Max points count limit of {most} reached!")

    def read(self, given: Any, *, limit: int | None = None, exact: bool = False) -> None:
        """A read with filter `given`; `limit` is how many points it asks for."""
        self._take("read_rate_limit", 1 + sum(1 for _ in conditions(given)), "Read")
        if limit is not None:
            self._at_most(limit, "max_query_limit", "limit")
        if exact and self._limits.get("search_allow_exact") is False:
            raise Refused(400, "Bad request: Exact search disabled!. Help: Set exact=false.")
        self.filter(given, "unindexed_filtering_retrieve")

    def searches(self, count: int) -> None:
        """So many searches in one request."""
        self._at_most(count, "search_max_batchsize", "search batch size")

    def filter(self, given: Any, rule: str) -> None:
        """Refuse a filter on payload keys without an index where `rule` is false."""
        if self._limits.get(rule) is not False:
            return
        for key, types in indexes_needed(given):
            if key not in self._indexes:
                raise Refused(
                    400,
                    f'Bad request: Index required but not found for "{key}" of one of the following types: '
                    f"[{', '.join(types)}]. Help: Create an index for this key or use a different filter.",
                )

    def _at_most(self, asked: int, rule: str, what: str) -> None:
        most = self._limits.get(rule)
        if most is not None and asked > most:
            help_ = f'Help: Reduce the "{what}" parameter to or below {most}.'
            raise Refused(400, f'Bad request: Limit exceeded {asked} > {most} for "{what}". {help_}')

    def _take(self, rule: str, cost: int, kind: str) -> None:
        capacity = self._limits.get(rule)
        if not capacity:
            return
        bucket = self._buckets.get(rule)
        if bucket is None or bucket.capacity != capacity:
            bucket = self._buckets[rule] = Bucket(capacity)
        bucket.take(cost, kind)
