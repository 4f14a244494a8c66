"""Plan files: canonical hash, writing, reading, refusing what was edited by hand."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from changeover.errors import UsageError
from changeover.plan.allowed import refuse_foreign
from changeover.plan.model import Plan

MOST_BYTES = 16 * 1024 * 1024


def digest(plan: Plan) -> str:
    """SHA-256 over everything in the plan but the hash itself, keys sorted."""
    bare = msgspec.structs.replace(plan, hash="")
    return hashlib.sha256(msgspec.json.encode(bare, order="sorted")).hexdigest()


def seal(plan: Plan) -> Plan:
    """The plan as it will be read back (an int in a float's place becomes one), with its hash filled in."""
    plan = msgspec.json.decode(msgspec.json.encode(plan), type=Plan)
    return msgspec.structs.replace(plan, hash=digest(plan))


def to_json(plan: Plan) -> bytes:
    """The plan as the bytes of a plan file."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n"


def from_json(data: bytes, where: str) -> Plan:
    """Read a plan; raises UsageError when it is not one, its hash does not fit, or a step reaches too far."""
    if len(data) > MOST_BYTES:
        raise UsageError(f"{where}: not a plan file: {len(data):,} bytes are more than any plan has")
    try:
        plan = msgspec.json.decode(data, type=Plan)
    except msgspec.DecodeError as error:
        raise UsageError(f"{where}: not a plan file: {error}; write one with `changeover plan`") from None
    if plan.hash != digest(plan):
        raise UsageError(
            f"{where}: the plan was changed after it was written (hash differs); make a new one with `changeover plan`"
        )
    refuse_foreign(plan, where)
    return plan


def load(path: Path) -> Plan:
    """Read a plan file; raises UsageError."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot read the plan file: {error.strerror}") from None
    return from_json(data, str(path))
