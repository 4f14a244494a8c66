"""The menu (F4): everything that works now, found by typing a few letters of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from textual import actions
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider, SearchIcon
from textual.content import Content
from textual.markup import escape

from changeover_tui.bindings import KEYS, shown
from changeover_tui.screens.base import WizardScreen
from changeover_tui.theme import THEMES, glyph
from changeover_tui.words import one_line

if TYPE_CHECKING:
    from changeover_tui.app import ChangeoverApp

MOST_RUNS = 50
THEME_WORDS = {"dark": "dark", "light": "light", "terminal": "the terminal's own colours"}


class Command(NamedTuple):
    """One line of the menu."""

    words: str
    does: Callable[[], object]
    help: str = ""
    listed: bool = True
    """Whether it is shown before anything is typed."""


class Commands(Provider):
    """What can be done on the screen below, then what can be done anywhere."""

    async def startup(self) -> None:
        """Runs are read once, in a thread, while the menu is open."""
        self._runs: list[Command] = []
        if self._app.subject.KEYS_OF in ("start", "run", "summary"):
            self._runs = await asyncio.to_thread(lambda: list(runs(self._app)))

    @property
    def _app(self) -> ChangeoverApp:
        return cast("ChangeoverApp", self.app)

    def _commands(self) -> Iterator[Command]:
        screen = self.screen
        if isinstance(screen, WizardScreen):
            yield from on_screen(screen)
        yield from everywhere(self._app)
        yield from self._runs
        yield from questions(self._app)
        yield from topics(self._app)

    async def discover(self) -> Hits:
        """Before anything is typed."""
        for command in self._commands():
            if command.listed:
                yield DiscoveryHit(Content(command.words), command.does, command.words, escape(command.help) or None)

    async def search(self, query: str) -> Hits:
        """What matches the letters."""
        matcher = self.matcher(query)
        for command in self._commands():
            if (score := matcher.match(command.words)) > 0:
                yield Hit(score, Content(command.words), command.does, command.words, escape(command.help) or None)


class Menu(CommandPalette):
    """Textual's palette with these commands and a sign that every terminal has."""

    def __init__(self) -> None:
        super().__init__(providers=[Commands], placeholder="Type what you want to do; esc closes")

    def on_mount(self) -> None:
        """The magnifying glass is two cells wide in some terminals and missing in others."""
        self.query_one(SearchIcon).icon = glyph("here")


def on_screen(screen: WizardScreen[object]) -> Iterator[Command]:
    """Each key of the screen that does something now; those of the app follow."""
    done: set[str] = set()
    for key in KEYS[screen.KEYS_OF]:
        if key.action in done or key.action.startswith("app.") or not works(screen, key.action):
            continue
        done.add(key.action)
        yield Command(f"{key.words}  ({shown(key.key)})", partial(screen.app.run_action, key.action, screen), key.help)


def works(screen: WizardScreen[object], action: str) -> bool:
    """Whether the key would do something now."""
    namespace, name, parameters = actions.parse(action)
    target = screen.app if namespace == "app" else screen
    return target.check_action(name, parameters) is True


def everywhere(app: ChangeoverApp) -> Iterator[Command]:
    """Help, map, explanations, hints, themes."""
    if app.check_action("map", ()):
        yield Command("Map: the decision tree  (F5)", app.action_map, "What was decided, and what is closed and why.")
    yield Command(
        "Explain a word, a question or a finding  (F6)",
        app.action_explain,
        "The thing in hand first, then the words of this screen, then all others.",
    )
    yield Command("Help on this screen  (F1)", app.action_help, "What is in focus, and every key.")
    hints = "Hide the hints  (F7)" if app.shows_hints else "Show the hints  (F7)"
    yield Command(hints, app.action_toggle_hints, "The muted lines that say what is what.")
    for name, words in THEME_WORDS.items():
        if THEMES[name].name != app.theme:
            yield Command(f"Theme: {words}", partial(app.choose_theme, name), "F2 goes through the themes.")


def questions(app: ChangeoverApp) -> Iterator[Command]:
    """Each question of the walk, to go back to."""
    for asked in app.questions_asked():
        yield Command(
            f"Question: {asked.question.prompt}",
            partial(app.go_to_question, asked.question.id),
            "Go back to it; nothing that you said is lost.",
            listed=False,
        )


def topics(app: ChangeoverApp) -> Iterator[Command]:
    """Everything that can be explained."""
    from changeover.explain import topics as known

    for name, words in known().items():
        yield Command(f"Explain {name}", partial(app.explain, name), one_line(words, 70), listed=False)


def runs(app: ChangeoverApp) -> Iterator[Command]:
    """The runs on this machine that can be read, newest first."""
    from changeover.afterwards.standing import Runs
    from changeover.engine.folder import runs_root
    from changeover_tui import messages

    for seen in Runs(runs_root(app.environ)).look(app.clock(), MOST_RUNS):
        if seen.standing is not None:
            yield Command(
                one_line(f"Open run {seen.folder.name}: {seen.standing.words}", 90),
                partial(app.post_message, messages.RunChosen(seen.folder)),
                "Watch it; an engine that works goes on.",
                listed=False,
            )
