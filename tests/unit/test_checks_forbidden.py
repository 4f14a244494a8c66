"""The six things that must not be done when an embedding model changes: none of them happens by pressing Enter."""

from __future__ import annotations

import pytest

from changeover.checks.model import Finding, Probes
from changeover.checks.registry import run
from changeover.decision.answers import Answers, TargetAnswer, VectorAnswer
from changeover.decision.tree import propose
from changeover.errors import BlockedError, UsageError
from changeover.routes.build import build
from changeover.survey.model import Survey
from changeover.wizard import refuse_unaccepted
from tests.unit.check_cases import COLBERT, DENSE, GAVE_NAME, LATE, PLAIN, hybrid, with_vectors
from tests.unit.surveys import ACCESS, PROBES, answers, survey

Situation = tuple[str, str, Survey, Answers, Probes]

FORBIDDEN: list[Situation] = [
    (
        "add a vector in place on 1.17",
        "vectors-cannot-be-added",
        survey(version="1.17.1"),
        answers(route="in-place"),
        PROBES,
    ),
    (
        "remove the old side at once",
        "old-still-needed",
        survey(version="1.19.0"),
        answers(cleanup="after-window"),
        PROBES,
    ),
    ("remove the old collection for its name", "old-still-needed", PLAIN, GAVE_NAME, PROBES),
    ("forget the application's query model", "query-model-must-change", survey(), answers(), PROBES),
    ("forget it behind an alias", "query-model-must-change", survey(version="1.17.1"), answers(), PROBES),
    (
        "point the alias at a collection that has no payload",
        "target-exists",
        survey(version="1.17.1"),
        answers(target=TargetAnswer(collection="other")),
        PROBES,
    ),
    ("keep ColBERT beside dense vectors", "colocated-multivector", with_vectors(DENSE, COLBERT), answers(), PROBES),
    (
        "add ColBERT in memory beside dense vectors",
        "colocated-multivector",
        survey(),
        answers(model=LATE, vector=VectorAnswer(on_disk=False)),
        PROBES,
    ),
    ("go hybrid without a look at chunks", "bm25-chunk-quality", survey(), hybrid(), Probes()),
    ("go hybrid on an old server", "bm25-chunk-quality", survey(version="1.17.1"), hybrid(), Probes()),
]


def stands_in_the_way(finding: Finding) -> bool:
    return finding.severity == "blocker" or finding.acknowledge


@pytest.mark.parametrize(("what", "code", "given", "said", "probes"), FORBIDDEN, ids=[row[0] for row in FORBIDDEN])
def test_enter_cannot_walk_past_it(what: str, code: str, given: Survey, said: Answers, probes: Probes) -> None:
    completed = propose(given, said, probes)
    finding = next(f for f in run(given, completed, probes) if f.code == code)
    assert stands_in_the_way(finding), what
    assert finding.remedy and finding.consequence


@pytest.mark.parametrize(("what", "code", "given", "said", "probes"), FORBIDDEN, ids=[row[0] for row in FORBIDDEN])
def test_a_plan_of_it_is_not_started_without_its_code(
    what: str, code: str, given: Survey, said: Answers, probes: Probes
) -> None:
    completed = propose(given, said, probes)
    findings = run(given, completed, probes)
    others = frozenset(finding.code for finding in findings) - {code}
    try:
        plan = build(given, completed, findings, probes, ACCESS)
    except (BlockedError, UsageError):
        return  # nothing that could be started
    with pytest.raises(BlockedError, match=code):
        refuse_unaccepted(plan, others)


def test_the_payload_is_carried_and_said_to_be() -> None:
    found = run(survey(version="1.17.1"), answers(), PROBES)
    finding = next(f for f in found if f.code == "skip-payload")
    assert finding.severity == "info"
    assert "1,000 points" in finding.measured
    assert "lang" in finding.measured
