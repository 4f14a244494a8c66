"""What is asked when, what is closed and why, and that no answer is silently ignored."""

from __future__ import annotations

from itertools import product

import msgspec
import pytest

from changeover.checks.model import ModelProbe, Probes
from changeover.checks.registry import run
from changeover.decision.answers import AliasAnswer, Answers, VectorAnswer, set_answer
from changeover.decision.map import answered, lines
from changeover.decision.questions import KEYS, QUESTIONS
from changeover.decision.route import choose
from changeover.decision.tree import Asked, propose, view
from changeover.embed.model import ModelSpec
from changeover.errors import BlockedError, ChangeoverError, ExitCode, UsageError
from changeover.explain import explain, topics
from changeover.plan import model as pm
from changeover.routes.build import build
from changeover.survey.model import Alias, Rights, Size, Survey, Vector
from tests.unit.surveys import ACCESS, NEW, OLD, PROBES, answers, survey

WRITER = Rights(read=True, write_points=True, write_collection=True, manage=False)
READ_ONLY = Rights(read=True, write_points=False, write_collection=False, manage=False)
GROWN = (
    Vector(name="", kind="dense", size=256, distance="Cosine", params={"size": 256, "distance": "Cosine"}),
    Vector(name="old", kind="dense", size=3, distance="Dot", params={"size": 3, "distance": "Dot"}),
)


def asked(question: str, taken: Survey, said: Answers, probes: Probes = PROBES) -> Asked | None:
    return next((a for a in view(taken, said, probes) if a.question.id == question), None)


def plan_of(taken: Survey, said: Answers, probes: Probes = PROBES) -> pm.Plan:
    completed = propose(taken, said, probes)
    return build(taken, completed, run(taken, completed, probes), probes, ACCESS)


@pytest.mark.parametrize(
    ("said", "named"),
    [
        (answers(cleanup="after-window"), "cleanup"),
    ],
)
def test_an_answer_that_nothing_follows_is_refused(said: Answers, named: str) -> None:
    with pytest.raises(BlockedError, match=named):
        plan_of(survey(), said)


def test_what_is_closed_says_why_and_stays_visible() -> None:
    uint8 = {"size": 256, "distance": "Cosine", "datatype": "uint8"}
    coarse = (Vector(name="text", kind="dense", size=256, distance="Cosine", datatype="uint8", params=uint8),)
    avoid = asked("avoid", survey(vectors=coarse, rights=WRITER), answers())
    assert avoid is not None
    assert [c.choice.value for c in avoid.choices] == ["none", "dimensions", "quantization", "linear-map"]
    assert [c.open for c in avoid.choices] == [True, False, False, True]
    assert "uint8" in avoid.choices[1].reason
    assert "manage right" in avoid.choices[2].reason
    both = asked("keep_both", survey(version="1.17.1", rights=WRITER), answers())
    assert both is not None
    assert not both.choices[0].open
    assert "1.17.1" in both.choices[0].reason
    kinds = asked("quantization.kind", survey(version="1.17.1"), answers(avoid="quantization"))
    assert kinds is not None
    closed = {c.choice.value for c in kinds.choices if not c.open}
    assert closed == {"turbo-1", "turbo-1.5", "turbo-2", "turbo-4", "turbo-8"}
    encoders = asked("sparse.encoder", survey(version="1.19.0"), answers(add_sparse=True, model=None))
    assert encoders is not None
    assert [c.choice.value for c in encoders.choices if not c.open] == ["text-index"]


def test_both_models_of_an_unnamed_collection() -> None:
    taken = survey(named=False)
    chosen = choose(taken, answers(keep_both=True))
    assert (chosen.route, chosen.mode) == ("side-by-side", "blue-green"), "in place changes its shape for good"
    assert choose(taken, answers(keep_both=True, route="in-place")).mode == "in-place"
    named = asked("vector.carried_name", taken, answers(keep_both=True))
    assert named is not None and named.proposal == "wordllama"


