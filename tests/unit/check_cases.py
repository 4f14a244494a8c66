"""Cases of the findings that belong to the newer routes: where each fires, and a near miss where it is silent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from changeover.checks.model import ModelProbe, Probes
from changeover.decision.answers import (
    Answers,
    Limits,
    MapAnswer,
    QuantizationAnswer,
    QueriesAnswer,
    SparseAnswer,
    TargetAnswer,
    VectorAnswer,
)
from changeover.embed.model import ModelSpec
from changeover.quality.model import Score
from changeover.quality.trials import (
    ColocatedTrial,
    Cut,
    DimensionsTrial,
    GainTrial,
    HybridTrial,
    MapTrial,
    QuantizationTrial,
    SearchSetting,
)
from changeover.survey.lease import KEY
from changeover.survey.model import Proof, Sampled, Shards, Size, State, Survey, Vector
from tests.unit.surveys import NEW, PROBES, answers, survey

Case = tuple[str, Survey, Answers, Probes, str]
Quiet = tuple[Survey, Answers, Probes]

DENSE = Vector(name="text", kind="dense", size=256, distance="Cosine", params={"size": 256, "distance": "Cosine"})
COLBERT = Vector(name="colbert", kind="multi", size=128, distance="Cosine", on_disk=False)
COLBERT_LIGHT = Vector(
    name="colbert",
    kind="multi",
    size=128,
    distance="Cosine",
    on_disk=True,
    params={"on_disk": True, "hnsw_config": {"m": 0}},
)
BM25 = Vector(name="bm25", kind="sparse", params={})
BM25_IDF = Vector(name="bm25", kind="sparse", params={"modifier": "idf"})
SPLADE = Vector(name="splade", kind="sparse", params={})
LATE = ModelSpec(provider="fastembed", name="answerdotai/answerai-colbert-small-v1", kind="late-interaction")
E5 = ModelSpec(provider="openai", name="intfloat/e5-small", url="http://127.0.0.1:1/v1")
PRICED = msgspec.structs.replace(NEW, price_per_million_tokens=100.0)
LARGE = Size(points=1_000_000, vector_bytes=10**9, payload_bytes=10**9)
GERMAN = tuple(Sampled(id=i, payload={"text": f"Ein kurzer Satz, Nummer {i}"}) for i in range(10))
RUSSIAN = tuple(Sampled(id=i, payload={"text": f"Короткое предложение номер {i}"}) for i in range(10))


def score(mean: float, low: float | None = None, high: float | None = None) -> Score:
    return Score(metric="nDCG@10", mean=mean, low=mean if low is None else low, high=mean if high is None else high)


def with_vectors(*vectors: Vector, **changes: Any) -> Survey:
    return survey(vectors=vectors, **changes)


def leased(seconds_ago: float = 10.0, **more: Any) -> Survey:
    at = datetime.fromisoformat(survey().taken_at).timestamp() - seconds_ago
    return survey(metadata={KEY: {"run": "r1", "host": "h", "beat": 3, "at": at, **more}})


def proved(share: float, apart: float, *, proven: bool) -> Survey:
    proof = Proof(template="{text}", prefix="", n=48, median=0.99, low=0.1, share=share, apart=apart)
    return survey(text=msgspec.structs.replace(survey().text, proofs=(proof,), proven=proven))


def gain(mean: float, low: float, high: float, verdict: str) -> Probes:
    trial = GainTrial(
        points=1500,
        queries=150,
        old=score(0.8),
        new=score(0.8 + mean),
        difference=score(mean, low, high),
        verdict=verdict,  # type: ignore[arg-type]
    )
    return msgspec.structs.replace(PROBES, gain=trial)


def cut(leading: float, pca: float, matryoshka: bool | None, kept: float | None = None) -> Probes:
    found = (
        Cut(method="leading", size=128, overlap=leading, ndcg_kept=kept),
        Cut(method="random", size=128, overlap=0.6),
        Cut(method="pca", size=128, overlap=pca, ndcg_kept=kept),
    )
    trial = DimensionsTrial(
        vector="text", full=256, sampled=2000, queries=100, cuts=found, gap=leading - 0.6, matryoshka=matryoshka
    )
    return Probes(dimensions=trial)


def mapped(old: float, new: float, over_low: float, anchors: int = 5000) -> Probes:
    trial = MapTrial(
        method="ridge",
        anchors=anchors,
        points=1000,
        queries=200,
        old=score(old),
        mapped=score(new),
        new=score(0.9),
        over_old=score(new - old, over_low, 0.2),
        gain=score(0.3),
    )
    return msgspec.structs.replace(PROBES, map=trial)


def quantized(recall: float, before: float = 0.99) -> Probes:
    settings = (
        SearchSetting(rescore=False, oversampling=None, recall=recall - 0.1),
        SearchSetting(rescore=True, oversampling=2.0, recall=recall),
    )
    return Probes(
        quantization=QuantizationTrial(vector="text", kind="scalar", sampled=2000, before=before, settings=settings)
    )


def words(mean: float, low: float, high: float, **changes: Any) -> Probes:
    trial = HybridTrial(
        encoder="server-bm25",
        points=2000,
        queries=100,
        stopword_share=0.4,
        dense=score(0.7),
        sparse=score(0.6),
        rrf=score(0.7 + mean),
        difference=score(mean, low, high),
    )
    return Probes(hybrid=msgspec.structs.replace(trial, **changes))


def colocated(with_ms: float, without_ms: float, **changes: Any) -> Probes:
    trial = ColocatedTrial(
        vector="colbert",
        bytes_per_point=60_000,
        dense_bytes_per_point=1024,
        points=2000,
        with_ms=with_ms,
        without_ms=without_ms,
        cluster_ms=5.0,
    )
    return msgspec.structs.replace(PROBES, colocated=msgspec.structs.replace(trial, **changes))


def cutting(**target: Any) -> Answers:
    return Answers(collection="docs", avoid="dimensions", target=TargetAnswer(dimension=128, **target))


def quantizing(**given: Any) -> Answers:
    return Answers(
        collection="docs", avoid="quantization", quantization=QuantizationAnswer(**{"kind": "scalar", **given})
    )


def bridging(**given: Any) -> Answers:
    return answers(avoid="linear-map", queries=QueriesAnswer(file="q.jsonl"), **given)


def hybrid(**given: Any) -> Answers:
    said: dict[str, Any] = {"sparse": SparseAnswer(encoder="server-bm25"), "text": answers().text, **given}
    return Answers(collection="docs", add_sparse=True, **said)


ENGLISH = SparseAnswer(encoder="server-bm25", language="english")
GAVE_NAME = answers(zero_downtime=False, target=TargetAnswer(same_name=True))
OLD_SERVER = survey(version="1.16.3")
PLAIN = survey(alias=False)
PREVENTING = survey(config=survey().config | {"optimizer_config": {"prevent_unoptimized": True}})
RED = survey(state=State(color="red"))
IN_PLACE = survey()
TURBO = with_vectors(msgspec.structs.replace(DENSE, datatype="turbo4"))
ON_DISK = with_vectors(
    msgspec.structs.replace(DENSE, on_disk=True, params={"size": 256, "distance": "Cosine", "on_disk": True})
)

FIRES: list[Case] = [
    ("update-mode-ignored", OLD_SERVER, answers(writers="dual"), PROBES, "blocker"),
    ("client-endpoints-removed", survey(version="1.19.0"), answers(), PROBES, "info"),
    ("client-endpoints-removed", survey(peers=("1.18.3", "1.19.0")), answers(), PROBES, "info"),
    ("client-endpoints-removed", survey(), answers(), PROBES, "info"),
    ("query-model-must-change", survey(), cutting(), Probes(), "warning"),
    ("query-model-must-change", survey(), cutting(reduction="pca"), Probes(), "warning"),
    ("colocated-multivector", with_vectors(DENSE, COLBERT), answers(), PROBES, "warning"),
    ("colocated-multivector", with_vectors(DENSE, COLBERT_LIGHT), answers(), PROBES, "info"),
    ("colocated-multivector", with_vectors(DENSE, COLBERT_LIGHT), answers(), colocated(9.0, 3.0), "warning"),
    ("colocated-multivector", with_vectors(DENSE, COLBERT), quantizing(), Probes(), "warning"),
    ("colocated-multivector", survey(), answers(model=LATE, keep_both=True), PROBES, "info"),
    ("colocated-multivector", survey(), answers(model=LATE), colocated(9.0, 3.0, planned=True), "warning"),
    (
        "colocated-multivector",
        survey(),
        answers(model=LATE, vector=VectorAnswer(on_disk=False)),
        PROBES,
        "warning",
    ),
    ("sparse-without-idf", with_vectors(DENSE, BM25), answers(), PROBES, "warning"),
    ("sparse-without-idf", with_vectors(DENSE, SPLADE), answers(), PROBES, "info"),
    ("unnamed-vector", survey(named=False), hybrid(route="hybrid"), Probes(), "info"),
    ("lossy-datatype", TURBO, answers(), PROBES, "warning"),
    (
        "lossy-datatype",
        with_vectors(msgspec.structs.replace(DENSE, datatype="uint8")),
        quantizing(),
        Probes(),
        "warning",
    ),
    (
        "text-missing",
        survey(),
        hybrid(text=msgspec.structs.replace(answers().text, template="{open")),
        PROBES,
        "blocker",
    ),
    ("text-changed-since", proved(0.95, 0.04, proven=True), answers(), PROBES, "warning"),
    ("text-changed-since", survey(), answers(), msgspec.structs.replace(PROBES, texts_changed=0.2), "warning"),
    ("mixed-models", proved(0.6, 0.4, proven=False), answers(), PROBES, "warning"),
    ("mixed-models", proved(0.6, 0.4, proven=False), cutting(), Probes(), "warning"),
    ("prefix-needed", survey(), answers(model=E5), PROBES, "warning"),
    (
        "prefix-needed",
        survey(),
        answers(model=ModelSpec(provider="fastembed", name="BAAI/bge-small-en-v1.5")),
        PROBES,
        "info",
    ),
    ("worse-on-your-data", survey(), answers(), gain(-0.2, -0.3, -0.1, "NO-GO"), "warning"),
    ("worse-on-your-data", survey(), answers(), gain(-0.02, -0.06, 0.03, "UNDECIDED"), "info"),
    ("worse-on-your-data", survey(), cutting(), cut(0.7, 0.8, True, kept=0.8), "warning"),
    ("not-matryoshka", survey(), cutting(reduction="leading"), cut(0.6, 0.8, False), "warning"),
    ("not-matryoshka", survey(), cutting(reduction="leading"), cut(0.6, 0.8, None), "info"),
    ("no-gain-from-map", survey(), bridging(), mapped(0.8, 0.7, -0.2), "blocker"),
    ("no-gain-from-map", survey(), bridging(), mapped(0.8, 0.8, -0.1), "blocker"),
    ("no-gain-from-map", survey(), bridging(), mapped(0.8, 0.82, -0.01), "warning"),
    ("no-gain-from-map", survey(), bridging(), PROBES, "info"),
    ("few-anchors", survey(size=LARGE), bridging(map=MapAnswer(anchors=500)), PROBES, "warning"),
    ("few-anchors", survey(points=1000), bridging(), PROBES, "warning"),
    ("few-anchors", survey(size=LARGE), bridging(), mapped(0.8, 0.85, 0.01, anchors=800), "warning"),
    ("bridge", survey(), bridging(), PROBES, "info"),
    ("quantization-recall", survey(), quantizing(), Probes(), "info"),
    ("quantization-recall", survey(), quantizing(), quantized(0.8), "warning"),
    ("quantization-recall", survey(), quantizing(least_recall=0.5), quantized(0.9), "warning"),
    ("bm25-chunk-quality", survey(), hybrid(), Probes(), "warning"),
    ("bm25-chunk-quality", survey(), hybrid(), words(-0.05, -0.1, -0.01), "warning"),
    (
        "bm25-chunk-quality",
        survey(version="1.20.0"),
        hybrid(sparse=SparseAnswer(encoder="text-index")),
        Probes(),
        "warning",
    ),
    ("bm25-language", survey(), hybrid(), words(0.05, 0.0, 0.1, stopword_share=0.05), "warning"),
    ("bm25-language", survey(), hybrid(sparse=ENGLISH), words(0.05, 0.0, 0.1, guessed_language="german"), "warning"),
    ("bm25-language", survey(), hybrid(), words(0.05, 0.0, 0.1, without_terms=0.2), "warning"),
    ("bm25-language", survey(sample=RUSSIAN), hybrid(), Probes(), "warning"),
    (
        "bm25-language",
        survey(),
        hybrid(sparse=SparseAnswer(encoder="local-bm25", language="russian")),
        Probes(),
        "warning",
    ),
    (
        "bm25-language",
        survey(),
        hybrid(sparse=SparseAnswer(encoder="server-bm25", language="klingon")),
        words(0.05, 0.0, 0.1),
        "warning",
    ),
    ("bm25-two-encoders", with_vectors(DENSE, BM25_IDF), hybrid(), Probes(), "warning"),
    (
        "bm25-two-encoders",
        survey(),
        hybrid(sparse=SparseAnswer(encoder="fastembed", model="Qdrant/bm25")),
        Probes(),
        "warning",
    ),
    ("idf-drifts-during-backfill", survey(), hybrid(), Probes(), "info"),
    ("spend-over-budget", survey(), answers(model=PRICED, limits=Limits(spend=1.0)), PROBES, "blocker"),
    ("spend-over-budget", survey(), answers(limits=Limits(spend=1.0)), PROBES, "warning"),
    ("another-migration", leased(), answers(), PROBES, "blocker"),
    ("another-migration", leased(seconds_ago=4000), answers(), PROBES, "warning"),
    ("late-writes", survey(version="1.17.1"), answers(), PROBES, "info"),
    ("old-still-needed", survey(), answers(cleanup="after-window"), PROBES, "warning"),
    ("old-still-needed", survey(), answers(cleanup="after-window", cutover="never"), PROBES, "blocker"),
    ("old-still-needed", PLAIN, GAVE_NAME, PROBES, "warning"),
    ("old-vector-removal-unsafe", survey(), answers(), PROBES, "info"),
    ("old-vector-removal-unsafe", survey(), answers(cleanup="after-window"), PROBES, "blocker"),
    ("offline-gap", PLAIN, GAVE_NAME, PROBES, "warning"),
    ("skip-payload", survey(version="1.17.1"), answers(), PROBES, "info"),
    (
        "right-missing-manage",
        survey(rights=msgspec.structs.replace(survey().cluster.rights, manage=False)),
        quantizing(),
        Probes(),
        "blocker",
    ),
]

QUIET: dict[str, Quiet] = {
    "update-mode-ignored": (survey(version="1.17.1"), answers(writers="dual"), PROBES),
    "client-endpoints-removed": (survey(version="1.17.1"), answers(), PROBES),
    "query-model-must-change": (survey(), hybrid(), Probes()),
    "colocated-multivector": (with_vectors(COLBERT), answers(), PROBES),
    "sparse-without-idf": (with_vectors(DENSE, BM25_IDF), answers(), PROBES),
    "text-changed-since": (proved(1.0, 0.0, proven=True), answers(), PROBES),
    "mixed-models": (proved(0.0, 0.0, proven=False), answers(), PROBES),
    "prefix-needed": (
        survey(),
        answers(model=msgspec.structs.replace(E5, document_prefix="passage: ", query_prefix="query: ")),
        PROBES,
    ),
    "worse-on-your-data": (survey(), answers(), gain(0.1, 0.05, 0.2, "GO")),
    "not-matryoshka": (survey(), cutting(), cut(0.75, 0.8, True)),
    "no-gain-from-map": (survey(), bridging(), mapped(0.8, 0.85, 0.01)),
    "few-anchors": (survey(size=LARGE), bridging(), mapped(0.8, 0.85, 0.01)),
    "bridge": (survey(), cutting(), Probes()),
    "quantization-recall": (survey(), quantizing(), quantized(0.985)),
    "bm25-chunk-quality": (survey(), hybrid(), words(0.05, 0.01, 0.1)),
    "bm25-language": (survey(sample=RUSSIAN), hybrid(sparse=SparseAnswer(language="russian")), words(0.1, 0.0, 0.2)),
    "bm25-two-encoders": (survey(), hybrid(), Probes()),
    "idf-drifts-during-backfill": (survey(version="1.17.1"), hybrid(), Probes()),
    "spend-over-budget": (survey(), answers(model=PRICED, limits=Limits(spend=5.0)), PROBES),
    "another-migration": (leased(ended=1.0), answers(), PROBES),
    "late-writes": (survey(version="1.17.1"), answers(writers="none"), PROBES),
    "old-still-needed": (PLAIN, answers(zero_downtime=False), PROBES),
    "old-vector-removal-unsafe": (survey(version="1.19.0"), answers(cleanup="after-window"), PROBES),
    "offline-gap": (survey(), GAVE_NAME, PROBES),
    "skip-payload": (survey(), answers(), PROBES),
    "custom-shards": (survey(shards=Shards(method="auto")), answers(), PROBES),
    "text-missing": (survey(sample=(Sampled(id=1, payload={}),)), cutting(), Probes()),
    "text-unproven": (proved(0.0, 0.0, proven=False), hybrid(), Probes()),
    "model-unusable": (survey(), cutting(), Probes(new_model=ModelProbe(dimension=0, error="no such folder"))),
}
"""Silent although the situation is near; the others are silent on a healthy collection."""

ADVISED: dict[str, tuple[Survey, Answers]] = {
    "fresh-vector-race": (IN_PLACE, answers(route="in-place")),
    "stale-vector": (IN_PLACE, answers(route="in-place")),
    "recreated-name": (IN_PLACE, answers(route="in-place")),
    "removal-stops-optimizer": (IN_PLACE, answers(route="in-place", cleanup="after-window")),
    "removal-loses-points": (IN_PLACE, answers(route="in-place", cleanup="after-window")),
    "new-vector-in-memory": (ON_DISK, answers(route="in-place")),
    "snapshot-before-add": (IN_PLACE, answers(route="in-place")),
    "missing-id-half-applied": (IN_PLACE, answers(route="in-place")),
    "half-applied-aliases": (IN_PLACE, answers(route="blue-green")),
    "recreate-loop": (IN_PLACE, answers(route="blue-green")),
    "multivector-loop": (
        msgspec.structs.replace(PREVENTING, vectors=(DENSE, COLBERT)),
        answers(route="blue-green"),
    ),
    "deferred-while-loading": (PREVENTING, answers(route="blue-green")),
    "turbo-datatype": (TURBO, answers(route="blue-green")),
    "unknown-vector-dropped": (IN_PLACE, answers(route="blue-green", writers="dual")),
    "wrong-size-dropped": (IN_PLACE, answers(route="blue-green", writers="dual")),
    "shard-keys-twice": (survey(shards=Shards(method="custom", keys=("a",))), answers(route="blue-green")),
    "red-stays-red": (RED, answers(route="blue-green")),
}
"""Slug -> a survey and answers that it concerns, whatever the version."""
