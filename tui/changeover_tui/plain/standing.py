"""How a run stands now, as lines: steps, speed, searches, streams, what went wrong, points left out, conditions. Pure."""

from __future__ import annotations

from changeover.engine.state import RunState, StepState, eta_s
from changeover.plan.model import Plan
from changeover.safe_text import clean_line
from changeover_tui import plan_words
from changeover_tui.plain.follow import lamp_lines, stamp
from changeover_tui.words import duration

WIDTH = 100


def lines(plan: Plan, state: RunState, where: str) -> list[str]:
    """Everything that the run screen shows, each part under its name."""
    # Textual is imported for these words only when somebody asks.
    from changeover_tui.widgets import drawer_text, run_text

    parts = [
        ("steps", [_step(step, state) for step in state.steps]),
        ("searches", run_text.canary(plan, state).plain.splitlines()),
        ("streams", _streams(plan, state)),
        ("went wrong", drawer_text.errors(state, state.started_at or 0.0, WIDTH).plain.splitlines()),
        ("left out", drawer_text.skipped(state, WIDTH).plain.splitlines()),
        ("conditions of the cutover", lamp_lines(state)),
    ]
    found = [f"{plan_words.kind(plan)}: {plan_words.where(plan)}, {where}, {stamp(state)} since it began"]
    if state.paused:
        found.append(f"paused: {state.paused}")
    for name, said in parts:
        found += [f"{name}:", *(f"  {line}" for line in said)] if said else []
    return [clean_line(line) for line in found]


def _step(step: StepState, state: RunState) -> str:
    if step.status == "done" and step.started_at is not None and step.ended_at is not None:
        return f"{step.title}: done in {duration(step.ended_at - step.started_at)}"
    if step.status != "running":
        return f"{step.title}: {step.status}"
    if not step.total:
        return f"{step.title}: now"
    left = eta_s(state)
    ends = "" if left is None else f", {duration(left)} left"
    return f"{step.title}: now, {step.done:,} of {step.total:,}{ends}"


def _streams(plan: Plan, state: RunState) -> list[str]:
    from changeover_tui.widgets import drawer_text, run_text

    metrics = run_text.fresh(state)
    if metrics is None:
        return []
    head = f"{metrics.points_per_s:,.0f} points/s, batches of {metrics.batch:,}, {metrics.streams} at once"
    slow = [f"slowed: {metrics.throttle}"] if metrics.throttle else []
    return [head, *slow, *drawer_text.streams(plan, state, metrics.lanes).plain.splitlines()]
