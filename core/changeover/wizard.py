"""One walk through the house, without a screen: connect, survey, answer, probe, check, plan, start the engine.

The Textual screens, the plain prompts and the headless verbs all drive this one object, so they cannot differ.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from changeover.checks import way
from changeover.checks.model import Finding, ModelProbe, Probes
from changeover.cluster.api import Gateway
from changeover.decision import charts
from changeover.decision.answers import Answers
from changeover.decision.charts import Chart, Evidence
from changeover.decision.paths import absolute
from changeover.decision.tree import Asked, propose, view
from changeover.engine.folder import RunFolder
from changeover.errors import BlockedError, UsageError
from changeover.measurements import Measurements, supposing
from changeover.plan.model import Access, Plan
from changeover.routes.job import same_model
from changeover.survey.listing import Listed, list_collections
from changeover.survey.model import Survey

if TYPE_CHECKING:
    from changeover.survey.trials.budget import Progress


class Wizard:
    """State of one walk; methods are async where the cluster or a model is asked.

    Every method raises ChangeoverError with one clear line. `environ` is where keys are looked up; a key typed by a
    person is put into a copy of it that is handed to the engine process, and nowhere else.
    """

    def __init__(self, access: Access, environ: Mapping[str, str] | None = None) -> None:
        self.access = access
        self.environ: dict[str, str] = dict(os.environ if environ is None else environ)
        self.answers = Answers()
        self.survey: Survey | None = None
        self.probes = Probes()
        self.offline = ""
        """Why nothing can be asked or measured here; "" on a cluster."""
        self._gateway: Gateway | None = None
        self._measurements = Measurements()
        self._probed: tuple[Any, ModelProbe | None] = (None, None)
        """What the probe of the model depends on, and what it measured."""

    async def gateway(self) -> Gateway:
        """The open connection; opened on first use."""
        if self._gateway is None:
            from changeover.cluster.connect import open_gateway

            self._gateway = await open_gateway(self.access, self.environ)
        return self._gateway

    async def collections(self) -> tuple[Listed, ...]:
        """Every collection with points, vectors, aliases and flags."""
        return await list_collections(await self.gateway())

    async def take_survey(self, name: str) -> Survey:
        """Read everything about the collection (or alias) and keep it; reading only."""
        from changeover.survey.take import take

        self.survey = await take(
            await self.gateway(), name, self.access, old_model=self.answers.old_model, environ=self.environ
        )
        return self.survey

    def answer(self, answers: Answers) -> None:
        """Replace the answers; everything later is derived anew. A probe of another model is dropped."""
        answers = absolute(answers, Path.cwd())
        if answers.model != self.answers.model:
            self.probes = msgspec.structs.replace(self.probes, new_model=None)
        self.answers = answers
        self._keep_trials()

    def questions(self) -> tuple[Asked, ...]:
        """The questions that matter now, each with open and closed choices, evidence and a proposal."""
        return view(self._surveyed(), self.answers, self.probes)

    def completed(self) -> Answers:
        """The answers with proposals filled in where nothing was said."""
        return propose(self._surveyed(), self.answers, self.probes)

    async def probe(self, *, trials: bool = True, progress: Progress | None = None) -> Probes:
        """Load the new model, embed sampled texts, count labelled queries; keeps and returns what was measured.

        The text is proven first when the old model was answered after the survey. With `trials` what the answers call
        for is tried on a sample (reading only); `progress` is told (done, total, words), total 0 where nobody knows.
        What was measured for the same answers is not measured again. A caller that is cancelled keeps what is there.
        """
        from changeover.survey.probe import take_probes

        tell = progress or (lambda done, total, words: None)
        if not same_model(self._surveyed().text.old_model, self.answers.old_model):
            tell(0, 0, "Reading the collection again, and re-embedding a sample with the old model")
            await self.take_survey(self._surveyed().asked)
        survey, answers = self._surveyed(), self._measured_answers()
        depends = (survey.taken_at, survey.collection, answers.model, answers.text)
        known = self._probed[1] if self._probed[0] == depends else None
        if known is None and answers.model is not None and way.uses_model(answers):
            tell(0, 0, "Asking the new model: dimension, speed, token limit, on a sample of your texts")
        self.probes = await take_probes(survey, answers, self.environ, known)
        measured = self.probes.new_model
        # A model that failed may be mended by the next look.
        self._probed = (depends, None if measured is None or measured.error else measured)
        self._keep_trials()
        if trials and self.untried():
            await self._take_trials(self.answers, progress)
        return self.probes

    async def try_it(self, question: str, value: str | None = None, progress: Progress | None = None) -> None:
        """Take the trials whose figures belong to the question, were it answered so; what failed is tried again.

        Reading only. When the caller is cancelled, what was measured stays.
        """
        names = charts.trials_of(question)
        answers = supposing(self.answers, question, value)
        self._measurements.try_again(self._surveyed(), answers, self.probes, names)
        await self._take_trials(answers, progress, names)

    def evidence(self, question: str, value: str | None = None) -> Evidence:
        """What is known for the question, were it answered so; while it is being measured, what is known so far."""
        answers = supposing(self.answers, question, value)
        return self._measurements.evidence(self._surveyed(), answers, self.probes, question)

    def so_far(self) -> tuple[Chart, ...]:
        """All that is known for the answers now, while it is being measured."""
        return self._measurements.so_far(self._surveyed(), self.answers, self.probes)

    def untried(self) -> tuple[str, ...]:
        """What the answers call for and was not tried on a sample for them, in words."""
        return self._measurements.untried(self._surveyed(), self.answers, self.probes)

    async def _take_trials(
        self, answers: Answers, progress: Progress | None, only: tuple[str, ...] | None = None
    ) -> None:
        gateway = await self.gateway()
        try:
            await self._measurements.take(gateway, self._surveyed(), answers, self.probes, self.environ, progress, only)
        finally:
            self._keep_trials()

    def _keep_trials(self) -> None:
        """Show the trials that fit the answers."""
        if self.survey is not None:
            self.probes = self._measurements.fitting(self.probes, self.survey, self.answers)

    def _measured_answers(self) -> Answers:
        """The answers that the model is asked by: completed without what a trial proposes."""
        from changeover.survey.trials.take import without

        return propose(self._surveyed(), self.answers, without(self.probes))

    def findings(self) -> tuple[Finding, ...]:
        """What speaks for and against the answers."""
        from changeover.checks.registry import run

        return run(self._surveyed(), self.completed(), self.probes)

    def passed(self) -> tuple[tuple[str, str], ...]:
        """(code, what was looked at) of every check that found nothing."""
        from changeover.checks.registry import passed

        return passed(self._surveyed(), self.completed(), self.probes)

    def plan(self) -> Plan:
        """The sealed plan; raises BlockedError when no route is open."""
        from changeover.routes.build import build

        return build(self._surveyed(), self.completed(), self.findings(), self.probes, self.access)

    def start(self, plan: Plan, accepted: frozenset[str], folder: Path | None = None) -> RunFolder:
        """Write the run folder and start the engine process; raises BlockedError when a finding forbids it."""
        from changeover.engine.launch import start

        refuse_unaccepted(plan, accepted)
        run = RunFolder.create(plan, self.environ, folder, accepted=accepted)
        start(run, self.environ)
        return run

    async def close(self) -> None:
        """Close the connection."""
        if self._gateway is not None:
            await self._gateway.close()
            self._gateway = None

    def _surveyed(self) -> Survey:
        if self.survey is None:
            raise UsageError("no collection has been surveyed yet; choose one first")
        return self.survey


def refuse_unaccepted(plan: Plan, accepted: frozenset[str]) -> None:
    """Raise BlockedError when the plan has a blocker, or a finding to acknowledge that was not accepted."""
    blockers = [f for f in plan.findings if f.severity == "blocker"]
    if blockers:
        first = blockers[0]
        raise BlockedError(f"{first.code}: {first.title}; {first.remedy}")
    missing = [f.code for f in plan.findings if f.acknowledge and f.code not in accepted]
    if missing:
        flags = " ".join(f"--accept {code}" for code in missing)
        raise BlockedError(f"to be acknowledged first: {', '.join(missing)} (in the wizard, or {flags})")
