"""The ledger: for every point written, the hash of the text and payload that it was written from. SQLite, one file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from enum import IntEnum
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from changeover.ids import from_key, id_key
from changeover.survey.model import PointId


class Mark(IntEnum):
    """What became of a point."""

    WRITTEN = 0
    BLANK = 1
    """It has no text (or no vector to compute from), so it gets no new vector."""
    SKIPPED = 2
    """Rejected by the model or the server; reported with its reason."""
    PARTIAL = 3
    """It got some of the new vectors: its text has no terms for a sparse one."""
    TRUSTED = 4
    """On the way back: its old vector was right before the cutover; only a later change of the payload tells more."""
    AGAIN = 5
    """Skipped by an earlier engine of the run: tried again once, since the cause may be mended."""


LEFT_OUT = frozenset({Mark.SKIPPED, Mark.AGAIN})
"""Points that the new side lacks, or that lack the new vector, for a reason in the report."""


class Entry(NamedTuple):
    """One point of the ledger."""

    text: bytes
    """Hash of what the new vectors were made from."""
    payload: bytes
    mark: Mark


UNKNOWN = Entry(b"", b"", Mark.WRITTEN)
"""A point that may be on the new side, in what state nobody knows: it is written anew, or deleted when it is gone."""


class Ledger:
    """Thread-safe. A row is written after the server acknowledged the point: a lost row only means work done twice."""

    def __init__(self, path: Path) -> None:
        self._lock = Lock()
        # SQLite would create it readable by others; its WAL takes the mode of the database.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS points"
            " (key BLOB PRIMARY KEY, text BLOB NOT NULL, payload BLOB NOT NULL, mark INTEGER NOT NULL) WITHOUT ROWID"
        )

    def put(self, rows: Iterable[tuple[PointId, Entry]]) -> None:
        """Insert or replace, in one transaction."""
        values = [(id_key(i), e.text, e.payload, int(e.mark)) for i, e in rows]
        with self._lock:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?)", values)
            self._db.execute("COMMIT")

    def try_skipped_again(self) -> None:
        """Have the next pass try once more what earlier engines skipped."""
        with self._lock:
            self._db.execute("UPDATE points SET mark = ? WHERE mark = ?", (int(Mark.AGAIN), int(Mark.SKIPPED)))

    def marked(self, marks: Iterable[Mark]) -> list[PointId]:
        """Ids of the points with one of these marks."""
        wanted = [int(mark) for mark in marks]
        query = f"SELECT key FROM points WHERE mark IN ({', '.join('?' * len(wanted))}) ORDER BY key"
        with self._lock:
            return [from_key(key) for (key,) in self._db.execute(query, wanted).fetchall()]

    def drop(self, ids: Sequence[PointId]) -> None:
        """Forget points."""
        with self._lock:
            self._db.execute("BEGIN")
            self._db.executemany("DELETE FROM points WHERE key = ?", [(id_key(i),) for i in ids])
            self._db.execute("COMMIT")

    def between(self, start: PointId | None, end: PointId | None) -> dict[PointId, Entry]:
        """Entries with start <= id < end; None is open."""
        low = id_key(start) if start is not None else b""
        high = id_key(end) if end is not None else b"\xff"
        with self._lock:
            rows = self._db.execute(
                "SELECT key, text, payload, mark FROM points WHERE key >= ? AND key < ? ORDER BY key", (low, high)
            ).fetchall()
        return {from_key(key): Entry(text, payload, Mark(mark)) for key, text, payload, mark in rows}

    def get(self, ids: Sequence[PointId]) -> dict[PointId, Entry]:
        """Entries of these ids; absent ones are left out."""
        out: dict[PointId, Entry] = {}
        with self._lock:
            for point_id in ids:
                row = self._db.execute(
                    "SELECT text, payload, mark FROM points WHERE key = ?", (id_key(point_id),)
                ).fetchone()
                if row is not None:
                    out[point_id] = Entry(row[0], row[1], Mark(row[2]))
        return out

    def count(self, mark: Mark | None = None) -> int:
        """How many points there are, of one mark or of all."""
        query, values = "SELECT count(*) FROM points", ()
        if mark is not None:
            query, values = query + " WHERE mark = ?", (int(mark),)  # type: ignore[assignment]
        with self._lock:
            return int(self._db.execute(query, values).fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()
