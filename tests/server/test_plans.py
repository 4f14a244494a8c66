"""Every request of a plan is sent as it stands, and the server makes of it what the plan says."""

from __future__ import annotations

from typing import Any

import pytest

from changeover.checks.model import ModelProbe, Probes
from changeover.checks.registry import run
from changeover.cluster.gateway import QdrantGateway
from changeover.decision.answers import Answers, TextAnswer, VectorAnswer
from changeover.decision.tree import propose
from changeover.embed.model import ModelSpec
from changeover.engine.steps.compare import configuration
from changeover.errors import BlockedError
from changeover.plan import model as pm
from changeover.plan.drift import differences
from changeover.routes.build import build
from changeover.survey.take import take
from tests.server.conftest import CLOSED, Server, adds_vectors

PROBES = Probes(new_model=ModelProbe(dimension=6, texts_per_s=100.0, tokens_per_text=10.0, fingerprint="abc"))
MODEL = ModelSpec(provider="sandbox", name="minilm")
PLAIN: dict[str, Any] = {
    "vectors": {"text": {"size": 4, "distance": "Cosine"}, "image": {"size": 3, "distance": "Dot"}},
    "sparse_vectors": {"words": {"modifier": "idf"}},
    "on_disk_payload": True,
    "optimizers_config": {"indexing_threshold": 12_345},
    "hnsw_config": {"m": 24, "ef_construct": 90},
}
RICH: dict[str, Any] = PLAIN | {
    "vectors": {
        "text": {
            "size": 4,
            "distance": "Cosine",
            "on_disk": True,
            "datatype": "float16",
            "hnsw_config": {"m": 8},
            "quantization_config": {"scalar": {"type": "int8", "always_ram": True}},
        },
        "image": {"size": 3, "distance": "Dot"},
        "tokens": {"size": 2, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}},
    },
    "quantization_config": {"scalar": {"type": "int8"}},
    "strict_mode_config": {"enabled": True, "max_query_limit": 500},
}
INDEXES: tuple[dict[str, Any], ...] = (
    {"field_name": "lang", "field_schema": "keyword"},
    {"field_name": "tenant", "field_schema": {"type": "keyword", "is_tenant": True}},
    {"field_name": "n", "field_schema": {"type": "integer", "lookup": False, "range": True}},
)


async def planned(gateway: QdrantGateway, server: Server, name: str, config: dict[str, Any], route: Any) -> Any:
    """(survey, plan) of a small collection behind an alias, all names below `name`."""
    await gateway.send("PUT", f"/collections/{name}", config)
    for index in INDEXES:
        await gateway.send("PUT", f"/collections/{name}/index?wait=true", index)
    points = [{"id": i, "vector": {"text": [1, 2, 3, i]}, "payload": {"text": f"Point {i}", "n": i}} for i in (1, 2)]
    await gateway.send("PUT", f"/collections/{name}/points?wait=true", {"points": points})
    alias = {"create_alias": {"alias_name": f"{name}_prod", "collection_name": name}}
    await gateway.send("POST", "/collections/aliases", {"actions": [alias]})
    found = await take(gateway, f"{name}_prod", server.access, environ={})
    said = Answers(model=MODEL, text=TextAnswer(field="text"), vector=VectorAnswer(source="text"), route=route)
    completed = propose(found, said, PROBES)
    return found, build(found, completed, run(found, completed, PROBES), PROBES, server.access)


async def send_all(gateway: QdrantGateway, plan: pm.Plan) -> None:
    for step in plan.steps:
        requests = getattr(step, "requests", None) or (getattr(step, "request", None),)
        for request in requests:
            if request is not None:
                await gateway.send(request.method, request.path, request.body)


def configs(server: Server) -> list[dict[str, Any]]:
    return [PLAIN, RICH] if server.real else [PLAIN]


async def test_blue_green_makes_a_collection_with_the_same_configuration(
    gateway: QdrantGateway, server: Server, name: str
) -> None:
    for number, config in enumerate(configs(server)):
        _, plan = await planned(gateway, server, f"{name}{number}", config, "blue-green")
        await send_all(gateway, plan)
        source, target = await gateway.collection(plan.job.source), await gateway.collection(plan.job.target)
        assert configuration(source, target, plan.job) == []
        assert target["config"]["optimizer_config"]["indexing_threshold"] == 12_345
        vectors = target["config"]["params"]["vectors"]
        assert vectors["text"] == source["config"]["params"]["vectors"]["text"] | {"size": 6}
        assert target["payload_schema"].keys() == source["payload_schema"].keys()
        assert (await gateway.aliases())[f"{name}{number}_prod"] == plan.job.target
        after = await take(gateway, f"{name}{number}_prod", server.access, environ={})
        changed = differences(plan, after)
        assert any(f"was {plan.job.source}, now it is {plan.job.target}" in line for line in changed)


async def test_in_place_adds_a_vector_with_the_settings_of_the_old_one(
    gateway: QdrantGateway, server: Server, name: str
) -> None:
    if not adds_vectors(server):
        with pytest.raises(BlockedError, match=CLOSED):
            await planned(gateway, server, name, next(iter(configs(server))), "in-place")
        return
    for number, config in enumerate(configs(server)):
        found, plan = await planned(gateway, server, f"{name}{number}", config, "in-place")
        assert differences(plan, found) == ()
        await send_all(gateway, plan)
        info = await gateway.collection(plan.job.source)
        vectors = info["config"]["params"]["vectors"]
        old, new = vectors["text"], vectors[plan.job.target_vector]
        assert _plain(new) == _plain(old) | {"size": 6}
        assert info["config"]["metadata"]["changeover"]["model"]["fingerprint"] == "abc"
        after = await take(gateway, f"{name}{number}_prod", server.access, environ={})
        assert differences(plan, after) == (f"vector {plan.job.target_vector} is new",)


def _plain(vector: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in vector.items() if value is not None}
