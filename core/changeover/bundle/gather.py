"""Read what a bundle is made from: a collection's survey and measurements, or a run's folder and the survey beside it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from changeover.bundle.make import Contents, of_run
from changeover.engine.folder import RunFolder
from changeover.errors import ChangeoverError
from changeover.survey.trials.budget import Progress
from changeover.wizard import Wizard

Say = Callable[[str], None]


async def from_collection(
    wizard: Wizard, name: str, say: Say, *, trials: bool = True, progress: Progress | None = None
) -> Contents:
    """The survey, and what is measured for the wizard's answers; a model that fails is noted and no reason to stop.

    Raises ChangeoverError when the collection cannot be surveyed. Closes the wizard's connection.
    """
    answers = wizard.answers
    try:
        notes = await _survey(wizard, name, say)
        notes += await _measure(wizard, say, trials=trials, progress=progress)
    finally:
        await wizard.close()
    return Contents(
        about=name,
        access=wizard.access,
        answers=answers,
        survey=wizard.survey,
        probes=wizard.probes,
        notes=tuple(notes),
    )


async def from_run(
    run: RunFolder, wizard: Wizard, say: Say, *, model: bool = True, progress: Progress | None = None
) -> Contents:
    """The run's folder, and the survey as it is now where the cluster can be reached. Closes the connection.

    `model`: whether the new model is asked too, as the checks and the plan need it.
    """
    contents = of_run(run)
    wizard.answer(contents.answers)
    notes: list[str] = []
    try:
        notes += await _survey(wizard, contents.answers.collection or run.plan().job.name_in_use, say)
        if model:
            notes += await _measure(wizard, say, trials=False, progress=progress)
    except ChangeoverError as error:
        notes.append(f"there is no survey in the bundle: {error}")
        say(notes[-1])
    finally:
        await wizard.close()
    return msgspec.structs.replace(
        contents, survey=wizard.survey, probes=wizard.probes, notes=(*contents.notes, *notes)
    )


async def _survey(wizard: Wizard, name: str, say: Say) -> list[str]:
    """Survey; where the old model cannot be asked, without it and its proof of the text: returned as a note."""
    say(f"reading {name} ...")
    try:
        await wizard.take_survey(name)
    except ChangeoverError as error:
        if wizard.answers.old_model is None:
            raise
        wizard.answer(msgspec.structs.replace(wizard.answers, old_model=None))
        await wizard.take_survey(name)
        note = f"surveyed without the old model: {error}"
        say(note)
        return [note]
    return []


async def _measure(wizard: Wizard, say: Say, *, trials: bool, progress: Progress | None) -> list[str]:
    say("measuring ..." if trials else "measuring the new model; nothing is tried on a sample ...")
    try:
        await wizard.probe(trials=trials, progress=progress)
    except ChangeoverError as error:
        note = f"not everything was measured: {error}"
        say(note)
        return [note]
    return []
