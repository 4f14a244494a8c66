"""No survey and no answers make a check raise."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from changeover.checks.model import ModelProbe, Probes
from changeover.checks.registry import CHECKS, passed, run
from changeover.decision.answers import (
    AliasAnswer,
    Answers,
    Limits,
    MapAnswer,
    QuantizationAnswer,
    QuantizationKind,
    QueriesAnswer,
    RollbackAnswer,
    SparseAnswer,
    TargetAnswer,
    TextAnswer,
    VectorAnswer,
)
from changeover.embed.model import Encoder, ModelSpec
from changeover.quality.model import Score
from changeover.quality.trials import (
    ColocatedTrial,
    DimensionsTrial,
    GainTrial,
    HybridTrial,
    MapTrial,
    QuantizationTrial,
    SearchSetting,
)
from changeover.survey.model import Proof, Rights, Sampled, Shards, Size, State, Survey, Text, Vector
from tests.unit.surveys import answers, survey

MAYBE = st.sampled_from([None, True, False])
NAMES = st.sampled_from(["", "text", "bm25", "colbert"])
SCORES = st.one_of(
    st.none(),
    st.floats(-1, 1).map(lambda mean: Score(metric="nDCG@10", mean=mean, low=mean - 0.1, high=mean + 0.1)),
)
MODELS = st.one_of(
    st.none(),
    st.builds(
        ModelSpec,
        provider=st.sampled_from(["fastembed", "openai", "qdrant", "sandbox"]),
        name=st.sampled_from(["", "intfloat/e5-large", "minilm", "text-embedding-3-small"]),
        kind=st.sampled_from(["dense", "late-interaction"]),
        dimension=st.sampled_from([None, 1, 256, 3072]),
        price_per_million_tokens=st.sampled_from([None, 0.0, 2.0]),
    ),
)


def vector(name: str, kind: Any, size: int, datatype: str | None, on_disk: bool | None) -> Vector:
    if kind == "sparse":
        return Vector(name=name or "words", kind="sparse", params={})
    params: dict[str, Any] = {"size": size, "distance": "Cosine", "on_disk": on_disk}
    return Vector(name=name, kind=kind, size=size, distance="Cosine", datatype=datatype, on_disk=on_disk, params=params)


VECTORS = st.lists(
    st.builds(
        vector,
        NAMES,
        st.sampled_from(["dense", "dense", "sparse", "multi"]),
        st.sampled_from([1, 128, 256]),
        st.sampled_from([None, "float16", "uint8", "turbo4"]),
        MAYBE,
    ),
    max_size=3,
    unique_by=lambda one: one.name,
).map(tuple)
SAMPLES = st.lists(
    st.builds(
        Sampled,
        id=st.integers(0, 99),
        payload=st.sampled_from([{}, {"text": ""}, {"text": "words"}, {"text": ["a", 3]}, {"text": {"deep": 1}}]),
    ),
    max_size=3,
).map(tuple)


@st.composite
def surveys(draw: st.DrawFn) -> Survey:
    version = draw(st.sampled_from(["1.15.1", "1.16.3", "1.17.1", "1.18.0", "1.18.3", "1.19.0", "1.20.0", "2.0.0-dev"]))
    made = survey(version=version, alias=draw(st.booleans()), points=draw(st.sampled_from([0, 1, 1000, 10**9])))
    found = draw(VECTORS)
    params: dict[str, Any] = {"vectors": {v.name: v.params for v in found if v.kind != "sparse"}}
    proof = Proof(
        template="{text}",
        prefix="",
        n=10,
        median=0.5,
        low=0.1,
        share=draw(st.floats(0, 1)),
        apart=draw(st.floats(0, 1)),
    )
    return msgspec.structs.replace(
        made,
        cluster=msgspec.structs.replace(
            made.cluster,
            rights=Rights(
                *([]),
                read=True,
                write_points=draw(st.booleans()),
                write_collection=draw(st.booleans()),
                manage=draw(st.booleans()),
            ),
        ),
        vectors=found,
        config=draw(
            st.sampled_from([{}, {"params": params}, made.config, {"optimizer_config": {"prevent_unoptimized": True}}])
        ),
        metadata=draw(
            st.sampled_from(
                [
                    {},
                    {"changeover": "by hand"},
                    {"changeover": {"lease": "x", "sparse": [1]}},
                    {"changeover": {"lease": {"run": "r"}, "sparse": {"vector": "bm25", "encoder": "no such"}}},
                    {"changeover": {"sparse": {"vector": "bm25", "encoder": "local-bm25", "language": "german"}}},
                ]
            )
        ),
        strict=draw(
            st.sampled_from(
                [{}, {"upsert_max_batchsize": 1, "write_rate_limit": 5, "max_collection_vector_size_bytes": 10}]
            )
        ),
        shards=Shards(method=draw(st.sampled_from(["auto", "custom"]))),
        state=State(color=draw(st.sampled_from(["green", "yellow", "grey", "red"]))),
        size=draw(
            st.sampled_from([made.size, Size(points=0), Size(points=5, memory_total_bytes=1, disk_free_bytes=1)])
        ),
        sample=draw(SAMPLES),
        text=Text(
            template=draw(st.sampled_from([None, "{text}", "{text", "no hole"])),
            proofs=draw(st.sampled_from([(), (proof,)])),
            proven=draw(MAYBE),
        ),
    )


@st.composite
def answered(draw: st.DrawFn) -> Answers:
    route = ["in-place", "blue-green", "side-by-side", "hybrid", "dimensions", "quantization", "linear-map"]
    return msgspec.structs.replace(
        answers(),
        avoid=draw(st.sampled_from([None, "none", "dimensions", "quantization", "linear-map"])),
        zero_downtime=draw(MAYBE),
        keep_both=draw(MAYBE),
        add_sparse=draw(MAYBE),
        route=draw(st.sampled_from([None, None, *route])),
        model=draw(MODELS),
        old_model=draw(MODELS),
        text=draw(st.sampled_from([TextAnswer(), TextAnswer(field="text"), TextAnswer(template="{open")])),
        vector=VectorAnswer(source=draw(st.sampled_from([None, "text", "no such"])), on_disk=draw(MAYBE)),
        target=TargetAnswer(
            collection=draw(st.sampled_from([None, "other", "a/b"])),
            dimension=draw(st.sampled_from([None, 1, 128, 4096])),
            reduction=draw(st.sampled_from([None, "leading", "pca"])),
            same_name=draw(MAYBE),
        ),
        sparse=SparseAnswer(
            encoder=draw(st.sampled_from([None, *get_args(Encoder)])),
            model=draw(st.sampled_from([None, "Qdrant/bm25", "prithivida/Splade_PP_en_v1"])),
            language=draw(st.sampled_from([None, "german", "klingon"])),
        ),
        quantization=QuantizationAnswer(
            kind=draw(st.sampled_from([None, *get_args(QuantizationKind)])), always_ram=draw(MAYBE)
        ),
        map=MapAnswer(anchors=draw(st.sampled_from([None, 50, 5000]))),
        alias=AliasAnswer(name=draw(st.sampled_from([None, "docs", "other", "new"]))),
        writers=draw(st.sampled_from([None, "none", "dual", "unknown"])),
        queries=QueriesAnswer(title_field=draw(st.sampled_from([None, "title"]))),
        limits=Limits(
            batch=draw(st.sampled_from([None, 1, 10**6])),
            rate=draw(st.sampled_from([None, 0.001])),
            spend=draw(st.sampled_from([None, 0.0, 10.0])),
        ),
        cutover=draw(st.sampled_from(["manual", "when-ready", "never"])),
        rollback=draw(st.sampled_from([RollbackAnswer(), RollbackAnswer(window="24h")])),
        cleanup=draw(st.sampled_from(["keep", "after-window"])),
    )


@st.composite
def probed(draw: st.DrawFn) -> Probes:
    error = draw(st.sampled_from(["", "it failed"]))
    ms = st.sampled_from([None, 0.0, 1.0, 3.0])
    model = ModelProbe(
        dimension=draw(st.sampled_from([0, 1, 256, 384])), error=error, truncated=0.5, norm=3.0, texts_per_s=0.1
    )
    full = Probes(
        new_model=model,
        queries=draw(st.sampled_from([None, 0, 50])),
        dimensions=DimensionsTrial(vector="text", full=256, sampled=5, matryoshka=draw(MAYBE), error=error),
        quantization=QuantizationTrial(
            vector="text",
            kind="scalar",
            sampled=5,
            before=0.9,
            settings=draw(st.sampled_from([(), (SearchSetting(rescore=True, oversampling=None, recall=0.5),)])),
            error=error,
        ),
        gain=GainTrial(
            points=1, queries=1, difference=draw(SCORES), verdict=draw(st.sampled_from(["GO", "NO-GO", "UNDECIDED"]))
        ),
        map=MapTrial(
            method="ridge", anchors=5, points=1, queries=1, old=draw(SCORES), mapped=draw(SCORES), over_old=draw(SCORES)
        ),
        hybrid=HybridTrial(
            encoder="bm25",
            points=1,
            queries=1,
            stopword_share=draw(st.sampled_from([None, 0.0])),
            difference=draw(SCORES),
        ),
        colocated=ColocatedTrial(
            vector="colbert",
            bytes_per_point=1,
            dense_bytes_per_point=1,
            planned=draw(st.booleans()),
            with_ms=draw(ms),
            without_ms=draw(ms),
        ),
        texts_changed=draw(st.sampled_from([None, 0.0, 0.5])),
    )
    return draw(st.sampled_from([Probes(), Probes(new_model=model), full]))


@settings(max_examples=400)
@given(surveys(), answered(), probed())
def test_no_check_ever_raises(found: Survey, said: Answers, probes: Probes) -> None:
    findings = run(found, said, probes)
    silent = dict(passed(found, said, probes))
    assert {finding.code for finding in findings} | set(silent) == {check.code for check in CHECKS}
    assert not {finding.code for finding in findings} & set(silent)
    for finding in findings:
        assert finding.title and "\n" not in finding.title, finding.code
        assert finding.remedy, finding.code
        assert not (finding.acknowledge and finding.severity == "info"), finding.code
