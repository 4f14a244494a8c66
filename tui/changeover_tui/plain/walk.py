"""The walk from the first question to the report, in prompts and lines; a person, a script or the demo answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from changeover.decision.answers import Answers
from changeover.errors import ChangeoverError, StoppedError, UnreachableError, UsageError
from changeover.plan.model import Access
from changeover.safe_text import clean, clean_line
from changeover_tui.plain import judge, questions
from changeover_tui.plain.aid import BackError, Quit
from changeover_tui.plain.attend import attend, typed_name
from changeover_tui.plain.follow import Say
from changeover_tui.plain.prompts import InputEndedError, Option, Prompts
from changeover_tui.plain.words import announcing

if TYPE_CHECKING:
    from changeover.engine.folder import RunFolder
    from changeover.wizard import Wizard

TYPED_KEY_ENV = "QDRANT_API_KEY"
LEFT = "left before anything was started; nothing was written to the cluster"


def wizard(
    access: Access | None,
    environ: dict[str, str],
    prompts: Prompts,
    say: Say,
    *,
    answers: Answers | None = None,
    collection: str | None = None,
) -> tuple[RunFolder, int]:
    """The whole wizard; returns the run and the exit code. Raises ChangeoverError, KeyboardInterrupt."""
    run = prepare(access, environ, prompts, say, answers=answers, collection=collection)
    return run, attend(run, say, on_ready=typed_name(run, prompts, say), starting=True)


def prepare(
    access: Access | None,
    environ: dict[str, str],
    prompts: Prompts,
    say: Say,
    *,
    answers: Answers | None = None,
    collection: str | None = None,
) -> RunFolder:
    """Everything before the run: connect, choose, survey, ask, check, plan, confirm, start the engine.

    A key that is typed is put into `environ`, which is handed to the engine, and nowhere else.
    """
    with asyncio.Runner() as runner:
        walk = _Walk(runner, prompts, say, environ, answers or Answers())
        try:
            return walk.go(access, collection)
        except Quit:
            raise StoppedError(LEFT) from None
        finally:
            walk.close()


class _Walk:
    """The stages one after the other; each may lead back to the one before."""

    def __init__(
        self, runner: asyncio.Runner, prompts: Prompts, say: Say, environ: dict[str, str], answers: Answers
    ) -> None:
        self._runner, self._prompts, self._say, self._environ = runner, prompts, say, environ
        self._answers = answers
        self._made: Wizard | None = None
        self._run: RunFolder | None = None

    def close(self) -> None:
        """Close the connection; the answers are kept for another one."""
        if self._made is not None:
            self._answers = self._made.answers
            self._runner.run(self._made.close())
            self._made = None

    def go(self, access: Access | None, collection: str | None) -> RunFolder:
        """Stage by stage until a run was started. Raises StoppedError when the person leaves."""
        stages: list[Callable[[bool, bool], None]] = []
        if access is None:
            stages.append(lambda back, _: self._connect(back=back))
        else:
            self._open(access)
        name = collection or self._answers.collection
        if name is None:
            stages.append(lambda back, _: self._choose(back=back))
        else:
            stages.append(lambda back, _: self._survey(name))
        stages += [self._ask, self._decide]
        at, returning = 0, False
        # Without a choice to make, reading the collection is no place to come back to.
        first = stages.index(self._ask) if access is not None and name is not None else 0
        while self._run is None:
            try:
                stages[at](at > first, returning)
                at, returning = at + 1, False
            except BackError:
                at, returning = max(first, at - 1), True
            except _Again:
                at, returning = stages.index(self._ask), False
            except InputEndedError:
                raise
            except (UnreachableError, UsageError) as error:
                # A typing error in the address, the key or the name is mended where it was typed.
                if self._prompts.automatic or access is not None or at >= stages.index(self._ask):
                    raise
                self._say(clean(error))
                at = 0
        return self._run

    @property
    def _wizard(self) -> Wizard:
        assert self._made is not None
        return self._made

    def _open(self, access: Access) -> None:
        from changeover.wizard import Wizard

        self.close()
        self._made = Wizard(access, self._environ)
        self._made.answer(self._answers)

    def _connect(self, *, back: bool) -> None:
        prompts, environ = self._prompts, self._environ
        prompts.aid.at(
            "Give the address of the REST interface of your cluster, such as http://localhost:6333.",
            "A key is kept in memory, for the engine; it is written nowhere. Connecting reads only.",
            back="the first question" if back else "",
        )
        url = prompts.text("REST address of your cluster", environ.get("QDRANT_URL") or "http://localhost:6333")
        prompts.aid.back = "the address"
        named = "QDRANT_API_KEY" if environ.get("QDRANT_API_KEY") else ""
        key_env = prompts.text("Variable that holds the API key (empty: none, or type the key next)", named)
        if not key_env:
            self._take_key()
            key_env = TYPED_KEY_ENV if environ.get(TYPED_KEY_ENV) else ""
        elif not environ.get(key_env):
            raise UsageError("the environment has no variable of that name; export the key, then name it")
        self._open(Access(url=url, api_key_env=key_env or None))

    def _take_key(self) -> None:
        from changeover_tui.crash import remember_secret

        key = self._prompts.secret("API key (empty: none); it is kept in memory only")
        if key:
            remember_secret(key)
            self._environ[TYPED_KEY_ENV] = key

    def _choose(self, *, back: bool) -> None:
        """List the collections and read the chosen one."""
        listed = self._runner.run(self._wizard.collections())
        if not listed:
            raise UsageError(f"there are no collections on {self._wizard.access.url}; nothing can be migrated")
        options = []
        for one in listed:
            name = one.aliases[0] if one.aliases else one.name
            label = f"{one.name}: {one.points:,} points, {'; '.join(one.vectors)}"
            label += f", alias {', '.join(one.aliases)}" if one.aliases else ""
            label += f" ({', '.join(one.flags)})" if one.flags else ""
            options.append(Option(value=name, label=label))
        self._prompts.aid.at(
            "Which collection is changed? It is read next; nothing is written.",
            back="the address of the cluster" if back else "",
        )
        self._survey(self._prompts.choose("Which collection?", options, options[0].value))

    def _survey(self, name: str) -> None:
        from changeover.survey import describe

        self._say(f"reading {clean(name)}; nothing is written ...")
        survey = self._runner.run(self._wizard.take_survey(name))
        rows = describe.lines(survey)
        wide = max(len(label) for label, _ in rows)
        for label, value in rows:
            self._say(f"  {label:<{wide}}  {clean(value)}")
        if not self._prompts.automatic:
            self._say("")
            self._say("Enter takes what is proposed. At any prompt: ? for help, back, map, try, explain TOPIC, quit.")

    def _ask(self, back: bool, returning: bool) -> None:
        leads = "the choice of the collection" if back else ""
        questions.ask_all(
            self._wizard, self._prompts, self._say, from_the_last=returning, back=leads, attempt=self._try
        )

    def _try(self, question: str, answer: str) -> None:
        """Try an answer on a sample and say what was measured; Ctrl+C cancels."""
        made, say = self._wizard, self._say
        known = made.evidence(question, answer)
        for needs in known.untried:
            say(f"trying it on a sample: {needs}; nothing is written (Ctrl+C cancels)")
        if not known.untried and not known.failed:
            say("there is nothing more to try for this answer")
        try:
            self._runner.run(made.try_it(question, answer, announcing(say)))
        except KeyboardInterrupt:
            say("cancelled; what was measured before stands")
        except ChangeoverError as error:
            say(clean(f"not measured: {error}; try tries again"))
        for line in questions.measured(made.evidence(question, answer)):
            say(clean_line(line))

    def _decide(self, _: bool, __: bool) -> None:
        """Measure, show what speaks against it, make the plan, have it confirmed, start. Raises BackError, _Again."""
        made, prompts, say = self._wizard, self._prompts, self._say
        verdict = judge.check(self._runner, made, prompts, say)
        if verdict is not None:
            plan, accepted = verdict
            judge.show(plan, say)
            if judge.confirmed(plan, prompts, say):
                self._run = made.start(plan, accepted)
                say(clean(f"answers: {self._run.answers}; they give this plan again with `changeover plan`"))
                return
        while (choice := self._what_now(can_save=verdict is not None)) == "save" and verdict is not None:
            try:
                for line in judge.save(*verdict):
                    say(clean(line))
            except UsageError as error:
                say(clean(error))
        if choice == "leave" or prompts.automatic:
            raise StoppedError(LEFT)
        raise _Again

    def _what_now(self, *, can_save: bool) -> str:
        options = [Option(value="again", label="go through the questions again; your answers are proposed")]
        if can_save:
            options.append(Option(value="save", label="write plan and answers to files, for `changeover apply`"))
        options.append(Option(value="leave", label="leave"))
        self._prompts.aid.at("Nothing was started, and nothing was written.", back="the last question")
        return self._prompts.choose("What now?", options, "again")


class _Again(Exception):  # no error: the person wants the questions again
    """From the first question on once more."""
