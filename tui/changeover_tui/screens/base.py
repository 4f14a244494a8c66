"""What all screens have: the way on top, one line that says what happens next or what went wrong, the keys below."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from textual.app import ComposeResult
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer

from changeover.errors import ChangeoverError
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.crumbs import Crumbs
from changeover_tui.words import one_line

if TYPE_CHECKING:
    from changeover_tui.app import ChangeoverApp

Result = TypeVar("Result")
NEED_ROOM = "Changeover needs a terminal of at least 60 x 20; make this one larger, or use --plain."


class WizardScreen(Screen[Result], inherit_bindings=False):
    """Base of all screens; `body` yields what is between the top line and the message line."""

    STAGE: str = ""
    KEYS_OF: ClassVar[str] = ""
    """The name of this screen in the table of keys."""
    HEADING: ClassVar[str] = ""
    EXPLAIN: ClassVar[str] = ""
    """What the help (F1) says: what this screen is for, and what happens next."""
    HINT: ClassVar[str] = ""

    @property
    def wizard_app(self) -> ChangeoverApp:
        """The app, with its type."""
        return cast("ChangeoverApp", self.app)

    def compose(self) -> ComposeResult:
        yield Crumbs(self.STAGE)
        yield from self.body()
        yield Cell(self.HINT, id="line")
        yield Footer(show_command_palette=False)
        yield Cell(NEED_ROOM, id="need-room")

    def body(self) -> Iterable[Widget]:
        """The widgets of this screen."""
        return ()

    def tell(self, text: str = "") -> None:
        """Say what happens now or what Enter does; without a text the screen's own hint."""
        line = self.query_one("#line", Cell)
        line.set_class(False, "-error")
        line.say(one_line(text or self.HINT))

    def fail(self, error: BaseException | str) -> None:
        """Say in one line what went wrong; the word stands first, the colour only helps."""
        line = self.query_one("#line", Cell)
        line.set_class(True, "-error")
        line.say(Content.assemble(("Error: ", "bold"), one_line(error)))

    def in_background(self, job: Coroutine[Any, Any, None], group: str) -> None:
        """Run a job that asks the cluster or a model; a second one of the group replaces the first."""
        self.run_worker(self._guarded(job), group=group, exclusive=True, exit_on_error=False)

    async def _guarded(self, job: Coroutine[Any, Any, None]) -> None:
        try:
            await job
        except ChangeoverError as error:
            if self.is_running:
                self.fail(error)
        except Exception as bug:
            self.log.error(bug)
            if self.is_running:
                self.fail(f"a bug in Changeover ({type(bug).__name__}: {bug}); please report it")

    def help_text(self) -> str:
        """What F1 shows; screens add what is in focus."""
        return self.EXPLAIN

    def action_back(self) -> None:
        """Go back one screen."""
        self.app.pop_screen()

    def action_quit(self) -> None:
        """Leave the app."""
        self.wizard_app.leave()

    def action_help(self) -> None:
        """Show what this screen is for."""
        from changeover_tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self.HEADING, self.help_text(), self.KEYS_OF))

    def action_toggle_light(self) -> None:
        """Change between dark and light."""
        self.wizard_app.toggle_light()
