"""The state of a run as a fold over its journal: what every screen and report shows. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from changeover.engine import events as ev
from changeover.engine.troubles import Kind, Trouble, key_of, noted
from changeover.errors import ExitCode
from changeover.plan.model import Plan
from changeover.quality.model import QualityReport

StepStatus = Literal["waiting", "running", "done"]
RunStatus = Literal["new", "running", "paused", "ready", "stopped", "finished"]

HISTORY = 240
"""How many one-second samples of the rate are kept for the sparkline."""
ASKED = 50
"""How many answered requests are remembered."""
LOG_LINES = 500


class StepState(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the plan as it stands."""

    id: str
    title: str
    kind: str
    status: StepStatus = "waiting"
    started_at: float | None = None
    ended_at: float | None = None
    done: int = 0
    total: int | None = None
    note: str = ""
    detail: str = ""


class RunState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a screen shows of a run."""

    steps: tuple[StepState, ...] = ()
    status: RunStatus = "new"
    started_at: float | None = None
    last_at: float | None = None
    engines: int = 0
    """Engines that have worked on this run; more than one means it was resumed."""
    pid: int | None = None
    server: str = ""
    metrics: ev.Metrics | None = None
    rates: tuple[float, ...] = ()
    canary: ev.Canary | None = None
    searches: int = 0
    """Canary searches over all engines of the run."""
    failures: int = 0
    differences: ev.Differences | None = None
    passes: tuple[ev.Differences, ...] = ()
    verified: ev.Verified | None = None
    quality: QualityReport | None = None
    ready: ev.CutoverReady | None = None
    cutover: ev.CutOver | None = None
    tokens: int = 0
    """Tokens billed by the model's provider, over all engines."""
    accepted: tuple[str, ...] = ()
    """Codes that a person accepted while the run went on."""
    when_ready: bool = False
    """A person confirmed the cutover: it is sent as soon as every lamp is on."""
    spend: float | None = None
    """Money at most, where a person changed the plan's limit."""
    skipped: int = 0
    skipped_sample: tuple[ev.Skipped, ...] = ()
    conflicts: tuple[ev.Conflict, ...] = ()
    matrix: ev.MatrixFitted | None = None
    storage: tuple[ev.StorageMeasured, ...] = ()
    """Measured before and after a change of the storage."""
    warnings: int = 0
    errors: int = 0
    log: tuple[tuple[float, str, str], ...] = ()
    """(at, level, text), oldest first, at most LOG_LINES."""
    troubles: tuple[Trouble, ...] = ()
    """What went wrong or slower than asked, each once; the latest is last."""
    paused: str = ""
    asked: tuple[ev.Controlled, ...] = ()
    """Requests of people that were taken up or refused, oldest first."""
    stopped: ev.EngineStopped | None = None
    finished: ev.RunFinished | None = None
    acked: dict[str, dict[int, ev.SliceAcked]] = {}
    """step -> slice -> last checkpoint."""

    def step(self, step_id: str) -> StepState:
        """The step of that id; raises KeyError."""
        for step in self.steps:
            if step.id == step_id:
                return step
        raise KeyError(step_id)

    @property
    def current(self) -> StepState | None:
        """The running step, or None."""
        return next((s for s in self.steps if s.status == "running"), None)


def begin(plan: Plan) -> RunState:
    """The state before the first event."""
    kinds = [(s.id, s.title, type(s).__struct_config__.tag) for s in plan.steps]
    return RunState(steps=tuple(StepState(id=i, title=t, kind=str(k)) for i, t, k in kinds))


def fold(state: RunState, events: Iterable[ev.Event]) -> RunState:
    """The state after the events."""
    for event in events:
        state = _fold_one(state, event)
    return state


def eta_s(state: RunState) -> float | None:
    """Seconds until the running step is done at the present rate, or None when that cannot be said."""
    step = state.current
    if step is None or not step.total or state.last_at is None:
        return None
    left = max(0, step.total - step.done)
    recent = state.rates[-10:]
    if step.kind == "load" and sum(recent) > 0:
        return left / (sum(recent) / len(recent))
    if step.started_at is None or step.done <= 0:
        return None
    elapsed = state.last_at - step.started_at
    return left * elapsed / step.done if elapsed > 0 else None


def _replace(state: RunState, **changes: object) -> RunState:
    return msgspec.structs.replace(state, **changes)


def _set_step(state: RunState, step_id: str, **changes: object) -> RunState:
    steps = tuple(msgspec.structs.replace(s, **changes) if s.id == step_id else s for s in state.steps)
    return _replace(state, steps=steps)


def _noted(state: RunState, kind: Kind, text: str, at: float, *, times: int = 1, waited_s: float = 0.0) -> RunState:
    return _replace(state, troubles=noted(state.troubles, kind, text, at, times=times, waited_s=waited_s))


def _slowed(state: RunState, event: ev.Metrics) -> RunState:
    """Counted once each time it begins, with the seconds that it lasts; a wait for an answer has its own event."""
    if not event.throttle or event.throttle.startswith("waiting "):
        return state
    before = state.metrics
    goes_on = before is not None and key_of(before.throttle) == key_of(event.throttle)
    lasted = min(2.0, event.at - before.at) if goes_on and before is not None else 0.0
    return _noted(state, "slowed", event.throttle, event.at, times=not goes_on, waited_s=max(0.0, lasted))