def test_a_collection_that_was_unnamed_once_has_nothing_left_to_lose() -> None:
    grown = survey(vectors=GROWN)
    assert choose(grown, answers()).route == "in-place"
    assert "unnamed-vector" not in {f.code for f in run(grown, answers(), PROBES)}
    blue_green = plan_of(grown, answers(route="blue-green", vector=VectorAnswer(source="")))
    create = blue_green.steps[0]
    assert isinstance(create, pm.CreateCollection)
    assert create.request.body["vectors"] == {
        "old": {"size": 3, "distance": "Dot"},
        "": {"size": 384, "distance": "Cosine"},
    }


def test_the_old_model_is_asked_for_like_the_new_one() -> None:
    assert asked("old_model.name", survey(), answers(old_model=None)) is None
    local = answers(old_model=ModelSpec(provider="fastembed", name="x"))
    assert asked("old_model.path", survey(), local) is not None
    assert asked("old_model.url", survey(), local) is None
    remote = answers(old_model=ModelSpec(provider="openai", name="x"))
    assert asked("old_model.path", survey(), remote) is None
    assert asked("old_model.url", survey(), remote) is not None
    assert asked("old_model.api_key_env", survey(), remote) is not None


def test_a_prefix_is_asked_for_only_where_nobody_else_puts_one() -> None:
    by_purpose = answers(model=ModelSpec(provider="cohere", name="x"))
    assert asked("model.document_prefix", survey(), by_purpose) is None
    e5 = asked(
        "model.document_prefix", survey(), answers(model=ModelSpec(provider="fastembed", name="intfloat/e5-small"))
    )
    assert e5 is not None and e5.proposal == "passage: "
    folder = asked("model.document_prefix", survey(), answers(model=ModelSpec(provider="fastembed", path="x")))
    assert folder is not None
    said = set_answer(answers(model=ModelSpec(provider="fastembed", path="x")), "model.document_prefix", "passage: ")
    assert said.model is not None
    assert said.model.document_prefix == "passage: "
    for typed, kept in (("passage:", "passage: "), ("passage: ", "passage: "), ("text:", "text:")):
        model = set_answer(said, "model.document_prefix", typed).model
        assert model is not None
        assert model.document_prefix == kept, "a prompt strips the blank of what is offered"


def test_disk_and_distance_are_asked_for_only_when_it_matters() -> None:
    assert asked("vector.on_disk", survey(), answers()) is None
    tight = survey(size=Size(points=10**6, memory_total_bytes=10**9))
    found = asked("vector.on_disk", tight, answers())
    assert found is not None
    assert found.proposal is False, "nobody's vectors go to disk by pressing Enter"
    assert asked("vector.distance", survey(), answers()) is None
    dot = (Vector(name="text", kind="dense", size=256, distance="Dot", params={"size": 256, "distance": "Dot"}),)
    long = Probes(new_model=ModelProbe(dimension=384, norm=7.0))
    distance = asked("vector.distance", survey(vectors=dot), answers(), long)
    assert distance is not None
    assert distance.proposal == "Dot"
    completed = propose(survey(vectors=dot), answers(), long)
    assert "not-normalised" in {f.code for f in run(survey(vectors=dot), completed, long)}
    mended = plan_of(survey(vectors=dot), answers(vector=VectorAnswer(distance="Cosine")), long)
    add = mended.steps[0]
    assert isinstance(add, pm.AddVector)
    assert add.request.body == {"dense": {"size": 384, "distance": "Cosine"}}


def test_an_alias_is_asked_for_only_where_none_is_in_use() -> None:
    assert asked("alias.name", survey(version="1.17.1"), answers()) is None
    plain = asked(
        "alias.name", survey(version="1.17.1", alias=False, collections=("docs_v1", "docs_v1_live")), answers()
    )
    assert plain is not None
    assert plain.proposal == "docs_v1_live2"


