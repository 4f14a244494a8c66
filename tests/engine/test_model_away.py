"""A model whose endpoint is away for minutes is waited for; the points that it makes vectors of are all there then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from changeover.engine import recipe
from changeover.engine.canary import CanaryTask, teach
from changeover.engine.steps.load import load
from changeover.errors import AwayError, StoppedError
from tests.engine.fakes import HashEmbedder, close
from tests.engine.two_sides import check, world


class Away(HashEmbedder):
    """Gives no answer to its first calls."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def embed_documents(self, texts: Any) -> np.ndarray:
        self.left -= 1
        if self.left >= 0:
            raise AwayError("http://model gave no vectors in 7 attempts")
        return super().embed_documents(texts)


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr("changeover.engine.throttle.Throttle.sleep", lambda self, seconds: slept.append(seconds))
    return slept


async def test_an_endpoint_that_comes_back_is_waited_for(naps: list[float], tmp_path: Path) -> None:
    cluster, ctx = world("blue-green", {i: (f"text {i}", 0) for i in range(40)}, [], str(tmp_path))
    model = Away(6)
    ctx.open_encoder = lambda spec: model
    ctx.canary = CanaryTask(ctx, cluster)
    await teach(ctx)
    assert not ctx.canary.knows_new
    await load(ctx, ctx.plan.steps[0])
    check(cluster, "blue-green")
    assert naps == [5, 10, 20, 40, 60]
    said = [text for _, _, text in ctx.state.log if "the model" in text]
    assert len(said) == 2 and "waited for" in said[0] and "answers again" in said[1]
    close(ctx)


async def test_one_that_stays_away_ends_the_engine_and_loses_nothing(naps: list[float], tmp_path: Path) -> None:
    cluster, ctx = world("in-place", {i: (f"text {i}", 0) for i in range(40)}, [], str(tmp_path))
    model = Away(10**6)
    ctx.open_encoder = lambda spec: model
    with pytest.raises(AwayError, match="gave no vectors"):
        await load(ctx, ctx.plan.steps[0])
    assert sum(naps) >= recipe.AWAY_S
    model.left = 0
    await load(ctx, ctx.plan.steps[0])
    check(cluster, "in-place")
    close(ctx)


async def test_a_stop_ends_the_wait(tmp_path: Path) -> None:
    cluster, ctx = world("in-place", {1: ("text", 0)}, [], str(tmp_path))
    ctx.open_encoder = lambda spec: Away(10**6)
    ctx.throttle.stop()
    with pytest.raises(StoppedError):
        ctx.recipe.make(cluster.scroll("source", start=None, limit=1), [0])
    close(ctx)
