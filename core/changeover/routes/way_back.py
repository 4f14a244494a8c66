"""The way back after a cutover: a plan that brings what was written since to the old side, and lets that serve again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from changeover import seals
from changeover.embed.model import ModelSpec
from changeover.errors import BlockedError, UsageError
from changeover.plan import model as plan
from changeover.plan.application import NOTHING, all_undone, undone
from changeover.version import __version__

LACKING_CODE = "no-old-vector"
"""Accepting this code lets a way back go on that leaves points without an old vector."""


class Sides(msgspec.Struct, frozen=True, kw_only=True):
    """What of the cluster the way back depends on, read just now."""

    version: str
    old: dict[str, Any] | None
    """Answer to GET of the old collection; None when it is gone."""
    aliases: dict[str, str]
    points: int
    """On the new side."""


def refuse(done: plan.Plan, sides: Sides) -> None:
    """Raises UsageError or BlockedError in one line when there is no way back from this run."""
    if done.follows:
        raise UsageError(f"{done.id}: this run is itself a way back or a cleanup; make a new plan to go on")
    if any(isinstance(step, plan.ReplaceByAlias) for step in done.steps):
        raise BlockedError(f"{done.job.source} was removed by this run; recover its snapshot under another name")
    swap = _swap(done)
    if swap is None and not any(isinstance(step, plan.SwitchApplication) for step in done.steps):
        raise UsageError(f"{done.id}: this run has no cutover; the old side serves as before")
    if sides.old is None:
        raise BlockedError(f"{done.job.source} is not there any more; there is nothing to go back to")
    if done.job.mode == "in-place" and done.job.make(done.job.target_vector) is None:
        raise UsageError(f"{done.id}: the dense vector was not touched; let the application search it alone again")
    if swap is not None and sides.aliases.get(swap.alias) != done.job.target:
        now = sides.aliases.get(swap.alias) or "nothing"
        raise BlockedError(f"alias-moved: {swap.alias} points to {now}, not to {done.job.target}; nothing was changed")


def build(
    done: plan.Plan,
    sides: Sides,
    old_model: ModelSpec | None,
    *,
    run: str,
    name: str,
    mode: Literal["manual", "when-ready"] = "manual",
    window_s: float = 0.0,
) -> plan.Plan:
    """The sealed plan of the way back of `run`, to be run as `name`. `old_model` None: nobody makes an old vector.

    Raises UsageError or BlockedError in one line when there is none.
    """
    refuse(done, sides)
    job = reversed_job(done, sides, old_model)
    parts = next((step.slices for step in done.steps if isinstance(step, plan.Load)), ())
    steps: list[plan.Step] = []
    if any(isinstance(make, plan.Kept) for make in job.makes):
        steps.append(plan.CountLacking(id="count-lacking", title="Count the points that would lack an old vector"))
    steps += [
        plan.CatchUp(id="catch-up", title="Bring what was written since to the old side", slices=parts),
        plan.WaitGreen(id="wait-green", title="Wait for the index", collection=job.target),
        plan.AwaitCutover(
            id="await-cutover",
            title="Wait for the word to go back",
            mode=mode,
            confirm=job.name_in_use,
            window_s=window_s,
        ),
        _back(done, job),
        plan.Sweep(id="sweep", title="Bring late writes back too"),
    ]
    estimate = plan.Estimate(
        points=sides.points, tokens=0, seconds=0.0, disk_bytes=0, memory_bytes=0, basis="only what changed is written"
    )
    fingerprint = plan.Fingerprint(
        version=sides.version, collection=job.source, vectors={}, aliases=dict(sides.aliases), indexes={}
    )
    return seals.seal(
        plan.Plan(
            id=name,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            changeover=__version__,
            route=done.route,
            job=job,
            answers=done.answers,
            findings=(),
            steps=tuple(steps),
            estimate=estimate,
            application=undone(done.application),
            application_in=all_undone(done.application_in),
            fingerprint=fingerprint,
            follows=run,
        )
    )


def reversed_job(done: plan.Plan, sides: Sides, old_model: ModelSpec | None) -> plan.Job:
    """The job with its sides exchanged: the new side is read, the old one written."""
    job, swap = done.job, _swap(done)
    carried = {new: old for old, new in job.carry.items()}
    template = job.template or done.answers.text.as_template or ""
    size, multi = _shape(sides.old, job.source_vector)
    makes: tuple[plan.Make, ...] = ()
    if job.source_vector not in carried.values():
        can = old_model is not None and bool(template)
        make = plan.FromText(vector=job.source_vector, dimension=size, multi=multi)
        makes = (make if can else plan.Kept(vector=job.source_vector),)
    return msgspec.structs.replace(
        job,
        source=job.target,
        target=job.source,
        name_in_use=swap.alias if swap is not None else job.name_in_use,
        source_vector=job.target_vector,
        target_vector=job.source_vector,
        makes=makes,
        carry=carried,
        model=old_model if any(isinstance(make, plan.FromText) for make in makes) else None,
        old_model=job.model,
        dimension=size,
        template=template,
        insert_only=False,
        thorough=job.thorough and bool(carried),
        bridge=False,
        keeps_serving=True,
        spend=None,
    )


def _back(done: plan.Plan, job: plan.Job) -> plan.Step:
    swap = _swap(done)
    if swap is None:
        title = f"The application searches {job.target_vector or 'the unnamed vector'} again"
        return plan.SwitchApplication(id="switch-application", title=title, vector=job.target_vector)
    action = {"create_alias": {"alias_name": swap.alias, "collection_name": job.target}}
    return plan.SwapAlias(
        id="swap-alias",
        title=f"Point alias {swap.alias} back at {job.target}",
        alias=swap.alias,
        expected=job.source,
        request=plan.Request(method="POST", path="/collections/aliases", body={"actions": [action]}),
    )


def _swap(done: plan.Plan) -> plan.SwapAlias | None:
    return next((step for step in done.steps if isinstance(step, plan.SwapAlias)), None)


def _shape(info: dict[str, Any] | None, vector: str) -> tuple[int, bool]:
    """Size of the old side's vector, and whether it holds a vector per token."""
    vectors = ((info or {}).get("config") or {}).get("params", {}).get("vectors") or {}
    config = vectors if "size" in vectors else vectors.get(vector) or {}
    return int(config.get("size") or 0), bool(config.get("multivector_config"))


