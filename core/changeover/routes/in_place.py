"""In place: the new vector is added to the collection that serves (servers from 1.18.1 on)."""

from __future__ import annotations

from urllib.parse import quote

from changeover.checks.model import Probes
from changeover.decision.answers import Answers
from changeover.plan import model as plan
from changeover.routes import common
from changeover.routes.job import may_set, new_datatype, source_vector, vector_settings
from changeover.survey.model import Survey


def steps(survey: Survey, answers: Answers, job: plan.Job, probes: Probes, run: str) -> tuple[plan.Step, ...]:
    """Add, load, catch up, verify; the application then changes the vector that it searches."""
    old = source_vector(survey, answers)
    collection = f"/collections/{quote(job.source, safe='')}"
    body = {"size": job.dimension, "distance": answers.vector.distance or old.distance}
    if (datatype := new_datatype(old)) is not None:
        body["datatype"] = datatype
    made: list[plan.Step] = [
        plan.AddVector(
            id="add-vector",
            title=f"Add vector {job.target_vector}",
            request=plan.Request(
                method="PUT",
                path=f"{collection}/vectors/{quote(job.target_vector, safe='')}?wait=true",
                body={"dense": body},
            ),
        )
    ]
    settings = vector_settings(old, answers.vector.on_disk)
    if settings and may_set(survey):
        made.append(
            plan.PatchVector(
                id="patch-vector",
                title=f"Give {job.target_vector} the settings of the old vector",
                request=plan.Request(method="PATCH", path=collection, body={"vectors": {job.target_vector: settings}}),
            )
        )
    made += [
        common.load(survey, job),
        common.catch_up(),
        *common.proof(job, answers, bool(probes.queries)),
    ]
    if answers.cutover != "never":
        made += [
            plan.SwitchApplication(
                id="switch-application", title="The application searches the new vector", vector=job.target_vector
            ),
            plan.Sweep(id="sweep", title="Bring late writes over"),
        ]
    return (*made, *common.metadata(survey, job, job.source, run, probes))
