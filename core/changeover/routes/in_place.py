"""In place: the new vector is added to the collection that serves (servers from 1.18.1 on)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from changeover.decision.answers import Answers
from changeover.plan import model as plan
from changeover.routes import common
from changeover.routes.job import source_vector
from changeover.survey.model import Survey

PER_VECTOR = ("hnsw_config", "quantization_config")


def steps(survey: Survey, answers: Answers, job: plan.Job, labelled: bool, run: str) -> tuple[plan.Step, ...]:
    """Add, load, catch up, verify; the application then changes the vector that it searches."""
    old = source_vector(survey, answers)
    collection = f"/collections/{quote(job.source, safe='')}"
    body = {"size": job.dimension, "distance": answers.vector.distance or old.distance}
    if old.datatype is not None:
        body["datatype"] = old.datatype
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
    settings = _settings(old.params, answers.vector.on_disk)
    if settings:
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
        *common.proof(job, answers, labelled),
    ]
    if answers.cutover != "never":
        made += [
            plan.SwitchApplication(
                id="switch-application", title="The application searches the new vector", vector=job.target_vector
            ),
            plan.Sweep(id="sweep", title="Bring late writes over"),
        ]
    return (*made, *common.metadata(survey, job, job.source, run))


def _settings(old: dict[str, Any], on_disk: bool | None) -> dict[str, Any]:
    """The add carries only size and distance (server source), so storage and index settings follow as a PATCH."""
    settings = {key: old[key] for key in PER_VECTOR if old.get(key)}
    wanted = on_disk if on_disk is not None else old.get("on_disk")
    return settings | ({"on_disk": wanted} if wanted is not None else {})
