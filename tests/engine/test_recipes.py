"""Every kind of new vector, alone and together: load, catch-up and verification reach what the source says."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from changeover.cluster.api import SparseValue
from changeover.embed.model import SparseSpec
from changeover.engine.ledger import Mark
from changeover.engine.steps.converge import catch_up, sweep
from changeover.engine.steps.load import load
from changeover.engine.steps.verify import verify
from changeover.errors import UnverifiedError
from changeover.plan.model import FromTerms, FromText, FromVector, Make, Mode
from changeover.quality.matrix import leading
from changeover.survey.model import PointId
from tests.engine.fakes import DIMENSION, HashEmbedder, MemoryCluster, close, context, plan, slices, vector_of

KEPT = 3
SPARSE = SparseSpec(encoder="local-bm25")
CUT = FromVector(vector="short", source="old", dimension=KEPT, distance="Cosine", method="leading")
TEXT = FromText(vector="new", dimension=DIMENSION)
TOKENS = FromText(vector="tokens", dimension=DIMENSION, multi=True)
TERMS = FromTerms(vector="terms", encoder=SPARSE)
JOBS: dict[str, tuple[Make, ...]] = {
    "cut": (CUT,),
    "terms": (TERMS,),
    "dense and terms": (TEXT, TERMS),
    "cut and terms": (CUT, TERMS),
    "tokens": (TOKENS,),
}
MODES: list[Mode] = ["in-place", "blue-green"]
ids = st.one_of(st.integers(0, 60), st.uuids().map(str))
texts = st.sampled_from(["alpha beta", "gamma", "... !!", "delta alpha"])
points = st.dictionaries(ids, st.tuples(texts, st.integers(0, 3), st.booleans()), max_size=25)
few = settings(max_examples=12)


def words(text: str) -> list[str]:
    return sorted({word for word in text.split() if word.isalpha()})


class WordEncoder(HashEmbedder):
    """Sparse: one term per word; none for a text without words."""

    dimension = 0

    def embed_documents(self, texts: Sequence[str]) -> Any:
        found = []
        for text in texts:
            indices = np.array([sum(map(ord, word)) for word in words(text)], dtype=np.uint32)
            found.append(SparseValue(indices, np.ones(len(indices), np.float32)) if len(indices) else None)
        return found


class TokenEncoder(HashEmbedder):
    """One vector per word."""

    def embed_documents(self, texts: Sequence[str]) -> Any:
        return [np.array([vector_of(word) for word in text.split()], dtype=np.float32) for text in texts]


def old_vector(n: int) -> np.ndarray:
    return np.random.default_rng(n).normal(size=6).astype(np.float32)


def fill(cluster: MemoryCluster, state: dict[PointId, tuple[str, int, bool]], *, keep: Sequence[str] = ()) -> None:
    """Points with text and, mostly, an old vector; new vectors that are there stay, as an edit leaves them on 1.18."""
    before = cluster.collections.get("source", {})
    cluster.collections["source"] = {
        i: (
            {"text": text},
            ({"old": old_vector(n)} if has else {})
            | {k: v for k, v in before.get(i, ({}, {}))[1].items() if k in keep},
        )
        for i, (text, n, has) in state.items()
    }


def check(cluster: MemoryCluster, mode: Mode, makes: tuple[Make, ...]) -> None:
    """Independent of the engine: every new vector is computed here from the source's point."""
    source = cluster.collections["source"]
    target = cluster.collections["target" if mode == "blue-green" else "source"]
    assert set(target) == set(source)
    for i, (payload, vectors) in target.items():
        assert payload == source[i][0]
        old = source[i][1].get("old")
        for make in makes:
            got = vectors.get(make.vector)
            if isinstance(make, FromVector):
                if old is not None:
                    np.testing.assert_allclose(got, old[:KEPT] / np.linalg.norm(old[:KEPT]), rtol=1e-6)
            elif isinstance(make, FromTerms):
                wanted = [sum(map(ord, word)) for word in words(payload["text"])]
                if wanted:
                    assert sorted(got["indices"]) == sorted(wanted)
            elif make.multi:
                np.testing.assert_array_equal(got, [vector_of(word) for word in payload["text"].split()])
            else:
                np.testing.assert_array_equal(got, vector_of(payload["text"]))


