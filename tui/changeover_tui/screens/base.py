"""What all screens have: the way on top, one line that says what happens next or what went wrong, the keys below."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from textual.app import ComposeResult
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import OptionList

from changeover.errors import ChangeoverError
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.crumbs import Crumbs
from changeover_tui.widgets.keys import Keys
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
    HINT: str = ""
    """The line above the footer while nothing happens: what Enter does, and that it writes nothing."""
    LOOKS_UP: ClassVar[bool] = False
    """Opened over another screen only to look something up."""

    _hint: str = ""
    """What the line says while nothing happens; hidden when hints are off."""
    _hinting: bool = False

    @property
    def wizard_app(self) -> ChangeoverApp:
        """The app, with its type."""
        return cast("ChangeoverApp", self.app)

    def compose(self) -> ComposeResult:
        yield Crumbs(self.STAGE, self.wizard_app.offline)
        yield from self.body()
        self._hint, self._hinting = self.HINT, True
        yield Cell(self.HINT if self.wizard_app.shows_hints else "", id="line")
        yield Keys()
        yield Cell(NEED_ROOM, id="need-room")

    def body(self) -> Iterable[Widget]:
        """The widgets of this screen."""
        return ()

    def tell(self, text: str = "") -> None:
        """Say what happens now; without a text the screen's own hint."""
        if not text:
            self.hint(self.HINT)
            return
        self._hinting = False
        self._say(text)

    def hint(self, text: str) -> None:
        """Say what Enter does and what it leaves alone, unless hints are switched off."""
        self._hint, self._hinting = text, True
        self._say(text if self.wizard_app.shows_hints else "")

    def show_hints(self, shown: bool) -> None:
        """Hints were switched on or off."""
        self.set_class(not shown, "-no-hints")
        if self._hinting:
            self._say(self._hint if shown else "")

    def _say(self, text: str) -> None:
        line = self.query_one("#line", Cell)
        line.set_class(False, "-error")
        line.say(one_line(text))

    def fail(self, error: BaseException | str) -> None:
        """Say in one line what went wrong; the word stands first, the colour only helps."""
        self._hinting = False
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
        """What F1 says about the screen; screens add what is in hand."""
        return self.EXPLAIN

    def topic(self) -> str:
        """What F6 explains first: the name of the question, finding or route in hand, or nothing."""
        return ""

    def words_shown(self) -> str:
        """All text of the screen, also what is scrolled away; F1 and F6 explain its words."""
        said = [cell.said for cell in self.query(Cell) if cell.display and cell.id not in ("need-room", "way")]
        rows = (option.prompt for options in self.query(OptionList) for option in options.options)
        titles = [str(widget.border_title or "") for widget in self.query("*")]
        return "\n".join([*said, *(str(row) for row in rows), *titles])

    def action_back(self) -> None:
        """Go back one screen."""
        self.app.pop_screen()

    def action_quit(self) -> None:
        """Leave the app."""
        self.wizard_app.leave()
