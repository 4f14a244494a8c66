"""The parts of a survey: shape, samples, size, servers and rights, from recorded answers and made ones."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changeover.cluster.address import Address
from changeover.cluster.api import Optimizations, Point
from changeover.cluster.errors import Action, ClusterError
from changeover.errors import UsageError
from changeover.ids import id_key
from changeover.survey import condition, samples, servers, shape
from changeover.survey.listing import list_collections
from changeover.survey.model import PointId, Sampled, Vector
from changeover.survey.take import real_name

FIXTURES = Path(__file__).parents[1] / "fixtures"
IDS = st.integers(0, 2**64 - 1) | st.uuids().map(str)
ALONE = Address("http", "127.0.0.1", 1, "", None, None)


def recorded(version: str, tag: str) -> dict[str, Any]:
    lines = (FIXTURES / f"qdrant-{version}.jsonl").read_text("utf-8").splitlines()
    call = next(c for c in map(json.loads, lines) if c["tag"] == tag)
    result: dict[str, Any] = call["response"]["result"]
    return result


class Fake:
    """A gateway that answers from a table; an exception in it is raised."""

    def __init__(self, answers: dict[str, Any] | None = None, points: Sequence[Point] = ()) -> None:
        self.answers = {"GET /telemetry?details_level=2": {}, **(answers or {})}
        self.sent: list[str] = []
        self.points = {p.id: p for p in points}
        self.inexact_counts: set[str] = set()
        self.most = 10**6

    def _answer(self, key: str) -> Any:
        self.sent.append(key)
        if key not in self.answers:
            raise ClusterError(f"{key}: not here", Action.STOP, status=404)
        if isinstance(self.answers[key], Exception):
            raise self.answers[key]
        return self.answers[key]

    async def send(self, method: str, path: str, body: Any = None, *, timeout_s: float | None = None) -> Any:
        return self._answer(f"{method} {path}")

    async def version(self) -> str:
        return "1.18.3"

    async def collections(self) -> tuple[str, ...]:
        return tuple(self._answer("collections"))

    async def aliases(self) -> dict[str, str]:
        return dict(self._answer("aliases"))

    async def collection(self, name: str) -> dict[str, Any]:
        return dict(self._answer(f"collection {name}"))

    async def count(self, name: str, filter: Any = None) -> int:
        return len(self.points)

    async def optimizations(self, name: str) -> Optimizations:
        return Optimizations(color="green", queued=0, running=0)

    async def sample(self, name: str, n: int, **more: Any) -> list[Point]:
        self._answer("sample")
        pool = list(self.points.values())
        start = self.sent.count("sample") * self.most % max(1, len(pool))
        return [*pool[start:], *pool[:start]][: min(n, self.most)]

    async def scroll(self, name: str, *, limit: int, **more: Any) -> tuple[list[Point], PointId | None]:
        ordered = sorted(self.points.values(), key=lambda p: id_key(p.id))
        return ordered[:limit], ordered[limit].id if len(ordered) > limit else None

    async def retrieve(self, name: str, ids: Sequence[PointId], **more: Any) -> list[Point]:
        return [self.points[i] for i in reversed(ids) if i in self.points]


def gateway(answers: dict[str, Any] | None = None, points: Sequence[Point] = ()) -> Any:
    return Fake(answers, points)


@pytest.mark.parametrize("version", ["1.17.1", "1.18.3", "1.19.0"])
def test_vectors_and_indexes_are_read_from_recorded_answers(version: str) -> None:
    named = shape.vectors_of(recorded(version, "get.named"))
    assert [(v.name, v.kind, v.size, v.distance, v.on_disk) for v in named] == [("old", "dense", 4, "Cosine", True)]
    indexes = {i.field: i for i in shape.indexes_of(recorded(version, "get.indexed"))}
    assert list(indexes) == ["k", "n", "text"]
    assert indexes["k"].schema["type"] == "keyword"
    assert indexes["n"].schema["lookup"] is True
    assert indexes["text"].points == 9
    plain = shape.vectors_of(recorded(version, "q.get"))
    assert [(v.name, v.size) for v in plain] == [("", 32)]


@pytest.mark.parametrize("version", ["1.18.3", "1.19.0"])
def test_every_kind_of_vector_is_told_apart(version: str) -> None:
    vectors = {v.name: v for v in shape.vectors_of(recorded(version, "get.after_patch"))}
    assert {name: v.kind for name, v in vectors.items()} == {
        "late": "multi",
        "new": "dense",
        "old": "dense",
        "kw": "sparse",
    }
    assert vectors["new"].on_disk is True
    assert vectors["new"].params["hnsw_config"] == {"m": 12}
    assert vectors["kw"].params == {"modifier": "idf"}
    assert (vectors["kw"].size, vectors["late"].size) == (None, 2)


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({}, []),
        ({"vectors": {}}, []),
        ({"vectors": {"size": {"size": 3, "distance": "Dot"}}}, ["size"]),
        ({"vectors": {"": {"size": 3, "distance": "Dot"}, "new": {"size": 4, "distance": "Dot"}}}, ["", "new"]),
        ({"sparse_vectors": {"kw": None}}, ["kw"]),
    ],
)
def test_unusual_shapes_are_read(params: dict[str, Any], names: list[str]) -> None:
    assert [v.name for v in shape.vectors_of({"config": {"params": params}})] == names


async def test_shards_are_read_and_a_refusal_is_a_note() -> None:
    info = {"config": {"params": {"shard_number": 2, "replication_factor": 2, "sharding_method": "custom"}}}
    layout = {
        "peer_id": 1,
        "local_shards": [{"shard_id": 0, "points_count": 5, "state": "Active", "shard_key": "eu"}],
        "remote_shards": [{"shard_id": 1, "peer_id": 2, "state": "Dead", "shard_key": "us"}],
        "shard_transfers": [{}],
    }
    found, note = await shape.shards_of(gateway({"GET /collections/a%20b/cluster": layout}), "a b", info)
    assert (found.keys, found.transfers, found.resharding, note) == (("eu", "us"), 1, 0, "")
    assert [(r.shard, r.peer, r.state, r.points) for r in found.replicas] == [(0, 1, "Active", 5), (1, 2, "Dead", None)]
    bare, note = await shape.shards_of(gateway(), "a b", info)
    assert (bare.number, bare.method, bare.replicas) == (2, "custom", ())
    assert "could not be read" in note


@given(st.lists(IDS, unique_by=id_key), st.integers(1, 64))
def test_cuts_divide_the_ids_evenly(ids: list[PointId], most: int) -> None:
    ordered = sorted(ids, key=id_key)
    cuts = samples.cuts_of(ordered, most)
    assert len(cuts) <= most
    assert list(cuts) == sorted(cuts, key=id_key)
    assert set(cuts) <= set(ordered[1:])
    if len(ordered) > 1:
        assert len(cuts) == min(most, len(ordered) - 1)
        bounds = [0, *(ordered.index(c) for c in cuts), len(ordered)]
        parts = [b - a for a, b in pairwise(bounds)]
        assert max(parts) <= 2 * (len(ordered) // (len(cuts) + 1) + 1)


async def test_a_sample_is_random_and_keeps_its_order() -> None:
    points = [Point(id=i, payload={"n": i}, shard_key="eu") for i in range(400)]
    found = await samples.sample_of(gateway({"sample": 1}, points), "docs")
    assert len(found.points) == samples.KEPT
    assert found.points[0] == Sampled(id=found.points[0].id, payload={"n": found.points[0].id}, shard_key="eu")
    assert len(found.cuts) == samples.CUTS
    assert found.note == ""


async def test_small_samples_are_put_together() -> None:
    fake = gateway({"sample": 1, "collection docs": {"points_count": 100}}, [Point(id=i) for i in range(100)])
    fake.most = 7
    found = await samples.sample_of(fake, "docs")
    assert len(found.points) >= 90
    assert fake.sent.count("sample") <= samples.ROUNDS


async def test_without_random_sampling_the_first_points_are_taken() -> None:
    refused = ClusterError("400 unknown variant sample", Action.STOP, status=400)
    few = await samples.sample_of(gateway({"sample": refused}, [Point(id=i) for i in range(30)]), "docs")
    assert len(few.points) == 30
    assert len(few.cuts) == 29
    many = await samples.sample_of(gateway({"sample": refused}, [Point(id=i) for i in range(500)]), "docs")
    assert many.cuts == (), "the first ids say nothing about the others"
    assert "first 200 points" in many.note
    with pytest.raises(ClusterError):
        await samples.sample_of(gateway({"sample": ClusterError("gone", Action.RETRY)}), "docs")


async def test_an_empty_collection_has_no_sample() -> None:
    found = await samples.sample_of(gateway({"sample": 1}), "docs")
    assert found == samples.Sample()


async def test_sizes_are_measured() -> None:
    stored = {"late": [[1.0, 2.0]] * 3, "kw": {"indices": [1, 2], "values": [1.0, 2.0]}, "a": [1.0] * 4}
    points = [Point(id=i, payload={"text": "abcd"}, vectors=stored) for i in range(10)]
    vectors = (
        Vector(name="a", kind="dense", size=4, datatype="float16", points=5),
        Vector(name="late", kind="multi", size=2),
        Vector(name="kw", kind="sparse"),
    )
    telemetry = {"app": {"system": {"ram_size": 1000}}, "memory": {"resident_bytes": 77}}
    fake = gateway({"GET /telemetry?details_level=2": telemetry}, points)
    sample = tuple(Sampled(id=p.id, payload=p.payload) for p in points)
    size, notes = await condition.size_of(fake, "docs", {}, vectors, sample, "{text}")
    assert size.vector_bytes == 5 * 4 * 2 + 10 * 3 * 2 * 4 + 10 * 2 * 8
    assert size.payload_bytes == 10 * len('{"text":"abcd"}')
    assert (size.text_chars, size.points, size.exact) == (40, 10, True)
    assert (size.memory_total_bytes, size.memory_resident_bytes, notes) == (1_024_000, 77, ())


async def test_what_the_server_does_not_tell_is_a_note() -> None:
    fake = gateway()
    fake.inexact_counts.add("docs")
    size, notes = await condition.size_of(fake, "docs", {}, (Vector(name="a", kind="dense", size=4),), (), None)
    assert (size.points, size.vector_bytes, size.memory_total_bytes, size.exact) == (0, 0, None, False)
    assert len(notes) == 2


async def test_a_count_that_takes_too_long_is_an_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = gateway()

    async def count(name: str) -> int:
        raise ClusterError("no answer from the server: timed out", Action.RETRY)

    monkeypatch.setattr(fake, "count", count)
    size, notes = await condition.size_of(fake, "docs", {"points_count": 10**8}, (), (), None)
    assert (size.points, size.exact) == (10**8, False)
    assert "estimate" in notes[0]


@pytest.mark.parametrize(
    ("value", "beyond"), [(2**63 - 1, False), (2**63, True), (1e30, False), (True, False), ([{"a": [2**64 - 1]}], True)]
)
def test_integers_that_grpc_would_change_are_seen(value: Any, beyond: bool) -> None:
    assert samples.beyond_grpc(Sampled(id=1, payload={"x": {"y": value}})) is beyond


REFUSED = ClusterError("403", Action.STOP, status=403)
EMPTY = ClusterError("400 Empty update request", Action.STOP, status=400)
COUNT = "POST /collections/docs/points/count"
SLOW = "GET /profiler/slow_requests"
DELETE = "POST /collections/docs/points/delete?wait=true"


def token(access: Any) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"access": access}).encode()).decode().rstrip("=")
    return f"e30.{claims}.c2ln"


@pytest.mark.parametrize(
    ("answers", "key", "rights"),
    [
        ({COUNT: 1, SLOW: {}}, "master", (True, True, True, True)),
        ({COUNT: 1, SLOW: REFUSED, DELETE: REFUSED}, "read", (True, False, False, False)),
        (
            {COUNT: 1, SLOW: REFUSED, DELETE: EMPTY},
            token([{"collection": "docs", "access": "rw"}]),
            (True, True, True, False),
        ),
        (
            {COUNT: 1, SLOW: REFUSED, DELETE: EMPTY},
            token([{"collection": "docs", "access": "prw"}]),
            (True, True, False, False),
        ),
        (
            {COUNT: 1, SLOW: REFUSED, DELETE: EMPTY},
            token([{"collection": "other", "access": "rw"}]),
            (True, True, False, False),
        ),
        ({COUNT: REFUSED, SLOW: REFUSED, DELETE: REFUSED}, token("r"), (False, False, False, False)),
        (
            {COUNT: 1, SLOW: REFUSED, DELETE: ClusterError("429", Action.RETRY, status=429)},
            "a.b.c",
            (True, True, True, False),
        ),
    ],
)
async def test_rights_are_asked_without_side_effects(
    answers: dict[str, Any], key: str, rights: tuple[bool, ...]
) -> None:
    fake = gateway(answers)
    found, note = await servers.rights_of(fake, ALONE._replace(key=key), "docs")
    assert (found.read, found.write_points, found.write_collection, found.manage) == rights
    assert note == ""
    assert set(fake.sent) <= {COUNT, SLOW, DELETE}


async def test_a_right_that_could_not_be_asked_is_not_assumed() -> None:
    gone = ClusterError("no answer from the server", Action.RETRY)
    found, note = await servers.rights_of(gateway({COUNT: 1, SLOW: gone, DELETE: gone}), ALONE, "docs")
    assert not found.manage
    assert "no answer" in note


async def test_the_versions_of_all_peers_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {
        "status": "enabled",
        "peer_id": 11,
        "peers": {"11": {"uri": "http://a:6335/"}, "12": {"uri": "http://b:6335/"}},
    }
    peers = {"cluster": {"peer_metadata": {"11": {"version": "1.18.3"}, "12": {"version": "1.17.1"}}}}
    rights = {COUNT: 1, SLOW: {}, "GET /cluster": now}
    known, notes = await servers.servers_of(gateway({**rights, "GET /telemetry?details_level=3": peers}), ALONE, "docs")
    assert [(p.id, p.version) for p in known.peers] == [(11, "1.18.3"), (12, "1.17.1")]
    assert known.distributed
    assert notes == ()
    unknown, notes = await servers.servers_of(gateway(rights), ALONE, "docs")
    assert [p.version for p in unknown.peers] == ["1.18.3", "1.18.3"]
    assert "1 other peer" in notes[0]
    hidden, notes = await servers.servers_of(gateway({**rights, "GET /cluster": REFUSED}), ALONE, "docs")
    assert not hidden.distributed
    assert "aliases may exist" in notes[0]
    single, notes = await servers.servers_of(gateway({**rights, "GET /cluster": {"status": "disabled"}}), ALONE, "docs")
    assert ([p.id for p in single.peers], single.distributed, notes) == ([0], False, ())


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("doc", "did you mean docs"),
        ("prodd", "did you mean prod"),
        ("zzz", "changeover inspect"),
    ],
)
def test_an_unknown_name_gets_a_hint(asked: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        real_name(asked, ("docs", "images"), {"prod": "docs"})


def test_an_alias_wins_over_a_collection() -> None:
    assert real_name("prod", ("docs", "prod"), {"prod": "docs"}) == "docs"
    assert real_name("docs", ("docs",), {}) == "docs"


async def test_collections_are_listed_with_what_stands_out() -> None:
    info = {
        "status": "yellow",
        "points_count": 5,
        "config": {"params": {"vectors": {"size": 4, "distance": "Cosine"}, "sparse_vectors": {"kw": {}}}},
    }
    fake = gateway({"collections": ["docs", "secret"], "aliases": {"prod": "docs"}, "collection docs": info})
    docs, secret = await list_collections(fake)
    assert (docs.points, docs.aliases, docs.flags) == (5, ("prod",), ("its status is yellow", "its vector has no name"))
    assert docs.vectors == ("(unnamed) 4 Cosine", "kw sparse")
    assert secret.flags[0].startswith("unreadable")
