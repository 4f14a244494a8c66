"""The way back: what it would cost without the old model, and a run that keeps it open after the cutover."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from changeover.afterwards.backs import back_run
from changeover.engine import by_ids, launch, scans
from changeover.engine import events as ev
from changeover.engine.conflicts import bases, on_both
from changeover.engine.context import Context
from changeover.engine.folder import RunFolder
from changeover.engine.hashes import payload_hash
from changeover.engine.shards import keep_up, slices_of
from changeover.engine.sides import sides_of
from changeover.errors import BlockedError
from changeover.ids import id_key
from changeover.plan.model import CountLacking, OpenWayBack, Slice
from changeover.routes import way_back as route
from changeover.words import duration, named

if TYPE_CHECKING:
    from changeover.cluster.api import Filter, Page
    from changeover.survey.model import PointId


async def count_lacking(ctx: Context, step: CountLacking) -> str:
    """Say which points would have no vector of the old model; raises BlockedError unless that was accepted."""
    await keep_up(ctx)
    ids = await asyncio.to_thread(_lacking, ctx)
    if not ids:
        return "every point has its old vector"
    found = f"{len(ids):,} points written since the cutover would lack {_old(ctx)}{named(ids)}"
    ctx.emit(ev.Progress(at=ctx.clock(), step=step.id, done=len(ids), note=found))
    if route.LACKING_CODE in ctx.accepted:
        ctx.log(f"{found} (accepted)", "warning")
        return found
    raise BlockedError(
        f"{route.LACKING_CODE}: {found}; searches would not find them. Give the old model"
        f" (`changeover rollback {ctx.plan.follows} --set old_model.provider=... --set old_model.name=...`),"
        f" or go on with `--accept {route.LACKING_CODE}`"
    )


async def open_way_back(ctx: Context, step: OpenWayBack) -> str:
    """Write the plan of the way back and start its engine; both may be there already after a crash."""
    folder = back_run(ctx.folder, 1)
    if not (folder.path / "plan.json").exists():
        done, old_model = ctx.plan, ctx.job.old_model
        plan = route.build(
            done,
            await sides_of(ctx.gateway, done),
            old_model,
            run=ctx.folder.name,
            name=folder.name,
            window_s=step.window_s,
        )
        accepted = frozenset({route.LACKING_CODE}) if old_model is None else frozenset[str]()
        RunFolder.create(plan, ctx.environ, folder.path, accepted=accepted)
    if launch.running_pid(folder) is None and folder.state().status != "finished":
        launch.start(folder, ctx.environ)
    return f"open for {duration(step.window_s)}: `changeover rollback {ctx.folder.name}`"


def _lacking(ctx: Context) -> list[PointId]:
    found: set[PointId] = set()
    for part in slices_of(ctx):
        found |= _changed(ctx.of(part.shard_key), part)
        if ctx.in_place:
            found |= _absent(ctx.of(part.shard_key), part)
    return sorted(found, key=id_key)


def _changed(ctx: Context, part: Slice) -> set[PointId]:
    """Points that have another text since the cutover, and blue-green those that are new on the side that serves."""
    kinds = ("edited",) if ctx.in_place else ("new", "edited")
    payload = scans.text_payload(ctx)

    def read(cursor: PointId | None, size: int) -> Page:
        return ctx.wire.scroll(ctx.job.source, start=cursor, limit=size, payload=payload, vectors=ctx.recipe.watches)

    found: set[PointId] = set()
    low = part.start
    for page, rows, following, last in scans.walk(ctx, part, read):
        high = part.end if last else following
        known = ctx.ledger.between(low, high)
        low = high
        differing = {page.ids[row]: scans.compare(ctx, page, row, known.get(page.ids[row])) for row in rows}
        changed = {p for p, kind in differing.items() if kind in kinds}
        if not ctx.in_place:
            asked = [p for p, kind in differing.items() if kind == "payload" or (kind == "new" and p not in known)]
            old = by_ids.payload_hashes(ctx, ctx.job.target, asked)
            here = {page.ids[row]: payload_hash(page.payload(row)) for row in rows}
            changed -= on_both(ctx, {p: here[p] for p in asked if p not in known}, old)
            # Another payload alone keeps its vector, unless the old side has another text by now, or no such point.
            changed |= {p for p in asked if p in known and old.get(p) not in (*bases(known, p), here[p])}
        found |= changed
    return found


def _absent(ctx: Context, part: Slice) -> set[PointId]:
    """In place: points that have the vector that serves, and not the old one."""
    chosen: Filter = {
        "must": [{"has_vector": ctx.job.source_vector}],
        "must_not": [{"has_vector": ctx.job.target_vector}],
    }

    def read(cursor: PointId | None, size: int) -> Page:
        return ctx.wire.scroll(ctx.job.source, start=cursor, limit=size, payload=False, filter=chosen)

    return {page.ids[row] for page, rows, _, _ in scans.walk(ctx, part, read) for row in rows}


def _old(ctx: Context) -> str:
    return f"vector {ctx.job.target_vector}" if ctx.job.target_vector else "the old vector"
