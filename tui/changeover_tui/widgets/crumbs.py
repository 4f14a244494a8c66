"""The top line: the whole way, and where you are on it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content

from changeover_tui.widgets.cell import Cell

WAY = ("connect", "collection", "questions", "checks", "plan", "run", "report")


class Crumbs(Horizontal):
    """`changeover  1 connect  2 collection  [3 questions]  ...`; the present stage is in brackets and bold."""

    def __init__(self, stage: str) -> None:
        super().__init__()
        self._stage = stage

    def compose(self) -> ComposeResult:
        yield Cell(Content.assemble((" changeover ", "bold $primary")), id="brand")
        parts: list[str | tuple[str, str]] = []
        for number, name in enumerate(WAY, start=1):
            if name == self._stage:
                parts += [(f"[{number} {name}]", "bold $accent"), " "]
            else:
                parts += [(f"{number} {name}", "$foreground-muted"), " "]
        yield Cell(Content.assemble(*parts), id="way")
