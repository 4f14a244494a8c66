"""The journal: append-only lines, fsync at checkpoints, a reader that survives a torn tail, a tail for screens."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock

import msgspec

from changeover.engine import events as ev
from changeover.errors import ChangeoverError

DURABLE = (ev.SliceAcked, ev.StepDone, ev.StepStarted, ev.CutOver, ev.Controlled, ev.Verified, ev.RunFinished)
"""Events that are on disk before the engine goes on."""


class JournalError(ChangeoverError):
    """The journal cannot be written: disk full, permissions; the engine stops, resumable."""


class Journal:
    """Appends events; thread-safe. Opening cuts off a half-written last line that a crash left."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._torn = False
        _cut_torn_tail(path)
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise JournalError(f"{path}: cannot open the journal: {error.strerror}") from None

    def write(self, event: ev.Event) -> None:
        """Append one event; raises JournalError."""
        line = ev.encode(event) + b"\n"
        with self._lock:
            try:
                # What follows a line that broke off (the disk was full) begins on a line of its own.
                line = b"\n" + line if self._torn else line
                self._torn = True
                while line:
                    line = line[os.write(self._fd, line) :]
                self._torn = False
                if isinstance(event, DURABLE):
                    os.fsync(self._fd)
            except OSError as error:
                raise JournalError(f"{self._path}: cannot write the journal: {error.strerror}") from None

    def close(self) -> None:
        """Flush to disk and close."""
        with self._lock:
            if self._fd >= 0:
                os.fsync(self._fd)
                os.close(self._fd)
                self._fd = -1


class Tail:
    """Reads what was appended since the last call; a line in the making is left for the next call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> list[ev.Event]:
        """New events, oldest first; [] when there are none or the file does not exist yet."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data.rfind(b"\n") + 1
        self._offset += whole
        return _decode_lines(data[:whole])


def read_all(path: Path) -> list[ev.Event]:
    """Every whole event of a journal; an unreadable line is left out."""
    return Tail(path).read()


def _decode_lines(data: bytes) -> list[ev.Event]:
    events = []
    for line in data.splitlines():
        try:
            events.append(ev.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    return events


def whole(path: Path) -> bool:
    """Whether a file of lines ends with a whole one, or is empty or not there."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            if not file.tell():
                return True
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
    except FileNotFoundError:
        return True


def _cut_torn_tail(path: Path) -> None:
    if not whole(path):
        with path.open("rb+") as file:
            file.truncate(file.read().rfind(b"\n") + 1)
