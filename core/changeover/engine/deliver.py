"""Get a batch of points onto the server: retry, split, isolate the one that is rejected, re-send without those gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import uuid4

from changeover.cluster.errors import Action, ClusterError
from changeover.engine.by_ids import existing
from changeover.engine.context import Context
from changeover.engine.patience import SAME_500_S, SuspectError, patiently
from changeover.engine.recipe import take
from changeover.survey.model import PointId

if TYPE_CHECKING:
    from changeover.cluster.api import Column, Page

    Columns = Mapping[str, Column]
    Still = Callable[[list[PointId]], set[PointId]]

MOST_SUSPECTS = 5
"""More points than this of one batch that are answered 500 are no bad points: a shard is away, or the server ill."""


class Outcome:
    """What became of a batch: rows that the server took, that it rejected for good, that are gone, or that others wrote."""

    def __init__(self) -> None:
        self.written: list[int] = []
        self.rejected: dict[int, str] = {}
        self.gone: list[int] = []
        self.touched: list[int] = []


class TouchedError(Exception):
    """Between two attempts somebody else wrote these points."""

    def __init__(self, ids: set[PointId]) -> None:
        super().__init__(f"{len(ids)} points were written by others")
        self.ids = ids


def deliver(
    ctx: Context, page: Page, rows: Sequence[int], columns: Columns, *, guard: bool, still: Still | None = None
) -> Outcome:
    """Write entry i of every column for `rows[i]` of the page; a point without an entry gets no such vector.

    In place only the new vectors are written; blue-green the whole point. `still` says which points may still be
    written; it is asked before a request is sent again. Raises ClusterError(STOP), StoppedError.
    """
    delivery = _Delivery(ctx, page, rows, columns, guard, still)
    size = max(1, ctx.throttle.effective_batch)
    positions = list(range(len(rows)))
    for start in range(0, len(positions), size):
        delivery.deliver(positions[start : start + size])
    return delivery.outcome


class _Delivery:
    """One batch on its way; a `part` of it is a list of positions in `rows`."""

    def __init__(
        self,
        ctx: Context,
        page: Page,
        rows: Sequence[int],
        columns: Columns,
        guard: bool,
        still: Still | None,
    ) -> None:
        self.outcome = Outcome()
        self._still, self._sent = still, False
        self._ctx, self._page, self._rows, self._columns, self._guard = ctx, page, rows, columns, guard
        self._same_500_s: float | None = SAME_500_S
        self._suspects: dict[int, str] | None = None
        """Position -> what the server says of it, while the point is looked for that makes it answer 500."""

    def deliver(self, part: list[int]) -> None:
        """Write it, in halves where it must be."""
        try:
            unless_gone(self._ctx, self._ids(part), lambda: self._write(part), same_500_s=self._same_500_s)
            self.outcome.written += [self._rows[i] for i in part]
            return
        except TouchedError as touched:
            self.outcome.touched += [self._rows[i] for i in part if self._page.ids[self._rows[i]] in touched.ids]
            left = [i for i in part if self._page.ids[self._rows[i]] not in touched.ids]
            if left:
                self.deliver(left)
            return
        except SuspectError as error:
            if self._suspects is None:
                self._search(part, error)
                return
            if len(part) == 1:
                self._suspects[part[0]] = str(error)
                if len(self._suspects) > MOST_SUSPECTS:
                    raise
                return
        except ClusterError as error:
            if error.action is Action.MISSING:
                self._without_gone(part)
                return
            if error.action not in (Action.SPLIT, Action.SKIP):
                raise
            if len(part) == 1:
                self.outcome.rejected[self._rows[part[0]]] = str(error)
                return
            if error.action is Action.SPLIT:
                self._ctx.throttle.learn_ceiling(len(part) // 2)
        middle = len(part) // 2
        for half in (part[:middle], part[middle:]):
            self.deliver(half)

    def _write(self, part: list[int]) -> None:
        ctx, job = self._ctx, self._ctx.job
        if self._still is not None and self._sent:
            touched = set(self._ids(part)) - self._still(self._ids(part))
            if touched:
                raise TouchedError(touched)
        self._sent = True
        columns = {name: take(column, part) for name, column in self._columns.items()}
        begun = time.monotonic()
        if ctx.in_place:
            ctx.wire.update_vectors(job.target, self._ids(part), columns, only_absent=self._guard)
        else:
            rows = [self._rows[i] for i in part]
            ctx.wire.upsert(job.target, self._page, rows, columns, carry=job.carry, insert_only=self._guard)
        ctx.throttle.wrote(len(part), time.monotonic() - begun)

    def _without_gone(self, part: list[int]) -> None:
        # A 404 leaves a random part of the batch unapplied (measured): what still exists is sent again, whole.
        there = existing(self._ctx, self._ctx.job.target, self._ids(part))
        self.outcome.gone += [self._rows[i] for i in part if self._page.ids[self._rows[i]] not in there]
        left = [i for i in part if self._page.ids[self._rows[i]] in there]
        if left:
            self.deliver(left)

    def _search(self, part: list[int], error: SuspectError) -> None:
        """Reject the few points that the server answers 500 to while it takes others; else wait for the server."""
        self._ctx.log(f"the same 500 for {SAME_500_S:.0f} s, looking for a point that causes it: {error}", "warning")
        before = len(self.outcome.written)
        suspects = self._suspected(part)
        if suspects and (len(self.outcome.written) > before or self._takes_writes()):
            # Once more: the server may have been the cause, and be well again since.
            suspects = self._suspected(list(suspects))
            self.outcome.rejected |= {self._rows[i]: words for i, words in suspects.items()}
        settled = {*self.outcome.written, *self.outcome.gone, *self.outcome.rejected, *self.outcome.touched}
        left = [i for i in part if self._rows[i] not in settled]
        if left:
            self._ctx.log("it is not one point: waiting for the server", "warning")
            self._same_500_s = None
            self.deliver(left)
            self._same_500_s = SAME_500_S

    def _suspected(self, part: list[int]) -> dict[int, str]:
        """Write what can be written of a part, halving; what is left over, or {} when that is too much for bad points."""
        self._suspects, self._same_500_s = {}, 0.0
        try:
            self.deliver(part)
            return self._suspects
        except SuspectError:
            return {}
        finally:
            self._suspects, self._same_500_s = None, SAME_500_S

    def _takes_writes(self) -> bool:
        """Whether the collection takes a write that changes nothing: deleting a point that nobody can have."""
        try:
            self._ctx.wire.delete(self._ctx.job.target, [str(uuid4())])
        except ClusterError:
            return False
        return True

    def _ids(self, part: list[int]) -> list[PointId]:
        return [self._page.ids[self._rows[i]] for i in part]


def unless_gone(
    ctx: Context, ids: Sequence[PointId], request: Callable[[], None], *, same_500_s: float | None = None
) -> None:
    """Send patiently; raises ClusterError(MISSING) only when one of `ids` is really gone from the target.

    A point can be inserted again, or a replica lag behind, between the answer and the look: that is asked again.
    """

    def checked() -> None:
        try:
            request()
        except ClusterError as error:
            if error.action is Action.MISSING and not set(ids) - existing(ctx, ctx.job.target, ids):
                raise ClusterError(f"{error}; but every point is there", Action.RETRY, where=error.where) from None
            raise

    patiently(ctx, checked, same_500_s=same_500_s)
