"""What people prefer: a line a vote in the run folder, the tally over them, and its place in the report."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from math import sqrt
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import msgspec

from changeover.engine.folder import RunFolder
from changeover.errors import UsageError

Choice: TypeAlias = Literal["old", "new", "same", "skip"]
CHOICES: tuple[Choice, ...] = get_args(Choice)
WORDS: dict[Choice, str] = {"old": "old better", "new": "new better", "same": "the same", "skip": "skipped"}
FILE = "votes.jsonl"


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """One person's word on one query; `at` is seconds since the epoch."""

    query: str
    choice: Choice
    at: float


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Queries by what was last said of them."""

    old: int = 0
    new: int = 0
    same: int = 0
    skip: int = 0

    @property
    def judged(self) -> int:
        """Queries that somebody judged; skipped ones are not."""
        return self.old + self.new + self.same

    @property
    def empty(self) -> bool:
        """Whether nobody has said anything."""
        return not (self.judged or self.skip)

    @property
    def words(self) -> str:
        """`new better 12 · old better 3 · the same 5 · skipped 2`."""
        return " · ".join(f"{WORDS[choice]} {getattr(self, choice):,}" for choice in ("new", "old", "same", "skip"))

    def share(self) -> tuple[float, float, float] | None:
        """(share, low, high) of the new side among the queries where one side was better, with Wilson's 95 % interval;
        None while there is none."""
        n = self.old + self.new
        if n == 0:
            return None
        z, p = 1.959964, self.new / n
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        # Rounding must not put the share outside.
        return p, min(p, max(0.0, middle - half)), max(p, min(1.0, middle + half))


def path_of(run: RunFolder) -> Path:
    """The file of votes; it holds the texts of queries."""
    return run.path / FILE


def cast(run: RunFolder, query: str, choice: Choice, at: float | None = None) -> None:
    """Keep a vote: one write at the end of the file (mode 0600), on disk when this returns; raises UsageError."""
    vote = Vote(query=query, choice=choice, at=time.time() if at is None else at)
    path = path_of(run)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # Whoever was killed in the middle of a line left no end of it.
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            os.write(descriptor, (b"\n" if torn else b"") + msgspec.json.encode(vote) + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UsageError(f"{path}: the vote cannot be kept: {error.strerror}") from None


def read(run: RunFolder) -> dict[str, Vote]:
    """The last vote on each query, by `key` of its text; a line that is not a vote is passed over."""
    path = path_of(run)
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"{path}: the votes cannot be read: {error.strerror}") from None
    votes: dict[str, Vote] = {}
    for line in lines:
        try:
            vote = msgspec.json.decode(line, type=Vote)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        votes[key(vote.query)] = vote
    return votes


def key(query: str) -> str:
    """Two queries that differ in white space alone are one."""
    return " ".join(query.split())


def tally(votes: Iterable[Vote]) -> Tally:
    """How often each was said."""
    choices = [vote.choice for vote in votes]
    return Tally(**{choice: choices.count(choice) for choice in CHOICES})


def into_report(run: RunFolder) -> bool:
    """Write the report anew where there is one, so that it shows the tally; returns whether there was one."""
    from changeover.report.build import write

    if not run.report.exists():
        return False
    try:
        write(run)
    except OSError as error:
        raise UsageError(f"{run.report}: cannot write the report: {error.strerror}") from None
    return True
