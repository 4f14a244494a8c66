"""Files that carry a hash of what they say, plans and bundles: whoever edits one by hand is found out."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TypeVar

import msgspec

from changeover.errors import UsageError

Sealed = TypeVar("Sealed", bound=msgspec.Struct)
"""A struct with a field `hash`."""


def digest(value: msgspec.Struct) -> str:
    """SHA-256 over everything but the hash itself, keys sorted."""
    bare = msgspec.structs.replace(value, hash="")
    return hashlib.sha256(msgspec.json.encode(bare, order="sorted")).hexdigest()


def seal(value: Sealed) -> Sealed:
    """The value as it will be read back (an int in a float's place becomes one), with its hash filled in."""
    value = msgspec.json.decode(msgspec.json.encode(value), type=type(value))
    return msgspec.structs.replace(value, hash=digest(value))


def decode(data: bytes, kind: type[Sealed]) -> Sealed:
    """The bytes as a struct; raises ValueError with the reason, also where JSON is nested too deeply or no UTF-8."""
    try:
        return msgspec.json.decode(data, type=kind)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read(path: Path, what: str, most: int) -> bytes:
    """The file's bytes, at most one more than `most`; raises UsageError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot read the {what}: {error.strerror}") from None
