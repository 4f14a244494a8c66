"""What can be done with a run, as a list of choices; each is a verb of the command. Pure but for `ask`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from changeover.afterwards.offers import why_not
from changeover.afterwards.standing import at
from changeover.errors import UsageError
from changeover_tui.plain.aid import Quit
from changeover_tui.plain.prompts import InputEndedError, Option, Prompts
from changeover_tui.runner import title_of

if TYPE_CHECKING:
    from changeover.engine.folder import RunFolder

LEAVE = "leave"
ATTEND = "attend"
"""Following with the question for the cutover; the only deed that is no verb."""
Why = Callable[["RunFolder", str], str]
"""Run and standing -> why it cannot be done now, or ""."""


class Deed(NamedTuple):
    """One thing to do: the verb's words, where RUN stands for the run's name."""

    name: str
    label: str
    verb: tuple[str, ...]
    closed: Why


def _at_work(run: RunFolder, where: str) -> str:
    return "" if where in ("running", "paused", "ready") else f"the run is {where}"


def _resumable(run: RunFolder, where: str) -> str:
    return "" if where in ("stopped", "interrupted") else f"the run is {where}"


def _back(run: RunFolder, where: str) -> str:
    return why_not("back", run)


def _cleanup(run: RunFolder, where: str) -> str:
    return why_not("cleanup", run)


def _paused(run: RunFolder, where: str) -> str:
    return "" if where == "paused" else f"the run is {where}"


def _always(run: RunFolder, where: str) -> str:
    return ""


DEEDS = (
    Deed(ATTEND, "follow it, and be asked when it is ready for the cutover", (), _at_work),
    Deed("look", "how it stands: steps, speed, what went wrong, points left out", ("watch", "RUN", "--once"), _always),
    Deed("resume", "start its engine again where it stopped", ("resume", "RUN"), _resumable),
    Deed("pause", "pause the engine; searches are not affected", ("control", "RUN", "pause"), _at_work),
    Deed("go-on", "let the paused engine go on", ("control", "RUN", "resume"), _paused),
    Deed("stop", "ask the engine to stop; it can be started again", ("control", "RUN", "stop"), _at_work),
    Deed("compare", "ask queries on the old and the new side", ("compare", "RUN", "--vote"), _always),
    Deed("report", "write the report and say where it is", ("report", "RUN"), _always),
    Deed("rollback", "go back: the plan first, then a typed name", ("rollback", "RUN"), _back),
    Deed("cleanup", "remove the old side: the plan first, then a typed name", ("cleanup", "RUN"), _cleanup),
)


def ask(run: RunFolder, prompts: Prompts) -> Deed | None:
    """The deed that is chosen; None to leave. Raises BackError where the walk said that back leads somewhere."""
    seen = at(run)
    if seen.plan is None or seen.standing is None:
        raise UsageError(f"{run.path}: {seen.broken}")
    where = seen.standing.word
    rows = [Option(value=deed.name, label=deed.label, closed=deed.closed(run, where)) for deed in DEEDS]
    # That a finished run cannot be paused needs no words; why the old side cannot go does.
    options = [row for row in rows if not row.closed or row.value in ("rollback", "cleanup")]
    options.append(Option(value=LEAVE, label="leave; an engine that runs goes on"))
    proposed = LEAVE if where == "finished" else next(o.value for o in options if not o.closed)
    try:
        chosen = prompts.choose(f"{title_of(seen.plan)} ({seen.standing.words}). What now?", options, proposed)
    except (InputEndedError, Quit):
        return None
    return next((deed for deed in DEEDS if deed.name == chosen), None)


def words(deed: Deed, run: RunFolder) -> Sequence[str]:
    """The words of its verb for this run."""
    return [run.name if word == "RUN" else word for word in deed.verb]
