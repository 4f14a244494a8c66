"""Which trials the answers call for: one table; each is taken once for the same answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from changeover.checks.model import Probes
from changeover.cluster.api import Gateway
from changeover.decision.answers import Answers
from changeover.survey.model import Survey
from changeover.survey.trials.budget import Progress

Known = dict[str, tuple[Any, Any]]
"""Trial -> (the answers that it depends on, what it measured)."""
Run = Callable[[Gateway, Survey, Answers, Mapping[str, str], Progress | None], Awaitable[Any]]


class Trial(NamedTuple):
    """One trial: the name of its place in `Probes`, what is tried in words, when it is taken, what it depends on."""

    name: str
    words: str
    wanted: Callable[[Survey, Answers], bool]
    depends: Callable[[Answers], Any]
    run: Run


def _asks(answers: Answers) -> bool:
    return bool(answers.queries.file or answers.queries.title_field)


def _common(answers: Answers) -> tuple[Any, ...]:
    return (answers.vector.source, answers.old_model, answers.queries)


async def _dimensions(g: Gateway, s: Survey, a: Answers, environ: Mapping[str, str], progress: Progress | None) -> Any:
    from changeover.survey.trials.dimensions import try_dimensions

    return await try_dimensions(g, s, a, environ, progress=progress)


async def _quantization(
    g: Gateway, s: Survey, a: Answers, environ: Mapping[str, str], progress: Progress | None
) -> Any:
    from changeover.survey.trials.quantization import try_quantization

    return await try_quantization(g, s, a, environ, progress=progress)


async def _map(g: Gateway, s: Survey, a: Answers, environ: Mapping[str, str], progress: Progress | None) -> Any:
    from changeover.survey.trials.map import try_map

    return await try_map(g, s, a, environ, progress=progress)


async def _gain(g: Gateway, s: Survey, a: Answers, environ: Mapping[str, str], progress: Progress | None) -> Any:
    from changeover.survey.trials.gain import try_gain

    return await try_gain(g, s, a, environ, progress=progress)


async def _hybrid(g: Gateway, s: Survey, a: Answers, environ: Mapping[str, str], progress: Progress | None) -> Any:
    from changeover.survey.trials.hybrid import try_hybrid

    return await try_hybrid(g, s, a, environ, progress=progress)


async def _colocated(g: Gateway, s: Survey, a: Answers, environ: Mapping[str, str], progress: Progress | None) -> Any:
    from changeover.survey.trials.colocated import try_colocated

    return await try_colocated(g, s, a, environ, progress=progress)


TRIALS: tuple[Trial, ...] = (
    Trial(
        "dimensions",
        "fewer dimensions on stored vectors",
        lambda s, a: a.avoid == "dimensions",
        lambda a: (*_common(a), a.target.dimension),
        _dimensions,
    ),
    Trial(
        "quantization",
        "the quantization in a scratch index",
        lambda s, a: a.avoid == "quantization",
        lambda a: (*_common(a), a.quantization),
        _quantization,
    ),
    Trial(
        "map",
        "the linear map on a sample",
        lambda s, a: a.avoid == "linear-map",
        lambda a: (*_common(a), a.model, a.text, a.map, a.vector.distance),
        _map,
    ),
    Trial(
        "gain",
        "old against new model on your queries",
        lambda s, a: (
            a.avoid in (None, "none")
            and a.model is not None
            and a.model.kind == "dense"
            and a.model.provider != "qdrant"
            and a.old_model is not None
            and _asks(a)
        ),
        lambda a: (*_common(a), a.model, a.text, a.vector.distance),
        _gain,
    ),
    Trial(
        "hybrid",
        "hybrid search on your texts",
        lambda s, a: bool(a.add_sparse),
        lambda a: (*_common(a), a.text, a.sparse, a.model),
        _hybrid,
    ),
    Trial(
        "colocated",
        "token vectors beside dense ones",
        lambda s, a: (
            any(vector.kind == "multi" for vector in s.vectors)
            or (a.model is not None and a.model.kind == "late-interaction")
        ),
        lambda a: (a.vector.source, a.model, a.text),
        _colocated,
    ),
)


async def take_trials(
    gateway: Gateway,
    survey: Survey,
    answers: Answers,
    environ: Mapping[str, str],
    taken: Known,
    progress: Progress | None = None,
) -> None:
    """Every trial that the answers call for; one that was taken for the same answers is not taken again.

    Each is put into `taken` as it ends, so that those are kept when the rest is given up.
    """
    for trial in _missing(survey, answers, taken):
        found = await trial.run(gateway, survey, answers, environ, _named(trial, progress))
        taken[trial.name] = (depends_on(trial, survey, answers), found)


def untried(survey: Survey, answers: Answers, taken: Known) -> tuple[str, ...]:
    """What the answers call for and was not tried for them, in words."""
    return tuple(trial.words for trial in _missing(survey, answers, taken))


def fitting(probes: Probes, survey: Survey, answers: Answers, taken: Known) -> Probes:
    """The probes with just those trials that were taken for these answers."""
    found = {
        trial.name: _known(trial, survey, answers, taken) if trial.wanted(survey, answers) else None for trial in TRIALS
    }
    return msgspec.structs.replace(probes, **found)


def without(probes: Probes) -> Probes:
    """The probes without trials: answers that a trial proposes must not decide whether that trial still fits them."""
    return msgspec.structs.replace(probes, **{trial.name: None for trial in TRIALS})


def _missing(survey: Survey, answers: Answers, taken: Known) -> list[Trial]:
    return [trial for trial in TRIALS if trial.wanted(survey, answers) and not _known(trial, survey, answers, taken)]


def _named(trial: Trial, progress: Progress | None) -> Progress | None:
    """Says which trial it is that goes on."""
    if progress is None:
        return None
    tell = progress
    return lambda done, total, words: tell(done, total, f"{trial.words}: {words}")


def depends_on(trial: Trial, survey: Survey, answers: Answers) -> Any:
    """What the trial's outcome is of: the survey and those answers; other ones make it void."""
    return (survey.taken_at, survey.collection, trial.depends(answers))


def _known(trial: Trial, survey: Survey, answers: Answers, taken: Known) -> Any:
    depends, found = taken.get(trial.name, (None, None))
    return found if depends == depends_on(trial, survey, answers) else None
