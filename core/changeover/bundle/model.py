"""What a bundle is: one JSON document of plain values, hashed; data only."""

from __future__ import annotations

from typing import Literal

import msgspec

from changeover.checks.model import Probes
from changeover.decision.answers import Answers
from changeover.engine.events import Event
from changeover.plan.model import Access, Plan
from changeover.survey.model import Survey

Allowed = Literal["hosts", "payload"]


class TakenOut(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of thing that was replaced, and how often."""

    what: str
    count: int


class Bundle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A collection or a run as it was at one moment, for somebody without access to it."""

    format: Literal["changeover-bundle-1"] = "changeover-bundle-1"
    id: str
    """Twelve hex digits; what stands for a host or a path holds them."""
    taken_at: str
    about: str
    """The collection or alias that was asked for, or the name of the run."""
    allowed: tuple[Allowed, ...] = ()
    """What the customer let in."""
    taken_out: tuple[TakenOut, ...] = ()
    notes: tuple[str, ...] = ()
    """What could not be read, and why."""
    versions: dict[str, str] = {}
    """changeover, python, the system, libraries."""
    access: Access
    answers: Answers = Answers()
    survey: Survey | None = None
    probes: Probes = Probes()
    plan: Plan | None = None
    """Of the run."""
    accepted: tuple[str, ...] = ()
    """Codes that were acknowledged when the run began."""
    engine_log: tuple[str, ...] = ()
    """The last lines of the engine's diagnostics."""
    journal: tuple[Event, ...] = ()
    hash: str = ""
