"""The tree, the gates and the plans that follow, over every combination of server, shape, name and key."""

from __future__ import annotations

from itertools import product
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from changeover.checks.model import ModelProbe, Probes
from changeover.checks.registry import run
from changeover.decision.answers import (
    Answers,
    Limits,
    TargetAnswer,
    VectorAnswer,
    from_mapping,
    from_toml,
    set_answer,
    to_toml,
    value_of,
)
from changeover.decision.map import lines
from changeover.decision.route import choose
from changeover.decision.tree import propose, view
from changeover.errors import BlockedError, ChangeoverError, UsageError
from changeover.ids import id_key
from changeover.plan import file as plan_file
from changeover.plan import model as pm
from changeover.plan.drift import differences
from changeover.plan.text import as_text, count_line, render
from changeover.routes import names
from changeover.routes.build import build
from changeover.routes.slices import slices
from changeover.survey.model import Alias, Replica, Rights, Shards, Size, Survey, Vector
from changeover.words import duration
from tests.unit.surveys import ACCESS, NEW, PROBES, answers, survey

READ_ONLY = Rights(read=True, write_points=False, write_collection=False, manage=False)
WRITER = Rights(read=True, write_points=True, write_collection=True, manage=False)
ids = st.one_of(st.integers(0, 2**64 - 1), st.uuids().map(str))


def plan_of(given: Survey, said: Answers | None = None, probes: Probes = PROBES) -> pm.Plan:
    completed = propose(given, said or answers(), probes)
    return build(given, completed, run(given, completed, probes), probes, ACCESS)


def kinds(plan: pm.Plan) -> list[str]:
    return [str(type(step).__struct_config__.tag) for step in plan.steps]


@pytest.mark.parametrize(
    ("version", "named", "alias", "rights", "route"),
    list(
        product(
            ["1.15.5", "1.17.1", "1.18.0", "1.18.3", "1.19.0", "1.20.0"],
            [True, False],
            [True, False],
            [None, READ_ONLY, WRITER],
            [None, "in-place", "blue-green", "hybrid", "linear-map"],
        )
    ),
)
def test_every_path_ends_in_a_plan_or_a_named_reason(
    version: str, named: bool, alias: bool, rights: Rights | None, route: Any
) -> None:
    taken = survey(version=version, named=named, alias=alias, rights=rights)
    said = answers(route=route)
    asked = view(taken, said, PROBES)
    assert asked and all(a.evidence for a in asked)
    assert all(choice.reason for a in asked for choice in a.choices if not choice.open)
    assert lines(taken, said, PROBES)
    chosen = choose(taken, said)
    if chosen.route is None:
        assert chosen.reasons and all(chosen.reasons)
        with pytest.raises(BlockedError, match="no route is open"):
            plan_of(taken, said)
        return
    if route == "linear-map":
        with pytest.raises(BlockedError, match="never run without being measured"):
            plan_of(taken, said)
        return
    plan = plan_of(taken, said)
    assert (plan.route, plan.job.mode) == (chosen.route, chosen.mode)
    assert ("add-vector" in kinds(plan)) == (plan.job.mode == "in-place")
    assert ("create-collection" in kinds(plan)) == (plan.job.mode == "blue-green")
    if not alias and plan.job.mode == "blue-green":
        assert "plain-name" in {f.code for f in plan.findings}
    if rights is READ_ONLY:
        assert "right-missing-write" in {f.code for f in plan.findings if f.severity == "blocker"}


@pytest.mark.parametrize(
    ("version", "named", "expected"),
    [
        ("1.17.1", True, "blue-green"),
        ("1.18.0", True, "blue-green"),
        ("1.18.3", True, "in-place"),
        ("1.18.3", False, "blue-green"),
        ("1.19.0", True, "in-place"),
    ],
)
def test_the_proposed_route(version: str, named: bool, expected: str) -> None:
    assert choose(survey(version=version, named=named), answers()).route == expected


@pytest.mark.parametrize("route", ["in-place", "blue-green"])
def test_every_shard_key_is_worked_on_by_itself(route: Any) -> None:
    replicas = tuple(
        Replica(shard=shard, peer=peer, state="Active", shard_key=key)
        for shard, key in ((1, "acme"), (2, "acme"), (3, 42))
        for peer in (1, 2)
    )
    shards = Shards(number=2, method="custom", keys=("acme", 42), replicas=replicas)
    plan = plan_of(msgspec.structs.replace(survey(), shards=shards), answers(route=route))
    load = next(step for step in plan.steps if isinstance(step, pm.Load))
    assert [(part.shard_key, part.start, part.end) for part in load.slices] == [("acme", None, None), (42, None, None)]
    created = [step for step in plan.steps if isinstance(step, pm.CreateShardKeys)]
    bodies = [request.body for step in created for request in step.requests]
    wanted = [{"shard_key": "acme", "shards_number": 2}, {"shard_key": 42, "shards_number": 1}]
    assert bodies == (wanted if route == "blue-green" else [])
    assert not [f for f in plan.findings if f.severity == "blocker"]


