"""From survey, answers and findings to a sealed plan."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from changeover import seals
from changeover.checks.model import Finding, Probes
from changeover.decision.answers import Answers, RouteName
from changeover.decision.route import choose
from changeover.errors import BlockedError
from changeover.plan.application import diff, elsewhere
from changeover.plan.drift import fingerprint
from changeover.plan.estimate import estimate
from changeover.plan.model import Access, Job, Mode, Plan, Step
from changeover.routes import blue_green, in_place, lexical, quantization
from changeover.routes.job import job_of, stays_on_disk, swapped_alias
from changeover.survey.model import Survey
from changeover.version import __version__

Steps = Callable[[Survey, Answers, Job, Probes, str], tuple[Step, ...]]

MODES: dict[Mode, Steps] = {"in-place": in_place.steps, "blue-green": blue_green.steps}
"""How vectors are brought in; every route that makes vectors is carried out in one of these ways."""


def steps_of(route: RouteName, mode: Mode, answers: Answers) -> Steps:
    """The function that lists the steps of this route."""
    if route == "quantization":
        return quantization.steps
    if route == "hybrid" and answers.sparse.encoder == "text-index" and answers.model is None:
        return lexical.steps
    return MODES[mode]


def build(survey: Survey, answers: Answers, findings: tuple[Finding, ...], probes: Probes, access: Access) -> Plan:
    """The plan; raises BlockedError or UsageError in one line when none can be made."""
    chosen = choose(survey, answers)
    if chosen.route is None or chosen.mode is None:
        raise BlockedError("no route is open: " + "; ".join(chosen.reasons))
    mode = chosen.mode
    job = job_of(survey, answers, probes, access, chosen.route, mode)
    steps = steps_of(chosen.route, mode, answers)
    taken = blue_green.same_name(survey, answers)
    alias = swapped_alias(survey, answers) if mode == "blue-green" and not taken else ""
    now = datetime.now(UTC)
    run = f"{now:%Y%m%d-%H%M%S}-{_slug(survey.collection)}-{secrets.token_hex(2)}"
    listed = steps(survey, answers, job, probes, run)
    return seals.seal(
        Plan(
            id=run,
            created_at=now.isoformat(timespec="seconds"),
            changeover=__version__,
            route=chosen.route,
            job=job,
            answers=answers,
            findings=findings,
            steps=listed,
            estimate=estimate(survey, probes, job, stays_on_disk(survey, answers, mode)),
            application=diff(job, alias, steps=listed, setting=quantization.setting(probes)),
            application_in=elsewhere(job, alias, steps=listed, setting=quantization.setting(probes)),
            fingerprint=fingerprint(survey, job, alias),
        )
    )


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)[:40] or "run"
