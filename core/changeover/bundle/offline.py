"""A walk on a bundle: the same questions, checks and plan as on the cluster, and nothing that connects anywhere."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from changeover.bundle import file as bundle_file
from changeover.bundle.model import Bundle
from changeover.checks.model import Probes
from changeover.cluster.api import Gateway
from changeover.decision.answers import Answers
from changeover.decision.charts import Evidence
from changeover.embed.model import ModelSpec
from changeover.engine.folder import RunFolder, write_private
from changeover.errors import ChangeoverError, UnreachableError, UsageError
from changeover.plan import file as plan_file
from changeover.plan.model import Plan
from changeover.routes.job import same_model
from changeover.survey.model import Survey
from changeover.survey.trials.budget import Progress
from changeover.wizard import Wizard

UNMEASURED = "no cluster here: what was not measured when the bundle was made stays unmeasured"
NAME = re.compile(r"[\w-]{1,120}")
"""Of a run; anything else in a bundle is no name for a folder."""


class BundleWizard(Wizard):
    """What was measured where the bundle was made counts as long as the answers are those that it was measured for."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle.access, {})
        self.bundle = bundle
        self.offline = f"bundle taken {moment(bundle)}, no cluster here"
        self.survey = bundle.survey
        self.answers = bundle.answers
        self.probes = bundle.probes
        self._measured: tuple[ModelSpec | None, object] = (None, None)
        """The model and the text that the bundle's model was measured with."""
        if bundle.survey is not None:
            measured = self._measured_answers()
            self._measured = (measured.model, measured.text)
            self._measurements.take_over(bundle.survey, measured, bundle.probes)

    async def gateway(self) -> Gateway:
        """There is none: raises UnreachableError."""
        raise UnreachableError(f"{self.offline}; it can be looked at and planned on, and asked nothing")

    async def take_survey(self, name: str) -> Survey:
        """The survey of the bundle; raises UsageError for any other collection."""
        survey = self._surveyed()
        if name not in (survey.asked, survey.collection):
            raise UsageError(f"{name}: the bundle is of {survey.asked}; ask for a bundle of the other one")
        return survey

    def answer(self, answers: Answers) -> None:
        """Replace the answers; what was measured for others is not shown with these."""
        self.answers = answers
        if self.bundle.survey is None:
            return
        self.survey = self._proven_with(self.bundle.survey, answers.old_model)
        taken = self.bundle.probes
        asked = self._measured_answers()
        self.probes = msgspec.structs.replace(
            taken,
            new_model=taken.new_model if (asked.model, asked.text) == self._measured else None,
            queries=taken.queries if answers.queries.file == self.bundle.answers.queries.file else None,
        )
        self._keep_trials()

    async def probe(self, *, trials: bool = True, progress: Progress | None = None) -> Probes:
        """What the bundle holds for these answers; nothing is measured."""
        self._surveyed()
        return self.probes

    def evidence(self, question: str, value: str | None = None) -> Evidence:
        """What the bundle holds for the question; what it does not hold cannot be tried here."""
        found = super().evidence(question, value)
        stays = (UNMEASURED,) if found.untried or found.failed else ()
        return msgspec.structs.replace(found, lines=(*found.lines, *stays), untried=(), failed=())

    def untried(self) -> tuple[str, ...]:
        """What the answers call for and the bundle does not hold, in words."""
        from changeover.checks import way

        asked = self._measured_answers()
        model = asked.model is not None and way.uses_model(asked) and self.probes.new_model is None
        return (*(("the new model",) if model else ()), *super().untried())

    def start(self, plan: Plan, accepted: frozenset[str], folder: Path | None = None) -> RunFolder:
        """Nothing runs here: raises UsageError."""
        raise UsageError(f"{self.offline}; save the plan, and let it be run there with `changeover apply`")

    def _proven_with(self, survey: Survey, old_model: ModelSpec | None) -> Survey:
        """The survey as it would be with that old model; another one than the bundle's has proven nothing."""
        if same_model(survey.text.old_model, old_model):
            return survey
        text = msgspec.structs.replace(survey.text, old_model=None, proven=None, proofs=())
        return msgspec.structs.replace(survey, text=text)


def opened(path: Path) -> BundleWizard:
    """The walk on a bundle file; raises UsageError for a file that is none, or that cannot be walked."""
    bundle = bundle_file.load(path)
    try:
        wizard = BundleWizard(bundle)
        if wizard.survey is not None:
            wizard.questions()
            wizard.findings()
    except ChangeoverError:
        raise
    except Exception as error:  # somebody else's file: what does not fit is its fault, whatever it breaks here
        raise UsageError(f"{path}: not a bundle that can be walked: {type(error).__name__}: {error}") from None
    return wizard


def unpacked(bundle: Bundle, root: Path) -> RunFolder:
    """The bundle's run as a folder below `root`, for the screens that read one; raises UsageError without a run."""
    if bundle.plan is None:
        raise UsageError(f"the bundle is of the collection {bundle.about}; there is no run in it")
    from changeover.engine import events as ev

    run = RunFolder(root / (bundle.about if NAME.fullmatch(bundle.about) else "run"))
    run.path.mkdir(mode=0o700)
    write_private(run.path / "plan.json", plan_file.to_json(bundle.plan))
    write_private(run.path / "accepted.txt", "".join(f"{code}\n" for code in bundle.accepted).encode())
    write_private(run.journal, b"".join(ev.encode(event) + b"\n" for event in bundle.journal))
    write_private(run.log, "".join(f"{line}\n" for line in bundle.engine_log).encode())
    return run


def moment(bundle: Bundle) -> str:
    """When it was taken, as `2026-11-29 21:04 UTC`; as it stands where it is no time."""
    from datetime import UTC, datetime

    from changeover.safe_text import clean

    try:
        return f"{datetime.fromisoformat(bundle.taken_at).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError):
        return clean(bundle.taken_at, 25)
