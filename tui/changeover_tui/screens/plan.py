"""The plan: every step with its exact requests, what it will cost, and what the application must change."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from textual import on
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from changeover.errors import ChangeoverError
from changeover_tui import messages, plan_words
from changeover_tui.bindings import bindings
from changeover_tui.screens.base import WizardScreen
from changeover_tui.screens.typed import TypedScreen
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.enter import Rows
from changeover_tui.words import clean, hang, one_line

if TYPE_CHECKING:
    from changeover.plan.model import Plan
    from changeover.plan.text import PlanLine
    from changeover.wizard import Wizard

APPLY = "run it with `changeover apply`:"
METHODS = frozenset({"GET", "PUT", "POST", "PATCH", "DELETE"})
STYLES = {"+": "$text-success", "~": "$text-warning", "-": "$text-error"}


class PlanScreen(WizardScreen[None]):
    """Lines on the left, the request on the right."""

    CSS_PATH = "plan.tcss"
    STAGE = "plan"
    KEYS_OF = "plan"
    HEADING = "The plan"
    EXPLAIN = (
        "What will happen, in order: + creates something, ~ changes something, - removes something. The right side "
        "shows the exact request of the marked line, as it will be sent. The last lines say what it will cost and what "
        "your application must change. Enter goes to the confirmation, where a name has to be typed; only then the "
        "engine starts. y copies the plan and writes it to a file; s saves the plan file that `changeover apply` "
        "runs, for example in CI or by a colleague."
    )
    HINT = "Enter goes to the confirmation. Nothing has been written so far."
    BINDINGS = bindings("plan")

    def __init__(self, wizard: Wizard, accepted: set[str]) -> None:
        super().__init__()
        self._wizard = wizard
        self._accepted = accepted
        self._plan: Plan | None = None
        self._lines: tuple[PlanLine, ...] = ()

    def body(self) -> Iterable[Widget]:
        yield Cell("", id="count", classes="heading")
        yield Cell("", id="estimate", classes="muted")
        with Horizontal(id="plan"):
            yield Rows(id="lines", markup=False)
            yield VerticalScroll(Cell("", id="detail"), id="detail-pane", classes="pane")

    def on_mount(self) -> None:
        """Build the plan; it is derived anew each time, so it always fits the answers."""
        self.query_one("#detail-pane").border_title = "exactly"
        self.query_one(OptionList).focus()
        try:
            plan = self._wizard.plan()
        except ChangeoverError as error:
            self.query_one("#count", Cell).say("There is no plan for these answers. esc goes back to the checks.")
            self.fail(error)
            self.refresh_bindings()
            return
        self._show(plan)

    def _show(self, plan: Plan) -> None:
        from changeover.plan.text import LEASE, PlanLine, count_line, estimate_lines, render

        self._plan = plan
        self.refresh_bindings()
        lines = list(render(plan))
        if plan.job.lease:
            lines.append(PlanLine(sign="~", text="a lease all the while", detail=LEASE.format(name=plan.job.source)))
        stays = plan.application.startswith("nothing")
        words = "your application: nothing to change" if stays else "your application: you deploy this"
        lines.append(PlanLine(sign=" " if stays else "~", text=words, detail=plan.application))
        self._lines = tuple(lines)
        self.query_one("#count", Cell).say(f"{plan_words.kind(plan)} · {count_line(plan)}")
        said = [*([f"a bridge: {plan_words.BRIDGE}"] if plan.job.bridge else []), *estimate_lines(plan)]
        self.query_one("#estimate", Cell).say(one_line(" · ".join(said)))
        if self._wizard.offline:
            self.tell("Enter saves the plan file for the customer. Nothing runs here.")
        self.call_after_refresh(self._fill)

    def on_resize(self) -> None:
        """Wrap the lines to the new width."""
        self.call_after_refresh(self._fill)

    def _fill(self) -> None:
        options = self.query_one(OptionList)
        at, width = options.highlighted or 0, (options.size.width or 40) - 4
        options.clear_options()
        options.add_options(Option(_row(line, width)) for line in self._lines)
        options.highlighted = at if self._lines else None

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        line = self._lines[event.option_index]
        self.query_one("#detail", Cell).say(clean(pretty(line.detail)) or "Nothing is sent for this line.")
        self.query_one("#detail-pane").scroll_home(animate=False)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_accept()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without a plan there is nothing to do; on a bundle it is saved, and nothing can be started."""
        if action in ("accept", "hand_over", "copy", "save") and self._plan is None:
            return False
        if action in ("accept", "save", "hand_over"):
            return (action == "hand_over") == bool(self._wizard.offline)
        return True

    def action_hand_over(self) -> None:
        """Write the plan file that is sent back to where the bundle was made."""
        self.action_save()

    def action_accept(self) -> None:
        """Ask for the typed name."""
        if self._wizard.offline:
            self.action_save()
            return
        plan = self._plan
        if plan is None:
            self.fail("there is no plan to accept; b goes back to the checks")
            return
        self.app.push_screen(confirmation(plan), lambda typed: self._confirmed(plan, typed))

    def _confirmed(self, plan: Plan, typed: bool | None) -> None:
        if not typed:
            return
        self.post_message(messages.PlanAccepted(plan))

    def text(self) -> str:
        """The plan as plain text, for the clipboard and the file."""
        from changeover.plan.text import as_text

        return as_text(self._plan) if self._plan is not None else ""

    def action_copy(self) -> None:
        """Copy through the terminal and write a file too: the first fails silently in some terminals."""
        if self._plan is None:
            return
        self.app.copy_to_clipboard(self.text())
        self._write(f"{self._plan.id}.txt", self.text().encode(), "copied; also written to")

    def action_save(self) -> None:
        """Write the plan file."""
        if self._plan is None:
            return
        from changeover.plan.file import to_json

        words = "for the customer, who runs it with `changeover apply`:" if self._wizard.offline else APPLY
        self._write(f"{self._plan.id}.plan.json", to_json(self._plan), words)

    def _write(self, name: str, data: bytes, words: str) -> None:
        from changeover.engine.folder import write_private

        path = Path.cwd() / name
        try:
            write_private(path, data)
        except OSError as error:
            self.fail(f"{path}: cannot write: {error.strerror}; start Changeover in a folder that you may write to")
            return
        self.tell(f"{words} {path}")


def confirmation(plan: Plan) -> TypedScreen:
    """The screen on which the plan's own name is typed before anything is written."""
    word = plan.job.name_in_use
    return TypedScreen(
        stage="plan", heading="Start the engine?", said=plan_words.before(plan), word=word, ask=f"Type {word} to start"
    )


def pretty(detail: str) -> str:
    """Requests of a plan line with their bodies indented; every other line as it is."""
    return "\n".join(_pretty_line(line) for line in detail.splitlines())


def _pretty_line(line: str) -> str:
    method, _, rest = line.partition(" ")
    path, _, body = rest.partition(" ")
    if method not in METHODS or not body:
        return line
    try:
        return f"{method} {path}\n{msgspec.json.format(body, indent=2)}"
    except msgspec.DecodeError:
        return line


def _row(line: PlanLine, width: int) -> Content:
    text = hang(line.text, 2, width)[2:]
    return Content.assemble((f"{line.sign or ' '} ", f"bold {STYLES.get(line.sign, '')}".strip()), text)
