"""Every path of the tree on every kind of cluster: a plan or a named reason, no dead end, and going back re-derives."""

from __future__ import annotations

from itertools import product
from typing import Any

import msgspec
import pytest

from changeover import seals
from changeover.checks.model import ModelProbe, Probes
from changeover.checks.registry import run
from changeover.decision.answers import (
    Answers,
    MapAnswer,
    QuantizationAnswer,
    QueriesAnswer,
    SparseAnswer,
    TargetAnswer,
    VectorAnswer,
    set_answer,
    without_answer,
)
from changeover.decision.questions import QUESTIONS
from changeover.decision.route import choose
from changeover.decision.tree import Asked, propose, view
from changeover.embed.model import ModelSpec
from changeover.errors import BlockedError
from changeover.plan import model as pm
from changeover.plan.allowed import refuse_foreign
from changeover.plan.text import as_text
from changeover.routes.build import build
from changeover.survey.model import Rights, Shards, Survey, Vector
from tests.unit.surveys import ACCESS, NEW, OLD, PROBES, answers, survey

VERSIONS = ("1.15.5", "1.17.1", "1.18.0", "1.18.3", "1.19.0", "1.20.0")
READ_ONLY = Rights(read=True, write_points=False, write_collection=False, manage=False)
WRITER = Rights(read=True, write_points=True, write_collection=True, manage=False)
DENSE = Vector(name="text", kind="dense", size=256, distance="Cosine", params={"size": 256, "distance": "Cosine"})
WORDS = Vector(name="words", kind="sparse", params={"modifier": "idf"})
TOKENS = Vector(
    name="tokens",
    kind="multi",
    size=128,
    distance="Cosine",
    params={"size": 128, "distance": "Cosine", "multivector_config": {"comparator": "max_sim"}},
)
CLUSTERS: dict[str, dict[str, Any]] = {
    "named": {},
    "unnamed": {"named": False},
    "no vectors": {"vectors": ()},
    "sparse only": {"vectors": (WORDS,)},
    "with others": {"vectors": (DENSE, WORDS, TOKENS)},
    "plain name": {"alias": False},
    "unnamed, plain name": {"named": False, "alias": False},
    "custom shards": {"shards": Shards(number=2, method="custom", keys=("a", "b"))},
    "custom shards that cannot be read": {"shards": Shards(number=2, method="custom")},
    "read-only key": {"rights": READ_ONLY},
    "key that may not manage": {"rights": WRITER},
    "strict mode": {"strict": {"enabled": True, "upsert_max_batchsize": 50, "max_query_limit": 20}},
    "mixed versions": {"peers": ("1.17.1", "1.18.3")},
}
FOUR = list(product(("none", "dimensions", "quantization", "linear-map"), (True, False), (True, False), (True, False)))
ROUTES: tuple[Any, ...] = (None, "in-place", "blue-green")
DETAILS: dict[str, Any] = {
    "queries": QueriesAnswer(file="/queries.jsonl"),
    "target": TargetAnswer(dimension=64),
    "quantization": QuantizationAnswer(kind="scalar"),
    "sparse": SparseAnswer(encoder="local-bm25"),
    "map": MapAnswer(anchors=500),
}
MEASURED = msgspec.structs.replace(PROBES, queries=50)


def cluster(kind: str, version: str) -> Survey:
    changes = dict(CLUSTERS[kind])
    if "vectors" in changes and not changes["vectors"]:
        made = survey(version=version)
        config = {**made.config, "params": {**made.config["params"], "vectors": {}}}
        return msgspec.structs.replace(made, vectors=(), config=config)
    return survey(version=version, **changes)


def plan_of(taken: Survey, said: Answers, probes: Probes = MEASURED) -> pm.Plan:
    completed = propose(taken, said, probes)
    return build(taken, completed, run(taken, completed, probes), probes, ACCESS)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", list(CLUSTERS))
def test_every_leaf_is_a_plan_or_a_named_reason(kind: str, version: str) -> None:
    taken = cluster(kind, version)
    reached = set()
    for (avoid, zero, both, sparse), route, model in product(FOUR, ROUTES, (NEW, None)):
        said: Any = answers(
            avoid=avoid, zero_downtime=zero, keep_both=both, add_sparse=sparse, route=route, model=model, **DETAILS
        )
        asked = view(taken, said, MEASURED)
        assert all(choice.reason for a in asked for choice in a.choices if not choice.open)
        assert all(a.evidence for a in asked), [a.question.id for a in asked if not a.evidence]
        chosen = choose(taken, said)
        try:
            plan = plan_of(taken, said)
            refuse_foreign(plan, "plan")
        except BlockedError as error:
            assert "\n" not in str(error)
            assert chosen.route is not None or all(reason in str(error) for reason in chosen.reasons)
            continue
        reached.add(plan.route)
        assert (plan.route, plan.job.mode) == (chosen.route, chosen.mode)
        if avoid != "none":
            assert plan.route == avoid
        elif sparse:
            assert plan.route == "hybrid"
        elif both:
            assert plan.route == "side-by-side"
        assert seals.seal(msgspec.structs.replace(plan, hash="")) == plan
        assert as_text(plan).endswith(f"hash {plan.hash}\n")
        check_requests(plan, version)
    cannot_add = kind == "key that may not manage" and version in ("1.15.5", "1.17.1", "1.18.0")
    if cannot_add or kind in ("no vectors", "sparse only", "read-only key"):
        assert not reached
    else:
        assert reached, "something is open here"


