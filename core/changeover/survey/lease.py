"""The lease that an engine keeps in a collection's metadata (servers from 1.16)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

KEY = "changeover_lease"
"""A key of its own at the top level, where metadata merge (measured); what the vectors are made of has another."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """What is written; `at` and `ended` are Unix times of the holder's clock."""

    run: str
    host: str
    beat: int
    """Counts up while the engine lives."""
    at: float
    ended: float | None = None
    place: str = ""
    """Boot and process namespace of the holder, where the system tells them: there `pid` means this process."""
    pid: int = 0

    def same_holder(self, other: Lease) -> bool:
        """Whether both are of one engine process: a run's folder can be copied, on one machine or to another."""
        mine, others = ((one.run, one.host, one.place, one.pid) for one in (self, other))
        return mine == others


def read(metadata: Mapping[str, Any] | None) -> Lease | None:
    """The lease; None without one, or where the key holds something else."""
    try:
        return msgspec.convert((metadata or {}).get(KEY), Lease)
    except msgspec.ValidationError:
        return None
