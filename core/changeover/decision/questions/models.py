"""Questions about the new model, the old one, and the text between them."""

from __future__ import annotations

from changeover.decision.questions.base import Choice, Question

PROVIDERS = (
    Choice(
        value="fastembed", label="fastembed", consequence="a local ONNX model, by name or from a folder; no key needed"
    ),
    Choice(value="openai", label="OpenAI-compatible HTTP", consequence="OpenAI, Azure or any server with /embeddings"),
    Choice(value="cohere", label="Cohere", consequence="told apart for documents and queries by the tool"),
    Choice(value="voyage", label="Voyage AI", consequence="told apart for documents and queries by the tool"),
    Choice(value="jina", label="Jina AI", consequence="dense and late-interaction models"),
    Choice(value="gemini", label="Google Gemini", consequence="told apart for documents and queries by the tool"),
    Choice(value="ollama", label="Ollama", consequence="a model of your own machine or network"),
    Choice(value="tei", label="Text Embeddings Inference", consequence="Hugging Face's server, yours or hosted"),
    Choice(
        value="qdrant",
        label="the Qdrant server itself",
        consequence="texts are sent, the server embeds (Cloud inference): the next switch is a configuration change",
    ),
    Choice(value="sandbox", label="sandbox models", consequence="the two small models of the demo"),
)

OLD_PROVIDERS = tuple(choice for choice in PROVIDERS if choice.value != "qdrant")
"""The old model has to embed here, to prove the text and to search the old side."""

MODELS: tuple[Question, ...] = (
    Question(
        id="model.provider",
        prompt="Who makes the new vectors?",
        help=(
            "The engine sends every text there once. A local model costs time, an HTTP one money. With Qdrant's own"
            " inference the server embeds what it is sent; switching models is then a change of configuration."
        ),
        kind="choice",
        group="model",
        choices=PROVIDERS,
    ),
    Question(
        id="model.kind",
        prompt="One vector per text, or one per token?",
        help=(
            "Late interaction (ColBERT) keeps a vector for every token: precise, and large. Beside dense vectors it slows"
            " every search unless it is kept on disk and used to rank again what another vector found."
        ),
        kind="choice",
        group="model",
        choices=(
            Choice(value="dense", label="One per text", consequence="a dense vector"),
            Choice(
                value="late-interaction",
                label="One per token",
                consequence="a multivector, on disk and without a graph of its own",
            ),
        ),
    ),
    Question(
        id="model.name",
        prompt="Which model?",
        help="Its name as the provider knows it, for example BAAI/bge-small-en-v1.5 or text-embedding-3-small.",
        kind="text",
        group="model",
    ),
    Question(
        id="model.dimension",
        prompt="How many numbers does a vector of that model have?",
        help="The server embeds by itself, so nothing can be measured beforehand; the new vector is made with this size.",
        kind="number",
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
        blanks=True,
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
        blanks=True,
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
        choices=(
            *OLD_PROVIDERS,
            Choice(value="", label="No", consequence="the text stays unproven, quality undecided"),
        ),
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
)