def test_of_several_aliases_one_is_asked_for_and_the_others_are_named() -> None:
    both = (Alias(name="docs", collection="docs_v1"), Alias(name="prod", collection="docs_v1"))
    taken = survey(version="1.17.1", aliases=both, asked="docs_v1")
    found = asked("alias.name", taken, answers())
    assert found is not None
    assert found.proposal == "docs"
    assert plan_of(taken, answers(alias=AliasAnswer(name="prod"))).job.name_in_use == "prod"
    assert asked("alias.name", taken, answers(alias=AliasAnswer(name="prod"))) is not None, "it can be gone back to"
    by_alias = survey(version="1.17.1", aliases=both)
    assert plan_of(by_alias, answers(alias=AliasAnswer(name="prod"))).job.name_in_use == "prod"
    [finding] = [f for f in plan_of(taken, answers()).findings if f.code == "several-aliases"]
    assert finding.acknowledge
    assert "only docs is swapped; prod" in finding.consequence


def test_a_proposal_can_always_be_answered() -> None:
    """What Enter takes is an open choice of the question, or text that the answers take."""
    for version, named, alias, rights in product(
        ("1.17.1", "1.18.3"), (True, False), (True, False), (None, WRITER, READ_ONLY)
    ):
        taken = survey(version=version, named=named, alias=alias, rights=rights)
        for one in view(taken, answers(), PROBES):
            if one.proposal is None:
                continue
            text = str(one.proposal).lower() if isinstance(one.proposal, bool) else str(one.proposal)
            set_answer(answers(), one.question.id, text)
            if one.question.kind in ("choice", "yesno"):
                assert text in [c.choice.value for c in one.choices if c.open], one.question.id


def test_the_map_marks_the_way() -> None:
    said = propose(survey(), answers(), PROBES)
    drawn = lines(survey(), said, PROBES)
    assert {line.state for line in drawn if line.asked} == {"taken", "open"}, "everything is answered: nobody is here"
    assert all(line.why for line in drawn if line.state == "closed"), "what is not asked says when it is"
    shut = lines(survey(rights=WRITER), answers(), PROBES)
    assert any(line.state == "closed" and "manage right" in line.why for line in shut)
    start = lines(survey(), answers(), PROBES)
    assert [line.state for line in start if line.depth == 0].count("here") == 1
    assert any(line.state == "taken" and line.text == "In place" for line in drawn)
    assert [line.question for line in lines(survey(), said, PROBES, "writers") if line.state == "here"] == ["writers"]


def test_the_map_of_a_run_is_made_from_its_answers_alone() -> None:
    said = propose(survey(), answers(), PROBES)
    drawn = answered(said)
    assert {line.question for line in drawn} >= {"avoid", "zero_downtime", "route", "cutover"}
    assert all(line.value for line in drawn if line.depth == 0), "each question has its answer"
    assert not any(line.asked for line in drawn), "nothing can be changed any more"
    whole = {line.text for line in lines(survey(), said, PROBES) if line.state == "taken"}
    kept = {line.text for line in drawn if line.state == "taken" and line.question != "model.kind"}
    assert kept <= whole, "but the model's kind, which has a value where it is not asked"


def test_everything_has_words() -> None:
    listed = topics()
    for name in listed:
        assert explain(name).strip(), name
    for question in QUESTIONS:
        assert question.prompt in explain(question.id)
        for choice in question.choices:
            if choice.value:
                assert choice.label in explain(f"{question.id}={choice.value}")
    for route in ("in-place", "blue-green", "side-by-side", "hybrid", "dimensions", "quantization", "linear-map"):
        assert len(explain(route)) > 100
    for code in ExitCode:
        assert explain(str(int(code))) == explain(f"exit-{int(code)}")
    assert set(KEYS) <= set(listed)
    with pytest.raises(UsageError, match="did you mean plain-name"):
        explain("plain-nam")


def test_no_check_or_question_breaks_on_a_collection_without_vectors() -> None:
    empty = survey(vectors=(Vector(name="words", kind="sparse"),))
    assert view(empty, answers(), PROBES)
    run(empty, propose(empty, answers(), PROBES), PROBES)
    with pytest.raises(ChangeoverError, match="no dense vector"):
        plan_of(empty, answers())


