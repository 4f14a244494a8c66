"""Synthetic surveys for checks, routes and the tree."""

from __future__ import annotations

from typing import Any

import msgspec

from changeover.checks.model import ModelProbe, Probes
from changeover.decision.answers import AliasAnswer, Answers, TextAnswer
from changeover.embed.model import ModelSpec
from changeover.plan.model import Access
from changeover.survey.model import (
    Alias,
    Cluster,
    Field,
    Index,
    Peer,
    Proof,
    Rights,
    Sampled,
    Shards,
    Size,
    State,
    Survey,
    Text,
    Vector,
)

ACCESS = Access(url="http://127.0.0.1:6333")
OLD = ModelSpec(provider="sandbox", name="wordllama")
NEW = ModelSpec(provider="sandbox", name="minilm")
PROBES = Probes(
    new_model=ModelProbe(dimension=384, max_tokens=128, texts_per_s=100.0, tokens_per_text=40.0, fingerprint="abc")
)


def survey(
    *,
    version: str = "1.18.3",
    named: bool = True,
    alias: bool = True,
    vectors: tuple[Vector, ...] | None = None,
    points: int = 1000,
    rights: Rights | None = None,
    url: str = "http://127.0.0.1:6333",
    has_key: bool = False,
    peers: tuple[str, ...] = (),
    **changes: Any,
) -> Survey:
    """A healthy collection `docs_v1` behind alias `docs`, of one 256-d vector; `changes` replace parts of the survey."""
    params = {"size": 256, "distance": "Cosine"}
    name = "text" if named else ""
    own = vectors or (Vector(name=name, kind="dense", size=256, distance="Cosine", params=params, points=points),)
    dense = {v.name: v.params for v in own if v.kind != "sparse"}
    config: dict[str, Any] = {
        "params": {
            "vectors": dense if named else params,
            "shard_number": 1,
            "replication_factor": 1,
            "write_consistency_factor": 1,
            "on_disk_payload": True,
        },
        "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000, "on_disk": False},
        "optimizer_config": {"deleted_threshold": 0.2, "indexing_threshold": 20000, "max_segment_size": None},
        "wal_config": {"wal_capacity_mb": 32, "wal_segments_ahead": 0},
        "quantization_config": None,
    }
    sparse = {v.name: v.params for v in own if v.kind == "sparse"}
    if sparse:
        config["params"]["sparse_vectors"] = sparse
    aliases = (Alias(name="docs", collection="docs_v1"),) if alias else ()
    made = Survey(
        taken_at="2026-01-01T00:00:00+00:00",
        asked="docs" if alias else "docs_v1",
        collection="docs_v1",
        cluster=Cluster(
            url=url,
            version=version,
            peers=tuple(Peer(id=i, version=v) for i, v in enumerate(peers or (version,))),
            has_key=has_key,
            tls=url.startswith("https"),
            rights=rights or Rights(read=True, write_points=True, write_collection=True, manage=True),
        ),
        vectors=own,
        state=State(color="green", queued_optimizations=0, running_optimizations=0, update_queue=0),
        size=Size(points=points, vector_bytes=points * 1024, payload_bytes=points * 300, text_chars=points * 200),
        indexes=(Index(field="lang", schema={"type": "keyword"}, points=points),),
        aliases=aliases,
        collections=("docs_v1", "other"),
        shards=Shards(),
        config=config,
        sample=tuple(Sampled(id=i, payload={"text": f"text number {i}", "lang": "en"}) for i in range(20)),
        text=Text(
            template="{text}",
            fields=(Field(path="text", present=1.0, text=1.0, mean_chars=200.0, distinct=1.0, score=0.7),),
            proofs=(Proof(template="{text}", prefix="", n=40, median=1.0, low=1.0, share=1.0),),
            proven=True,
            old_model=OLD,
        ),
        id_cuts=tuple(range(100, 1000, 100)),
    )
    return msgspec.structs.replace(made, **changes)


def answers(**changes: Any) -> Answers:
    """Answers that lead to a plan; `changes` replace parts of them."""
    made = Answers(collection="docs", model=NEW, old_model=OLD, text=TextAnswer(template="{text}"))
    return msgspec.structs.replace(made, **changes)


def alias_answer(name: str) -> AliasAnswer:
    """The alias.name answer."""
    return AliasAnswer(name=name)
