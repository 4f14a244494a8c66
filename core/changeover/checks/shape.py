"""The shape of the collection and of its vectors."""

from __future__ import annotations

from changeover.checks.base import Check
from changeover.checks.model import Finding, Probes
from changeover.decision.answers import Answers
from changeover.decision.route import choose
from changeover.routes.job import new_datatype, source_vector, unnamed_shape
from changeover.survey.model import Survey


def unnamed_vector(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The collection has an unnamed vector."""
    if not unnamed_shape(survey):
        return None
    in_place = choose(survey, answers).mode == "in-place"
    return Finding(
        code="unnamed-vector",
        severity="warning" if in_place else "info",
        title="the collection has an unnamed vector",
        measured="vectors: {size, distance}",
        consequence=(
            "adding a vector changes the collection's shape for good: clients that read params.vectors.size break, and"
            " points are answered in two shapes"
            if in_place
            else "blue-green leaves this collection as it is"
        ),
        remedy="take blue-green, or accept the change of shape" if in_place else "nothing to do",
        source="measured on 1.18.3 and 1.19.0; not undone by removing the vector",
        acknowledge=in_place,
    )


def other_vectors(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """There are vectors that are not replaced."""
    if not any(vector.kind == "dense" for vector in survey.vectors):
        return None
    replaced = source_vector(survey, answers).name
    others = [vector for vector in survey.vectors if vector.name != replaced]
    if not others:
        return None
    blue_green = choose(survey, answers).mode == "blue-green"
    names = ", ".join(f"{vector.name or '(unnamed)'} ({vector.kind})" for vector in others)
    return Finding(
        code="other-vectors",
        severity="info",
        title="other vectors stay as they are",
        measured=names,
        consequence="they are copied unchanged into the new collection" if blue_green else "nothing touches them",
        remedy="nothing to do",
        source="plan",
    )


def same_dimension_swap(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """Old and new vectors have the same size."""
    dense = any(vector.kind == "dense" for vector in survey.vectors)
    new = probes.new_model.dimension if probes.new_model else (answers.model.dimension if answers.model else None)
    if not dense or not new:
        return None
    old = source_vector(survey, answers)
    if old.size != new:
        return None
    keeps_name = answers.vector.name == old.name
    return Finding(
        code="same-dimension-swap",
        severity="warning",
        title="old and new vectors have the same size",
        measured=f"{old.size} numbers each",
        consequence="an application that still embeds queries with the old model gets wrong results, and no error",
        remedy=(
            "give the new vector another name, so that a forgotten query model fails loudly"
            if keeps_name
            else "the new vector has a name of its own: change the query model and the vector name together"
        ),
        source="vectors of different models are not comparable",
        acknowledge=keeps_name,
    )


def lossy_datatype(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The old vector is stored in a type that would cut the new model's numbers to pieces."""
    if not any(vector.kind == "dense" for vector in survey.vectors):
        return None
    old = source_vector(survey, answers)
    if old.datatype is None or new_datatype(old) is not None:
        return None
    return Finding(
        code="lossy-datatype",
        severity="warning",
        title="the old vector is stored in a type that loses most of a float",
        measured=f"datatype {old.datatype}",
        limit="float32 or float16",
        consequence="the new vector is stored as float32, which takes more room; uint8 would cut its numbers to 0",
        remedy="nothing to do; quantization saves room without losing the originals",
        source="server core: uint8 is truncated to whole numbers and not normalised",
    )


def custom_shards(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The collection uses custom shard keys."""
    if survey.shards.method != "custom":
        return None
    return Finding(
        code="custom-shards",
        severity="blocker",
        title="the collection uses custom shard keys",
        measured=", ".join(map(str, survey.shards.keys)) or "custom sharding",
        limit="automatic sharding",
        consequence="every write needs its shard key; this version does not carry them",
        remedy="this collection cannot be migrated with this version",
        source="recorded answer: Shard key not specified",
    )


CHECKS = (
    Check(
        code="unnamed-vector",
        looks_at="the vectors are named",
        run=unnamed_vector,
        explain=(
            "A collection made with one unnamed vector accepts a second, named one on 1.18.3 and 1.19.0, although the\n"
            'documentation says no. Its configuration then reads {"": ..., "new": ...} and never turns back, and points\n'
            "are answered as a list or as an object depending on what they have. Blue-green avoids that and is proposed."
        ),
    ),
    Check(
        code="other-vectors",
        looks_at="no other vectors have to be carried",
        run=other_vectors,
        explain=(
            "Dense, sparse and multivectors that are not being replaced keep their values. In place nothing touches them;\n"
            "blue-green copies them bit for bit, without decoding them, and compares a sample afterwards."
        ),
    ),
    Check(
        code="same-dimension-swap",
        looks_at="old and new vectors differ in size",
        run=same_dimension_swap,
        explain=(
            "When the sizes differ, a query embedded with the wrong model is refused with an error. When they are equal it\n"
            "is answered, with results that mean nothing. A vector name of its own for the new model makes that loud."
        ),
    ),
    Check(
        code="lossy-datatype",
        looks_at="the vectors are stored as floats",
        run=lossy_datatype,
        explain=(
            "uint8 and turbo datatypes change the stored numbers themselves; there is no way back to the originals. A model\n"
            "made for them may not be the new one, so its vectors are stored as float32. Quantization saves the same room\n"
            "and keeps the originals."
        ),
    ),
    Check(
        code="custom-shards",
        looks_at="sharding is automatic",
        run=custom_shards,
        explain=(
            "With custom sharding every point belongs to a shard key chosen by the application, and a write without the\n"
            "key is refused. This version of Changeover does not carry shard keys, so it stops before it writes anything."
        ),
    ),
)
