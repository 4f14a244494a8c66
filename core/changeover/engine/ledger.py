"""The ledger: for every point written, the hash of the text and payload that it was written from. SQLite, one file."""

from __future__ import annotations

import copy
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from changeover.errors import ChangeoverError
from changeover.ids import from_key, id_key
from changeover.survey.model import PointId, ShardKey


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
    ASIDE = 6
    """On the way back: skipped by the run that is gone back from, so that its absence on the new side says nothing."""


LEFT_OUT = frozenset({Mark.SKIPPED, Mark.AGAIN})
"""Points that the new side lacks, or that lack the new vector, for a reason in the report."""


class Entry(NamedTuple):
    """One point of the ledger."""

    text: bytes
    """Hash of what the new vectors were made from."""
    payload: bytes
    mark: Mark
    carried: bytes = b""
    """Thorough runs: hash of the vectors that were carried over."""


UNKNOWN = Entry(b"", b"", Mark.WRITTEN)
"""A point that may be on the new side, in what state nobody knows: it is written anew, or deleted when it is gone."""


class LedgerError(ChangeoverError):
    """The ledger cannot be read or written: disk full, permissions, a damaged file; the engine stops, resumable."""


@dataclass
class _Shared:
    """What a ledger and its parts have in common."""

    path: Path
    db: sqlite3.Connection
    lock: Lock
    late: bool = False


class Ledger:
    """Thread-safe. A row is written after the server acknowledged the point: a lost row only means work done twice.

    Every method raises LedgerError when the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        # SQLite would create it readable by others; its WAL takes the mode of the database.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._shared = _Shared(path, db, Lock())
        self._prefix = b""
        with self._working():
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute(
                "CREATE TABLE IF NOT EXISTS points (key BLOB PRIMARY KEY, text BLOB NOT NULL, payload BLOB NOT NULL,"
                " mark INTEGER NOT NULL, late INTEGER NOT NULL DEFAULT 0, carried BLOB NOT NULL DEFAULT x'')"
                " WITHOUT ROWID"
            )
            there = [row[1] for row in db.execute("PRAGMA table_info(points)")]
            for name, kind in ADDED.items():
                if name not in there:
                    db.execute(f"ALTER TABLE points ADD COLUMN {name} {kind}")

    def of(self, shard_key: ShardKey) -> Ledger:
        """The part of one shard key: an id can stand under several of them. `count` counts all parts."""
        part = copy.copy(self)
        part._prefix = _prefix(shard_key)
        return part

    def after_load(self) -> None:
        """From now on rows are noted as late: the application may have written the point since it was loaded."""
        self._shared.late = True

    def put(self, rows: Iterable[tuple[PointId, Entry]]) -> None:
        """Insert or replace, in one transaction."""
        late = int(self._shared.late)
        values = [(self._key(i), e.text, e.payload, int(e.mark), late, e.carried) for i, e in rows]
        with self._working() as db:
            db.execute("BEGIN")
            db.executemany("INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?, ?, ?)", values)
            db.execute("COMMIT")

    def try_skipped_again(self) -> None:
        """Have the next pass try once more what earlier engines skipped."""
        with self._working() as db:
            db.execute("UPDATE points SET mark = ? WHERE mark = ?", (int(Mark.AGAIN), int(Mark.SKIPPED)))

    def marked(self, marks: Iterable[Mark]) -> list[PointId]:
        """Ids of the points with one of these marks, in order."""
        wanted = [int(mark) for mark in marks]
        query = f"SELECT key FROM points WHERE mark IN ({', '.join('?' * len(wanted))}) AND key >= ? AND key < ? ORDER BY key"
        with self._working() as db:
            return [self._id(key) for (key,) in db.execute(query, (*wanted, *self._range(None, None))).fetchall()]

    def drop(self, ids: Sequence[PointId]) -> None:
        """Forget points."""
        with self._working() as db:
            db.execute("BEGIN")
            db.executemany("DELETE FROM points WHERE key = ?", [(self._key(i),) for i in ids])
            db.execute("COMMIT")

    def between(self, start: PointId | None, end: PointId | None) -> dict[PointId, Entry]:
        """Entries with start <= id < end; None is open."""
        query = "SELECT key, text, payload, mark, carried FROM points WHERE key >= ? AND key < ? ORDER BY key"
        with self._working() as db:
            rows = db.execute(query, self._range(start, end)).fetchall()
        return {self._id(key): Entry(text, payload, Mark(mark), carried) for key, text, payload, mark, carried in rows}

    def get(self, ids: Sequence[PointId]) -> dict[PointId, Entry]:
        """Entries of these ids; absent ones are left out."""
        out: dict[PointId, Entry] = {}
        query = "SELECT text, payload, mark, carried FROM points WHERE key = ?"
        with self._working() as db:
            for point_id in ids:
                row = db.execute(query, (self._key(point_id),)).fetchone()
                if row is not None:
                    out[point_id] = Entry(row[0], row[1], Mark(row[2]), row[3])
        return out

    def count(self, mark: Mark | None = None) -> int:
        """How many points there are under all shard keys, of one mark or of all."""
        query, values = "SELECT count(*) FROM points", ()
        if mark is not None:
            query, values = query + " WHERE mark = ?", (int(mark),)  # type: ignore[assignment]
        with self._working() as db:
            return int(db.execute(query, values).fetchone()[0])

    def written(self) -> int:
        """How many points the other side must hold at least: those that were written, or found without a text."""
        left_out = tuple(map(int, LEFT_OUT))
        query = f"SELECT count(*) FROM points WHERE text != x'' AND mark NOT IN ({', '.join('?' * len(left_out))})"
        with self._working() as db:
            return int(db.execute(query, left_out).fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        with self._working() as db:
            db.close()

    @contextmanager
    def _working(self) -> Iterator[sqlite3.Connection]:
        shared = self._shared
        with shared.lock:
            try:
                yield shared.db
            except sqlite3.Error as error:
                with suppress(sqlite3.Error):
                    shared.db.rollback()
                damaged = getattr(error, "sqlite_errorname", "") in ("SQLITE_CORRUPT", "SQLITE_NOTADB")
                remedy = "move it away: without it every point is compared anew" if damaged else "free disk space"
                raise LedgerError(
                    f"{shared.path}: the ledger cannot be used: {error}; {remedy}, then `changeover resume`"
                ) from None

    def _key(self, point_id: PointId) -> bytes:
        return self._prefix + id_key(point_id)

    def _id(self, key: bytes) -> PointId:
        return from_key(key[len(self._prefix) :])

    def _range(self, start: PointId | None, end: PointId | None) -> tuple[bytes, bytes]:
        low = self._key(start) if start is not None else self._prefix
        return low, self._key(end) if end is not None else self._prefix + SHARDED


ADDED = {"late": "INTEGER NOT NULL DEFAULT 0", "carried": "BLOB NOT NULL DEFAULT x''"}
"""Columns that ledgers of earlier versions lack."""
SHARDED = b"\x02"
"""Keys under a shard key begin with this; those of `id_key` begin with a smaller byte."""


def _prefix(shard_key: ShardKey) -> bytes:
    """Bytes that no other shard key's begin with: kind, length, value."""
    value = shard_key.encode() if isinstance(shard_key, str) else shard_key.to_bytes(8, "big")
    return SHARDED + (b"s" if isinstance(shard_key, str) else b"n") + len(value).to_bytes(4, "big") + value
