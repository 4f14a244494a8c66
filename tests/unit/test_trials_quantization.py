"""Quantizations as requests and bytes, and the trial of one in a scratch index."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np
import pytest
import qdrant_edge as edge
from numpy.typing import NDArray

from changeover.cluster.api import Point
from changeover.decision.answers import Answers, QuantizationAnswer, QuantizationKind
from changeover.errors import ChangeoverError, UsageError
from changeover.quality import storage
from changeover.quality.trials import QuantizationTrial
from changeover.survey.model import Survey, Vector
from changeover.survey.trials import quantization, scratch
from changeover.survey.trials.quantization import try_quantization
from changeover.survey.trials.scratch import Task
from tests.unit import surveys
from tests.unit.test_survey_trials import Cluster

KINDS: tuple[QuantizationKind, ...] = get_args(QuantizationKind)
SCALAR = {"scalar": {"type": "int8", "quantile": 0.95, "always_ram": True}}
SIZE = 64


def dense(name: str = "a", size: int = SIZE, **more: Any) -> Vector:
    return Vector(name=name, kind="dense", size=size, distance="Cosine", **more)


def quantized(config: dict[str, Any], name: str = "a") -> Vector:
    return dense(name, params={"size": SIZE, "quantization_config": config})


def collection(*vectors: Vector, whole: dict[str, Any] | None = None, version: str = "1.19.0") -> Survey:
    made = surveys.survey(version=version, vectors=vectors)
    return msgspec.structs.replace(made, config={**made.config, "quantization_config": whole})


@pytest.mark.parametrize("kind", KINDS)
def test_a_configuration_is_known_again(kind: QuantizationKind) -> None:
    assert storage.kind_of(storage.config_of(kind)) == kind


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (None, "none"),
        ({"scalar": {"type": "int8"}}, "scalar"),
        ({"binary": {"encoding": "one_bit", "query_encoding": "scalar8bits"}}, "binary"),
        ({"binary": {"encoding": None}}, "binary"),
        ({"turbo": {}}, "turbo-4"),
        ({"product": {"compression": "x16", "always_ram": True}}, "product-x16"),
        ({"product": {"compression": "x128"}}, None),
        ({"ternary": {}}, None),
    ],
)
def test_configurations_as_servers_answer_them(config: dict[str, Any] | None, kind: str | None) -> None:
    assert storage.kind_of(config) == kind


@pytest.mark.parametrize(
    ("kind", "encoding", "opens"),
    [
        ("none", None, "1.10.0"),
        ("scalar", None, "1.10.0"),
        ("binary", None, "1.10.0"),
        ("binary", "scalar4bits", "1.15.0"),
        ("binary-2", None, "1.15.0"),
        ("binary-1.5", "scalar8bits", "1.15.0"),
        ("turbo-1.5", None, "1.18.0"),
        ("turbo-8", None, "1.20.0"),
    ],
)
def test_which_servers_take_it(kind: QuantizationKind, encoding: Any, opens: str) -> None:
    versions = ["1.10.0", "1.14.1", "1.15.0", "1.17.1", "1.18.0", "1.19.0", "1.20.0"]
    shut = [v for v in versions if storage.closed(kind, dense(), v, encoding)]
    assert shut == versions[: versions.index(opens)]
    for version in shut:
        assert opens in storage.closed(kind, dense(), version, encoding)


def test_words_against_a_kind() -> None:
    assert "sparse" in storage.closed("scalar", Vector(name="s", kind="sparse"), "1.19.0").lower()
    assert "1024" in storage.caution("binary", dense(size=384)) and not storage.caution("binary", dense(size=1024))
    assert "uint8" in storage.caution("scalar", dense(datatype="uint8")) and not storage.caution("scalar", dense())
    with pytest.raises(UsageError, match=r"query_encoding scalar4bits.*scalar"):
        storage.config_of("scalar", query_encoding="scalar4bits")


@pytest.mark.parametrize(
    ("survey", "kind", "change", "undo"),
    [
        pytest.param(
            collection(dense("")),
            "binary",
            {"quantization_config": {"binary": {}}},
            {"quantization_config": "Disabled"},
            id="unnamed: the collection's",
        ),
        pytest.param(
            collection(dense(), whole=SCALAR),
            "binary-2",
            {"quantization_config": {"binary": {"encoding": "two_bits", "always_ram": True}}},
            {"quantization_config": SCALAR},
            id="always_ram stays",
        ),
        pytest.param(
            collection(quantized(SCALAR)),
            "turbo-4",
            {"vectors": {"a": {"quantization_config": {"turbo": {"bits": "bits4", "always_ram": True}}}}},
            {"vectors": {"a": {"quantization_config": SCALAR}}},
            id="its own",
        ),
        pytest.param(
            collection(dense(), dense("b"), whole=SCALAR),
            "none",
            {"quantization_config": "Disabled", "vectors": {"b": {"quantization_config": SCALAR}}},
            {"quantization_config": SCALAR, "vectors": {"b": {"quantization_config": "Disabled"}}},
            id="the other keeps what it had",
        ),
        pytest.param(
            collection(quantized({"binary": {}}), whole=SCALAR),
            "none",
            {"quantization_config": "Disabled", "vectors": {"a": {"quantization_config": "Disabled"}}},
            {"quantization_config": SCALAR, "vectors": {"a": {"quantization_config": {"binary": {}}}}},
            id="both levels go",
        ),
    ],
)
def test_the_change_and_the_way_back(survey: Survey, kind: QuantizationKind, change: Any, undo: Any) -> None:
    assert storage.patch(survey, survey.vectors[0], kind) == (change, undo)
    config = with_vectors(survey)
    assert storage.in_force(config, change, undo) == undo
    changed = patched(config, change)
    assert storage.in_force(changed, change, undo) == change
    assert storage.in_force(patched(changed, undo), change, undo) == undo
    other: dict[str, Any] = {"quantization_config": {"product": {}}}
    everywhere = patched(changed, {**other, "vectors": dict.fromkeys(change.get("vectors", {}), other)})
    assert storage.in_force(everywhere, change, undo) is None


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_that_differ_by_one_option_the_one_in_force_is_known(first: int) -> None:
    bodies = [{"quantization_config": {"binary": more}} for more in ({}, {"query_encoding": "scalar4bits"})]
    change, former = bodies[first], bodies[1 - first]
    config = with_vectors(collection(dense("")))
    assert storage.in_force(patched(config, change), change, former) == change
    assert storage.in_force(patched(config, former), change, former) == former


def with_vectors(survey: Survey) -> dict[str, Any]:
    """The configuration as the server answers it, with the vectors' own."""
    own = {vector.name: {"size": SIZE, **vector.params} for vector in survey.vectors}
    params = {**survey.config.get("params", {}), "vectors": own.get("", own)}
    return {**survey.config, "params": params}


