"""The demo's scenarios as one table: what each begins with, what is answered, and what the application does after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from changeover.decision.answers import QuantizationAnswer, SparseAnswer, TargetAnswer, VectorAnswer
from changeover.embed.model import ModelSpec
from changeover.errors import UsageError
from changeover.sandbox.client import Speaks, Words
from changeover.sandbox.corpus import DEFAULT_LIMIT
from changeover.sandbox.models import DIMENSIONS, spec

ScenarioName = Literal[
    "upgrade", "old-server", "fewer-dimensions", "quantization", "hybrid", "side-by-side", "bad-model"
]
VECTOR = "text"
TARGET = "docs_v2"
WORDS = Words(using="words", language="english", average_length=40.0)
SHORT = 128
"""Numbers that the scenario about dimensions keeps."""
SMALL_KB = 100
"""Vectors of a few thousand points are indexed, and quantized, only from a threshold that they reach."""

Given = Mapping[str, Any]


class Row(NamedTuple):
    """One scenario."""

    title: str
    """A few words for the list."""
    teaches: str
    """One sentence: what a person has learnt at its end."""
    stored: tuple[str, ...]
    """Sandbox models whose vectors the collection begins with; the first is the one that the application searches."""
    after: Speaks
    """What the application searches, and writes, once the change is through."""
    answers: Callable[[Path], Given]
    """The answers beyond names and texts; models keep their folders in the given one."""
    generation: str = "1.18"
    documents: int = DEFAULT_LIMIT
    queries: int = 300
    """Labelled queries at most; below the fewest that decide there is no verdict."""
    config: Mapping[str, Any] = {}
    """What the collection is made with beside its vectors."""
    promised: Mapping[str, Any] = {}
    """What its configuration must hold at the end."""


def dense(model: str, using: str, dimension: int | None = None, **more: Any) -> Speaks:
    """One vector per text."""
    return Speaks(model=model, using=using, dimension=dimension or DIMENSIONS[model], **more)


def name_of(position: int, model: str) -> str:
    """The vector name of the model at that place of `Row.stored`."""
    return f"{VECTOR}_{model}" if position else VECTOR


def _replaced_by(model: str) -> Callable[[Path], Given]:
    def answers(folder: Path) -> Given:
        return {"model": spec(model, folder), "vector": VectorAnswer(source=VECTOR, name=f"{VECTOR}_{model}")}

    return answers


def _shortened(folder: Path) -> Given:
    return {
        "avoid": "dimensions",
        "target": TargetAnswer(collection=TARGET, dimension=SHORT),
        "vector": VectorAnswer(source=VECTOR, name=f"{VECTOR}_{SHORT}"),
    }


def _quantized(folder: Path) -> Given:
    return {"avoid": "quantization", "quantization": QuantizationAnswer(kind="scalar")}


def _with_words(folder: Path) -> Given:
    sparse = SparseAnswer(
        encoder="server-bm25", name=WORDS.using, language=WORDS.language, average_length=WORDS.average_length
    )
    return {"add_sparse": True, "sparse": sparse}


def _with_tokens(folder: Path) -> Given:
    model = ModelSpec(provider="sandbox", name="minilm", path=str(folder), kind="late-interaction")
    return {"keep_both": True, "model": model, "vector": VectorAnswer(source=VECTOR, name="tokens")}


SCENARIOS: dict[ScenarioName, Row] = {
    "upgrade": Row(
        title="A better model, while everything goes on",
        teaches="A better model comes in while searches and writes go on: a new vector, filled, verified, compared.",
        stored=("wordllama",),
        after=dense("minilm", f"{VECTOR}_minilm"),
        answers=_replaced_by("minilm"),
    ),
    "old-server": Row(
        title="A better model on an older server",
        teaches="The same on a server that cannot add vectors: a second collection, and one request that moves the alias.",
        stored=("wordllama",),
        after=dense("minilm", f"{VECTOR}_minilm"),
        answers=_replaced_by("minilm"),
        generation="1.17",
    ),
    "fewer-dimensions": Row(
        title="Fewer dimensions of the same model",
        teaches="Stored vectors are cut, without text or model; one model's can be (Matryoshka), the other's cannot.",
        stored=("wordllama", "minilm"),
        after=dense("wordllama", f"{VECTOR}_{SHORT}", SHORT, label=f"wordllama, {SHORT} numbers"),
        answers=_shortened,
        documents=800,
    ),
    "quantization": Row(
        title="Smaller copies of the vectors (quantization)",
        teaches="The server keeps small copies of the vectors: one request, recall measured before and after, a way back.",
        stored=("wordllama",),
        after=dense(
            "wordllama",
            VECTOR,
            params={"quantization": {"rescore": True, "oversampling": 2.0}},
            label="wordllama, rescored",
        ),
        answers=_quantized,
        config={"optimizers_config": {"indexing_threshold": SMALL_KB}},
        promised={"quantization_config": {"scalar": {"type": "int8"}}},
    ),
    "hybrid": Row(
        title="Words beside meaning (hybrid search)",
        teaches="Words are searched beside meaning; nothing is embedded anew, and four ways to search are compared.",
        stored=("wordllama",),
        after=dense("wordllama", VECTOR, words=WORDS, label="wordllama and words"),
        answers=_with_words,
        documents=1_500,
    ),
    "side-by-side": Row(
        title="Both models stay, a vector per token",
        teaches="Both stay: the old vector finds, a vector per token sorts. Few labelled queries, so nobody says which wins.",
        stored=("wordllama",),
        after=dense("minilm", "tokens", tokens=True, label="minilm, a vector per token"),
        answers=_with_tokens,
        documents=150,
        queries=15,
    ),
    "bad-model": Row(
        title="A model that is worse",
        teaches="A model of the right size that understands nothing: the comparison says NO-GO and there is no cutover.",
        stored=("minilm",),
        after=dense("scrambled", f"{VECTOR}_scrambled"),
        answers=_replaced_by("scrambled"),
        documents=800,
    ),
}


def scenario(name: str) -> Row:
    """The row of that name; UsageError naming the known ones."""
    if name not in SCENARIOS:
        raise UsageError(f"there is no scenario {name!r}; choose one of {', '.join(SCENARIOS)}")
    return SCENARIOS[name]
