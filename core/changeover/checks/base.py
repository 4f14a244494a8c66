"""What a check is."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from changeover.checks.model import Finding, Probes
from changeover.decision.answers import Answers
from changeover.survey.model import Survey

Run = Callable[[Survey, Answers, Probes], Finding | None]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check; `run` is pure. `looks_at` is what a silent check has shown to be well."""

    code: str
    looks_at: str
    run: Run
    explain: str
