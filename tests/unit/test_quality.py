"""Query files, metrics and the verdict."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from changeover.errors import UsageError
from changeover.quality import queries as query_sets
from changeover.quality.compare import compare
from changeover.quality.metrics import ann_health, overlap, per_query
from changeover.quality.model import QualityReport
from changeover.quality.queries import LabelledQuery

UUID_TEXT = "c5df9f9a-6b1e-4a6c-9a52-3b7b8b1c6a10"


def known(count: int) -> list[LabelledQuery]:
    return [LabelledQuery(f"query {i}", {i: 1}) for i in range(count)]


def ranked(relevant: int, rank: int) -> list[int]:
    """Ten ids with the relevant one at that rank (from 1); rank 11 means not found."""
    others = [1_000_000 + i for i in range(10)]
    return [*others[: rank - 1], relevant, *others[rank - 1 :]][:10]


def test_metrics_are_those_of_the_textbook() -> None:
    graded = LabelledQuery("q", {1: 3, 2: 1, UUID_TEXT: 1})
    values = per_query([graded, *known(3)], [[9, 1, UUID_TEXT], [0], [5, 6, 1], []])
    gained = 3 / math.log2(3) + 1 / math.log2(4)
    ideal = 3 + 1 / math.log2(3) + 1 / math.log2(4)
    np.testing.assert_allclose(values["nDCG@10"], [gained / ideal, 1, 1 / math.log2(4), 0])
    np.testing.assert_allclose(values["recall@10"], [2 / 3, 1, 1, 0])
    np.testing.assert_allclose(values["MRR"], [1 / 2, 1, 1 / 3, 0])


@given(st.integers(1, 14))
def test_a_known_item_is_worth_its_rank(rank: int) -> None:
    value = per_query(known(1), [ranked(0, rank)])
    assert value["nDCG@10"][0] == pytest.approx(1 / math.log2(rank + 1) if rank <= 10 else 0)


def test_overlap_and_index_health_are_shares_of_the_first_side() -> None:
    assert overlap([[1, 2], [3, 4]], [[2, 9], [4, 3]]) == 0.75
    assert overlap([[]], [[1]]) is None
    assert ann_health([[1, 2, 3]], [[1, 2, 4, 5]]) == 0.5


def report(old_rank: int, new_rank: int, count: int = 200, *, spoil: int = 0) -> QualityReport:
    """All queries at the given ranks; the first `spoil` are not found on the new side."""
    new = [ranked(i, 11 if i < spoil else new_rank) for i in range(count)]
    return compare(known(count), [ranked(i, old_rank) for i in range(count)], new)


def test_a_better_side_is_a_go_and_a_worse_one_a_no_go() -> None:
    better = report(3, 1)
    assert better.verdict == "GO"
    assert "better" in better.reason
    assert [score.metric for score in better.new] == ["nDCG@10", "recall@10", "MRR"]
    assert better.difference is not None
    assert better.difference.mean == pytest.approx(0.5)
    worse = report(1, 3)
    assert worse.verdict == "NO-GO"
    assert worse.difference is not None
    assert worse.difference.high < -0.02


def test_the_tolerance_decides_between_no_worse_and_unknown() -> None:
    assert report(1, 1).verdict == "GO"
    slightly = report(1, 1, 1000, spoil=5)
    assert slightly.verdict == "GO"
    assert "ruled out" in slightly.reason
    unclear = report(1, 1, 1000, spoil=20)
    assert unclear.verdict == "UNDECIDED"
    assert "add labelled queries" in unclear.reason
    assert report(1, 1, 1000, spoil=60).verdict == "NO-GO"


def test_few_or_no_labels_decide_nothing_and_overlap_never_decides() -> None:
    assert report(3, 1, 19).verdict == "UNDECIDED"
    assert report(3, 1, 20).verdict == "GO"
    unlabelled = [LabelledQuery("q")] * 50
    same = [[1, 2, 3]] * 50
    nothing = compare(unlabelled, same, same, ann_recall=0.99)
    assert (nothing.verdict, nothing.queries, nothing.overlap, nothing.ann_recall) == ("UNDECIDED", 0, 1.0, 0.99)
    assert nothing.difference is None
    mixed = compare(
        [*known(30), *unlabelled],
        [ranked(i, 1) for i in range(30)] + same,
        [ranked(i, 1) for i in range(30)] + [[7]] * 50,
    )
    assert mixed.queries == 30
    assert mixed.verdict == "GO"
    assert mixed.overlap == pytest.approx(30 / 80)


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(1, 11), st.integers(1, 11)), min_size=20, max_size=60))
def test_intervals_hold_their_mean_and_swapping_sides_mirrors_them(ranks: list[tuple[int, int]]) -> None:
    queries = known(len(ranks))
    old = [ranked(i, one) for i, (one, _) in enumerate(ranks)]
    new = [ranked(i, other) for i, (_, other) in enumerate(ranks)]
    there, back = compare(queries, old, new), compare(queries, new, old)
    assert there == compare(queries, old, new)
    assert there.difference is not None
    assert back.difference is not None
    assert there.difference.low - 1e-9 <= there.difference.mean <= there.difference.high + 1e-9
    assert there.difference.low == pytest.approx(-back.difference.high)


def test_lengths_that_differ_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="2 queries, but 1 old and 2 new"):
        compare(known(2), [[1]], [[1], [2]])


def test_a_query_file_comes_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "queries.jsonl"
    labelled = (LabelledQuery("one", {1: 1, UUID_TEXT: 1}), LabelledQuery("two", {7: 3}), LabelledQuery("three"))
    query_sets.write(path, labelled)
    assert query_sets.read(path) == labelled
    path.write_text(
        '{"query": "a", "relevant": {"12": 2, "13": 0}}\n\n'
        f'{{"query": "b", "relevant": ["{UUID_TEXT.upper()}", "5"], "extra": 1}}\n{{"query": "c"}}\n'
    )
    assert query_sets.read(path) == (
        LabelledQuery("a", {12: 2}),
        LabelledQuery("b", {UUID_TEXT: 1, 5: 1}),
        LabelledQuery("c"),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"query": "a"}\nnot json\n', "line 2: JSON is malformed"),
        ('{"relevant": [1]}\n', "line 1: Object missing required field `query`"),
        ('{"query": " "}\n', "line 1: the query is empty"),
        ('{"query": "a", "relevant": ["x"]}\n', "line 1: 'x' is not a point id"),
        ('{"query": "a", "relevant": [{"id": 1, "gain": -1}]}\n', "line 1: a gain is negative"),
        ("\n", "holds no query"),
    ],
)
def test_a_bad_query_file_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_text(text)
    with pytest.raises(UsageError, match=words):
        query_sets.read(path)
    with pytest.raises(UsageError, match="cannot be read"):
        query_sets.read(tmp_path / "absent.jsonl")


def test_known_items_share_a_title_and_are_drawn_the_same_every_time() -> None:
    titles = [(1, "Sort a list"), (2, "Open a file"), (3, "Sort a list "), (4, "  ")]
    drawn = query_sets.known_items(titles, 10, seed=3)
    assert {query.query: set(query.relevant) for query in drawn} == {"Sort a list": {1, 3}, "Open a file": {2}}
    assert len(query_sets.known_items(titles, 1)) == 1
    assert drawn == query_sets.known_items(titles[::-1], 10, seed=3)
