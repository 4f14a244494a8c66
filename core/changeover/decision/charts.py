"""What trials measured, as figures to draw: plain values with their interval, unit and source. Pure.

A screen draws a bar beside each figure, plain text prints the figure alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from changeover.checks.model import Probes
from changeover.quality.model import Score
from changeover.quality.trials import QuantizationTrial, SearchSetting
from changeover.survey.describe import in_bytes

Unit = Literal["share", "score", "ms", "bytes"]


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One figure; `low` and `high` are the ends of its 95 % interval where it has one."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one kind that are compared with each other."""

    title: str
    unit: Unit
    source: str
    bars: tuple[Bar, ...]
    whole: float | None = None
    """What a full bar stands for; None for the largest figure."""

    @property
    def full(self) -> float:
        """What a full bar stands for; never 0."""
        return self.whole or max((max(bar.value, bar.high or 0.0) for bar in self.bars), default=0.0) or 1.0


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is known for one question, were it answered in one way."""

    lines: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    untried: tuple[str, ...] = ()
    """What can be tried on a sample for it and was not, in words."""
    failed: tuple[str, ...] = ()
    """What was tried for it and failed, in words; it can be tried again."""


def words(value: float, unit: Unit) -> str:
    """A figure as it is printed: `97 %`, `0.412`, `1.23 ms`, `3.1 KiB`."""
    if unit == "share":
        return f"{value * 100:.0f} %"
    if unit == "ms":
        return f"{value:.2f} ms" if value < 10 else f"{value:,.0f} ms"
    return in_bytes(round(value)) if unit == "bytes" else f"{value:.3f}"


def interval(bar: Bar, unit: Unit) -> str:
    """`0.384 to 0.441`, or "" for a figure without an interval."""
    return "" if bar.low is None or bar.high is None else f"{words(bar.low, unit)} to {words(bar.high, unit)}"


def lines(chart: Chart) -> tuple[str, ...]:
    """The chart without bars: its title with the source, and a line a figure."""
    wide = max((len(bar.label) for bar in chart.bars), default=0)
    said = [f"{chart.title}  ({chart.source})"]
    for bar in chart.bars:
        within = interval(bar, chart.unit)
        said.append(f"  {bar.label:<{wide}}  {words(bar.value, chart.unit)}" + (f" ({within})" if within else ""))
    return tuple(said)


def _scores(sides: Iterable[tuple[str, Score | None]]) -> tuple[Bar, ...]:
    return tuple(Bar(label=name, value=s.mean, low=s.low, high=s.high) for name, s in sides if s is not None)


def _dimensions(probes: Probes) -> tuple[Chart, ...]:
    """Neighbours and nDCG kept at each size by leading and random numbers and by principal components."""
    trial = probes.dimensions
    if trial is None or not trial.cuts:
        return ()
    cuts = sorted(trial.cuts, key=lambda cut: (-cut.size, ("leading", "random", "pca").index(cut.method)))
    named = [(f"{cut.size} {'PCA' if cut.method == 'pca' else cut.method}", cut) for cut in cuts]
    kept = tuple(Bar(label=name, value=cut.ndcg_kept) for name, cut in named if cut.ndcg_kept is not None)
    charts = [
        Chart(
            title="neighbours kept",
            unit="share",
            source=f"overlap@10 of {trial.sampled:,} stored vectors of {trial.full} numbers, cut here",
            bars=tuple(Bar(label=name, value=cut.overlap) for name, cut in named),
            whole=1.0,
        )
    ]
    if kept:
        source = f"{trial.queries:,} labelled queries, asked with the old model"
        charts.append(Chart(title="nDCG@10 kept", unit="share", source=source, bars=kept, whole=1.0))
    return tuple(charts)


def _quantization(probes: Probes) -> tuple[Chart, ...]:
    """Recall at each search setting beside that of now, memory saved, and the kinds tried so far."""
    trial = probes.quantization
    if trial is None or not (trial.settings or trial.before):
        return _kinds(probes)
    settings = (Bar(label=_setting(setting), value=setting.recall) for setting in trial.settings)
    sample = f"scratch index of {trial.sampled:,} stored vectors, against exact search"
    charts = [
        Chart(
            title=f"recall@10 with {trial.kind}",
            unit="score",
            source=sample,
            bars=(Bar(label="as it is now", value=trial.before), *settings),
            whole=1.0,
        )
    ]
    if trial.bytes_after:
        memory = (Bar(label="now", value=trial.bytes_before), Bar(label=trial.kind, value=trial.bytes_after))
        charts.append(Chart(title="a vector to search in", unit="bytes", source="computed", bars=memory))
    return (*charts, *_kinds(probes))


def _setting(setting: SearchSetting) -> str:
    if setting.oversampling:
        return f"rescore x{setting.oversampling:g}"
    return "rescore" if setting.rescore else "no rescore"


def _kinds(probes: Probes) -> tuple[Chart, ...]:
    """The best recall of every kind that was tried, where there are several."""
    tried = [trial for trial in probes.quantizations if trial.settings]
    if len(tried) < 2:
        return ()
    bars = tuple(Bar(label=trial.kind, value=_best(trial)) for trial in tried)
    return (Chart(title="recall@10 at best, by kind", unit="score", source="scratch index", bars=bars, whole=1.0),)


def _best(trial: QuantizationTrial) -> float:
    return max(setting.recall for setting in trial.settings)


def _gain(probes: Probes) -> tuple[Chart, ...]:
    """Old and new model on the same queries."""
    trial = probes.gain
    bars = _scores((("old", trial.old), ("new", trial.new))) if trial is not None else ()
    if trial is None or not bars:
        return ()
    source = f"{trial.queries:,} queries on {trial.points:,} points"
    return (Chart(title="nDCG@10", unit="score", source=source, bars=bars, whole=1.0),)


def _map(probes: Probes) -> tuple[Chart, ...]:
    """Old, mapped and new vectors on queries that the map has not seen, and the share of the gain that it recovers."""
    trial = probes.map
    bars = _scores((("old", trial.old), ("mapped", trial.mapped), ("new", trial.new))) if trial is not None else ()
    if trial is None or not bars:
        return ()
    source = f"{trial.queries:,} queries, {trial.points:,} points, map from {trial.anchors:,} pairs"
    charts = [Chart(title="nDCG@10", unit="score", source=source, bars=bars, whole=1.0)]
    if trial.gain is not None:
        recovered = _scores((("recovered", trial.gain),))
        how = "(mapped - old) / (new - old)"
        charts.append(
            Chart(title="gain of the new model recovered", unit="share", source=how, bars=recovered, whole=1.0)
        )
    return tuple(charts)


def _hybrid(probes: Probes) -> tuple[Chart, ...]:
    """Dense, sparse and both kinds of fusion on the user's own chunks."""
    trial = probes.hybrid
    if trial is None:
        return ()
    bars = _scores((("dense", trial.dense), ("sparse", trial.sparse), ("RRF", trial.rrf), ("DBSF", trial.dbsf)))
    source = f"{trial.queries:,} queries on {trial.points:,} points"
    return (Chart(title="nDCG@10", unit="score", source=source, bars=bars, whole=1.0),) if bars else ()


