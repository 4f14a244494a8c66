"""What each step of a plan may send. A plan file may come from somebody else: it is data, and no step of it reaches
further than its kind says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from changeover.errors import UsageError
from changeover.plan import model as pm
from changeover.safe_text import clean

ALIASES = "/collections/aliases"
PATHS: dict[type, tuple[str, str]] = {
    pm.CreateCollection: ("PUT", "{target}"),
    pm.CreateShardKeys: ("PUT", "{target}/shards"),
    pm.CreateIndexes: ("PUT", r"{target}/index\?wait=true"),
    pm.CreateTextIndex: ("PUT", r"{target}/index\?wait=true"),
    pm.AddVector: ("PUT", r"{target}/vectors/[^/?]+\?wait=true"),
    pm.PatchVector: ("PATCH", "{target}"),
    pm.PauseIndexing: ("PATCH", "{target}"),
    pm.RestoreIndexing: ("PATCH", "{target}"),
    pm.ChangeStorage: ("PATCH", "{target}"),
    pm.WriteMetadata: ("PATCH", "{target}"),
    pm.TakeSnapshot: ("POST", r"{source}/snapshots\?wait=true"),
    pm.SwapAlias: ("POST", ALIASES),
    pm.DropCollection: ("DELETE", "{source}"),
    pm.DropVector: ("DELETE", r"{source}/vectors/[^/?]+\?wait=true"),
}
"""Step -> method and path; {source} and {target} are the collections that the job names."""


def refuse_foreign(plan: pm.Plan, where: str) -> None:
    """Raises UsageError when a step would send what its kind does not send, or to another collection."""
    job = plan.job
    if job.mode == "in-place" and job.source != job.target:
        raise UsageError(f"{where}: in place, yet of two collections ({job.source}, {job.target}); make a new plan")
    for step in plan.steps:
        for request, (method, path) in _requests(step):
            pattern = path.format(
                **{side: _path(name) for side, name in (("source", job.source), ("target", job.target))}
            )
            fits = request.method == method and re.fullmatch(pattern, request.path) is not None
            if not fits or (path == ALIASES and not _only_points_at(request.body, job.target)):
                sent = clean(f"{step.id} would send {request.method} {request.path}")
                raise UsageError(f"{where}: step {sent}, which is not its work; make a new plan with `changeover plan`")


def _requests(step: pm.Step) -> Iterator[tuple[pm.Request, tuple[str, str]]]:
    if isinstance(step, pm.ReplaceByAlias):
        yield step.remove, ("DELETE", "{source}")
        yield step.name, ("POST", ALIASES)
        return
    kind = PATHS.get(type(step))
    if kind is None:
        return
    for name in ("request", "undo"):
        if isinstance(request := getattr(step, name, None), pm.Request):
            yield request, kind
    for request in getattr(step, "requests", ()):
        yield request, kind


def _path(collection: str) -> str:
    return re.escape(f"/collections/{quote(collection, safe='')}")


def _only_points_at(body: Any, target: str) -> bool:
    """Whether a change of aliases does nothing but point some at the target."""
    actions = body.get("actions") if isinstance(body, dict) else None
    return isinstance(actions, list) and all(
        isinstance(action, dict)
        and list(action) == ["create_alias"]
        and isinstance(action["create_alias"], dict)
        and action["create_alias"].get("collection_name") == target
        for action in actions
    )
