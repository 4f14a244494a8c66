"""Which field is the text, and whether the old model made the vectors from it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from changeover.cluster.api import Point
from changeover.embed.model import Fingerprint, ModelSpec
from changeover.embed.protocol import RejectedText, TextRejected
from changeover.survey import proof
from changeover.survey.model import Sampled, Text, Vector
from changeover.survey.template import paths, render
from changeover.survey.text import described, fields_of, propose, reglued, templates

SENTENCES = [f"Sentence {i} speaks about topic {i * 7} at some length, {'and then more ' * (i % 9)}" for i in range(40)]


def sampled(payloads: Sequence[dict[str, Any]]) -> tuple[Sampled, ...]:
    return tuple(Sampled(id=i, payload=payload) for i, payload in enumerate(payloads))


def rich(i: int) -> dict[str, Any]:
    return {
        "title": f"Title number {i} here",
        "text": SENTENCES[i],
        "meta": {"summary": f"Summary {i} in a few words", "lang": "en", "code": f"A-{i:05}"},
        "url": f"https://example.org/page/{i}",
        "created": f"2024-01-{i % 28 + 1:02} 10:00:{i:02}",
        "uuid": f"6c8f1a0e-2f3b-4a55-9d0a-{i:012}",
        "category": "news",
        "count": i,
        "tags": ["red", "green"],
        "dotted.key": SENTENCES[i] * 2,
        "br{ace": SENTENCES[i] * 3,
    }


def test_the_text_is_found_among_other_fields() -> None:
    found = fields_of(sampled([rich(i) for i in range(40)]))
    assert found[0].path == "text"
    assert {f.path for f in found[1:]} == {"title", "meta.summary"}
    best = found[0]
    assert (best.present, best.text, best.distinct) == (1.0, 1.0, 1.0)
    assert best.mean_chars > 40
    assert all(0 <= f.score <= 1 for f in found)


def test_a_field_that_is_often_missing_ranks_lower() -> None:
    payloads = [{"often": SENTENCES[i], **({"seldom": SENTENCES[i] * 5} if i < 4 else {})} for i in range(40)]
    assert next(f.path for f in fields_of(sampled(payloads))) == "often"


@pytest.mark.parametrize(
    "texts",
    [
        [f"这是第{i}个文档，讨论了向量数据库的迁移问题" for i in range(20)],
        [["a list of words", f"and number {i}"] for i in range(20)],
        [f"Sankt{chr(97 + i)}stadt" for i in range(20)],
    ],
)
def test_texts_of_many_kinds_are_candidates(texts: list[Any]) -> None:
    text = propose(sampled([{"v": t, "id": f"{i:08x}-x"} for i, t in enumerate(texts)]), None)
    assert text.template == "{v}"


@pytest.mark.parametrize(
    "payload", [{}, {"n": 1}, {"when": "2024-01-01 10:00"}, {"k": "a"}, {"text": "  "}, {"x": None}]
)
def test_what_is_no_text_is_not_proposed(payload: dict[str, Any]) -> None:
    text = propose(sampled([payload] * 30), None)
    assert text.template is None
    assert (text.missing, text.empty) == (0.0, 0.0)


def test_an_empty_collection_has_no_text() -> None:
    assert propose((), None) == Text()


def test_missing_and_blank_texts_are_counted() -> None:
    payloads = [{"a": "word"}, {"a": "  "}, {"b": 1}, {"a": "", "b": 2}]
    text = described(Text(template="Title: {a}"), sampled(payloads))
    assert (text.missing, text.empty) == (0.5, 0.0)
    plain = described(Text(template="{a}"), sampled(payloads))
    assert (plain.missing, plain.empty) == (0.5, 0.75)


def test_candidates_are_fields_alone_first_then_joined() -> None:
    fields = fields_of(sampled([rich(i) for i in range(40)]))
    tried = templates(fields)
    assert tried[:3] == tuple(f"{{{f.path}}}" for f in fields)
    assert "{title}\n{text}" in tried
    assert reglued("{title}\n{text}") == ("{title} {text}", "{title}\n\n{text}")
    assert reglued("{title}") == ()
    assert "{title}\n{meta.summary}\n{text}" in tried
    assert len(tried) == len(set(tried))


class Hashed:
    """An embedder whose vector is a hash of the text: equal for equal texts, unlike for all others."""

    dimension = 16
    max_tokens = None

    def __init__(self, refuses: str = "") -> None:
        self.fingerprint = Fingerprint(provider="test", model="hash", dimension=16)
        self.calls = 0
        self.closed = False
        self._refuses = refuses

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        self.calls += 1
        made = np.array([self.embed_query(t) for t in texts], np.float32)
        odd = [i for i, t in enumerate(texts) if self._refuses and self._refuses in t]
        if odd:
            made[odd] = np.nan
            raise TextRejected([RejectedText(i, "refused") for i in odd], made)
        return made

    def embed_query(self, text: str) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        return np.random.default_rng(seed).normal(size=16).astype(np.float32)

    def count_tokens(self, texts: Sequence[str]) -> int:
        return sum(len(t.split()) for t in texts)

    def close(self) -> None:
        self.closed = True


class Bag(Hashed):
    """A bag of words: like texts get like vectors, as real models do."""

    def embed_query(self, text: str) -> np.ndarray:
        parts = re.findall(r"\w+|\W+", text)
        return np.sum([super(Bag, self).embed_query(part) for part in parts], axis=0, dtype=np.float32)


class Stored:
    """A gateway that knows the stored vectors."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = {p.id: p for p in points}

    async def retrieve(self, name: str, ids: Sequence[Any], **asked: Any) -> list[Point]:
        return [self._points[i] for i in ids if i in self._points]


