"""The canary has something to search both sides with, whatever some of the texts are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from changeover.cluster.api import Hit
from changeover.cluster.errors import Action, ClusterError
from changeover.embed.protocol import RejectedText, TextRejected
from changeover.engine.canary import CanaryTask, teach
from changeover.engine.steps.cutover import swap_alias
from changeover.engine.steps.load import load
from tests.engine.fakes import DIMENSION, HashEmbedder, close
from tests.engine.two_sides import world


class Strict(HashEmbedder):
    """Refuses a whole call for one text, as endpoints do; the others are in the error."""

    def embed_documents(self, texts: Any) -> np.ndarray:
        made = super().embed_documents(texts)
        refused = [RejectedText(i, "too long") for i, text in enumerate(texts) if "poison" in text]
        if refused:
            raise TextRejected(refused, made)
        return made


@pytest.mark.parametrize("poisoned", [1, 30])
async def test_texts_that_the_model_refuses_do_not_keep_an_engine_from_starting(poisoned: int, tmp_path: Path) -> None:
    state = {i: ("poison" if i < poisoned else f"text {i}", 0) for i in range(30)}
    cluster, ctx = world("blue-green", state, [], str(tmp_path))
    ctx.open_encoder = lambda spec: Strict()
    ctx.canary = CanaryTask(ctx, cluster)
    await teach(ctx)
    assert ctx.canary.knows_new is (poisoned < 30)
    close(ctx)


async def test_blank_texts_do_not_make_searches_fail_after_the_cutover(tmp_path: Path) -> None:
    """Where no text makes a search for the new side, its own stored vectors do."""
    cluster, ctx = world("blue-green", {i: (f"text {i}", 0) for i in range(30)}, [], str(tmp_path))
    await load(ctx, ctx.plan.steps[0])

    async def search(name: str, vector: Any, **options: Any) -> list[Hit]:
        if (len(vector) == DIMENSION) is not (cluster.aliases_now[name] == "target"):
            raise ClusterError("Wrong input: Vector dimension error", Action.SKIP, status=400)
        return []

    async def lists(*given: Any, **named: Any) -> Any:
        points = await sample(*given, **named)
        for point in points:
            for vector, stored in point.vectors.items():
                point.vectors[vector] = list(map(float, stored))
        return points

    sample, cluster.search, cluster.sample = cluster.sample, search, lists
    ctx.canary = CanaryTask(ctx, cluster)
    await ctx.canary.prepare()
    assert await ctx.canary.search() and not ctx.canary.knows_new
    ctx.lit = True
    await swap_alias(ctx, ctx.plan.steps[5])
    assert ctx.state.cutover is not None and ctx.state.cutover.canary_ok
    close(ctx)
