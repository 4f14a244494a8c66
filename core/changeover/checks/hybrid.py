"""Words beside meaning: BM25 at the level of chunks, its language, its encoder, its statistics."""

from __future__ import annotations

import unicodedata

import msgspec

from changeover.checks import way
from changeover.checks.base import Check
from changeover.checks.model import Finding, Probes
from changeover.cluster.capabilities import supports
from changeover.decision.answers import Answers
from changeover.embed.languages import LANGUAGES
from changeover.embed.model import SparseSpec
from changeover.quality.trials import HybridTrial
from changeover.routes.job import server_version
from changeover.routes.made import sparse_spec
from changeover.survey.model import Survey
from changeover.survey.template import render

FEW_STOP_WORDS = 0.15
"""Share of words that stop words remove, below which the language is likely another (running text: 30 to 50 %)."""
WITHOUT_TERMS = 0.02
NOT_LATIN = frozenset(
    "arabic bengali chinese greek hebrew japanese kazakh nepali russian tajik".split()  # noqa: SIM905
)
FOREIGN = 0.3
"""Share of letters of another script than the language's, from which it is said."""


def _spec(survey: Survey, answers: Answers, probes: Probes) -> SparseSpec | None:
    return sparse_spec(survey, answers, probes) if way.adds_sparse(answers) else None


def _of_words(spec: SparseSpec) -> bool:
    return spec.encoder != "fastembed" or "bm25" in spec.model.lower()


def _trial(probes: Probes) -> HybridTrial | None:
    return probes.hybrid if probes.hybrid is not None and not probes.hybrid.error else None


