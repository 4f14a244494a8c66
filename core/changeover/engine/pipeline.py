"""Read, embed and write at the same time, through bounded queues, so that the embedder never waits for the server."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from changeover.engine import by_ids, left_out, stale
from changeover.engine import events as ev
from changeover.engine.context import Context
from changeover.engine.deliver import deliver
from changeover.engine.hashes import payload_hash
from changeover.engine.ledger import LEFT_OUT, Entry, Mark
from changeover.engine.recipe import Made, take
from changeover.engine.reuse import reused
from changeover.errors import StoppedError

if TYPE_CHECKING:
    from changeover.cluster.api import Page
    from changeover.survey.model import PointId, ShardKey

T = TypeVar("T")

WRITERS = 8
"""Write threads; how many of them work at once is the throttle's `streams`."""
LOCAL_PROVIDERS = frozenset({"fastembed", "sandbox"})


@dataclass
class Batch:
    """Points of one page whose new vectors have to be made and written."""

    ctx: Context
    """The run, or its part of one shard key."""
    page: Page
    rows: Sequence[int]
    part: int | None = None
    """The slice that they are of, where they are of one."""
    guard: bool = False
    """Write only where the application has not written yet (insert-only, or where the vector is absent)."""
    only_stale: bool = False
    """Leave points alone whose stored new vectors already fit; the page must hold them."""
    reuse: bool = False
    """Only the payload changed: the new side's own vectors are written again with it."""
    base: Mapping[PointId, by_ids.State | None] | None = None
    """Sweep: the state that the new side must still have right before the write; None where it must be absent."""
    done: Callable[[], None] = lambda: None
    """Called when everything is written and in the ledger."""
    basis: list[bytes] = field(default_factory=list)
    """Per row, the hash of what its new vectors are made from."""
    made: Made | None = None


class Pipeline:
    """One load or pass: `run` blocks until every batch of every source is written, or raises the first error."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._error: BaseException | None = None
        self._abort = threading.Event()
        self._lock = threading.Lock()
        self.repaired: dict[ShardKey | None, list[PointId]] = {}
        """Points that `only_stale` batches really wrote, by shard key."""

    def run(self, sources: Iterable[Iterable[Batch]], readers: int = 2) -> None:
        """Each source is read by one reader thread at a time; raises what a worker raised."""
        to_read: queue.Queue[Iterable[Batch] | None] = queue.Queue()
        for source in sources:
            to_read.put(source)
        to_embed: queue.Queue[Batch | None] = queue.Queue(maxsize=4)
        to_write: queue.Queue[Batch | None] = queue.Queue(maxsize=4)
        embedders = embed_workers(self._ctx)
        stages = [
            [self._thread(self._read, to_read, to_embed) for _ in range(readers)],
            [self._thread(self._embed, to_embed, to_write) for _ in range(embedders)],
            [self._thread(self._write, to_write) for _ in range(WRITERS)],
        ]
        for _ in stages[0]:
            to_read.put(None)
        for stage, following in zip(stages, (to_embed, to_write, None), strict=True):
            for thread in stage:
                thread.join()
            if following is not None:
                for _ in stages[stages.index(stage) + 1]:
                    self._put(following, None)
        if self._error is not None:
            raise self._error

    def _thread(self, work: Callable[..., None], *queues: queue.Queue[Any]) -> threading.Thread:
        def guarded() -> None:
            try:
                work(*queues)
            except BaseException as error:
                with self._lock:
                    if self._error is None or isinstance(self._error, StoppedError):
                        self._error = error
                self._abort.set()

        thread = threading.Thread(target=guarded, name=work.__name__.strip("_"), daemon=True)
        thread.start()
        return thread

    def _put(self, line: queue.Queue[T], item: T) -> None:
        while not self._abort.is_set():
            try:
                line.put(item, timeout=0.2)
                return
            except queue.Full:
                continue

    def _take(self, line: queue.Queue[T | None]) -> Iterator[T]:
        while not self._abort.is_set():
            try:
                item = line.get(timeout=0.2)
            except queue.Empty:
                continue
            if item is None:
                return
            yield item

    def _read(self, to_read: queue.Queue[Iterable[Batch] | None], to_embed: queue.Queue[Batch | None]) -> None:
        for source in self._take(to_read):
            for batch in source:
                self._put(to_embed, batch)
                if self._abort.is_set():
                    return

    def _embed(self, to_embed: queue.Queue[Batch | None], to_write: queue.Queue[Batch | None]) -> None:
        for batch in self._take(to_embed):
            embed(batch)
            self._put(to_write, batch)

    def _write(self, to_write: queue.Queue[Batch | None]) -> None:
        for batch in self._take(to_write):
            self._ctx.throttle.acquire()
            try:
                lane = self._ctx.lanes.taken(len(batch.rows), batch.part, batch.ctx.shard_key)
                with self._ctx.meter.busy("write"), lane:
                    written = write(batch)
            finally:
                self._ctx.throttle.release()
            if batch.only_stale and written:
                with self._lock:
                    self.repaired.setdefault(batch.ctx.shard_key, []).extend(written)
            batch.done()


def embed_workers(ctx: Context) -> int:
    """Embedder threads: one for what runs here and uses all cores by itself; several to hide a network's latency."""
    remote = ctx.job.model is not None and ctx.job.model.provider not in LOCAL_PROVIDERS
    return 3 if remote else 1


def embed(batch: Batch) -> None:
    """Fill in `basis` and `made`."""
    ctx = batch.ctx
    batch.basis = [ctx.recipe.basis(batch.page, row) for row in batch.rows]
    if batch.reuse:
        batch.made = reused(ctx, batch.page, batch.rows, batch.basis)
    else:
        batch.made = ctx.recipe.make(batch.page, batch.rows)


