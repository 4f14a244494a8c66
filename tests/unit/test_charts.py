"""What trials measured as figures: every trial, its text without bars, and where it is shown."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from changeover.checks.model import Probes
from changeover.checks.registry import CHECKS
from changeover.decision import charts
from changeover.decision.charts import Bar, Chart
from changeover.decision.tree import TREE
from changeover.quality.model import Score
from changeover.quality.trials import (
    ColocatedTrial,
    Cut,
    DimensionsTrial,
    GainTrial,
    HybridTrial,
    MapTrial,
    QuantizationTrial,
    SearchSetting,
)
from changeover.survey.trials import take
from changeover.survey.trials.pace import Pace
from tests.unit.surveys import answers, survey


def score(mean: float) -> Score:
    return Score(metric="nDCG@10", mean=mean, low=mean - 0.02, high=mean + 0.02)


SETTINGS = (
    SearchSetting(rescore=False, oversampling=None, recall=0.71),
    SearchSetting(rescore=True, oversampling=None, recall=0.9),
    SearchSetting(rescore=True, oversampling=2.0, recall=0.97),
)
SCALAR = QuantizationTrial(
    vector="text", kind="scalar", sampled=5000, before=0.99, settings=SETTINGS, bytes_before=1024, bytes_after=260
)
BINARY = msgspec.structs.replace(SCALAR, kind="binary-1", settings=SETTINGS[:1], bytes_after=32)
CASES: tuple[tuple[str, Probes, tuple[str, ...]], ...] = (
    (
        "dimensions",
        Probes(
            dimensions=DimensionsTrial(
                vector="text",
                full=256,
                sampled=2000,
                queries=90,
                cuts=(
                    Cut(method="pca", size=64, overlap=0.7),
                    Cut(method="leading", size=128, overlap=0.9, ndcg_kept=0.95),
                    Cut(method="leading", size=64, overlap=0.6),
                ),
            )
        ),
        (
            "neighbours kept  (overlap@10 of 2,000 stored vectors of 256 numbers, cut here)",
            "  128 leading  90 %",
            "  64 leading   60 %",
            "  64 PCA       70 %",
            "nDCG@10 kept  (90 labelled queries, asked with the old model)",
            "  128 leading  95 %",
        ),
    ),
    (
        "quantization",
        Probes(quantization=SCALAR, quantizations=(BINARY, SCALAR)),
        (
            "recall@10 with scalar  (scratch index of 5,000 stored vectors, against exact search)",
            "  as it is now  0.990",
            "  no rescore    0.710",
            "  rescore       0.900",
            "  rescore x2    0.970",
            "a vector to search in  (computed)",
            "  now     1.0 KiB",
            "  scalar  260 B",
            "recall@10 at best, by kind  (scratch index)",
            "  binary-1  0.710",
            "  scalar    0.970",
        ),
    ),
    (
        "gain",
        Probes(gain=GainTrial(points=1500, queries=200, old=score(0.4), new=score(0.5))),
        (
            "nDCG@10  (200 queries on 1,500 points)",
            "  old  0.400 (0.380 to 0.420)",
            "  new  0.500 (0.480 to 0.520)",
        ),
    ),
    (
        "map",
        Probes(
            map=MapTrial(
                method="ridge",
                anchors=2000,
                points=1000,
                queries=200,
                old=score(0.4),
                mapped=score(0.46),
                new=score(0.5),
                gain=score(0.6),
            )
        ),
        (
            "nDCG@10  (200 queries, 1,000 points, map from 2,000 pairs)",
            "  old     0.400 (0.380 to 0.420)",
            "  mapped  0.460 (0.440 to 0.480)",
            "  new     0.500 (0.480 to 0.520)",
            "gain of the new model recovered  ((mapped - old) / (new - old))",
            "  recovered  60 % (58 % to 62 %)",
        ),
    ),
    (
        "hybrid",
        Probes(hybrid=HybridTrial(encoder="bm25", points=2000, queries=200, dense=score(0.4), rrf=score(0.5))),
        (
            "nDCG@10  (200 queries on 2,000 points)",
            "  dense  0.400 (0.380 to 0.420)",
            "  RRF    0.500 (0.480 to 0.520)",
        ),
    ),
    (
        "colocated",
        Probes(
            colocated=ColocatedTrial(
                vector="colbert",
                bytes_per_point=60_000,
                dense_bytes_per_point=1024,
                cluster_ms=12.3,
                points=2000,
                with_ms=1.5,
                without_ms=0.5,
            )
        ),
        (
            "a dense search  (scratch index of 2,000 points, median)",
            "  with tokens  1.50 ms",
            "  without      0.50 ms",
            "a dense search on your cluster  (20 searches, median)",
            "  as it is now  12 ms",
            "bytes a point  (sample)",
            "  tokens  58.6 KiB",
            "  dense   1.0 KiB",
        ),
    ),
)


@pytest.mark.parametrize(("trial", "probes", "said"), CASES, ids=[case[0] for case in CASES])
def test_what_a_trial_measured_is_printed(trial: str, probes: Probes, said: tuple[str, ...]) -> None:
    drawn = charts.drawn((trial,), probes)
    assert tuple(line for chart in drawn for line in charts.lines(chart)) == said
    assert all(chart.full > 0 for chart in drawn)
    assert charts.drawn((trial,), Probes()) == ()


@pytest.mark.parametrize(("trial", "found"), [(case[0], getattr(case[1], case[0])) for case in CASES])
def test_a_trial_that_failed_draws_nothing(trial: str, found: Any) -> None:
    empty = {"bytes_per_point": 0, "cluster_ms": None, "with_ms": None, "settings": (), "before": 0.0, "cuts": ()}
    empty |= dict.fromkeys(("old", "new", "mapped", "gain", "dense", "rrf"))
    fields = {name: value for name, value in empty.items() if name in found.__struct_fields__}
    failed = msgspec.structs.replace(found, error="503", **fields)
    assert charts.drawn((trial,), Probes(**{trial: failed})) == ()


def test_figures_belong_to_questions_and_findings_that_exist() -> None:
    ids = {row.id for row in TREE}
    assert all(name in ids or any(i.startswith(f"{name}.") for i in ids) for name in charts.QUESTIONS)
    assert set(charts.FINDINGS) <= {check.code for check in CHECKS}
    shown = {trial for names in (*charts.QUESTIONS.values(), *charts.FINDINGS.values()) for trial in names}
    assert shown == set(charts.CHARTS) == {trial.name for trial in take.TRIALS}


def test_a_full_bar_is_the_largest_figure_where_nothing_else_is() -> None:
    bars = (Bar(label="a", value=2.0, low=1.0, high=4.0), Bar(label="b", value=3.0))
    assert Chart(title="t", unit="ms", source="s", bars=bars).full == 4.0
    assert Chart(title="t", unit="ms", source="s", bars=(Bar(label="a", value=0.0),)).full == 1.0


def test_the_most_seconds_of_a_trial_are_those_of_its_module() -> None:
    from changeover.survey.trials import colocated, dimensions, gain, hybrid, map, quantization

    most = {trial.name: trial.most_s for trial in take.TRIALS}
    modules: dict[str, Any] = {"dimensions": dimensions, "gain": gain, "hybrid": hybrid, "map": map}
    assert {name: module.SECONDS for name, module in modules.items()} == {name: most[name] for name in modules}
    assert most["quantization"] == 2 * quantization.SECONDS and most["colocated"] == 2 * colocated.SECONDS


def test_which_trials_a_question_shows() -> None:
    assert charts.trials_of("quantization.always_ram") == ("quantization",)
    assert charts.trials_of("target.dimension") == ("dimensions",)
    assert charts.trials_of("target.collection") == ()
    assert all(not take.missing(survey(), answers(), {}, charts.trials_of(row.id)) for row in TREE if row.id == "route")


def test_a_pace_is_believed_after_some_seconds() -> None:
    now = 100.0
    pace = Pace(lambda: now)
    pace.tell(0, 0, "reading")
    assert (pace.share, pace.left) == (None, None)
    pace.tell(50, 200, "embedding")
    assert (pace.share, pace.left) == (0.25, None)
    now = 110.0
    pace.tell(100, 200, "embedding")
    assert (pace.share, pace.left) == (0.5, 20.0)
    now = 111.0
    pace.tell(0, 4, "asking")
    assert (pace.share, pace.left) == (0.0, None), "new words begin a new part"