def patched(config: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """What the server makes of a PATCH."""
    made = json.loads(json.dumps(config))
    stored = made["params"]["vectors"]
    named = {"": stored} if "size" in stored else stored
    for there, asked in [(made, body), *((named[name], asked) for name, asked in body.get("vectors", {}).items())]:
        if "quantization_config" in asked:
            wanted = asked["quantization_config"]
            there["quantization_config"] = None if wanted == "Disabled" else wanted
    return made


def test_what_is_there_already_changes_nothing() -> None:
    for survey in (
        collection(dense(), whole=SCALAR),
        collection(dense(), dense("b"), whole=SCALAR),
        collection(quantized(SCALAR)),
    ):
        change, undo = storage.patch(survey, survey.vectors[0], "scalar")
        assert change == undo
    change, undo = storage.patch(collection(dense()), dense(), "none")
    assert change == undo
    change, _ = storage.patch(collection(dense(), whole=SCALAR), dense(), "scalar", always_ram=False)
    assert change == {"quantization_config": {"scalar": {"type": "int8", "quantile": 0.95, "always_ram": False}}}


@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("size", [20, 100])
@pytest.mark.parametrize("distance", ["Cosine", "Euclid"])
def test_bytes_are_those_of_the_core_s_files(tmp_path: Path, multi: bool, size: int, distance: str) -> None:
    rows = np.random.default_rng(0).normal(size=(120, size)).astype(np.float32)
    for number, kind in enumerate(kind for kind in KINDS if kind != "none"):
        vector = Vector(name="a", kind="multi" if multi else "dense", size=size, distance=distance)
        parameters = edge.EdgeVectorParams(
            size=size,
            distance=getattr(edge.Distance, distance),
            quantization_config=scratch.quantization(edge, storage.config_of(kind)),
            multivector_config=edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim) if multi else None,
        )
        optimizers = edge.EdgeOptimizersConfig(indexing_threshold=1, default_segment_number=1)
        folder = tmp_path / str(number)
        shard = edge.EdgeShard.create(str(folder), edge.EdgeConfig(vectors={"a": parameters}, optimizers=optimizers))
        points = [edge.Point(i, {"a": [row.tolist()] * 2 if multi else row.tolist()}, {}) for i, row in enumerate(rows)]
        shard.update(edge.UpdateOperation.upsert_points(points))
        shard.optimize()
        shard.flush()
        written = [file.stat().st_size for file in folder.rglob("quantized.data")]
        shard.close()
        wanted = storage.bytes_per_vector(kind, vector) * len(rows) * (2 if multi else 1)
        assert wanted in written, f"{kind}: {written}, expected {wanted}"


