"""One question at a time: its choices, what the cluster says about it, and where it stands in the decision tree."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual import on
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, OptionList

from changeover.errors import ChangeoverError, UsageError
from changeover.survey.trials.pace import Pace
from changeover_tui import messages
from changeover_tui.bindings import bindings
from changeover_tui.screens.base import WizardScreen
from changeover_tui.widgets import tree_map
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.choice_list import ChoiceList, Row
from changeover_tui.widgets.enter import Field
from changeover_tui.widgets.evidence import NOTHING, TICK_S, EvidencePane, Part, under_way
from changeover_tui.words import hang, one_line, refusal

if TYPE_CHECKING:
    from changeover.decision.charts import Evidence
    from changeover.decision.tree import Asked, AskedChoice
    from changeover.wizard import Wizard

FIELD_LINES = 3
LEAST_WHY = 3
LEAST_LIST = 3
MORE = " … F1"


class AskScreen(WizardScreen[None]):
    """Question | evidence | map."""

    CSS_PATH = "ask.tcss"
    STAGE = "questions"
    KEYS_OF = "ask"
    HEADING = "Questions"
    EXPLAIN = (
        "One question at a time. On the left the choices; the marked one is what the wizard proposes from what it "
        "found on your cluster, and Enter takes it. Choices that are closed stay visible with the reason. On the right "
        "what was measured for this question, and below it the way through the decision tree so far. Going back loses "
        "nothing. Nothing is written to the cluster here."
    )
    BINDINGS = bindings("ask")

    def __init__(self, wizard: Wizard) -> None:
        super().__init__()
        self._wizard = wizard
        self._asked: tuple[Asked, ...] = ()
        self._at = ""
        """The id of the question in hand."""
        self._pace: Pace | None = None
        """How far the trial is that goes on now."""
        self._can_try = False
        self._keys = (False, False)
        """What the footer goes by."""
        self._ended = ""
        """What became of the last trial of this question, where it came to nothing."""

    def body(self) -> Iterable[Widget]:
        with Horizontal(id="ask"):
            with VerticalScroll(id="question", can_focus=False):
                yield Cell("", id="prompt")
                yield Cell("", id="why")
                yield ChoiceList(id="choices")
                yield Field(id="typed")
            with Vertical(id="side"):
                yield EvidencePane(id="evidence-pane")
                yield VerticalScroll(Cell("", id="map"), id="map-pane", classes="pane")

    def on_mount(self) -> None:
        """The first question."""
        self.query_one("#evidence-pane").border_title = "what your cluster says"
        self.query_one("#map-pane").border_title = "where you are"
        self._ticking = self.set_interval(TICK_S, self._show_evidence, pause=True)
        self._refresh_questions()
        if self._asked:
            self._show(self._asked[0])

    def on_resize(self) -> None:
        """Question, evidence and map fit the room that they have."""
        if self._asked:
            self.call_after_refresh(self._fit)
            self.call_after_refresh(lambda: self._show_side(self._current()))

    def on_screen_resume(self) -> None:
        """Coming back from the checks or the plan: the probes may say more now."""
        if self._asked:
            self._refresh_questions()
            self._show(self._current())

    def help_text(self) -> str:
        """The help of this question, then that of the screen."""
        if not self._asked:
            return self.EXPLAIN
        question = self._current().question
        return f"{question.prompt}\n\n{question.help}\n\nQuestion id: {question.id}\n\n{self.EXPLAIN}"

    def topic(self) -> str:
        """The question in hand."""
        return self._at

    def go_to(self, question: str) -> None:
        """Show that question, when it is asked now."""
        self._refresh_questions()
        self._show(next((asked for asked in self._asked if asked.question.id == question), self._current()))

    def _refresh_questions(self) -> None:
        self._asked = self._wizard.questions()

    def _current(self) -> Asked:
        return next((asked for asked in self._asked if asked.question.id == self._at), self._asked[0])

    def _show(self, asked: Asked) -> None:
        question = asked.question
        if question.id != self._at:
            self._give_up()
            self._ended = ""
        self._at = question.id
        number = [one.question.id for one in self._asked].index(question.id) + 1
        self.query_one("#question").scroll_home(animate=False)
        self.query_one("#prompt", Cell).say(f"{number} of {len(self._asked)} · {one_line(question.prompt)}")
        value = _text(asked.taken)
        choices, typed = self.query_one(ChoiceList), self.query_one(Input)
        offered = {choice.choice.value for choice in asked.choices}
        choices.display = bool(asked.choices)
        typed.display = question.kind in ("text", "number")
        typed.border_title = "or type another" if asked.choices else "your answer"
        typed.placeholder = "empty: none" if question.optional else "type it here"
        typed.value = "" if value in offered else value
        choices.show(tuple(_row(choice) for choice in asked.choices), value)
        (choices if asked.choices and (value in offered or not typed.display or not value) else typed).focus()
        self.call_after_refresh(self._fit)
        self._show_side(asked)
        self.hint(_hint(asked, self._in_hand()))

    def _fit(self) -> None:
        """Share the room: the reason as far as it fits, the field always in sight, the list scrolls in the rest."""
        if not self.is_current:
            return  # called after a refresh, when a key may have led elsewhere
        pane, choices = self.query_one("#question"), self.query_one(ChoiceList)
        width, room = pane.scrollable_content_region.width, pane.scrollable_content_region.height
        room -= hang(self.query_one("#prompt", Cell).said, 0, width).count("\n") + 2
        room -= FIELD_LINES if self.query_one(Input).display else 0
        why = hang(self._current().question.help, 0, width).split("\n")
        most = max(LEAST_WHY, room - (choices.lines if choices.display else 0))
        if len(why) > most:
            cut = one_line(f"{why[most - 1]} {why[most]}", width - len(MORE)).rstrip("…")
            why = [*why[: most - 1], cut.rpartition(" ")[0].rstrip(".,;:") + MORE]
        self.query_one("#why", Cell).say("\n".join(why))
        choices.styles.max_height = max(LEAST_LIST, room - len(why))

    def _show_side(self, asked: Asked) -> None:
        self._show_evidence()
        self.query_one("#evidence-pane").scroll_home(animate=False)
        survey = self._wizard.survey
        if survey is not None:
            from changeover.decision.map import lines as branches

            width = (self.query_one("#map-pane").size.width or 32) - 3
            wizard = self._wizard
            content, here = tree_map.small(branches(survey, wizard.answers, wizard.probes, self._at), width)
            self.query_one("#map", Cell).say(content)
            self.query_one("#map-pane").scroll_to(y=max(0, here - 2), animate=False)

    # What is known for the marked choice, and trying it

    def _in_hand(self) -> str | None:
        """The answer that is marked or typed now."""
        typed = self.query_one(Input)
        row = self.query_one(ChoiceList).row
        if self._current().choices and row is not None and not (typed.display and typed.has_focus):
            return row.value or None
        return self._typed() or None

    def _show_evidence(self) -> None:
        if not self.is_running or not self._asked:
            return
        evidence = self._wizard.evidence(self._at, self._in_hand())
        self._can_try = bool(evidence.untried or evidence.failed)
        # With figures, or something to try, it needs more room than the map, which has a screen of its own.
        self.query_one("#side").set_class(bool(evidence.charts) or self._can_try or self._pace is not None, "-more")
        pane = self.query_one(EvidencePane)
        now = self._now(pane.room)
        offers = self._offers(evidence) if not now else ()
        pane.show(now, evidence.lines or (NOTHING,), offers, evidence.charts)
        keys = (self._can_try, self._pace is not None)
        if keys != self._keys:
            # The footer is made anew each time; not four times a second.
            self._keys = keys
            self.refresh_bindings()

    def _now(self, width: int) -> list[Part]:
        """What is being tried, or what became of it."""
        if self._pace is not None:
            key = "F8" if self._typing else "x"
            return [*under_way(self._pace, width), f"{key} cancels; nothing is written."]
        return [f"{self._ended} {self._try_key} tries again."] if self._ended else []

    def _offers(self, evidence: Evidence) -> list[str]:
        """What can be tried for the answer in hand."""
        if evidence.failed:
            return [f"{self._try_key} tries again."]
        return [f"{self._try_key} tries it now: {needs}. Nothing is written." for needs in evidence.untried]

    @property
    def _typing(self) -> bool:
        return isinstance(self.focused, Input)

    @property
    def _try_key(self) -> str:
        return "F8" if self._typing else "t"

    def action_try_it(self) -> None:
        """Try it on a sample for the answer in hand."""
        self._pace, self._ended = Pace(), ""
        self._pace.tell(0, 0, "Reading")
        self._ticking.resume()
        self._show_evidence()
        self.in_background(self._try(self._at, self._in_hand()), "try")

    async def _try(self, question: str, value: str | None) -> None:
        ended = ""
        try:
            await self._wizard.try_it(question, value, self._progress)
        except ChangeoverError as error:
            ended = f"Error: {one_line(error).rstrip('.')}."
        except asyncio.CancelledError:
            ended = "Cancelled; what was measured before stands."
            raise
        finally:
            self._pace = None
            if question == self._at:
                self._ended = ended
            if self.is_running:
                self._ticking.pause()
                self._refresh_questions()
                self._show_evidence()

    def _progress(self, done: int, total: int, words: str) -> None:
        if self._pace is None:
            return
        new = words != self._pace.words
        self._pace.tell(done, total, words)
        if new:
            self._show_evidence()

    def action_cancel(self) -> None:
        """Give up the trial; what was measured before stands."""
        self._give_up()

    def _give_up(self) -> None:
        if self._pace is not None:
            self.workers.cancel_group(self, "try")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Something is tried where there is something to try, and cancelled while it goes on; F8 while one types."""
        if action in ("try_it", "try_typed", "cancel", "cancel_typed"):
            if action.endswith("_typed") != self._typing:
                return False
            goes_on = self._pace is not None
            return goes_on if action.startswith("cancel") else self._can_try and not goes_on
        return True

    action_try_typed, action_cancel_typed = action_try_it, action_cancel

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self._looked_at()

    def on_descendant_focus(self) -> None:
        """What is in hand may be the marked row, or what is typed."""
        if self._asked and self._current().choices:
            self._looked_at()

    def _looked_at(self) -> None:
        if self._asked:
            self._show_evidence()
            self.hint(_hint(self._current(), self._in_hand(), typing=self._typing))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_take()

    @on(Input.Changed)
    def _changed(self) -> None:
        if self._asked and self.query_one(Input).has_focus:
            self._look_at_typed()
            self._show_evidence()

    def _look_at_typed(self) -> None:
        """Say at once whether what is typed can be taken."""
        from changeover.decision.answers import set_answer

        typed = self._typed()
        try:
            if typed:
                set_answer(self._wizard.answers, self._at, typed)
            if typed or self._current().question.optional:
                self.tell(f"Enter takes {typed or 'no answer'}.")
            else:
                self.hint(_hint(self._current(), None, typing=True))
        except UsageError as error:
            self.fail(refusal(error))

    def action_take(self) -> None:
        """Answer the question in hand and go to the next, or on to the checks."""
        asked = self._current()
        typed = self.query_one(Input)
        try:
            if asked.choices and not (typed.display and typed.has_focus):
                self._take_row(asked)
            else:
                self._take_text(asked, self._typed())
            before = [one.question.id for one in self._asked]
            self._refresh_questions()
        except ChangeoverError as error:
            self.fail(refusal(error))
            return
        self._give_up()
        self._go_on(before)

    def _typed(self) -> str:
        """What stands in the field; blanks at its ends belong to few answers."""
        text = self.query_one(Input).value
        return text if self._current().question.blanks and text.strip() else text.strip()

    def _take_row(self, asked: Asked) -> None:
        from changeover.decision.answers import set_answer, without_answer

        row = self.query_one(ChoiceList).row
        if row is None:
            raise UsageError("every choice is closed; go back and change an earlier answer")
        if row.value or not asked.question.optional:
            self._wizard.answer(set_answer(self._wizard.answers, self._at, row.value))
        else:
            self._wizard.answer(without_answer(self._wizard.answers, self._at))

    def _take_text(self, asked: Asked, text: str) -> None:
        from changeover.decision.answers import set_answer, without_answer

        if text:
            self._wizard.answer(set_answer(self._wizard.answers, self._at, text))
        elif not asked.question.optional:
            raise UsageError("this needs an answer; F1 says what it is for")
        elif asked.value is not None:
            self._wizard.answer(without_answer(self._wizard.answers, self._at))

    def _go_on(self, before: list[str]) -> None:
        """To the next question; `before` were asked until now, the answered one among them."""
        from changeover.decision import order

        following = order.after(before, self._at, self._asked)
        if following is None:
            self.post_message(messages.Answered())
        else:
            self._show(following)

    def action_back(self) -> None:
        """The question before, or the collections."""
        from changeover.decision import order

        before = order.previous(self._at, self._asked)
        if before is None:
            self.app.pop_screen()
        else:
            self._show(before)


def _hint(asked: Asked, in_hand: str | None, *, typing: bool = False) -> str:
    """What Enter takes now, and how another text is given."""
    question = asked.question
    nothing = "answering writes nothing to the cluster."
    if asked.choices and question.kind in ("text", "number"):
        nothing = "tab goes to the field. Nothing is written."
    if in_hand and in_hand == _text(asked.taken):
        takes = "keeps the answer it has" if asked.taken == asked.value else "takes what is proposed"
        return f"Enter {takes}; {nothing}"
    if asked.choices and typing:
        return f"Enter takes {in_hand}." if in_hand else "Type another answer, or shift+tab: back to the list."
    if asked.choices:
        return f"Enter takes the marked row; {nothing}"
    if question.optional:
        return f"Enter goes on without an answer; {nothing}"
    return f"Type the answer, nothing is proposed; F1 says what it is for. {nothing[0].upper()}{nothing[1:]}"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _row(asked: AskedChoice) -> Row:
    choice = asked.choice
    return Row(
        value=choice.value,
        label=choice.label,
        detail=choice.consequence,
        closed="" if asked.open else asked.reason or "not for this collection",
    )
