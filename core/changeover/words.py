"""Numbers, times and sizes as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime


def plural(count: int, noun: str) -> str:
    """`1 point`, `4,000 points`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


NAMED = 5
"""How many points are named where there are more."""


def named(ids: Sequence[object]) -> str:
    """The first ids of a list, after a colon: `: 3, 9, 12, ...`; "" for none."""
    some = ", ".join(map(str, ids[:NAMED]))
    return f": {some}{', ...' if len(ids) > NAMED else ''}" if some else ""


def duration(seconds: float | None) -> str:
    """Seconds in the two largest units: `0.4 s`, `45 s`, `12 min 5 s`, `3 h 20 min`, `2 d 4 h`; `?` when not known."""
    if seconds is None:
        return "?"
    if 0 < seconds < 1:
        return f"{seconds:.1f} s"
    whole = max(0, round(seconds))
    for unit, span, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= span:
            rest = whole % span // part
            return f"{whole // span} {unit} {rest} {smaller}" if rest else f"{whole // span} {unit}"
    return f"{whole} s"


def size(count: float) -> str:
    """Bytes in the unit that reads best, powers of 1024."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def moment(at: float | None) -> str:
    """Seconds since the epoch as `2026-11-23 13:14:09 UTC`; `?` when not known."""
    return "?" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
