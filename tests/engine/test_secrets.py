"""A whole run with a key: it stands in no file, no output and no process's arguments; files are for their owner alone."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest

from changeover.engine.folder import runs
from changeover.errors import ExitCode
from changeover.plan.file import load
from changeover.sandbox.server import start
from changeover_tui import cli

pytestmark = pytest.mark.slow
KEY = "a-key-that-must-not-be-seen-anywhere"


def filled(url: str) -> None:
    """A small collection behind an alias."""
    chance = random.Random(1)
    with httpx.Client(base_url=url, headers={"api-key": KEY}, trust_env=False) as http:
        http.put("/collections/docs_v1", json={"vectors": {"text": {"size": 16, "distance": "Cosine"}}})
        points = [
            {"id": i, "payload": {"text": f"text {i}"}, "vector": {"text": [chance.gauss(0, 1) for _ in range(16)]}}
            for i in range(60)
        ]
        assert http.put("/collections/docs_v1/points?wait=true", json={"points": points}).is_success
        action = {"create_alias": {"collection_name": "docs_v1", "alias_name": "docs"}}
        assert http.post("/collections/aliases", json={"actions": [action]}).is_success


def test_a_key_is_nowhere_and_files_are_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHANGEOVER_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CLUSTER_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    with start("1.17", tmp_path / "server", api_key=KEY) as server:
        filled(server.url)
        before = os.umask(0)
        try:
            run(server)
        finally:
            os.umask(before)
    said = capfd.readouterr()
    assert KEY not in said.out + said.err
    found = [
        path for path in tmp_path.rglob("*") if path.is_file() and "server" not in path.relative_to(tmp_path).parts
    ]
    assert len(found) > 6
    assert not [path for path in found if KEY.encode() in path.read_bytes()]
    folder = next(runs({"CHANGEOVER_RUNS": str(tmp_path / "runs")})).path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (*folder.iterdir(), tmp_path / "plan.json")}
    assert {"journal.jsonl", "ledger.sqlite", "plan.json", "report.html", "engine.log", "lock"} <= modes.keys()
    assert set(modes.values()) == {0o600}, modes


def run(server: Any) -> None:
    """Everything by the command: the wrong key, inspect, check, plan, apply, watch, report, rollback."""
    connect = ["--url", server.url, "--api-key-env", "CLUSTER_KEY"]
    sets = ["avoid=dimensions", "route=blue-green", "target.dimension=8", "vector.name=short", "cutover=when-ready"]
    sets += ["target.collection=docs_v2", "target.reduction=leading"]
    given = [word for item in sets for word in ("--set", item)]
    os.environ["CLUSTER_KEY"] = KEY + "-wrong"
    assert cli.main(["inspect", "docs", *connect]) == ExitCode.UNREACHABLE
    os.environ["CLUSTER_KEY"] = KEY
    assert cli.main(["inspect", "docs", *connect]) == 0
    cli.main(["check", "docs", *connect, *given, "--quick"])
    assert cli.main(["plan", "docs", *connect, *given, "--quick", "-o", "plan.json"]) == 0
    codes = [finding.code for finding in load(Path("plan.json")).findings if finding.acknowledge]
    assert cli.main(["apply", "plan.json", *[word for name in codes for word in ("--accept", name)]]) == 0
    assert cli.main(["watch", "--plain"]) == 0
    assert cli.main(["report", next(runs(dict(os.environ))).name]) == 0
