"""What a comparison of two sides concluded. Values only."""

from __future__ import annotations

from typing import Literal

import msgspec

Verdict = Literal["GO", "NO-GO", "UNDECIDED"]


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """One metric on one side: mean and 95 % bootstrap interval."""

    metric: str
    mean: float
    low: float
    high: float


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One way of searching the new side: dense, sparse or fused."""

    name: str
    scores: tuple[Score, ...]


class QualityReport(msgspec.Struct, frozen=True, kw_only=True):
    """Old against new on the same labelled queries."""

    queries: int
    old: tuple[Score, ...] = ()
    new: tuple[Score, ...] = ()
    variants: tuple[Variant, ...] = ()
    """Hybrid: every way of searching the new side; `new` is the fused one."""
    difference: Score | None = None
    """New minus old in nDCG@10, paired."""
    overlap: float | None = None
    """Mean share of the old top ten that the new top ten holds; shown, never decides."""
    ann_recall: float | None = None
    """Approximate against exact search on the new vector."""
    verdict: Verdict = "UNDECIDED"
    reason: str = ""
