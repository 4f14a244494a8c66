"""fastembed and the sandbox's models, on the real weights where the sandbox extra is installed."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import msgspec
import numpy as np
import pytest

from changeover.embed import DimensionMismatch, Embedder, ModelSpec, load, tokens_billed
from changeover.errors import UnreachableError, UsageError
from changeover.sandbox import models

TEXTS = [
    "Open a file and return a stream.",
    "",
    "Sort the list in place, stable, in ascending order. " * 12,
    "Return the arc tangent of y/x in radians.",
    "Sort the list in place. " * 40,
]


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def minilm(data_dir: Path) -> Embedder:
    return load(models.spec("minilm", data_dir))


def test_a_text_has_one_vector_whatever_it_is_batched_with(minilm: Embedder) -> None:
    together = minilm.embed_documents(TEXTS)
    assert together.shape == (len(TEXTS), 384)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    alone = np.vstack([minilm.embed_documents([text])[0] for text in TEXTS])
    assert (together * alone).sum(axis=1).min() > 0.99999
    with ThreadPoolExecutor(4) as pool:
        for parallel in pool.map(minilm.embed_documents, [TEXTS] * 4):
            np.testing.assert_array_equal(parallel, together)


def test_similar_texts_are_nearer_than_others(minilm: Embedder) -> None:
    query = minilm.embed_query("put the elements of a sequence in order")
    scores = minilm.embed_documents(TEXTS) @ query
    assert scores[2] > max(scores[0], scores[3])


def test_tokens_are_counted_up_to_the_limit(minilm: Embedder) -> None:
    assert minilm.max_tokens == models.MINILM_MAX_TOKENS
    assert minilm.count_tokens(["list"]) == 3
    assert tokens_billed(minilm) == 0
    assert minilm.count_tokens(["list", "word " * 1000]) == 3 + models.MINILM_MAX_TOKENS


def test_the_same_folder_works_as_model_path(minilm: Embedder, data_dir: Path) -> None:
    folder = models.minilm_folder(data_dir)
    spec = ModelSpec(provider="fastembed", path=str(folder), document_prefix="passage: ", query_prefix="query: ")
    model = load(spec)
    np.testing.assert_allclose(
        model.embed_documents(["x y"])[0], minilm.embed_documents(["passage: x y"])[0], atol=1e-6
    )
    np.testing.assert_allclose(model.embed_query("x y"), minilm.embed_documents(["query: x y"])[0], atol=1e-6)
    assert model.fingerprint.revision == minilm.fingerprint.revision == models.MINILM_MODEL.sha256
    raw = load(msgspec.structs.replace(spec, normalise=False, pooling="cls"))
    assert not raw.fingerprint.normalised
    with pytest.raises(DimensionMismatch) as caught:
        load(msgspec.structs.replace(spec, dimension=385))
    assert (caught.value.declared, caught.value.real) == (385, 384)
    with pytest.raises(UsageError, match="cannot embed"):
        load(msgspec.structs.replace(spec, pooling="disabled"))


def test_a_folder_that_is_no_model_is_named_with_what_it_lacks(tmp_path: Path) -> None:
    def opened(path: Path) -> Embedder:
        return load(ModelSpec(provider="fastembed", path=str(path)))

    with pytest.raises(UsageError, match="is not a folder"):
        opened(tmp_path / "absent")
    with pytest.raises(UsageError, match=r"has no model\.onnx"):
        opened(tmp_path)
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(UsageError, match=r"has no tokenizer\.json"):
        opened(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    with pytest.raises(UsageError, match="could not be opened as an ONNX model") as caught:
        opened(tmp_path)
    assert "\n" not in str(caught.value)


def test_names_that_fastembed_does_not_know_or_cannot_get(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no model 'bge-small-en'.*near: .*BAAI/bge-small-en"):
        load(ModelSpec(provider="fastembed", name="bge-small-en"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("FASTEMBED_CACHE_PATH", str(tmp_path))
    with pytest.raises(UnreachableError, match=r"could not get BAAI/bge-small-en.*model\.path"):
        load(ModelSpec(provider="fastembed", name="baai/bge-small-en"))


def test_wordllama_is_a_deterministic_mean_of_its_tokens() -> None:
    model = load(models.spec("wordllama"))
    vectors = model.embed_documents(["open a file", "", "open a file"])
    assert vectors.shape == (3, 256)
    np.testing.assert_array_equal(vectors[0], vectors[2])
    np.testing.assert_array_equal(vectors[0], model.embed_query("open a file"))
    assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-5)
    assert not vectors[1].any()
    assert model.count_tokens(["open a file"]) == 3


def test_scrambled_keeps_size_and_loses_meaning(data_dir: Path, minilm: Embedder) -> None:
    model = load(models.spec("scrambled", data_dir))
    assert model.dimension == minilm.dimension
    assert model.fingerprint.digest != minilm.fingerprint.digest
    vectors = model.embed_documents([TEXTS[2], TEXTS[4]])
    np.testing.assert_allclose(vectors[0], model.embed_query(TEXTS[2]), atol=1e-6)
    assert (
        abs(float(vectors[0] @ vectors[1]))
        < 0.4
        < float(np.prod(minilm.embed_documents([TEXTS[2], TEXTS[4]]), axis=0).sum())
    )


def test_the_vocabulary_is_the_one_its_notice_names() -> None:
    data = files("changeover.sandbox").joinpath("data")
    digest = hashlib.sha256(data.joinpath("vocab.txt").read_bytes()).hexdigest()
    assert digest in data.joinpath("NOTICE").read_text("utf-8")


def test_processes_that_make_the_folder_at_once_end_with_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        [folder] = set(pool.map(models.minilm_folder, [tmp_path] * 4))
    assert {file.name for file in folder.iterdir()} == {
        "config.json",
        "model.onnx",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert list(tmp_path.iterdir()) == [folder]


def test_a_file_that_is_not_the_pinned_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = msgspec.structs.replace(models.MINILM_MODEL, sha256="0" * 64)
    with pytest.raises(UsageError, match="sha256 differs"):
        models.asset_path(other)
    with pytest.raises(UsageError, match=r"pip install 'changeover\[sandbox\]'"):
        models.asset_path(models.Asset("no_such_package", "x", ""))
    with pytest.raises(UsageError, match="has no model 'other'"):
        load(models.spec("other"))
