"""The shape of the collection and of its vectors."""

from __future__ import annotations

from changeover.checks import way
from changeover.checks.base import Check
from changeover.checks.model import Finding, Probes
from changeover.decision.answers import Answers
from changeover.decision.route import wanted
from changeover.embed.model import SparseSpec
from changeover.routes.job import new_datatype, unnamed_shape
from changeover.survey.model import Survey, Vector
from changeover.words import plural

SHOWN_KEYS = 8


def unnamed_vector(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The collection has an unnamed vector."""
    if not unnamed_shape(survey) or not way.writes_points(answers):
        return None
    in_place = way.mode(survey, answers) == "in-place"
    only_sparse = not way.embeds(answers) and way.adds_sparse(answers)
    return Finding(
        code="unnamed-vector",
        severity="warning" if in_place else "info",
        title="the collection has an unnamed vector",
        measured="vectors: {size, distance}",
        consequence=_change_of_shape(only_sparse) if in_place else "blue-green leaves this collection as it is",
        remedy="take blue-green, or accept the change of shape" if in_place else "nothing to do",
        source=(
            "measured on 1.18.3"
            if in_place and only_sparse
            else "measured on 1.18.3 and 1.19.0; not undone by removing the vector"
        ),
        acknowledge=in_place,
    )


def _change_of_shape(only_sparse: bool) -> str:
    if only_sparse:
        return (
            'points with a sparse vector are answered as {"": [...], "name": {...}} instead of a list; the configuration'
            " of the dense vector stays as it is"
        )
    return (
        "adding a vector changes the collection's shape for good: clients that read params.vectors.size break, and"
        " points are answered in two shapes"
    )


def other_vectors(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """There are vectors that are not replaced."""
    replaced = way.old(survey, answers)
    if replaced is None:
        return None
    others = [vector for vector in survey.vectors if vector.name != replaced.name]
    if not others:
        return None
    blue_green = way.mode(survey, answers) == "blue-green"
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
    old, new = way.old(survey, answers), way.dimension(answers, probes)
    if old is None or not new or old.size != new or way.multi(answers):
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


LOSSY = {
    None: "the new vector is stored as float32, which takes more room; {datatype} would cut its numbers to pieces",
    "dimensions": "what is cut are the rounded numbers, not those that the model gave",
    "linear-map": "the map is learnt from rounded numbers; the new vector is stored as float32, which takes more room",
    "quantization": "the originals are rounded already, so rescoring cannot bring back more than they still hold",
    "hybrid": "the dense vectors are carried as they are, rounded; nothing more is lost",
}


def lossy_datatype(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The old vector is stored in a type that does not keep the model's numbers."""
    old = way.old(survey, answers)
    if old is None or old.datatype is None or new_datatype(old) is not None:
        return None
    route = wanted(answers)
    key = None if way.embeds(answers) else route
    return Finding(
        code="lossy-datatype",
        severity="warning",
        title="the old vector is stored in a type that loses most of a float",
        measured=f"datatype {old.datatype}",
        limit="float32 or float16",
        consequence=LOSSY.get(key, LOSSY[None]).format(datatype=old.datatype),
        remedy=(
            "re-embed into float32 where the loss matters; quantization saves room and keeps the originals"
            if key in ("dimensions", "linear-map", "quantization")
            else "nothing to do; quantization saves room without losing the originals"
        ),
        source="server core: uint8 is truncated to whole numbers and not normalised, turbo types are rounded",
    )


def sparse_without_idf(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """A sparse vector that stays has no IDF modifier."""
    bare = [
        v for v in survey.vectors if v.kind == "sparse" and str(v.params.get("modifier") or "none").lower() != "idf"
    ]
    if not bare:
        return None
    words = [vector.name for vector in bare if _by_words(survey, vector)]
    return Finding(
        code="sparse-without-idf",
        severity="warning" if words else "info",
        title=(
            "a sparse vector of words is searched without weighing rare words higher"
            if words
            else "a sparse vector has no IDF modifier"
        ),
        measured=", ".join(words or [vector.name for vector in bare]),
        limit="modifier: idf for BM25, BM42 and miniCOIL; none for SPLADE",
        consequence=(
            "BM25 leaves the rarity of a word to the server; without the modifier common words count as much as rare ones"
            if words
            else "right for SPLADE, wrong for BM25, BM42 and miniCOIL"
        ),
        remedy='if words made it, PATCH the collection with sparse_vectors: {name: {"modifier": "idf"}}; no reload is needed',
        source="the modifier is applied when a search is made (measured)",
    )


def _by_words(survey: Survey, vector: Vector) -> bool:
    """Whether the sparse vector's name, or what a former run recorded, says that its encoder wants IDF."""
    made = survey.metadata.get("changeover")
    recorded = made.get("sparse") if isinstance(made, dict) else None
    if isinstance(recorded, dict) and recorded.get("vector") == vector.name:
        return str(recorded.get("encoder")) != "fastembed" or _wants_idf(str(recorded.get("model")))
    return _wants_idf(vector.name)


def _wants_idf(name: str) -> bool:
    return SparseSpec(encoder="fastembed", model=name).uses_idf


def custom_shards(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The collection uses custom shard keys."""
    if survey.shards.method != "custom":
        return None
    keys = survey.shards.keys
    if not keys:
        return Finding(
            code="custom-shards",
            severity="blocker",
            title="the collection uses custom shard keys, and none is known",
            measured="custom sharding, no key told",
            limit="the keys of every point",
            consequence="every write needs its shard key",
            remedy="use a key that may read GET /collections/{name}/cluster; a collection without shard keys holds no points",
            source="recorded answer: Shard key not specified",
        )
    return Finding(
        code="custom-shards",
        severity="info",
        title=f"the collection uses {plural(len(keys), 'custom shard key')}",
        measured=", ".join(map(str, keys[:SHOWN_KEYS])) + (", ..." if len(keys) > SHOWN_KEYS else ""),
        limit="",
        consequence="each key is copied and verified by itself; keys that come or go meanwhile are followed",
        remedy="nothing to do; the application goes on to name its shard key with every write",
        source="GET /collections/{name}/cluster; recorded answer: Shard key not specified",
    )


CHECKS = (
    Check(
        code="unnamed-vector",
        looks_at="the vectors are named",
        run=unnamed_vector,
        explain=(
            "A collection made with one unnamed vector accepts a second, named one on 1.18.3 and 1.19.0, although the\n"
            'documentation says no. Its configuration then reads {"": ..., "new": ...} and never turns back, and points\n'
            "are answered as a list or as an object depending on what they have. A sparse vector beside it changes only how\n"
            "points are answered, and taking it away brings the configuration back (1.18.3). Blue-green avoids both."
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
        code="sparse-without-idf",
        looks_at="sparse vectors of words weigh rare words higher",
        run=sparse_without_idf,
        explain=(
            "BM25, BM42 and miniCOIL store how often a word occurs in a text and leave its rarity to the server, which\n"
            "multiplies it in when it searches: that is the IDF modifier of a sparse vector. SPLADE weighs by itself and must\n"
            "not have it. The modifier can be changed at any time; searches follow at once."
        ),
    ),
    Check(
        code="custom-shards",
        looks_at="the shard keys are known",
        run=custom_shards,
        explain=(
            "With custom sharding every point belongs to a shard key chosen by the application, a write without the key is\n"
            "refused, and the same id can stand under two keys. Changeover creates the same keys on the new side, copies and\n"
            "verifies each by itself, and follows keys that the application adds or removes. It has to know them: without\n"
            "the right to read where the shards are it stops before it writes anything."
        ),
    ),
)
