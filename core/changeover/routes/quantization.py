"""Another quantization of vectors that stay: one PATCH, the server builds it, and the way back is in the plan."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from changeover import seals
from changeover.checks.model import Finding, Probes
from changeover.decision.answers import Answers
from changeover.errors import BlockedError, UsageError
from changeover.plan import model as plan
from changeover.plan.application import all_undone, undone
from changeover.quality.trials import SearchSetting
from changeover.routes.job import source_vector
from changeover.survey.model import Survey

LEAST_RECALL = 0.9
"""Recall@10 that a change must keep where nobody asked for another value."""


def steps(survey: Survey, answers: Answers, job: plan.Job, probes: Probes, run: str) -> tuple[plan.Step, ...]:
    """Measure, change, wait until the optimizer is done, measure again; too low a recall brings the former back."""
    from changeover.quality import storage

    kind = answers.quantization.kind
    if kind is None:
        raise BlockedError("which quantization is wanted is not answered; give quantization.kind")
    vector = source_vector(survey, answers)
    change, undo = storage.patch(
        survey,
        vector,
        kind,
        query_encoding=answers.quantization.query_encoding,
        always_ram=answers.quantization.always_ram,
    )
    if change == undo:
        raise UsageError(f"quantization.kind {kind!r}: that is how {vector.name or 'the vector'} is stored already")
    path = f"/collections/{quote(survey.collection, safe='')}"
    name = vector.name or "the vector"
    least = answers.quantization.least_recall or LEAST_RECALL
    return (
        plan.MeasureStorage(id="measure-before", title="Measure recall and latency as they are", vector=vector.name),
        plan.ChangeStorage(
            id="change-storage",
            title=f"Store {name} with quantization {kind}" if kind != "none" else f"Store {name} without quantization",
            request=plan.Request(method="PATCH", path=path, body=change),
            undo=plan.Request(method="PATCH", path=path, body=undo),
        ),
        plan.WaitGreen(id="wait-green", title="Wait until the server has built it", collection=survey.collection),
        plan.MeasureStorage(
            id="measure-after", title=f"Measure again: at least {least:g}", vector=vector.name, least_recall=least
        ),
    )


def setting(probes: Probes) -> SearchSetting | None:
    """The cheapest search parameters that the trial found to be within a hundredth of its best; None without a trial."""
    trial = probes.quantization
    if trial is None or trial.error or not trial.settings:
        return None
    best = max(found.recall for found in trial.settings)
    good = [found for found in trial.settings if found.recall >= best - 0.01]
    return min(good, key=lambda found: (found.rescore, found.oversampling or 1.0))


def way_back(done: plan.Plan, findings: tuple[Finding, ...] = ()) -> plan.Plan:
    """A plan that brings the configuration back that a quantization plan replaced; raises UsageError for another plan."""
    changed = [step for step in done.steps if isinstance(step, plan.ChangeStorage)]
    if not changed:
        raise UsageError(f"{done.id}: this run changed no storage; there is nothing to bring back")
    listed: list[plan.Step] = []
    for step in done.steps:
        if isinstance(step, plan.ChangeStorage):
            listed.append(
                plan.ChangeStorage(
                    id=step.id, title="Bring the former configuration back", request=step.undo, undo=step.request
                )
            )
        elif isinstance(step, plan.MeasureStorage):
            listed.append(msgspec.structs.replace(step, least_recall=0.0, title=step.title.partition(":")[0]))
        else:
            listed.append(step)
    back = msgspec.structs.replace(
        done,
        id=f"{done.id}-back",
        steps=tuple(listed),
        findings=findings,
        application=undone(done.application),
        application_in=all_undone(done.application_in),
        hash="",
    )
    return seals.seal(back)
