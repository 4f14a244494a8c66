"""Matrices that cut stored vectors, exact search, and what tells a Matryoshka model from others."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from changeover.errors import UsageError
from changeover.quality.cuts import Labelled, cuts
from changeover.quality.matrix import Matrix, fit_pca, leading, numpy_code, reduction_closed
from changeover.quality.nearest import nearest, nearest_multi
from changeover.quality.queries import LabelledQuery
from tests.unit.real_vectors import real

DISTANCES = ("Cosine", "Dot", "Euclid", "Manhattan")


def some(seed: int, rows: int, size: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(rows, size)).astype(np.float32)


def naive(a: NDArray[np.float32], b: NDArray[np.float32], distance: str) -> float:
    """Closeness of two vectors, as the documentation of Qdrant's distances has it."""
    one, other = a.astype(float), b.astype(float)
    if distance == "Euclid":
        return -float(np.linalg.norm(one - other))
    if distance == "Manhattan":
        return -float(np.abs(one - other).sum())
    product = float(one @ other)
    return product if distance == "Dot" else product / float(np.linalg.norm(one) * np.linalg.norm(other))


@given(seed=st.integers(0, 999), distance=st.sampled_from(DISTANCES), count=st.integers(1, 30))
@settings(max_examples=40)
def test_nearest_is_what_comparing_with_every_vector_finds(seed: int, distance: str, count: int) -> None:
    asked, stored = some(seed, 3, 7), some(seed + 1, 20, 7)
    found = nearest(asked, stored, distance, count)
    assert found.shape == (3, min(count, 20))
    for query, rows in zip(asked, found, strict=True):
        closeness = [naive(query, vector, distance) for vector in stored]
        best = sorted(closeness, reverse=True)[: len(rows)]
        assert [closeness[row] for row in rows] == pytest.approx(best, abs=1e-4)


def test_equal_vectors_are_found_in_their_order() -> None:
    stored = np.ones((30, 4), dtype=np.float32)
    assert nearest(stored[:1], stored, "Cosine", 5).tolist() == [[0, 1, 2, 3, 4]]


def test_multivectors_are_ranked_by_the_sum_of_the_best_token_matches() -> None:
    stored = [some(i, 1 + i % 4, 6) for i in range(12)]
    asked = some(99, 3, 6)
    wanted = [sum(max(naive(t, token, "Cosine") for token in tokens) for t in asked) for tokens in stored]
    [found] = nearest_multi([asked], stored, 12).tolist()
    assert found == sorted(range(12), key=lambda row: -wanted[row])


@given(seed=st.integers(0, 999), distance=st.sampled_from(["Dot", "Euclid"]))
@settings(max_examples=25)
def test_a_whole_rotation_keeps_every_dot_product_and_distance(seed: int, distance: str) -> None:
    vectors = some(seed, 12, 6)
    turned = fit_pca(vectors, 6, distance).apply(vectors)
    assert turned @ turned.T == pytest.approx(vectors @ vectors.T, abs=1e-4)


def test_principal_components_hold_all_there_is_in_vectors_of_low_rank() -> None:
    vectors = some(1, 80, 5) @ some(2, 5, 40)
    cut = fit_pca(vectors, 5, "Dot").apply(vectors)
    assert cut.shape == (80, 5)
    assert cut @ cut.T == pytest.approx(vectors @ vectors.T, rel=1e-3, abs=1e-2)


def test_cut_vectors_of_a_cosine_collection_have_length_one_and_others_keep_their_numbers() -> None:
    vectors = some(3, 20, 10)
    for matrix in (leading(4, "Cosine"), fit_pca(vectors, 4, "Cosine")):
        assert np.linalg.norm(matrix.apply(vectors), axis=1) == pytest.approx(np.ones(20), abs=1e-5)
    assert np.array_equal(leading(4, "Dot").apply(vectors), vectors[:, :4])
    assert np.array_equal(leading(4, "Cosine").apply(np.zeros((1, 10), np.float32)), np.zeros((1, 4), np.float32))


