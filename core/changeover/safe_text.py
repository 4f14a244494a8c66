"""Text that somebody else wrote, made safe to print: no escape sequences, control characters or direction marks."""

from __future__ import annotations

import re
import unicodedata

_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS: titles, clipboard
    r"|\x1b[ -/]*[0-~]"
)
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that move the cursor, reorder the line, are invisible, or cannot be encoded."""


def clean(text: object, width: int | None = None) -> str:
    """Foreign text as one safe line: escape sequences removed, white space folded, at most `width` terminal cells.

    A text that is too wide ends in "…". Cleaning twice changes nothing.
    """
    line = " ".join(_stripped(str(text)).split())
    return line if width is None else _fitted(line, width)


def clean_block(text: str) -> str:
    """Foreign text of several lines: newlines and leading spaces stay, a tab becomes four spaces."""
    return "\n".join(_stripped(line).rstrip() for line in text.replace("\t", "    ").split("\n"))


def clean_line(text: object) -> str:
    """Foreign text as one safe line whose spaces stay, for lines with an indent or columns."""
    return _stripped(str(text)).rstrip()


def cells(text: str) -> int:
    """How many terminal cells a safe text takes: wide characters two, combining ones none."""
    return sum(map(_cells, text))


def _stripped(text: str) -> str:
    return "".join(map(_safe, _ESCAPES.sub("", text)))


def _safe(char: str) -> str:
    if char.isspace():
        return " "
    return "" if unicodedata.category(char) in _UNSAFE else char


def _cells(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _fitted(line: str, width: int) -> str:
    if cells(line) <= width:
        return line
    kept, used = "", 1
    for char in line:
        used += _cells(char)
        if used > width:
            break
        kept += char
    return f"{kept.rstrip()}…" if width > 0 else ""
