"""Where the ledger of a run that follows another begins: with what that run's ledger knows of both sides."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from changeover.engine.ledger import Ledger, Mark
from changeover.errors import UsageError
from changeover.plan.model import FromVector, Kept, Plan


def seed(ledger: Path, followed: Path, done: Plan, plan: Plan) -> None:
    """Write `ledger` from the followed run's; it appears whole or not at all. Raises UsageError without that ledger.

    What follows a way back (another one, the cleanup) goes on from its ledger, which knows what that one wrote; points
    that it wrote without an old vector are written anew. Points that a run had skipped may never have been on its other
    side, so that their absence there says nothing; as long as they do not change, the old side's are right. Where vectors are computed from stored ones, what is right
    is only known by the payload.
    """
    if not followed.exists():
        raise UsageError(f"{done.id}: its ledger is gone; without it nobody knows what was written since the cutover")
    part = ledger.with_name(ledger.name + ".part")
    part.unlink(missing_ok=True)
    Ledger(part).close()
    with closing(sqlite3.connect(followed)) as source, closing(sqlite3.connect(part)) as copy:
        source.backup(copy)
    Ledger(part).close()  # one that was written before rows were noted as late
    with closing(sqlite3.connect(part)) as copy:
        if plan.job.makes != done.job.makes:
            skipped = (int(Mark.SKIPPED), int(Mark.AGAIN))
            if done.follows:
                copy.execute("DELETE FROM points WHERE mark IN (?, ?, ?)", (*skipped, int(Mark.ASIDE)))
            else:
                mark = Mark.WRITTEN if plan.job.mode == "in-place" else Mark.ASIDE
                copy.execute("UPDATE points SET mark = ? WHERE mark IN (?, ?)", (int(mark), *skipped))
            if any(isinstance(make, Kept) for make in done.job.makes):
                copy.execute(
                    "UPDATE points SET text = x'', payload = x'', mark = ? WHERE mark = ?",
                    (int(Mark.WRITTEN), int(Mark.BLANK)),
                )
            makes = (*plan.job.makes, *done.job.makes)
            if plan.job.mode == "in-place" and not any(isinstance(make, Kept) for make in plan.job.makes):
                # Written by the application beside the new vector alone: the hash says nothing about the old one.
                copy.execute("UPDATE points SET text = x'' WHERE late = 1")
            if any(isinstance(make, FromVector) for make in makes):
                trusted = (int(Mark.TRUSTED), int(Mark.ASIDE))
                copy.execute("UPDATE points SET text = x'', mark = ? WHERE text != x'' AND mark != ?", trusted)
            else:
                copy.execute(
                    "UPDATE points SET mark = ? WHERE mark IN (?, ?)",
                    (int(Mark.WRITTEN), int(Mark.PARTIAL), int(Mark.BLANK)),
                )
        copy.execute("UPDATE points SET late = 0")
        copy.commit()
        copy.execute("PRAGMA journal_mode=DELETE")
    part.replace(ledger)
