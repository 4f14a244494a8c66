"""What came out of a run, as pairs of a label and a line. Pure."""

from __future__ import annotations

from changeover.engine.state import RunState
from changeover.plan.model import Plan, SwapAlias
from changeover.quality.model import QualityReport
from changeover_tui.words import duration, one_line, plural

Rows = list[tuple[str, str]]


def result(state: RunState) -> str:
    """The outcome in one line."""
    if state.finished is not None:
        return one_line(state.finished.summary)
    if state.stopped is not None:
        return f"stopped: {one_line(state.stopped.reason)}"
    return "not finished"


def rows(plan: Plan, state: RunState) -> Rows:
    """Everything worth saying, in the order of interest."""
    out: Rows = [("result", result(state))]
    if state.cutover is not None:
        out.append(("cutover", one_line(state.cutover.detail)))
    if state.verified is not None:
        out += _verified(state)
    out += _searches(state)
    if state.quality is not None:
        out += _quality(state.quality)
    if state.skipped:
        out.append(("skipped", f"{plural(state.skipped, 'point')}, each with its reason in the report"))
    if state.conflicts:
        out.append(("conflicts", f"{plural(len(state.conflicts), 'point')} changed on both sides; the newer was kept"))
    if state.started_at is not None and state.last_at is not None:
        engines = f", {plural(state.engines, 'engine')}" if state.engines > 1 else ""
        out.append(("took", duration(state.last_at - state.started_at) + engines))
    out.append(("way back", _way_back(plan, state)))
    return out


def _verified(state: RunState) -> Rows:
    seen = state.verified
    assert seen is not None
    if seen.problems:
        return [("verified", f"NO: {one_line('; '.join(seen.problems))}")]
    cosine = "" if seen.worst_cosine is None else f", worst cosine {seen.worst_cosine:.4f}"
    words = f"{plural(seen.checked_ids, 'id')} present, {seen.sampled:,} embedded anew and compared{cosine}"
    return [("verified", words)]


def _searches(state: RunState) -> Rows:
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
    return out


def _way_back(plan: Plan, state: RunState) -> str:
    if state.cutover is None:
        return "nothing was cut over; the old side serves as before"
    swap = next((step for step in plan.steps if isinstance(step, SwapAlias)), None)
    if swap is not None and swap.expected:
        return f"point alias {swap.alias} back at {swap.expected}; that collection is still there"
    return f"let the application search vector {plan.job.source_vector or '(unnamed)'} again; it is still there"
