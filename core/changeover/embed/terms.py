"""What BM25 needs to know about a corpus: terms per text, texts without any, and which language its stop words fit."""

from __future__ import annotations

import msgspec

from changeover.embed.bm25 import COUNTING_K, LANGUAGES, WORD, TermCounter, count_words, has_edge, language_of
from changeover.embed.model import SparseSpec
from changeover.embed.sparse import is_bm25, open_fastembed
from changeover.errors import UsageError

LEAST_SHARE = 0.15
"""Running text in a known language loses a quarter to two thirds of its words to that language's stop words."""
LEAST_LEAD = 0.03
GUESSED = tuple(language for language in LANGUAGES if language != "hinglish")
"""Hinglish has the stop words of English too, so it would win on English."""
LONGEST_SAMPLE = 500


class Terms(msgspec.Struct, frozen=True):
    """What was counted on a sample of texts."""

    average: float
    """Mean number of terms of the texts that have any, repeats counted, after stop words: BM25's average length."""
    without_terms: float
    """Share of texts without any term: they get no sparse vector."""
    stopword_share: float | None = None
    """Share of all words that the stop words remove; None where that cannot be known."""


def terms_per_text(texts: list[str], spec: SparseSpec) -> Terms:
    """Count the terms of these texts as the encoder of `spec` does.

    Without qdrant-edge-py the words of server-bm25 are counted with their stop words, and `stopword_share` is None.
    For SPLADE and its kin a term is an entry of the vector.
    """
    if not texts:
        raise UsageError("There are no texts to count terms in.")
    if spec.encoder in ("server-bm25", "local-bm25", "text-index"):
        return _bm25_terms(texts, spec)
    if is_bm25(spec):
        return _fastembed_bm25_terms(texts, spec)
    encoder = open_fastembed(spec)
    entries = [0 if value is None else len(value.indices) for value in encoder.embed_documents(texts)]
    if not encoder.stopwords:
        return _terms(entries, None)
    # miniCOIL: a word of its vocabulary takes several entries of the vector, so words are counted instead
    words = [WORD.findall(text.lower()) for text in texts]
    kept = [
        sum(word not in encoder.stopwords for word in some) if n else 0 for some, n in zip(words, entries, strict=True)
    ]
    return _terms(kept, sum(map(len, words)))


def guess_language(texts: list[str]) -> str | None:
    """The language whose stop words make up most of the words; None when none stands out (codes, names, CJK).

    UsageError without qdrant-edge-py, whose stop words are used.
    """
    sample = texts[:LONGEST_SAMPLE]
    every = TermCounter(None)
    total = sum(map(every.count, sample))
    if not total:
        return None
    shares = []
    for language in GUESSED:
        left = TermCounter(None, stopwords_of=language)
        shares.append((1 - sum(map(left.count, sample)) / total, language))
    (first, language), (second, _) = sorted(shares, reverse=True)[:2]
    return language if first >= LEAST_SHARE and first - second >= LEAST_LEAD else None


def _bm25_terms(texts: list[str], spec: SparseSpec) -> Terms:
    language = language_of(spec)
    if spec.encoder != "local-bm25" and not has_edge():
        return _terms([count_words(text) for text in texts], None)
    kept, every = TermCounter(language), TermCounter(None)
    return _terms([kept.count(text) for text in texts], sum(map(every.count, texts)))


def _fastembed_bm25_terms(texts: list[str], spec: SparseSpec) -> Terms:
    counting = open_fastembed(spec, k=COUNTING_K, b=0.0)
    values = counting.embed_documents(texts)
    kept = [0 if value is None else round(float(value.values.sum())) for value in values]
    return _terms(kept, counting.count_tokens(texts))


def _terms(kept: list[int], words: int | None) -> Terms:
    """`kept`: terms per text; `words`: all words of the sample, None when they were not counted."""
    having = [n for n in kept if n]
    return Terms(
        average=round(sum(having) / len(having), 2) if having else 0.0,
        without_terms=round(1 - len(having) / len(kept), 4),
        stopword_share=round(1 - sum(kept) / words, 4) if words else None,
    )
