"""The first screen: the sandbox, a cluster, or a run that exists already."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from textual import on
from textual.widget import Widget
from textual.widgets import OptionList

from changeover.engine.folder import RunFolder
from changeover_tui import messages, runner
from changeover_tui.bindings import bindings
from changeover_tui.screens.base import WizardScreen
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.choice_list import ChoiceList, Row

WAYS = (
    Row(
        value="sandbox",
        label="Try it on the sandbox",
        detail="A real migration on an embedded cluster: no network, no account.",
    ),
    Row(
        value="connect",
        label="Connect to a Qdrant cluster",
        detail="Reads first. Nothing is written before you have accepted a plan.",
    ),
)


class StartScreen(WizardScreen[None]):
    """What do you want to do?"""

    CSS_PATH = "start.tcss"
    KEYS_OF = "start"
    HEADING = "What do you want to do?"
    EXPLAIN = (
        "Changeover takes a Qdrant collection from one embedding model to another without losing a point, a write or "
        "a minute of service. It asks a few questions, checks what speaks against your answers, shows a plan, and "
        "runs it only after you have typed a name. The engine is a process of its own: closing this window does not "
        "stop it, and a run in the list below can be watched or started again at any time."
    )
    HINT = "Enter takes the marked row; digits mark one."
    BINDINGS = bindings("start")

    def __init__(self) -> None:
        super().__init__()
        self._runs: tuple[tuple[RunFolder, str, str], ...] = ()

    def body(self) -> Iterable[Widget]:
        yield Cell("Change the embedding model of a collection, without downtime", classes="heading")
        yield Cell(
            "Look first, decide with evidence, accept a plan, watch it run, go back if you must.", classes="muted"
        )
        yield ChoiceList(id="ways")
        yield Cell("", id="recent", classes="muted")

    def on_mount(self) -> None:
        """Show the two ways at once; the runs follow when they have been read."""
        self.query_one(ChoiceList).show(WAYS)
        self.query_one(ChoiceList).focus()

    def on_screen_resume(self) -> None:
        """Read the runs anew whenever this screen comes up."""
        self.in_background(self._list_runs(), "runs")

    async def _list_runs(self) -> None:
        self._runs = await asyncio.to_thread(runner.recent, self.wizard_app.environ)
        choices = self.query_one(ChoiceList)
        chosen = choices.row.value if choices.row else None
        rows = [
            Row(value=str(run.path), label=title, detail=f"{words} · {run.name}") for run, title, words in self._runs
        ]
        choices.show((*WAYS, *rows), chosen)
        found = "Rows 3 and below are runs on this machine." if rows else "There are no runs on this machine yet."
        self.query_one("#recent", Cell).say(found)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_choose()

    def action_choose(self) -> None:
        """Take the marked row."""
        row = self.query_one(ChoiceList).row
        if row is None:
            return
        if row.value == "sandbox":
            self.tell("Starting the sandbox: its cluster, its texts, its application. The first time takes a minute.")
            self.post_message(messages.SandboxChosen())
        elif row.value == "connect":
            self.post_message(messages.ConnectChosen())
        else:
            run = next(run for run, _, _ in self._runs if str(run.path) == row.value)
            self.post_message(messages.RunChosen(run))

    def action_back(self) -> None:
        """There is nothing before this screen."""
