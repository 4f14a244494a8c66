"""Two small pictures as inline SVG; colours come from the report's style sheet by class."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from changeover.report.model import Bar
from changeover.safe_text import clean

WIDTH, HEIGHT = 640, 80
ROW, LABEL = 26, 150


def sparkline(values: Sequence[float]) -> str:
    """A line over time from 0 to the greatest value; a flat line when there is nothing."""
    most = max([*values, 0.0]) or 1.0
    step = WIDTH / max(1, len(values) - 1)
    points = " ".join(
        f"{number * step:.1f},{HEIGHT - 2 - max(0.0, value) / most * (HEIGHT - 4):.1f}"
        for number, value in enumerate(values)
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="points per second over time">'
        f'<line class="axis" x1="0" y1="{HEIGHT - 1}" x2="{WIDTH}" y2="{HEIGHT - 1}"/>'
        f'<polyline class="rate" points="{points}"/></svg>'
    )


def bars(rows: Sequence[Bar]) -> str:
    """One horizontal bar a row from 0 to 1, its interval as a whisker, its mean beside it."""
    room = WIDTH - LABEL - 60
    parts = []
    for number, row in enumerate(rows):
        middle = number * ROW + ROW / 2
        mean, low, high = (LABEL + room * min(max(value, 0.0), 1.0) for value in (row.mean, row.low, row.high))
        parts.append(
            f'<text x="0" y="{middle + 4:.0f}">{escape(clean(row.label, 24))}</text>'
            f'<rect class="bar" x="{LABEL}" y="{middle - 7:.0f}" width="{mean - LABEL:.1f}" height="14"/>'
            f'<path class="whisker" d="M{low:.1f} {middle:.0f}H{high:.1f}M{low:.1f} {middle - 5:.0f}v10'
            f'M{high:.1f} {middle - 5:.0f}v10"/>'
            f'<text x="{max(mean, high) + 8:.0f}" y="{middle + 4:.0f}">{row.mean:.3f}</text>'
        )
    return f'<svg viewBox="0 0 {WIDTH} {max(1, len(rows)) * ROW}" role="img">{"".join(parts)}</svg>'