def test_bytes_without_quantization_follow_the_datatype() -> None:
    vector = dense(size=100)
    half, bytewise = (msgspec.structs.replace(vector, datatype=name) for name in ("float16", "uint8"))
    assert [storage.bytes_per_vector("none", v) for v in (vector, half, bytewise)] == [400, 200, 100]


def clustered(count: int, seed: int = 0) -> NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(60, SIZE))
    spread = 0.5 * generator.normal(size=(count, SIZE))
    return np.asarray(centres[generator.integers(0, 60, count)] + spread, dtype=np.float32)


def cluster(vectors: NDArray[np.float32]) -> Cluster:
    return Cluster([Point(id=i, vectors={"a": row}) for i, row in enumerate(vectors.tolist())])


async def tried(kind: QuantizationKind | None, points: int = 600, **more: Any) -> QuantizationTrial:
    made = collection(dense(), whole=more.pop("whole", None), version=more.pop("version", "1.20.0"))
    survey = msgspec.structs.replace(made, size=msgspec.structs.replace(made.size, points=points))
    answers = Answers(quantization=QuantizationAnswer(kind=kind, query_encoding=more.pop("encoding", None)))
    gateway: Any = cluster(clustered(points))
    return await try_quantization(gateway, survey, answers, {}, **more)


def by_setting(trial: QuantizationTrial) -> dict[tuple[bool, float | None], float]:
    return {(found.rescore, found.oversampling): found.recall for found in trial.settings}


async def test_recall_grows_with_bits_and_with_oversampling() -> None:
    told: list[str] = []
    one = await tried("binary", progress=lambda done, total, words: told.append(words))
    eight = await tried("turbo-8", whole=SCALAR)
    assert (one.error, one.kind, one.vector, one.sampled) == ("", "binary", "a", 600)
    assert (one.bytes_before, one.bytes_after) == (4 * SIZE, 16)
    assert (eight.bytes_before, eight.bytes_after) == (SIZE + 4, SIZE + 4)
    assert one.before > 0.97 and 0.9 < eight.before <= 1
    coarse, fine = by_setting(one), by_setting(eight)
    assert coarse[False, None] < 0.9 < fine[False, None]
    assert coarse[False, None] == pytest.approx(coarse[True, None], abs=0.02)
    assert coarse[True, None] + 0.05 < coarse[True, 2.0] <= coarse[True, 4.0] + 0.02
    assert "searching a scratch index, binary" in told and "reading stored vectors" in told