def test_without_the_manage_right_in_place_stays_open() -> None:
    assert choose(survey(rights=WRITER), answers()).route == "in-place"
    assert choose(survey(rights=WRITER, version="1.17.1"), answers()).route is None


def test_the_lowest_peer_decides() -> None:
    assert choose(survey(peers=("1.18.3", "1.17.1")), answers()).route == "blue-green"


def test_in_place_sends_the_recorded_shape() -> None:
    plan = plan_of(survey())
    add = plan.steps[0]
    assert isinstance(add, pm.AddVector)
    assert add.request.method == "PUT"
    assert add.request.path == "/collections/docs_v1/vectors/minilm?wait=true"
    assert add.request.body == {"dense": {"size": 384, "distance": "Cosine"}}
    assert kinds(plan) == [
        "add-vector",
        "load",
        "catch-up",
        "wait-green",
        "verify",
        "await-cutover",
        "switch-application",
        "sweep",
        "write-metadata",
    ]
    assert plan.job.target == plan.job.source == "docs_v1"
    assert plan.job.name_in_use == "docs"
    assert plan.job.carry == {}


def test_settings_of_the_old_vector_follow_as_a_patch() -> None:
    params = {"size": 256, "distance": "Dot", "on_disk": True, "hnsw_config": {"m": 8}}
    own = (Vector(name="text", kind="dense", size=256, distance="Dot", params=params),)
    plan = plan_of(survey(vectors=own))
    patch = plan.steps[1]
    assert isinstance(patch, pm.PatchVector)
    assert patch.request.body == {"vectors": {"minilm": {"hnsw_config": {"m": 8}, "on_disk": True}}}
    off = plan_of(survey(vectors=own), answers(vector=VectorAnswer(on_disk=False)))
    assert off.steps[1].request.body["vectors"]["minilm"]["on_disk"] is False  # type: ignore[union-attr]


def test_blue_green_clones_everything_but_the_replaced_vector() -> None:
    own = (
        Vector(
            name="text",
            kind="dense",
            size=256,
            distance="Cosine",
            params={"size": 256, "distance": "Cosine", "on_disk": True},
        ),
        Vector(name="image", kind="dense", size=3, distance="Dot", params={"size": 3, "distance": "Dot"}),
        Vector(name="words", kind="sparse", params={"modifier": "idf"}),
    )
    plan = plan_of(survey(version="1.17.1", vectors=own))
    create = plan.steps[0]
    assert isinstance(create, pm.CreateCollection)
    body = create.request.body
    assert create.request.path == "/collections/docs_v2"
    assert body["vectors"] == {
        "image": {"size": 3, "distance": "Dot"},
        "text": {"size": 384, "distance": "Cosine", "on_disk": True},
    }
    assert body["sparse_vectors"] == {"words": {"modifier": "idf"}}
    assert body["hnsw_config"]["m"] == 16
    assert body["optimizers_config"] == {"deleted_threshold": 0.2, "indexing_threshold": 20000}
    assert body["on_disk_payload"] is True
    assert "quantization_config" not in body
    assert plan.job.carry == {"image": "image", "words": "words"}
    restore = next(step for step in plan.steps if isinstance(step, pm.RestoreIndexing))
    assert restore.request.body == {"optimizers_config": {"indexing_threshold": 20000}}
    swap = next(step for step in plan.steps if isinstance(step, pm.SwapAlias))
    assert (swap.alias, swap.expected) == ("docs", "docs_v1")
    assert swap.request.body == {"actions": [{"create_alias": {"alias_name": "docs", "collection_name": "docs_v2"}}]}
    order = kinds(plan)
    assert order.index("create-indexes") < order.index("load") < order.index("restore-indexing")
    assert order.index("verify") < order.index("await-cutover") < order.index("swap-alias") < order.index("sweep")


def test_an_unnamed_collection_stays_unnamed_in_blue_green() -> None:
    plan = plan_of(survey(named=False))
    create = plan.steps[0]
    assert isinstance(create, pm.CreateCollection)
    assert create.request.body["vectors"] == {"size": 384, "distance": "Cosine"}
    assert plan.job.target_vector == ""


def test_equal_sizes_get_another_vector_name() -> None:
    same = Probes(new_model=ModelProbe(dimension=256))
    assert plan_of(survey(version="1.17.1"), probes=same).job.target_vector == "minilm"
    assert plan_of(survey(version="1.17.1")).job.target_vector == "text"


