"""Plan files: canonical hash, writing, reading, refusing what was edited by hand."""

from __future__ import annotations

from pathlib import Path

import msgspec

from changeover import seals
from changeover.errors import UsageError
from changeover.plan.allowed import refuse_foreign
from changeover.plan.model import Plan

MOST_BYTES = 16 * 1024 * 1024


def to_json(plan: Plan) -> bytes:
    """The plan as the bytes of a plan file."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n"


def from_json(data: bytes, where: str) -> Plan:
    """Read a plan; raises UsageError when it is not one, its hash does not fit, or a step reaches too far."""
    if len(data) > MOST_BYTES:
        raise UsageError(f"{where}: not a plan file: {len(data):,} bytes are more than any plan has")
    try:
        plan = seals.decode(data, Plan)
    except ValueError as error:
        raise UsageError(f"{where}: not a plan file: {error}; write one with `changeover plan`") from None
    if plan.hash != seals.digest(plan):
        raise UsageError(
            f"{where}: the plan was changed after it was written (hash differs); make a new one with `changeover plan`"
        )
    refuse_foreign(plan, where)
    return plan


def load(path: Path) -> Plan:
    """Read a plan file; raises UsageError."""
    return from_json(seals.read(path, "plan file", MOST_BYTES), str(path))
