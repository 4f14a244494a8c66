"""Points that both sides changed around a cutover: which side is kept, and who is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.engine import by_ids
from changeover.engine import events as ev
from changeover.engine.context import Context
from changeover.engine.hashes import payload_hash
from changeover.engine.ledger import LEFT_OUT, UNKNOWN, Entry, Mark
from changeover.plan.model import Kept

if TYPE_CHECKING:
    from changeover.cluster.api import Page
    from changeover.engine.by_ids import State
    from changeover.engine.scans import Found, Kind
    from changeover.survey.model import PointId


def without_conflicts(
    ctx: Context,
    found: Found,
    known: dict[PointId, Entry],
    differing: dict[PointId, Kind],
    gone: list[PointId],
) -> tuple[dict[PointId, Kind], list[PointId], dict[PointId, State]]:
    """Leave out what the new side changed since the ledger was written; such points keep the new side's state.

    Returns what is left, and the states that the new side was seen to have.
    """
    asked = [*differing, *gone]
    if not asked:
        return differing, gone, {}
    seen = by_ids.states(ctx, asked)
    target = {point_id: state.payload for point_id, state in seen.items()}
    touched = {point_id for point_id in asked if target.get(point_id) not in bases(known, point_id)}
    vectors = _other_vectors(ctx, found, [p for p in differing if p in seen and p not in touched], known, seen)
    touched |= vectors
    reported = _settle(ctx, [p for p in touched if p in differing], [p for p in touched if p in gone], target, vectors)
    for point_id, reason in reported.items():
        found.add("conflicts")
        ctx.emit(ev.Conflict(at=ctx.clock(), id=point_id, kept="new", reason=reason))
    left = {p: k for p, k in differing.items() if p not in touched}
    return left, [p for p in gone if p not in touched], seen


def _other_vectors(
    ctx: Context, found: Found, ids: list[PointId], known: dict[PointId, Entry], seen: dict[PointId, State]
) -> set[PointId]:
    """Thorough: points whose carried vectors the new side changed, and that differ from the old side's by more than a
    copy's rounding."""
    from changeover.engine.steps.compare import carried_vectors  # which itself walks as the passes do

    changed = [p for p in ids if p in known and known[p].carried != seen[p].carried]
    return carried_vectors(ctx, changed, found.rounded) if changed else set()


def without_same(
    ctx: Context,
    page: Page,
    found: Found,
    known: dict[PointId, Entry],
    differing: dict[PointId, Kind],
    gone: list[PointId],
) -> dict[PointId, Kind]:
    """On the way back the side that serves is kept: name the points that were also written on the other since.

    Where nobody makes old vectors, a point that the application gave both sides is left as the old one has it.
    """
    asked = [*differing, *gone]
    if not asked:
        return differing
    target = by_ids.payload_hashes(ctx, ctx.job.target, asked)
    source = {page.ids[row]: payload_hash(page.payload(row)) for row in range(len(page.ids))}
    for point_id in asked:
        now = target.get(point_id)
        if now not in (*bases(known, point_id), source.get(point_id)):
            found.add("conflicts")
            reason = "written on the old side too after the cutover; the new side's state is brought back"
            ctx.emit(ev.Conflict(at=ctx.clock(), id=point_id, kept="new", reason=reason))
            if differing.get(point_id) == "payload":  # the old side's vector is of another text by now
                differing[point_id] = "edited"
    same = on_both(ctx, {p: source[p] for p, kind in differing.items() if kind == "new" and p not in known}, target)
    rows = {page.ids[row]: row for row in range(len(page.ids)) if page.ids[row] in same}
    ctx.ledger.put(
        (p, Entry(ctx.recipe.basis(page, row), source[p], Mark.WRITTEN, ctx.recipe.carried(page, row)))
        for p, row in rows.items()
    )
    return {p: kind for p, kind in differing.items() if p not in same}


def on_both(ctx: Context, source: dict[PointId, bytes], target: dict[PointId, bytes]) -> set[PointId]:
    """Points with the same payload on both sides, where the vectors of neither can be made anew."""
    kept = any(isinstance(make, Kept) for make in ctx.job.makes)
    return {p for p, payload in source.items() if target.get(p) == payload} if kept else set()


def bases(known: dict[PointId, Entry], point_id: PointId) -> tuple[bytes | None, ...]:
    """Hashes of the payload that this run may have left on the new side; None for a point that it left absent.

    What was left out is absent where the server rejected it, and there without its vector where the model did.
    """
    entry = known.get(point_id, UNKNOWN)
    if entry == UNKNOWN:
        return (None,)
    return (None, entry.payload) if entry.mark in LEFT_OUT else (entry.payload,)


def _settle(
    ctx: Context,
    differing: list[PointId],
    gone: list[PointId],
    target: dict[PointId, bytes],
    vectors: set[PointId],
) -> dict[PointId, str]:
    """Enter the old side's present state into the ledger, so that a conflict is reported once; returns the conflicts.

    A point that is deleted, or the same, on both sides is no conflict; `vectors` are points whose carried vectors differ.
    """
    ctx.ledger.drop(gone)
    reasons = {p: "deleted on the old side, but the new side had changed it" for p in gone if p in target}
    if not differing:
        return reasons
    rows = []
    for page in by_ids.read(ctx, ctx.job.source, differing, vectors=ctx.recipe.watches):
        for row, point_id in enumerate(page.ids):
            basis, carried = ctx.recipe.basis(page, row), ctx.recipe.carried(page, row)
            entry = Entry(basis, payload_hash(page.payload(row)), Mark.WRITTEN, carried)
            rows.append((point_id, entry))
            if target.get(point_id) != entry.payload or point_id in vectors:
                reasons[point_id] = "written on the old side after the new side had changed it"
    ctx.ledger.put(rows)
    return reasons
