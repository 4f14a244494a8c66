"""Blue-green: a new collection with everything of the old one, and an alias that is swapped in one request."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from changeover.checks.model import Probes
from changeover.decision.answers import Answers
from changeover.plan import model as plan
from changeover.routes import common
from changeover.routes.job import name_in_use, new_datatype, source_vector, swapped_alias
from changeover.survey.lease import KEY as LEASE_KEY
from changeover.survey.model import Survey, Vector

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
    """Create, load with indexing off, restore, catch up, verify, then swap the alias and sweep (or take the name)."""
    target = f"/collections/{quote(job.target, safe='')}"
    threshold = (survey.config.get("optimizer_config") or {}).get("indexing_threshold")
    steps: list[plan.Step] = [
        *common.fitted(job, answers),
        plan.CreateCollection(
            id="create-collection",
            title=f"Create {job.target} like {job.source}",
            request=plan.Request(method="PUT", path=target, body=create_body(survey, answers, job)),
        ),
    ]
    steps += _shard_keys(survey, target)
    if survey.indexes:
        requests = tuple(
            plan.Request(
                method="PUT",
                path=f"{target}/index?wait=true",
                body={"field_name": index.field, "field_schema": _field_schema(index.schema)},
            )
            for index in survey.indexes
        )
        steps.append(plan.CreateIndexes(id="create-indexes", title="Create the payload indexes", requests=requests))
    steps += [
        _pause(survey, target),
        common.load(survey, job),
        plan.RestoreIndexing(
            id="restore-indexing",
            title="Restore indexing",
            request=_indexing(target, DEFAULT_INDEXING_THRESHOLD_KB if threshold is None else threshold),
        ),
        *common.catch_up(job),
        *common.proof(job, answers, probes),
    ]
    if answers.cutover != "never":
        steps += takes_name(survey, job) if same_name(survey, answers) else _swaps(survey, answers, job)
    back = () if same_name(survey, answers) else common.way_back(job, answers)
    return (*steps, *common.metadata(survey, job, job.target, run, probes), *back)


def _shard_keys(survey: Survey, target: str) -> list[plan.Step]:
    """The keys of a collection with custom sharding, each with as many shards as it has."""
    if survey.shards.method != "custom":
        return []
    requests = tuple(
        plan.Request(
            method="PUT",
            path=f"{target}/shards",
            body={
                "shard_key": key,
                "shards_number": len({r.shard for r in survey.shards.replicas if r.shard_key == key}) or 1,
            },
        )
        for key in survey.shards.keys
    )
    title = f"Create {len(requests)} shard keys"
    return [plan.CreateShardKeys(id="create-shard-keys", title=title, requests=requests)]


def same_name(survey: Survey, answers: Answers) -> bool:
    """Whether the old collection gives its name away: only without zero downtime, and where it is the name in use."""
    stopped = answers.zero_downtime is False and answers.target.same_name is True
    return stopped and name_in_use(survey, answers) == survey.collection


def takes_name(survey: Survey, job: plan.Job) -> list[plan.Step]:
    """Snapshot, remove, and give the name (and every alias, which goes with the collection) to the new one."""
    source = f"/collections/{quote(job.source, safe='')}"
    names = [job.source, *(alias.name for alias in survey.aliases)]
    actions = [{"create_alias": {"alias_name": name, "collection_name": job.target}} for name in names]
    return [
        plan.TakeSnapshot(
            id="take-snapshot",
            title=f"Take a snapshot of {job.source}",
            request=plan.Request(method="POST", path=f"{source}/snapshots?wait=true"),
        ),
        plan.ReplaceByAlias(
            id="replace-by-alias",
            title=f"Remove {job.source}; its name becomes an alias of {job.target}",
            remove=plan.Request(method="DELETE", path=source),
            name=plan.Request(method="POST", path="/collections/aliases", body={"actions": actions}),
        ),
    ]


def _swaps(survey: Survey, answers: Answers, job: plan.Job) -> list[plan.Step]:
    return [_swap(survey, answers, job), *common.sweep(job)]


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
    """The source's configuration with the carried vectors, the new ones and, where asked for, a reserved name."""
    params = survey.config.get("params") or {}
    body: dict[str, Any] = {"vectors": _vectors(survey, answers, job)}
    stored = params.get("sparse_vectors") or {}
    sparse = {name: _without_nulls(stored[was]) for was, name in job.carry.items() if was in stored}
    sparse |= {m.vector: common.sparse_params(m) for m in job.makes if isinstance(m, plan.FromTerms)}
    if sparse:
        body["sparse_vectors"] = sparse
    body |= {key: params[key] for key in PARAMS if params.get(key) is not None}
    for answered, asked in SECTIONS:
        section = _without_nulls(survey.config.get(answered))
        if answered == "metadata":  # the lease is the old collection's
            section = {key: value for key, value in (section or {}).items() if key != LEASE_KEY}
        if section:
            body[asked] = section
    return body


def _vectors(survey: Survey, answers: Answers, job: plan.Job) -> dict[str, Any]:
    old = source_vector(survey, answers)
    vectors: dict[str, Any] = {
        job.carry[vector.name]: _without_nulls(vector.params)
        for vector in survey.vectors
        if vector.name in job.carry and vector.kind != "sparse"
    }
    for make in job.makes:
        if isinstance(make, plan.FromText | plan.FromVector):
            vectors[make.vector] = _new_dense(survey, answers, old, make)
    if answers.vector.reserve:
        size = answers.vector.reserve_dimension or job.dimension
        vectors[answers.vector.reserve] = {"size": size, "distance": old.distance}
    return vectors[""] if list(vectors) == [""] else vectors


def _new_dense(survey: Survey, answers: Answers, old: Vector, make: plan.FromText | plan.FromVector) -> dict[str, Any]:
    asked = common.dense_params(survey, answers, make)
    if "multivector_config" in asked:
        return asked | common.large_settings(answers)
    new = {**_without_nulls(old.params), **asked}
    if new_datatype(old) is None:
        new.pop("datatype", None)
    if answers.vector.on_disk is not None:
        new["on_disk"] = answers.vector.on_disk
    return new


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
