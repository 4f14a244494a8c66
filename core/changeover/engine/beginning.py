"""Where the ledger of a run that follows another begins: with what that run's ledger knows of both sides."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from changeover.engine.ledger import Ledger, Mark
from changeover.errors import UsageError
from changeover.plan.model import FromVector, Plan


def seed(ledger: Path, followed: Path, done: Plan, plan: Plan) -> None:
    """Write `ledger` from the followed run's; it appears whole or not at all. Raises UsageError without that ledger.

    On the way back points that the run had skipped are left out: they never were on the new side, so that their absence
    there says nothing. Where vectors were computed from stored ones, what is right is only known by the payload.
    """
    if not followed.exists():
        raise UsageError(f"{done.id}: its ledger is gone; without it nobody knows what was written since the cutover")
    part = ledger.with_name(ledger.name + ".part")
    part.unlink(missing_ok=True)
    Ledger(part).close()
    with closing(sqlite3.connect(followed)) as source, closing(sqlite3.connect(part)) as copy:
        source.backup(copy)
        if plan.job.makes != done.job.makes:
            copy.execute("DELETE FROM points WHERE mark = ?", (int(Mark.SKIPPED),))
            if done.job.thorough or any(isinstance(make, FromVector) for make in done.job.makes):
                copy.execute("UPDATE points SET text = x'', mark = ? WHERE text != x''", (int(Mark.TRUSTED),))
            else:
                copy.execute("UPDATE points SET mark = ? WHERE mark = ?", (int(Mark.WRITTEN), int(Mark.PARTIAL)))
        copy.commit()
        copy.execute("PRAGMA journal_mode=DELETE")
    part.replace(ledger)
