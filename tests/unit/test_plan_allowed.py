"""A plan file from somebody else: no step reaches further than its kind, and no content brings more than one line."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from changeover import seals
from changeover.decision.tree import propose
from changeover.errors import UsageError
from changeover.plan import file as plan_file
from changeover.plan import model as pm
from changeover.plan.allowed import PATHS, refuse_foreign
from changeover.plan.text import as_text
from changeover.routes.build import build
from changeover.routes.way_back import Sides, removal
from changeover.routes.way_back import build as way_back
from tests.unit.surveys import ACCESS, OLD, PROBES, answers, survey


def made(route: str = "blue-green", **said: Any) -> pm.Plan:
    taken = survey()
    completed = propose(taken, answers(route=route, **said), PROBES)
    return build(taken, completed, (), PROBES, ACCESS)


def changed(plan: pm.Plan, kind: type, change: Callable[[pm.Request], pm.Request], field: str = "request") -> pm.Plan:
    """The plan, sealed anew, with another request in its step of that kind."""

    def of(step: Any) -> Any:
        if not isinstance(step, kind):
            return step
        now = getattr(step, field)
        new = change(now) if isinstance(now, pm.Request) else tuple(map(change, now))
        return msgspec.structs.replace(step, **{field: new})

    assert any(isinstance(step, kind) for step in plan.steps)
    return seals.seal(msgspec.structs.replace(plan, steps=tuple(map(of, plan.steps)), hash=""))


def read_again(plan: pm.Plan) -> pm.Plan:
    return plan_file.from_json(plan_file.to_json(plan), "mine.json")


@pytest.mark.parametrize("route", ["in-place", "blue-green"])
def test_what_changeover_plans_is_allowed(route: str) -> None:
    plan = made(route)
    assert read_again(plan) == plan
    info = {"config": {"params": {"vectors": {"text": {"size": 256, "distance": "Cosine"}}}}}
    aliases = {"docs": plan.job.target, plan.job.name_in_use: plan.job.target}
    sides = Sides(version="1.19.0", old=info, aliases=aliases, points=10)
    assert read_again(way_back(plan, sides, OLD, run="one", name="one-back"))
    assert read_again(removal(plan, sides, run="one", name="one-cleanup", snapshot=True, safe=True))


ELSEWHERE = [
    lambda r: msgspec.structs.replace(r, path="/collections/other"),
    lambda r: msgspec.structs.replace(r, path=r.path + "/../other"),
    lambda r: msgspec.structs.replace(r, method="DELETE"),
    lambda r: msgspec.structs.replace(r, path="http://127.0.0.1:1" + r.path),
    lambda r: msgspec.structs.replace(r, path=r.path.replace("docs", "d%6fcs") + "\n"),
]


@pytest.mark.parametrize("change", ELSEWHERE)
@pytest.mark.parametrize(
    ("route", "kind", "field"),
    [
        ("blue-green", pm.CreateCollection, "request"),
        ("blue-green", pm.CreateIndexes, "requests"),
        ("blue-green", pm.PauseIndexing, "request"),
        ("blue-green", pm.SwapAlias, "request"),
        ("blue-green", pm.WriteMetadata, "request"),
        ("in-place", pm.AddVector, "request"),
    ],
)
def test_a_step_that_reaches_further_is_refused(route: str, kind: type, field: str, change: Any) -> None:
    bad = changed(made(route), kind, change, field)
    with pytest.raises(UsageError, match=r"mine\.json: step .* would send .* which is not its work") as told:
        read_again(bad)
    assert str(told.value).isprintable()


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"actions": "all"},
        {"actions": [{"delete_alias": {"alias_name": "prod"}}]},
        {"actions": [{"create_alias": {"alias_name": "prod", "collection_name": "other"}}]},
        {"actions": [{"create_alias": None}]},
    ],
)
def test_aliases_are_only_pointed_at_the_new_side(body: Any) -> None:
    bad = changed(made(), pm.SwapAlias, lambda r: msgspec.structs.replace(r, body=body))
    with pytest.raises(UsageError, match="which is not its work"):
        read_again(bad)


def test_in_place_means_one_collection() -> None:
    plan = made("in-place")
    job = msgspec.structs.replace(plan.job, target="other")
    with pytest.raises(UsageError, match="yet of two collections"):
        refuse_foreign(msgspec.structs.replace(plan, job=job), "mine.json")


def test_every_step_that_has_a_request_is_in_the_table() -> None:
    """A new kind of step cannot be forgotten."""
    with_requests = {
        kind
        for kind in pm.Step.__args__  # type: ignore[attr-defined]
        if {"request", "requests", "undo"} & set(kind.__struct_fields__)
    }
    assert with_requests == set(PATHS)


class Bomb:
    """Would leave a trace if anything unpickled it."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("unpickled"),))


@pytest.mark.parametrize(
    "content",
    [pickle.dumps(Bomb()), b"", b"\x00" * 100, b"[" * 200_000, b'{"format": 1}', b"{" + b" " * (17 << 20) + b"}"],
    ids=["pickle", "empty", "zeros", "deep", "half", "huge"],
)
def test_a_file_that_is_no_plan_is_one_line(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "theirs.json"
    path.write_bytes(content)
    with pytest.raises(UsageError) as told:
        plan_file.load(path)
    assert "not a plan file" in str(told.value) and str(told.value).isprintable()
    assert not (tmp_path / "unpickled").exists()


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(UsageError) as told:
        plan_file.from_json(data, "theirs.json")
    assert "\n" not in str(told.value)


def test_the_plan_says_who_gets_the_texts() -> None:
    plan = made()
    assert "texts are sent" not in as_text(plan)
    model = msgspec.structs.replace(plan.job.model, provider="openai", url="https://ai.example/v1", api_key_env="KEY")
    job = msgspec.structs.replace(plan.job, model=model)
    told = as_text(msgspec.structs.replace(plan, job=job))
    assert "The texts are sent to https://ai.example/v1 with the key in KEY." in told
