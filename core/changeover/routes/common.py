"""Steps that both routes share."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from changeover.checks.model import Probes
from changeover.cluster.capabilities import supports
from changeover.decision.answers import Answers
from changeover.plan import model as plan
from changeover.routes.job import server_version
from changeover.routes.slices import slices
from changeover.survey.model import Survey

RECORDED = ("provider", "name", "document_prefix", "query_prefix", "pooling", "normalise")


def load(survey: Survey, job: plan.Job) -> plan.Load:
    """The load over fixed slices."""
    parts = slices(survey.id_cuts, survey.size.points, job.streams)
    return plan.Load(id="load", title=f"Embed {survey.size.points:,} points", slices=parts)


def catch_up() -> plan.CatchUp:
    """Passes over what changed since."""
    return plan.CatchUp(id="catch-up", title="Catch up with writes")


def proof(job: plan.Job, answers: Answers, labelled: bool) -> tuple[plan.Step, ...]:
    """Wait for the index, verify, evaluate where there are queries, wait for the cutover."""
    made: list[plan.Step] = [
        plan.WaitGreen(id="wait-green", title="Wait for the index", collection=job.target),
        plan.Verify(id="verify", title="Verify every point"),
    ]
    if labelled and answers.queries.file:
        made.append(plan.Evaluate(id="evaluate", title="Compare old and new", queries=answers.queries.file))
    made.append(
        plan.AwaitCutover(
            id="await-cutover", title="Wait for the cutover", mode=answers.cutover, confirm=job.name_in_use
        )
    )
    return tuple(made)


def metadata(survey: Survey, job: plan.Job, collection: str, run: str, probes: Probes) -> tuple[plan.Step, ...]:
    """Record the model in the collection, where the server keeps metadata (1.16) and the key may write it."""
    if not supports("metadata", server_version(survey)) or not survey.cluster.rights.manage:
        return ()
    # Only what makes the vectors what they are: no paths, URLs or names of variables of this machine.
    model = {key: value for key, value in msgspec.to_builtins(job.model).items() if key in RECORDED}
    model["dimension"] = job.dimension
    if probes.new_model and probes.new_model.fingerprint:
        model["fingerprint"] = probes.new_model.fingerprint
    body = {"metadata": {"changeover": {"run": run, "vector": job.target_vector, "text": job.template, "model": model}}}
    request = plan.Request(method="PATCH", path=f"/collections/{quote(collection, safe='')}", body=body)
    return (plan.WriteMetadata(id="write-metadata", title="Record the model", request=request),)
