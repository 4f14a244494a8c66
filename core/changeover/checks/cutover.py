"""The cutover: names, aliases, proof."""

from __future__ import annotations

from changeover.checks import way
from changeover.checks.base import Check
from changeover.checks.model import Finding, Probes
from changeover.decision.answers import Answers
from changeover.decision.route import wanted
from changeover.errors import ChangeoverError
from changeover.routes.blue_green import same_name
from changeover.routes.job import name_in_use, swapped_alias, taken_names
from changeover.survey.model import Survey


def plain_name(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The application uses the collection's own name, and blue-green would need an alias."""
    if way.mode(survey, answers) != "blue-green" or name_in_use(survey, answers) != survey.collection:
        return None
    if same_name(survey, answers):
        return None  # the name is taken over, and offline-gap says what that costs
    try:
        alias = swapped_alias(survey, answers)
    except ChangeoverError:
        return None  # what is wrong with the name is said by target-exists
    others = ", ".join(alias.name for alias in survey.aliases)
    return Finding(
        code="plain-name",
        severity="warning",
        title="the application uses the collection's own name",
        measured=f"asked for by its own name, not by {others}" if others else "no alias points to it",
        limit="an alias that can be swapped",
        consequence=(
            f"an alias cannot take a collection's name, so searches go on at {survey.collection} until the application"
            f" itself changes to {alias}"
        ),
        remedy=f"first move the application to an alias ({alias}), or take in place where the server can",
        source="recorded answer: 409 for an alias named like a collection",
        acknowledge=True,
    )


def alias_moved(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The answered alias points to another collection."""
    wanted = answers.alias.name
    other = next((alias for alias in survey.other_aliases if alias.name == wanted), None)
    if other is None:
        return None
    return Finding(
        code="alias-moved",
        severity="blocker",
        title="the alias points to another collection",
        measured=f"{other.name} -> {other.collection}",
        limit=f"{other.name} -> {survey.collection}",
        consequence="pointing it elsewhere would take it from whoever uses it; the server does that without a word",
        remedy="answer alias.name with the alias that the application uses for this collection",
        source="GET /aliases; re-pointing overwrites silently (measured)",
    )


def target_exists(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """A name that the plan would give to the new collection or its alias is in use."""
    if way.mode(survey, answers) != "blue-green":
        return None
    asked = [("target.collection", answers.target.collection, taken_names(survey))]
    if name_in_use(survey, answers) == survey.collection:
        asked.append(("alias.name", answers.alias.name, {survey.collection, *survey.collections}))
    clash = next(((question, name) for question, name, taken in asked if name in taken), None)
    if clash is None:
        return None
    question, name = clash
    return Finding(
        code="target-exists",
        severity="blocker",
        title=f"{question} names something that exists",
        measured=f"{name} is a collection or an alias",
        limit="a free name",
        consequence="the server refuses it with 409 or 400: collections and aliases share their names",
        remedy=f"answer {question} with another name, or leave it out to take a free one",
        source="recorded answers: Collection already exists, Alias with the same name already exists",
    )


def several_aliases(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """More than one alias points here, and only one of them is swapped."""
    if way.mode(survey, answers) != "blue-green" or len(survey.aliases) < 2 or same_name(survey, answers):
        return None
    used = name_in_use(survey, answers)
    rest = ", ".join(alias.name for alias in survey.aliases if alias.name != used)
    return Finding(
        code="several-aliases",
        severity="warning",
        title="several aliases point to this collection",
        measured=", ".join(alias.name for alias in survey.aliases),
        limit="one",
        consequence=f"only {used} is swapped; {rest} would go on serving the old collection",
        remedy="check who uses the others, and answer alias.name with the one to swap",
        source="GET /aliases",
        acknowledge=True,
    )


def unverified(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The cutover would happen by itself, without labelled queries."""
    if answers.cutover != "when-ready" or _asks(answers, probes) or wanted(answers) == "quantization":
        return None
    return Finding(
        code="unverified",
        severity="warning",
        title="the cutover would happen by itself, without a quality figure",
        measured="cutover = when-ready, no labelled queries",
        consequence="every point is verified, but nobody has seen whether the new model finds better or worse",
        remedy="give queries.file, or cutover = manual",
        source="answers",
        acknowledge=True,
    )


def no_labelled_queries(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """There is nothing to compare old and new with."""
    if _asks(answers, probes) or answers.cutover == "when-ready" or wanted(answers) == "quantization":
        return None
    return Finding(
        code="no-labelled-queries",
        severity="info",
        title="old and new cannot be compared on your own queries",
        measured="no labelled queries",
        consequence="the run verifies every point, but gives no verdict on quality",
        remedy=(
            'give queries.file: one JSON object a line, {"query": "...", "relevant": [ids]}; or queries.title_field, whose'
            " values become known-item queries"
        ),
        source="answers",
    )


def _asks(answers: Answers, probes: Probes) -> bool:
    """Whether there are labelled queries, or a field that they are made from."""
    return bool(probes.queries or answers.queries.title_field)


CHECKS = (
    Check(
        code="plain-name",
        looks_at="the application uses an alias, or needs none",
        run=plain_name,
        explain=(
            "A swap is atomic only for a name that is an alias. A collection's own name cannot become one while the\n"
            "collection exists, and deleting it first would leave a gap without an answer. So either the application moves\n"
            "to an alias first, at leisure, or the new vector is added in place and no name changes."
        ),
    ),
    Check(
        code="alias-moved",
        looks_at="the alias points where it should",
        run=alias_moved,
        explain=(
            "Creating an alias that exists re-points it without asking. The engine looks where the alias points right before\n"
            "the swap, and stops if somebody else has moved it."
        ),
    ),
    Check(
        code="target-exists",
        looks_at="the new names are free",
        run=target_exists,
        explain=(
            "Collections and aliases share one set of names. The plan never writes into a collection that it did not make,\n"
            "so a name that is in use stops it before anything is created. Left out, the next free name is taken."
        ),
    ),
    Check(
        code="several-aliases",
        looks_at="one alias at most points here",
        run=several_aliases,
        explain=(
            "Only the alias that the application uses is swapped. Others stay where they are and would serve old data.\n"
            "Find out who uses them before the run; they can be pointed at the new collection afterwards, one by one."
        ),
    ),
    Check(
        code="unverified",
        looks_at="a person, or a quality figure, decides on the cutover",
        run=unverified,
        explain=(
            "No cutover happens before every id, payload and a re-embedded sample agree. Whether the new model finds the\n"
            "right things is another question, and only labelled queries answer it."
        ),
    ),
    Check(
        code="no-labelled-queries",
        looks_at="labelled queries are there",
        run=no_labelled_queries,
        explain=(
            "Thirty to three hundred real queries with the ids that should be found are enough for a verdict with an\n"
            "interval. Without them the report says UNDECIDED. A model that leads public rankings can lose on your data."
        ),
    ),
)
