"""A comparison as text for the screen: two lists, or one with both ranks; and the times. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from changeover.safe_text import cells
from changeover.side_by_side import words
from changeover.side_by_side.model import Answer, Ranking, Row
from changeover_tui.words import hang, one_line

Part = str | tuple[str, str]
LOOK = {
    "up": "$text-success",
    "down": "$text-warning",
    "new": "$text-accent",
    "gone": "$text-error",
    "absent": "$text-error",
}
ID = 9
"""Cells of a point's id; a longer one is cut."""
INDENT = 4
"""Cells before the second line of a point."""


def merged(answer: Answer, width: int, height: int) -> Content:
    """One list: the rank on each side, the move, and what the point says."""
    head = f"{'new':>3} {'old':>3} {'move':<7} {'score':>7} "
    rows = [
        (f"{words.rank(row.new):>3} {words.rank(row.old):>3} ", row, f" {words.score(row.score):>7} ")
        for row in answer.merged
    ]
    return _table(head, rows, width, height)


def column(found: Ranking, width: int, height: int, *, part: bool = False) -> Content:
    """One list: its own ranks, those of the list that it is compared with, the move. `part`: of a fused search, whose
    points have their ranks in the fused list and on the old side."""
    name = found.way if part else found.side
    others: tuple[str, ...] = ("new", "old") if part else ("old",) if found.side == "new" else ("new",)
    head = f"{name} {' '.join(f'{other:>3}' for other in others)} {'move':<7} {'score':>7} "
    rows = []
    for row in found.rows:
        ranks = " ".join(f"{words.rank(row.old if other == 'old' else row.new):>3}" for other in others)
        rows.append((f"{row.rank:>{len(name)}} {ranks} ", row, f" {words.score(row.score):>7} "))
    return _table(head, rows, width, height)


def times(answer: Answer) -> str:
    """How much the lists share, and milliseconds of both sides."""
    said = [words.shared(answer)] if answer.both else []
    if count := words.absent_count(answer):
        said.append(f"{count} absent")
    said += [f"old {words.short_times(answer.old)}", f"new {words.short_times(answer.new)} (embed + search)"]
    return " · ".join(said)


def why(text: str, width: int) -> Content:
    """Why a side has no list."""
    return Content.assemble(("Not asked\n", "bold"), hang(text, 0, width))


def _table(head: str, rows: Sequence[tuple[str, Row, str]], width: int, height: int) -> Content:
    if not rows:
        return Content("Nothing was found.")
    # Two lines a point where all points have room for them.
    tall = 2 * len(rows) + 1 <= height
    parts: list[Part] = [(head.rstrip(), "$foreground-muted")]
    for ranks, row, score in rows:
        room = max(8, width - len(head) - (0 if tall else ID + 1))
        word = f"{words.move(row):<7}"
        point = one_line(row.id, ID)
        parts += [f"\n{ranks}", (word, LOOK.get(row.move, "$foreground-muted")), score]
        if tall:
            text = one_line(row.text if row.title else "", width - INDENT - ID - 1)
            parts += [
                (one_line(row.title or words.about(row), room), "bold"),
                (f"\n{' ' * INDENT}{_padded(point)} {text}".rstrip(), "$foreground-muted"),
            ]
        else:
            parts += [(f"{_padded(point)} ", "$foreground-muted"), one_line(words.about(row), room)]
    return Content.assemble(*parts)


def _padded(text: str) -> str:
    return text + " " * (ID - cells(text))
