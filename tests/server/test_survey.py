"""Surveys of collections of every shape, on the sandbox and on real servers."""

from __future__ import annotations

import random
import uuid
from typing import Any

import pytest

from changeover.cluster.gateway import QdrantGateway
from changeover.embed.model import ModelSpec
from changeover.embed.protocol import load
from changeover.errors import UsageError
from changeover.ids import id_key
from changeover.sandbox import corpus
from changeover.survey import model as sm
from changeover.survey.describe import lines
from changeover.survey.listing import list_collections
from changeover.survey.take import take
from tests.server.conftest import Server


async def make(gateway: QdrantGateway, name: str, config: dict[str, Any], points: list[dict[str, Any]]) -> None:
    await gateway.send("PUT", f"/collections/{name}", config)
    if points:
        await gateway.send("PUT", f"/collections/{name}/points?wait=true", {"points": points})


async def look(gateway: QdrantGateway, server: Server, name: str, **more: Any) -> sm.Survey:
    found = await take(gateway, name, server.access, environ={}, **more)
    assert all(value.isprintable() for _, value in lines(found))
    assert sm.from_json(sm.to_json(found)) == found
    return found


async def test_a_collection_is_surveyed_through_its_alias(gateway: QdrantGateway, server: Server, name: str) -> None:
    dice = random.Random(5)
    points = [
        {
            "id": i if i % 2 else str(uuid.UUID(int=dice.getrandbits(128))),
            "vector": {"old": [dice.random() for _ in range(4)]},
            "payload": {"text": f"A sentence about thing {i} " * dice.randint(1, 9), "k": "a", "n": i},
        }
        for i in range(1, 501)
    ]
    await make(gateway, name, {"vectors": {"old": {"size": 4, "distance": "Cosine"}}}, points)
    index = {"field_name": "k", "field_schema": "keyword"}
    await gateway.send("PUT", f"/collections/{name}/index?wait=true", index)
    actions = [{"create_alias": {"alias_name": f"{name}_prod", "collection_name": name}}]
    await gateway.send("POST", "/collections/aliases", {"actions": actions})
    found = await look(gateway, server, f"{name}_prod")
    assert (found.asked, found.collection) == (f"{name}_prod", name)
    assert [a.name for a in found.aliases] == [f"{name}_prod"]
    assert found.cluster.version == await gateway.version()
    assert found.cluster.rights == sm.Rights(read=True, write_points=True, write_collection=True, manage=True)
    assert (found.cluster.grpc_port is None) == (not server.real)
    assert [p.version for p in found.cluster.peers] == [found.cluster.version]
    assert [(v.name, v.size, v.points) for v in found.vectors] == [("old", 4, 500)]
    assert (found.size.points, found.size.exact, found.size.vector_bytes) == (500, True, 500 * 16)
    assert found.size.payload_bytes > 500 * 30
    assert [(i.field, i.schema) for i in found.indexes] == [("k", {"type": "keyword"})]
    assert (found.text.template, found.text.proven) == ("{text}", None)
    assert len(found.sample) == 200
    assert len({p.id for p in found.sample}) == 200
    assert len(found.id_cuts) >= 64
    assert list(found.id_cuts) == sorted(found.id_cuts, key=id_key)
    assert {type(i) for i in found.id_cuts} == {int, str}
    assert name in found.collections
    listed = next(one for one in await list_collections(gateway) if one.name == name)
    assert (listed.points, listed.vectors, listed.aliases) == (500, ("old 4 Cosine",), (f"{name}_prod",))


DENSE = {"vectors": {"old": {"size": 2, "distance": "Dot"}}}
SPARSE = {"sparse_vectors": {"kw": {"modifier": "idf"}}}
UNUSUAL: dict[str, tuple[dict[str, Any], list[dict[str, Any]], dict[str, int | None]]] = {
    "empty": (DENSE, [], {"old": 0}),
    "no payload": (DENSE, [{"id": i, "vector": {"old": [1.0, 2.0]}} for i in range(5)], {"old": 5}),
    "sparse only": (
        SPARSE,
        [{"id": 1, "vector": {"kw": {"indices": [1, 7], "values": [1.0, 0.5]}}, "payload": {"text": "some words"}}],
        {"kw": 1},
    ),
    "without vectors": (DENSE, [{"id": i, "vector": {}, "payload": {"x": None}} for i in range(3)], {"old": 0}),
    "unnamed": (
        {"vectors": {"size": 2, "distance": "Dot"}, **SPARSE},
        [{"id": 1, "vector": [1.0, 2.0]}, {"id": 2, "vector": {"kw": {"indices": [3], "values": [1.0]}}}],
        {"": 1, "kw": 1},
    ),
}


@pytest.mark.parametrize("kind", UNUSUAL)
async def test_unusual_collections_are_surveyed(gateway: QdrantGateway, server: Server, name: str, kind: str) -> None:
    config, points, counts = UNUSUAL[kind]
    await make(gateway, name, config, points)
    found = await look(gateway, server, name)
    assert {v.name: v.points for v in found.vectors} == counts
    assert found.size.points == len(points)
    assert len(found.sample) == len(points)
    assert found.aliases == ()


async def test_strict_mode_is_surveyed_within_its_limits(gateway: QdrantGateway, server: Server, name: str) -> None:
    strict = {"enabled": True, "max_query_limit": 5, "search_allow_exact": False}
    points = [{"id": i, "vector": {"old": [1.0, float(i)]}, "payload": {"text": f"words of {i}"}} for i in range(40)]
    await make(gateway, name, {**DENSE, "strict_mode_config": strict}, points)
    found = await look(gateway, server, name)
    assert found.strict["max_query_limit"] == 5
    assert not found.size.exact
    assert len(found.sample) >= 5
    assert found.text.template == "{text}"
    assert any("estimate" in note for note in found.notes)


async def test_grpc_is_left_alone_where_it_would_change_a_payload(
    gateway: QdrantGateway, server: Server, name: str
) -> None:
    point = {"id": 1, "vector": {"old": [1.0, 2.0]}, "payload": {"deep": [{"n": 2**63 + 1}]}}
    await make(gateway, name, DENSE, [point])
    found = await look(gateway, server, name)
    assert found.cluster.grpc_port is None
    assert found.sample[0].payload["deep"][0]["n"] == 2**63 + 1
    assert any("gRPC" in note for note in found.notes) == server.real


async def test_a_name_that_is_not_there_gets_a_hint(gateway: QdrantGateway, server: Server, name: str) -> None:
    await make(gateway, name, DENSE, [])
    with pytest.raises(UsageError, match=f"did you mean {name}"):
        await take(gateway, name[:-1], server.access, environ={})


async def test_the_text_is_proven_with_the_model_that_made_the_vectors(
    gateway: QdrantGateway, server: Server, name: str
) -> None:
    spec = ModelSpec(provider="sandbox", name="wordllama")
    model = load(spec, {})
    documents = corpus.documents()[:120]
    vectors = model.embed_documents([f"{d.title}\n{d.text}" for d in documents])
    points = [
        {"id": i, "vector": {"old": v.tolist()}, "payload": {"title": d.title, "text": d.text, "kind": d.kind}}
        for i, (d, v) in enumerate(zip(documents, vectors, strict=True))
    ]
    await make(gateway, name, {"vectors": {"old": {"size": model.dimension, "distance": "Cosine"}}}, points)
    model.close()
    found = await look(gateway, server, name, old_model=spec)
    assert found.text.proven is True
    assert found.text.template == "{title}\n{text}"
    assert found.text.proofs[0].median > 0.999
    assert found.text.proofs[-1].median < found.text.proofs[0].median
