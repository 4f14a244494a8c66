"""Every check fires where it must and is silent where it must be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from changeover import checks
from changeover.checks.model import Finding, ModelProbe, Probes
from changeover.checks.registry import CHECKS, by_code, passed, run
from changeover.decision.answers import Answers, Limits, TargetAnswer, TextAnswer, VectorAnswer
from changeover.decision.tree import propose
from changeover.explain import explain, topics
from changeover.survey.model import Alias, Proof, Replica, Rights, Sampled, Shards, Size, State, Survey, Text, Vector
from tests.unit import check_cases
from tests.unit.surveys import NEW, OLD, PROBES, alias_answer, answers, survey

GREEN = State(color="green", queued_optimizations=0, running_optimizations=0)
NO_RIGHTS = Rights(read=True, write_points=False, write_collection=False, manage=False)
WRITER = Rights(read=True, write_points=True, write_collection=True, manage=False)
ON_DISK = Vector(
    name="text",
    kind="dense",
    size=256,
    distance="Cosine",
    on_disk=True,
    params={"size": 256, "distance": "Cosine", "on_disk": True},
)
UINT8 = Vector(name="text", kind="dense", size=256, distance="Cosine", datatype="uint8")
TEXTLESS = tuple(Sampled(id=i, payload={"n": i}) for i in range(10))
SOME_BLANK = tuple(Sampled(id=i, payload={"text": "words here" if i % 2 else " "}) for i in range(10))
ALL_BLANK = tuple(Sampled(id=i, payload={"text": " \n"}) for i in range(10))
BIG = Size(points=1_000_000, vector_bytes=10**9, payload_bytes=10**9, memory_total_bytes=2 * 10**9)


def sized(**changes: Any) -> Size:
    return msgspec.structs.replace(BIG, **changes)


def text(**changes: Any) -> Text:
    return msgspec.structs.replace(survey().text, **changes)


Case = tuple[str, Survey, Answers, Probes, str]

FIRES: list[Case] = [
    ("vectors-cannot-be-added", survey(version="1.17.1"), answers(), PROBES, "info"),
    ("vectors-cannot-be-added", survey(version="1.17.1"), answers(route="in-place"), PROBES, "blocker"),
    ("vectors-cannot-be-added", survey(version="1.18.0"), answers(route="in-place"), PROBES, "blocker"),
    ("mixed-versions", survey(peers=("1.18.3", "1.19.0")), answers(), PROBES, "blocker"),
    ("mixed-versions", survey(peers=("1.17.1", "1.18.3")), answers(), PROBES, "warning"),
    ("unnamed-vector", survey(named=False), answers(), PROBES, "info"),
    ("unnamed-vector", survey(named=False), answers(route="in-place"), PROBES, "warning"),
    (
        "other-vectors",
        survey(
            vectors=(
                Vector(name="text", kind="dense", size=256, distance="Cosine"),
                Vector(name="words", kind="sparse"),
            )
        ),
        answers(),
        PROBES,
        "info",
    ),
    ("same-dimension-swap", survey(), answers(), Probes(new_model=ModelProbe(dimension=256)), "warning"),
    ("custom-shards", survey(shards=Shards(method="custom", keys=("a",))), answers(), PROBES, "info"),
    ("custom-shards", survey(shards=Shards(method="custom")), answers(), PROBES, "blocker"),
    ("text-missing", survey(sample=TEXTLESS, text=Text()), answers(text=TextAnswer()), PROBES, "blocker"),
    ("text-missing", survey(), answers(text=TextAnswer(field="nope")), PROBES, "blocker"),
    ("text-unproven", survey(text=text(proven=None, proofs=())), answers(), PROBES, "warning"),
    ("text-unproven", survey(text=text(proven=False, proofs=())), answers(), PROBES, "warning"),
    ("text-unproven", survey(), answers(text=TextAnswer(template="{lang}")), PROBES, "warning"),
    ("text-missing", survey(sample=ALL_BLANK), answers(), PROBES, "blocker"),
    ("text-missing", survey(), answers(text=TextAnswer(template="passage: {nope}")), PROBES, "blocker"),
    ("empty-text", survey(sample=SOME_BLANK), answers(), PROBES, "warning"),
    ("empty-text", survey(sample=SOME_BLANK), answers(text=TextAnswer(template="about {text}")), PROBES, "warning"),
    (
        "text-truncated",
        survey(),
        answers(),
        Probes(new_model=ModelProbe(dimension=384, max_tokens=128, truncated=0.4)),
        "info",
    ),
    (
        "model-unusable",
        survey(),
        answers(),
        Probes(new_model=ModelProbe(dimension=0, error="no such folder")),
        "blocker",
    ),
    (
        "dimension-mismatch",
        survey(),
        answers(model=msgspec.structs.replace(NEW, dimension=512)),
        PROBES,
        "blocker",
    ),
    (
        "not-normalised",
        survey(vectors=(Vector(name="text", kind="dense", size=256, distance="Dot"),)),
        answers(),
        Probes(new_model=ModelProbe(dimension=384, norm=7.5)),
        "warning",
    ),
    ("same-model", survey(), answers(old_model=NEW), PROBES, "warning"),
    (
        "same-model",
        survey(),
        answers(old_model=msgspec.structs.replace(NEW, price_per_million_tokens=1.0, query_prefix="q: ")),
        PROBES,
        "warning",
    ),
    ("query-model-must-change", survey(), answers(), PROBES, "warning"),
    ("memory-headroom", survey(), answers(), PROBES, "info"),
    ("memory-headroom", survey(size=sized()), answers(), PROBES, "blocker"),
    ("memory-headroom", survey(size=sized(memory_total_bytes=2_600_000_000)), answers(), PROBES, "warning"),
    ("disk-headroom", survey(), answers(), PROBES, "info"),
    ("disk-headroom", survey(size=sized(disk_free_bytes=10**9)), answers(), PROBES, "blocker"),
    ("strict-mode-batch", survey(strict={"enabled": True, "upsert_max_batchsize": 50}), answers(), PROBES, "info"),
    ("rate-limit", survey(strict={"enabled": True, "write_rate_limit": 100}), answers(), PROBES, "warning"),
    ("request-too-large", survey(), answers(limits=Limits(batch=20_000)), PROBES, "warning"),
    ("not-green", survey(state=State(color="yellow")), answers(), PROBES, "warning"),
    ("not-green", survey(state=State(color="red")), answers(), PROBES, "blocker"),
    ("not-green", survey(state=State(color="green", optimizer_error="no space")), answers(), PROBES, "blocker"),
    ("optimizer-busy", survey(state=State(color="green", queued_optimizations=2)), answers(), PROBES, "warning"),
    ("deferred-points", survey(state=State(color="green", deferred_points=7)), answers(), PROBES, "blocker"),
    (
        "replica-not-active",
        survey(shards=Shards(replicas=(Replica(shard=0, peer=1, state="Dead"),))),
        answers(),
        PROBES,
        "blocker",
    ),
    ("shard-transfer", survey(shards=Shards(transfers=1)), answers(), PROBES, "blocker"),
    (
        "right-missing-read",
        survey(rights=Rights(read=False, write_points=False, write_collection=False, manage=False)),
        answers(),
        PROBES,
        "blocker",
    ),
    ("right-missing-write", survey(rights=NO_RIGHTS), answers(), PROBES, "blocker"),
    ("right-missing-manage", survey(rights=NO_RIGHTS), answers(route="blue-green"), PROBES, "blocker"),
    ("clear-text-key", survey(url="http://db.example.com:6333", has_key=True), answers(), PROBES, "warning"),
    ("plain-name", survey(alias=False, version="1.17.1"), answers(), PROBES, "warning"),
    (
        "alias-moved",
        survey(other_aliases=(Alias(name="prod", collection="other"),)),
        answers(alias=alias_answer("prod")),
        PROBES,
        "blocker",
    ),
    (
        "several-aliases",
        survey(
            version="1.17.1",
            aliases=(Alias(name="docs", collection="docs_v1"), Alias(name="prod", collection="docs_v1")),
        ),
        answers(),
        PROBES,
        "warning",
    ),
    ("unverified", survey(), answers(cutover="when-ready"), PROBES, "warning"),
    ("no-labelled-queries", survey(), answers(), PROBES, "info"),
    (
        "model-unusable",
        survey(),
        answers(),
        Probes(new_model=ModelProbe(dimension=384, error="the endpoint refused the second request")),
        "blocker",
    ),
    ("lossy-datatype", survey(vectors=(UINT8,)), answers(), PROBES, "warning"),
    ("right-missing-manage", survey(rights=WRITER, vectors=(ON_DISK,)), answers(), PROBES, "warning"),
    (
        "strict-mode-size",
        survey(strict={"enabled": True, "max_collection_vector_size_bytes": 2_000_000}),
        answers(),
        PROBES,
        "blocker",
    ),
    ("days-not-hours", survey(points=10**8), answers(), PROBES, "warning"),
    ("days-not-hours", survey(size=sized(payload_bytes=5 * 10**11)), answers(), PROBES, "warning"),
    ("days-not-hours", survey(points=100_000), answers(limits=Limits(rate=1.0)), PROBES, "warning"),
    ("reindex-from-source-is-faster", survey(), answers(), PROBES, "info"),
    ("target-exists", survey(version="1.17.1"), answers(target=TargetAnswer(collection="other")), PROBES, "blocker"),
    ("target-exists", survey(version="1.17.1"), answers(target=TargetAnswer(collection="docs")), PROBES, "blocker"),
    (
        "target-exists",
        survey(version="1.17.1", alias=False),
        answers(alias=alias_answer("other")),
        PROBES,
        "blocker",
    ),
]

FIRES += check_cases.FIRES

CALM = survey(
    size=Size(points=1000, vector_bytes=10**8, payload_bytes=10**6, memory_total_bytes=10**11, disk_free_bytes=10**12)
)
CALM_PROBES = Probes(new_model=PROBES.new_model, queries=100)

TYPED = {
    "unnamed-vector": (survey(named=False), answers(route="in-place"), PROBES),
    "text-unproven": (survey(text=text(proven=False, proofs=())), answers(), PROBES),
    "text-unproven without the old model": (survey(text=text(proven=None, proofs=())), answers(), PROBES),
    "right-missing-manage": (survey(rights=WRITER, vectors=(ON_DISK,)), answers(), PROBES),
    "plain-name": (survey(alias=False, version="1.17.1"), answers(), PROBES),
    "unverified": (survey(), answers(cutover="when-ready"), PROBES),
    "query-model-must-change": (survey(), answers(), PROBES),
    "same-dimension-swap": (
        survey(version="1.17.1"),
        answers(vector=VectorAnswer(name="text")),
        Probes(new_model=ModelProbe(dimension=256)),
    ),
}


def of(code: str, found: tuple[Finding, ...]) -> Finding | None:
    return next((finding for finding in found if finding.code == code), None)


@pytest.mark.parametrize(("code", "given", "said", "probes", "severity"), FIRES)
def test_a_check_fires(code: str, given: Survey, said: Answers, probes: Probes, severity: str) -> None:
    finding = of(code, run(given, said, probes))
    assert finding is not None
    assert finding.severity == severity
    assert finding.title and finding.remedy + finding.consequence
    assert code not in dict(passed(given, said, probes))


@pytest.mark.parametrize(("code", "given", "said", "probes", "severity"), FIRES)
def test_a_check_fires_on_completed_answers_too(
    code: str, given: Survey, said: Answers, probes: Probes, severity: str
) -> None:
    """A plan is made from answers with the proposals filled in: taking a proposal must not hide a finding."""
    finding = of(code, run(given, propose(given, said, probes), probes))
    assert finding is not None
    assert finding.severity == severity


def test_enter_takes_the_solution_where_a_trial_knows_one() -> None:
    """Without a word on reduction or language, the proposals are those that leave nothing to warn about."""
    cut_badly = check_cases.cut(0.6, 0.8, False)
    completed = propose(survey(), check_cases.cutting(), cut_badly)
    assert completed.target.reduction == "pca"
    assert of("not-matryoshka", run(survey(), completed, cut_badly)) is None
    german = check_cases.words(0.05, 0.0, 0.1, guessed_language="german")
    completed = propose(survey(), check_cases.hybrid(), german)
    assert completed.sparse.language == "german"
    assert of("bm25-language", run(survey(), completed, german)) is None


def needs_a_near_miss(code: str) -> bool:
    return code.startswith("advisory-") or code in check_cases.QUIET


@pytest.mark.parametrize("code", [check.code for check in CHECKS if not needs_a_near_miss(check.code)])
def test_a_check_is_silent_on_a_healthy_collection(code: str) -> None:
    assert of(code, run(CALM, answers(), CALM_PROBES)) is None
    assert code in dict(passed(CALM, answers(), CALM_PROBES))


@pytest.mark.parametrize("code", sorted(check_cases.QUIET))
def test_a_check_is_silent_where_it_nearly_fires(code: str) -> None:
    given, said, probes = check_cases.QUIET[code]
    assert of(code, run(given, said, probes)) is None
    assert code in dict(passed(given, said, probes))


def test_words_of_explain_are_a_few_lines() -> None:
    for check in CHECKS:
        assert 2 <= len(check.explain.splitlines()) <= 8, check.code
        assert all(len(line) <= 120 for line in check.explain.splitlines()), check.code


def test_an_old_model_that_was_not_tried_yet_is_named() -> None:
    untried = survey(text=text(proven=None, proofs=()))
    with_model, without = (run(untried, answers(old_model=old), PROBES) for old in (OLD, None))
    found = [of("text-unproven", findings) for findings in (with_model, without)]
    assert found[0] is not None
    assert found[1] is not None
    assert "wordllama" in found[0].measured
    assert "survey the collection again" in found[0].remedy
    assert "no old model" in found[1].measured


def test_blue_green_counts_only_what_is_copied() -> None:
    """The replaced vector is not copied, so a collection of one vector needs room for the new one and the payload."""
    size = sized(vector_bytes=1_000_000 * 256 * 4, payload_bytes=0, memory_total_bytes=4_000_000_000)
    in_place, blue_green = (survey(version=v, size=size) for v in ("1.18.3", "1.17.1"))
    assert of("memory-headroom", run(in_place, answers(), PROBES)) is None
    assert of("memory-headroom", run(blue_green, answers(), PROBES)) is None


def test_no_file_of_checks_grows_into_two() -> None:
    folder = Path(checks.__file__).parent
    assert {
        path.name: n for path in folder.glob("*.py") if (n := len(path.read_text("utf-8").splitlines())) > 400
    } == {}


def test_every_check_is_tried_above_and_explained() -> None:
    own = {check.code for check in CHECKS if not check.code.startswith("advisory-")}
    assert own == {case[0] for case in FIRES}, "advisories have tests of their own"
    assert len({check.code for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        assert by_code(check.code) is check
        assert explain(check.code) == check.explain
        assert check.code in topics()


@pytest.mark.parametrize("code", sorted(TYPED))
def test_what_is_dangerous_must_be_typed(code: str) -> None:
    finding = of(code.split()[0], run(*TYPED[code]))
    assert finding is not None
    assert finding.acknowledge


def test_blockers_come_first() -> None:
    found = run(survey(state=State(color="red"), rights=NO_RIGHTS), answers(), PROBES)
    severities = [finding.severity for finding in found]
    assert severities == sorted(severities, key=["blocker", "warning", "info"].index)


def test_a_proof_names_its_figures() -> None:
    proofs = (Proof(template="{text}", prefix="", n=40, median=0.71, low=0.5, share=0.0),)
    finding = of("text-unproven", run(survey(text=text(proven=False, proofs=proofs)), answers(old_model=OLD), PROBES))
    assert finding is not None
    assert "0.71" in finding.measured


def test_vectors_on_disk_need_less_memory() -> None:
    said = answers(vector=VectorAnswer(on_disk=True))
    assert of("memory-headroom", run(survey(size=sized()), said, PROBES)) is None
    finding = of("memory-headroom", run(survey(size=sized(), rights=WRITER), said, PROBES))
    assert finding is not None, "without the manage right a vector that is added stays in memory"
    assert finding.severity == "blocker"


def test_a_key_on_loopback_is_not_reported() -> None:
    assert of("clear-text-key", run(survey(has_key=True), answers(), PROBES)) is None
    assert of("clear-text-key", run(survey(url="https://db.example.com", has_key=True), answers(), PROBES)) is None


def test_green_state_has_no_finding() -> None:
    assert of("not-green", run(survey(state=GREEN), answers(), PROBES)) is None


def test_points_that_only_share_the_words_of_the_template_are_told_so() -> None:
    alone = of("empty-text", run(survey(sample=SOME_BLANK), answers(), PROBES))
    framed = of("empty-text", run(survey(sample=SOME_BLANK), answers(text=TextAnswer(template="about {text}")), PROBES))
    assert alone is not None
    assert framed is not None
    assert "no new vector" in alone.consequence
    assert "all alike" in framed.consequence
    assert alone.measured == framed.measured


def test_another_document_prefix_is_another_model() -> None:
    prefixed = msgspec.structs.replace(NEW, document_prefix="passage: ")
    assert of("same-model", run(survey(), answers(old_model=prefixed), PROBES)) is None


def test_strict_mode_is_mentioned_only_where_it_makes_requests_smaller() -> None:
    strict = survey(strict={"enabled": True, "upsert_max_batchsize": 200})
    assert of("strict-mode-batch", run(strict, answers(limits=Limits(batch=64)), PROBES)) is None
    wide = Probes(new_model=ModelProbe(dimension=3072))
    assert of("strict-mode-batch", run(strict, answers(), wide)) is None, "136 points of 3,072 numbers are 8 MiB"
    finding = of("strict-mode-batch", run(strict, answers(limits=Limits(batch=1000)), PROBES))
    assert finding is not None
    assert finding.measured == "200 points per request instead of 1000"
