"""Sources of work: every point of a slice, what changed since, what lacks the new vector, late writes."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from changeover.cluster.errors import Action, ClusterError
from changeover.engine import by_ids, left_out
from changeover.engine import events as ev
from changeover.engine.acks import Acked, SliceAcks
from changeover.engine.conflicts import without_conflicts, without_same
from changeover.engine.context import Context
from changeover.engine.hashes import payload_hash
from changeover.engine.ledger import LEFT_OUT, UNKNOWN, Entry, Mark
from changeover.engine.patience import patiently
from changeover.engine.pipeline import Batch
from changeover.engine.recipe import text_paths
from changeover.errors import BlockedError
from changeover.ids import id_key
from changeover.plan.model import FromTerms, Make, Slice

if TYPE_CHECKING:
    from changeover.cluster.api import Filter, Page
    from changeover.survey.model import PointId, ShardKey

Kind = Literal["new", "edited", "payload", "deleted", "missing", "conflicts"]


class Found:
    """Counts differences over all slices of a pass; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Kind] = Counter()
        self.scanned = 0
        self.gone: dict[ShardKey | None, list[PointId]] = {}
        """Points to delete on the side that serves, or that is the only copy: after the pass, if they are not too many."""
        self.repaired: dict[ShardKey | None, list[PointId]] = {}
        """In place: points that the sweep gave another vector than the one that was there."""
        self.newcomers: list[PointId] = []
        """Points that `newcomers` found."""
        self.rounded: frozenset[str] = frozenset()
        """Carried vectors that a copy does not keep bit for bit."""
        self.suspects: set[PointId] = set()
        """Ids that lack the new vector although they have text and were not skipped."""

    def add(self, kind: Kind, n: int = 1) -> None:
        """Count differences of one kind."""
        with self._lock:
            self._counts[kind] += n

    def scan(self, n: int) -> None:
        """Count points looked at."""
        with self._lock:
            self.scanned += n

    def suspect(self, ids: Sequence[PointId]) -> None:
        """Remember points for a closer look."""
        with self._lock:
            self.suspects.update(ids)

    def fresh(self, ids: Sequence[PointId]) -> None:
        """Count points that are new, and remember which."""
        with self._lock:
            self._counts["new"] += len(ids)
            self.newcomers.extend(ids)

    def going(self, shard_key: ShardKey | None, ids: Sequence[PointId]) -> int:
        """Remember points to delete after the pass; returns how many there are by now."""
        with self._lock:
            self.gone.setdefault(shard_key, []).extend(ids)
            return sum(map(len, self.gone.values()))

    def event(self, at: float, step: str, number: int, seconds: float) -> ev.Differences:
        """The pass as an event."""
        counts = {str(k): v for k, v in self._counts.items()}
        return ev.Differences(at=at, step=step, number=number, seconds=round(seconds, 3), **counts)


DELETED_CODE = "many-deleted"
FEW_DELETED = 10
MANY_DELETED = 50
SHARE_DELETED = 0.01
"""More deletes in one pass than both are not carried over without a person's word; nor is half of a small collection,
beyond FEW_DELETED."""
SHARE_DELETED_SINCE = 0.2
"""The share on the way back, where the first pass meets all that the application has deleted since the cutover."""
PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""A payload key that means the same to the server's path syntax and to a template."""


def text_payload(ctx: Context) -> bool | list[str]:
    """What of the payload is read: in place only the text's fields, where they are plain keys; else everything."""
    if not ctx.in_place:
        return True
    wanted = list(text_paths(ctx.job))
    if not wanted:
        return False
    return wanted if all(PLAIN_KEY.fullmatch(path) for path in wanted) else True


def copied(ctx: Context) -> tuple[str, ...]:
    """Stored vectors that a write needs: those that new ones are computed from and, blue-green, those carried over."""
    carried = () if ctx.in_place else tuple(ctx.job.carry)
    return tuple(dict.fromkeys((*ctx.recipe.reads, *carried)))


