"""The two sides of a run as its plan has them: which collection, vector and model; and what of it is on the cluster."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from changeover.embed.model import ModelSpec, SparseSpec
from changeover.engine.folder import RunFolder, find, runs
from changeover.errors import BlockedError, ChangeoverError, UsageError
from changeover.plan.model import ChangeStorage, CreateTextIndex, FromTerms, FromVector, Job, Kept, Plan
from changeover.side_by_side.model import SideName


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """How one side is searched."""

    name: SideName
    collection: str
    vector: str
    model: ModelSpec | None
    """What embeds the queries for `vector`; None where the plan names none."""
    cut: bool = False
    """Queries go through the run's matrix, as the stored vectors did."""
    exact: bool = False
    """Searched without index and quantization: what a change of the storage is measured against."""
    terms: SparseSpec | None = None
    """The encoder of the sparse part."""
    terms_vector: str = ""
    text_field: str = ""
    """The payload field whose words a text index with scoring finds."""

    @property
    def lexical(self) -> bool:
        """Whether words are searched too."""
        return self.terms is not None or bool(self.text_field)

    @property
    def words(self) -> str:
        """`minilm on docs_v2, vector text`."""
        model = self.model.label if self.model is not None else "no model"
        vector = f", vector {self.vector}" if self.vector else ""
        sparse = f" + {self.terms_vector or f'words of {self.text_field}'}" if self.lexical else ""
        return f"{model} on {self.collection}{vector}{sparse}{', exact search' if self.exact else ''}"


def sides_of(plan: Plan, old_model: ModelSpec | None = None) -> tuple[Side, Side]:
    """(old, new); `old_model` stands in where the plan names none."""
    job = plan.job
    known = job.old_model or old_model
    terms = next((make for make in job.makes if isinstance(make, FromTerms)), None)
    index = next((step for step in plan.steps if isinstance(step, CreateTextIndex)), None)
    make = job.make(job.target_vector)
    old = Side(
        name="old",
        collection=job.source,
        vector=job.source_vector,
        model=known,
        exact=any(isinstance(step, ChangeStorage) for step in plan.steps),
    )
    new = Side(
        name="new",
        collection=job.target,
        vector=job.target_vector,
        model=_new_model(job, known),
        cut=isinstance(make, FromVector) and not make.maps,
        terms=terms.encoder if terms is not None else None,
        terms_vector=terms.vector if terms is not None else "",
        text_field=str(index.request.body["field_name"]) if index is not None else "",
    )
    return old, new


def run_about(name: str, environ: Mapping[str, str]) -> RunFolder:
    """The run of that name or folder; else the newest whose old or new side has that collection or alias.

    Raises UsageError when there is none: which model belongs to which vector stands in a plan, not on the cluster.
    """
    try:
        return find(name, environ)
    except UsageError:
        for run in runs(environ):
            try:
                job = run.plan().job
            except ChangeoverError:
                continue  # a folder of another version says nothing about this collection
            if name in (job.name_in_use, job.source, job.target):
                return run
    raise UsageError(f"{name}: no run and no collection of a run on this machine; `changeover runs` lists them")


def subject(run: RunFolder, environ: Mapping[str, str]) -> RunFolder:
    """The run whose two sides are compared: the run itself, or the one that a way back or a cleanup follows."""
    plan = run.plan()
    while plan.follows:
        beside = RunFolder(run.path.with_name(plan.follows))
        try:
            run = beside if (beside.path / "plan.json").exists() else find(plan.follows, environ)
        except UsageError:
            raise UsageError(
                f"{run.name} goes on from {plan.follows}, whose folder is not on this machine; what it compared cannot"
                " be known here"
            ) from None
        plan = run.plan()
    return run


def unnamed_model(side: Side, run: str) -> ChangeoverError | None:
    """Why this side cannot be asked with any query, from the plan alone; None when it can."""
    if side.model is not None or (side.name == "new" and side.lexical):
        return None
    return UsageError(
        f"{side.name} side: the plan names no model for {side.collection}; name the old one with `changeover compare"
        f" {run} --set old_model.provider=... --set old_model.name=...`"
    )


def not_there(side: Side, collections: Collection[str], info: Mapping[str, Any] | None) -> ChangeoverError | None:
    """What this side lacks on the cluster now, in one line; None when it can be searched.

    `collections` are real names (an alias of that name is another collection), `info` the answer to GET of it.
    """
    fate = "it was removed" if side.name == "old" else "the run has not made it yet, or it was removed"
    if side.collection not in collections or info is None:
        return BlockedError(f"{side.name} side: collection {side.collection} is not there: {fate}")
    params = info["config"]["params"]
    dense = params.get("vectors") or {}
    vectors = {"": dense} if "size" in dense else dense
    if side.model is not None and side.vector not in vectors:
        vector = f"vector {side.vector}" if side.vector else "the unnamed vector"
        return BlockedError(f"{side.name} side: {side.collection} has no {vector.removeprefix('the ')}: {fate}")
    if side.terms is not None and side.terms_vector not in (params.get("sparse_vectors") or {}):
        return BlockedError(f"{side.name} side: {side.collection} has no sparse vector {side.terms_vector}: {fate}")
    if side.text_field and side.text_field not in (info.get("payload_schema") or {}):
        return BlockedError(f"{side.name} side: {side.collection} has no text index on {side.text_field}: {fate}")
    return None


def _new_model(job: Job, old_model: ModelSpec | None) -> ModelSpec | None:
    """What the queries of the vector that serves afterwards are embedded with."""
    make = job.make(job.target_vector)
    if isinstance(make, FromTerms | Kept):
        return None
    stays = make is None or (isinstance(make, FromVector) and not make.maps)
    return old_model if stays else job.model
