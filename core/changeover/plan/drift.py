"""Whether the cluster is still the one that the plan was made for."""

from __future__ import annotations

from typing import Any

from changeover.plan.model import Fingerprint, Job, Plan, SwapAlias
from changeover.routes.job import server_version
from changeover.survey.model import Survey


def fingerprint(survey: Survey, job: Job, alias: str = "") -> Fingerprint:
    """The parts of the survey that the plan depends on; `alias` is the one that will be swapped, "" for none."""
    names = {alias.name: alias.collection for alias in (*survey.aliases, *survey.other_aliases)}
    return Fingerprint(
        version=server_version(survey),
        collection=survey.collection,
        vectors={vector.name: vector.params for vector in survey.vectors},
        aliases={name: target for name, target in names.items() if name in (job.name_in_use, job.target, alias)},
        indexes={index.field: index.schema for index in survey.indexes},
        collections=tuple(name for name in survey.collections if name == job.target),
    )


def differences(plan: Plan, survey: Survey) -> tuple[str, ...]:
    """A line for each part that changed since the plan was made; () when nothing did."""
    alias = next((step.alias for step in plan.steps if isinstance(step, SwapAlias)), "")
    then, now = plan.fingerprint, fingerprint(survey, plan.job, alias)
    lines = []
    if then.version != now.version:
        lines.append(f"the server was {then.version}, now it is {now.version}")
    if then.collection != now.collection:
        lines.append(f"{survey.asked} was {then.collection}, now it is {now.collection}")
    lines += _changed("vector", then.vectors, now.vectors)
    lines += _changed("payload index", then.indexes, now.indexes)
    lines += _changed("alias", then.aliases, now.aliases)
    if then.collections != now.collections:
        lines.append(f"a collection {plan.job.target} exists now; the plan needs this name free")
    return tuple(lines)


def _changed(what: str, then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    lines = []
    for name in sorted(then.keys() | now.keys()):
        if name not in now:
            lines.append(f"{what} {name or '(unnamed)'} is gone")
        elif name not in then:
            lines.append(f"{what} {name or '(unnamed)'} is new")
        elif then[name] != now[name]:
            lines.append(f"{what} {name or '(unnamed)'} was {then[name]}, now it is {now[name]}")
    return lines