def walk(
    ctx: Context,
    part: Slice,
    read: Callable[[PointId | None, int], Page],
    start: PointId | None = None,
    *,
    paced: bool = False,
    ids_only: bool = False,
) -> Iterator[tuple[Page, list[int], PointId | None, bool]]:
    """Pages of a slice from `start`: (page, rows inside the slice, id to read next, whether it was the last page).

    With `paced` every point counts against the rate; without, only a pause and the canary hold the reading back. Pages
    are as large as a batch, or, where `ids_only` are read, as large as the server lets them be.
    """
    end = id_key(part.end) if part.end is not None else None
    cursor = start if start is not None else part.start
    while True:
        size = ctx.throttle.ids_at_once if ids_only else ctx.throttle.effective_batch
        ctx.throttle.admit(size if paced else 0)
        try:
            page = patiently(ctx, lambda cursor=cursor, size=size: read(cursor, size))  # type: ignore[misc]
        except ClusterError as error:
            if error.action is not Action.SPLIT or size == 1:
                raise
            if ids_only:
                ctx.throttle.ids_at_once = size // 2
            else:
                ctx.throttle.learn_ceiling(size // 2)
            continue
        rows = [i for i, point_id in enumerate(page.ids) if end is None or id_key(point_id) < end]
        following = page.next
        last = following is None or len(rows) < len(page.ids) or (end is not None and id_key(following) >= end)
        yield page, rows, following, last
        if last:
            return
        cursor = following


def load(
    ctx: Context, part: Slice, start: PointId | None, points: int, acked: Callable[[Acked], None]
) -> Iterator[Batch]:
    """Every point of the slice from `start` on; `acked` is told how far the slice is without a gap."""
    acks = SliceAcks(start if start is not None else part.start, points)
    lock = threading.Lock()
    job = ctx.job
    vectors = copied(ctx)
    payload = text_payload(ctx)

    def read(cursor: PointId | None, size: int) -> Page:
        return ctx.wire.scroll(job.source, start=cursor, limit=size, payload=payload, vectors=vectors)

    for page, rows, following, last in walk(ctx, part, read, start, paced=True):
        with lock:
            number = acks.register(following, len(rows), last=last)

        def done(number: int = number) -> None:
            with lock:
                acked(acks.ack(number))

        yield Batch(
            ctx=ctx,
            page=page,
            rows=rows,
            part=part.number,
            guard=job.only_absent if ctx.in_place else job.insert_only,
            done=done,
        )


def changed(ctx: Context, part: Slice, found: Found, *, sweep: bool = False) -> Iterator[Batch]:
    """Points of the slice that differ from the ledger: new, edited, other payload; and deletes those that are gone.

    With `sweep` the new side may have been written by the application: it is compared with the ledger first, and a
    point that both sides changed is left as the new side has it and reported.
    """
    job = ctx.job
    payload = text_payload(ctx)
    watched = ctx.recipe.watches

    def read(cursor: PointId | None, size: int) -> Page:
        return ctx.wire.scroll(job.source, start=cursor, limit=size, payload=payload, vectors=watched)

    low = part.start
    for page, rows, following, last in walk(ctx, part, read):
        high = part.end if last else following
        known = ctx.ledger.between(low, high)
        low = high
        found.scan(len(rows))
        differing: dict[PointId, Kind] = {}
        for row in rows:
            kind = compare(ctx, page, row, known.get(page.ids[row]))
            if kind is not None:
                differing[page.ids[row]] = kind
        present = {page.ids[row] for row in rows}
        gone = [p for p, entry in known.items() if p not in present and entry.mark is not Mark.ASIDE]
        seen: dict[PointId, by_ids.State] = {}
        if sweep and not ctx.in_place:
            differing, gone, seen = without_conflicts(ctx, found, known, differing, gone)
        elif ctx.plan.follows and not ctx.in_place:
            differing = without_same(ctx, page, found, known, differing, gone)
        for kind in differing.values():
            found.add(kind)
        if not ctx.in_place:
            # Noted before it is written: were it lost with a crash, nobody would delete the point with the source's.
            ctx.ledger.put([(p, UNKNOWN) for p, kind in differing.items() if kind == "new"])
        if gone and careful(ctx, sweep=sweep):
            _delete_later(ctx, found, gone)
        elif gone:
            delete_gone(ctx, found, gone)
        if differing:
            base = {p: seen.get(p) for p in differing}
            for reuse in (False, True):
                yield from again(
                    ctx,
                    [p for p, kind in differing.items() if (kind == "payload") is reuse],
                    stale_only=sweep and ctx.in_place,
                    reuse=reuse,
                    base=base if sweep and not ctx.in_place else None,
                    part=part.number,
                )


def newcomers(ctx: Context, part: Slice, found: Found) -> Iterator[Batch]:
    """Points of the slice that neither the ledger nor the new side has, by their ids alone: far quicker than a pass.

    Nobody can tell a point that was inserted on the old side in the last moment from one that the application has
    deleted on the new side since. Bringing such points over right before the swap and right after it leaves little time.
    """

    def read(cursor: PointId | None, size: int) -> Page:
        return ctx.wire.scroll(ctx.job.source, start=cursor, limit=size, payload=False, vectors=())

    low = part.start
    for page, rows, following, last in walk(ctx, part, read, ids_only=True):
        high = part.end if last else following
        known = ctx.ledger.between(low, high)
        low = high
        fresh = [page.ids[row] for row in rows if page.ids[row] not in known]
        if fresh:
            there = by_ids.existing(ctx, ctx.job.target, fresh)
            fresh = [point_id for point_id in fresh if point_id not in there]
            found.fresh(fresh)
            # Noted before it is written, as in `changed`.
            ctx.ledger.put([(point_id, UNKNOWN) for point_id in fresh])
            yield from again(ctx, fresh, base=dict.fromkeys(fresh), part=part.number)


def compare(ctx: Context, page: Page, row: int, entry: Entry | None) -> Kind | None:
    """How a point of the source differs from what the ledger remembers; None when it does not.

    "payload" stands for everything that is copied: the payload and, in a thorough run, the carried vectors.
    """
    if entry is None or entry == UNKNOWN:
        return "new"
    if entry.mark is Mark.TRUSTED:
        if ctx.in_place or payload_hash(page.payload(row)) == entry.payload:
            return None if ctx.recipe.carried(page, row) == entry.carried else "payload"
        return "edited"
    if entry.mark is Mark.ASIDE and payload_hash(page.payload(row)) == entry.payload:
        return None
    if entry.mark is Mark.AGAIN or ctx.recipe.basis(page, row) != entry.text:
        return "edited"
    same = payload_hash(page.payload(row)) == entry.payload and ctx.recipe.carried(page, row) == entry.carried
    return None if ctx.in_place or same else "payload"


def again(
    ctx: Context,
    ids: list[PointId],
    *,
    stale_only: bool = False,
    reuse: bool = False,
    base: dict[PointId, by_ids.State | None] | None = None,
    part: int | None = None,
) -> Iterator[Batch]:
    """Read these points anew, whole, and have them embedded (or, with `reuse`, their new vectors copied) and written."""
    job = ctx.job
    vectors = (*copied(ctx), *ctx.recipe.names) if stale_only else copied(ctx)
    payload = text_payload(ctx)
    for page in by_ids.read(ctx, job.source, ids, payload=payload, vectors=vectors, paced=True):
        if page.ids:  # the application may have deleted them all meanwhile
            rows = list(range(len(page.ids)))
            yield Batch(ctx=ctx, page=page, rows=rows, part=part, only_stale=stale_only, reuse=reuse, base=base)


def missing(ctx: Context, part: Slice, found: Found, *, guard: bool = False) -> Iterator[Batch]:
    """In place: points of the slice without one of the new vectors, although they have what it is made from.

    Presence is asked of the server (`has_vector`), since an upsert of the application can drop the vector
    (measured: 1.19.0 always, 1.18.3 in appendable segments).
    """
    for make in ctx.recipe.makes:
        yield from _missing(ctx, part, found, make, guard)


def _missing(ctx: Context, part: Slice, found: Found, make: Make, guard: bool) -> Iterator[Batch]:
    job = ctx.job
    absent: Filter = {"must_not": [{"has_vector": make.vector}]}
    payload = text_payload(ctx)
    basis = ctx.recipe.reads

    def read(cursor: PointId | None, size: int) -> Page:
        return ctx.wire.scroll(job.source, start=cursor, limit=size, payload=payload, vectors=basis, filter=absent)

    for page, rows, _, _ in walk(ctx, part, read):
        entries = ctx.ledger.get([page.ids[row] for row in rows])
        wanted = [row for row in rows if _lacks(ctx, page, row, make, entries.get(page.ids[row]))]
        if wanted:
            unexplained = [page.ids[row] for row in wanted if page.ids[row] in entries]
            found.add("missing", len(unexplained))
            found.suspect([page.ids[row] for row in wanted])
            ctx.throttle.admit(len(wanted))
            yield Batch(ctx=ctx, page=page, rows=wanted, part=part.number, guard=guard)


def _lacks(ctx: Context, page: Page, row: int, make: Make, entry: Entry | None) -> bool:
    if not ctx.recipe.can_make(make, page, row):
        return False
    explained = {Mark.SKIPPED, Mark.PARTIAL, Mark.BLANK} if isinstance(make, FromTerms) else {Mark.SKIPPED}
    return entry is None or entry.mark not in explained or entry.text != ctx.recipe.basis(page, row)


def careful(ctx: Context, *, sweep: bool) -> bool:
    """Whether what is deleted may be the only copy: the side that serves after a cutover, or the old one on a way back."""
    return not ctx.in_place and (sweep or bool(ctx.plan.follows))


def _delete_later(ctx: Context, found: Found, gone: list[PointId]) -> None:
    """Raises BlockedError when so many are gone that somebody emptied, or made anew, the side that is read."""
    going = found.going(ctx.shard_key, gone)
    points = ctx.ledger.count()
    share = SHARE_DELETED_SINCE if ctx.plan.follows else SHARE_DELETED
    most = max(FEW_DELETED, min(max(MANY_DELETED, share * points), points / 2))
    if going > most and not ctx.overruled(DELETED_CODE):
        raise BlockedError(
            f"{DELETED_CODE}: {going:,} or more of {points:,} points are gone from {ctx.job.source} since the"
            f" last pass; was it emptied, or made anew? Nothing was deleted on {ctx.job.target}. If they are to go there"
            f" too: `changeover resume {ctx.folder.name} --accept {DELETED_CODE}`"
        )


def delete_gone(ctx: Context, found: Found, gone: list[PointId], *, sweep: bool = False) -> None:
    """Delete on the other side what is gone from the source, and forget it; not what that side wrote since the look."""
    known = ctx.ledger.get(gone)
    if sweep and not ctx.in_place:
        _, gone, _ = without_conflicts(ctx, found, known, {}, gone)
    # Asked again before anything is deleted: a point can be written between the scroll and now.
    back = by_ids.existing(ctx, ctx.job.source, gone)
    gone = [point_id for point_id in gone if point_id not in back]
    if not gone:
        return
    if not ctx.in_place:
        by_ids.delete(ctx, ctx.job.target, gone)
    ctx.ledger.drop(gone)
    found.add("deleted", len(gone))
    for point_id in gone:
        if point_id in known and known[point_id].mark in LEFT_OUT:
            left_out.settled(ctx, point_id, "deleted")
