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

Known = Mapping[str, tuple[Any, Any]]
"""Trial -> (the answers that it depends on, what it measured)."""
Run = Callable[[Gateway, Survey, Answers, Mapping[str, str], Progress | None], Awaitable[Any]]


class Trial(NamedTuple):
    """One trial: the name of its place in `Probes`, when it is taken, what it depends on."""

    name: str
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
    Trial("dimensions", lambda s, a: a.avoid == "dimensions", lambda a: (*_common(a), a.target.dimension), _dimensions),
    Trial(
        "quantization", lambda s, a: a.avoid == "quantization", lambda a: (*_common(a), a.quantization), _quantization
    ),
    Trial(
        "map",
        lambda s, a: a.avoid == "linear-map",
        lambda a: (*_common(a), a.model, a.text, a.map, a.vector.distance),
        _map,
    ),
    Trial(
        "gain",
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
    Trial("hybrid", lambda s, a: bool(a.add_sparse), lambda a: (*_common(a), a.text, a.sparse, a.model), _hybrid),
    Trial(
        "colocated",
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
    known: Known,
    progress: Progress | None = None,
) -> dict[str, tuple[Any, Any]]:
    """Every trial that the answers call for; one that is known for the same answers is not taken again."""
    taken = dict(known)
    for trial in TRIALS:
        if trial.wanted(survey, answers) and _known(trial, survey, answers, known) is None:
            found = await trial.run(gateway, survey, answers, environ, progress)
            taken[trial.name] = (_depends(trial, survey, answers), found)
    return taken


def fitting(probes: Probes, survey: Survey, answers: Answers, known: Known) -> Probes:
    """The probes with just those trials that were taken for these answers."""
    found = {
        trial.name: _known(trial, survey, answers, known) if trial.wanted(survey, answers) else None for trial in TRIALS
    }
    return msgspec.structs.replace(probes, **found)


def _depends(trial: Trial, survey: Survey, answers: Answers) -> Any:
    return (survey.taken_at, survey.collection, trial.depends(answers))


def _known(trial: Trial, survey: Survey, answers: Answers, known: Known) -> Any:
    depends, found = known.get(trial.name, (None, None))
    return found if depends == _depends(trial, survey, answers) else None
