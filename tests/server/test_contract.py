"""What the gateway and both wires promise, on the sandbox and on real servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from changeover.cluster.api import Wire
from changeover.cluster.capabilities import supports
from changeover.cluster.connect import open_wire
from changeover.cluster.errors import Action, ClusterError
from changeover.cluster.gateway import QdrantGateway
from changeover.cluster.wire_rest import RestWire
from changeover.plan.model import Access
from tests.server.conftest import Server

UUIDS = ["6c8f1a0e-2f3b-4a55-9d0a-0123456789ab", "00000000-0000-0000-0000-000000000001"]
PAYLOAD: dict[str, Any] = {
    "text": "naïve \u202e text \x1b[31m",
    "int": 3,
    "float": 1.0,
    "half": 0.5,
    "none": None,
    "yes": True,
    "nested": {"list": [1, "two", {"three": 3.5}], "empty": {}},
    "empty list": [],
}


@pytest.fixture(params=["rest", "grpc"])
def wire(request: pytest.FixtureRequest, server: Server) -> Iterator[Wire]:
    """Both transports; the sandbox has no gRPC."""
    if request.param == "grpc" and not server.real:
        pytest.skip("the sandbox speaks REST only")
    access = server.access if request.param == "grpc" else Access(url=server.url)
    opened = open_wire(access, {}, 2)
    if opened.transport != request.param:
        opened.close()
        pytest.skip("this server's gRPC port does not answer")
    yield opened
    opened.close()


async def make(gateway: QdrantGateway, name: str, vectors: Any, **more: Any) -> None:
    await gateway.send("PUT", f"/collections/{name}", {"vectors": vectors, **more})


async def fill(gateway: QdrantGateway, name: str, points: list[dict[str, Any]]) -> None:
    await gateway.send("PUT", f"/collections/{name}/points?wait=true", {"points": points})


def named(value: Any) -> dict[str, Any]:
    return {"old": value}


async def test_a_scroll_is_in_id_order_and_starts_where_it_is_told(
    gateway: QdrantGateway, wire: Wire, name: str
) -> None:
    await make(gateway, name, {"old": {"size": 2, "distance": "Dot"}})
    ids: list[Any] = [7, 3, 2**63 + 1, *UUIDS, 1]
    await fill(gateway, name, [{"id": i, "vector": named([1.0, 2.0]), "payload": PAYLOAD} for i in ids])
    expected = [1, 3, 7, 2**63 + 1, UUIDS[1], UUIDS[0]]
    first = wire.scroll(name, start=None, limit=4, vectors=["old"])
    assert list(first.ids) == expected[:4]
    assert first.next == expected[4]
    rest = wire.scroll(name, start=first.next, limit=10, payload=["text", "nested.list"])
    assert list(rest.ids) == expected[4:]
    assert rest.next is None
    assert first.payload(0) == PAYLOAD
    assert rest.payload(0) == {"text": PAYLOAD["text"], "nested": {"list": PAYLOAD["nested"]["list"]}}
    assert first.vector(0, "old") == [1.0, 2.0]
    assert first.vector(0, "other") is None
    assert list(wire.scroll(name, start=5, limit=1, payload=False).ids) == [7]
    chosen = wire.scroll(name, start=None, limit=9, filter={"must": [{"has_id": [7, UUIDS[0], 999]}]})
    assert list(chosen.ids) == [7, UUIDS[0]]


async def test_points_are_copied_whole_with_every_kind_of_vector(gateway: QdrantGateway, wire: Wire, name: str) -> None:
    vectors = {
        "old": {"size": 2, "distance": "Dot"},
        "image": {"size": 3, "distance": "Dot"},
        "late": {"size": 2, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}},
    }
    sparse = {"words": {}}
    await make(gateway, name, vectors, sparse_vectors=sparse)
    target = name + "_v2"
    new_vectors = {**vectors, "new": {"size": 4, "distance": "Dot"}}
    del new_vectors["old"]
    await make(gateway, target, new_vectors, sparse_vectors=sparse)
    full = {
        "old": [1, 2],
        "image": [1.5, 2.25, -3],
        "late": [[1, 2], [3, 4], [5, 6]],
        "words": {"indices": [4, 9], "values": [0.5, 2.0]},
    }
    points = [
        {"id": 1, "vector": full, "payload": PAYLOAD},
        {"id": UUIDS[0], "vector": {"old": [3, 4]}, "payload": {}},
        {"id": 9, "vector": {"image": [1, 1, 1]}, "payload": {"n": 1}},
    ]
    await fill(gateway, name, points)
    carry = {v: v for v in ("image", "late", "words")}
    page = wire.scroll(name, start=None, limit=10, vectors=list(carry))
    new = np.array([[1, 2, 3, 4], [np.nan] * 4, [5, 6, 7, 8]], dtype=np.float32)
    wire.upsert(target, page, [0, 1, 2], {"new": new}, carry=carry)
    found = {p.id: p for p in await gateway.retrieve(target, [1, 9, UUIDS[0]], vectors=True)}
    assert found[1].payload == PAYLOAD
    assert found[1].vectors["image"] == full["image"]
    assert found[1].vectors["late"] == full["late"]
    assert found[1].vectors["words"] == full["words"]
    assert found[1].vectors["new"] == [1, 2, 3, 4]
    assert found[9].vectors == {"image": [1, 1, 1]}, "a row of NaN gets no new vector"
    assert found[UUIDS[0]].vectors == {"new": [5, 6, 7, 8]}
    again = wire.scroll(target, start=None, limit=10, vectors=["new", "late", "words"])
    assert [again.has_vector(row, "new") for row in range(3)] == [True, False, True]
    assert again.vector(0, "late") == full["late"]
    assert again.vector(0, "words") == full["words"]


async def test_an_unnamed_vector_stays_unnamed(gateway: QdrantGateway, wire: Wire, name: str) -> None:
    await make(gateway, name, {"size": 2, "distance": "Dot"})
    await make(gateway, name + "_v2", {"size": 3, "distance": "Dot"})
    await fill(gateway, name, [{"id": 1, "vector": [1, 2], "payload": {"a": 1}}])
    page = wire.scroll(name, start=None, limit=10, vectors=[""])
    assert page.vector(0, "") == [1, 2]
    wire.upsert(name + "_v2", page, [0], {"": np.array([[1, 2, 3]], dtype=np.float32)})
    found = await gateway.retrieve(name + "_v2", [1], vectors=True)
    assert found[0].vectors == {"": [1, 2, 3]}
    assert (await gateway.collection(name + "_v2"))["config"]["params"]["vectors"]["size"] == 3
    wire.update_vectors(name, [1], {"": np.array([[7, 8]], dtype=np.float32)})
    assert (await gateway.retrieve(name, [1], vectors=True))[0].vectors == {"": [7, 8]}


async def test_an_update_leaves_the_rest_of_the_point_alone(gateway: QdrantGateway, wire: Wire, name: str) -> None:
    await make(gateway, name, {"old": {"size": 2, "distance": "Dot"}, "new": {"size": 2, "distance": "Dot"}})
    await fill(gateway, name, [{"id": i, "vector": named([i, 1]), "payload": {"n": i}} for i in range(1, 6)])
    wire.update_vectors(name, [1, 2, 3], {"new": np.array([[1, 1], [2, 2], [3, 3]], dtype=np.float32)})
    found = {p.id: p for p in await gateway.retrieve(name, [1, 2, 3, 4], vectors=True)}
    assert found[2].vectors == {"old": [2, 1], "new": [2, 2]}
    assert found[2].payload == {"n": 2}
    assert await gateway.count(name, {"must_not": [{"has_vector": "new"}]}) == 2
    lacking = wire.scroll(name, start=None, limit=9, filter={"must_not": [{"has_vector": "new"}]})
    assert list(lacking.ids) == [4, 5]
    if supports("update_filter", await gateway.version()):
        both = np.array([[9, 9], [9, 9]], dtype=np.float32)
        wire.update_vectors(name, [3, 4], {"new": both}, only_absent=True)
        found = {p.id: p for p in await gateway.retrieve(name, [3, 4], vectors=True)}
        assert found[3].vectors["new"] == [3, 3], "the guard leaves a point alone that has the vector"
        assert found[4].vectors["new"] == [9, 9]
    wire.delete_vectors(name, [2], ["new"])
    wire.delete_vectors(name, [], ["new"])
    assert (await gateway.retrieve(name, [2], vectors=True))[0].vectors == {"old": [2, 1]}
    with pytest.raises(ClusterError) as gone:
        wire.delete_vectors(name, [3, 999], ["new"])
    assert gone.value.action is Action.MISSING
    wire.clear_payload(name, [2])
    wire.clear_payload(name, [])
    assert (await gateway.retrieve(name, [2], vectors=True))[0].payload == {}
    wire.delete(name, [1, 2, 999])
    assert await gateway.count(name) == 3


async def test_insert_only_never_overwrites(gateway: QdrantGateway, wire: Wire, name: str) -> None:
    if not supports("update_mode", await gateway.version()):
        pytest.skip("insert-only is from 1.17 on")
    await make(gateway, name, {"old": {"size": 2, "distance": "Dot"}})
    await fill(gateway, name, [{"id": i, "vector": named([1, 1]), "payload": {"n": "page"}} for i in (1, 2)])
    page = wire.scroll(name, start=None, limit=9, vectors=["old"])
    await fill(gateway, name, [{"id": 1, "vector": named([1, 1]), "payload": {"n": "application"}}])
    wire.delete(name, [2])
    wire.upsert(name, page, [0, 1], {"old": np.ones((2, 2), dtype=np.float32)}, insert_only=True)
    found = {p.id: p.payload["n"] for p in await gateway.retrieve(name, [1, 2])}
    assert found == {1: "application", 2: "page"}


async def test_failures_are_sorted(gateway: QdrantGateway, wire: Wire, name: str) -> None:
    await make(gateway, name, {"old": {"size": 2, "distance": "Dot"}})
    await fill(gateway, name, [{"id": i, "vector": named([1, 1])} for i in range(50)])

    def action(call: Any) -> Action:
        with pytest.raises(ClusterError) as caught:
            call()
        assert "\n" not in str(caught.value)
        return caught.value.action

    ones = np.ones((3, 2), dtype=np.float32)
    assert action(lambda: wire.update_vectors(name, [1, 777, 2], {"old": ones})) is Action.MISSING
    assert action(lambda: wire.update_vectors(name, [1], {"old": np.ones((1, 5), dtype=np.float32)})) is Action.SKIP
    assert action(lambda: wire.update_vectors(name, [1], {"ghost": ones[:1]})) is Action.STOP
    assert action(lambda: wire.scroll(name + "_missing", start=None, limit=1)) is Action.STOP
    assert action(lambda: wire.delete(name + "_missing", [1])) is Action.STOP
    if isinstance(wire, RestWire):
        huge = np.random.default_rng(0).normal(size=(40, 100_000)).astype(np.float32)
        assert action(lambda: wire.update_vectors(name, list(range(40)), {"old": huge})) is Action.SPLIT


async def test_the_gateway_answers(gateway: QdrantGateway, name: str) -> None:
    await make(gateway, name, {"old": {"size": 2, "distance": "Cosine"}})
    assert await gateway.exists(name)
    assert not await gateway.exists(name + "_none")
    await fill(gateway, name, [{"id": i, "vector": named([i, 1]), "payload": {"n": i}} for i in range(1, 31)])
    assert await gateway.count(name) == 30
    assert name in await gateway.collections()
    body = {"actions": [{"create_alias": {"alias_name": name + "_a", "collection_name": name}}]}
    await gateway.send("POST", "/collections/aliases", body)
    assert (await gateway.aliases())[name + "_a"] == name
    hits = await gateway.search(name + "_a", [1.0, 1.0], using="old", limit=3)
    assert hits[0].id == 1
    assert next(h.id for h in await gateway.search(name, [1.0, 1.0], using="old", limit=3, exact=True)) == 1
    sampled = await gateway.sample(name, 10)
    assert len({p.id for p in sampled}) == 10
    assert all(p.payload["n"] == p.id for p in sampled)
    points, following = await gateway.scroll(name, limit=10, offset=5)
    assert [p.id for p in points] == list(range(5, 15))
    assert following == 15
    state = await gateway.optimizations(name)
    assert state.color in ("green", "yellow")
    assert (state.queued is None) == (not supports("optimizations", await gateway.version()))
    with pytest.raises(ClusterError) as caught:
        await gateway.search(name, [1.0, 1.0, 1.0], using="old")
    assert caught.value.status == 400


async def test_adding_a_vector_is_gated_by_version(gateway: QdrantGateway, name: str) -> None:
    await make(gateway, name, {"old": {"size": 2, "distance": "Cosine"}})
    body = {"dense": {"size": 3, "distance": "Cosine"}}
    path = f"/collections/{name}/vectors/new?wait=true"
    if not supports("add_vector", await gateway.version()):
        with pytest.raises(ClusterError) as caught:
            await gateway.send("PUT", path, body)
        assert caught.value.status == 404
        assert caught.value.action is Action.STOP
        return
    await gateway.send("PUT", path, body)
    await gateway.send("PUT", path, body)
    assert set((await gateway.collection(name))["config"]["params"]["vectors"]) == {"old", "new"}
    with pytest.raises(ClusterError, match="different configuration"):
        await gateway.send("PUT", path, {"dense": {"size": 4, "distance": "Cosine"}})