def world(mode: Mode, makes: tuple[Make, ...], folder: str) -> Any:
    cluster = MemoryCluster()
    cluster.collections["target"] = {}
    cluster.aliases_now["app"] = "source"
    carry = {"old": "old"} if mode == "blue-green" and makes != (CUT,) else {}
    made = plan(mode, slices(20), makes=makes, target_vector=makes[0].vector, carry=carry)
    ctx = context(Path(folder), made, cluster)
    encoders = {"local-bm25": WordEncoder(), "sandbox": TokenEncoder() if TOKENS in makes else HashEmbedder()}
    ctx.open_encoder = lambda spec: encoders["local-bm25" if isinstance(spec, SparseSpec) else "sandbox"]
    leading(KEPT, "Cosine").save(ctx.folder.matrix)
    return cluster, ctx


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("job", list(JOBS))
@few
@given(before=points, after=points)
async def test_every_kind_of_vector_follows_its_source(
    mode: Mode, job: str, before: dict[PointId, Any], after: dict[PointId, Any]
) -> None:
    makes = JOBS[job]
    with tempfile.TemporaryDirectory() as folder:
        cluster, ctx = world(mode, makes, folder)
        fill(cluster, before)
        await load(ctx, ctx.plan.steps[0])
        check(cluster, mode, makes)
        # Of a point that lost what its vectors are made of, a server up to 1.18 may keep the old ones.
        kept = [make.vector for make in makes] if mode == "in-place" else []
        fill(cluster, {i: (t, n, True) for i, (t, n, _) in after.items()}, keep=kept)
        await catch_up(ctx, ctx.plan.steps[1])
        check(cluster, mode, makes)
        await verify(ctx, ctx.plan.steps[3])
        assert ctx.state.verified is not None and not ctx.state.verified.problems
        close(ctx)


async def test_a_text_without_terms_is_counted_and_left_alone(tmp_path: Path) -> None:
    cluster, ctx = world("in-place", (TEXT, TERMS), str(tmp_path))
    fill(cluster, {1: ("alpha", 1, True), 2: ("... !!", 2, True)})
    await load(ctx, ctx.plan.steps[0])
    marks = {i: entry.mark for i, entry in ctx.ledger.get([1, 2]).items()}
    assert marks == {1: Mark.WRITTEN, 2: Mark.PARTIAL}
    assert "terms" not in cluster.collections["source"][2][1]
    await catch_up(ctx, ctx.plan.steps[1])
    assert ctx.state.differences is not None and ctx.state.differences.total == 0
    del cluster.collections["source"][2][1]["new"]
    await catch_up(ctx, ctx.plan.steps[1])
    np.testing.assert_array_equal(cluster.collections["source"][2][1]["new"], vector_of("... !!"))
    close(ctx)


@pytest.mark.parametrize("job", list(JOBS))
async def test_a_vector_that_is_not_that_of_its_source_is_found(job: str, tmp_path: Path) -> None:
    makes = JOBS[job]
    cluster, ctx = world("in-place", makes, str(tmp_path))
    fill(cluster, {i: (f"alpha word{'abcdefgh'[i]}", i, True) for i in range(8)})
    await load(ctx, ctx.plan.steps[0])
    wrong = cluster.collections["source"][3][1]
    other = cluster.collections["source"][5][1][makes[-1].vector]

    class Stubborn(dict[str, Any]):
        """A vector that no write changes, as a server that acknowledges and forgets would have it."""

        def __ior__(self, other: Any) -> Stubborn:  # type: ignore[override,misc]
            return self

    wrong[makes[-1].vector] = other
    cluster.collections["source"][3] = (cluster.collections["source"][3][0], Stubborn(wrong))
    with pytest.raises(UnverifiedError, match="do not hold the vector"):
        await verify(ctx, ctx.plan.steps[3])
    close(ctx)


@pytest.mark.parametrize("job", ["cut", "terms", "dense and terms"])
async def test_the_sweep_takes_late_writes_of_every_kind(job: str, tmp_path: Path) -> None:
    makes = JOBS[job]
    cluster, ctx = world("blue-green", makes, str(tmp_path))
    fill(cluster, {i: ("alpha", i, True) for i in range(10)})
    await load(ctx, ctx.plan.steps[0])
    fill(cluster, {i: ("alpha", i, True) for i in range(9)} | {2: ("gamma", 77, True), 50: ("beta", 3, True)})
    await sweep(ctx, ctx.plan.steps[6])
    check(cluster, "blue-green", makes)
    close(ctx)