def _colocated(probes: Probes) -> tuple[Chart, ...]:
    """A dense search with and without vectors per token beside it, and the bytes of both."""
    trial = probes.colocated
    if trial is None:
        return ()
    charts = []
    if trial.with_ms is not None:
        bars = [Bar(label="with tokens", value=trial.with_ms)]
        bars += [Bar(label="without", value=trial.without_ms)] if trial.without_ms is not None else []
        source = f"scratch index of {trial.points:,} points, median"
        charts.append(Chart(title="a dense search", unit="ms", source=source, bars=tuple(bars)))
    if trial.cluster_ms is not None:
        now = (Bar(label="as it is now", value=trial.cluster_ms),)
        charts.append(Chart(title="a dense search on your cluster", unit="ms", source="20 searches, median", bars=now))
    if trial.bytes_per_point:
        sizes = (
            Bar(label="tokens", value=trial.bytes_per_point),
            Bar(label="dense", value=trial.dense_bytes_per_point),
        )
        charts.append(Chart(title="bytes a point", unit="bytes", source="sample", bars=sizes))
    return tuple(charts)


CHARTS: dict[str, Callable[[Probes], tuple[Chart, ...]]] = {
    "gain": _gain,
    "dimensions": _dimensions,
    "quantization": _quantization,
    "map": _map,
    "hybrid": _hybrid,
    "colocated": _colocated,
}
"""Trial (its place in `Probes`) -> what it draws."""

_ON_QUERIES = ("gain", "dimensions", "map", "hybrid")
QUESTIONS: dict[str, tuple[str, ...]] = {
    "avoid": ("gain", "dimensions", "quantization", "map"),
    "keep_both": ("colocated", "gain"),
    "add_sparse": ("hybrid",),
    "target.dimension": ("dimensions",),
    "target.reduction": ("dimensions",),
    "quantization": ("quantization",),
    "sparse": ("hybrid",),
    "model": ("gain", "colocated"),
    "old_model": _ON_QUERIES,
    "text": _ON_QUERIES,
    "map": ("map",),
    "vector.on_disk": ("colocated",),
    "queries": _ON_QUERIES,
}
"""Question, or group of questions -> the trials whose figures belong to it."""

FINDINGS: dict[str, tuple[str, ...]] = {
    "worse-on-your-data": ("gain", "dimensions"),
    "no-labelled-queries": ("gain",),
    "not-matryoshka": ("dimensions",),
    "quantization-recall": ("quantization",),
    "no-gain-from-map": ("map",),
    "few-anchors": ("map",),
    "bm25-chunk-quality": ("hybrid",),
    "bm25-language": ("hybrid",),
    "colocated-multivector": ("colocated",),
}
"""Code of a finding -> the trials that it goes by."""


def trials_of(question: str) -> tuple[str, ...]:
    """The trials whose figures belong to a question; () for most."""
    return QUESTIONS.get(question) or QUESTIONS.get(question.partition(".")[0], ())


def drawn(trials: Iterable[str], probes: Probes) -> tuple[Chart, ...]:
    """What these trials measured."""
    return tuple(chart for name in trials for chart in CHARTS[name](probes))
