"""What every screen stands in: themes, hints, and what can be opened from anywhere - help, menu, map, explanations."""

from __future__ import annotations

from textual.app import App
from textual.reactive import var
from textual.screen import Screen

from changeover_tui.screens.base import WizardScreen
from changeover_tui.theme import THEMES


class Frame(App[int]):
    """Base of the app; what it offers is decided by the screen that a person works on, below any help or map."""

    shows_hints: var[bool] = var(True)
    """Whether the muted lines that explain are shown; remembered until the app ends."""

    def __init__(self, *, theme: str = "dark", hints: bool = True) -> None:
        super().__init__()
        for known in THEMES.values():
            self.register_theme(known)
        # Set by name: otherwise TEXTUAL_THEME of the environment decides.
        self.theme = THEMES[theme].name
        self.set_reactive(Frame.shows_hints, hints)

    @property
    def subject(self) -> WizardScreen[object]:
        """The screen that a person works on: the topmost that is not just opened to look something up."""
        return next(
            screen for screen in reversed(self.screen_stack) if isinstance(screen, WizardScreen) and not screen.LOOKS_UP
        )

    def close_lookups(self) -> None:
        """Back to the screen that a person works on."""
        while self.screen is not self.subject:
            self.pop_screen()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing is opened above itself."""
        present = self.screen
        return not (action in ("help", "explain", "map") and getattr(present, "KEYS_OF", "") == action)

    def watch_shows_hints(self, shown: bool) -> None:
        """Every screen says or hides its explanations."""
        for screen in self.screen_stack:
            if isinstance(screen, WizardScreen):
                screen.show_hints(shown)

    def action_next_theme(self) -> None:
        """Dark, light, the terminal's own colours, and round again."""
        names = [theme.name for theme in THEMES.values()]
        self.theme = names[(names.index(self.theme) + 1) % len(names)]

    def choose_theme(self, name: str) -> None:
        """The theme of that name."""
        self.theme = THEMES[name].name

    def action_toggle_hints(self) -> None:
        """Show or hide the lines that explain."""
        self.shows_hints = not self.shows_hints

    def action_menu(self) -> None:
        """Everything that works now, to be found by typing."""
        from changeover_tui.menu import Menu

        if not isinstance(self.screen, Menu):
            self.push_screen(Menu())

    def action_help(self) -> None:
        """What is in focus, what the screen is for, its keys and its words."""
        from changeover_tui.screens.help import HelpScreen

        self.look_up(HelpScreen(self.subject))

    def action_explain(self) -> None:
        """The thing in hand in words, and everything else that can be explained."""
        present = self.screen if isinstance(self.screen, WizardScreen) else self.subject
        self.explain(present.topic())

    def explain(self, topic: str) -> None:
        """That topic in words."""
        from changeover_tui.screens.explain import ExplainScreen

        self.look_up(ExplainScreen(topic, self.subject.words_shown()))

    def look_up(self, screen: Screen[None]) -> None:
        """Open it above the screen in hand; another one that was opened to look something up is closed."""
        self.close_lookups()
        self.push_screen(screen)
