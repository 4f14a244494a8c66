"""Numbers, durations and foreign text as people read them; everything shown passes through here."""

from __future__ import annotations

import re
import textwrap

from changeover.safe_text import clean as _one_line
from changeover.safe_text import clean_block as clean

_NEEDED = (
    (r"Expected `int` >= (\S+)", r"a whole number from \1 on is needed"),
    (r"Expected `int` <= (\S+)", r"a whole number up to \1 is needed"),
    (r"Expected `float` > (\S+)", r"a number above \1 is needed"),
    (r"Expected `float` <= (\S+)", r"a number up to \1 is needed"),
    (r"Expected `int \| null`, got .*", "a whole number is needed"),
    (r"Expected `float \| null`, got .*", "a number is needed"),
)
"""What the reader of answers says of a number -> what a person is told."""

__all__ = [
    "ago",
    "bar",
    "clean",
    "duration",
    "elapsed",
    "hang",
    "host",
    "one_line",
    "percent",
    "plural",
    "refusal",
    "size",
    "trying",
]


def one_line(text: object, most: int = 400) -> str:
    """Foreign text as one clean line of at most `most` terminal cells."""
    return _one_line(text, most)


def hang(text: object, indent: int, width: int, first: int | None = None) -> str:
    """Foreign text wrapped to `width`, each line after the first indented; `first` is how much line one is indented.

    A terminal wraps to column 0, where a continued line looks like a new row.
    """
    head = " " * (indent if first is None else first)
    room = max(width, indent + 12)
    return "\n".join(
        textwrap.wrap(clean(str(text)), room, initial_indent=head, subsequent_indent=" " * indent) or [head]
    )


def plural(count: int, noun: str) -> str:
    """`1 point`, `4,000 points`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def duration(seconds: float | None) -> str:
    """Seconds in the two largest units: `45 s`, `12 min 5 s`, `3 h 20 min`, `2 d 4 h`; `?` when not known."""
    if seconds is None:
        return "?"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    for unit, span, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= span:
            rest = whole % span // part
            return f"{whole // span} {unit} {rest} {smaller}" if rest else f"{whole // span} {unit}"
    return f"{whole} s"


def ago(seconds: float) -> str:
    """Seconds in the largest unit alone: `4 min ago`."""
    whole = max(0, int(seconds))
    unit, span = next(((u, s) for u, s in (("d", 86400), ("h", 3600), ("min", 60)) if whole >= s), ("s", 1))
    return f"{whole // span} {unit} ago"


def elapsed(seconds: float) -> str:
    """Seconds as a clock that counts up: `00:04:12`."""
    whole = max(0, int(seconds))
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def size(count: float) -> str:
    """Bytes in the unit that reads best, powers of 1024."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def percent(share: float) -> str:
    """A share from 0 to 1 as `97 %`."""
    return f"{min(max(share, 0.0), 1.0) * 100:.0f} %"


def bar(share: float, width: int, full: str = "█", empty: str = "░") -> str:
    """A share from 0 to 1 as a row of blocks; always shown beside its percentage."""
    filled = round(min(max(share, 0.0), 1.0) * width)
    return full * filled + empty * (width - filled)


def host(url: str) -> str:
    """The host and port of a URL, without user, path or query."""
    rest = url.partition("://")[2] or url
    return one_line(rest.split("/")[0].rpartition("@")[2], 60)


def trying(done: int, total: int, words: str) -> str:
    """How far a measurement is: `Trying fewer dimensions: reading stored vectors … 40 %`; no share of a total of 0."""
    if not total:
        return f"{one_line(words)} …"
    return f"Trying {one_line(words, 160)} … {percent(done / total)}"


def refusal(error: object) -> str:
    """Why a typed answer was not taken, without the flag that nobody typed: `15: a whole number from 50 on is needed`."""
    text = str(error)
    if not text.startswith("--set "):
        return text
    answer, _, reason = text.removeprefix("--set ").partition(": ")
    question, _, typed = answer.partition("=")
    reason = reason.removeprefix(f"{question}: ")
    for pattern, words in _NEEDED:
        reason = re.sub(pattern, words, reason)
    return f"{typed}: {reason}" if typed else reason