async def test_a_finer_query_encoding_finds_more() -> None:
    plain, finer = await tried("binary"), await tried("binary", encoding="scalar8bits")
    assert by_setting(finer)[False, None] > by_setting(plain)[False, None] + 0.02


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"kind": None}, "give quantization.kind"),
        ({"kind": "turbo-8", "version": "1.19.0"}, "needs servers from 1.20.0 on; this cluster has 1.19.0"),
        ({"kind": "scalar", "encoding": "scalar8bits"}, "only binary quantization has one"),
        ({"kind": "scalar", "whole": {"ternary": {}}}, "is not known here"),
        ({"kind": "scalar", "points": 150}, "150 points with this vector"),
    ],
)
async def test_what_is_missing_is_one_line(more: dict[str, Any], said: str) -> None:
    trial = await tried(**more)
    assert said in trial.error and "\n" not in trial.error
    assert not trial.settings and trial.sampled == 0


async def test_without_the_core_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "qdrant_edge", None)
    assert "qdrant-edge-py" in (await tried("scalar")).error


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


async def test_a_slow_index_is_given_up_and_leaves_nothing(folders: Path) -> None:
    trial = await tried("product-x4", budget_s=0.05)
    assert "not ready after 0 s" in trial.error
    assert list(folders.iterdir()) == []


async def test_a_trial_that_is_cancelled_ends_its_process(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[asyncio.subprocess.Process] = []
    started = asyncio.Event()
    real_exec = asyncio.create_subprocess_exec

    async def noted(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        child = await real_exec(*arguments, **options)
        children.append(child)
        started.set()
        return child

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    running = asyncio.create_task(tried("scalar"))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert children[0].returncode is not None
    assert list(folders.iterdir()) == []


async def test_a_trial_that_is_cancelled_while_its_folder_is_written_leaves_nothing(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, begun, go = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    real_write = scratch._write

    def slow(*arguments: Any) -> None:
        loop.call_soon_threadsafe(begun.set)
        assert go.wait(30)
        real_write(*arguments)

    monkeypatch.setattr(scratch, "_write", slow)
    running = asyncio.create_task(tried("scalar"))
    await begun.wait()
    running.cancel()
    await asyncio.sleep(0)
    assert not running.done(), "the folder is not removed under the thread that writes it"
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert list(folders.iterdir()) == []


async def test_what_the_core_refuses_is_one_line(folders: Path) -> None:
    rows = clustered(50)
    with pytest.raises(ChangeoverError, match=r"the scratch index failed: .") as raised:
        await scratch.measure(Task(size=SIZE + 1, distance="Cosine"), {"dense": rows, "asked": rows[:2]}, 30)
    assert "\n" not in str(raised.value)
    assert list(folders.iterdir()) == []


@pytest.mark.parametrize("size", [64, 384, 1536, 65_536])
def test_how_much_is_read_is_bounded(size: int) -> None:
    wanted = quantization._wanted(quantization.POINTS, dense(size=size))
    assert quantization.FEWEST <= wanted <= quantization.POINTS
    assert wanted * size <= max(quantization.NUMBERS, quantization.FEWEST * size)


def test_the_graph_is_built_as_it_is_configured() -> None:
    survey = collection(dense(params={"hnsw_config": {"m": 32, "ef_construct": None}}))
    assert quantization._hnsw(survey, survey.vectors[0]) == {"m": 32, "ef_construct": 100}


def neighbours(rows: NDArray[np.float32], query: NDArray[np.float32], without: Sequence[int] = ()) -> list[int]:
    order = np.argsort(-(rows @ query) / np.linalg.norm(rows, axis=1))
    return list(itertools.islice((int(i) for i in order if i not in without), 10))


async def test_recall_is_that_against_exact_search() -> None:
    """A graph with one edge per point misses much: the figure is compared with this module's own exact search."""
    rows = clustered(400)
    task = Task(size=SIZE, distance="Cosine", settings=((False, None),), quantization=storage.config_of("binary"))
    found = await scratch.measure(task, {"dense": rows[40:], "asked": rows[:40]}, 60)
    bits = np.where(rows > 0, 1.0, -1.0).astype(np.float32)
    shares = [len(set(neighbours(bits[40:], bits[i])) & set(neighbours(rows[40:], rows[i]))) / 10 for i in range(40)]
    assert found.indexed == 360
    assert found.settings[0].recall == pytest.approx(float(np.mean(shares)), abs=0.08)
