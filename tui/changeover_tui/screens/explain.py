"""Everything that can be explained: words, questions, choices, routes, findings, exit codes; found by typing."""

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from changeover_tui.bindings import bindings
from changeover_tui.screens.base import WizardScreen
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.enter import Field, Rows
from changeover_tui.words import hang, one_line


class ExplainScreen(WizardScreen[None]):
    """A field to narrow the list, the list, the text of the marked topic."""

    CSS_PATH = "explain.tcss"
    KEYS_OF = "explain"
    LOOKS_UP = True
    HEADING = "In words"
    EXPLAIN = (
        "Every word, question, choice, route, finding and exit code, as `changeover explain` prints them. What you were "
        "looking at is marked at first, and the words that stood on your screen come first in the list. Type a few "
        "letters to narrow it; up and down mark a topic. Nothing is changed here."
    )
    HINT = "Type to narrow the list; up and down mark a topic; esc goes back."
    BINDINGS = bindings("explain")

    def __init__(self, topic: str = "", on_screen: str = "") -> None:
        super().__init__()
        self._topic, self._on_screen = topic, on_screen
        self._all: tuple[str, ...] = ()
        self._shown: tuple[str, ...] = ()

    def body(self) -> Iterable[Widget]:
        yield Cell(self.HEADING, classes="heading")
        yield Field(id="narrow", placeholder="a word, a question, a finding")
        with Container(id="explain-box"):
            yield Rows(id="topics", markup=False)
            yield VerticalScroll(Cell("", id="words"), id="words-pane", classes="pane")

    def on_mount(self) -> None:
        """The thing that was in hand, then the words of the screen, then all others."""
        from changeover.explain import topics
        from changeover.glossary import terms_in

        known = topics()
        first = (self._topic, *(term.name for term in terms_in(self._on_screen)))
        self._all = tuple(dict.fromkeys((*(name for name in first if name in known), *known)))
        self.query_one(Input).focus()
        self._narrow("")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._narrow(event.value)

    def _narrow(self, text: str) -> None:
        from changeover.explain import topics

        wanted, known = text.strip().lower(), topics()
        names = [name for name in self._all if wanted in name.lower()]
        also = [name for name in self._all if wanted and wanted in known[name].lower() and name not in names]
        self._shown = (*names, *also)
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options(Option(one_line(name, 60)) for name in self._shown)
        options.highlighted = 0 if self._shown else None
        if not self._shown:
            self.query_one("#words", Cell).say("There is no such topic. Type less, or another word.")

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        from changeover.explain import explain

        name = self._shown[event.option_index]
        width = self.query_one("#words-pane").scrollable_content_region.width or 60
        text = "\n\n".join(_unbroken(part, width) for part in explain(name).split("\n\n"))
        self.query_one("#words", Cell).say(Content.assemble((f"{name}\n\n", "bold"), text))
        self.query_one("#words-pane").scroll_home(animate=False)

    def topic(self) -> str:
        """The marked topic."""
        index = self.query_one(OptionList).highlighted
        return self._shown[index] if index is not None else ""

    def action_mark(self, by: int) -> None:
        """Mark the topic above or below; the field keeps the focus."""
        options = self.query_one(OptionList)
        if self._shown:
            options.highlighted = ((options.highlighted or 0) + by) % len(self._shown)

    def action_page(self, by: int) -> None:
        """Scroll the text."""
        pane = self.query_one("#words-pane")
        pane.scroll_relative(y=by * max(1, pane.size.height - 1), animate=False)


def _unbroken(paragraph: str, width: int) -> str:
    """A paragraph as one line, which its pane wraps; the texts are broken for 120 columns. Rows of a table stay rows."""
    rows = paragraph.split("\n")
    if not any(row.startswith("  ") for row in rows):
        return " ".join(rows)
    return "\n".join(hang(row.strip(), 4, width, 2) for row in rows)
