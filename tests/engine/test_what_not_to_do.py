"""The six things that must not be done when an embedding model changes: tried by Enter alone, and by the verbs.

A person who chose the forbidden thing, or wrote it into an answers file, and then only presses Enter, or runs `apply`
without `--accept`, gets no run: nothing on the cluster changes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from changeover.decision.answers import Answers, SparseAnswer, TargetAnswer, VectorAnswer, to_toml
from changeover.engine.folder import runs
from changeover.errors import ChangeoverError
from changeover.plan.model import Access
from changeover.sandbox.server import start
from changeover_tui import cli
from changeover_tui.plain import walk
from changeover_tui.plain.prompts import Numbered
from tests.engine.small_world import NEW, World

DOCUMENTS = 60
PATIENCE = 60
"""Times that Enter is pressed: the walk goes round several times."""


class Forbidden(NamedTuple):
    """What a person wants to do, on which server, and the finding that stands in the way."""

    name: str
    code: str
    generation: str
    answers: dict[str, Any]
    alias: str = ""
    multivector: bool = False
    refused: str = ""
    """Words instead of a finding, where no plan can be made of it at all; Enter then takes another way."""


REPLACED = {"model": NEW, "vector": VectorAnswer(source="text", name="new")}
FORBIDDEN = (
    Forbidden(
        "add a vector on 1.17",
        "vectors-cannot-be-added",
        "1.17",
        {**REPLACED, "route": "in-place"},
        refused="vectors cannot be added on 1.17.1 (from 1.18.1 on they can)",
    ),
    Forbidden(
        "remove the old collection for its name",
        "old-still-needed",
        "1.18",
        {"model": NEW, "zero_downtime": False, "target": TargetAnswer(collection="next", same_name=True)},
    ),
    Forbidden("forget the model of the queries", "query-model-must-change", "1.18", REPLACED),
    Forbidden(
        "swap to a collection without payload",
        "target-exists",
        "1.17",
        {"model": NEW, "target": TargetAnswer(collection="empty")},
        alias="live",
        refused="a collection or alias of this name exists; give another name",
    ),
    Forbidden("keep ColBERT beside dense vectors", "colocated-multivector", "1.18", REPLACED, multivector=True),
    Forbidden(
        "go hybrid without a look at chunks",
        "bm25-chunk-quality",
        "1.18",
        {"add_sparse": True, "sparse": SparseAnswer(encoder="server-bm25", name="words"), "queries": None},
    ),
)


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Generation -> address."""
    folder = tmp_path_factory.mktemp("sandbox")
    with start("1.17", folder / "a") as older, start("1.18", folder / "b") as newer:
        yield {"1.17": older.url, "1.18": newer.url}


@pytest.fixture(params=FORBIDDEN, ids=lambda case: case.name)
def tried(
    request: pytest.FixtureRequest, urls: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Forbidden, World, Answers]]:
    case: Forbidden = request.param
    monkeypatch.setenv("CHANGEOVER_RUNS", str(tmp_path / "runs"))
    world = World(urls[case.generation], collection="docs", documents=DOCUMENTS, folder=tmp_path, alias=case.alias)
    world.send("PUT", "/collections/empty", {"vectors": {"new": {"size": 384, "distance": "Cosine"}}})
    if case.multivector:
        _with_tokens(world)
    answers = {key: value for key, value in case.answers.items() if value is not None}
    said = world.answers(**answers)
    if "queries" in case.answers:
        said = Answers(**{key: value for key, value in _fields(said).items() if key != "queries"})
    yield case, world, said
    begun = list(runs({"CHANGEOVER_RUNS": str(tmp_path / "runs")}))
    world.close("empty", "next")
    assert not begun


def _fields(answers: Answers) -> dict[str, Any]:
    return {name: getattr(answers, name) for name in answers.__struct_fields__}


def _with_tokens(world: World) -> None:
    """A vector per token beside the dense one, as ColBERT gives."""
    tokens = {"size": 8, "distance": "Cosine", "multivector_config": {"comparator": "max_sim"}}
    world.send("PUT", "/collections/docs/vectors/colbert", {"dense": tokens})
    rows = [[1.0, *[float(i % 5)] * 7] for i in range(20)]
    points = [{"id": i, "vector": {"colbert": rows}} for i in world.points]
    world.send("PUT", "/collections/docs/points/vectors?wait=true", {"points": points})


def everything(world: World) -> dict[str, Any]:
    """All that a run could change: names, aliases, configurations, points."""
    names = sorted(row["name"] for row in world.send("GET", "/collections")["collections"])
    return {
        "aliases": world.send("GET", "/aliases")["aliases"],
        "collections": {name: world.send("GET", f"/collections/{name}")["config"] for name in names},
        "indexes": {name: sorted(world.send("GET", f"/collections/{name}")["payload_schema"]) for name in names},
        "points": {name: world.stored(name) for name in names},
    }


def test_enter_alone_does_not_do_it(tried: tuple[Forbidden, World, Answers], tmp_path: Path) -> None:
    case, world, answers = tried
    before, said, pressed = everything(world), list[str](), itertools.count()

    def enter() -> str:
        if next(pressed) > PATIENCE:
            raise KeyboardInterrupt
        return ""

    with pytest.raises((KeyboardInterrupt, ChangeoverError)):
        walk.prepare(Access(url=world.url), {}, Numbered(enter, said.append), said.append, answers=answers)
    text = "\n".join(said)
    assert case.code in text or ("closed: " in text and case.refused in text), text[-3000:]
    assert "type it exactly, or back" in text or f"BLOCKER {case.code}" in text
    assert "is running" not in text
    assert everything(world) == before


def test_the_verbs_do_not_do_it(
    tried: tuple[Forbidden, World, Answers], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case, world, answers = tried
    before = everything(world)
    file, plan = tmp_path / "answers.toml", tmp_path / "plan.json"
    file.write_text(to_toml(answers))
    code = cli.main(["plan", world.name, "--url", world.url, "--answers", str(file), "-o", str(plan)])
    if code == 0:
        code = cli.main(["apply", str(plan), "--detach"])
    told = capsys.readouterr()
    assert code in ((2, 4) if case.refused else (4,)), told.err
    assert (case.refused or case.code) in told.err.strip().splitlines()[-1], told.err
    assert "Traceback" not in told.err + told.out
    assert everything(world) == before