def test_the_same_vectors_in_any_order_give_the_same_matrix() -> None:
    vectors = some(4, 500, 12) * np.linspace(3, 1, 12, dtype=np.float32)
    one, other = fit_pca(vectors, 4, "Cosine"), fit_pca(vectors[::-1].copy(), 4, "Cosine")
    assert one.matrix is not None and other.matrix is not None
    assert one.matrix == pytest.approx(other.matrix, abs=1e-4)
    assert one.digest == fit_pca(vectors, 4, "Cosine").digest != fit_pca(vectors, 5, "Cosine").digest


def test_a_matrix_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    vectors = some(5, 50, 9)
    for number, matrix in enumerate((leading(3, "Dot"), fit_pca(vectors, 3, "Cosine"))):
        path = tmp_path / f"{number}.npz"
        matrix.save(path)
        again = Matrix.load(path)
        assert again.digest == matrix.digest
        assert np.array_equal(again.apply(vectors), matrix.apply(vectors))
        assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@given(cut=st.integers(0, 900))
@settings(max_examples=30)
def test_a_matrix_file_that_was_cut_short_is_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("matrix") / "matrix.npz"
    fit_pca(some(6, 30, 9), 3, "Cosine").save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: min(cut, len(whole) - 1)])
    with pytest.raises(UsageError, match="fit it again") as caught:
        Matrix.load(path)
    assert "\n" not in str(caught.value)


def test_what_is_no_matrix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such matrix"):
        Matrix.load(tmp_path / "absent.npz")
    path = tmp_path / "matrix.npz"
    path.write_bytes(pickle.dumps({"method": "pca"}))
    with pytest.raises(UsageError, match="not a matrix"):
        Matrix.load(path)
    parts: dict[str, Any] = {"format": 1, "method": "pca", "size": 3, "normalise": [False, True]}
    square = np.eye(4, 3, dtype=np.float32)
    for broken in (
        {"matrix": np.array([{"a": 1}], dtype=object)},
        {},
        {"matrix": square[:, :2]},
        {"matrix": square * np.nan},
        {"matrix": square, "method": "magic"},
        {"matrix": square, "format": 2},
    ):
        np.savez(path, **(parts | broken))
        with pytest.raises(UsageError, match="not a matrix"):
            Matrix.load(path)
    np.savez(path, **(parts | {"matrix": square}))
    assert Matrix.load(path).size == 3


def test_vectors_of_another_size_are_refused() -> None:
    with pytest.raises(UsageError, match="9 numbers"):
        fit_pca(some(7, 30, 9), 3, "Dot").apply(some(8, 2, 8))
    with pytest.raises(UsageError, match="10 or more"):
        leading(10, "Dot").apply(some(8, 2, 8))
    with pytest.raises(UsageError, match=r"target\.dimension 10"):
        fit_pca(some(7, 30, 9), 10, "Dot")
    with pytest.raises(UsageError, match="not finite"):
        fit_pca(np.full((3, 3), np.nan, np.float32), 2, "Dot")


