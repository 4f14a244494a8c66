"""Which trials the answers call for: one table; each is taken once for the same answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import msgspec

from changeover.checks.model import Probes
from changeover.cluster.api import Gateway
from changeover.decision.answers import Answers
from changeover.survey.model import Survey
from changeover.survey.trials.budget import Partly, Progress

Known = dict[str, list[tuple[Any, Any]]]
"""Trial -> (the answers that it depends on, what it measured), for every answer that it was taken for."""
Run = Callable[[Gateway, Survey, Answers, Mapping[str, str], Progress | None, Partly | None], Awaitable[Any]]


def _always(answers: Answers, found: Any) -> bool:
    return True


class Trial(NamedTuple):
    """One trial: the name of its place in `Probes`, what is tried in words, when it is taken, what it depends on."""

    name: str
    words: str
    needs: str
    """What it reads and does."""
    most_s: float
    """Seconds after which it ends with what it has."""
    wanted: Callable[[Survey, Answers], bool]
    depends: Callable[[Answers], Any]
    run: Run
    fits: Callable[[Answers, Any], bool] = _always
    """Whether it also measured what these answers ask for; those that it depends on are the same."""


def _asks(answers: Answers) -> bool:
    return bool(answers.queries.file or answers.queries.title_field)


def _common(answers: Answers) -> tuple[Any, ...]:
    return (answers.vector.source, answers.old_model, answers.queries)


def _reached(answers: Answers, found: Any) -> bool:
    """Whether the cut to the answered size was measured; every trial measures some shares of the full size."""
    size = answers.target.dimension
    return bool(found.error) or size is None or any(cut.size == size for cut in found.cuts)


def _by(name: str) -> Run:
    """`try_<name>` of the module of that name, imported when it is taken: most bring numpy."""

    async def run(
        gateway: Gateway,
        survey: Survey,
        answers: Answers,
        environ: Mapping[str, str],
        progress: Progress | None,
        partly: Partly | None,
    ) -> Any:
        module = import_module(f"changeover.survey.trials.{name}")
        return await getattr(module, f"try_{name}")(gateway, survey, answers, environ, progress=progress, partly=partly)

    return run


TRIALS: tuple[Trial, ...] = (
    Trial(
        name="dimensions",
        words="fewer dimensions on stored vectors",
        needs="up to 2,000 stored vectors are cut here",
        most_s=60,
        wanted=lambda s, a: a.avoid == "dimensions",
        depends=_common,
        run=_by("dimensions"),
        fits=_reached,
    ),
    Trial(
        name="quantization",
        words="the quantization in a scratch index",
        needs="up to 5,000 stored vectors are searched in a scratch index here",
        most_s=360,
        wanted=lambda s, a: a.avoid == "quantization",
        depends=lambda a: (a.vector.source, a.quantization.kind, a.quantization.query_encoding),
        run=_by("quantization"),
    ),
    Trial(
        name="map",
        words="the linear map on a sample",
        needs="the new model embeds up to 3,000 texts, and your labelled queries are asked",
        most_s=180,
        wanted=lambda s, a: a.avoid == "linear-map",
        depends=lambda a: (*_common(a), a.model, a.text, a.map, a.vector.distance),
        run=_by("map"),
    ),
    Trial(
        name="gain",
        words="old against new model on your queries",
        needs="the new model embeds up to 1,500 texts, and your labelled queries are asked on both sides",
        most_s=90,
        wanted=lambda s, a: (
            a.avoid in (None, "none")
            and a.model is not None
            and a.model.kind == "dense"
            and a.model.provider != "qdrant"
            and a.old_model is not None
            and _asks(a)
        ),
        depends=lambda a: (*_common(a), a.model, a.text, a.vector.distance),
        run=_by("gain"),
    ),
    Trial(
        name="hybrid",
        words="hybrid search on your texts",
        needs="up to 2,000 texts are read here, and your labelled queries are asked in every way",
        most_s=90,
        wanted=lambda s, a: bool(a.add_sparse),
        depends=lambda a: (*_common(a), a.text, a.sparse, a.model),
        run=_by("hybrid"),
    ),
    Trial(
        name="colocated",
        words="token vectors beside dense ones",
        needs="dense searches are timed with and without them in a scratch index here, and 20 on your cluster",
        most_s=240,
        wanted=lambda s, a: (
            any(vector.kind == "dense" for vector in s.vectors)
            and (
                any(vector.kind == "multi" for vector in s.vectors)
                or (a.model is not None and a.model.kind == "late-interaction")
            )
        ),
        depends=lambda a: (a.vector.source, a.model, a.text),
        run=_by("colocated"),
    ),
)


async def take_trials(
    gateway: Gateway,
    survey: Survey,
    answers: Answers,
    environ: Mapping[str, str],
    taken: Known,
    progress: Progress | None = None,
    *,
    only: Collection[str] | None = None,
    partial: Known | None = None,
) -> None:
    """Every trial that the answers call for (of those named in `only`); one that was taken for them is not taken again.

    Each is put into `taken` as it ends, so that those are kept when the rest is given up. What one has measured so far
    is in `partial`, also after it was given up.
    """
    parts = {} if partial is None else partial
    for trial in missing(survey, answers, taken, only):
        depends = depends_on(trial, survey, answers)
        parts.pop(trial.name, None)

        def partly(found: Any, trial: Trial = trial, depends: Any = depends) -> None:
            parts[trial.name] = [(depends, found)]

        found = await trial.run(gateway, survey, answers, environ, _named(trial, progress), partly)
        parts.pop(trial.name, None)
        others = [
            entry for entry in taken.get(trial.name, ()) if entry[0] != depends or not trial.fits(answers, entry[1])
        ]
        taken[trial.name] = [*others, (depends, found)]


def untried(survey: Survey, answers: Answers, taken: Known) -> tuple[str, ...]:
    """What the answers call for and was not tried for them, in words."""
    return tuple(trial.words for trial in missing(survey, answers, taken))


def missing(survey: Survey, answers: Answers, taken: Known, only: Collection[str] | None = None) -> list[Trial]:
    """The trials that the answers call for and that were not taken for them."""
    return [
        trial
        for trial in TRIALS
        if (only is None or trial.name in only)
        and trial.wanted(survey, answers)
        and known(trial, survey, answers, taken) is None
    ]


def fitting(probes: Probes, survey: Survey, answers: Answers, taken: Known) -> Probes:
    """The probes with just those trials that were taken for these answers."""
    found = {
        trial.name: known(trial, survey, answers, taken) if trial.wanted(survey, answers) else None for trial in TRIALS
    }
    kinds = [
        trial
        for depends, trial in taken.get("quantization", ())
        if depends[:3] == (survey.taken_at, survey.collection, answers.vector.source)
    ]
    return msgspec.structs.replace(probes, **found, quantizations=tuple(kinds))


def under_way(survey: Survey, answers: Answers, partial: Known) -> dict[str, Any]:
    """Trial -> what it has measured so far for these answers; None for nothing."""
    found: dict[str, Any] = {}
    for trial in TRIALS:
        depends = depends_on(trial, survey, answers) if trial.wanted(survey, answers) else None
        found[trial.name] = next((part for one, part in partial.get(trial.name, ()) if one == depends), None)
    return found


def without(probes: Probes) -> Probes:
    """The probes without trials: answers that a trial proposes must not decide whether that trial still fits them."""
    return msgspec.structs.replace(probes, **{trial.name: None for trial in TRIALS})


def forget_failed(survey: Survey, answers: Answers, taken: Known, only: Collection[str]) -> None:
    """Drop what failed for these answers, so that it is tried again."""
    for trial in TRIALS:
        if trial.name in only and (found := known(trial, survey, answers, taken)) is not None and found.error:
            taken[trial.name] = [entry for entry in taken[trial.name] if entry[1] is not found]


def known(trial: Trial, survey: Survey, answers: Answers, taken: Known) -> Any:
    """What the trial measured for these answers; None when it was not taken for them."""
    depends = depends_on(trial, survey, answers)
    return next(
        (found for one, found in taken.get(trial.name, ()) if one == depends and trial.fits(answers, found)), None
    )


def _named(trial: Trial, progress: Progress | None) -> Progress | None:
    """Says which trial it is that goes on."""
    if progress is None:
        return None
    tell = progress
    return lambda done, total, words: tell(done, total, f"{trial.words}: {words}")


def depends_on(trial: Trial, survey: Survey, answers: Answers) -> Any:
    """What the trial's outcome is of: the survey and those answers; other ones make it void."""
    return (survey.taken_at, survey.collection, *trial.depends(answers))