def points(template: str, prefix: str = "", model: Hashed | None = None, scale: float = 3.0) -> list[Point]:
    model, vector = model or Hashed(), "old"
    return [
        Point(
            id=i,
            payload=rich(i),
            vectors={vector: (scale * model.embed_query(prefix + render(template, rich(i)))).tolist()},
        )
        for i in range(40)
    ]


async def proven(
    stored: Sequence[Point], monkeypatch: pytest.MonkeyPatch, model: Hashed | None = None, **spec: Any
) -> tuple[Text, str, Hashed]:
    old = model or Hashed()
    monkeypatch.setattr("changeover.embed.protocol.load", lambda spec, environ: old)
    sample = tuple(Sampled(id=p.id, payload=p.payload) for p in stored)
    text = propose(sample, ModelSpec(provider="test", name="hash", **spec))
    vectors = (
        Vector(name="other", kind="dense", size=3),
        Vector(name="old", kind="dense", size=16),
        Vector(name="kw", kind="sparse"),
    )
    found, note = await proof.prove(Stored(stored), "docs", vectors, text, sample, {})  # type: ignore[arg-type]
    assert old.closed
    return found, note, old


@pytest.mark.parametrize(
    ("template", "prefix"),
    [
        ("{text}", ""),
        ("{title}", ""),
        ("{title}\n{text}", ""),
        ("{text}", "passage: "),
        ("{title}\n{meta.summary}\n{text}", ""),
    ],
)
async def test_the_text_that_made_the_vectors_is_found(
    template: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, note, _ = await proven(points(template, prefix), monkeypatch)
    assert text.proven is True
    assert (text.template, text.proofs[0].template, text.proofs[0].prefix) == (template, template, prefix)
    assert text.proofs[0].n == 40
    assert text.proofs[0].median == pytest.approx(1.0, abs=1e-3)
    assert text.old_model is not None
    assert text.old_model.document_prefix == prefix
    assert note == ""
    assert all(p.median <= text.proofs[0].median for p in text.proofs)


async def test_fields_joined_otherwise_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    text, _, _ = await proven(points("{title}\n\n{text}", "", Bag()), monkeypatch, Bag())
    assert text.proven
    assert text.template in ("{title}\n\n{text}", "{text}\n\n{title}"), "a bag of words knows no order"


async def test_a_prefix_before_joined_fields_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = points("{title}\n{text}", "search_document: ", Bag())
    text, _, _ = await proven(stored, monkeypatch, Bag())
    assert text.proven
    assert text.template is not None
    assert paths(text.template) == ("title", "text")
    assert text.proofs[0].prefix == "search_document: "


async def test_a_declared_prefix_is_tried_first(monkeypatch: pytest.MonkeyPatch) -> None:
    text, _, _ = await proven(points("{text}", "Doc> "), monkeypatch, document_prefix="Doc> ")
    assert text.proven
    assert text.proofs[0].prefix == "Doc> "


async def test_another_model_is_not_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = [Point(id=p.id, payload=p.payload, vectors={"old": list(range(16))}) for p in points("{text}")]
    text, _, old = await proven(stored, monkeypatch)
    assert text.proven is False
    assert text.template == "{text}"
    assert text.proofs
    assert text.proofs[0].share == 0
    assert old.calls < 80, "a first look is short"


async def test_a_third_from_another_model_is_not_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = points("{text}")
    mixed = [p if p.id % 3 else Point(id=p.id, payload=p.payload, vectors={"old": [1.0] * 16}) for p in stored]  # type: ignore[operator]
    text, _, _ = await proven(mixed, monkeypatch)
    assert text.proven is False
    assert 0.5 < text.proofs[0].share < 0.8
    assert text.proofs[0].apart > 0.2, "the others are nowhere near"
    assert text.proofs[0].share + text.proofs[0].apart > 0.9, "and nothing lies between"


async def test_like_texts_of_the_same_model_are_not_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    text, _, _ = await proven(
        points("{text}", prefix="an instruction that nobody would think of: ", model=Bag()), monkeypatch, model=Bag()
    )
    assert text.proofs[0].share < 0.9
    assert text.proofs[0].apart == 0


async def test_texts_that_the_model_refuses_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    text, _, _ = await proven(points("{text}"), monkeypatch, Hashed(refuses="Sentence 7 "))
    assert text.proven
    assert text.proofs[0].n == 39


async def test_a_model_of_another_size_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Hashed()
    model.dimension = 12
    text, note, _ = await proven(points("{text}"), monkeypatch, model)
    assert text.proven is False
    assert not text.proofs
    assert "12 numbers" in note
    assert "old 16" in note


async def test_without_stored_vectors_nothing_is_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    text, note, _ = await proven([Point(id=i, payload=rich(i)) for i in range(20)], monkeypatch)
    assert text.proven is False
    assert note