@pytest.mark.parametrize("method", ["leading", "pca"])
@pytest.mark.parametrize("distance", ["Cosine", "Dot", "Euclid"])
def test_the_application_s_code_gives_what_the_matrix_gives(
    method: Any, distance: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = some(9, 40, 8)
    matrix = leading(3, distance) if method == "leading" else fit_pca(vectors, 3, distance)
    matrix.save(tmp_path / "matrix.npz")
    monkeypatch.chdir(tmp_path)
    for size in (None, 3):
        room: dict[str, Any] = {}
        exec(numpy_code(method, distance, size), room)  # what a person pastes into the application
        assert room["shorter"](vectors[0].tolist()) == pytest.approx(matrix.apply(vectors[:1])[0].tolist(), abs=1e-5)


def test_a_map_needs_no_code_in_the_application() -> None:
    assert numpy_code("ridge", "Cosine") == numpy_code("procrustes", "Dot") == ""


def test_only_a_rotation_under_manhattan_is_closed() -> None:
    closed = {(m, d) for m in ("leading", "pca") for d in DISTANCES if reduction_closed(m, d)}
    assert closed == {("pca", "Manhattan")}
    assert "rotation" in reduction_closed("pca", "Manhattan")
    assert reduction_closed("leading", "Hamming") and reduction_closed("leading", None)
    with pytest.raises(UsageError, match="rotation"):
        fit_pca(some(1, 9, 4), 2, "Manhattan")


def nested(seed: int, rows: int = 600, size: int = 64) -> NDArray[np.float32]:
    """Vectors whose leading numbers carry the most, as Matryoshka training makes them."""
    return some(seed, rows, size) * np.linspace(2, 0.3, size, dtype=np.float32)


def turned(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same vectors after a random rotation: the same neighbours, no number above others."""
    basis, _ = np.linalg.qr(some(77, vectors.shape[1], vectors.shape[1]))
    return vectors @ basis.astype(np.float32)


@pytest.mark.parametrize("distance", DISTANCES)
def test_leading_numbers_that_matter_more_are_seen_and_a_rotation_hides_them(distance: str) -> None:
    assert cuts(nested(1), [16, 32], distance).matryoshka is True
    assert cuts(turned(nested(1)), [16, 32], distance).matryoshka is False


def test_principal_components_find_what_a_rotation_has_hidden() -> None:
    scores = cuts(turned(nested(2)), [16, 32, 64, 900], "Cosine")
    by = {(cut.method, cut.size): cut.overlap for cut in scores.cuts}
    assert set(by) == {(method, size) for method in ("leading", "random", "pca") for size in (16, 32)}
    for size in (16, 32):
        assert by["pca", size] > by["leading", size] + 0.1
    assert by["pca", 32] > by["pca", 16]
    assert abs(scores.gap) < 0.05


def test_a_small_sample_says_nothing_of_the_model_but_measures() -> None:
    scores = cuts(nested(3, rows=200), [32], "Cosine")
    assert scores.matryoshka is None
    assert len(scores.cuts) == 3
    assert cuts(nested(3, size=16), [8], "Cosine").matryoshka is None
    with pytest.raises(UsageError, match="too few"):
        cuts(nested(3, rows=12), [32], "Cosine")


def test_manhattan_is_measured_without_a_rotation() -> None:
    assert {cut.method for cut in cuts(nested(4, 300), [32], "Manhattan").cuts} == {"leading", "random"}


def test_the_same_seed_measures_the_same() -> None:
    vectors = nested(5, 300)
    assert cuts(vectors, [16], "Cosine", seed=3) == cuts(vectors, [16], "Cosine", seed=3)
    assert cuts(vectors, [16], "Cosine", seed=3) != cuts(vectors, [16], "Cosine", seed=4)


def test_ndcg_kept_is_one_where_the_cut_takes_nothing_away() -> None:
    vectors = np.concatenate([some(6, 300, 32), np.zeros((300, 32), np.float32)], axis=1)
    queries = [LabelledQuery(f"q{i}", {i: 1}) for i in range(40)]
    asked = vectors[:40] + np.float32(0.8) * np.concatenate([some(7, 40, 32), np.zeros((40, 32), np.float32)], axis=1)
    scores = cuts(vectors, [32], "Cosine", labelled=Labelled(queries, asked, list(range(300))))
    by = {cut.method: cut for cut in scores.cuts}
    assert by["leading"].overlap == 1.0 and by["leading"].ndcg_kept == pytest.approx(1.0)
    assert by["pca"].overlap == pytest.approx(1.0, abs=0.01)
    assert by["random"].ndcg_kept is not None and by["random"].ndcg_kept < 1
    unlabelled = cuts(vectors, [32], "Cosine")
    assert all(cut.ndcg_kept is None for cut in unlabelled.cuts)


@pytest.mark.parametrize(("model", "matryoshka"), [("wordllama", True), ("minilm", False)])
def test_wordllama_is_told_from_minilm_by_their_vectors_alone(
    model: str, matryoshka: bool, pytestconfig: pytest.Config
) -> None:
    world = real(model, pytestconfig.cache.mkdir("vectors"))
    size = world.stored.shape[1]
    labelled = Labelled(world.queries, world.asked, [document.id for document in world.documents])
    scores = cuts(world.stored, [size // 4, size // 2], "Cosine", labelled=labelled)
    assert scores.matryoshka is matryoshka
    by = {(cut.method, cut.size): cut for cut in scores.cuts}
    for part in (size // 4, size // 2):
        # Principal components keep more neighbours than plain cutting on every model (facts measured on seven).
        assert by["pca", part].overlap > by["leading", part].overlap + 0.05
        kept = by["pca", part].ndcg_kept
        assert kept is not None and 0.5 < kept < 1.2
