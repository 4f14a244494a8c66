"""Prove the text behind the vectors: re-embed sampled points with the old model, compare with what is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from changeover.cluster.api import Gateway
from changeover.embed.model import ModelSpec
from changeover.survey.model import PointId, Proof, Sampled, Text, Vector
from changeover.survey.template import render
from changeover.survey.text import described, reglued, templates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from changeover.embed.protocol import Embedder

    Rows = NDArray[np.float32]

FIRST = 10
"""Points for a first look at every candidate."""
POINTS = 48
"""Points for a proof."""
FINALISTS = 3
SAME = 0.99
"""Cosine from which a re-embedded text counts as reproduced; quantised models vary by less with the batch."""
APART = 0.3
"""Cosine below which two vectors have nothing to do with each other."""
PROVEN_SHARE = 0.9
EXACT = 0.9995
"""Median cosine from which no other candidate is tried: a wrong prefix on a long text can pass for SAME."""
PREFIXES = ("", "passage: ", "search_document: ", "query: ", "title: none | text: ")
"""Prefixes that widespread models ask for in front of documents."""
REGLUED = 2
WITH_PREFIX = 4
"""How many of the best templates are tried with prefixes."""


class Stored(NamedTuple):
    """Sampled points of one vector: payloads, and the stored vectors as float32 of shape (points, dimension)."""

    vector: str
    ids: tuple[PointId, ...]
    payloads: tuple[dict[str, Any], ...]
    vectors: Rows


async def prove(
    gateway: Gateway,
    name: str,
    vectors: Sequence[Vector],
    text: Text,
    sample: Sequence[Sampled],
    environ: Mapping[str, str],
) -> tuple[Text, str]:
    """(the text with its proofs, a note). The proven prefix becomes the old model's `document_prefix`.

    Raises ChangeoverError when the old model cannot be loaded or asked.
    """
    from changeover.embed.protocol import load

    if text.old_model is None:
        return text, ""
    if not text.fields:
        return text, "the old model was not tried: no payload field looks like text"
    declared = text.old_model.document_prefix
    old = await asyncio.to_thread(load, msgspec.structs.replace(text.old_model, document_prefix=""), environ)
    try:
        fitting = [v.name for v in vectors if v.kind == "dense" and v.size == old.dimension]
        stored = [s for v in fitting if (s := await _stored(gateway, name, v, sample)) is not None]
        if not stored:
            sizes = ", ".join(f"{v.name or '(unnamed)'} {v.size}" for v in vectors if v.kind == "dense") or "none"
            note = f"the old model makes vectors of {old.dimension} numbers; stored are {sizes}"
            return msgspec.structs.replace(text, proven=False), note
        prefixes = tuple(dict.fromkeys((declared, *PREFIXES)))
        tried = [(s.vector, await asyncio.to_thread(proofs, old, templates(text.fields), prefixes, s)) for s in stored]
    finally:
        old.close()
    vector, found = max(tried, key=lambda pair: _rank(pair[1][0]) if pair[1] else (False, -2.0, 0))
    note = f"the old model was compared with the vector {vector!r}" if len(fitting) > 1 else ""
    return described(_concluded(text, text.old_model, found), sample), note


def proofs(old: Embedder, candidates: Sequence[str], prefixes: Sequence[str], stored: Stored) -> tuple[Proof, ...]:
    """Every candidate tried, best first; `prefixes[0]` is tried with all templates, the others with the best of them.

    Each gets a first look on a few points; those in front are then measured on all. Blocking.
    """
    few = _head(stored, FIRST)
    looked = _looked(old, [(template, prefixes[0]) for template in candidates], few)
    if not _exact(looked):
        other = [(glued, prefixes[0]) for proof in looked[:REGLUED] for glued in reglued(proof.template)]
        looked = _sorted([*looked, *_looked(old, other, few)])
    if not _exact(looked):
        best = list(dict.fromkeys(proof.template for proof in looked))[:WITH_PREFIX]
        more = [(template, prefix) for prefix in prefixes[1:] for template in best]
        looked = _sorted([*looked, *_looked(old, more, few)])
    measured = []
    for proof in looked[:FINALISTS]:
        again = _proof(old, proof.template, proof.prefix, stored)
        measured.append(again or proof)
        if again is not None and _exact([again]) and _reproduces(again):
            break
    return _sorted([*measured, *looked[len(measured) :]])


def _looked(old: Embedder, candidates: Sequence[tuple[str, str]], stored: Stored) -> tuple[Proof, ...]:
    """Candidates best first; none is tried after one that is exact, since the simpler ones come first."""
    found: list[Proof] = []
    for template, prefix in candidates:
        proof = _proof(old, template, prefix, stored)
        if proof is not None:
            found.append(proof)
        if _exact(found[-1:]):
            break
    return _sorted(found)


def _exact(found: Sequence[Proof]) -> bool:
    return bool(found) and found[0].median >= EXACT


def _proof(old: Embedder, template: str, prefix: str, stored: Stored) -> Proof | None:
    """One candidate; None when half of the points have no such text."""
    import numpy as np

    texts = [render(template, payload) for payload in stored.payloads]
    chosen = [i for i, text in enumerate(texts) if text.strip()]
    if not chosen or 2 * len(chosen) < len(texts):
        return None
    fresh, kept = _embedded(old, [prefix + texts[i] for i in chosen]), stored.vectors[chosen]
    usable = np.isfinite(fresh).all(axis=1)
    if not usable.any():
        return None
    fresh, kept = fresh[usable], kept[usable]
    lengths = np.linalg.norm(kept, axis=1) * np.linalg.norm(fresh, axis=1)
    cosines = (kept * fresh).sum(axis=1) / np.where(lengths == 0, 1, lengths)
    return Proof(
        template=template,
        prefix=prefix,
        n=len(cosines),
        median=round(float(np.median(cosines)), 4),
        low=round(float(np.quantile(cosines, 0.05)), 4),
        share=round(float((cosines >= SAME).mean()), 4),
        apart=round(float((cosines < APART).mean()), 4),
    )


def _embedded(old: Embedder, texts: list[str]) -> Rows:
    from changeover.embed.protocol import TextRejected

    try:
        return old.embed_documents(texts)
    except TextRejected as error:
        others: Rows = error.vectors
        return others


async def _stored(gateway: Gateway, name: str, vector: str, sample: Sequence[Sampled]) -> Stored | None:
    import numpy as np

    ids = [point.id for point in sample[:POINTS]]
    points = await gateway.retrieve(name, ids, vectors=[vector]) if ids else []
    having = [p for p in points if vector in p.vectors]
    if not having:
        return None
    vectors = np.array([p.vectors[vector] for p in having], dtype=np.float32)
    return Stored(vector, tuple(p.id for p in having), tuple(p.payload for p in having), vectors)


def _concluded(text: Text, old: ModelSpec, found: tuple[Proof, ...]) -> Text:
    best = found[0] if found else None
    if best is None or not _reproduces(best):
        return msgspec.structs.replace(text, proofs=found, proven=False)
    return msgspec.structs.replace(
        text,
        template=best.template,
        proofs=found,
        proven=True,
        old_model=msgspec.structs.replace(old, document_prefix=best.prefix),
    )


def _reproduces(proof: Proof) -> bool:
    return proof.share >= PROVEN_SHARE


def _rank(proof: Proof) -> tuple[bool, float, int]:
    return _reproduces(proof), proof.median, proof.n


def _sorted(found: Sequence[Proof]) -> tuple[Proof, ...]:
    return tuple(sorted(found, key=_rank, reverse=True))


def _head(stored: Stored, most: int) -> Stored:
    return Stored(stored.vector, stored.ids[:most], stored.payloads[:most], stored.vectors[:most])
