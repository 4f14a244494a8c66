"""What came out of a run, as pairs of a label and a line. Pure."""

from __future__ import annotations

from changeover.afterwards.backs import Window
from changeover.engine.state import RunState
from changeover.plan.model import Plan
from changeover.quality.model import QualityReport, Variant
from changeover_tui import after_words, plan_words
from changeover_tui.words import duration, one_line, plural

NAMED = 4
"""Conflicts that are named."""
Rows = list[tuple[str, str]]


def result(state: RunState) -> str:
    """The outcome in one line."""
    if state.finished is not None:
        return one_line(state.finished.summary)
    if state.stopped is not None:
        return f"stopped: {one_line(state.stopped.reason)}"
    return "not finished"


def rows(plan: Plan, state: RunState, run: str, window: Window | None = None, now: float = 0.0) -> Rows:
    """Everything worth saying, in the order of interest; `run` is the run's name, `window` its open way back."""
    out: Rows = [("result", result(state))]
    if plan.job.bridge:
        out.append(("bridge", plan_words.BRIDGE))
    if state.cutover is not None:
        out.append(("cutover", one_line(state.cutover.detail)))
    if swept := after_words.sweep_found(state):
        out.append(("sweep", one_line(swept)))
    out += _conflicts(state)
    if window is not None:
        out.append(("way back", one_line(after_words.countdown(plan, window, now))))
    if state.verified is not None:
        out.append(("verified", plan_words.verified(plan, state)))
    if state.matrix is not None:
        out.append(("computed", one_line(plan_words.matrix(state.matrix))))
    out += [plan_words.storage(found) for found in state.storage]
    out += _searches(plan, state)
    if state.quality is not None:
        out += _quality(state.quality)
    if state.skipped:
        out.append(("skipped", f"{plural(state.skipped, 'point')}, each with its reason in the report"))
    if state.started_at is not None and state.last_at is not None:
        engines = f", {plural(state.engines, 'engine')}" if state.engines > 1 else ""
        out.append(("took", duration(state.last_at - state.started_at) + engines))
    if window is None:
        out.append(("way back", plan_words.way_back(plan, state, run)))
    return out


def _conflicts(state: RunState) -> Rows:
    """The points that both sides changed around the cutover: how many, then some by name."""
    if not state.conflicts:
        return []
    named = [f"{one.id}: {one.kept} side kept ({one_line(one.reason, 80)})" for one in state.conflicts[:NAMED]]
    more = [f"and {len(state.conflicts) - NAMED:,} more, in the report"] if len(state.conflicts) > NAMED else []
    head = f"{plural(len(state.conflicts), 'point')} changed on both sides around the cutover"
    return [("conflicts", head), *(("", line) for line in [*named, *more])]


def _searches(plan: Plan, state: RunState) -> Rows:
    if plan_words.cleans_up(plan):
        return []
    if not plan.job.keeps_serving:
        return [("searches", "none were made: the application was to be stopped")]
    if not state.searches:
        return []
    seen = state.canary
    before = "" if seen is None or seen.baseline_p95_ms is None else f" (before: {seen.baseline_p95_ms:,.0f} ms)"
    p95 = "" if seen is None else f", p95 {seen.p95_ms:,.0f} ms{before}"
    return [("searches", f"{state.failures:,} of {state.searches:,} failed{p95}")]


def _quality(report: QualityReport) -> Rows:
    out = [("quality", f"{report.verdict}: {one_line(report.reason)}")]
    new = {score.metric: score for score in report.new}
    for old in report.old:
        if old.metric in new:
            now = new[old.metric]
            out.append(
                (
                    "",
                    f"{old.metric}: old {old.mean:.3f} [{old.low:.3f}, {old.high:.3f}]"
                    f"  new {now.mean:.3f} [{now.low:.3f}, {now.high:.3f}]",
                )
            )
    if report.variants:
        out.append(("", "; ".join(_variant(variant) for variant in report.variants)))
    return out


def _variant(variant: Variant) -> str:
    best = variant.scores[0] if variant.scores else None
    return one_line(f"{variant.name} {best.mean:.3f}" if best is not None else variant.name)
