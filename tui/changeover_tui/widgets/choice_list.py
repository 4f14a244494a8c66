"""A list to choose one row from: (•) and ( ) as text, digits mark a row, closed rows stay visible with their reason."""

from __future__ import annotations

import msgspec
from textual.binding import Binding
from textual.content import Content
from textual.widgets.option_list import Option

from changeover_tui.theme import glyph
from changeover_tui.widgets.enter import Rows
from changeover_tui.words import hang


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row; `closed` is the reason why it cannot be taken, "" when it can."""

    value: str
    label: str
    detail: str = ""
    closed: str = ""


class ChoiceList(Rows):
    """Marks the row under the cursor with (•); Textual's own radio buttons tell on from off by colour alone."""

    BINDINGS = [Binding(str(n), f"mark({n})", show=False) for n in range(1, 10)]  # noqa: RUF012
    DEFAULT_CSS = """ChoiceList {
        height: auto; max-height: 100%; border: none; padding: 0 1; background: transparent;
        scrollbar-gutter: stable; scrollbar-size: 0 1;
    }"""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._rows: tuple[Row, ...] = ()
        self._marked: int | None = None

    @property
    def row(self) -> Row | None:
        """The marked row, or None when the list is empty or everything is closed."""
        index = self.highlighted
        return self._rows[index] if index is not None and index < len(self._rows) else None

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows."""
        return self._rows

    @property
    def lines(self) -> int:
        """Lines that all rows take at the present width."""
        return sum(self._prompt(index, False).plain.count("\n") + 1 for index in range(len(self._rows)))

    def show(self, rows: tuple[Row, ...], value: str | None = None) -> None:
        """Replace the rows and mark the one of that value, else the first open one."""
        self._rows = rows
        self._marked = None
        self.clear_options()
        self.add_options(
            Option(self._prompt(number, False), id=f"row-{number}", disabled=bool(row.closed))
            for number, row in enumerate(rows)
        )
        wanted = next((n for n, row in enumerate(rows) if row.value == value and not row.closed), None)
        first = next((n for n, row in enumerate(rows) if not row.closed), None)
        self.highlighted = wanted if wanted is not None else first

    def action_mark(self, number: int) -> None:
        """Mark the row of that number; a closed one is passed over with a sound."""
        if number <= len(self._rows) and not self._rows[number - 1].closed:
            self.highlighted = number - 1
        else:
            self.app.bell()

    def watch_highlighted(self, highlighted: int | None) -> None:
        """Move the (•) along with the cursor."""
        super().watch_highlighted(highlighted)
        for index, marked in ((self._marked, False), (highlighted, True)):
            if index is not None and index < min(len(self._rows), self.option_count):
                self.replace_option_prompt_at_index(index, self._prompt(index, marked))
        self._marked = highlighted

    def on_resize(self) -> None:
        """Wrap the rows to the new width."""
        for index in range(self.option_count):
            self.replace_option_prompt_at_index(index, self._prompt(index, index == self.highlighted))

    def _prompt(self, index: int, marked: bool) -> Content:
        row = self._rows[index]
        sign = glyph("closed") if row.closed else glyph("on" if marked else "off")
        head = f"{sign} {index + 1} "
        width = self.scrollable_content_region.width or 60
        label = hang(row.label, len(head), width)[len(head) :]
        parts: list[str | tuple[str, str]] = [head, (label, "" if row.closed else "bold")]
        if row.closed:
            parts.append("\n" + hang(f"closed: {row.closed}", len(head), width))
        elif row.detail:
            parts.append(("\n" + hang(row.detail, len(head), width), "$foreground-muted"))
        return Content.assemble(*parts)
