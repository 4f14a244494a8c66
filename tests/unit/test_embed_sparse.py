"""Sparse encoders: BM25 by the server, here and by fastembed, a SPLADE from a folder; terms and languages counted."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from changeover.cluster.api import Inference, SparseValue
from changeover.embed import Encoder, SparseSpec, TextRejected, load_encoder
from changeover.embed.bm25 import LANGUAGES, TermCounter
from changeover.embed.sparse import FastembedSparse
from changeover.embed.terms import guess_language, terms_per_text
from changeover.errors import UnreachableError, UsageError
from tests.unit.tiny_onnx import lookup_folder

FOX = "The quick brown fox jumps over the lazy dog; dog!"
LOCAL = SparseSpec(encoder="local-bm25", average_length=10)
SERVER = msgspec.structs.replace(LOCAL, encoder="server-bm25")


def sparse(value: object) -> dict[int, float]:
    assert isinstance(value, SparseValue)
    assert value.indices.dtype == np.uint32
    assert value.values.dtype == np.float32
    assert len(set(value.indices.tolist())) == len(value.indices) == len(value.values)
    return dict(zip(value.indices.tolist(), value.values.tolist(), strict=True))


def fastembed_bm25(folder: Path, **changed: object) -> SparseSpec:
    folder.mkdir(exist_ok=True)
    spec = SparseSpec(encoder="fastembed", model="Qdrant/bm25", path=str(folder))
    return msgspec.structs.replace(spec, **changed)


@pytest.fixture
def no_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "qdrant_edge", None)


def test_local_bm25_weighs_terms_by_frequency_and_length() -> None:
    encoder = load_encoder(LOCAL)
    document, nothing, empty = encoder.embed_documents([FOX, "the and of", ""])
    weights = sorted(sparse(document).values())
    norm = 1.2 * (1 - 0.75 + 0.75 * 7 / 10)  # seven terms: quick brown fox jump lazi dog dog
    np.testing.assert_allclose(weights[:5], [2.2 / (1 + norm)] * 5, rtol=1e-5)
    assert weights[5] == pytest.approx(2 * 2.2 / (2 + norm), rel=1e-5)
    assert len(weights) == 6
    assert nothing is None
    assert empty is None
    query = sparse(encoder.embed_query("dogs and foxes"))
    assert set(query.values()) == {1.0}
    assert set(query) < set(sparse(document))
    assert sparse(encoder.embed_query("the")) == {}
    assert encoder.dimension == 0
    assert encoder.count_tokens([FOX, "x y"]) == 12


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_is_one_that_the_encoder_has(language: str) -> None:
    encoder = load_encoder(msgspec.structs.replace(LOCAL, language=language.capitalize()))
    assert sparse(encoder.embed_query("Qdrant 42")) != {}
    assert f"language={language} " in encoder.fingerprint.revision


def test_the_server_is_sent_texts_with_its_own_option_names() -> None:
    encoder = load_encoder(SERVER)
    options = (("language", "english"), ("avg_len", 10.0))
    assert encoder.embed_documents([FOX, "the and of"]) == [Inference(FOX, "qdrant/bm25", options), None]
    assert encoder.embed_query("the") == Inference("the", "qdrant/bm25", options)
    plain = load_encoder(SparseSpec(encoder="server-bm25", language="German"))
    assert plain.embed_query("x") == Inference("x", "qdrant/bm25", (("language", "german"),))


def test_option_names_are_those_of_the_clients_bm25_configuration() -> None:
    from qdrant_client.models import Bm25Config

    inference = load_encoder(SERVER).embed_query("x")
    assert isinstance(inference, Inference)
    read = Bm25Config(**dict(inference.options))  # forbids names that it does not know
    assert (read.language, read.avg_len) == ("english", 10.0)


@pytest.mark.usefixtures("no_edge")
def test_without_the_local_encoder_the_server_gets_every_text() -> None:
    made = load_encoder(SERVER).embed_documents([FOX, "the and of"])
    assert [isinstance(value, Inference) for value in made] == [True, True]
    with pytest.raises(UsageError, match=r"pip install 'changeover\[sandbox\]'"):
        load_encoder(LOCAL)
    with pytest.raises(UsageError, match="qdrant-edge-py"):
        terms_per_text([FOX], LOCAL)
    with pytest.raises(UsageError, match="qdrant-edge-py"):
        guess_language([FOX])
    counted = terms_per_text([FOX, "?!"], SERVER)
    assert (counted.average, counted.without_terms, counted.stopword_share) == (10, 0.5, None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"language": "tamil"}, "no language 'tamil'.*arabic, azerbaijani, .*turkish"),
        ({"encoder": "server-bm25", "language": ""}, "no language ''"),
        ({"encoder": "text-index"}, "makes no vectors"),
        ({"encoder": "fastembed"}, "sparse.model is needed"),
        ({"encoder": "fastembed", "model": "splade"}, "no sparse model 'splade'.*Qdrant/bm25"),
        ({"encoder": "fastembed", "model": "qdrant/bm25", "language": "hebrew"}, "no language 'hebrew'.*tamil"),
        ({"encoder": "fastembed", "model": "Qdrant/bm25", "path": "absent"}, "sparse.path absent is not a folder"),
    ],
)
def test_a_spec_that_cannot_be_is_one_line(change: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        load_encoder(msgspec.structs.replace(LOCAL, **change))
    assert "\n" not in str(caught.value)


def test_an_empty_folder_is_no_splade_and_no_download_is_unreachable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splade = SparseSpec(encoder="fastembed", model="prithivida/Splade_PP_en_v1")
    with pytest.raises(UsageError, match=r"sparse\.path .* could not be opened"):
        load_encoder(msgspec.structs.replace(splade, path=str(tmp_path)))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("FASTEMBED_CACHE_PATH", str(tmp_path))
    with pytest.raises(UnreachableError, match=r"could not get prithivida.*sparse\.path"):
        load_encoder(splade)


def test_fastembeds_bm25_reads_stop_words_from_its_folder(tmp_path: Path) -> None:
    bare = load_encoder(fastembed_bm25(tmp_path / "bare"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "english.txt").write_text("the\nover\n")
    spec = fastembed_bm25(tmp_path / "full", average_length=10.0)
    encoder = load_encoder(spec)
    texts = ["the over", FOX, ""]
    nothing, document, empty = encoder.embed_documents(texts)
    assert nothing is None
    assert empty is None
    assert bare.embed_documents(texts)[0] is not None
    assert bare.fingerprint.digest != encoder.fingerprint.digest
    reference = load_encoder(LOCAL).embed_documents([FOX])[0]
    assert sparse(document) == pytest.approx(sparse(reference), rel=1e-5)
    assert sparse(encoder.embed_query("the")) == {}
    assert set(sparse(encoder.embed_query("the dog")).values()) == {1.0}
    counted = terms_per_text(texts, spec)
    assert counted.average == 7
    assert counted.without_terms == pytest.approx(2 / 3, abs=1e-4)
    assert counted.stopword_share == pytest.approx(5 / 12, abs=1e-4)


@pytest.fixture
def splade(tmp_path: Path) -> SparseSpec:
    table: list[list[float]] = [[0, 0, 0, 0], [2, 0, 1, 0], [0, 3, 0, 0], [0, 0, 0, 0], [float("nan"), 0, 0, 0]]
    folder = lookup_folder(tmp_path / "splade", ["red", "blue", "mute", "bad"], table)
    return SparseSpec(encoder="fastembed", model="prithivida/Splade_PP_en_v1", path=str(folder))


def test_a_splade_folder_gives_the_largest_weight_of_each_term(splade: SparseSpec) -> None:
    encoder = load_encoder(splade)
    red, both, mute = encoder.embed_documents(["red", "red blue blue mute", "mute"])
    assert sparse(red) == pytest.approx({0: math.log(3), 2: math.log(2)})
    assert sparse(both) == pytest.approx({0: math.log(3), 1: math.log(4), 2: math.log(2)})
    assert mute is None
    assert sparse(encoder.embed_query("blue")) == pytest.approx({1: math.log(4)})
    assert encoder.max_tokens == 16
    assert encoder.count_tokens(["red blue", "red " * 99]) == 18
    counted = terms_per_text(["red", "red blue", "mute"], splade)
    assert (counted.average, counted.stopword_share) == (2.5, None)
    assert counted.without_terms == pytest.approx(1 / 3, abs=1e-4)


def test_a_weight_that_is_not_finite_costs_only_its_text(splade: SparseSpec) -> None:
    with pytest.raises(TextRejected, match=r"refused 1 of 3 texts: .*not finite") as caught:
        load_encoder(splade).embed_documents(["red", "bad", "blue"])
    assert [r.index for r in caught.value.rejected] == [1]
    assert [value is None for value in caught.value.vectors] == [False, True, False]


def test_a_networks_batches_stay_small_and_in_order(splade: SparseSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_encoder(splade)
    sizes: list[int] = []
    encode = FastembedSparse._encode

    def counted(self: FastembedSparse, texts: list[str]) -> list[SparseValue]:
        sizes.append(len(texts))
        return encode(self, texts)

    monkeypatch.setattr(FastembedSparse, "_encode", counted)
    texts = ["red " * (1 + i % 5) if i % 2 else "blue" for i in range(30)]
    made = encoder.embed_documents(texts)
    assert sizes == [8, 8, 8, 6]
    assert [1 in sparse(value) for value in made] == [text == "blue" for text in texts]


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["dog", "house", "the", "and", "of", "tree"]), max_size=400))
def test_terms_are_counted_with_their_repeats(words: list[str]) -> None:
    text = " ".join(words)
    stops = sum(word in ("the", "and", "of") for word in words)
    assert TermCounter(None).count(text) == len(words)
    assert TermCounter("english").count(text) == len(words) - stops
    counted = terms_per_text([text, "dog"], LOCAL)
    assert counted.without_terms == (0.5 if stops == len(words) else 0)
    assert counted.stopword_share == pytest.approx(stops / (len(words) + 1), abs=1e-4)


def test_terms_of_no_texts_are_refused() -> None:
    with pytest.raises(UsageError, match="no texts"):
        terms_per_text([], LOCAL)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("english", "Return the arc tangent of y/x in radians. The sign of both inputs determines the quadrant."),
        ("german", "Der schnelle braune Fuchs springt über den faulen Hund, und die Katze schläft auf dem Sofa."),
        ("french", "Le renard saute par-dessus le chien et la maison est dans la forêt avec les enfants."),
        ("spanish", "El zorro salta sobre el perro perezoso y la casa está en el bosque con los niños que juegan."),
        ("russian", "Лиса прыгает через собаку, и дом стоит в лесу с детьми, которые там играют."),
        (None, "Acme GmbH Berlin Munich widget 300 steel bolt XJ-900"),
        (None, "敏捷的棕色狐狸跳过了懒狗。"),
        (None, ""),
    ],
)
def test_the_language_is_guessed_from_stop_words_or_not_at_all(language: str | None, text: str) -> None:
    assert guess_language([text]) == language


def test_one_text_has_one_fingerprint_per_setting() -> None:
    def digest(spec: SparseSpec) -> str:
        encoder: Encoder = load_encoder(spec)
        return encoder.fingerprint.digest

    specs = [LOCAL, SERVER, msgspec.structs.replace(LOCAL, language="dutch"), SparseSpec(encoder="local-bm25")]
    assert len({digest(spec) for spec in specs}) == 4
    assert digest(LOCAL) == digest(LOCAL)
