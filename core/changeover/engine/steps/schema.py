"""Steps that send the plan's own requests: collections, indexes, vectors, indexing on and off, metadata."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from changeover.cluster.errors import ClusterError
from changeover.engine.context import Context
from changeover.engine.patient import patiently
from changeover.errors import BlockedError
from changeover.plan.model import (
    AddVector,
    CreateCollection,
    CreateIndexes,
    CreateTextIndex,
    PatchVector,
    PauseIndexing,
    Request,
    RestoreIndexing,
    WriteMetadata,
)

ALREADY_THERE = 409


async def send(ctx: Context, request: Request, *, done: Callable[[], Awaitable[bool]] | None = None) -> Any:
    """Send one request of the plan, again while the answer says RETRY; raises ClusterError, UnreachableError.

    `done` is for a request that is refused the second time: after a retry it tells whether an attempt whose answer was
    lost had done it; then the result is None.
    """
    attempts = 0

    async def attempt() -> Any:
        nonlocal attempts
        attempts += 1
        return await ctx.gateway.send(request.method, request.path, request.body)

    try:
        return await patiently(ctx, attempt)
    except ClusterError as error:
        if done is None or error.status != ALREADY_THERE or attempts == 1 or not await done():
            raise
        return None


async def create_collection(ctx: Context, step: CreateCollection) -> str:
    """Create the target; one that this run made before a crash is taken over, any other of that name is refused."""
    taken = BlockedError(
        f"{ctx.job.target}: a collection or alias of this name appeared since the plan was made;"
        " nothing was written. Make a new plan"
    )
    if await ctx.gateway.exists(ctx.job.target):
        if step.id not in ctx.begun_before or not await _is_ours(ctx, step):
            raise taken
        return f"{ctx.job.target} was created before the interruption"
    try:
        await send(ctx, step.request, done=lambda: _is_ours(ctx, step))
    except ClusterError as error:
        if error.status == ALREADY_THERE:
            raise taken from None
        raise
    return f"{ctx.job.target} created"


async def create_indexes(ctx: Context, step: CreateIndexes) -> str:
    """Create every payload index before the points come (creating one again is answered 200)."""
    for request in step.requests:
        await send(ctx, request)
    return f"{len(step.requests)} payload indexes"


async def add_vector(ctx: Context, step: AddVector) -> str:
    """Add the vector name; the same configuration again is answered 200 (measured on 1.18.3 and 1.19.0)."""
    await send(ctx, step.request)
    return f"{step.title.lower()}: done"


async def create_text_index(ctx: Context, step: CreateTextIndex) -> str:
    """Create the text index with scoring; the server fills it from the payload (1.20)."""
    await send(ctx, step.request)
    return f"{step.request.body['field_name']} can be searched by its words"


async def patch(ctx: Context, step: PatchVector | PauseIndexing | RestoreIndexing) -> str:
    """Send the step's PATCH; the same value again changes nothing."""
    await send(ctx, step.request)
    return ""


async def write_metadata(ctx: Context, step: WriteMetadata) -> str:
    """Record the model in the collection's metadata (merged by the server from 1.16)."""
    await send(ctx, step.request)
    return "model recorded in the collection's metadata"


async def _is_ours(ctx: Context, step: CreateCollection) -> bool:
    """Whether a collection that this run tried to make is the one there: the vectors fit, and nobody else filled it."""
    info = await ctx.gateway.collection(ctx.job.target)
    wanted = step.request.body.get("vectors", {})
    found = info["config"]["params"].get("vectors") or {}
    if _sizes(wanted) != _sizes(found):
        return False
    return ctx.ledger.count() > 0 or await ctx.gateway.count(ctx.job.target) == 0


def _sizes(vectors: dict[str, Any]) -> dict[str, tuple[int, str]]:
    named = {"": vectors} if "size" in vectors else vectors
    return {name: (config["size"], config["distance"]) for name, config in named.items()}
