"""What every step of a running engine works with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from changeover.cluster.api import Gateway, Wire
from changeover.engine import events as ev
from changeover.engine import state as run_state
from changeover.engine.folder import RunFolder
from changeover.engine.journal import Journal
from changeover.engine.lanes import Lanes
from changeover.engine.ledger import Ledger
from changeover.engine.left_out import Streak
from changeover.engine.meter import Meter
from changeover.engine.throttle import Throttle
from changeover.engine.waits import Waits
from changeover.errors import BudgetError, UsageError
from changeover.plan.model import FromTerms, FromText, Job, Plan

if TYPE_CHECKING:
    from changeover.embed.model import ModelSpec, SparseSpec
    from changeover.embed.protocol import Encoder
    from changeover.engine.canary import CanaryTask
    from changeover.engine.desk import Desk
    from changeover.engine.lease import Keeper
    from changeover.engine.recipe import Recipe
    from changeover.quality.matrix import Matrix
    from changeover.survey.model import ShardKey


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
    open_encoder: Callable[[ModelSpec | SparseSpec], Encoder]
    """Opens a model or a sparse encoder (blocking)."""
    canary: CanaryTask | None = None
    desk: Desk | None = None
    lease: Keeper | None = None
    lit: bool = False
    """Whether every lamp of the cutover was on in this engine when it went on to it."""
    streak: Streak = field(default_factory=Streak)
    lanes: Lanes = field(default_factory=Lanes)
    waits: Waits = field(default_factory=Waits)
    clock: Callable[[], float] = time.time
    asked_before: int = 0
    """Requests of people that were there before this engine started; counted, since a clock may be set back."""
    shard_key: ShardKey | None = None
    """The one whose points wire and ledger are about; None for all, or where sharding is automatic."""
    shard_keys: tuple[ShardKey, ...] = ()
    """Under custom sharding, the source's keys as they were at the last look."""
    _parts: dict[ShardKey, Context] = field(default_factory=dict)
    _encoders: dict[str, Encoder] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def job(self) -> Job:
        """What the steps work on."""
        return self.plan.job

    def of(self, shard_key: ShardKey | None) -> Context:
        """This context with wire and ledger for the points of one shard key; itself for None."""
        if shard_key is None:
            return self
        with self._lock:
            if shard_key not in self._parts:
                self._parts[shard_key] = cast("Context", Part(self, shard_key))
            return self._parts[shard_key]

    def overruled(self, code: str) -> bool:
        """Whether a person accepted this code, before the run or while it went on."""
        return code in self.accepted or code in self.state.accepted

    @cached_property
    def recipe(self) -> Recipe:
        """How the new vectors are made."""
        from changeover.engine.recipe import Recipe

        return Recipe(self)

    @cached_property
    def matrix(self) -> Matrix:
        """The matrix that the run fitted; raises UsageError when its file is not there."""
        from changeover.quality.matrix import Matrix

        return Matrix.load(self.folder.matrix)

    @property
    def server_embeds(self) -> bool:
        """Whether the server makes the dense vectors (its own inference)."""
        return self.job.model is not None and self.job.model.provider == "qdrant"

    @property
    def model(self) -> Encoder:
        """The job's model; opened on first use (blocking)."""
        if self.job.model is None:
            raise UsageError("the plan names no model")
        return self._opened("model", self.job.model)

    def encoder(self, make: FromText | FromTerms) -> Encoder:
        """What makes this vector; opened on first use (blocking)."""
        return self._opened(make.vector, make.encoder) if isinstance(make, FromTerms) else self.model

    def _opened(self, key: str, spec: ModelSpec | SparseSpec) -> Encoder:
        with self._lock:
            if key not in self._encoders:
                self._encoders[key] = self.open_encoder(spec)
            return self._encoders[key]

    def billed(self) -> int:
        """Tokens that paid providers have counted in this process."""
        from changeover.embed.protocol import tokens_billed

        return sum(tokens_billed(encoder) for encoder in self._encoders.values())

    def within_budget(self) -> None:
        """Raise BudgetError when all engines of the run together have spent what was allowed."""
        job = self.job
        price = job.model.price_per_million_tokens if job.model is not None else None
        allowed = self.state.spend if self.state.spend is not None else job.spend
        if allowed is None or not price:
            return
        earlier = self.state.tokens - (self.state.metrics.tokens if self.state.metrics else 0)
        spent = (earlier + self.billed()) / 1e6 * price
        if spent >= allowed:
            raise BudgetError(
                f"{spent:,.2f} of the {allowed:,.2f} that may be spent on {job.model.label} is spent; what was written"  # type: ignore[union-attr]
                f" stays. `changeover resume {self.folder.name} --spend N` goes on with a larger sum"
            )

    def close_encoders(self) -> None:
        """Free what was opened."""
        for encoder in self._encoders.values():
            encoder.close()

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


class Part:
    """A context about the points of one shard key; everything but wire and ledger is that of the whole run."""

    def __init__(self, whole: Context, shard_key: ShardKey) -> None:
        self._whole = whole
        self.shard_key = shard_key
        self.wire = whole.wire.of(shard_key)
        self.ledger = whole.ledger.of(shard_key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)