def _logged(state: RunState, at: float, level: str, text: str) -> RunState:
    return _replace(
        state,
        log=(*state.log[-(LOG_LINES - 1) :], (at, level, text)),
        warnings=state.warnings + (level == "warning"),
        errors=state.errors + (level == "error"),
    )


def _fold_one(state: RunState, event: ev.Event) -> RunState:
    state = _replace(state, last_at=event.at)
    match event:
        case ev.EngineStarted():
            again = state.engines > 0
            state = _replace(
                state,
                engines=state.engines + 1,
                pid=event.pid,
                server=event.server,
                status="running",
                started_at=state.started_at or event.at,
                stopped=None,
                paused="",
                canary=None,
                metrics=None,
            )
            words = "engine resumed" if again else "engine started"
            return _logged(state, event.at, "info", f"{words}, pid {event.pid}, server {event.server}")
        case ev.StepStarted():
            old = state.step(event.step)
            state = _set_step(state, event.step, status="running", started_at=old.started_at or event.at)
            state = _replace(state, status="running" if state.status == "ready" else state.status)
            return _logged(state, event.at, "info", f"{old.title}: started")
        case ev.StepDone():
            title = state.step(event.step).title
            state = _set_step(state, event.step, status="done", ended_at=event.at, detail=event.detail)
            text = f"{title}: done" + (f", {event.detail}" if event.detail else "")
            return _logged(state, event.at, "info", text)
        case ev.Progress():
            return _set_step(state, event.step, done=event.done, total=event.total, note=event.note)
        case ev.SliceAcked():
            per_step = {**state.acked.get(event.step, {}), event.slice: event}
            return _replace(state, acked={**state.acked, event.step: per_step})
        case ev.Metrics():
            state = _slowed(state, event)
            billed = state.tokens + event.tokens - (state.metrics.tokens if state.metrics else 0)
            rates = (*state.rates[-(HISTORY - 1) :], event.points_per_s)
            return _replace(state, metrics=event, rates=rates, tokens=billed)
        case ev.Retried():
            return _noted(state, "retried", event.reason, event.at, times=event.times, waited_s=event.waited_s)
        case ev.Canary():
            before = state.canary
            new = event.searches - (before.searches if before else 0)
            bad = event.failures - (before.failures if before else 0)
            if bad > 0:
                state = _noted(state, "search", event.last_error or "a search failed", event.at, times=bad)
            return _replace(state, canary=event, searches=state.searches + new, failures=state.failures + bad)
        case ev.Differences():
            return _replace(state, differences=event, passes=(*state.passes[-99:], event))
        case ev.Skipped():
            sample = (*state.skipped_sample[-99:], event)
            state = _replace(state, skipped=state.skipped + (not event.before), skipped_sample=sample)
            return _logged(state, event.at, "warning", f"point {event.id} skipped: {event.reason}")
        case ev.Settled():
            sample = tuple(skipped for skipped in state.skipped_sample if skipped.id != event.id)
            state = _replace(state, skipped=max(0, state.skipped - 1), skipped_sample=sample)
            return _logged(state, event.at, "info", f"point {event.id}, skipped before, is {event.how}")
        case ev.Log():
            if event.level != "info":
                state = _noted(state, event.level, event.text, event.at)
            return _logged(state, event.at, event.level, event.text)
        case ev.Verified():
            return _replace(state, verified=event)
        case ev.Evaluated():
            return _replace(state, quality=event.report)
        case ev.MatrixFitted():
            text = f"{event.method} matrix fitted on {event.sampled:,} vectors, sha256 {event.digest[:12]}"
            return _logged(_replace(state, matrix=event), event.at, "info", text)
        case ev.StorageMeasured():
            when = "after the change" if event.after else "before the change"
            text = f"{when}: recall@10 {event.default_recall:.3f} against exact search, {event.p50_ms:.1f} ms"
            return _logged(_replace(state, storage=(*state.storage, event)), event.at, "info", text)
        case ev.CutoverReady():
            return _replace(state, ready=event, status="ready" if event.ready else state.status)
        case ev.CutOver():
            return _logged(_replace(state, cutover=event), event.at, "info", event.detail)
        case ev.Conflict():
            return _replace(state, conflicts=(*state.conflicts, event))
        case ev.Controlled():
            words = f"asked: {event.verb}" + ("" if event.value is None else f" {event.value}")
            words += f"; refused: {event.refused}" if event.refused else ""
            if event.refused:
                said = event.refused if event.refused.startswith(event.verb) else f"{event.verb}: {event.refused}"
                state = _noted(state, "refused", said, event.at)
            if event.verb == "spend" and not event.refused and isinstance(event.value, int | float):
                state = _replace(state, spend=float(event.value))
            if event.verb == "accept" and not event.refused:
                state = _replace(state, accepted=(*state.accepted, str(event.value)))
            if event.verb == "when-ready" and not event.refused:
                state = _replace(state, when_ready=True)
            return _logged(_replace(state, asked=(*state.asked[-(ASKED - 1) :], event)), event.at, "info", words)
        case ev.Paused():
            return _replace(state, paused=event.reason, status="paused")
        case ev.Resumed():
            return _replace(state, paused="", status="running")
        case ev.EngineStopped():
            state = _replace(state, stopped=event, status="stopped", pid=None)
            if event.exit_code != ExitCode.STOPPED:
                state = _noted(state, "error", event.reason, event.at)
            return _logged(state, event.at, "warning", f"engine stopped: {event.reason}")
        case ev.RunFinished():
            state = _replace(state, finished=event, status="finished", pid=None)
            return _logged(state, event.at, "info", event.summary)
