"""The top line: the whole way, and where you are on it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content

from changeover_tui.widgets.cell import Cell

WAY = ("connect", "collection", "questions", "checks", "plan", "run", "report")
WHOLE = 80
"""Cells that the whole way takes."""


class Crumbs(Horizontal):
    """`changeover  1 connect  2 collection  [3 questions]  ...`; the present stage is in brackets and bold.

    On a bundle (`offline`) it says what it is instead of the whole way.
    """

    def __init__(self, stage: str, offline: str = "") -> None:
        super().__init__()
        self._stage, self._offline = stage, offline

    def compose(self) -> ComposeResult:
        yield Cell(Content.assemble((" changeover ", "bold $primary")), id="brand")
        yield Cell("", id="way")

    def on_resize(self) -> None:
        """The whole way where there is room, else only the present stage."""
        self.query_one("#way", Cell).say(self._whole() if self.size.width >= WHOLE else self._short())

    def _whole(self) -> Content:
        if self._offline:
            stage = (f"  [{self._stage}]", "bold $accent") if self._stage else ""
            return Content.assemble((self._offline, "bold $text-warning"), stage)
        parts: list[str | tuple[str, str]] = []
        for number, name in enumerate(WAY, start=1):
            if name == self._stage:
                parts += [(f"[{number} {name}]", "bold $accent"), " "]
            else:
                parts += [(f"{number} {name}", "$foreground-muted"), " "]
        return Content.assemble(*parts)

    def _short(self) -> Content:
        if self._offline:
            return Content.assemble((self._offline.replace(" taken", "").removesuffix(" here"), "bold $text-warning"))
        if self._stage not in WAY:
            return Content.assemble((f"{len(WAY)} steps: {WAY[0]} to {WAY[-1]}", "$foreground-muted"))
        number = WAY.index(self._stage) + 1
        return Content.assemble((f"[{number} {self._stage}]", "bold $accent"), (f" of {len(WAY)}", "$foreground-muted"))
