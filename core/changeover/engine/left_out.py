"""Points that a run leaves out: each has its reason in the report, and too many of them keep the cutover shut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from changeover.engine import events as ev
from changeover.engine.ledger import Mark
from changeover.errors import BlockedError

if TYPE_CHECKING:
    from changeover.engine.context import Context
    from changeover.survey.model import PointId

CODE = "points-left-out"
FEW = 10
SHARE = 0.001
"""So many points, or this share of all where that is more, may be left out without anybody saying so."""
IN_A_ROW = 200
"""So many rejections without one success are no bad points: something is wrong with the target, the model, or a proxy."""


def count(ctx: Context) -> int:
    """How many points are left out now."""
    return ctx.ledger.count(Mark.SKIPPED) + ctx.ledger.count(Mark.AGAIN)


def too_many(ctx: Context) -> bool:
    """Whether more points are left out than goes without saying; never half of them."""
    points = ctx.ledger.count()
    return count(ctx) > min(max(FEW, SHARE * points), points // 2) and not ctx.overruled(CODE)


def lamp(ctx: Context, points: int) -> ev.Lamp:
    """The lamp of a verified run."""
    left_out = count(ctx)
    words = f"{points:,} points"
    if left_out:
        words += f", {left_out:,} left out: see the report"
    dark = too_many(ctx)
    if dark:
        words += f"; `changeover control {ctx.folder.name} accept {CODE}` goes on without them"
    elif left_out and ctx.overruled(CODE):
        words += " (accepted)"
    return ev.Lamp(name="verified", on=not dark, detail=words)


class Streak:
    """Rejections since the last success of this engine."""

    def __init__(self) -> None:
        self._length = 0

    def note(self, ctx: Context, written: int, rejected: Mapping[int, str]) -> None:
        """Count a batch's outcome; raises BlockedError when all that was tried for long was rejected."""
        self._length = 0 if written else self._length + len(rejected)
        if self._length >= IN_A_ROW and not ctx.overruled(CODE):
            reason = next(iter(rejected.values()))
            raise BlockedError(
                f"{CODE}: {self._length:,} points in a row were rejected, and none was taken: {reason}. Mend the cause and"
                f" `changeover resume {ctx.folder.name}`: they are tried again; or leave such points out:"
                f" `changeover resume {ctx.folder.name} --accept {CODE}`"
            )


def settled(ctx: Context, point_id: PointId, how: ev.How) -> None:
    """Write down that a point is not left out any more."""
    ctx.emit(ev.Settled(at=ctx.clock(), id=point_id, how=how))
