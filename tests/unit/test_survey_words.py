"""A survey in words, saved and read back; the new model probed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from changeover.decision.answers import Answers, QueriesAnswer, TextAnswer
from changeover.embed.model import Fingerprint, ModelSpec
from changeover.embed.protocol import DimensionMismatch, RejectedText, TextRejected
from changeover.errors import UnreachableError, UsageError
from changeover.survey import model as sm
from changeover.survey.describe import lines
from changeover.survey.probe import take_probes

MODEL = ModelSpec(provider="test", name="m")


def survey(**changes: object) -> sm.Survey:
    base: dict[str, object] = {
        "taken_at": "2026-11-23T13:00:00+00:00",
        "asked": "prod",
        "collection": "docs",
        "cluster": sm.Cluster(url="http://localhost:6333", version="1.18.3", grpc_port=6334),
        "vectors": (sm.Vector(name="", kind="dense", size=384, distance="Cosine", points=1000),),
        "state": sm.State(color="green"),
        "size": sm.Size(points=1000, vector_bytes=1_536_000, payload_bytes=3_000_000),
        "aliases": (sm.Alias(name="prod", collection="docs"),),
        "sample": tuple(sm.Sampled(id=i, payload={"text": f"text {i}" if i else ""}) for i in range(50)),
        "text": sm.Text(template="{title}\n{text}", empty=0.02),
    }
    return sm.Survey(**(base | changes))  # type: ignore[arg-type]


def said(found: sm.Survey) -> dict[str, str]:
    return dict(lines(found))


def test_a_survey_is_told_from_top_to_bottom() -> None:
    words = said(survey())
    assert words["server"] == "Qdrant 1.18.3 at http://localhost:6333"
    assert "gRPC on port 6334" in words["transport"]
    assert words["collection"] == "docs (asked for as prod)"
    assert words["vector"] == "(unnamed): 384 numbers, Cosine"
    assert words["size"] == "vectors 1.5 MiB, payload about 2.9 MiB"
    assert words["text"] == "{title}\\n{text}, blank on 2% of the sample"
    assert words["text proven"] == "not tried: no old model was given"


@pytest.mark.parametrize(
    ("changes", "label", "words"),
    [
        ({"aliases": ()}, "aliases", "plain name"),
        ({"sample": ()}, "text", "no points"),
        ({"text": sm.Text()}, "text", "no payload field"),
        ({"text": sm.Text(proven=False)}, "text proven", "could not have made"),
        ({"state": sm.State(color="yellow", queued_optimizations=3, running_optimizations=1)}, "state", "3 optim"),
        ({"state": sm.State(color="red", optimizer_error="disk")}, "optimizer error", "disk"),
        ({"size": sm.Size(points=7, exact=False)}, "points", "estimate"),
        ({"strict": {"enabled": True, "max_query_limit": 5, "x": None}}, "strict mode", "max_query_limit=5"),
        ({"vectors": (sm.Vector(name="kw", kind="sparse", points=5),)}, "vector", "kw: sparse, on 5 points"),
        ({"vectors": (sm.Vector(name="l", kind="multi", size=96, distance="Dot"),)}, "vector", "multivector, 96"),
        ({"shards": sm.Shards(number=2, method="custom", keys=("eu", 7))}, "shards", "custom sharding by eu, 7"),
        (
            {"shards": sm.Shards(replicas=(sm.Replica(shard=0, peer=1, state="Dead"),), transfers=1)},
            "shards",
            "1 replica not active, shards are being moved",
        ),
        ({"notes": ("x could not be read",)}, "note", "x could not be read"),
        ({"collection": "red\x1b[31m\u202ename"}, "collection", "redname"),
    ],
)
def test_what_stands_out_is_said(changes: dict[str, object], label: str, words: str) -> None:
    assert words in said(survey(**changes))[label]


def test_rights_are_named() -> None:
    rights = sm.Rights(read=True, write_points=True, write_collection=False, manage=False)
    cluster = sm.Cluster(url="http://x", version="1.18.3", has_key=True, rights=rights)
    assert said(survey(cluster=cluster))["key"] == "may read, write points"


def test_a_proof_is_told() -> None:
    proof = sm.Proof(template="{text}", prefix="passage: ", n=48, median=0.9991, low=0.99, share=1.0)
    text = sm.Text(template="{text}", proven=True, proofs=(proof,), old_model=MODEL)
    words = said(survey(text=text))["text proven"]
    assert words.startswith("yes: '{text}' with prefix 'passage: '")
    assert "0.9991 on 48 points" in words


def test_a_survey_is_saved_and_read_back() -> None:
    found = survey(id_cuts=(3, "6c8f1a0e-2f3b-4a55-9d0a-0123456789ab"), config={"params": {"new": [1]}})
    assert sm.from_json(sm.to_json(found)) == found


class Model:
    """An embedder with lengths in words."""

    dimension = 3
    max_tokens: int | None = 2

    def __init__(self, refuses: frozenset[str] = frozenset()) -> None:
        self.fingerprint = Fingerprint(provider="test", model="m", dimension=3)
        self.refuses = refuses
        self.seen: list[str] = []
        self.closed = False

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        self.seen += texts
        made = np.full((len(texts), 3), 2.0, np.float32)
        odd = [i for i, t in enumerate(texts) if t in self.refuses]
        if odd:
            made[odd] = np.nan
            raise TextRejected([RejectedText(i, "too odd") for i in odd], made)
        return made

    def embed_query(self, text: str) -> np.ndarray:
        return np.ones(3, np.float32)

    def count_tokens(self, texts: Sequence[str]) -> int:
        return sum(len(t.split()) for t in texts)

    def close(self) -> None:
        self.closed = True


def use(monkeypatch: pytest.MonkeyPatch, model: Model | Exception) -> None:
    def load(spec: ModelSpec, environ: object) -> Model:
        if isinstance(model, Exception):
            raise model
        return model

    monkeypatch.setattr("changeover.embed.protocol.load_encoder", load)


async def test_the_new_model_is_measured_on_texts_of_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model()
    use(monkeypatch, model)
    answers = Answers(model=MODEL, text=TextAnswer(field="text"))
    probe = (await take_probes(survey(), answers, {})).new_model
    assert probe is not None
    assert (probe.dimension, probe.max_tokens, probe.error) == (3, 2, "")
    assert probe.norm == pytest.approx(3.4641, abs=1e-3)
    assert probe.tokens_per_text == 2.0
    assert probe.truncated == 1.0
    assert probe.texts_per_s > 0
    assert probe.fingerprint == model.fingerprint.digest
    assert set(model.seen) == {f"text {i}" for i in range(1, 50)}, "blank texts are left out"
    assert model.closed


async def test_some_refused_texts_do_not_spoil_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Model(frozenset({"text 7"})))
    probe = (await take_probes(survey(), Answers(model=MODEL, text=TextAnswer(field="text")), {})).new_model
    assert probe is not None
    assert probe.error == ""
    assert probe.norm == pytest.approx(3.4641, abs=1e-3)


async def test_all_texts_refused_is_an_error_of_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Model(frozenset(f"text {i}" for i in range(50))))
    probe = (await take_probes(survey(), Answers(model=MODEL, text=TextAnswer(field="text")), {})).new_model
    assert probe is not None
    assert "too odd" in probe.error


@pytest.mark.parametrize(
    ("error", "dimension"),
    [(UnreachableError("no answer"), 0), (UsageError("no such model"), 0), (DimensionMismatch("m", 5, 3), 3)],
)
async def test_a_model_that_cannot_be_used_is_reported(
    error: Exception, dimension: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, error)
    probe = (await take_probes(survey(), Answers(model=MODEL), {})).new_model
    assert probe is not None
    assert (probe.error, probe.dimension) == (str(error), dimension)


async def test_an_empty_collection_is_probed_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model()
    use(monkeypatch, model)
    probe = (await take_probes(survey(sample=(), text=sm.Text()), Answers(model=MODEL), {})).new_model
    assert probe is not None
    assert probe.error == ""
    assert len(model.seen) == 1


async def test_labelled_queries_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_text('{"query": "a", "relevant": [1]}\n{"query": "b"}\n', "utf-8")
    assert (await take_probes(survey(), Answers(queries=QueriesAnswer(file=str(path))), {})).queries == 1
    assert (await take_probes(survey(), Answers(), {})).queries is None
    with pytest.raises(UsageError, match="no such file"):
        await take_probes(survey(), Answers(queries=QueriesAnswer(file=str(tmp_path / "none"))), {})
