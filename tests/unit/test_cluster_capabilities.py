"""Versions and what they can do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changeover.cluster.capabilities import TABLE, Capabilities, Feature, lowest, parse_version, supports

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.mark.parametrize(
    ("text", "version"),
    [("1.18.3", (1, 18, 3)), ("v1.20.0-dev", (1, 20, 0)), ("1.9", (1, 9, 0)), (" 1.17.1 ", (1, 17, 1))],
)
def test_a_version_is_read(text: str, version: tuple[int, int, int]) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize("text", ["", "latest", "1", "x1.2.3"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no server version"):
        parse_version(text)


@given(st.lists(st.tuples(*[st.integers(0, 40)] * 3), min_size=1))
def test_the_lowest_is_by_number(versions: list[tuple[int, int, int]]) -> None:
    texts = [".".join(map(str, v)) for v in versions]
    assert parse_version(lowest(texts)) == min(versions)


def test_the_lowest_peer_counts() -> None:
    cluster = Capabilities.of("1.18.3", "1.17.1", "1.19.0")
    assert cluster.version == "1.17.1"
    assert not cluster.supports("add_vector")
    assert cluster.supports("update_mode")
    assert not cluster.supports("legacy_search"), "one peer has lost it"
    assert Capabilities.of("1.17.1", "1.18.3").supports("legacy_search")


@pytest.mark.parametrize("feature", TABLE)
def test_a_feature_begins_at_its_version(feature: Feature) -> None:
    since = TABLE[feature].since
    assert supports(feature, ".".join(map(str, since)))
    assert TABLE[feature].otherwise
    if since > (1, 0, 0):
        before = (since[0], since[1], since[2] - 1) if since[2] else (since[0], since[1] - 1, 99)
        assert not supports(feature, ".".join(map(str, before)))


RECORDED: tuple[tuple[str, Feature], ...] = (
    ("vec.create", "add_vector"),
    ("vec.delete", "drop_vector"),
    ("memory", "memory_report"),
    ("quotas", "quotas"),
    ("scroll.slice", "slice_condition"),
    ("q.turbo", "turbo_quantization"),
    ("q.opt", "optimizations"),
    ("query.sample", "random_sample"),
    ("query", "query_api"),
)


@pytest.mark.parametrize(("tag", "feature"), RECORDED)
@pytest.mark.parametrize("version", ["1.17.1", "1.18.3", "1.19.0"])
def test_the_table_agrees_with_recorded_answers(tag: str, feature: Feature, version: str) -> None:
    lines = (FIXTURES / f"qdrant-{version}.jsonl").read_text("utf-8").splitlines()
    statuses = [call["status"] for call in map(json.loads, lines) if call["tag"] == tag]
    assert statuses, f"{tag} was not recorded"
    assert (statuses[0] == 200) == supports(feature, version)
