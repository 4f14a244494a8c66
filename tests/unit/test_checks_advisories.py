"""Known faults of server versions: the file is well-formed, and each speaks inside its range only."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from changeover.checks.advisories import CONCERNS
from changeover.checks.model import Probes
from changeover.checks.registry import run
from changeover.cluster.advisories import Advisory, Concern, load, read
from changeover.cluster.capabilities import parse_version
from changeover.errors import ChangeoverError
from changeover.explain import explain
from tests.unit.check_cases import ADVISED
from tests.unit.surveys import PROBES, answers, survey

ADVISORIES = {advisory.slug: advisory for advisory in load()}
VERSIONS = (
    "1.15.5",
    "1.16.3",
    "1.17.0",
    "1.17.1",
    "1.17.2",
    "1.18.0",
    "1.18.1",
    "1.18.2",
    "1.18.3",
    "1.19.0",
    "1.19.1",
    "1.20.0",
)
GOOD = """
[[advisory]]
slug = "a-fault"
title = "something happens"
concerns = "adds-in-place"
severity = "info"
happens = "It happens."
remedy = "Do something."
source = "Issue 1."
"""


def spoken(slug: str, version: str) -> bool:
    given, said = ADVISED[slug]
    given = msgspec.structs.replace(given, cluster=survey(version=version).cluster)
    return f"advisory-{slug}" in {finding.code for finding in run(given, said, PROBES)}


def inside(advisory: Advisory, version: str) -> bool:
    asked = parse_version(version)
    return (
        (advisory.since is None or asked >= parse_version(advisory.since))
        and (advisory.fixed is None or asked < parse_version(advisory.fixed))
        and (advisory.last is None or asked <= parse_version(advisory.last))
    )


@pytest.mark.parametrize("slug", sorted(ADVISORIES))
def test_it_speaks_inside_its_range_and_is_silent_outside(slug: str) -> None:
    said = {version: spoken(slug, version) for version in VERSIONS}
    assert said == {version: inside(ADVISORIES[slug], version) for version in VERSIONS}
    assert any(said.values())


@pytest.mark.parametrize("slug", sorted(ADVISORIES))
def test_it_is_silent_where_it_does_not_matter(slug: str) -> None:
    for version in VERSIONS:
        found = run(survey(version=version), answers(avoid="quantization", model=None), Probes())
        assert f"advisory-{slug}" not in {finding.code for finding in found}


def test_every_advisory_is_tried_and_every_concern_is_decided() -> None:
    assert set(ADVISED) == set(ADVISORIES)
    assert set(CONCERNS) == set(get_args(Concern)) == {advisory.concerns for advisory in load()}


def test_a_finding_has_all_that_the_file_says() -> None:
    given, said = ADVISED["removal-loses-points"]
    finding = next(f for f in run(given, said, PROBES) if f.code == "advisory-removal-loses-points")
    advisory = ADVISORIES["removal-loses-points"]
    assert (finding.severity, finding.title, finding.consequence) == ("warning", advisory.title, advisory.happens)
    assert (finding.measured, finding.limit) == ("1.18.3", "fixed in 1.19.0")
    assert (finding.remedy, finding.source) == (advisory.remedy, advisory.source)
    assert advisory.happens.split()[0] in explain(advisory.code)


def test_the_lowest_version_of_the_peers_counts() -> None:
    given = survey(peers=("1.18.3", "1.19.0"))
    codes = {finding.code for finding in run(given, answers(route="in-place"), PROBES)}
    assert "advisory-stale-vector" in codes


def test_a_range_in_words() -> None:
    assert ADVISORIES["stale-vector"].range == "from 1.18.0 on, fixed in 1.19.0"
    assert ADVISORIES["recreate-loop"].range == "from 1.17.1 on, last seen on 1.17.1"
    assert ADVISORIES["turbo-datatype"].range == "before 1.19.0"
    assert ADVISORIES["half-applied-aliases"].range == "on every version, none is known without it"


def test_a_good_file_is_read() -> None:
    assert [advisory.code for advisory in read(GOOD)] == ["advisory-a-fault"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[advisory]", "Expected"),
        (GOOD.replace('"info"', '"blocker"'), "severity"),
        (GOOD.replace("adds-in-place", "whenever"), "concerns"),
        (GOOD.replace("a-fault", "A fault"), "slug"),
        (GOOD + 'fixed = "1.19"', "fixed"),
        (GOOD + 'fixes = "1.19.0"', "fixes"),
        (GOOD + 'since = "1.19.0"\nfixed = "1.18.0"', "before it began"),
        (GOOD + 'fixed = "1.19.0"\nlast = "1.18.0"', "both fixed and last"),
        (GOOD + GOOD, "twice"),
        (GOOD.replace('remedy = "Do something."', ""), "remedy"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(ChangeoverError) as caught:
        read(text)
    assert said in str(caught.value)
    assert str(caught.value).startswith("advisories.toml: ")
    assert "\n" not in str(caught.value)