def write(batch: Batch) -> list[PointId]:
    """Write the batch and enter it into the ledger; returns the points that got new vectors."""
    ctx, made = batch.ctx, batch.made
    assert made is not None
    has = [made.has(i) for i in range(len(batch.rows))]
    send = [i for i in range(len(batch.rows)) if not ctx.in_place or any(has[i])]
    if batch.base is not None:
        untouched = _untouched(batch, [batch.page.ids[row] for row in batch.rows])
        send = [i for i in send if batch.page.ids[batch.rows[i]] in untouched]
    send = [i for i in send if not (batch.only_stale and ctx.recipe.fits(batch.page, batch.rows[i], made, i))]
    columns = {name: take(column, send) for name, column in made.columns.items()}
    known = ctx.ledger.get([batch.page.ids[row] for row in batch.rows])
    if not ctx.in_place and not batch.guard:
        cleared = stale.clear_former(ctx, batch.page, [batch.rows[i] for i in send], columns, known)
        if cleared and batch.base is not None:
            untouched = _after_clearing(batch, untouched)
            send = [i for i in send if batch.page.ids[batch.rows[i]] in untouched]
            columns = {name: take(column, send) for name, column in made.columns.items()}
    still = (lambda ids: _untouched(batch, ids, own=True)) if batch.base is not None else None
    outcome = deliver(ctx, batch.page, [batch.rows[i] for i in send], columns, guard=batch.guard, still=still)
    rejected = {batch.rows[i]: reason for i, reason in made.refused.items()} | outcome.rejected
    gone = {*outcome.gone, *outcome.touched}
    ctx.streak.note(ctx, len(outcome.written), rejected)
    _delete_former(batch, known, [batch.page.ids[row] for row in outcome.rejected])
    entries = []
    for row, basis, there in zip(batch.rows, batch.basis, has, strict=True):
        if row in gone or (batch.base is not None and batch.page.ids[row] not in untouched):
            continue
        mark = Mark.SKIPPED if row in rejected else _mark(there)
        payload = b"" if ctx.in_place else payload_hash(batch.page.payload(row))
        entries.append((batch.page.ids[row], Entry(basis, payload, mark, ctx.recipe.carried(batch.page, row))))
    if ctx.in_place and not ctx.job.only_absent:
        holds = zip((batch.page.ids[row] for row in batch.rows), batch.basis, has, strict=True)
        stale.remove(ctx, list(holds), sweeping=batch.only_stale)
    ctx.ledger.put(entries)
    _say_left_out(ctx, known, entries, {batch.page.ids[row]: reason for row, reason in rejected.items()})
    ctx.meter.add(len(batch.rows))
    return [batch.page.ids[row] for row in outcome.written]


def _delete_former(batch: Batch, known: Mapping[PointId, Entry], rejected: list[PointId]) -> None:
    """What the server rejects now must not be served as it was before; only where nobody but this run has written it."""
    ctx = batch.ctx
    if ctx.in_place or ctx.plan.follows or ctx.job.insert_only or batch.base is not None:
        return
    former = [point_id for point_id in rejected if point_id in known and known[point_id].mark not in LEFT_OUT]
    if former:
        by_ids.delete(ctx, ctx.job.target, former)


def _say_left_out(
    ctx: Context, known: Mapping[PointId, Entry], entries: list[tuple[PointId, Entry]], rejected: dict[PointId, str]
) -> None:
    """Events for points that are left out now, and for those that were and are not any more; not for old news."""
    for point_id, entry in entries:
        before = known.get(point_id)
        was = before is not None and before.mark in LEFT_OUT
        if point_id not in rejected:
            if was:
                left_out.settled(ctx, point_id, "written")
        elif before is None or not was or before[:2] != entry[:2]:
            ctx.emit(ev.Skipped(at=ctx.clock(), id=point_id, reason=rejected[point_id], before=was))


def _mark(there: list[bool]) -> Mark:
    if all(there):
        return Mark.WRITTEN
    return Mark.PARTIAL if any(there) else Mark.BLANK


def _after_clearing(batch: Batch, ids: set[PointId]) -> set[PointId]:
    """Points that nobody else wrote while something was taken away from them; as they are now they must still be."""
    assert batch.base is not None
    now = by_ids.states(batch.ctx, list(ids))
    same = {i for i in ids if _payload(now.get(i)) in (_payload(batch.base.get(i)), stale.NO_PAYLOAD)}
    batch.base = {**batch.base, **{i: now.get(i) for i in same}}
    return same


def _payload(state: by_ids.State | None) -> bytes | None:
    return state.payload if state is not None else None


def _untouched(batch: Batch, ids: list[PointId], *, own: bool = False) -> set[PointId]:
    """Points that the application has not written on the new side since the sweep compared them.

    Embedding takes seconds, and sending again may take minutes; looking again right before a write leaves milliseconds.
    Whatever was touched stays out of the ledger, so that the next pass sees it as a conflict. With `own`, what this
    batch writes counts as untouched: an earlier attempt may have taken effect.
    """
    assert batch.base is not None
    now = by_ids.states(batch.ctx, ids)
    mine: dict[PointId, by_ids.State] = {}
    if own:
        page, carried = batch.page, batch.ctx.recipe.carried
        mine = {page.ids[row]: by_ids.State(payload_hash(page.payload(row)), carried(page, row)) for row in batch.rows}
    seen = {point_id: (batch.base.get(point_id), mine.get(point_id, batch.base.get(point_id))) for point_id in ids}
    return {point_id for point_id in ids if now.get(point_id) in seen[point_id]}
