"""A source and a target in memory: filled, edited and checked by tests, without the engine; and servers that reject."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from changeover.cluster.errors import Action, ClusterError
from changeover.plan.model import Mode
from changeover.survey.model import PointId
from tests.engine.fakes import MemoryCluster, context, plan, slices, vector_of

MODES: list[Mode] = ["in-place", "blue-green"]


def fill(cluster: MemoryCluster, state: dict[PointId, tuple[str, int]]) -> None:
    cluster.collections["source"] = {
        i: ({"text": text, "n": n}, {"old": np.ones(4, dtype=np.float32), "image": np.full(3, n, dtype=np.float32)})
        for i, (text, n) in state.items()
    }


def edit(cluster: MemoryCluster, state: dict[PointId, tuple[str, int]]) -> None:
    """The application brings the source to another state; a stale new vector stays where the text changed (1.18)."""
    source = cluster.collections["source"]
    for i in [i for i in source if i not in state]:
        del source[i]
    for i, (text, n) in state.items():
        kept = {name: v for name, v in source.get(i, ({}, {}))[1].items() if name == "new"}
        source[i] = ({"text": text, "n": n}, {"old": np.ones(4), "image": np.full(3, n, dtype=np.float32), **kept})


def check(cluster: MemoryCluster, mode: Mode) -> None:
    """Independent of the engine: every id, payload, new vector and carried vector is what the source says."""
    source = cluster.collections["source"]
    target = cluster.collections["target" if mode == "blue-green" else "source"]
    assert set(target) == set(source)
    for i, (payload, vectors) in target.items():
        assert payload == source[i][0]
        if payload["text"].strip():
            np.testing.assert_array_equal(vectors["new"], vector_of(payload["text"]))
        else:
            assert "new" not in vectors
        if mode == "blue-green":
            np.testing.assert_array_equal(vectors["image"], source[i][1]["image"])


def world(mode: Mode, state: dict[PointId, tuple[str, int]], cuts: list[PointId], folder: str, **job: Any) -> Any:
    cluster = MemoryCluster()
    fill(cluster, state)
    cluster.collections["target"] = {}
    cluster.aliases_now["app"] = "source"
    if mode == "blue-green":
        job.setdefault("carry", {"image": "image"})
    made = plan(mode, slices(*cuts), **job)
    return cluster, context(Path(folder), made, cluster)


def reject(cluster: MemoryCluster, bad: Any) -> None:
    """The server rejects points whose id is `bad`, as it rejects a payload that it cannot take."""
    upsert, update = cluster.upsert, cluster.update_vectors

    def refuse(ids: Any) -> None:
        if any(map(bad, ids)):
            raise ClusterError("Wrong input: no such point, please (HTTP 400)", Action.SKIP, status=400)

    def strict_upsert(name: str, page: Any, rows: Any, new: Any, **options: Any) -> None:
        refuse([page.ids[row] for row in rows])
        upsert(name, page, rows, new, **options)

    def strict_update(name: str, ids: Any, new: Any, **options: Any) -> None:
        refuse(ids)
        update(name, ids, new, **options)

    cluster.upsert, cluster.update_vectors = strict_upsert, strict_update  # type: ignore[method-assign]


def obliging(cluster: MemoryCluster) -> None:
    """It takes everything again."""
    del cluster.upsert, cluster.update_vectors
