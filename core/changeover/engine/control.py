"""Requests of people to a running engine: lines appended to control.jsonl."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Literal, get_args

import msgspec

from changeover.engine.journal import whole

Verb = Literal["pause", "resume", "stop", "rate", "batch", "streams", "spend", "accept", "cutover", "when-ready"]
VERBS: tuple[str, ...] = get_args(Verb)


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request; `number` counts lines from 1."""

    verb: Verb
    value: float | int | str | None = None
    at: float = 0.0
    number: int = 0


def ask(path: Path, verb: Verb, value: float | int | str | None = None) -> int:
    """Append a request; returns its number. The engine answers with a `Controlled` event of the same number."""
    line = msgspec.json.encode(Ask(verb=verb, value=value, at=time.time())) + b"\n"
    if not whole(path):  # somebody else's line that broke off must not swallow this one
        line = b"\n" + line
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)
    return count(path)


def count(path: Path) -> int:
    """How many requests there are, answered or not."""
    try:
        return path.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


class Inbox:
    """Reads requests in order, from the one after `seen` on, but for those that are answered."""

    def __init__(self, path: Path, seen: int = 0, answered: frozenset[int] = frozenset()) -> None:
        self._path = path
        self._seen = seen
        self._answered = answered

    def read(self) -> list[Ask]:
        """Requests not read before, oldest first; a line that is not one is passed over."""
        try:
            lines = self._path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        asks: list[Ask] = []
        for number, line in enumerate(lines[self._seen :], start=self._seen + 1):
            if number in self._answered:
                continue
            try:
                asks.append(msgspec.structs.replace(msgspec.json.decode(line, type=Ask), number=number))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
        self._seen = max(self._seen, len(lines))
        return asks
