"""A vector per token: fastembed's ColBERT on real weights and on a table, over HTTP, and texts that the server embeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from changeover.cluster.api import Inference
from changeover.embed import DimensionMismatch, Encoder, ModelSpec, TextRejected, load, load_encoder
from changeover.errors import UnreachableError, UsageError
from changeover.sandbox import models
from tests.unit.http_server import Call, Reply, serving
from tests.unit.tiny_onnx import lookup_folder

LATE = ModelSpec(provider="fastembed", kind="late-interaction")
TEXTS = ["Sort the list in place.", "", "Return the arc tangent of y/x in radians. " * 8, "Sort a list."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.minilm_folder(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def minilm(folder: Path) -> Encoder:
    return load_encoder(msgspec.structs.replace(LATE, path=str(folder)))


near: Any = np.testing.assert_allclose
same: Any = np.testing.assert_array_equal


def maxsim(query: object, document: object) -> float:
    return float((np.asarray(query) @ np.asarray(document).T).max(axis=1).sum())


def test_minilms_tokens_have_a_vector_each(minilm: Encoder) -> None:
    made = minilm.embed_documents(TEXTS)
    assert [np.asarray(tokens).shape[1] for tokens in made] == [384] * 4
    lengths = [len(np.asarray(tokens)) for tokens in made]
    assert lengths[0] == 3 + 5  # [CLS], ColBERT's marker, [SEP]; the full stop has no vector
    assert lengths[1] == 3
    assert lengths[2] > 60
    for tokens in made:
        assert np.asarray(tokens).dtype == np.float32
        near(np.linalg.norm(np.asarray(tokens), axis=1), 1, atol=1e-5)
    query = np.asarray(minilm.embed_query("put the elements of a list in order"))
    assert query.shape == (32, 384)
    near(np.linalg.norm(query, axis=1), 1, atol=1e-5)
    scores = [maxsim(query, tokens) for tokens in made]
    assert min(scores[0], scores[3]) > max(scores[1], scores[2])
    assert minilm.dimension == 384
    assert minilm.max_tokens == models.MINILM_MAX_TOKENS - 1
    assert minilm.count_tokens(["list", "word " * 1000]) == 3 + models.MINILM_MAX_TOKENS - 1


def test_the_sandbox_has_the_same_tokens_under_its_own_name(minilm: Encoder, folder: Path) -> None:
    spec = ModelSpec(provider="sandbox", name="minilm", kind="late-interaction", path=str(folder.parent))
    encoder = load_encoder(spec)
    near(encoder.embed_documents(TEXTS[:1])[0], minilm.embed_documents(TEXTS[:1])[0], atol=1e-6)
    near(encoder.embed_query("a"), minilm.embed_query("a"), atol=1e-6)
    assert encoder.fingerprint.pooling == "late-interaction"
    assert encoder.fingerprint.digest != load(models.spec("minilm", folder.parent)).fingerprint.digest
    with pytest.raises(UsageError, match="no late-interaction model 'wordllama'"):
        load_encoder(msgspec.structs.replace(spec, name="wordllama"))


def test_prefixes_and_a_declared_size_are_kept_to(folder: Path, minilm: Encoder) -> None:
    spec = msgspec.structs.replace(LATE, path=str(folder), document_prefix="passage: ", query_prefix="query: ")
    encoder = load_encoder(spec)
    near(encoder.embed_documents(["x y"])[0], minilm.embed_documents(["passage: x y"])[0], atol=1e-6)
    near(encoder.embed_query("x y"), minilm.embed_query("query: x y"), atol=1e-6)
    with pytest.raises(DimensionMismatch, match=r"384 numbers, but model\.dimension says 128"):
        load_encoder(msgspec.structs.replace(spec, dimension=128))


def test_a_folder_without_token_type_ids_is_read_too(tmp_path: Path) -> None:
    # row 2 is ColBERT's document marker; the query's mask token is the last word
    table = [[0.0, 1.0], [1.0, 0.0], [3.0, 4.0], [0.0, 2.0]]
    folder = lookup_folder(tmp_path / "table", ["mark", "red", "[mask]"], table)
    with pytest.raises(UsageError, match=r"model\.path .* could not be opened"):  # it has no token named [MASK]
        load_encoder(msgspec.structs.replace(LATE, path=str(folder)))
    config = folder / "special_tokens_map.json"
    config.write_text('{"mask_token": "[MASK]"}')
    encoder = load_encoder(msgspec.structs.replace(LATE, path=str(folder)))
    [tokens] = encoder.embed_documents(["red red"])
    near(tokens, [[0.6, 0.8], [1.0, 0.0], [0.6, 0.8]], atol=1e-6)


def test_names_and_folders_that_are_no_late_interaction_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"no model 'colbert'.*near: .*colbert"):
        load_encoder(msgspec.structs.replace(LATE, name="colbert"))
    with pytest.raises(UsageError, match=r"has no model\.onnx"):
        load_encoder(msgspec.structs.replace(LATE, path=str(tmp_path)))
    with pytest.raises(UsageError, match=r"model\.path .* could not be opened"):
        load_encoder(msgspec.structs.replace(LATE, name="jinaai/jina-colbert-v2", path=str(tmp_path)))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("FASTEMBED_CACHE_PATH", str(tmp_path))
    with pytest.raises(UnreachableError, match=r"could not get colbert-ir/colbertv2\.0"):
        load_encoder(msgspec.structs.replace(LATE, name="colbert-ir/colbertv2.0"))


def test_only_dense_models_are_loaded_as_dense() -> None:
    with pytest.raises(UsageError, match="several vectors per text"):
        load(msgspec.structs.replace(LATE, name="colbert-ir/colbertv2.0"))
    with pytest.raises(UsageError, match="runs on the server"):
        load(ModelSpec(provider="qdrant", name="m", dimension=3))


def nested(call: Call) -> Reply:
    def tokens(text: str) -> list[list[float]]:
        return [[float(len(word)), 1.0, 0.0] for word in text.split()]

    texts = call.json["input"]
    if any("bad" in text for text in texts):
        return Reply(400, {"error": {"message": "too long"}})
    items = [{"index": i, "embedding": tokens(text)} for i, text in enumerate(texts)]
    return Reply(200, {"data": items[::-1], "usage": {"total_tokens": 5}})


def test_an_endpoint_may_answer_a_vector_per_token() -> None:
    with serving(nested) as server:
        spec = ModelSpec(provider="openai", name="m", url=server.url, kind="late-interaction", query_prefix="q ")
        encoder = load_encoder(spec, {})
        try:
            assert encoder.dimension == 3
            short, long = encoder.embed_documents(["one", "one two three"])
            same(short, [[3, 1, 0]])
            same(long, [[3, 1, 0], [3, 1, 0], [5, 1, 0]])
            same(encoder.embed_query("four"), [[1, 1, 0], [4, 1, 0]])
            with pytest.raises(TextRejected, match="refused 2 of 3 texts") as caught:
                encoder.embed_documents(["bad", "fine", ""])
            assert [(r.index, r.reason) for r in caught.value.rejected] == [
                (0, "400 too long"),
                (2, "the model returned no vector"),
            ]
            first, second, third = caught.value.vectors
            assert first is None
            assert third is None
            same(second, [[4, 1, 0]])
            with pytest.raises(TextRejected):
                encoder.embed_query("bad")
        finally:
            encoder.close()
        with pytest.raises(UsageError, match=r'set model\.kind to "late-interaction"'):
            load(msgspec.structs.replace(spec, kind="dense"), {})


def test_a_dense_endpoint_is_not_taken_for_a_late_one() -> None:
    with serving(lambda call: Reply(200, {"data": [{"embedding": [1.0, 2.0]}]})) as server:
        spec = ModelSpec(provider="openai", name="m", url=server.url, kind="late-interaction")
        with pytest.raises(UsageError, match=r'set model\.kind to "dense"'):
            load_encoder(spec, {})


def test_the_server_is_sent_prefixed_texts_and_nothing_is_asked_here() -> None:
    spec = ModelSpec(provider="qdrant", name="vendor/model", dimension=384, document_prefix="d: ", query_prefix="q: ")
    encoder = load_encoder(spec, {})
    assert encoder.embed_documents(["a", "b"]) == [Inference("d: a", spec.name), Inference("d: b", spec.name)]
    assert encoder.embed_query("a") == Inference("q: a", spec.name)
    assert encoder.dimension == encoder.fingerprint.dimension == 384
    assert encoder.count_tokens(["x" * 37, ""]) == 11
    assert load_encoder(msgspec.structs.replace(spec, kind="late-interaction"), {}).dimension == 384
    for change, words in (({"dimension": None}, "model.dimension is needed"), ({"name": ""}, "model.name is needed")):
        with pytest.raises(UsageError, match=words):
            load_encoder(msgspec.structs.replace(spec, **change), {})