def removal(done: plan.Plan, sides: Sides, *, run: str, name: str, snapshot: bool, safe: bool) -> plan.Plan:
    """The sealed plan of the cleanup of `run`, to be run as `name`: late writes first, then the old collection, or in place the old vector, goes.

    `safe`: every peer removes a named vector without danger (1.19). Raises UsageError or BlockedError in one line.
    """
    refuse(done, sides)
    job = done.job
    steps: list[plan.Step] = []
    if job.mode == "blue-green":
        path = f"/collections/{quote(job.source, safe='')}"
        if snapshot:
            request = plan.Request(method="POST", path=f"{path}/snapshots?wait=true")
            steps.append(
                plan.TakeSnapshot(id="take-snapshot", title=f"Take a snapshot of {job.source}", request=request)
            )
        # Last: a snapshot of much data takes long enough for late writes.
        steps.append(plan.Sweep(id="sweep", title=f"Bring over what still reached {job.source}"))
        steps.append(
            plan.DropCollection(
                id="drop-collection", title=f"Remove {job.source}", request=plan.Request(method="DELETE", path=path)
            )
        )
    else:
        drop = _drop_vector(done, sides.version, safe=safe)
        steps += [plan.Sweep(id="sweep", title=f"Give late writes their {job.target_vector}"), drop]
    estimate = plan.Estimate(
        points=sides.points, tokens=0, seconds=0.0, disk_bytes=0, memory_bytes=0, basis="only late writes are written"
    )
    fingerprint = plan.Fingerprint(
        version=sides.version, collection=job.source, vectors={}, aliases=dict(sides.aliases), indexes={}
    )
    return seals.seal(
        msgspec.structs.replace(
            done,
            id=name,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            job=msgspec.structs.replace(job, keeps_serving=False),
            findings=(),
            steps=tuple(steps),
            estimate=estimate,
            application=NOTHING,
            application_in={},
            fingerprint=fingerprint,
            follows=run,
            hash="",
        )
    )


def removed(done: plan.Plan) -> str:
    """The name of what a cleanup removes, which a person types: the old collection, or in place the old vector."""
    return done.job.source if done.job.mode == "blue-green" else done.job.source_vector


def _drop_vector(done: plan.Plan, version: str, *, safe: bool) -> plan.DropVector:
    vector = done.job.source_vector
    if done.route in ("side-by-side", "hybrid"):
        raise UsageError(f"{done.id}: both vectors were meant to stay; nothing is removed")
    if not safe:
        raise BlockedError(
            f"old-vector-removal-unsafe: on {version} a crash soon after the removal of a vector can lose whole points"
            " (1.19.0 does not); it stays"
        )
    if not vector:
        raise BlockedError("the unnamed vector has no name by which it could be removed; it stays")
    path = f"/collections/{quote(done.job.source, safe='')}/vectors/{quote(vector, safe='')}?wait=true"
    return plan.DropVector(
        id="drop-vector",
        title=f"Remove vector {vector}",
        vector=vector,
        request=plan.Request(method="DELETE", path=path),
    )
