"""The text behind the vectors: candidate fields ranked on the sample, and proven by re-embedding where possible."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from typing import TYPE_CHECKING, Any

from changeover.cluster.api import Gateway
from changeover.embed.model import ModelSpec
from changeover.survey.model import Field, Proof, Sampled, Text
from changeover.survey.template import render

if TYPE_CHECKING:
    from changeover.embed.protocol import Embedder

MOST_FIELDS = 8
PROOF_POINTS = 48
SAME = 0.99
"""Cosine from which a re-embedded text counts as reproduced."""
PROVEN_SHARE = 0.9
PROVEN_MEDIAN = 0.995
PREFIXES = ("", "passage: ", "search_document: ")
LIKELY_NAMES = ("text", "content", "body", "chunk", "document", "page_content", "description", "passage")


def fields_of(sample: Sequence[Sampled]) -> tuple[Field, ...]:
    """Payload fields that hold text, likeliest first: long, nearly always there, mostly different."""
    values: dict[str, list[str]] = {}
    for point in sample:
        for path, value in _leaves(point.payload):
            values.setdefault(path, []).append(value)
    found = [_field(path, texts, len(sample)) for path, texts in values.items()]
    return tuple(sorted((f for f in found if f.score > 0), key=lambda f: (-f.score, f.path))[:MOST_FIELDS])


def propose(sample: Sequence[Sampled], old_model: ModelSpec | None) -> Text:
    """The best-ranked field as the text, not proven."""
    fields = fields_of(sample)
    template = f"{{{fields[0].path}}}" if fields else None
    return described(Text(template=template, fields=fields, old_model=old_model), sample)


def described(text: Text, sample: Sequence[Sampled]) -> Text:
    """The text with the shares of points that miss it or have it blank."""
    import msgspec

    if text.template is None or not sample:
        return text
    rendered = [render(text.template, point.payload) for point in sample]
    empty = sum(not t.strip() for t in rendered) / len(sample)
    missing = sum(t == "" for t in rendered) / len(sample)
    return msgspec.structs.replace(text, missing=missing, empty=empty)


async def prove(
    gateway: Gateway, name: str, vector: str, text: Text, sample: Sequence[Sampled], environ: Mapping[str, str]
) -> Text:
    """Re-embed sampled points with the old model and see which template and prefix give the stored vectors.

    Raises ChangeoverError when the old model cannot be loaded.
    """
    import msgspec

    from changeover.embed.protocol import load

    if text.old_model is None:
        return text
    ids = [point.id for point in sample[:PROOF_POINTS]]
    points = await gateway.retrieve(name, ids, vectors=[vector] if vector else True)
    stored = {p.id: p.vectors[vector] for p in points if _is_dense(p.vectors.get(vector))}
    if not stored:
        return text
    payloads = {p.id: p.payload for p in points}
    old = await asyncio.to_thread(load, text.old_model, environ)
    try:
        proofs = await asyncio.to_thread(_proofs, old, text, payloads, stored)
    finally:
        old.close()
    best = proofs[0] if proofs else None
    proven = best is not None and best.share >= PROVEN_SHARE and best.median >= PROVEN_MEDIAN
    template = best.template if best is not None and proven else text.template
    return described(msgspec.structs.replace(text, template=template, proofs=tuple(proofs), proven=proven), sample)


def candidates(text: Text) -> list[str]:
    """Templates to try: the best fields alone, then pairs of them."""
    paths = [field.path for field in text.fields[:5]]
    single = [f"{{{path}}}" for path in paths]
    pairs = [f"{{{a}}}{glue}{{{b}}}" for a, b in permutations(paths[:3], 2) for glue in ("\n\n", "\n", " ")]
    return [*single, *pairs]


def _proofs(
    old: Embedder, text: Text, payloads: Mapping[Any, dict[str, Any]], stored: Mapping[Any, list[float]]
) -> list[Proof]:
    proofs: list[Proof] = []
    for template in candidates(text):
        for prefix in PREFIXES:
            proof = _proof(old, template, prefix, payloads, stored)
            if proof is not None:
                proofs.append(proof)
            if proof is not None and proof.share >= PROVEN_SHARE and proof.median >= PROVEN_MEDIAN:
                return sorted(proofs, key=lambda p: -p.median)
    return sorted(proofs, key=lambda p: -p.median)


def _proof(
    old: Embedder,
    template: str,
    prefix: str,
    payloads: Mapping[Any, dict[str, Any]],
    stored: Mapping[Any, list[float]],
) -> Proof | None:
    import numpy as np

    texts = {i: render(template, payloads[i]) for i in stored}
    chosen = [i for i, t in texts.items() if t.strip()]
    if len(chosen) < max(3, len(stored) // 2):
        return None
    if prefix and template.startswith("{") and old.fingerprint.document_prefix == prefix:
        return None
    fresh = old.embed_documents([prefix + texts[i] for i in chosen])
    kept = np.array([stored[i] for i in chosen], dtype=np.float32)
    if kept.shape != fresh.shape:
        return None
    lengths = np.linalg.norm(kept, axis=1) * np.linalg.norm(fresh, axis=1)
    cosines = (kept * fresh).sum(axis=1) / np.where(lengths == 0, 1, lengths)
    return Proof(
        template=template,
        prefix=prefix,
        n=len(chosen),
        median=round(float(np.median(cosines)), 4),
        low=round(float(np.quantile(cosines, 0.05)), 4),
        share=round(float((cosines >= SAME).mean()), 4),
    )


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, str):
        yield path, value
    elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        yield path, "\n".join(value)


def _field(path: str, texts: list[str], sampled: int) -> Field:
    filled = [t for t in texts if t.strip()]
    mean = sum(map(len, filled)) / len(filled) if filled else 0.0
    distinct = len(set(filled)) / len(filled) if filled else 0.0
    share = len(filled) / sampled
    words = sum(len(t.split()) > 1 for t in filled) / len(filled) if filled else 0.0
    length = min(1.0, mean / 400)
    named = 0.15 if path.rpartition(".")[2].lower() in LIKELY_NAMES else 0.0
    score = share * distinct * words * (0.3 + 0.55 * length + named)
    return Field(
        path=path,
        present=len(texts) / sampled,
        text=share,
        mean_chars=round(mean, 1),
        distinct=round(distinct, 3),
        score=round(score, 4),
    )


def _is_dense(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], int | float)
