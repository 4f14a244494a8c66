"""The questions as data: the same ids are prompts, widgets, flags and keys of an answers file."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["choice", "yesno", "text", "number"]
Group = Literal["avoid", "downtime", "both", "hybrid", "model", "text", "names", "load", "cutover"]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One choice; `value` is what stands in an answers file."""

    value: str
    label: str
    consequence: str = ""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One question; a text question may offer choices too, and takes any other text as well."""

    id: str
    prompt: str
    help: str
    kind: Kind
    group: Group
    choices: tuple[Choice, ...] = ()
    optional: bool = False


def _yesno(yes: str, no: str) -> tuple[Choice, ...]:
    return (
        Choice(value="true", label="Yes", consequence=yes),
        Choice(value="false", label="No", consequence=no),
    )


PROVIDERS = (
    Choice(
        value="fastembed", label="fastembed", consequence="a local ONNX model, by name or from a folder; no key needed"
    ),
    Choice(value="openai", label="OpenAI-compatible HTTP", consequence="OpenAI, Azure or any server with /embeddings"),
    Choice(value="sandbox", label="sandbox models", consequence="the two small models of the demo"),
)

QUESTIONS: tuple[Question, ...] = (
    Question(
        id="avoid",
        prompt="Can re-embedding be avoided?",
        help=(
            "Vectors of two models cannot be compared, so another provider, architecture or text means re-embedding. Some"
            " changes can do without: fewer dimensions of the same model, another quantization, a learned map."
        ),
        kind="choice",
        group="avoid",
        choices=(
            Choice(
                value="none", label="No, re-embed everything", consequence="every text goes through the new model once"
            ),
            Choice(
                value="dimensions", label="Same model, fewer dimensions", consequence="stored vectors are cut; no model"
            ),
            Choice(
                value="quantization", label="Same vectors, other quantization", consequence="the server does it itself"
            ),
            Choice(
                value="linear-map",
                label="A learned linear map",
                consequence="a bridge with a loss, for huge collections",
            ),
        ),
    ),
    Question(
        id="zero_downtime",
        prompt="Must searches and writes go on all the while?",
        help=(
            "Yes: nothing that serves is touched before the cutover, writes during the load are caught up with, and a canary"
            " searches through the application's own name to prove it."
        ),
        kind="yesno",
        group="downtime",
        choices=_yesno(
            "the engine catches up with every write", "the same route; the application may simply be stopped"
        ),
    ),
    Question(
        id="keep_both",
        prompt="Must both models stay live after the cutover?",
        help="In place leaves the old vector where it is, so both can be searched as long as you like.",
        kind="yesno",
        group="both",
        choices=_yesno("old and new vector side by side in one collection", "only the new model serves afterwards"),
    ),
    Question(
        id="add_sparse",
        prompt="Is this a move from dense to hybrid search?",
        help="Hybrid search adds sparse vectors (BM25, SPLADE) beside dense ones; the dense vectors need no re-embedding.",
        kind="yesno",
        group="hybrid",
        choices=_yesno("a sparse vector is added", "only the dense model changes"),
    ),
    Question(
        id="model.provider",
        prompt="Who makes the new vectors?",
        help="The engine sends every text there once. A local model costs time, an HTTP one money.",
        kind="choice",
        group="model",
        choices=PROVIDERS,
    ),
    Question(
        id="model.name",
        prompt="Which model?",
        help="Its name as the provider knows it, for example BAAI/bge-small-en-v1.5 or text-embedding-3-small.",
        kind="text",
        group="model",
    ),
    Question(
        id="model.path",
        prompt="Folder of a local ONNX model, if it is not to be downloaded",
        help="A folder with model.onnx and tokenizer.json. Empty: fastembed fetches the model by its name.",
        kind="text",
        group="model",
        optional=True,
    ),
    Question(
        id="model.url",
        prompt="Base URL of the embedding endpoint",
        help="For example https://api.openai.com/v1; /embeddings is added.",
        kind="text",
        group="model",
    ),
    Question(
        id="model.api_key_env",
        prompt="Environment variable that holds the endpoint's key",
        help="Only the variable's name is kept; the key itself is never written anywhere. Empty: no key.",
        kind="text",
        group="model",
        optional=True,
    ),
    Question(
        id="model.price_per_million_tokens",
        prompt="Price of a million tokens",
        help="As your provider bills it, in your currency; the plan then says what the run costs. Empty: no estimate of money.",
        kind="number",
        group="model",
        optional=True,
    ),
    Question(
        id="model.document_prefix",
        prompt="What is put in front of each text?",
        help="Some models were trained with it, such as passage: with a blank after it. Empty: nothing.",
        kind="text",
        group="model",
        choices=(
            Choice(value="", label="Nothing"),
            Choice(value="passage: ", label="As E5 models ask", consequence="passage: and a blank"),
            Choice(value="search_document: ", label="As Nomic models ask", consequence="search_document: and a blank"),
        ),
        optional=True,
    ),
    Question(
        id="model.query_prefix",
        prompt="What is put in front of each query?",
        help="The counterpart for queries, such as query: with a blank after it. Empty: nothing.",
        kind="text",
        group="model",
        choices=(
            Choice(value="", label="Nothing"),
            Choice(value="query: ", label="As E5 models ask", consequence="query: and a blank"),
            Choice(value="search_query: ", label="As Nomic models ask", consequence="search_query: and a blank"),
        ),
        optional=True,
    ),
    Question(
        id="old_model.provider",
        prompt="Can the old model be used too?",
        help=(
            "With it the wizard proves which text the stored vectors were made from, and compares old and new on your"
            " queries. Without it both stay unknown."
        ),
        kind="choice",
        group="text",
        choices=(*PROVIDERS, Choice(value="", label="No", consequence="the text stays unproven, quality undecided")),
        optional=True,
    ),
    Question(
        id="old_model.name",
        prompt="Which model made the stored vectors?",
        help="Its name as the provider knows it.",
        kind="text",
        group="text",
    ),
    Question(
        id="old_model.path",
        prompt="Folder of the old model, if it is a local ONNX model",
        help="A folder with model.onnx and tokenizer.json. Empty: fastembed fetches the model by its name.",
        kind="text",
        group="text",
        optional=True,
    ),
    Question(
        id="old_model.url",
        prompt="Base URL of the old model's endpoint",
        help="For example https://api.openai.com/v1; /embeddings is added.",
        kind="text",
        group="text",
    ),
    Question(
        id="old_model.api_key_env",
        prompt="Environment variable that holds that endpoint's key",
        help="Only the variable's name is kept. Empty: no key.",
        kind="text",
        group="text",
        optional=True,
    ),
    Question(
        id="text.template",
        prompt="Which text is embedded?",
        help="A template over payload paths, such as {text} or {title}\\n\\n{body}. It must be what was embedded before.",
        kind="text",
        group="text",
    ),
    Question(
        id="route",
        prompt="In place, or a new collection?",
        help=(
            "In place adds a second vector to the collection that serves. Blue-green fills a new collection and swaps an"
            " alias in one request."
        ),
        kind="choice",
        group="downtime",
        choices=(
            Choice(
                value="in-place",
                label="In place",
                consequence="one collection, no alias needed; the application changes the vector that it searches",
            ),
            Choice(
                value="blue-green",
                label="Blue-green with an alias",
                consequence="twice the room for a while; the old collection stays untouched for a way back",
            ),
        ),
    ),
    Question(
        id="vector.source",
        prompt="Which vector is replaced?",
        help="The stored vector that the old model made.",
        kind="choice",
        group="names",
    ),
    Question(
        id="vector.name",
        prompt="Name of the new vector",
        help=(
            "What the application will give as `using`. A name of its own makes a forgotten query model fail loudly. Empty:"
            " decided once the model is measured, in blue-green the old name if the size changes, else one of its own."
        ),
        kind="text",
        group="names",
        optional=True,
    ),
    Question(
        id="vector.distance",
        prompt="Which distance?",
        help=(
            "The new vectors are not of length 1. Cosine collections normalise what they are given; with the others the"
            " length of a vector counts."
        ),
        kind="choice",
        group="names",
        choices=(
            Choice(value="Cosine", label="Cosine", consequence="only the direction counts"),
            Choice(value="Dot", label="Dot product", consequence="longer vectors score higher"),
            Choice(value="Euclid", label="Euclidean", consequence="the straight distance"),
            Choice(value="Manhattan", label="Manhattan", consequence="the sum of differences"),
        ),
    ),
    Question(
        id="vector.on_disk",
        prompt="Keep the new vectors on disk?",
        help="Memory is tight. On disk only the index of the new vectors is held in memory, and searches are slower.",
        kind="yesno",
        group="names",
        choices=_yesno("about a third of the memory, slower searches", "all of it in memory"),
    ),
    Question(
        id="target.collection",
        prompt="Name of the new collection",
        help="It must be free. The application does not see it: it uses the alias.",
        kind="text",
        group="names",
    ),
    Question(
        id="alias.name",
        prompt="Alias that the application uses, or will use",
        help="It is pointed at the new collection in one request.",
        kind="text",
        group="names",
    ),
    Question(
        id="writers",
        prompt="Who writes while the load runs?",
        help=(
            "Nobody, the application as it is, or an application that already writes old and new side. Only in the last"
            " case the load must never overwrite; in the others the engine finds every change by itself."
        ),
        kind="choice",
        group="load",
        choices=(
            Choice(
                value="unknown", label="The application as it is, or I do not know", consequence="changes are found"
            ),
            Choice(value="none", label="Nobody", consequence="changes are looked for all the same"),
            Choice(value="dual", label="The application writes both sides", consequence="its own vectors always win"),
        ),
    ),
    Question(
        id="queries.file",
        prompt="File of labelled queries, to compare old and new",
        help='JSON lines: {"query": "...", "relevant": [ids]}. Empty: no verdict on quality.',
        kind="text",
        group="cutover",
        optional=True,
    ),
    Question(
        id="limits.batch",
        prompt="Points per request",
        help="Smaller requests are gentler on the cluster. It can be changed while the run goes on.",
        kind="number",
        group="load",
    ),
    Question(
        id="limits.streams",
        prompt="Requests at once",
        help="Two to four are enough; the embedder is nearly always slower than the server.",
        kind="number",
        group="load",
    ),
    Question(
        id="limits.rate",
        prompt="Points per second at most",
        help="Empty: as fast as the model is, slowed down when the application's searches get slow.",
        kind="number",
        group="load",
        optional=True,
    ),
    Question(
        id="cutover",
        prompt="Who says when?",
        help="Nothing is cut over before everything is verified. By hand, somebody then types the name.",
        kind="choice",
        group="cutover",
        choices=(
            Choice(value="manual", label="A person", consequence="the run stays caught up until then"),
            Choice(value="when-ready", label="The engine, when every lamp is on", consequence="for unattended runs"),
            Choice(value="never", label="Nobody, only prepare", consequence="both sides stay; no name changes"),
        ),
    ),
)


KEYS: dict[str, str] = {
    "collection": "the collection, or an alias of it, that an answers file is for",
    "model.dimension": "the declared size of the new vectors; left out, the model is asked",
    "model.pooling": "mean, cls, last or disabled: how a local ONNX model's token vectors become one",
    "model.normalise": "whether a local ONNX model's vectors are divided by their length",
    "model.model_file": "the file inside a local model's folder",
    "text.field": "one payload path as the text; short for a template with one hole",
}
"""Keys of an answers file that the wizard does not ask for."""


def by_id(question: str) -> Question | None:
    """The question of that id, or None."""
    return next((q for q in QUESTIONS if q.id == question), None)
