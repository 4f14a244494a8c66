"""Blue-green: a new collection with everything of the old one, and an alias that is swapped in one request."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from changeover.checks.model import Probes
from changeover.decision.answers import Answers
from changeover.plan import model as plan
from changeover.routes import common
from changeover.routes.job import new_datatype, source_vector, swapped_alias
from changeover.survey.model import Survey

PARAMS = (
    "shard_number",
    "sharding_method",
    "replication_factor",
    "write_consistency_factor",
    "on_disk_payload",
)
SET_LATER = ("read_fan_out_factor", "read_fan_out_delay_ms")
"""A create request ignores these without a word, a PATCH takes them (measured on 1.17.1)."""
SECTIONS = (
    ("hnsw_config", "hnsw_config"),
    ("optimizer_config", "optimizers_config"),
    ("wal_config", "wal_config"),
    ("quantization_config", "quantization_config"),
    ("strict_mode_config", "strict_mode_config"),
    ("metadata", "metadata"),
)
"""Name in the server's answer -> name in the create request."""
DEFAULT_INDEXING_THRESHOLD_KB = 10_000
"""Server source, 1.15.5 to 1.19; there is no way to unset a value once given."""


def steps(survey: Survey, answers: Answers, job: plan.Job, probes: Probes, run: str) -> tuple[plan.Step, ...]:
    """Create, load with indexing off, restore, catch up, verify, swap the alias, sweep."""
    target = f"/collections/{quote(job.target, safe='')}"
    threshold = (survey.config.get("optimizer_config") or {}).get("indexing_threshold")
    made: list[plan.Step] = [
        plan.CreateCollection(
            id="create-collection",
            title=f"Create {job.target} like {job.source}",
            request=plan.Request(method="PUT", path=target, body=create_body(survey, answers, job)),
        )
    ]
    if survey.indexes:
        requests = tuple(
            plan.Request(
                method="PUT",
                path=f"{target}/index?wait=true",
                body={"field_name": index.field, "field_schema": _field_schema(index.schema)},
            )
            for index in survey.indexes
        )
        made.append(plan.CreateIndexes(id="create-indexes", title="Create the payload indexes", requests=requests))
    made += [
        _pause(survey, target),
        common.load(survey, job),
        plan.RestoreIndexing(
            id="restore-indexing",
            title="Restore indexing",
            request=_indexing(target, DEFAULT_INDEXING_THRESHOLD_KB if threshold is None else threshold),
        ),
        common.catch_up(),
        *common.proof(job, answers, bool(probes.queries)),
    ]
    if answers.cutover != "never":
        made += [_swap(survey, answers, job), plan.Sweep(id="sweep", title="Bring late writes over")]
    return (*made, *common.metadata(survey, job, job.target, run, probes))


def _pause(survey: Survey, target: str) -> plan.PauseIndexing:
    """Indexing off, and what only a change of the configuration can carry over."""
    request, params = _indexing(target, 0), survey.config.get("params") or {}
    later = {key: params[key] for key in SET_LATER if params.get(key) is not None}
    title = "Pause indexing while loading"
    if later:
        request = msgspec.structs.replace(request, body={**request.body, "params": later})
        title += "; carry the read fan-out over"
    return plan.PauseIndexing(id="pause-indexing", title=title, request=request)


def create_body(survey: Survey, answers: Answers, job: plan.Job) -> dict[str, Any]:
    """The source's configuration with the replaced vector's new name, dimension and distance."""
    params = survey.config.get("params") or {}
    body: dict[str, Any] = {"vectors": _vectors(survey, answers, job)}
    if params.get("sparse_vectors"):
        body["sparse_vectors"] = _without_nulls(params["sparse_vectors"])
    body |= {key: params[key] for key in PARAMS if params.get(key) is not None}
    for answered, asked in SECTIONS:
        section = _without_nulls(survey.config.get(answered))
        if section:
            body[asked] = section
    return body


def _vectors(survey: Survey, answers: Answers, job: plan.Job) -> dict[str, Any]:
    old = source_vector(survey, answers)
    new = {**_without_nulls(old.params), "size": job.dimension, "distance": answers.vector.distance or old.distance}
    if new_datatype(old) is None:
        new.pop("datatype", None)
    if answers.vector.on_disk is not None:
        new["on_disk"] = answers.vector.on_disk
    carried = {v.name: _without_nulls(v.params) for v in survey.vectors if v.name in job.carry and v.kind != "sparse"}
    vectors = {**carried, job.target_vector: new}
    return new if list(vectors) == [""] else vectors


def _swap(survey: Survey, answers: Answers, job: plan.Job) -> plan.SwapAlias:
    alias = swapped_alias(survey, answers)
    current = next((a.collection for a in (*survey.aliases, *survey.other_aliases) if a.name == alias), None)
    action = {"create_alias": {"alias_name": alias, "collection_name": job.target}}
    return plan.SwapAlias(
        id="swap-alias",
        title=f"Point alias {alias} at {job.target}",
        alias=alias,
        expected=job.source if current == job.source else None,
        request=plan.Request(method="POST", path="/collections/aliases", body={"actions": [action]}),
    )


def _indexing(target: str, threshold: int) -> plan.Request:
    body = {"optimizers_config": {"indexing_threshold": threshold}}
    return plan.Request(method="PATCH", path=target, body=body)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def _field_schema(schema: dict[str, Any]) -> Any:
    """The type's name where that is all: as an object the server would fill in the parameters that it left out."""
    return schema["type"] if schema.keys() == {"type"} else schema
