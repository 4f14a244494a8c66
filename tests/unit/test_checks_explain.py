"""`explain` has words for everything that a person can meet, and they fit a screen."""

from __future__ import annotations

from typing import get_args

import pytest

from changeover.checks.registry import CHECKS
from changeover.cluster.advisories import load
from changeover.decision.answers import RouteName
from changeover.errors import EXIT_MEANING, UsageError
from changeover.explain import ROUTES, explain, topics


def test_every_route_is_explained_in_full() -> None:
    assert set(ROUTES) == set(get_args(RouteName))
    for route, words in ROUTES.items():
        assert explain(route) == words
        assert 3 <= len(words.splitlines()) <= 5, route
        assert "this version" not in words, f"{route}: the words do not depend on what is built"


def test_words_fit_a_screen() -> None:
    for name, line in topics().items():
        assert "\n" not in line, name
        assert all(len(part) <= 120 for part in ROUTES.get(name, "").splitlines()), name


def test_an_advisory_tells_range_consequence_remedy_and_source() -> None:
    for advisory in load():
        words = " ".join(explain(advisory.code).split())
        for part in (advisory.title, advisory.range, advisory.happens, advisory.remedy, advisory.source):
            assert part in words, advisory.slug


def test_no_two_topics_share_a_name() -> None:
    groups = [set(ROUTES), {check.code for check in CHECKS}, {f"exit-{int(code)}" for code in EXIT_MEANING}]
    assert sum(map(len, groups)) == len(set().union(*groups))


@pytest.mark.parametrize(
    ("topic", "route"),
    [("keep_both=true", "side-by-side"), ("add_sparse=true", "hybrid"), ("avoid=dimensions", "dimensions")],
)
def test_a_choice_tells_of_the_route_that_it_leads_to(topic: str, route: str) -> None:
    assert ROUTES[route] in explain(topic)
    assert topic in topics()


def test_an_unknown_topic_gets_near_ones() -> None:
    with pytest.raises(UsageError, match="colocated-multivector"):
        explain("collocated-multivector")
    with pytest.raises(UsageError, match="lists the topics"):
        explain("zzzzzz")
