"""Every check in one table: code, what it looks at, the function, the words of `explain`."""

from __future__ import annotations

from changeover.checks import (
    advisories,
    afterwards,
    capacity,
    cutover,
    hybrid,
    load,
    multivectors,
    new_model,
    prefixes,
    rights,
    shape,
    state,
    text,
    trials,
    versions,
)
from changeover.checks.base import Check
from changeover.checks.model import Finding, Probes
from changeover.decision.answers import Answers
from changeover.survey.model import Survey

CHECKS: tuple[Check, ...] = (
    *versions.CHECKS,
    *shape.CHECKS,
    *multivectors.CHECKS,
    *text.CHECKS,
    *new_model.CHECKS,
    *prefixes.CHECKS,
    *trials.CHECKS,
    *hybrid.CHECKS,
    *capacity.CHECKS,
    *load.CHECKS,
    *state.CHECKS,
    *rights.CHECKS,
    *cutover.CHECKS,
    *afterwards.CHECKS,
    *advisories.CHECKS,
)
ORDER = {"blocker": 0, "warning": 1, "info": 2}


def run(survey: Survey, answers: Answers, probes: Probes) -> tuple[Finding, ...]:
    """Every finding that fires, blockers first, in the order of the table."""
    found = [finding for check in CHECKS if (finding := check.run(survey, answers, probes)) is not None]
    return tuple(sorted(found, key=lambda finding: ORDER[finding.severity]))


def passed(survey: Survey, answers: Answers, probes: Probes) -> tuple[tuple[str, str], ...]:
    """(code, what was looked at) of every check that ran and was silent."""
    return tuple((check.code, check.looks_at) for check in CHECKS if check.run(survey, answers, probes) is None)


def by_code(code: str) -> Check | None:
    """The check of that code, or None."""
    return next((check for check in CHECKS if check.code == code), None)
