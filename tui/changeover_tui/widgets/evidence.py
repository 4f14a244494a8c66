"""The evidence pane: what was measured, as lines and charts, and above it what is being measured now."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content

from changeover.decision.charts import Chart
from changeover.survey.trials.pace import Pace
from changeover_tui.theme import glyph
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.chart import draw
from changeover_tui.words import bar, duration, hang, percent

Part = str | Content | tuple[str, str]
LEAST = 20
TICK_S = 0.25
"""Seconds between two looks at what is being measured."""
NOTHING = "Nothing was measured for this question."


class EvidencePane(VerticalScroll):
    """A pane that scrolls; `show` repaints only what has changed, and is drawn anew at another width."""

    DEFAULT_CSS = "EvidencePane > Cell { height: auto; }"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, classes="pane")
        self._text, self._now = Cell(""), Cell("", hides=True)
        self._shown: tuple[Sequence[Part], Sequence[str], Sequence[str], Sequence[Chart]] = ((), (), (), ())

    def compose(self) -> ComposeResult:
        yield self._now
        yield self._text

    @property
    def room(self) -> int:
        """Cells of a line; the scrollbar keeps its place while it is not there, so that nothing has to be drawn anew."""
        free = 0 if self.show_vertical_scrollbar else self.styles.scrollbar_size_vertical
        return max((self.scrollable_content_region.width or 30) - 1 - free, LEAST)

    def show(
        self, now: Sequence[Part], lines: Sequence[str], offers: Sequence[str] = (), charts: Sequence[Chart] = ()
    ) -> None:
        """`now`: what goes on or came to nothing; then charts, lines with a bullet, what can be tried."""
        self._shown = (now, lines, offers, charts)
        self._draw()

    def on_resize(self) -> None:
        """Fit the new width."""
        self._draw()

    def _draw(self) -> None:
        width = self.room
        now, lines, offers, charts = self._shown
        said = [hang(part, 0, width) if isinstance(part, str) else part for part in now]
        blocks: list[Part] = [draw(chart, width) for chart in charts]
        if lines:
            blocks.append("\n".join(hang(f"{glyph('bullet')} {line}", 2, width, 0) for line in lines))
        blocks += [hang(offer, 0, width) for offer in offers]
        gap = ["\n"] if blocks else []
        self._now.say(Content.assemble(*_apart(said, "\n"), *gap) if said else "")
        self._text.say(Content.assemble(*_apart(blocks, "\n\n")))


def under_way(pace: Pace, width: int) -> list[Part]:
    """What is being measured: its words, then how much of it is done and how long it still takes."""
    said: list[Part] = [(hang(f"{glyph('now')} {pace.words} …", 2, width, 0), "bold")]
    if pace.share is not None:
        said.append(f"{bar(pace.share, 10, glyph('full'), glyph('empty'))} {percent(pace.share)}")
    if pace.left is not None:
        said.append(hang(f"about {duration(pace.left)} more", 0, width))
    return said


def _apart(parts: Sequence[Part], between: str) -> list[Part]:
    out: list[Part] = []
    for part in parts:
        out += [part] if not out else [between, part]
    return out
