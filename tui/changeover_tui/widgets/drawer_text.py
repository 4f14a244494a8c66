"""What the lower pane of a run says: its tabs, the streams, what went wrong, the points left out. Pure functions."""

from __future__ import annotations

from typing import Literal, NamedTuple

from textual.content import Content

from changeover.engine.events import Stream
from changeover.engine.state import RunState
from changeover.plan.model import CatchUp, Load, Plan, Slice
from changeover_tui.words import duration, elapsed, hang, one_line, plural

Pane = Literal["log", "streams", "errors", "skipped"]
PANES: tuple[Pane, ...] = ("log", "streams", "errors", "skipped")
"""In the order of their digits."""
Part = str | tuple[str, str]

NAMES = {
    "error": "ERROR",
    "warning": "WARNING",
    "retried": "ASKED AGAIN",
    "slowed": "SLOWED",
    "search": "SEARCH FAILED",
    "refused": "REFUSED",
}
TO_DO = (
    "Mend the point in your collection, or its text: the next pass takes it up, and so does `changeover resume`, "
    "which tries all of them again. Those that stay out are named in the report; more than a few keep the cutover shut "
    "until somebody accepts it."
)
TO_DO_IN_PARTICULAR = (
    ("token", "Its text is too long for the model: shorten it, or take a model that reads more."),
    ("not finite", "The model made no usable vector of its text: look at the text, it may hold no words."),
    ("no number", "The model made no vector of its text: look at the text, it may hold no words."),
    ("numbers instead of", "Its vector has another size than the others: look at what the model's endpoint returns."),
    ("payload", "The server does not take its payload as it is: correct the payload."),
)
"""Words of a reason -> what can be done about it; else what is said above the list."""


class Column(NamedTuple):
    """A column of the table of streams; `left` for words."""

    name: str
    width: int
    left: bool = False


STREAMS = (
    Column("stream", 6),
    Column("points", 10),
    Column("points/s", 8),
    Column("slice", 5),
    Column("of", 22, left=True),
)


def tabs(shows: Pane, state: RunState, where: str, width: int) -> Content:
    """The four panes with the digit that shows each, how many there are in it, and the folder of the run."""
    counts = {"errors": len(state.troubles), "skipped": state.skipped}
    parts: list[Part] = []
    length = 0
    for number, pane in enumerate(PANES, start=1):
        count = f": {counts[pane]:,}" if counts.get(pane) else ""
        words = f"[{number} {pane}{count}]" if pane == shows else f" {number} {pane}{count} "
        style = "bold $accent" if pane == shows else "$text-warning" if count else "$foreground-muted"
        parts.append((words, style))
        length += len(words)
    room = width - length - 2
    if room >= 8:
        parts.append((f"{one_line(where, room):>{room}}", "$foreground-muted"))
    return Content.assemble(*parts)


def streams(plan: Plan, state: RunState, lanes: tuple[Stream, ...] | None) -> Content:
    """A row a write stream: what it has written, how fast, of which ids, and what it does now."""
    if lanes is None:
        return Content("Nothing is written at the moment.")
    if not lanes:
        return Content("The engine of this run does not tell its streams apart.")
    head = " ".join(f"{c.name:<{c.width}}" if c.left else f"{c.name:>{c.width}}" for c in STREAMS)
    parts: list[Part] = [(f"{head} now", "$foreground-muted")]
    parts += [f"\n{_stream(lane, _slices(plan), state)}" for lane in lanes]
    return Content.assemble(*parts)


def _stream(lane: Stream, slices: dict[int, Slice], state: RunState) -> str:
    idle = "paused" if state.paused else "waits for points"
    which = "" if lane.slice is None else f"{lane.slice + 1}"
    part = None if lane.slice is None else slices.get(lane.slice)
    cells = (f"{lane.number}", f"{lane.points:,}", f"{lane.points_per_s:,.0f}", which, _range(lane, part))
    row = " ".join(
        f"{one_line(cell, c.width):<{c.width}}" if c.left else f"{cell:>{c.width}}"
        for c, cell in zip(STREAMS, cells, strict=True)
    )
    return f"{row} {one_line(lane.doing, 120) or idle}"


def _range(lane: Stream, part: Slice | None) -> str:
    if lane.shard_key is not None:
        return f"shard key {lane.shard_key}"
    if part is None or (part.start is None and part.end is None):
        return "all ids" if lane.slice is not None else ""
    start, end = (None if one is None else one_line(str(one), 11) for one in (part.start, part.end))
    if start is None:
        return f"ids below {end}"
    return f"ids from {start}" if end is None else f"ids {start} to {end}"


def _slices(plan: Plan) -> dict[int, Slice]:
    step = next((step for step in plan.steps if isinstance(step, Load | CatchUp) and step.slices), None)
    return {} if step is None else {part.number: part for part in step.slices}


def errors(state: RunState, begun: float, width: int) -> Content:
    """What went wrong or slower, the latest first: how often, when last, and what the engine does about it."""
    if not state.troubles:
        return Content("Nothing went wrong so far: no warning, no error, no request that had to be sent again.")
    parts: list[Part] = []
    for number, one in enumerate(reversed(state.troubles)):
        times = "once" if one.times == 1 else f"{one.times:,} times"
        waited = f", {duration(one.waited_s)} waited" if one.waited_s >= 1 else ""
        style = "bold $text-error" if one.kind in ("error", "search") else "bold $text-warning"
        parts += [
            ("\n" if number else "") + f"{elapsed(one.last_at - begun)} ",
            (NAMES[one.kind], style),
            (f"  {times}{waited}\n", "$foreground-muted"),
            f"{hang(one.text, 9, width)}\n",
            (hang(f"The engine: {one.does}", 9, width), "$foreground-muted"),
        ]
    return Content.assemble(*parts)


def skipped(state: RunState, width: int) -> Content:
    """The points that are left out, each with its reason and what can be done about it; the latest first."""
    if not state.skipped:
        return Content("No point is left out.")
    parts: list[Part] = [hang(f"{plural(state.skipped, 'point')} left out. {TO_DO}", 0, width)]
    shown = tuple(reversed(state.skipped_sample))
    for one in shown:
        parts += [(f"\n{one_line(str(one.id), 60)}", "bold"), f"\n{hang(one.reason, 2, width)}"]
        todo = next((words for part, words in TO_DO_IN_PARTICULAR if part in one.reason.lower()), "")
        if todo:
            parts.append((f"\n{hang(todo, 2, width)}", "$foreground-muted"))
    if state.skipped > len(shown):
        parts.append((f"\n{state.skipped - len(shown):,} more are in the report.", "$foreground-muted"))
    return Content.assemble(*parts)