def check_requests(plan: pm.Plan, version: str) -> None:
    """No request goes to a version that does not know it."""
    for step in plan.steps:
        if isinstance(step, pm.AddVector):
            assert version not in ("1.15.5", "1.17.1", "1.18.0")
        if isinstance(step, pm.CreateTextIndex):
            assert version == "1.20.0"
        if isinstance(step, pm.WriteMetadata):
            assert version != "1.15.5"
    if plan.job.insert_only:
        assert version != "1.15.5"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", list(CLUSTERS))
def test_an_open_choice_never_leads_to_a_dead_end(kind: str, version: str) -> None:
    """From every state, each open choice leads to questions that all can be answered again."""
    taken = cluster(kind, version)
    for avoid, zero, both, sparse in FOUR:
        said: Any = answers(avoid=avoid, zero_downtime=zero, keep_both=both, add_sparse=sparse, **DETAILS)
        for one in view(taken, said, MEASURED):
            for choice in one.choices:
                if choice.open and choice.choice.value:
                    then = view(taken, set_answer(said, one.question.id, choice.choice.value), MEASURED)
                    assert all(_answerable(a) for a in then), (one.question.id, choice.choice.value)


def _answerable(asked: Asked) -> bool:
    typed = asked.question.kind in ("text", "number")
    return typed or asked.question.optional or not asked.choices or any(c.open for c in asked.choices) or shut(asked)


def shut(asked: Asked) -> bool:
    """A question whose choices are all closed says why at each of them: the way back is to answer another one."""
    return asked.question.id == "route" and all(choice.reason for choice in asked.choices)


def test_going_back_and_answering_otherwise_derives_everything_anew() -> None:
    taken = survey()
    first = answers(add_sparse=True, model=None, **DETAILS)
    assert choose(taken, first).route == "hybrid"
    assert "sparse.encoder" in {a.question.id for a in view(taken, first, PROBES)}
    back = set_answer(first, "add_sparse", "false")
    assert "sparse.encoder" not in {a.question.id for a in view(taken, back, PROBES)}
    again = set_answer(set_answer(back, "avoid", "dimensions"), "target.dimension", "100")
    plan = plan_of(taken, again)
    assert (plan.route, plan.job.dimension, plan.job.model) == ("dimensions", 100, None)
    third = set_answer(set_answer(again, "avoid", "quantization"), "quantization.kind", "binary")
    assert [type(step) for step in plan_of(taken, third).steps][1] is pm.ChangeStorage
    home = msgspec.structs.replace(set_answer(third, "avoid", "none"), model=NEW)
    plan = plan_of(taken, home)
    assert plan.route == "in-place" and [make.vector for make in plan.job.makes] == ["minilm"]
    assert plan_of(taken, without_answer(home, "add_sparse")).job == plan.job


def test_enter_alone_proposes_the_same_again_and_again() -> None:
    for version, kind in product(VERSIONS, CLUSTERS):
        taken = cluster(kind, version)
        for avoid, zero, both, sparse in FOUR:
            said: Any = Answers(avoid=avoid, zero_downtime=zero, keep_both=both, add_sparse=sparse, old_model=OLD)
            once = propose(taken, said, PROBES)
            assert propose(taken, once, PROBES) == once


STATES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "cut": {"avoid": "dimensions"},
    "stored otherwise": {"avoid": "quantization", "quantization": QuantizationAnswer(kind="binary")},
    "mapped": {"avoid": "linear-map"},
    "words by a local model": {"add_sparse": True, "sparse": SparseAnswer(encoder="fastembed", model="Qdrant/bm25")},
    "both stay": {"keep_both": True, "route": "blue-green"},
    "offline": {"zero_downtime": False, "route": "blue-green"},
    "a name kept free": {"route": "blue-green", "vector": VectorAnswer(reserve="next")},
    "embedded by the server": {"model": ModelSpec(provider="qdrant", name="a/b", dimension=384)},
    "a local model": {"model": ModelSpec(provider="fastembed", name="a/b", path="folder")},
    "a model over the network": {
        "model": ModelSpec(provider="openai", name="a", url="http://127.0.0.1:1", price_per_million_tokens=0.02),
        "old_model": ModelSpec(provider="openai", name="b", url="http://127.0.0.1:1"),
    },
    "an old local model": {"old_model": ModelSpec(provider="fastembed", name="a/b", path="folder")},
}
TWO = (msgspec.structs.replace(DENSE, name="a", size=2), msgspec.structs.replace(DENSE, name="b", size=3))


def test_every_question_is_reached_from_some_state() -> None:
    seen = set()
    tight = msgspec.structs.replace(survey().size, memory_total_bytes=1000)
    odd = Probes(new_model=ModelProbe(dimension=384, norm=3.0))
    by_length = msgspec.structs.replace(DENSE, distance="Dot", params={"size": 256, "distance": "Dot"})
    clusters: tuple[dict[str, Any], ...] = (
        {},
        {"alias": False},
        {"named": False},
        {"vectors": TWO},
        {"vectors": (by_length,)},
        {"size": tight},
    )
    for version, changes, said in product(("1.17.1", "1.18.3"), clusters, STATES.values()):
        taken = survey(version=version, **changes)
        seen |= {one.question.id for one in view(taken, answers(**said), odd)}
    assert seen == {question.id for question in QUESTIONS}
