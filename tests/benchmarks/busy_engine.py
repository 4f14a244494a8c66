"""An engine that loads for ever: its own pipeline, ledger and journal on a cluster that answers at once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from changeover.engine import events as ev
from changeover.engine.engine import _measure
from changeover.engine.lock import RunLock
from changeover.engine.steps.load import load
from changeover.plan.model import Load
from changeover.survey.model import PointId
from tests.engine import fakes

POINTS = 1_000_000_000
BATCH = 256


class EndlessCluster(fakes.MemoryCluster):
    """Has a billion points, made when they are read, and takes every write."""

    def scroll(
        self,
        name: str,
        *,
        start: PointId | None,
        limit: int,
        payload: bool | Sequence[str] = True,
        vectors: Sequence[str] = (),
        filter: dict[str, Any] | None = None,
    ) -> fakes.MemoryPage:
        """The next ids, each with a text of its own."""
        first = start if isinstance(start, int) else 0
        rows: list[tuple[PointId, dict[str, Any], dict[str, Any]]] = [
            (number, {"text": f"what point {number} says"}, {}) for number in range(first, first + limit)
        ]
        return fakes.MemoryPage(rows, first + limit)

    def upsert(self, *given: Any, **named: Any) -> None:
        """Taken."""

    async def count(self, name: str, filter: dict[str, Any] | None = None) -> int:
        """All of them."""
        return POINTS


async def work(folder: Path) -> None:
    """Load until somebody ends this process."""
    plan = fakes.plan("blue-green", fakes.slices(POINTS // 2), batch=BATCH, streams=2)
    ctx = fakes.context(folder, plan, EndlessCluster())
    lock = RunLock(ctx.folder.lock)
    lock.acquire()
    ctx.emit(ev.EngineStarted(at=ctx.clock(), pid=1, host="here", version="0", server="1.19.0"))
    ctx.emit(ev.StepStarted(at=ctx.clock(), step="load"))
    step = next(step for step in plan.steps if isinstance(step, Load))
    await asyncio.gather(load(ctx, step), _measure(ctx))


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1])))
