"""What a check concludes."""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["info", "warning", "blocker"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One conclusion: what was measured, against which limit, what follows and what to do."""

    code: str
    severity: Severity
    title: str
    """One line a newcomer understands."""
    measured: str = ""
    limit: str = ""
    consequence: str = ""
    remedy: str = ""
    source: str = ""
    """Where the rule comes from: a measured answer, documentation, server source."""
    acknowledge: bool = False
    """Must be accepted by typing its code (or `--accept CODE`) before the plan may run."""
