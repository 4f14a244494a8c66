"""The decisions of the walk or the run in hand: the map of the tree, and the way back to a question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on

from changeover_tui import messages
from changeover_tui.frame import Frame
from changeover_tui.screens.base import WizardScreen

if TYPE_CHECKING:
    from changeover.decision.map import MapLine
    from changeover.decision.tree import Asked
    from changeover.wizard import Wizard
    from changeover_tui.screens.ask import AskScreen


class Decisions(Frame):
    """What an app knows of the decision tree; `wizard` is the walk in hand."""

    wizard: Wizard | None = None

    def walk(self) -> AskScreen | None:
        """The questions of the walk in hand."""
        from changeover_tui.screens.ask import AskScreen

        return next((screen for screen in self.screen_stack if isinstance(screen, AskScreen)), None)

    def questions_asked(self) -> tuple[Asked, ...]:
        """The questions that one can go back to."""
        return self.wizard.questions() if self.wizard is not None and self.walk() is not None else ()

    def map_lines(self) -> tuple[MapLine, ...]:
        """The decision tree of the walk or of the run in hand; empty where neither is."""
        from changeover.decision import map as tree
        from changeover_tui.screens.run import RunScreen

        wizard, walk = self.wizard, self.walk()
        run = next((screen for screen in self.screen_stack if isinstance(screen, RunScreen)), None)
        if run is not None:
            return tree.answered(run.feed.plan.answers)
        if wizard is None or wizard.survey is None or walk is None:
            return ()
        if walk is self.subject:
            return tree.lines(wizard.survey, wizard.answers, wizard.probes, walk.topic())
        return tree.lines(wizard.survey, wizard.completed(), wizard.probes, "")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The map is offered where decisions are known."""
        if action == "map" and not self._knows_decisions():
            return False
        return super().check_action(action, parameters)

    def _knows_decisions(self) -> bool:
        return any(screen.KEYS_OF in ("ask", "run") for screen in self.screen_stack if isinstance(screen, WizardScreen))

    def action_map(self) -> None:
        """The whole decision tree; above the screen in hand."""
        from changeover_tui.screens.map import MapScreen

        if lines := self.map_lines():
            self.look_up(MapScreen(lines))

    @on(messages.QuestionChosen)
    def _question_chosen(self, message: messages.QuestionChosen) -> None:
        self.go_to_question(message.question)

    def go_to_question(self, question: str) -> None:
        """Back to that question; checks and plan are derived anew from there."""
        walk = self.walk()
        if walk is None:
            return
        while self.screen is not walk:
            self.pop_screen()
        walk.go_to(question)
