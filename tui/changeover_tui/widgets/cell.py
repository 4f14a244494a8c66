"""A line or block of text that repaints only when what it says has changed."""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static


class Cell(Static):
    """Text without markup; `say` is cheap to call four times a second. With `hides` it takes no room when empty."""

    def __init__(
        self, text: str | Content = "", *, id: str | None = None, classes: str | None = None, hides: bool = False
    ) -> None:
        super().__init__(text, markup=False, id=id, classes=classes)
        self._said: str | Content = text
        self._hides = hides
        if hides:
            self.display = bool(self.said)

    @property
    def said(self) -> str:
        """What it says now, as plain text."""
        return self._said.plain if isinstance(self._said, Content) else self._said

    def say(self, text: str | Content) -> None:
        """Show the text; nothing happens when it is what is shown already."""
        if _same(self._said, text):
            return
        before, self._said = self.said, text
        if self._hides:
            self.display = bool(self.said)
        self.update(text, layout=not self._same_size(before))

    def _same_size(self, before: str) -> bool:
        """Whether it surely takes the room that it took: then the screen need not be laid out anew."""
        old, new = before.split("\n"), self.said.split("\n")
        if len(old) != len(new) or bool(before) != bool(self.said):
            return False
        widths = [max(map(cell_len, lines)) for lines in (old, new)]
        grows = self.styles.width is None or self.styles.width.is_auto
        return max(widths) <= self.size.width and (widths[0] == widths[1] or not grows)


def _same(one: str | Content, other: str | Content) -> bool:
    if isinstance(one, Content) and isinstance(other, Content):
        return one.plain == other.plain and one.spans == other.spans
    return isinstance(one, str) and isinstance(other, str) and one == other