def bm25_chunk_quality(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """Whether words help on the user's own chunks was not measured, or they do not."""
    if not way.adds_sparse(answers):
        return None
    trial = _trial(probes)
    if trial is None or trial.difference is None:
        error = (probes.hybrid.error or probes.hybrid.note) if probes.hybrid is not None else ""
        return Finding(
            code="bm25-chunk-quality",
            severity="warning",
            title="nobody has seen yet what words add to your searches",
            measured=error or "not measured: no labelled queries were tried on a sample",
            limit="fused above dense on your own chunks",
            consequence=(
                "statistics of words in chunks are not those of whole documents: short texts repeat little, and a fused"
                " search can be worse than the dense one alone"
            ),
            remedy="give queries.file or queries.title_field, and try dense, sparse and fused on a sample before the run",
            source="experience of Qdrant's own guide; measured: fused above dense for 6 of 9 models on one corpus",
            acknowledge=True,
        )
    loses = trial.difference.high < 0
    if trial.difference.mean > 0 and not loses:
        return None
    scores = {"dense": trial.dense, "sparse": trial.sparse, "RRF": trial.rrf, "DBSF": trial.dbsf}
    said = ", ".join(f"{name} {score.mean:.3f}" for name, score in scores.items() if score is not None)
    difference = trial.difference
    return Finding(
        code="bm25-chunk-quality",
        severity="warning",
        title="fused searches find less than dense ones" if loses else "fused searches find no more than dense ones",
        measured=(
            f"nDCG@10: {said}; fused - dense {difference.mean:+.3f} ({difference.low:+.3f} to {difference.high:+.3f});"
            f" {trial.queries:,} queries, {trial.points:,} points"
        ),
        limit="fused above dense",
        consequence="the application would search twice for results that are no better",
        remedy="try another encoder or language, or leave the search dense",
        source="trial on a sample of your chunks",
        acknowledge=True,
    )


def bm25_language(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The texts do not look like the language whose stop words and stems are used."""
    spec = _spec(survey, answers, probes)
    if spec is None or not _of_words(spec):
        return None
    trial, foreign = _trial(probes), _other_script(survey, answers, spec.language)
    share = trial.stopword_share if trial is not None else None
    missing = trial.without_terms if trial is not None else 0.0
    guessed = trial.guessed_language if trial is not None else None
    other = guessed if guessed not in (None, spec.language.lower()) else None
    unknown = spec.encoder in ("server-bm25", "local-bm25") and spec.language.lower() not in LANGUAGES
    said = [
        *([f"BM25 knows no language {spec.language!r}"] if unknown else []),
        *([f"{share:.0%} of the words are stop words of {spec.language}"] if share is not None else []),
        *([f"the stop words of {other} fit best"] if other else []),
        *([f"{foreign:.0%} of the letters are of another script"] if foreign >= FOREIGN else []),
        *([f"{missing:.1%} of the texts have no term left"] if missing >= WITHOUT_TERMS else []),
    ]
    few = share is not None and share < FEW_STOP_WORDS
    if not unknown and not few and not other and foreign < FOREIGN and missing < WITHOUT_TERMS:
        return None
    return Finding(
        code="bm25-language",
        severity="warning",
        title=f"{spec.language!r} is no language of BM25" if unknown else f"the texts may not be in {spec.language}",
        measured="; ".join(said),
        limit=f"{FEW_STOP_WORDS:.0%} stop words and more, as running text has",
        consequence=(
            "stop words of another language stay in and count as terms, and stems are cut in the wrong place: common"
            " words then decide what is found"
        ),
        remedy=f"answer sparse.language = {other or 'the language of the texts'}, the same for documents and queries",
        source="trial on a sample" if share is not None else "sampled payloads",
    )


def _other_script(survey: Survey, answers: Answers, language: str) -> float:
    """Share of letters in the sample that are not written as the language is."""
    template = way.template(survey, answers)
    if template is None:
        return 0.0
    letters = [char for point in survey.sample for char in render(template, point.payload)[:500] if char.isalpha()]
    if not letters:
        return 0.0
    latin = sum(char.isascii() or unicodedata.name(char, "").startswith("LATIN") for char in letters)
    share = latin / len(letters)
    return share if language.lower() in NOT_LATIN else 1 - share


def bm25_two_encoders(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """Documents and queries, or two vectors of one collection, may be encoded differently."""
    spec = _spec(survey, answers, probes)
    if spec is None:
        return None
    recorded, others = _recorded(survey), [v.name for v in survey.vectors if v.kind == "sparse"]
    differs = recorded is not None and _settings(recorded) != _settings(spec)
    by_fastembed = spec.encoder == "fastembed" and "bm25" in spec.model.lower()
    if not differs and not others and not by_fastembed:
        return None
    before = recorded.label if recorded is not None else "unknown"
    return Finding(
        code="bm25-two-encoders",
        severity="warning",
        title=(
            "the collection has sparse vectors of another encoder already"
            if others or differs
            else "the application has to encode its queries with fastembed too"
        ),
        measured=(
            f"{', '.join(others) or 'recorded'}: {before}; planned: {spec.label}" if others or differs else spec.label
        ),
        limit="one encoder, with the same settings, for documents and queries",
        consequence=(
            "fastembed keeps snake_case words whole and drops words of more than 40 characters, the server's BM25 splits"
            " them and keeps them: about one text in twenty gets other terms, and a query by the other encoder misses them"
            if by_fastembed and not others and not differs
            else "a query that is encoded for one vector and searches the other misses terms, and no error says so"
        ),
        remedy=(
            "answer sparse.encoder = server-bm25 or local-bm25, which are the same code, unless fastembed makes the queries"
            if by_fastembed and not others and not differs
            else "remove what is not used any more, or give every query the encoder of the vector that it searches"
        ),
        source="measured: 95.3 % of 3,000 texts equal between fastembed and the server's code",
        acknowledge=differs,
    )


def _recorded(survey: Survey) -> SparseSpec | None:
    """The encoder that a former run wrote into the metadata, if its vector is still there."""
    made = survey.metadata.get("changeover")
    sparse = made.get("sparse") if isinstance(made, dict) else None
    if not isinstance(sparse, dict) or survey.vector(str(sparse.get("vector"))) is None:
        return None
    try:
        return msgspec.convert({key: value for key, value in sparse.items() if key != "vector"}, SparseSpec)
    except msgspec.ValidationError:
        return None


def _settings(spec: SparseSpec) -> tuple[str, str, float | None]:
    """What decides about terms and weights; the server's and the local BM25 are the same code."""
    own = spec.encoder in ("server-bm25", "local-bm25")
    return ("bm25" if own else spec.label, spec.language.lower(), spec.average_length if own else None)


def idf_drifts(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """In place, searches by words see statistics that change until the last point is written."""
    spec = _spec(survey, answers, probes)
    if spec is None or spec.encoder == "text-index" or not spec.uses_idf or way.mode(survey, answers) != "in-place":
        return None
    return Finding(
        code="idf-drifts-during-backfill",
        severity="info",
        title="scores by words change until the last point is written",
        measured=f"{survey.size.points:,} points to write, {survey.shards.number} shard(s)",
        limit="every point written",
        consequence=(
            "how rare a word is, is counted at search time over the points that have the vector; ranks and fused results"
            " of a half-filled vector say nothing about the end"
        ),
        remedy="search words and compare only when the load is done; the run evaluates after it",
        source="server behaviour: IDF is counted per shard and at query time"
        + ("" if supports("drop_vector_safe", server_version(survey)) else "; edits can leave old terms before 1.19"),
    )


CHECKS = (
    Check(
        code="bm25-chunk-quality",
        looks_at="words were seen to help on your chunks, or none are added",
        run=bm25_chunk_quality,
        explain=(
            "Adding words helps most searches and harms some: chunks are short, so a word rarely occurs twice, lengths are\n"
            "alike, and fusing a poor ranking with a good one pulls the good one down. The trial searches a sample of your\n"
            "own chunks dense, sparse and fused (RRF, DBSF) with your queries. Without it, going on has to be typed."
        ),
    ),
    Check(
        code="bm25-language",
        looks_at="the texts are in the language of the stop words, or none are used",
        run=bm25_language,
        explain=(
            "BM25 here removes the stop words of one language and reduces words to their stems. In running text stop words\n"
            "are a third to a half of all words; when hardly any are found the texts are in another language, or are code or\n"
            "lists. Servers take languages that they do not know without a word, and then use none."
        ),
    ),
    Check(
        code="bm25-two-encoders",
        looks_at="documents and queries are encoded alike",
        run=bm25_two_encoders,
        explain=(
            "A sparse search compares term numbers. Documents encoded by fastembed and queries by the server (or with\n"
            "another language, or average length) mostly match and sometimes do not, which nobody notices. One encoder per\n"
            "vector; it is recorded in the collection's metadata. server-bm25 and local-bm25 are the same code."
        ),
    ),
    Check(
        code="idf-drifts-during-backfill",
        looks_at="no half-filled vector of words is searched",
        run=idf_drifts,
        explain=(
            "The rarity of a word is counted over the points that have the sparse vector, shard by shard, at the moment of\n"
            "the search. While it is being filled these counts change with every request. Compare only complete sides."
        ),
    ),
)
