"""What was tried on a sample in one walk: for which answers it holds, what is missing, what a question shows of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from changeover.checks.model import Probes
from changeover.cluster.api import Gateway
from changeover.decision import charts
from changeover.decision.answers import Answers, set_answer
from changeover.decision.charts import Chart, Evidence
from changeover.decision.tree import lines_for, propose
from changeover.errors import UsageError
from changeover.survey.model import Survey
from changeover.survey.trials import take
from changeover.survey.trials.budget import Progress
from changeover.words import duration


class Measurements:
    """Trials by the answers that they were taken for. Taking is the only thing that asks a cluster or a model."""

    def __init__(self) -> None:
        self._taken: take.Known = {}
        self._partial: take.Known = {}
        """What a trial has measured so far, or had when it was given up."""

    def take_over(self, survey: Survey, measured: Answers, probes: Probes) -> None:
        """Trials that were taken elsewhere for these answers, completed without what a trial proposes."""
        for trial in take.TRIALS:
            if (found := getattr(probes, trial.name)) is not None:
                self._taken[trial.name] = [(take.depends_on(trial, survey, measured), found)]

    def fitting(self, probes: Probes, survey: Survey, answers: Answers) -> Probes:
        """The probes with the trials that were taken for these answers; the others are kept for when they come back."""
        return take.fitting(probes, survey, self._measured(survey, answers, probes), self._taken)

    def untried(self, survey: Survey, answers: Answers, probes: Probes) -> tuple[str, ...]:
        """What the answers call for and was not tried on a sample for them, in words."""
        return take.untried(survey, self._measured(survey, answers, probes), self._taken)

    async def take(
        self,
        gateway: Gateway,
        survey: Survey,
        answers: Answers,
        probes: Probes,
        environ: Mapping[str, str],
        progress: Progress | None,
        only: Collection[str] | None = None,
    ) -> None:
        """Every trial that the answers call for (of those named in `only`) and that was not taken for them.

        Reading only. When the caller is cancelled, what was measured stays.
        """
        completed = self._measured(survey, answers, probes)
        await take.take_trials(
            gateway, survey, completed, environ, self._taken, progress, only=only, partial=self._partial
        )

    def try_again(self, survey: Survey, answers: Answers, probes: Probes, only: Collection[str]) -> None:
        """Forget what failed for these answers."""
        take.forget_failed(survey, self._measured(survey, answers, probes), self._taken, only)

    def evidence(self, survey: Survey, answers: Answers, probes: Probes, question: str) -> Evidence:
        """What is known for the question under these answers, with what a trial has measured so far."""
        completed = self._measured(survey, answers, probes)
        names = charts.trials_of(question)
        fitting = take.fitting(probes, survey, completed, self._taken)
        shown = self._so_far(fitting, survey, completed)
        untried = take.missing(survey, completed, self._taken, names)
        return Evidence(
            lines=lines_for(question, survey, answers, shown),
            charts=charts.drawn(names, shown),
            untried=tuple(f"{trial.needs}; at most {duration(trial.most_s)}" for trial in untried),
            failed=tuple(
                trial.words
                for trial in take.TRIALS
                if trial.name in names and (found := getattr(fitting, trial.name)) is not None and found.error
            ),
        )

    def so_far(self, survey: Survey, answers: Answers, probes: Probes) -> tuple[Chart, ...]:
        """All that is known for these answers now, while it is being measured."""
        completed = self._measured(survey, answers, probes)
        fitting = take.fitting(probes, survey, completed, self._taken)
        return charts.drawn(charts.CHARTS, self._so_far(fitting, survey, completed))

    def _so_far(self, probes: Probes, survey: Survey, completed: Answers) -> Probes:
        """The probes, where a trial is missing with what it has measured so far."""
        partial = take.under_way(survey, completed, self._partial)
        return msgspec.structs.replace(probes, **{n: getattr(probes, n) or found for n, found in partial.items()})

    def _measured(self, survey: Survey, answers: Answers, probes: Probes) -> Answers:
        """The answers that measuring goes by: completed without what a trial proposes."""
        return propose(survey, answers, take.without(probes))


def supposing(answers: Answers, question: str, value: str | None) -> Answers:
    """The answers if this question were answered so; as they are where it cannot be."""
    try:
        return set_answer(answers, question, value) if value else answers
    except UsageError:
        return answers
