"""The choices of a question as they stand on this cluster: a closed one stays visible with its reason."""

from __future__ import annotations

import msgspec

from changeover.cluster.capabilities import supports
from changeover.decision.answers import Answers
from changeover.decision.questions import Choice, Question
from changeover.decision.route import closed
from changeover.errors import ChangeoverError
from changeover.quality.reduction import reduction_closed
from changeover.routes.job import server_version, source_vector
from changeover.survey.describe import in_bytes
from changeover.survey.model import Survey

TEXTS = 6


class AskedChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A choice as it stands on this cluster; a closed one stays visible with its reason."""

    choice: Choice
    open: bool = True
    reason: str = ""


Offers = tuple[AskedChoice, ...]


def by_route(survey: Survey, answers: Answers, question: Question) -> Offers:
    """Ways to avoid re-embedding: those whose route is open."""
    return tuple(
        AskedChoice(choice=choice) if choice.value == "none" else _of_route(choice, choice.value, survey, answers)
        for choice in question.choices
    )


def hybrid(survey: Survey, answers: Answers, question: Question) -> Offers:
    """Yes, where some encoder can be used here."""
    yes, no = question.choices
    return _of_route(yes, "hybrid", survey, answers), AskedChoice(choice=no)


def side_by_side(survey: Survey, answers: Answers, question: Question) -> Offers:
    """Yes, where the new vector can come beside the old one."""
    yes, no = question.choices
    return _of_route(yes, "side-by-side", survey, answers), AskedChoice(choice=no)


def modes(survey: Survey, answers: Answers, question: Question) -> Offers:
    """In place and blue-green."""
    return tuple(_of_route(choice, choice.value, survey, answers) for choice in question.choices)


def encoders(survey: Survey, answers: Answers, question: Question) -> Offers:
    """Sparse encoders that this cluster knows."""
    version = server_version(survey)
    closed_by = {
        "server-bm25": ""
        if supports("server_bm25", version)
        else f"the server's BM25 came with 1.15.2; this is {version}",
        "text-index": ""
        if supports("text_scoring", version)
        else f"text indexes score from 1.20 on; this is {version}",
    }
    if answers.model is not None:
        closed_by["text-index"] = closed_by["text-index"] or "a new dense model is loaded anyway; take a sparse vector"
    return tuple(_with(choice, closed_by.get(choice.value, "")) for choice in question.choices)


def providers(survey: Survey, answers: Answers, question: Question) -> Offers:
    """Who can make the vectors; with a move to hybrid nobody has to."""
    offered = list(question.choices)
    if answers.add_sparse:
        keep = Choice(value="", label="Nobody: keep the dense vectors", consequence="only the sparse side is added")
        offered.insert(0, keep)
    maps = answers.avoid == "linear-map"
    reason = "a map needs vectors of the new model at hand; the server does not give them back"
    return tuple(_with(choice, reason if maps and choice.value == "qdrant" else "") for choice in offered)


def kinds(survey: Survey, answers: Answers, question: Question) -> Offers:
    """Dense or late interaction, where the provider has it."""
    provider = answers.model.provider if answers.model else "fastembed"
    without = provider in ("cohere", "voyage", "gemini", "ollama")
    reason = f"{provider} has no late-interaction models"
    return tuple(
        _with(choice, reason if without and choice.value == "late-interaction" else "") for choice in question.choices
    )


def texts(survey: Survey, answers: Answers, question: Question) -> Offers:
    """Candidate templates with what the proof and the sample say."""
    proven = {p.template: p for p in survey.text.proofs}
    templates = list(
        dict.fromkeys(
            [*([survey.text.template] if survey.text.template else []), *(f"{{{f.path}}}" for f in survey.text.fields)]
        )
    )
    asked = []
    for template in templates[:TEXTS]:
        proof = proven.get(template)
        field = next((f for f in survey.text.fields if f"{{{f.path}}}" == template), None)
        words = f"re-embedded: cosine {proof.median}" if proof else ""
        if field is not None:
            words += f"{', ' if words else ''}on {field.text:.0%} of points, {field.mean_chars:.0f} characters"
        asked.append(AskedChoice(choice=Choice(value=template, label=template, consequence=words)))
    return tuple(asked)


def sources(survey: Survey, answers: Answers, question: Question) -> Offers:
    """The dense vectors that are there."""
    dense = [v for v in survey.vectors if v.kind == "dense"]
    return tuple(
        AskedChoice(
            choice=Choice(value=v.name, label=v.name or "(unnamed)", consequence=f"{v.size} numbers, {v.distance}")
        )
        for v in dense
    )


def distances(survey: Survey, answers: Answers, question: Question) -> Offers:
    """The distances; the present one is marked."""
    kept = source_vector(survey, answers).distance
    return tuple(
        AskedChoice(
            choice=msgspec.structs.replace(c, consequence=f"{c.consequence}; as before") if c.value == kept else c
        )
        for c in question.choices
    )


def sizes(survey: Survey, answers: Answers, question: Question) -> Offers:
    """Three quarters, half and a quarter of the numbers, with the bytes that go."""
    full = _size(survey, answers)
    found = []
    for share in (0.75, 0.5, 0.25):
        size = round(full * share)
        if 0 < size < full:
            saved = survey.size.points * (full - size) * 4
            words = f"{share:.0%} of {full}; {in_bytes(saved)} less"
            found.append(AskedChoice(choice=Choice(value=str(size), label=str(size), consequence=words)))
    return tuple(found)


def reductions(survey: Survey, answers: Answers, question: Question) -> Offers:
    """Ways of cutting that this distance survives."""
    distance = source_vector(survey, answers).distance
    return tuple(
        _with(choice, reduction_closed(choice.value, distance))  # type: ignore[arg-type]
        for choice in question.choices
    )


def quantizations(survey: Survey, answers: Answers, question: Question) -> Offers:
    """Kinds that this server knows, with what speaks against them and the bytes that searches touch."""
    from changeover.quality import storage

    vector, version = source_vector(survey, answers), server_version(survey)
    found = []
    for choice in question.choices:
        reason = storage.closed(choice.value, vector, version)  # type: ignore[arg-type]
        bytes_each = storage.bytes_per_vector(choice.value, vector)  # type: ignore[arg-type]
        caution = storage.caution(choice.value, vector)  # type: ignore[arg-type]
        words = f"{in_bytes(bytes_each * survey.size.points)} to search in; {choice.consequence}"
        words += f". {caution}" if caution else ""
        found.append(_with(msgspec.structs.replace(choice, consequence=words), reason))
    return tuple(found)


def languages(survey: Survey, answers: Answers, question: Question) -> Offers:
    """Languages that BM25 knows stop words and stems of."""
    from changeover.embed.languages import LANGUAGES

    return tuple(AskedChoice(choice=Choice(value=name, label=name)) for name in sorted(LANGUAGES))


def _of_route(choice: Choice, route: str, survey: Survey, answers: Answers) -> AskedChoice:
    """Open as the route is with this choice taken; what was answered for another choice does not count against it."""
    try:
        taken = msgspec.structs.replace(answers, route=None, avoid=None)
        if route in ("in-place", "blue-green"):
            taken = answers
        reasons = closed(route, survey, taken)  # type: ignore[arg-type]
    except ChangeoverError as error:
        reasons = (str(error),)
    return AskedChoice(choice=choice, open=not reasons, reason="; ".join(reasons))


def _with(choice: Choice, reason: str) -> AskedChoice:
    return AskedChoice(choice=choice, open=not reason, reason=reason)


def _size(survey: Survey, answers: Answers) -> int:
    try:
        return source_vector(survey, answers).size or 0
    except ChangeoverError:
        return 0