def test_a_guard_is_only_for_dual_writes() -> None:
    for writers in ("none", "unknown"):
        assert not plan_of(survey(), answers(writers=writers)).job.only_absent
        assert not plan_of(survey(version="1.17.1"), answers(writers=writers)).job.insert_only
    assert plan_of(survey(), answers(writers="dual")).job.only_absent
    assert plan_of(survey(version="1.17.1"), answers(writers="dual")).job.insert_only
    assert not plan_of(survey(version="1.16.3"), answers(writers="dual")).job.insert_only, "1.16 ignores it"


def test_without_a_cutover_no_name_changes() -> None:
    for version in ("1.17.1", "1.18.3"):
        assert not {"swap-alias", "switch-application", "sweep"} & set(
            kinds(plan_of(survey(version=version), answers(cutover="never")))
        )


def test_a_batch_keeps_within_strict_mode_and_the_body_limit() -> None:
    strict = survey(strict={"enabled": True, "upsert_max_batchsize": 50, "max_query_limit": 40})
    assert plan_of(strict).job.batch == 40
    wide = Probes(new_model=ModelProbe(dimension=3072))
    assert plan_of(survey(), probes=wide).job.batch < 256
    large = survey(size=Size(points=1_000, payload_bytes=1_000_000_000))
    assert plan_of(large).job.batch == 8, "256 points of a megabyte each would be a page of 256 MB"
    assert plan_of(survey(), answers(limits=Limits(batch=77))).job.batch == 77


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (answers(model=None), "no new model was chosen"),
        (answers(vector=VectorAnswer(name="a<b")), "holds one of"),
        (answers(vector=VectorAnswer(name="text")), "already has a vector"),
        (answers(vector=VectorAnswer(source="nope")), "no dense vector 'nope'"),
        (answers(route="blue-green", target=TargetAnswer(collection="other")), "exists"),
    ],
)
def test_what_cannot_be_planned_is_said_in_one_line(said: Answers, message: str) -> None:
    with pytest.raises(ChangeoverError, match=message) as caught:
        plan_of(survey(), said)
    assert "\n" not in str(caught.value)


def test_a_model_that_was_not_tried_needs_its_dimension() -> None:
    with pytest.raises(BlockedError, match="dimension is not known"):
        plan_of(survey(), probes=Probes())
    declared = answers(model=msgspec.structs.replace(NEW, dimension=384))
    assert plan_of(survey(), declared, Probes()).job.dimension == 384


@given(st.lists(ids, max_size=300), st.integers(0, 10**7), st.integers(1, 8), st.lists(ids, max_size=50))
def test_slices_cover_every_id_exactly_once(cuts: list[Any], points: int, streams: int, probed: list[Any]) -> None:
    parts = slices(tuple(cuts), points, streams)
    for point_id in [*probed, *cuts, 0, 2**64 - 1, "ffffffff-ffff-ffff-ffff-ffffffffffff"]:
        key = id_key(point_id)
        within = [
            p for p in parts if (p.start is None or id_key(p.start) <= key) and (p.end is None or key < id_key(p.end))
        ]
        assert len(within) == 1
    assert [p.number for p in parts] == list(range(len(parts)))
    assert len(parts) <= 256


@given(st.text(max_size=300), st.sets(st.text(max_size=5), max_size=5))
def test_a_vector_name_is_always_legal_and_free(model: str, taken: set[str]) -> None:
    name = names.vector_name(model, taken)
    assert name not in taken
    assert names.illegal(name) == ""


def test_collection_names_count_up() -> None:
    assert names.collection_name("docs", []) == "docs_v2"
    assert names.collection_name("docs_v1", ["docs_v2"]) == "docs_v3"


def test_a_plan_survives_its_file_and_reads_well() -> None:
    plan = plan_of(survey(version="1.17.1"))
    assert plan_file.from_json(plan_file.to_json(plan), "x") == plan
    text = as_text(plan)
    assert "PUT /collections/docs_v2" in text
    assert "+ Create docs_v2 like docs_v1" in text
    assert "~ Point alias docs at docs_v2" in text
    assert count_line(plan) == "Plan: 3 to add, 4 to change, 0 to remove."
    assert len(render(plan)) == len(plan.steps)
    assert '+        query=embed("wordllama", text),' in plan.application
    assert '+        query=embed("minilm", text),' in plan.application
    in_place = plan_of(survey())
    assert '+    using="minilm",' in in_place.application
    assert '-    using="text",' in in_place.application


