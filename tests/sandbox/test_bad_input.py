"""Bad input gives one clear line and the right exit code, and nothing is written to the cluster."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from changeover.sandbox.server import SandboxServer, start

KEY = "the-secret-key-of-this-test"
POINTS = [
    {"id": i, "vector": [0.1 * i, 1, 0, 0], "payload": {"text": f"some words number {i}", "n": i}} for i in range(8)
]
FOUND = ("text-unproven", "query-model-must-change")
"""Findings of these plans that have to be acknowledged."""
READS = (
    "GET ",
    "POST /collections/{name}/points/scroll",
    "POST /collections/{name}/points/count",
    "POST /collections/{name}/points/query",
    "POST /collections/{name}/points",
)


class World(NamedTuple):
    """A sandbox that asks for a key, and the environment of a command."""

    server: SandboxServer
    environ: dict[str, str]
    folder: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("bad-input")
    with start("1.18", folder / "data", api_key=KEY) as server:
        with httpx.Client(base_url=server.url, headers={"api-key": KEY}, trust_env=False) as client:
            for name, payload in (("docs", True), ("numbers", False)):
                client.put(f"/collections/{name}", json={"vectors": {"size": 4, "distance": "Cosine"}})
                points = [{**p, "payload": p["payload"] if payload else {"n": p["id"]}} for p in POINTS]
                client.put(f"/collections/{name}/points?wait=true", json={"points": points})
            for name in ("named", "drifting"):
                client.put(f"/collections/{name}", json={"vectors": {"old": {"size": 4, "distance": "Cosine"}}})
                named = [{**p, "vector": {"old": p["vector"]}} for p in POINTS]
                client.put(f"/collections/{name}/points?wait=true", json={"points": named})
        environ = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "CHANGEOVER_RUNS": str(folder / "runs"),
            "MY_KEY": KEY,
            "WRONG_KEY": "not-" + KEY,
            "HF_HUB_OFFLINE": "1",
        }
        yield World(server, environ, folder)


def run(world: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "changeover_tui", *arguments],
        env=world.environ,
        cwd=world.folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def writes(world: World) -> dict[str, int]:
    requests = httpx.get(world.server.url + "/sandbox/stats", headers={"api-key": KEY}, trust_env=False).json()[
        "requests"
    ]
    return {call: n for call, n in requests.items() if not call.startswith("GET ") and call not in READS and n}


def plan(world: World, collection: str, *extra: str) -> list[str]:
    url = ["--url", world.server.url, "--api-key-env", "MY_KEY"]
    model = ["--set", "model.provider=sandbox", "--set", "model.name=wordllama"]
    return ["plan", collection, *url, *model, "-o", "plan.json", *extra]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["inspect", "--url", "http://127.0.0.1:9", "--api-key-env", "MY_KEY"], 3, "127.0.0.1:9"),
        (["inspect", "--url", "nonsense://x"], 2, "not an http or https URL"),
        (["inspect", "--url", "{url}", "--api-key-env", "WRONG_KEY"], 3, "key"),
        (["inspect", "--url", "{url}", "--api-key-env", "UNSET"], 2, "no variable of that name"),
        (["inspect", "--url", "{url}"], 3, "key"),
        (["inspect", "dcos", "--url", "{url}", "--api-key-env", "MY_KEY"], 2, "did you mean docs"),
        (["plan", "docs", "--url", "{url}", "--api-key-env", "MY_KEY", "--answers", "none.toml"], 2, "none.toml"),
        (["plan", "docs", "--url", "{url}", "--api-key-env", "MY_KEY", "--set", "limits.batch=x"], 2, "limits.batch"),
        (["apply", "none.json"], 2, "none.json"),
        (["watch", "no-such-run"], 2, "no such run"),
        (["explain", "unnamed-vektor"], 2, "unnamed-vector"),
        (["frobnicate"], 2, "frobnicate"),
    ],
)
def test_one_line_and_the_right_exit_code(world: World, arguments: list[str], code: int, message: str) -> None:
    before = writes(world)
    done = run(world, *(a.format(url=world.server.url) for a in arguments))
    assert done.returncode == code, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert message in last
    assert "Traceback" not in done.stderr
    assert KEY not in done.stdout + done.stderr
    assert writes(world) == before


def test_a_collection_without_text_is_blocked(world: World) -> None:
    before = writes(world)
    done = run(world, *plan(world, "numbers"))
    assert done.returncode == 4
    assert "text" in done.stderr.strip().splitlines()[-1]
    assert writes(world) == before


def test_a_model_folder_that_is_none_is_blocked(world: World) -> None:
    (world.folder / "empty").mkdir(exist_ok=True)
    url = ["--url", world.server.url, "--api-key-env", "MY_KEY"]
    before = writes(world)
    done = run(world, "plan", "named", *url, "--set", "model.provider=fastembed", "--set", "model.path=empty")
    assert done.returncode == 4
    assert "empty" in done.stderr
    assert "Traceback" not in done.stderr
    assert writes(world) == before


def test_a_plan_edited_by_hand_and_a_cluster_that_changed_are_refused(world: World) -> None:
    done = run(world, *plan(world, "drifting", "--set", "vector.name=new"))
    assert done.returncode == 0, done.stderr
    path = world.folder / "plan.json"
    good = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert KEY not in good.decode()
    before = writes(world)
    path.write_bytes(good.replace(b'"batch": 256', b'"batch": 255'))
    edited = run(world, "apply", "plan.json", "--detach")
    assert edited.returncode == 2
    assert "was changed after it was written" in edited.stderr.strip().splitlines()[-1]
    path.write_bytes(good)
    unaccepted = run(world, "apply", "plan.json", "--detach")
    assert unaccepted.returncode == 4
    assert f"to be acknowledged first: {', '.join(FOUND)}" in unaccepted.stderr
    assert writes(world) == before
    with httpx.Client(base_url=world.server.url, headers={"api-key": KEY}, trust_env=False) as client:
        client.put("/collections/drifting/index?wait=true", json={"field_name": "n", "field_schema": "integer"})
    before = writes(world)
    other = run(world, *plan(world, "named", "--set", "vector.name=new"))
    assert other.returncode == 0
    path.write_bytes(good)
    accepted = [word for finding in FOUND for word in ("--accept", finding)]
    drifted = run(world, "apply", "plan.json", "--detach", "--run-dir", "second", *accepted)
    assert drifted.returncode == 4, drifted.stderr
    assert "payload index n is new" in drifted.stderr
    assert writes(world) == before
