"""A run in words: pure functions from the state of a run to lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from changeover.engine.events import Metrics
from changeover.engine.state import RunState, StepState, eta_s
from changeover.plan.model import Plan
from changeover_tui import plan_words
from changeover_tui.theme import glyph
from changeover_tui.words import bar, duration, elapsed, hang, one_line, percent, plural

if TYPE_CHECKING:
    from changeover.sandbox.application import Stats
    from changeover_tui.player import Player

Part = str | tuple[str, str]
STALE_S = 3.0
WITH_TIMES = 24
"""Cells from which on the steps have room for how long each took, beside its title."""
INDENT = 9
"""Of what goes on under the time of a line of the log."""
ANSWER_S = 20.0
"""How long it is said that a request was taken up; what is asked for stands in the table."""
ASKABLE = ("rate", "batch", "streams")


def heading(plan: Plan, standing: str, seconds: float, mode: str = "") -> Content:
    """Route, from and to, where it stands, for how long it runs, and whether one can only watch."""
    return Content.assemble(
        (f"{plan_words.kind(plan)} ", "$foreground-muted"),
        (one_line(plan_words.where(plan, glyph("arrow")), 60), "bold"),
        ("  " + standing.upper(), "bold $accent"),
        (f"  {elapsed(seconds)}", "$foreground-muted"),
        (f"  {mode}" if mode else "", "bold $text-warning"),
    )


def phases(state: RunState, width: int) -> Content:
    """One line a step: sign, title, and at the right how long it took, how far it is, or that it waits."""
    parts: list[Part] = []
    for number, step in enumerate(state.steps):
        sign = {"done": "done", "running": "now", "waiting": "waiting"}[step.status]
        right = _right(step, state) if width >= WITH_TIMES else _share(step)
        room = max(8, width - len(right) - (3 if right else 2))
        title = one_line(step.title, room)
        style = {"done": "$foreground-muted", "running": "bold", "waiting": ""}[step.status]
        parts.append((("\n" if number else "") + f"{glyph(sign)} {title:<{room}} {right}".rstrip(), style))
    return Content.assemble(*parts)


def _share(step: StepState) -> str:
    """On a narrow terminal the sign says the rest."""
    return percent(step.done / step.total) if step.status == "running" and step.total else ""


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
    words = f"{metrics.points_per_s if metrics else 0:,.0f}"
    return f"{words} point{'' if words == '1' else 's'}/s"


def load(plan: Plan, state: RunState) -> Content:
    """Embedder where there is one, writer, what was asked for and what is in force, and why it goes slower than asked."""
    if not plan_words.loads(plan):
        return Content("")
    metrics = fresh(state)
    lane = plan_words.embedder(plan)
    parts: list[Part] = []
    if lane:
        parts.append(_busy(lane, None if metrics is None else metrics.embed_busy))
    parts.append(_busy("writer", None if metrics is None else metrics.write_busy))
    parts += _pace(plan, state, metrics)
    if state.tokens and plan.estimate.tokens:
        parts.append(f"\n{state.tokens:,} of about {plan.estimate.tokens:,} tokens billed")
    if metrics is not None and metrics.throttle:
        parts.append((f"\n{one_line(metrics.throttle, 100)}", "$text-warning"))
    return Content.assemble(*parts)


def _busy(name: str, share: float | None) -> str:
    return f"{name:8} idle\n" if share is None else f"{name:8} {percent(share):>5} busy {_bar(share)}\n"


def _pace(plan: Plan, state: RunState, metrics: Metrics | None) -> list[Part]:
    """Batch, streams and rate as asked for, by the plan or by a person since, and as they are now."""
    wanted: dict[str, float] = {"batch": plan.job.batch, "streams": plan.job.streams, "rate": plan.job.rate or 0.0}
    for one in state.asked:
        if one.verb in wanted and not one.refused and isinstance(one.value, int | float):
            wanted[one.verb] = one.value
    limit = f"{wanted['rate']:,.0f}/s" if wanted["rate"] else "no limit"
    now = ("-", "-", "-")
    if metrics is not None:
        now = (f"{metrics.batch:,}", f"{metrics.streams:,}", f"{metrics.points_per_s:,.0f}/s")
    rows = (("", "batch", "streams", "rate"), ("asked", f"{wanted['batch']:,.0f}", f"{wanted['streams']:.0f}", limit))
    lines = [f"{name:8} {batch:>5} {streams:>7} {rate:>9}" for name, batch, streams, rate in (*rows, ("now", *now))]
    return [(f"{lines[0]}\n", "$foreground-muted"), "\n".join(lines[1:])]


def asked(requested: dict[str, tuple[int, float | int | str | None]], state: RunState) -> Content:
    """What was asked for and what the engine made of it."""
    parts: list[Part] = []
    for verb, (_, value) in requested.items():
        words = verb if value is None else f"{verb} {value:,}" if isinstance(value, int | float) else f"{verb} {value}"
        parts.append((f"{words}: asked, no answer yet\n", "$text-warning"))
    last = next((one for one in reversed(state.asked) if one.verb in ASKABLE), None)
    if last is not None and (last.refused or (state.last_at or 0.0) - last.at <= ANSWER_S):
        words = f"refused: {one_line(last.refused, 100)}" if last.refused else "taken up"
        parts.append((f"asked {last.verb} {last.value}: {words}\n", "$foreground-muted"))
    return Content.assemble(*parts).rstrip() if parts else Content("")


def canary(plan: Plan, state: RunState) -> Content:
    """The proof of zero downtime."""
    if plan_words.cleans_up(plan):
        return Content("no searches in a cleanup")
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
    kinds = ("new", "edited", "payload", "deleted", "missing")
    counts = ", ".join(f"{count:,} {kind}" for kind in kinds if (count := getattr(found, kind)))
    return f"{words}{trend(state)}\n{counts}"


def trend(state: RunState) -> str:
    """How it goes with what the passes of this step find: `falling: 57, 12, 3`; nothing before a second pass."""
    step = state.passes[-1].step if state.passes else ""
    totals = [one.total for one in state.passes if one.step == step][-3:]
    if len(totals) < 2:
        return ""
    before, last = totals[-2:]
    word = "falling" if last < before else "rising" if last > before else "steady"
    way = f" {glyph('arrow')} ".join(f"{total:,}" for total in totals)
    return f"\n{word}: {way}"


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
        f"app: {stats.searches:,} searches, {stats.failed_searches:,} failed",
        f"     {writes:,} writes, {stats.failed_writes:,} failed",
    ]
    if stats.searching_with:
        lines.append(f"searches with {one_line(stats.searching_with, 24)}")
    return "\n".join([*lines, offer] if offer else lines)


def log_lines(lines: list[tuple[float, str, str]], begun: float, width: int) -> list[str]:
    """Log lines with the time since the run began, wrapped; the level as a word where it is not plain information."""
    words = {"warning": "WARN ", "error": "ERROR "}
    found: list[str] = []
    for at, level, text in lines:
        line = f"{elapsed(at - begun)} {words.get(level, '')}{one_line(text)}"
        found += [line] if len(line) <= width else hang(line, INDENT, width, first=0).split("\n")
    return found


def slider(player: Player, width: int) -> Content:
    """Where a replay stands: the way with the beginnings of its steps, the time, the speed."""
    replay = player.replay
    times = f"{elapsed(player.moment - replay.begun)} of {elapsed(replay.ended - replay.begun)}"
    room = max(10, width - len(times) - 22)
    span = max(1e-9, replay.ended - replay.begun)
    way = [glyph("way")] * room
    for at in replay.steps:
        way[min(room - 1, int((at - replay.begun) / span * room))] = glyph("mark")
    way[min(room - 1, int(player.share * room))] = glyph("lit")
    return Content.assemble(
        (f" {'PLAYS ' if player.plays else 'STANDS'} ", "bold $accent"),
        "".join(way),
        (f" {times} ", "bold"),
        (f"{player.speed:,}x", "$foreground-muted"),
    )


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