def test_drift_names_what_changed() -> None:
    taken = survey(version="1.17.1")
    plan = plan_of(taken)
    assert differences(plan, taken) == ()
    moved = survey(version="1.17.1", aliases=(), other_aliases=(Alias(name="docs", collection="other"),))
    assert differences(plan, moved) == ("alias docs was docs_v1, now it is other",)
    assert differences(plan, survey(version="1.18.3")) == ("the server was 1.17.1, now it is 1.18.3",)
    grown = survey(version="1.17.1", collections=("docs_v1", "docs_v2"))
    assert differences(plan, grown) == ("a collection docs_v2 exists now; the plan needs this name free",)
    reindexed = survey(version="1.17.1", indexes=())
    assert differences(plan, reindexed) == ("payload index lang is gone",)


def test_answers_go_through_files_flags_and_back(tmp_path: Any) -> None:
    path = tmp_path / "answers.toml"
    path.write_text('collection = "docs"\n"model.name" = "x"\n[model]\nprovider = "fastembed"\n[limits]\nrate = 10\n')
    said = from_toml(path)
    assert value_of(said, "model.name") == "x"
    path.write_text(to_toml(said))
    assert from_toml(path) == said
    said = set_answer(set_answer(said, "zero_downtime", "true"), "limits.batch", "64")
    assert (said.zero_downtime, said.limits.batch) == (True, 64)
    for question, value, message in [
        ("limits.batch", "many", "limits.batch"),
        ("nonsense", "1", "nonsense"),
        ("cutover", "now", "cutover"),
        ("collection.x", "1", "has no parts"),
    ]:
        with pytest.raises(UsageError, match=message):
            set_answer(said, question, value)
    with pytest.raises(UsageError, match=r"f\.toml.*model"):
        from_mapping({"model": {"provider": "x", "api_key": "secret"}}, "f.toml")
    path.write_text("not = = toml")
    with pytest.raises(UsageError, match="not a TOML"):
        from_toml(path)
    with pytest.raises(UsageError, match="no such answers file"):
        from_toml(tmp_path / "none")


@given(st.text(max_size=30).filter(lambda t: "\x00" not in t), st.floats(0.1, 1e6), st.booleans())
def test_any_text_survives_an_answers_file(text: str, rate: float, yes: bool) -> None:
    import tempfile
    from pathlib import Path

    said = Answers(collection=text, zero_downtime=yes, limits=Limits(rate=rate), vector=VectorAnswer(name=text))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.toml"
        path.write_bytes(to_toml(said).encode("utf-8", "surrogatepass"))
        assert from_toml(path) == said


def test_proposals_never_override_an_answer_and_never_choose_a_model() -> None:
    said = Answers(cutover="when-ready", writers="dual", route="blue-green")
    completed = propose(survey(), said, Probes())
    assert completed.model is None
    assert (completed.cutover, completed.writers, completed.route) == ("when-ready", "dual", "blue-green")
    assert completed.text.as_template == "{text}"
    assert completed.target.collection == "docs_v2"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "5 s"), (95, "1 min 35 s"), (7300, "2 h 1 min"), (200_000, "2 d 7 h")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@given(st.text(min_size=1, max_size=255), st.sets(st.integers(2, 12), max_size=5))
def test_names_made_from_a_long_one_are_short_enough_and_free(source: str, numbers: set[int]) -> None:
    taken = {source, *(f"{source}_v{n}" for n in numbers), f"{source}_live"}
    for made in (names.collection_name(source, taken), names.alias_name(source, taken)):
        assert made not in taken
        assert len(made.encode()) <= 255


def test_a_collection_of_the_longest_name_can_be_migrated() -> None:
    longest = "d" * 255
    taken = survey(version="1.17.1", alias=False, collection=longest, asked=longest, collections=(longest,))
    job = plan_of(taken).job
    assert len(job.target) == 255
    assert job.target.endswith("_v2")


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("limits.batch", "0"),
        ("limits.batch", "-5"),
        ("limits.streams", "-1"),
        ("limits.streams", "100000"),
        ("limits.rate", "0"),
        ("limits.rate", "-3"),
        ("limits.rate", "nan"),
        ("model.dimension", "-4"),
        ("model.price_per_million_tokens", "-2"),
    ],
)
def test_a_number_that_no_run_can_keep_is_refused(question: str, value: str, tmp_path: Any) -> None:
    with pytest.raises(UsageError, match=question):
        set_answer(answers(), question, value)
    table, key = question.split(".")
    extra = 'provider = "fastembed"\n' if table == "model" else ""
    path = tmp_path / "answers.toml"
    path.write_text(f"[{table}]\n{extra}{key} = {value}\n")
    with pytest.raises(UsageError, match=question):
        from_toml(path)
