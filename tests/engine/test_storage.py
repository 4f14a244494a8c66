"""A change of the storage: measured before and after, and taken back when it loses too much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from changeover.cluster.api import Hit
from changeover.engine.steps.storage import change, measure
from changeover.errors import UnverifiedError
from changeover.plan import file as plan_file
from changeover.plan import model as pm
from tests.engine.fakes import MemoryCluster, close, context, plan, slices

CHANGE = pm.Request(method="PATCH", path="/collections/source", body={"quantization_config": {"binary": {}}})
UNDO = pm.Request(method="PATCH", path="/collections/source", body={"quantization_config": "Disabled"})
BEFORE = pm.MeasureStorage(id="before", title="Measure", vector="old", sample=20)
STEP = pm.ChangeStorage(id="change", title="Change", request=CHANGE, undo=UNDO)
AFTER = pm.MeasureStorage(id="after", title="Measure", vector="old", sample=20, least_recall=0.9)


class Lossy(MemoryCluster):
    """Finds the right ten points only when searched exactly, or as many as oversampling brings back."""

    changed = False
    good = 4

    async def send(self, method: str, path: str, body: Any = None, *, timeout_s: float | None = None) -> Any:
        self.changed = body != UNDO.body
        return await super().send(method, path, body, timeout_s=timeout_s)

    async def search(self, name: str, vector: Any, **options: Any) -> list[Hit]:
        over = (options.get("quantization") or {}).get("oversampling") or 1.0
        right = 10 if options.get("exact") or not self.changed else min(10, int(self.good * over))
        return [Hit(id=i if i < right else 1000 + i, score=1.0) for i in range(10)]


def world(tmp_path: Path, good: int) -> Any:
    cluster = Lossy()
    cluster.good = good
    cluster.collections["source"] = {i: ({}, {"old": [float(i), 1.0]}) for i in range(50)}
    made = plan("in-place", slices())
    made = plan_file.seal(msgspec.structs.replace(made, steps=(BEFORE, STEP, AFTER), hash=""))
    return cluster, context(tmp_path, made, cluster)


async def test_recall_is_measured_at_every_setting(tmp_path: Path) -> None:
    cluster, ctx = world(tmp_path, good=4)
    await measure(ctx, BEFORE)
    await change(ctx, STEP)
    await measure(ctx, AFTER)
    [before, after] = ctx.state.storage
    assert before.default_recall == 1.0
    assert after.default_recall == pytest.approx(0.4)
    assert [setting.recall for setting in after.settings] == pytest.approx([0.4, 0.4, 0.8, 1.0])
    assert cluster.sent[-1] == ("PATCH", "/collections/source", CHANGE.body)
    close(ctx)


async def test_too_low_a_recall_brings_the_former_configuration_back(tmp_path: Path) -> None:
    cluster, ctx = world(tmp_path, good=2)
    await measure(ctx, BEFORE)
    await change(ctx, STEP)
    with pytest.raises(UnverifiedError, match=r"recall@10 .* is 0\.600 at best, 0\.9 was asked for; the former"):
        await measure(ctx, AFTER)
    assert cluster.sent[-1] == ("PATCH", "/collections/source", UNDO.body)
    assert not cluster.changed
    close(ctx)
