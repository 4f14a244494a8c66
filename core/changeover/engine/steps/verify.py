"""Verification: every id, every payload, a re-embedded sample, carried vectors, configuration and indexes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from changeover.engine import by_ids, left_out, shards
from changeover.engine import events as ev
from changeover.engine.context import Context
from changeover.engine.hashes import payload_hash
from changeover.engine.ledger import UNKNOWN, Mark
from changeover.engine.steps import compare
from changeover.engine.steps.converge import pass_with_suspects, refuse_moved_alias
from changeover.errors import UnverifiedError
from changeover.plan.model import Verify
from changeover.survey.model import PointId

ROUNDS = 4
"""A difference counts as a problem when it is still there after this many rounds of repair: until then it may be a
write under way."""
LEAST_SAMPLE = 20
"""Points sampled under each shard key at least."""
NAMED = 5
"""Ids named in a problem's line."""

Suspects = Callable[[], Awaitable[set[PointId]]]


async def verify(ctx: Context, step: Verify) -> str:
    """Emits `Verified`; raises UnverifiedError when something stays different."""
    await shards.keep_up(ctx)
    parts = shards.parts(ctx)
    looked = [await _look(part, step, max(LEAST_SAMPLE, step.sample // len(parts))) for part in parts]
    problems = [problem for part in looked for problem in part.problems]
    if not ctx.in_place:
        source, target = await ctx.gateway.collection(ctx.job.source), await ctx.gateway.collection(ctx.job.target)
        problems += compare.configuration(source, target, ctx.job)
    event = await _verified(ctx, looked, tuple(problems))
    ctx.emit(event)
    if problems:
        raise UnverifiedError(f"verification failed: {problems[0]}; nothing was cut over")
    return f"{event.target_points:,} points verified, {event.sampled or 'none'} re-embedded"


@dataclass
class _Looked:
    """What was found of the points of one shard key, or of all."""

    problems: list[str] = field(default_factory=list)
    compared: int = 0
    """Sampled points whose vectors could be compared with fresh ones."""
    lowest: float = 1.0
    """Of their cosines."""
    in_flight: int = 0


async def _look(ctx: Context, step: Verify, sample: int) -> _Looked:
    """Every id and payload; new and carried vectors of a sample."""
    looked, sides = _Looked(), compare.in_place_ids if ctx.in_place else compare.blue_green_ids
    where = f"shard key {ctx.shard_key}: " if ctx.shard_key is not None else ""

    async def by_id() -> set[PointId]:
        return await asyncio.to_thread(sides, ctx)

    bad = await _settle(ctx, step, by_id)
    if bad:
        looked.problems.append(f"{where}{len(bad):,} points differ between the sides: {_names(bad)}")
    points = await ctx.gateway.sample(ctx.job.target, sample, payload=False, shard_key=ctx.shard_key)
    ids = [point.id for point in points]

    async def by_vector() -> set[PointId]:
        low, looked.lowest, looked.compared = await asyncio.to_thread(compare.sampled_vectors, ctx, ids, step.cosine)
        return low

    bad = await _settle(ctx, step, by_vector)
    if bad:
        looked.problems.append(
            f"{where}{len(bad)} of {len(ids)} sampled points do not hold the vector of their text"
            f" (lowest cosine {looked.lowest:.4f}): {_names(bad)}"
        )
    if not ctx.in_place:
        rounded = compare.rounded(await ctx.gateway.collection(ctx.job.source))

        async def by_carried() -> set[PointId]:
            return await asyncio.to_thread(compare.carried_vectors, ctx, ids, rounded)

        bad = await _settle(ctx, step, by_carried)
        if bad:
            looked.problems.append(
                f"{where}carried vectors of {len(bad)} of {len(ids)} sampled points differ: {_names(bad)}"
            )
    looked.in_flight = len(await by_id())
    return looked


async def _verified(ctx: Context, looked: list[_Looked], problems: tuple[str, ...]) -> ev.Verified:
    job = ctx.job
    sampled = sum(part.compared for part in looked)
    has_new = {"must": [{"has_vector": job.target_vector}]}
    return ev.Verified(
        at=ctx.clock(),
        source_points=await ctx.gateway.count(job.source),
        target_points=await ctx.gateway.count(job.target, has_new if ctx.in_place else None),
        checked_ids=ctx.ledger.count(),
        sampled=sampled,
        worst_cosine=round(min(part.lowest for part in looked if part.compared), 6) if sampled else None,
        without_text=ctx.ledger.count(Mark.BLANK),
        skipped=left_out.count(ctx),
        problems=problems,
        in_flight=sum(part.in_flight for part in looked),
    )


async def _settle(ctx: Context, step: Verify, suspects: Suspects) -> set[PointId]:
    """What stays suspicious although it was repaired and looked at again, ROUNDS times.

    A point that the application wrote again during the last round is under way, not wrong: catch-up follows it.
    """
    bad = await suspects()
    still = bad
    for number in range(1, ROUNDS):
        if not bad:
            break
        await refuse_moved_alias(ctx)
        before = await asyncio.to_thread(_contents, ctx, bad)
        await asyncio.to_thread(_repair, ctx, sorted(bad, key=str))
        await pass_with_suspects(ctx, step.id, number)
        bad &= await suspects()
        after = await asyncio.to_thread(_contents, ctx, bad)
        still = {point_id for point_id in bad if after.get(point_id) == before.get(point_id)}
    return still & bad


def _contents(ctx: Context, ids: set[PointId]) -> dict[PointId, tuple[bytes, ...]]:
    """What the source holds of these points now, as far as it matters: hashes of payload, of what is embedded, of what is carried."""
    found: dict[PointId, tuple[bytes, ...]] = {}
    for page in by_ids.read(ctx, ctx.job.source, sorted(ids, key=str), vectors=ctx.recipe.watches):
        for row, point_id in enumerate(page.ids):
            recipe = ctx.recipe
            parts = (payload_hash(page.payload(row)), recipe.basis(page, row), recipe.carried(page, row))
            found[point_id] = parts
    return found


def _repair(ctx: Context, bad: list[PointId]) -> None:
    """Have the next pass write points again that the source has, and delete those that it has not.

    They stay in the ledger: the application may delete one before the pass, and then the new side must follow.
    """
    there = by_ids.existing(ctx, ctx.job.source, bad)
    ctx.ledger.put([(point_id, UNKNOWN) for point_id in bad if point_id in there])
    extra = [point_id for point_id in bad if point_id not in there]
    if extra and not ctx.in_place:
        by_ids.delete(ctx, ctx.job.target, extra)
    ctx.ledger.drop(extra)


def _names(ids: set[PointId]) -> str:
    some: list[Any] = sorted(ids, key=str)[:NAMED]
    return ", ".join(map(str, some)) + (", ..." if len(ids) > NAMED else "")
