"""A change of the storage: measured before and after, and taken back when it loses too much."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from changeover import seals
from changeover.cluster.api import Hit, Optimizations
from changeover.engine import events as ev
from changeover.engine.steps import wait_green
from changeover.engine.steps.storage import change, measure
from changeover.errors import BlockedError, UnverifiedError
from changeover.plan import model as pm
from tests.engine.fakes import MemoryCluster, close, context, plan, slices

CHANGE = pm.Request(method="PATCH", path="/collections/source", body={"quantization_config": {"binary": {}}})
UNDO = pm.Request(method="PATCH", path="/collections/source", body={"quantization_config": "Disabled"})
BEFORE = pm.MeasureStorage(id="before", title="Measure", vector="old", sample=20)
STEP = pm.ChangeStorage(id="change", title="Change", request=CHANGE, undo=UNDO)
AFTER = pm.MeasureStorage(id="after", title="Measure", vector="old", sample=20, least_recall=0.9)


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait_green, "POLL_S", 0.005)


class Lossy(MemoryCluster):
    """Finds the right ten points only when searched exactly, or as many as oversampling brings back."""

    good = 4
    quantization: Any = None

    @property
    def changed(self) -> bool:
        return bool(self.quantization)

    async def send(self, method: str, path: str, body: Any = None, *, timeout_s: float | None = None) -> Any:
        wanted = body["quantization_config"]
        self.quantization = None if wanted == "Disabled" else wanted
        return await super().send(method, path, body, timeout_s=timeout_s)

    async def collection(self, name: str) -> dict[str, Any]:
        info = await super().collection(name)
        info["config"]["quantization_config"] = self.quantization
        return info

    async def search(self, name: str, vector: Any, **options: Any) -> list[Hit]:
        over = (options.get("quantization") or {}).get("oversampling") or 1.0
        right = 10 if options.get("exact") or not self.changed else min(10, int(self.good * over))
        return [Hit(id=i if i < right else 1000 + i, score=1.0) for i in range(10)]


def world(tmp_path: Path, good: int) -> Any:
    cluster = Lossy()
    cluster.good = good
    cluster.collections["source"] = {i: ({}, {"old": [float(i), 1.0]}) for i in range(50)}
    made = plan("in-place", slices())
    made = seals.seal(msgspec.structs.replace(made, steps=(BEFORE, STEP, AFTER), hash=""))
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


async def after_the_change(ctx: Any) -> None:
    await measure(ctx, BEFORE)
    await change(ctx, STEP)
    ctx.emit(ev.StepDone(at=0.0, step="change"))


async def test_a_resume_after_the_undo_does_not_take_the_former_for_the_changed(tmp_path: Path) -> None:
    cluster, ctx = world(tmp_path, good=2)
    await after_the_change(ctx)
    with pytest.raises(UnverifiedError):
        await measure(ctx, AFTER)
    sent = len(cluster.sent)
    for _ in range(2):
        with pytest.raises(UnverifiedError, match=r"0\.600 at best, 0\.9 was asked for.*former configuration is back"):
            await measure(ctx, AFTER)
    assert [found.after for found in ctx.state.storage] == [False, True]
    assert len(cluster.sent) == sent
    close(ctx)


async def test_an_engine_that_died_in_the_undo_is_followed_by_one_that_waits_for_it(tmp_path: Path) -> None:
    """Killed between the PATCH and the optimizer's rest."""
    cluster, ctx = world(tmp_path, good=2)
    busy, looks = True, asyncio.Event()

    async def optimizations(name: str) -> Optimizations:
        if busy:
            looks.set()
            return Optimizations(color="yellow", queued=1, running=1)
        return Optimizations(color="green", queued=0, running=0)

    cluster.optimizations = optimizations
    await after_the_change(ctx)
    dying = asyncio.create_task(measure(ctx, AFTER))
    await looks.wait()
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    assert not cluster.changed
    looks.clear()
    again = asyncio.create_task(measure(ctx, AFTER))
    await looks.wait()
    assert not again.done()
    busy = False
    with pytest.raises(UnverifiedError, match="former configuration is back"):
        await again
    assert len(ctx.state.storage) == 2
    close(ctx)


async def test_a_storage_that_others_changed_meanwhile_is_not_measured(tmp_path: Path) -> None:
    cluster, ctx = world(tmp_path, good=10)
    await after_the_change(ctx)
    cluster.quantization = {"scalar": {"type": "int8"}}
    with pytest.raises(BlockedError, match="source: its storage was changed again"):
        await measure(ctx, AFTER)
    cluster.quantization = None
    with pytest.raises(UnverifiedError, match=r"former configuration is in force.*not by this run"):
        await measure(ctx, AFTER)
    assert len(ctx.state.storage) == 1
    close(ctx)
