"""A run in words: pure functions from the state of a run to lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from changeover.engine.events import Metrics
from changeover.engine.state import RunState, StepState, eta_s
from changeover.plan.model import Plan
from changeover_tui import plan_words
from changeover_tui.theme import glyph
from changeover_tui.words import bar, duration, elapsed, one_line, percent, plural

if TYPE_CHECKING:
    from changeover.sandbox.application import Stats

Part = str | tuple[str, str]
STALE_S = 3.0
ASKABLE = ("rate", "batch", "streams")


def heading(plan: Plan, standing: str, seconds: float) -> Content:
    """Route, from and to, where it stands, and for how long it runs."""
    return Content.assemble(
        (f"{plan_words.kind(plan)} ", "$foreground-muted"),
        (one_line(plan_words.where(plan, glyph("arrow")), 60), "bold"),
        ("  " + standing.upper(), "bold $accent"),
        (f"  {elapsed(seconds)}", "$foreground-muted"),
    )


def phases(state: RunState, width: int) -> Content:
    """One line a step: sign, title, and at the right how long it took, how far it is, or that it waits."""
    parts: list[Part] = []
    for number, step in enumerate(state.steps):
        sign = {"done": "done", "running": "now", "waiting": "waiting"}[step.status]
        right = _right(step, state)
        room = max(8, width - len(right) - 3)
        title = one_line(step.title, room)
        style = {"done": "$foreground-muted", "running": "bold", "waiting": ""}[step.status]
        parts.append((("\n" if number else "") + f"{glyph(sign)} {title:<{room}} {right}", style))
    return Content.assemble(*parts)


def _right(step: StepState, state: RunState) -> str:
    if step.status == "waiting":
        return "waiting"
    if step.status == "done":
        took = (step.ended_at or 0.0) - (step.started_at or 0.0)
        return f"done {duration(took)}"
    if step.kind == "await-cutover":
        return "waits for you"
    if not step.total:
        return "now"
    left = eta_s(state)
    share = percent(step.done / step.total)
    return share if left is None else f"{share}, {duration(left)} left"


def note(state: RunState) -> str:
    """What the running step says of itself."""
    step = state.current
    if step is None:
        return ""
    count = f"{step.done:,} of {step.total:,}" if step.total else ""
    return one_line(" · ".join(part for part in (count, step.note) if part), 200)


def fresh(state: RunState) -> Metrics | None:
    """The last second of load, or None when the engine measured nothing of late: then nothing is embedded."""
    metrics = state.metrics
    return metrics if metrics is not None and (state.last_at or 0.0) - metrics.at <= STALE_S else None


def rate(state: RunState) -> str:
    """Points per second now."""
    metrics = fresh(state)
    return f"{metrics.points_per_s if metrics else 0:,.0f} points/s"


def load(plan: Plan, state: RunState) -> Content:
    """Embedder where there is one, writer, batch, streams, rate, and why it goes slower than asked."""
    if not plan_words.loads(plan):
        return Content("")
    metrics = fresh(state)
    lane = plan_words.embedder(plan)
    if metrics is None:
        return Content((f"{lane:8} idle\n" if lane else "") + "writer   idle")
    limit = "no limit" if not metrics.rate else f"at most {metrics.rate:,.0f}/s"
    parts: list[Part] = []
    if lane:
        parts.append(f"{lane:8} {percent(metrics.embed_busy):>5} busy {_bar(metrics.embed_busy)}\n")
    parts += [
        f"writer   {percent(metrics.write_busy):>5} busy {_bar(metrics.write_busy)}\n",
        f"batch {_of(metrics.batch, metrics.batch_asked)} streams {_of(metrics.streams, metrics.streams_asked)} {limit}",
    ]
    if state.tokens and plan.estimate.tokens:
        parts.append(f"\n{state.tokens:,} of about {plan.estimate.tokens:,} tokens billed")
    if metrics.throttle:
        parts.append((f"\n{one_line(metrics.throttle, 120)}", "$text-warning"))
    return Content.assemble(*parts)


def _of(now: int, wanted: int) -> str:
    """The number in force, and the one asked for where that is another."""
    return f"{now:,} of {wanted:,}" if wanted and wanted != now else f"{now:,}"


def asked(requested: dict[str, tuple[int, float | int | str | None]], state: RunState) -> Content:
    """What was asked for and what the engine made of it."""
    parts: list[Part] = []
    for verb, (_, value) in requested.items():
        words = verb if value is None else f"{verb} {value:,}" if isinstance(value, int | float) else f"{verb} {value}"
        parts.append((f"{words}: asked, no answer yet\n", "$text-warning"))
    last = next((one for one in reversed(state.asked) if one.verb in ASKABLE), None)
    if last is not None:
        words = f"refused: {one_line(last.refused, 100)}" if last.refused else "taken up"
        parts.append((f"asked {last.verb} {last.value}: {words}\n", "$foreground-muted"))
    return Content.assemble(*parts).rstrip() if parts else Content("")


def canary(plan: Plan, state: RunState) -> Content:
    """The proof of zero downtime."""
    if not plan.job.keeps_serving:
        return Content("no searches: the application is to be stopped")
    seen = state.canary
    if seen is None and not state.searches:
        return Content("search: none made so far")
    style = "bold $text-error" if state.failures else ""
    parts: list[Part] = [(f"search: {state.failures:,} of {state.searches:,} failed", style)]
    if seen is not None:
        before = "" if seen.baseline_p95_ms is None else f" (before: {seen.baseline_p95_ms:,.0f} ms)"
        parts.append(f"\np95 {seen.p95_ms:,.0f} ms{before}")
        if seen.last_error:
            parts.append((f"\nlast: {one_line(seen.last_error, 80)}", "$text-error"))
    return Content.assemble(*parts)


def backlog(plan: Plan, state: RunState) -> Content:
    """What the last catch-up pass found, and what was left out; nothing where no points are written."""
    if not plan_words.loads(plan):
        return Content("")
    lines: list[Part] = [words] if (words := _pass(plan, state)) else []
    if state.skipped:
        lines.append((f"{plural(state.skipped, 'point')} skipped", "$text-warning"))
    if state.conflicts:
        lines.append((f"{plural(len(state.conflicts), 'conflict')}: newer side kept", "$text-warning"))
    return Content("\n").join(Content.assemble(line) for line in lines)


def _pass(plan: Plan, state: RunState) -> str:
    found = state.differences
    if found is None:
        return "catch-up: no pass so far" if plan.job.keeps_serving else ""
    words = f"catch-up pass {found.number}: {found.total:,} behind"
    if not found.total:
        return words
    words += f"\n{found.new:,} new, {found.edited:,} edited, {found.payload:,} payload, {found.deleted:,} deleted"
    return words + (f", {found.missing:,} missing" if found.missing else "")


def measured(state: RunState) -> str:
    """What was fitted or measured of the vectors themselves: a matrix, recall before and after."""
    lines = [one_line(plan_words.matrix(state.matrix))] if state.matrix is not None else []
    for when, words in map(plan_words.storage, state.storage):
        lines.append(one_line(f"{when}: {words}"))
    return "\n".join(lines)


def application(stats: Stats | None, offer: str) -> str:
    """Sandbox: what its application lived through, and what can be done about it."""
    if stats is None:
        return offer
    writes = stats.inserts + stats.edits + stats.payload_edits + stats.deletes + stats.reinserts
    lines = [
        "the sandbox's application:",
        f"{stats.searches:,} searches, {stats.failed_searches:,} failed",
        f"{writes:,} writes, {stats.failed_writes:,} failed",
    ]
    if stats.searching_with:
        lines.append(f"searches with {one_line(stats.searching_with, 24)}")
    return "\n".join([*lines, offer] if offer else lines)


def log_lines(lines: list[tuple[float, str, str]], begun: float) -> list[str]:
    """Log lines with the time since the run began; the level as a word where it is not plain information."""
    words = {"warning": "WARN ", "error": "ERROR "}
    return [f"{elapsed(at - begun)} {words.get(level, '')}{one_line(text)}" for at, level, text in lines]


def lamps(state: RunState) -> Content:
    """One line a condition: a sign, the word on or off, its name and what was seen."""
    if state.ready is None:
        return Content("The engine has not looked at the conditions yet.")
    parts: list[Part] = []
    for number, lamp in enumerate(state.ready.lamps):
        style = "$text-success" if lamp.on else "bold $text-error"
        word = "on " if lamp.on else "OFF"
        parts += [
            (("\n" if number else "") + f"{glyph('lit' if lamp.on else 'dark')} {word} ", style),
            (f"{one_line(lamp.name, 40)}", "bold"),
            (f"  {one_line(lamp.detail, 120 if lamp.on else 300)}", "$foreground-muted"),
        ]
    return Content.assemble(*parts)


def _bar(share: float) -> str:
    return bar(share, 8, glyph("full"), glyph("empty"))
