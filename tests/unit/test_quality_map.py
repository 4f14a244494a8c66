"""Linear maps between models: fitted on pairs, and judged on queries and points that they have not seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from changeover.errors import UsageError
from changeover.quality.linear_map import MapScores, evaluate, fit_procrustes, fit_ridge
from changeover.quality.matrix import Matrix, unit
from changeover.quality.queries import LabelledQuery
from tests.unit.real_vectors import real

Rows = NDArray[np.float32]
FITS: list[Callable[..., Matrix]] = [fit_ridge, fit_procrustes]


def some(seed: int, rows: int, size: int) -> Rows:
    return np.random.default_rng(seed).normal(size=(rows, size)).astype(np.float32)


def rotation(seed: int, size_in: int, size_out: int) -> Rows:
    basis, _ = np.linalg.qr(some(seed, max(size_in, size_out), max(size_in, size_out)))
    return np.asarray(basis[:size_in, :size_out], dtype=np.float32)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("distance", ["Cosine", "Dot", "Euclid"])
def test_a_rotation_between_two_models_is_found(fit: Callable[..., Matrix], distance: str) -> None:
    x = unit(some(1, 400, 12))
    y = x @ rotation(2, 12, 12)
    mapped = fit(x[:300], y[:300], distance=distance).apply(x[300:])
    assert (unit(mapped) * unit(y[300:])).sum(axis=1) == pytest.approx(np.ones(100), abs=1e-3)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(("size_in", "size_out"), [(8, 20), (20, 8)])
def test_sizes_may_differ(fit: Callable[..., Matrix], size_in: int, size_out: int) -> None:
    x = unit(some(3, 300, size_in))
    y = x @ rotation(4, size_in, size_out)
    matrix = fit(x[:250], y[:250])
    assert matrix.matrix is not None and matrix.matrix.shape == (size_in, size_out)
    closeness = (matrix.apply(x[250:]) * unit(y[250:])).sum(axis=1)
    # A rotation cannot undo the shrinking of numbers that are left out; least squares can.
    assert closeness.mean() > (0.99 if fit is fit_ridge or size_in < size_out else 0.95)


def test_ridge_finds_an_affine_map_that_no_rotation_is() -> None:
    x = some(5, 500, 10)
    y = x @ some(6, 10, 10) + some(7, 1, 10)
    assert fit_ridge(x[:400], y[:400], distance="Dot").apply(x[400:]) == pytest.approx(y[400:], abs=0.05)
    missed = np.abs(fit_procrustes(x[:400], y[:400], distance="Dot").apply(x[400:]) - y[400:]).mean()
    assert missed > 0.5


def test_few_noisy_anchors_ask_for_more_regularisation() -> None:
    x = some(8, 80, 60)
    y = (0.3 * x @ rotation(9, 60, 60) + some(10, 80, 60)).astype(np.float32)
    fresh = some(11, 500, 60)
    target = 0.3 * fresh @ rotation(9, 60, 60)
    chosen = np.square(fit_ridge(x, y, distance="Dot").apply(fresh) - target).mean()
    bare = np.square(fit_ridge(x, y, 1e-4, distance="Dot").apply(fresh) - target).mean()
    assert chosen < bare / 3


def test_a_map_comes_back_from_its_file_with_its_offset(tmp_path: Path) -> None:
    x = some(12, 60, 6)
    matrix = fit_ridge(x, x @ some(13, 6, 9) + 2)
    matrix.save(tmp_path / "matrix.npz")
    again = Matrix.load(tmp_path / "matrix.npz")
    assert again.digest == matrix.digest
    assert np.array_equal(again.apply(x), matrix.apply(x))
    assert np.linalg.norm(again.apply(x), axis=1) == pytest.approx(np.ones(60), abs=1e-5)


def test_a_model_of_unit_vectors_gets_unit_vectors_whatever_the_distance() -> None:
    x = some(14, 100, 8)
    assert fit_ridge(x, unit(some(15, 100, 5)), distance="Dot").normalise_out
    assert not fit_ridge(x, some(15, 100, 5), distance="Dot").normalise_out


@pytest.mark.parametrize("fit", FITS)
def test_anchors_that_cannot_be_used_are_refused(fit: Callable[..., Matrix]) -> None:
    x = some(16, 60, 6)
    with pytest.raises(UsageError, match="pairs"):
        fit(x, x[:50])
    with pytest.raises(UsageError, match="too few"):
        fit(x[:5], x[:5])
    with pytest.raises(UsageError, match="not finite"):
        fit(x, x * np.nan)
    constant = np.ones((30, 6), dtype=np.float32)
    assert np.isfinite(fit(constant, constant).apply(x)).all()


def world(seed: int, better: float, alike: bool, unlike: float = 0.0) -> dict[str, object]:
    """150 points and queries in two models: old queries are noisy by `better`; `alike`: new is old, turned.

    Then `unlike` is how much of its own the new model adds. Otherwise the two have nothing in common.
    """
    stored = unit(some(seed, 150, 24))
    noise = unit(some(seed + 1, 150, 24))
    turn = rotation(seed + 2, 24, 24)
    own = unit(some(seed + 3, 150, 24))
    new = unit(stored @ turn + unlike * own) if alike else own
    return {
        "ids": list(range(150)),
        "old": stored,
        "new": new,
        "queries": [LabelledQuery(f"q{i}", {i: 1}) for i in range(150)],
        "asked_old": unit(stored + better * noise),
        "asked_new": unit(new + 0.3 * unit(some(seed + 4, 150, 24))),
    }


def anchors(seed: int, alike: bool) -> tuple[Rows, Rows]:
    x = unit(some(seed + 5, 200, 24))
    return x, x @ rotation(seed + 2, 24, 24) if alike else unit(some(seed + 6, 200, 24))


def tried(
    seed: int, better: float, alike: bool, fit: Callable[..., Matrix] = fit_ridge, unlike: float = 0.0
) -> MapScores:
    return evaluate(fit(*anchors(seed, alike)), **world(seed, better, alike, unlike))  # type: ignore[arg-type]


@pytest.mark.parametrize("fit", FITS)
def test_a_better_model_that_a_map_reaches_is_recovered_whole(fit: Callable[..., Matrix]) -> None:
    scores = tried(20, better=1.5, alike=True, fit=fit)
    assert scores.queries == 150
    assert scores.new.mean > scores.old.mean + 0.2
    assert scores.over_old.low > 0
    assert scores.gain is not None
    assert scores.gain.mean == pytest.approx(1.0, abs=0.05)


def test_a_part_that_the_map_does_not_reach_is_not_claimed() -> None:
    scores = tried(30, better=2.0, alike=True, unlike=1.4)
    assert scores.old.mean < scores.mapped.mean < scores.new.mean
    assert scores.gain is not None
    assert scores.gain.mean == pytest.approx(
        (scores.mapped.mean - scores.old.mean) / (scores.new.mean - scores.old.mean)
    )
    assert scores.gain.low < scores.gain.mean < scores.gain.high < 1


def test_a_model_that_is_no_better_has_no_gain_to_recover() -> None:
    assert tried(21, better=0.0, alike=True).gain is None


@given(seed=st.integers(0, 10**6), better=st.sampled_from([0.0, 1.0, 3.0]), fit=st.sampled_from(FITS))
@settings(max_examples=25, derandomize=True)
def test_a_map_between_models_without_anything_in_common_never_claims_a_gain(
    seed: int, better: float, fit: Callable[..., Matrix]
) -> None:
    scores = tried(seed, better, alike=False, fit=fit)
    claimed = scores.gain is not None and scores.gain.low > 0
    assert not claimed
    assert scores.mapped.mean < 0.2


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, derandomize=True)
def test_two_models_of_pure_noise_never_claim_a_gain(seed: int) -> None:
    noise = {"asked_old": unit(some(seed + 8, 150, 24)), "asked_new": unit(some(seed + 9, 150, 24))}
    scores = evaluate(fit_ridge(*anchors(seed, alike=True)), **(world(seed, 0.0, alike=True) | noise))  # type: ignore[arg-type]
    assert scores.gain is None or scores.gain.low <= 0


def test_few_queries_claim_nothing() -> None:
    whole = world(22, better=1.5, alike=True)
    few = {key: whole[key][:10] for key in ("queries", "asked_old", "asked_new")}  # type: ignore[index]
    assert evaluate(fit_ridge(*anchors(22, alike=True)), **(whole | few)).gain is None  # type: ignore[arg-type]


def test_points_that_were_anchors_are_not_searched() -> None:
    matrix = fit_ridge(*anchors(23, alike=True))
    with pytest.raises(ValueError, match="1 of the points"):
        evaluate(matrix, **world(23, 1.0, alike=True), anchors=[7, 1_000])  # type: ignore[arg-type]
    bare = world(23, 1.0, alike=True) | {"queries": [LabelledQuery("q")] * 150}
    with pytest.raises(ValueError, match="relevant"):
        evaluate(matrix, **bare)  # type: ignore[arg-type]


def test_a_map_from_wordllama_to_minilm_is_worse_than_leaving_the_index_alone(pytestconfig: pytest.Config) -> None:
    folder = pytestconfig.cache.mkdir("vectors")
    old, new = real("wordllama", folder), real("minilm", folder)
    ids = [document.id for document in old.documents]
    relevant = {point for query in old.queries for point in query.relevant}
    free = [row for row, point in enumerate(ids) if point not in relevant]
    fitted, searched = free[:500], [*(row for row, point in enumerate(ids) if point in relevant), *free[500:]]
    for fit in FITS:
        scores = evaluate(
            fit(old.stored[fitted], new.stored[fitted]),
            ids=[ids[row] for row in searched],
            old=old.stored[searched],
            new=new.stored[searched],
            queries=old.queries,
            asked_old=old.asked,
            asked_new=new.asked,
            anchors=[ids[row] for row in fitted],
        )
        assert scores.new.mean > scores.old.mean > scores.mapped.mean > 0.05
        assert scores.over_old.high < 0
        assert scores.gain is None or scores.gain.high < 0
