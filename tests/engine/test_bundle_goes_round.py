"""A bundle is made where the cluster is, a plan is made from it where there is none, and the plan runs at home."""

from __future__ import annotations

import io
import os
import random
from pathlib import Path

import httpx
import msgspec
import pytest

from changeover.bundle.file import load
from changeover.engine.folder import find, runs
from changeover.errors import ExitCode
from changeover.plan.file import load as load_plan
from changeover.sandbox.server import SandboxServer, start
from changeover_tui import cli

pytestmark = pytest.mark.slow
SECRET = "quaternion-secret-text"
KEY = "a-key-that-must-not-be-seen-anywhere"
SETS = ("avoid=dimensions", "route=blue-green", "target.dimension=8", "vector.name=short", "cutover=when-ready")
SETS += ("target.collection=docs_v2", "target.reduction=leading")


def filled(server: SandboxServer) -> None:
    """A small collection behind an alias, with texts and metadata that are nobody's business."""
    chance = random.Random(1)
    with httpx.Client(base_url=server.url, headers={"api-key": KEY}, trust_env=False) as http:
        body = {"vectors": {"text": {"size": 16, "distance": "Cosine"}}, "metadata": {"owner": SECRET}}
        assert http.put("/collections/docs_v1", json=body).is_success
        points = [
            {"id": i, "payload": {"text": f"{SECRET} {i}"}, "vector": {"text": [chance.gauss(0, 1) for _ in range(16)]}}
            for i in range(60)
        ]
        assert http.put("/collections/docs_v1/points?wait=true", json={"points": points}).is_success
        action = {"create_alias": {"collection_name": "docs_v1", "alias_name": "docs"}}
        assert http.post("/collections/aliases", json={"actions": [action]}).is_success


def test_from_the_customer_to_support_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home, desk = tmp_path / "home", tmp_path / "desk"
    for folder in (home, desk):
        folder.mkdir()
    monkeypatch.setenv("CLUSTER_KEY", KEY)
    monkeypatch.setenv("CHANGEOVER_RUNS", str(home / "runs"))
    monkeypatch.chdir(home)
    with start("1.17", tmp_path / "server", api_key=KEY) as server:
        filled(server)
        # 127.1 is this machine too, and no name that every machine has: it has to be taken out.
        url = server.url.replace("127.0.0.1", "127.1")
        sets = [word for item in SETS for word in ("--set", item)]
        assert cli.main(["bundle", "docs", "--url", url, "--api-key-env", "CLUSTER_KEY", *sets]) == ExitCode.DONE
        said = capsys.readouterr()
        assert "taken out  addresses of hosts" in said.err and "texts of sampled points (60)" in said.err
        sent = home / "docs.bundle.json"
        assert said.out.strip() == sent.name and sent.stat().st_mode & 0o777 == 0o600
        data = sent.read_text()
        assert SECRET not in data and KEY not in data and "127.1" not in data
        assert load(sent).probes.dimensions is not None, "what was measured goes along"

        received = desk / "docs.bundle.json"
        received.write_text(data)
        with monkeypatch.context() as elsewhere:
            elsewhere.setenv("CHANGEOVER_RUNS", str(desk / "runs"))
            elsewhere.delenv("CLUSTER_KEY")
            elsewhere.chdir(desk)
            assert cli.main(["open", received.name, "-o", "plan.json"]) == ExitCode.DONE
            said = capsys.readouterr()
            assert "send it to where the bundle was made" in said.err
            assert "not measured" not in said.err
            elsewhere.setenv("CLUSTER_KEY", KEY)
            assert cli.main(["apply", "plan.json", "--url", url]) == ExitCode.BLOCKED
            assert "does not know what was taken out" in capsys.readouterr().err
        plan = load_plan(desk / "plan.json")
        accept = [word for found in plan.findings if found.acknowledge for word in ("--accept", found.code)]

        path = str(desk / "plan.json")
        with httpx.Client(base_url=server.url, headers={"api-key": KEY}, trust_env=False) as http:
            index = {"field_name": "lang", "field_schema": "keyword"}
            assert http.put("/collections/docs_v1/index?wait=true", json=index).is_success
            assert cli.main(["apply", path, *accept]) == ExitCode.BLOCKED
            said = capsys.readouterr()
            assert "changed: payload index lang is new" in said.err and not list(runs(dict(os.environ)))
            assert http.delete("/collections/docs_v1/index/lang?wait=true").is_success
            assert cli.main(["apply", path, *accept]) == ExitCode.DONE
            assert f"it is for {url}" in capsys.readouterr().err
            now = http.get("/collections/docs").json()["result"]["config"]
        assert now["params"]["vectors"]["short"]["size"] == 8
        assert now["metadata"]["owner"] == SECRET, "what was taken out of the metadata is back"
        run = find(plan.id, dict(os.environ))
        assert run.plan().job.access.url == url

        assert cli.main(["bundle", plan.id, "--quick"]) == ExitCode.DONE
        said = capsys.readouterr()
        assert "plan (blue-green" in said.err or "journal (" in said.err
    bundle = load(home / f"{plan.id}.bundle.json")
    seen = msgspec.json.encode(bundle).decode()
    assert SECRET not in seen and KEY not in seen and "127.1" not in seen
    assert bundle.survey is not None and bundle.survey.collection == "docs_v2"
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert cli.main(["open", str(home / f"{plan.id}.bundle.json"), "--plain"]) == ExitCode.USAGE
    said = capsys.readouterr()
    assert f"the run {plan.id}, as it stood then (finished)" in said.err
    assert "the input ended" in said.err
