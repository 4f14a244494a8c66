"""Free and legal names for a new collection or vector."""

from __future__ import annotations

import re
from collections.abc import Collection

ILLEGAL = re.compile(r'[<>:"/\\|?*\x00-\x1f]+')
"""What the server refuses in names (recorded: 422 on 1.18.3 and 1.19.0)."""
LONGEST = 200
"""Bytes of a vector name."""
LONGEST_COLLECTION = 255
"""Bytes of a collection's name: 256 letters are refused, 300 bytes in 150 letters cannot be made (measured on 1.17.1)."""


def collection_name(source: str, taken: Collection[str]) -> str:
    """`docs_v1` -> `docs_v2`, `docs` -> `docs_v2`; the next number that is free."""
    match = re.fullmatch(r"(.*)_v(\d+)", source)
    base, number = (match[1], int(match[2])) if match else (source, 1)
    while True:
        number += 1
        name = _fitting(base, f"_v{number}")
        if name not in taken:
            return name


def alias_name(source: str, taken: Collection[str]) -> str:
    """`docs` -> `docs_live`, or the next with a number that is free."""
    name, number = _fitting(source, "_live"), 1
    while name in taken:
        number += 1
        name = _fitting(source, f"_live{number}")
    return name


def vector_name(model: str, taken: Collection[str]) -> str:
    """A vector name from the model's: its last path part, legal, short enough and free."""
    last = model.rstrip("/").rpartition("/")[2] or "new"
    base = ILLEGAL.sub("-", last).encode("utf-8", "ignore")[: LONGEST - 4].decode("utf-8", "ignore")
    base = base.strip().strip("-. ") or "new"
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return name


def illegal(name: str, longest: int = LONGEST) -> str:
    """Why the server would refuse this name of at most `longest` bytes; "" when it would not."""
    if not name.strip():
        return "it is empty"
    if ILLEGAL.search(name):
        return 'it holds one of < > : " / \\ | ? * or a control character'
    return f"it is longer than {longest} bytes" if len(name.encode()) > longest else ""


def _fitting(base: str, tail: str) -> str:
    room = LONGEST_COLLECTION - len(tail)
    return base.encode()[:room].decode("utf-8", "ignore") + tail
