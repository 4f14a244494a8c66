"""Requests about chosen points, in parts as large as a request may be: strict mode limits ids as it limits pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from changeover.cluster.errors import Action, ClusterError
from changeover.engine.context import Context
from changeover.engine.hashes import payload_hash
from changeover.engine.patience import patiently
from changeover.survey.model import PointId

if TYPE_CHECKING:
    from changeover.cluster.api import Page

T = TypeVar("T")


class State(NamedTuple):
    """Hashes of a point's payload and, in a thorough run, of its carried vectors."""

    payload: bytes
    carried: bytes


def read(
    ctx: Context,
    collection: str,
    ids: Sequence[PointId],
    *,
    payload: bool | Sequence[str] = True,
    vectors: Sequence[str] = (),
    paced: bool = False,
) -> Iterator[Page]:
    """Pages with these points, each in id order; those that are not there are left out. `paced` counts against the rate."""

    def ask(part: list[PointId]) -> Page:
        if paced:
            ctx.throttle.admit(len(part))
        chosen = {"must": [{"has_id": part}]}
        return ctx.wire.scroll(collection, start=None, limit=len(part), payload=payload, vectors=vectors, filter=chosen)

    yield from in_parts(ctx, ids, ask)


def existing(ctx: Context, collection: str, ids: Sequence[PointId]) -> set[PointId]:
    """Which of these points the collection has."""
    return {point_id for page in read(ctx, collection, ids, payload=False) for point_id in page.ids}


def payload_hashes(ctx: Context, collection: str, ids: Sequence[PointId]) -> dict[PointId, bytes]:
    """Hash of the payload of each of these points that the collection has."""
    return {
        point_id: payload_hash(page.payload(row))
        for page in read(ctx, collection, ids)
        for row, point_id in enumerate(page.ids)
    }


def states(ctx: Context, ids: Sequence[PointId]) -> dict[PointId, State]:
    """What the new side has of these points, as far as the run watches it; those that are not there are left out."""
    watched = tuple(ctx.job.carry.values()) if ctx.job.thorough else ()
    return {
        point_id: State(payload_hash(page.payload(row)), ctx.recipe.carried(page, row, new_side=True))
        for page in read(ctx, ctx.job.target, ids, vectors=watched)
        for row, point_id in enumerate(page.ids)
    }


def delete(ctx: Context, collection: str, ids: Sequence[PointId]) -> None:
    """Delete these points; those that are not there are no error."""
    for _ in in_parts(ctx, ids, lambda part: ctx.wire.delete(collection, part)):
        pass


def in_parts(ctx: Context, ids: Sequence[PointId], request: Callable[[list[PointId]], T]) -> Iterator[T]:
    """`request` of all ids, part by part, patiently; a part that is too large is halved. Raises ClusterError."""
    left = list(ids)
    while left:
        part = left[: max(1, ctx.throttle.effective_batch)]
        try:
            answer = patiently(ctx, lambda part=part: request(part))  # type: ignore[misc]
        except ClusterError as error:
            if error.action is not Action.SPLIT or len(part) == 1:
                raise
            ctx.throttle.learn_ceiling(len(part) // 2)
            continue
        yield answer
        left = left[len(part) :]
