"""What would be done, whole, before anybody confirms it."""

from __future__ import annotations

from typing import Literal

import msgspec

from changeover.engine.folder import RunFolder
from changeover.plan.model import Plan

Kind = Literal["back", "storage", "cleanup"]


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can be done with a run; nothing was written for it so far."""

    kind: Kind
    done: RunFolder
    """The run that it follows."""
    run: RunFolder
    """Where it will run; there already when `opened`."""
    plan: Plan
    word: str
    """The name that a person types."""
    opened: bool = False
    """It is a way back that was kept open: its engine is asked, no other one is made."""
    replaced: RunFolder | None = None
    """The open way back that ends when this one is begun."""
    base: RunFolder | None = None
    """The run whose ledger this one's begins with; None for the one that it follows."""
    counts: bool = False
    """Nobody makes old vectors, and which points would lack one is counted first, reading only."""
    lacking: str = ""
    """Which points would lack an old vector, where that was counted; "" where none would."""
