"""What the screens tell the app; the app alone decides which screen comes next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from changeover.engine.folder import RunFolder
    from changeover.plan.model import Plan
    from changeover.sandbox.scenarios import ScenarioName
    from changeover.wizard import Wizard


class ConnectChosen(Message):
    """A person wants to connect to a cluster."""


class SandboxChosen(Message):
    """A person wants the sandbox."""


@dataclass
class ScenarioChosen(Message):
    """A person wants the sandbox with this scenario."""

    name: ScenarioName


@dataclass
class QuestionChosen(Message):
    """A person wants to go back to this question."""

    question: str


@dataclass
class RunChosen(Message):
    """A run was chosen to be watched."""

    run: RunFolder


@dataclass
class Connected(Message):
    """The cluster answered."""

    wizard: Wizard


class Surveyed(Message):
    """The wizard holds a survey; the questions can be asked."""


class Answered(Message):
    """Every question has an answer or a proposal that stands."""


class Checked(Message):
    """Nothing blocks, and all that had to be acknowledged was."""


@dataclass
class PlanAccepted(Message):
    """The plan was confirmed by a typed name: start it."""

    plan: Plan


@dataclass
class RunStarted(Message):
    """An engine works on this run."""

    run: RunFolder
