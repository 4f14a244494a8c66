"""Steps and requests that the routes share."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from changeover.checks.model import Probes
from changeover.cluster.capabilities import supports
from changeover.decision.answers import Answers
from changeover.plan import model as plan
from changeover.routes import made
from changeover.routes.job import server_version, source_vector
from changeover.routes.slices import slices, slices_of_keys
from changeover.survey.model import Survey
from changeover.words import duration

RECORDED = ("provider", "name", "kind", "document_prefix", "query_prefix", "pooling", "normalise")
FITTED_ON = 5_000
"""Stored vectors that the principal components are computed from (facts: the first 4,000 were enough)."""


def fitted(job: plan.Job, answers: Answers) -> tuple[plan.Step, ...]:
    """The matrix comes first: a map that gains nothing ends the run before anything is written."""
    make = next((make for make in job.makes if isinstance(make, plan.FromVector)), None)
    if make is None:
        return ()
    title = {
        "leading": f"Keep the first {make.dimension} numbers",
        "pca": f"Find the {make.dimension} principal components",
    }.get(make.method, "Learn the map from pairs of old and new vectors")
    return (
        plan.FitMatrix(
            id="fit-matrix",
            title=title,
            sample=(answers.map.anchors or made.ANCHORS) if make.maps else FITTED_ON,
            queries=answers.queries.file or "",
            title_field=answers.queries.title_field or "",
        ),
    )


def load(survey: Survey, job: plan.Job) -> plan.Load:
    """The load over fixed slices."""
    keys = survey.shards.keys if survey.shards.method == "custom" else ()
    parts = slices_of_keys(keys) if keys else slices(survey.id_cuts, survey.size.points, job.streams)
    verb = "Embed" if any(not isinstance(make, plan.FromVector) for make in job.makes) else "Compute"
    if not job.makes:
        verb = "Copy"
    return plan.Load(id="load", title=f"{verb} {survey.size.points:,} points", slices=parts)


def catch_up(job: plan.Job) -> tuple[plan.Step, ...]:
    """Passes over what changed since; nobody writes where the application is stopped."""
    return (plan.CatchUp(id="catch-up", title="Catch up with writes"),) if job.keeps_serving else ()


def sweep(job: plan.Job) -> tuple[plan.Step, ...]:
    """Late writes are brought over, also those of an application that was not stopped after all."""
    return (plan.Sweep(id="sweep", title="Bring late writes over"),)


def way_back(job: plan.Job, answers: Answers) -> tuple[plan.Step, ...]:
    """Keep the way back open after the cutover, where a window was asked for and something was replaced."""
    seconds = answers.rollback.seconds
    stays = job.mode == "in-place" and job.make(job.target_vector) is None
    if not seconds or answers.cutover == "never" or stays:
        return ()
    title = f"Keep the way back open for {duration(seconds)}"
    return (plan.OpenWayBack(id="open-way-back", title=title, window_s=seconds),)


def proof(job: plan.Job, answers: Answers, probes: Probes) -> tuple[plan.Step, ...]:
    """Wait for the index, verify, evaluate where there are queries, wait for the cutover."""
    steps: list[plan.Step] = [
        plan.WaitGreen(id="wait-green", title="Wait for the index", collection=job.target),
        plan.Verify(id="verify", title="Verify every point"),
    ]
    steps += evaluate(answers, probes)
    steps.append(
        plan.AwaitCutover(
            id="await-cutover", title="Wait for the cutover", mode=answers.cutover, confirm=job.name_in_use
        )
    )
    return tuple(steps)


def evaluate(answers: Answers, probes: Probes) -> tuple[plan.Step, ...]:
    """The comparison, where there are labelled queries or a field to make them from."""
    file, title = answers.queries.file if probes.queries else None, answers.queries.title_field
    if not file and not title:
        return ()
    return (
        plan.Evaluate(
            id="evaluate", title="Compare old and new", queries=file or "", title_field="" if file else title or ""
        ),
    )


def switched(job: plan.Job) -> str:
    """What the application does at an in-place cutover, in words."""
    terms = [make.vector for make in job.makes if isinstance(make, plan.FromTerms)]
    if terms and job.make(job.target_vector) is None:
        return f"The application searches {job.target_vector or 'the dense vector'} and {terms[0]} together"
    return f"The application searches {' and '.join((job.target_vector, *terms))}"


def dense_params(survey: Survey, answers: Answers, make: plan.FromText | plan.FromVector) -> dict[str, Any]:
    """Size and distance of a new dense vector, and the comparator of a multivector."""
    distance = answers.vector.distance or source_vector(survey, answers).distance
    if isinstance(make, plan.FromVector):
        return {"size": make.dimension, "distance": make.distance}
    if make.multi:  # token vectors are trained for cosine, compared by MaxSim
        body: dict[str, Any] = {"size": make.dimension, "distance": answers.vector.distance or "Cosine"}
        return body | {"multivector_config": {"comparator": "max_sim"}}
    return {"size": make.dimension, "distance": distance}


def sparse_params(make: plan.FromTerms) -> dict[str, Any]:
    """Term weights come from the server's own statistics where the encoder leaves them out (modifier idf)."""
    return {"modifier": "idf"} if make.encoder.uses_idf else {}


def large_settings(answers: Answers) -> dict[str, Any]:
    """Token vectors are large and used to rank again what another vector found: on disk, and no graph of their own."""
    return {"on_disk": answers.vector.on_disk is not False, "hnsw_config": {"m": 0}}


def metadata(survey: Survey, job: plan.Job, collection: str, run: str, probes: Probes) -> tuple[plan.Step, ...]:
    """Record what the vectors are made of, where the server keeps metadata (1.16) and the key may write it."""
    if not supports("metadata", server_version(survey)) or not survey.cluster.rights.manage:
        return ()
    recorded: dict[str, Any] = {"run": run, "vector": job.target_vector}
    if job.template:
        recorded["text"] = job.template
    if job.model is not None:
        recorded["model"] = _model(job, probes)
    for make in job.makes:
        if isinstance(make, plan.FromTerms):
            recorded["sparse"] = {"vector": make.vector, **msgspec.to_builtins(_without_path(make))}
        if isinstance(make, plan.FromVector):
            recorded["computed"] = {"from": make.source, "method": make.method, "dimension": make.dimension}
    if job.bridge:
        recorded["bridge"] = True
    request = plan.Request(
        method="PATCH",
        path=f"/collections/{quote(collection, safe='')}",
        body={"metadata": {"changeover": recorded}},
    )
    return (plan.WriteMetadata(id="write-metadata", title="Record what the vectors are made of", request=request),)


def _model(job: plan.Job, probes: Probes) -> dict[str, Any]:
    # Only what makes the vectors what they are: no paths, URLs or names of variables of this machine.
    model = {key: value for key, value in msgspec.to_builtins(job.model).items() if key in RECORDED}
    model["dimension"] = job.dimension
    if probes.new_model and probes.new_model.fingerprint:
        model["fingerprint"] = probes.new_model.fingerprint
    return model


def _without_path(make: plan.FromTerms) -> Any:
    return msgspec.structs.replace(make.encoder, path=None)
