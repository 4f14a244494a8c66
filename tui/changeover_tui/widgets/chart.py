"""Figures with a bar beside each, as text that fits its width; the number always stands beside its bar. Pure."""

from __future__ import annotations

from textual.content import Content

from changeover.decision.charts import Bar, Chart, interval, words
from changeover.safe_text import cells as cells_of
from changeover_tui.theme import eighths, glyph
from changeover_tui.words import hang, one_line

Part = str | tuple[str, str]
LABEL = 14
"""Cells of a label at most."""
LEAST_BAR, MOST_BAR = 4, 24
WIDE = 44
"""Cells from which an interval stands beside its figure, not below it."""


def draw(chart: Chart, width: int) -> Content:
    """Title, a line a figure (a second one for its interval where there is little room), source."""
    number = max(len(words(bar.value, chart.unit)) for bar in chart.bars)
    labels = [one_line(bar.label, min(LABEL, width - number - LEAST_BAR - 2)) for bar in chart.bars]
    label = max(map(cells_of, labels))
    within = max(len(interval(bar, chart.unit)) for bar in chart.bars)
    beside = within + 1 if within and width >= WIDE else 0
    room = min(MOST_BAR, max(LEAST_BAR, width - label - number - beside - 2))
    parts: list[Part] = [(hang(chart.title, 0, width), "bold")]
    for bar, name in zip(chart.bars, labels, strict=True):
        parts.append(f"\n{name}{' ' * (label - cells_of(name))} ")
        parts.append((cells(bar, chart.full, room), "$primary"))
        parts.append(f" {words(bar.value, chart.unit):>{number}}")
        if said := interval(bar, chart.unit):
            parts.append(
                (f" {said}" if beside else f"\n{' ' * min(label + 1, width - len(said))}{said}", "$foreground-muted")
            )
    if within:
        parts.append(("\n" + hang(f"{glyph('within')} 95 % interval", 0, width), "$foreground-muted"))
    parts.append(("\n" + hang(f"({chart.source})", 1, width, 0), "$foreground-muted"))
    return Content.assemble(*parts)


def cells(bar: Bar, full: float, width: int) -> str:
    """A figure as `width` cells: blocks up to it, where it has an interval those of the interval lighter."""
    if bar.low is not None and bar.high is not None:
        sure, may = (_cells(end, full, width) for end in (bar.low, bar.high))
        blocks = glyph("full") * sure + glyph("within") * max(may - sure, 1)
        return (blocks + glyph("empty") * width)[:width]
    parts = eighths()
    steps = len(parts) + 1
    filled = round(min(max(bar.value / full, 0.0), 1.0) * width * steps)
    blocks = glyph("full") * (filled // steps) + (parts[filled % steps - 1] if filled % steps else "")
    return blocks + glyph("empty") * (width - len(blocks))


def _cells(value: float, full: float, width: int) -> int:
    return round(min(max(value / full, 0.0), 1.0) * width)
