"""What a trial on a sample measured, before anything is written: plain values, taken by `survey/`, shown as evidence."""

from __future__ import annotations

from typing import Literal

import msgspec

from changeover.quality.model import Score, Verdict


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """Stored vectors cut to `size` numbers: what stays of their neighbours and of the labelled queries."""

    method: Literal["leading", "random", "pca"]
    size: int
    overlap: float
    """Mean share of the ten nearest neighbours that are the same as with all numbers; random: mean of several draws."""
    ndcg_kept: float | None = None
    """nDCG@10 divided by that of all numbers; None without labelled queries or the old model."""


class DimensionsTrial(msgspec.Struct, frozen=True, kw_only=True):
    """How well the stored vectors of one name stand being cut."""

    vector: str
    full: int
    sampled: int
    """Stored vectors that were read."""
    queries: int = 0
    cuts: tuple[Cut, ...] = ()
    gap: float = 0.0
    """Mean over the sizes of (overlap of leading - overlap of random numbers): what a Matryoshka model is known by."""
    matryoshka: bool | None = None
    """None when the sample is too small to tell."""
    error: str = ""


class SearchSetting(msgspec.Struct, frozen=True, kw_only=True):
    """Search parameters of a quantized collection and the recall@10 against exact search that they reach."""

    rescore: bool
    oversampling: float | None
    recall: float


class QuantizationTrial(msgspec.Struct, frozen=True, kw_only=True):
    """A quantization tried on a sample of the stored vectors in a scratch index on this machine."""

    vector: str
    kind: str
    sampled: int
    before: float = 0.0
    """Recall@10 with the present configuration and its default search parameters."""
    settings: tuple[SearchSetting, ...] = ()
    bytes_before: int = 0
    """Bytes per point that searches touch: of the vectors or of their present quantization."""
    bytes_after: int = 0
    error: str = ""


class GainTrial(msgspec.Struct, frozen=True, kw_only=True):
    """Old against new model on a sample of the points, before anything is spent."""

    points: int
    queries: int
    old: Score | None = None
    new: Score | None = None
    difference: Score | None = None
    verdict: Verdict = "UNDECIDED"
    reason: str = ""
    error: str = ""


class MapTrial(msgspec.Struct, frozen=True, kw_only=True):
    """A linear map fitted on anchors and tried on queries and documents that it has not seen."""

    method: Literal["ridge", "procrustes"]
    anchors: int
    points: int
    queries: int
    old: Score | None = None
    mapped: Score | None = None
    new: Score | None = None
    over_old: Score | None = None
    """Mapped minus old, paired: what the map gains over doing nothing."""
    gain: Score | None = None
    """(mapped - old) / (new - old) with its interval; None where new is not better than old."""
    error: str = ""


class HybridTrial(msgspec.Struct, frozen=True, kw_only=True):
    """Dense, sparse and fused search on a sample of the points, at the level of the user's own chunks."""

    encoder: str
    points: int
    queries: int
    average_length: float = 0.0
    """Mean number of terms of a text, after stop words."""
    without_terms: float = 0.0
    """Share of sampled texts without any term: they get no sparse vector."""
    stopword_share: float | None = None
    """Share of words that the language's stop words remove; a low one hints at another language."""
    guessed_language: str | None = None
    """The language whose stop words fit the texts best; None when none stands out."""
    dense: Score | None = None
    sparse: Score | None = None
    rrf: Score | None = None
    dbsf: Score | None = None
    difference: Score | None = None
    """Best fused minus dense, paired."""
    note: str = ""
    """What was left out for want of queries, a model or time."""
    error: str = ""


class ColocatedTrial(msgspec.Struct, frozen=True, kw_only=True):
    """A multivector beside a dense vector: bytes, and the time of a dense search with and without it."""

    vector: str
    bytes_per_point: int
    """Of the multivector, mean over the sample."""
    dense_bytes_per_point: int
    planned: bool = False
    """The multivector is not in the collection yet: the answered model would add it."""
    cluster_ms: float | None = None
    """Median time of a dense search on the collection as it is, over the network."""
    points: int = 0
    """Of the two scratch indexes."""
    with_ms: float | None = None
    """Median time of a dense search in a scratch index on this machine that has the multivector too."""
    without_ms: float | None = None
    """The same search on the same points without the multivector; compares with `with_ms` only."""
    error: str = ""
