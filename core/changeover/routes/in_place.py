"""In place: the new vectors are added to the collection that serves (servers from 1.18.1 on)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from changeover.checks.model import Probes
from changeover.decision.answers import Answers
from changeover.plan import model as plan
from changeover.routes import common
from changeover.routes.job import may_set, new_datatype, source_vector, vector_settings
from changeover.survey.model import Survey


def steps(survey: Survey, answers: Answers, job: plan.Job, probes: Probes, run: str) -> tuple[plan.Step, ...]:
    """Fit a matrix where one is needed, add, load, catch up, verify; the application then changes what it searches."""
    collection = f"/collections/{quote(job.source, safe='')}"
    made: list[plan.Step] = list(common.fitted(job, answers))
    several = len(job.makes) > 1
    for make in job.makes:
        tail = f"-{make.vector}" if several else ""
        path = f"{collection}/vectors/{quote(make.vector, safe='')}?wait=true"
        body = _added(survey, answers, make)
        made.append(
            plan.AddVector(
                id=f"add-vector{tail}",
                title=f"Add vector {make.vector}",
                request=plan.Request(method="PUT", path=path, body=body),
            )
        )
        settings = _settings(survey, answers, make)
        if settings and may_set(survey):
            made.append(
                plan.PatchVector(
                    id=f"patch-vector{tail}",
                    title=f"Give {make.vector} its settings",
                    request=plan.Request(method="PATCH", path=collection, body={"vectors": {make.vector: settings}}),
                )
            )
    made.append(common.load(survey, job))
    made += common.catch_up(job)
    made += common.proof(job, answers, probes)
    if answers.cutover != "never":
        made.append(
            plan.SwitchApplication(id="switch-application", title=common.switched(job), vector=job.target_vector)
        )
        made += common.sweep(job)
    recorded = common.metadata(survey, job, job.source, run, probes)
    return (*made, *recorded, *common.way_back(job, answers))


def _added(survey: Survey, answers: Answers, make: plan.Make) -> dict[str, Any]:
    """Body of the request that adds the vector: only size, distance, datatype, comparator and modifier are taken."""
    if isinstance(make, plan.FromTerms):
        return {"sparse": common.sparse_params(make)}
    assert not isinstance(make, plan.Kept), "only the way back keeps vectors"
    body = common.dense_params(survey, answers, make)
    if (datatype := new_datatype(source_vector(survey, answers))) is not None and "multivector_config" not in body:
        body["datatype"] = datatype
    return {"dense": body}


def _settings(survey: Survey, answers: Answers, make: plan.Make) -> dict[str, Any]:
    if isinstance(make, plan.FromTerms):
        return {}
    if isinstance(make, plan.FromText) and make.multi:
        return common.large_settings(answers)
    return vector_settings(source_vector(survey, answers), answers.vector.on_disk)