def test_the_proven_prefix_of_the_old_model_reaches_the_job() -> None:
    proven = msgspec.structs.replace(OLD, document_prefix="passage: ")
    taken = survey(text=msgspec.structs.replace(survey().text, old_model=proven))
    assert plan_of(taken, answers()).job.old_model == proven
    assert plan_of(taken, answers(old_model=NEW)).job.old_model == NEW, "another model is not the proven one"


def test_an_answered_alias_is_never_passed_over() -> None:
    said = answers(alias=AliasAnswer(name="brandnew"))
    with pytest.raises(UsageError, match=r"alias\.name 'brandnew'.*its alias docs"):
        plan_of(survey(version="1.17.1"), said)
    plan = plan_of(survey(version="1.17.1", asked="docs_v1"), said)
    [swap] = [step for step in plan.steps if isinstance(step, pm.SwapAlias)]
    assert (swap.alias, swap.expected) == ("brandnew", None)
    assert "plain-name" in {f.code for f in plan.findings if f.acknowledge}


def test_answering_a_question_never_takes_it_off_the_list() -> None:
    """A screen goes on from the question in hand, so it has to find it again."""
    both = (Alias(name="docs", collection="docs_v1"), Alias(name="prod", collection="docs_v1"))
    dot = (Vector(name="text", kind="dense", size=256, distance="Dot", params={"size": 256, "distance": "Dot"}),)
    tight = Size(points=10**6, memory_total_bytes=10**9)
    odd = Probes(new_model=ModelProbe(dimension=384, norm=7.0))
    for version, named, alias in product(("1.17.1", "1.18.3"), (True, False), (True, False)):
        plain = survey(version=version, named=named, alias=alias)
        several = survey(version=version, named=named, aliases=both, asked="docs_v1")
        for taken in (plain, several, survey(version=version, alias=alias, vectors=dot, size=tight)):
            for one in view(taken, answers(), odd):
                values = [c.choice.value for c in one.choices if c.open] or [str(one.proposal or "x")]
                for value in values:
                    if one.question.kind == "number" or not value:
                        continue
                    then = view(taken, set_answer(answers(), one.question.id, value), odd)
                    assert one.question.id in {a.question.id for a in then}, (one.question.id, value)


def test_a_vector_name_waits_for_the_size_of_the_new_vectors() -> None:
    """The old name, taken before the size is known, would hide a forgotten query model if the sizes are equal."""
    taken = survey(version="1.17.1")
    before = asked("vector.name", taken, answers(), Probes())
    assert before is not None
    assert before.proposal is None
    assert before.question.optional
    same = Probes(new_model=ModelProbe(dimension=256))
    for probes, name in ((same, "minilm"), (PROBES, "text")):
        after = asked("vector.name", taken, answers(), probes)
        assert after is not None
        assert after.proposal == name
    assert not [
        f for f in plan_of(taken, answers(), same).findings if f.code == "same-dimension-swap" and f.acknowledge
    ]
    declared = answers(model=msgspec.structs.replace(NEW, dimension=256))
    early = asked("vector.name", taken, declared, Probes())
    assert early is not None
    assert early.proposal == "minilm"


@pytest.mark.parametrize(("said", "seconds"), [("0", 0), ("90m", 5400), ("24h", 86400), ("1.5 d", 129600), ("10s", 10)])
def test_a_window_is_a_duration(said: str, seconds: float) -> None:
    given = set_answer(answers(), "rollback.window", said)
    assert given.rollback.seconds == seconds
    back = [step for step in plan_of(survey(), given).steps if isinstance(step, pm.OpenWayBack)]
    assert [step.window_s for step in back] == ([seconds] if seconds else [])


@pytest.mark.parametrize("said", ["soon", "24", "-1h", "1h2m", "9" * 40 + "h", "h"])
def test_what_is_no_window_is_refused(said: str) -> None:
    with pytest.raises(UsageError, match="write a duration such as"):
        set_answer(answers(), "rollback.window", said)
