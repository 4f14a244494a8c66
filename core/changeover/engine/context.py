"""What every step of a running engine works with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from changeover.cluster.api import Gateway, Wire
from changeover.engine import events as ev
from changeover.engine import state as run_state
from changeover.engine.folder import RunFolder
from changeover.engine.journal import Journal
from changeover.engine.ledger import Ledger
from changeover.engine.meter import Meter
from changeover.engine.throttle import Throttle
from changeover.plan.model import Job, Plan

if TYPE_CHECKING:
    from changeover.embed.protocol import Embedder
    from changeover.engine.canary import CanaryTask
    from changeover.engine.desk import Desk


@dataclass(kw_only=True)
class Context:
    """Made once per engine process; `emit` writes to the journal and folds the event into `state`."""

    folder: RunFolder
    plan: Plan
    journal: Journal
    ledger: Ledger
    throttle: Throttle
    gateway: Gateway
    wire: Wire
    meter: Meter
    accepted: frozenset[str]
    begun_before: frozenset[str]
    """Steps that an earlier engine of this run began."""
    environ: dict[str, str]
    state: run_state.RunState
    open_embedder: Callable[[], Embedder]
    canary: CanaryTask | None = None
    desk: Desk | None = None
    clock: Callable[[], float] = time.time
    _embedder: Embedder | None = field(default=None)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def job(self) -> Job:
        """What the steps work on."""
        return self.plan.job

    @property
    def embedder(self) -> Embedder:
        """The new model; loaded on first use (blocking)."""
        with self._lock:
            if self._embedder is None:
                self._embedder = self.open_embedder()
            return self._embedder

    @property
    def in_place(self) -> bool:
        """Whether the new vector goes into the collection that serves."""
        return self.job.mode == "in-place"

    def emit(self, event: ev.Event) -> None:
        """Write an event down and take it into the state; any thread may."""
        with self._lock:
            self.journal.write(event)
            self.state = run_state.fold(self.state, [event])

    def log(self, text: str, level: ev.Level = "info") -> None:
        """One line for the people who watch."""
        self.emit(ev.Log(at=self.clock(), level=level, text=text))
