"""The first screen: the sandbox, a cluster, or a run that exists already."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from textual import on
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import OptionList

from changeover.afterwards.resume import resume
from changeover.afterwards.standing import Runs, Seen
from changeover.engine.folder import runs_root
from changeover.errors import ChangeoverError
from changeover_tui import messages
from changeover_tui.bindings import bindings
from changeover_tui.runner import title_of
from changeover_tui.screens.base import WizardScreen
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.choice_list import ChoiceList, Row
from changeover_tui.words import ago, one_line

LOOK_S = 5.0
"""Between two looks at the runs."""
MOST = 40
"""Runs that are listed."""
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
        self._seen: dict[str, Seen] = {}
        self._runs: Runs | None = None
        self._timer: Timer | None = None

    def body(self) -> Iterable[Widget]:
        yield Cell("Change the embedding model of a collection, without downtime", classes="heading")
        yield Cell(
            "Look first, decide with evidence, accept a plan, watch it run, go back if you must.", classes="muted"
        )
        yield Cell("", id="recent", classes="muted")
        yield ChoiceList(id="ways")

    def on_mount(self) -> None:
        """Show the two ways at once; the runs follow when they have been read."""
        self.query_one(ChoiceList).show(WAYS)
        self.query_one(ChoiceList).focus()

    def on_screen_resume(self) -> None:
        """Read the runs anew whenever this screen comes up, and every few seconds while it is there."""
        self._look()
        if self._timer is None:
            self._timer = self.set_interval(LOOK_S, self._look)
        self._timer.resume()

    def on_screen_suspend(self) -> None:
        """No work while another screen is on top."""
        if self._timer is not None:
            self._timer.pause()

    def _look(self) -> None:
        self.in_background(self._list_runs(), "runs")

    async def _list_runs(self) -> None:
        if self._runs is None:
            self._runs = Runs(runs_root(self.wizard_app.environ))
        seen = await asyncio.to_thread(self._runs.look, self.wizard_app.clock(), MOST + 1)
        rows = tuple(run_row(one) for one in seen[:MOST])
        self._seen = {str(one.folder.path): one for one in seen}
        choices = self.query_one(ChoiceList)
        if choices.rows != (*WAYS, *rows):
            choices.show((*WAYS, *rows), choices.row.value if choices.row else None)
        self.query_one("#recent", Cell).say(_found(len(rows), more=len(seen) > MOST))
        self.refresh_bindings()

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
            self.post_message(messages.SandboxChosen())
        elif row.value == "connect":
            self.post_message(messages.ConnectChosen())
        elif (one := self._seen[row.value]).broken:
            self.fail(f"{one.folder.path}: {one.broken}. Nothing can be done with it; move the folder away")
        else:
            self.post_message(messages.RunChosen(one.folder))

    @on(OptionList.OptionHighlighted)
    def _marked(self) -> None:
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only a run that stopped can be started again, and not by who only watches."""
        return action != "resume_run" or (self._resumable is not None and not self.wizard_app.read_only)

    @property
    def _resumable(self) -> Seen | None:
        row = self.query_one(ChoiceList).row if self.is_mounted else None
        one = self._seen.get(row.value) if row is not None else None
        return one if one is not None and one.standing is not None and one.standing.resumable else None

    def action_resume_run(self) -> None:
        """Start the engine of the marked run where it stopped, and watch it."""
        one = self._resumable
        if one is None:
            return
        try:
            resume(one.folder, self.wizard_app.run_environ)
        except (ChangeoverError, OSError) as error:
            self.fail(error)
            return
        self.post_message(messages.RunStarted(one.folder))

    def action_back(self) -> None:
        """There is nothing before this screen."""


def run_row(one: Seen) -> Row:
    """A run as a row: what it does, then where it stands, how old it is, its name."""
    age = "" if one.age_s is None else f", {ago(one.age_s)}"
    if one.broken or one.plan is None or one.standing is None:
        return Row(value=str(one.folder.path), label=one.folder.name, detail=f"broken: {one_line(one.broken, 200)}")
    return Row(
        value=str(one.folder.path),
        label=f"{title_of(one.plan)}{age}",
        detail=f"{one_line(one.standing.words, 200)} · {one.folder.name}",
    )


def _found(count: int, *, more: bool) -> str:
    if not count:
        return "There are no runs on this machine yet."
    older = "; `changeover runs` lists the older ones too" if more else ""
    return f"Row {len(WAYS) + 1} and below: the runs on this machine, the newest first{older}."
