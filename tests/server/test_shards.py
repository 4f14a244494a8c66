"""Custom shard keys on real servers in cluster mode: a whole run per route and transport, with keys that come and go."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import httpx
import pytest

from changeover.decision.answers import Answers, TargetAnswer, TextAnswer, VectorAnswer
from changeover.embed.protocol import load
from changeover.engine import control
from changeover.engine.folder import RunFolder
from changeover.errors import ExitCode
from changeover.plan.model import Access
from changeover.sandbox import corpus
from changeover_tui import cli
from tests.engine import live
from tests.engine.small_world import ACCEPTED, NEW, OLD, kill_leftovers, same
from tests.server.conftest import Server

pytestmark = pytest.mark.slow
NAME, LIVE = "changeover_test_shards", "changeover_test_shards_live"
Points = dict[tuple[int | str, int], dict[str, Any]]


class Tenants:
    """A collection whose tenants each have a shard key, with ids that repeat; `points` is what was written."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=60.0, trust_env=False)
        self.model, self.points, self.chance = load(OLD), Points(), random.Random(3)
        self.texts = [document.payload()["text"] for document in corpus.documents(300)]
        vectors = {"text": {"size": 256, "distance": "Cosine"}}
        body = {"vectors": vectors, "sharding_method": "custom", "shard_number": 1}
        self.send("PUT", f"/collections/{NAME}", body)
        for key in ("acme", 42, "42"):
            self.add(NAME, key, range(30))
        action = {"create_alias": {"collection_name": NAME, "alias_name": LIVE}}
        self.send("POST", "/collections/aliases", {"actions": [action]})

    def send(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.http.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer.json()["result"]

    def add(self, collection: str, key: int | str, ids: range) -> None:
        self.send("PUT", f"/collections/{collection}/shards", {"shard_key": key})
        if ids:
            self.write(collection, key, list(ids))

    def write(self, collection: str, key: int | str, ids: list[int], model: Any = None, vector: str = "text") -> None:
        payloads = [{"text": self.chance.choice(self.texts), "tenant": repr(key)} for _ in ids]
        rows = (model or self.model).embed_documents([payload["text"] for payload in payloads]).tolist()
        points = [
            {"id": i, "payload": p, "vector": {vector: row}} for i, p, row in zip(ids, payloads, rows, strict=True)
        ]
        self.send("PUT", f"/collections/{collection}/points?wait=true", {"points": points, "shard_key": key})
        self.points |= {(key, i): payload for i, payload in zip(ids, payloads, strict=True)}

    def delete(self, collection: str, key: int | str, ids: list[int]) -> None:
        body = {"points": ids, "shard_key": key}
        self.send("POST", f"/collections/{collection}/points/delete?wait=true", body)
        for i in ids:
            del self.points[key, i]

    def remove(self, collection: str, key: int | str) -> None:
        self.send("POST", f"/collections/{collection}/shards/delete", {"shard_key": key})
        self.points = {where: payload for where, payload in self.points.items() if where[0] is not key}

    def check(self, collection: str, vector: str, model: Any) -> None:
        """Every point under its own key, with a fresh embedding of its own text."""
        stored: dict[tuple[int | str, int], Any] = {}
        for key in dict.fromkeys(where[0] for where in self.points):
            body = {"limit": 1000, "with_payload": True, "with_vector": True, "shard_key": key}
            for row in self.send("POST", f"/collections/{collection}/points/scroll", body)["points"]:
                stored[key, row["id"]] = row
        assert stored.keys() == self.points.keys()
        assert {where: row["payload"] for where, row in stored.items()} == self.points
        fresh = load(model).embed_documents([row["payload"]["text"] for row in stored.values()])
        wrong = [w for (w, r), f in zip(stored.items(), fresh, strict=True) if not same(r["vector"][vector], f)]
        assert not wrong, wrong[:5]

    def close(self) -> None:
        for collection in (NAME, f"{NAME}_v2"):
            self.http.delete(f"/collections/{collection}")
        self.http.close()


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
@pytest.mark.parametrize("route", ["in-place", "blue-green"])
def test_every_tenant_is_carried_over_by_itself(
    real_server: Server, route: str, grpc: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if httpx.get(f"{real_server.url}/cluster").json()["result"]["status"] != "enabled":
        pytest.skip("this server has no cluster mode: it takes no shard keys")
    environ = live.environ_for(tmp_path / "runs")
    monkeypatch.setenv("CHANGEOVER_RUNS", str(tmp_path / "runs"))
    tenants = Tenants(real_server.url)
    try:
        access = Access(url=real_server.url, grpc_port=real_server.access.grpc_port if grpc else None)
        answers = Answers(
            collection=LIVE,
            route=route,  # type: ignore[arg-type]
            model=NEW,
            old_model=OLD,
            text=TextAnswer(field="text"),
            vector=VectorAnswer(name="better") if route == "in-place" else VectorAnswer(),
            target=TargetAnswer(collection=f"{NAME}_v2"),
        )
        plan = live.plan_of(access, LIVE, answers, environ, trials=False)
        run = RunFolder.create(plan, environ, accepted=ACCEPTED | {finding.code for finding in plan.findings})
        live.kill(run, live.start(run, environ))
        tenants.add(NAME, "latecomer", range(20, 40))
        live.start(run, environ)
        live.wait_for(run, lambda state: state.ready is not None and state.ready.ready)
        tenants.write(NAME, "acme", list(range(25, 45)))
        tenants.delete(NAME, 42, [3, 4])
        tenants.remove(NAME, "42")
        passes = len(run.state().passes)
        live.wait_for(run, lambda state: len(state.passes) > passes + 1)
        control.ask(run.control, "cutover", plan.job.name_in_use)
        live.wait_for(run, lambda state: state.status == "finished")
        live.wait_until_gone(run)
        tenants.check(plan.job.target, plan.job.target_vector, NEW)
        new = load(NEW)
        tenants.add(LIVE if route == "in-place" else plan.job.target, "newcomer", range(0))
        tenants.write(LIVE, "newcomer", [1, 2, 3], new, plan.job.target_vector)
        tenants.write(LIVE, 42, [1, 2, 3], new, plan.job.target_vector)
        assert cli.main(["rollback", run.name, "--confirm", plan.job.name_in_use]) == ExitCode.DONE
        tenants.check(NAME, "text", OLD)
    finally:
        kill_leftovers(environ)
        tenants.close()
