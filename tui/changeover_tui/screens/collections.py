"""The collections of the cluster: one is chosen to be surveyed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual import on
from textual.content import Content
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from changeover_tui import messages
from changeover_tui.bindings import bindings
from changeover_tui.screens.base import WizardScreen
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.enter import Rows
from changeover_tui.words import host, one_line, plural

if TYPE_CHECKING:
    from changeover.survey.listing import Listed
    from changeover.wizard import Wizard


class CollectionsScreen(WizardScreen[None]):
    """Which collection?"""

    CSS_PATH = "collections.tcss"
    STAGE = "collection"
    KEYS_OF = "collections"
    HEADING = "Which collection?"
    EXPLAIN = (
        "Every collection of the cluster with its points, its vectors, the aliases that point to it, and what is "
        "worth knowing before a migration. Enter reads everything about the marked one: configuration, indexes, "
        "sizes, state, and a sample of its points. Nothing is written."
    )
    HINT = "Enter surveys the marked collection; nothing is written."
    BINDINGS = bindings("collections")

    def __init__(self, wizard: Wizard, preferred: str = "") -> None:
        super().__init__()
        self._wizard = wizard
        self._preferred = preferred
        self._listed: tuple[Listed, ...] = ()

    def body(self) -> Iterable[Widget]:
        yield Cell(f"Collections on {host(self._wizard.access.url)}", classes="heading")
        yield Rows(id="collections", markup=False)
        yield Cell("", id="none", classes="muted")

    def on_mount(self) -> None:
        """List them."""
        self.query_one(OptionList).focus()
        self.action_reload()

    def action_reload(self) -> None:
        """List them anew."""
        self.tell("Reading the list of collections …")
        self.in_background(self._load(), "collections")

    async def _load(self) -> None:
        self._listed = await self._wizard.collections()
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options(Option(_row(listed)) for listed in self._listed)
        names = [listed.name for listed in self._listed]
        wanted = self._preferred or self._wizard.answers.collection or ""
        index = next((n for n, one in enumerate(self._listed) if wanted == one.name or wanted in one.aliases), 0)
        options.highlighted = index if names else None
        words = "" if names else "This cluster has no collections; check the address and what the key may see."
        self.query_one("#none", Cell).say(words)
        self.tell()

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_choose()

    def action_choose(self) -> None:
        """Survey the marked collection, through its alias when it has exactly one: that is what applications use."""
        index = self.query_one(OptionList).highlighted
        if index is None:
            self.fail("there is nothing to survey; esc goes back to the address")
            return
        listed = self._listed[index]
        wanted = self._preferred or self._wizard.answers.collection or ""
        only = listed.aliases[0] if len(listed.aliases) == 1 else listed.name
        name = wanted if wanted in (listed.name, *listed.aliases) else only
        self.tell(f"Surveying {name}: configuration, indexes, sizes, state, a sample of its points …")
        self.in_background(self._survey(name), "survey")

    async def _survey(self, name: str) -> None:
        from msgspec.structs import replace

        await self.wizard_app.ready()
        await self._wizard.take_survey(name)
        self._wizard.answer(replace(self._wizard.answers, collection=name))
        self.tell()
        self.post_message(messages.Surveyed())


def _row(listed: Listed) -> Content:
    parts: list[str | tuple[str, str]] = [(one_line(listed.name, 60), "bold")]
    if listed.aliases:
        parts.append((f"  alias {one_line(', '.join(listed.aliases), 60)}", "$text-accent"))
    vectors = one_line("; ".join(listed.vectors) or "no vectors", 120)
    parts.append(f"\n  {plural(listed.points, 'point')} · {vectors}")
    if listed.flags:
        parts.append((f"\n  note: {one_line('; '.join(listed.flags), 200)}", "$text-warning"))
    return Content.assemble(*parts)
