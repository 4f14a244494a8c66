"""Questions about vectors and names: what is replaced, how the new one is called and stored."""

from __future__ import annotations

from changeover.decision.questions.base import Choice, Question, yesno

VECTORS: tuple[Question, ...] = (
    Question(
        id="vector.source",
        prompt="Which vector is replaced?",
        help="The stored vector that the old model made.",
        kind="choice",
        group="names",
    ),
    Question(
        id="target.dimension",
        prompt="How many numbers are kept?",
        help=(
            "The stored vectors are cut to this many. Half of them is the usual first step; what that costs is measured on"
            " your own vectors before anything is written."
        ),
        kind="number",
        group="names",
    ),
    Question(
        id="target.reduction",
        prompt="Which numbers are kept?",
        help=(
            "A Matryoshka model puts what matters into its first numbers. Any other model keeps more when the vectors are"
            " turned first, so that their strongest directions come first; queries have to be turned by the same matrix."
        ),
        kind="choice",
        group="names",
        choices=(
            Choice(value="leading", label="The first ones", consequence="queries are cut, nothing else"),
            Choice(
                value="pca",
                label="The strongest directions (PCA)",
                consequence="queries are multiplied by a matrix that the run writes to a file",
            ),
        ),
    ),
    Question(
        id="map.method",
        prompt="How is the map learnt?",
        help="Ridge regression fits any linear map; Procrustes only turns, and is steadier with few pairs.",
        kind="choice",
        group="names",
        choices=(
            Choice(value="ridge", label="Ridge regression", consequence="from about 1,000 pairs on"),
            Choice(value="procrustes", label="Procrustes (a rotation)", consequence="for fewer pairs"),
        ),
    ),
    Question(
        id="map.anchors",
        prompt="From how many pairs?",
        help=(
            "So many texts of the collection are embedded with the new model; the pairs of old and new vectors teach the"
            " map. Fewer than 2,000 are rarely enough, and more cost only their embedding."
        ),
        kind="number",
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
        choices=yesno("about a third of the memory, slower searches", "all of it in memory"),
    ),
    Question(
        id="vector.carried_name",
        prompt="Name of the old vector in the new collection",
        help="Beside a second dense vector the unnamed one needs a name; the application gives it as `using`.",
        kind="text",
        group="names",
    ),
    Question(
        id="vector.reserve",
        prompt="Reserve a name for the next model?",
        help=(
            "This server cannot add vectors later. A vector name that the new collection is made with costs nothing while"
            " no point has it, and the next change can then be done in place. Empty: none."
        ),
        kind="text",
        group="names",
        optional=True,
    ),
    Question(
        id="vector.reserve_dimension",
        prompt="How many numbers will the next model have?",
        help="It is fixed when the collection is made. Empty: as many as the new vector.",
        kind="number",
        group="names",
        optional=True,
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
        id="target.same_name",
        prompt="Shall the new collection take the old one's name?",
        help=(
            "The application may stop, so the old collection can be removed once the new one is verified, and its name"
            " becomes an alias of the new one. Between the two requests searches fail, and a snapshot is taken before."
        ),
        kind="yesno",
        group="names",
        choices=yesno(
            "the old collection is removed at the end; nothing changes for the application but its model",
            "both collections stay; the application uses a new name",
        ),
    ),
)

STORAGE: tuple[Question, ...] = (
    Question(
        id="quantization.kind",
        prompt="Which quantization?",
        help=(
            "The server keeps smaller copies of the vectors to search in, and the originals to rank again. Nothing is"
            " embedded; the server builds it after one change of the configuration."
        ),
        kind="choice",
        group="storage",
        choices=(
            Choice(value="scalar", label="Scalar (8 bits)", consequence="a quarter; the safe choice"),
            Choice(value="turbo-4", label="Turbo, 4 bits", consequence="an eighth"),
            Choice(value="turbo-2", label="Turbo, 2 bits", consequence="a sixteenth"),
            Choice(value="turbo-1.5", label="Turbo, 1.5 bits", consequence="a twentieth"),
            Choice(value="turbo-1", label="Turbo, 1 bit", consequence="a thirty-second"),
            Choice(value="turbo-8", label="Turbo, 8 bits", consequence="a quarter"),
            Choice(value="binary-2", label="Binary, 2 bits", consequence="a sixteenth"),
            Choice(value="binary-1.5", label="Binary, 1.5 bits", consequence="a twentieth"),
            Choice(value="binary", label="Binary, 1 bit", consequence="a thirty-second; for 1,024 numbers and more"),
            Choice(value="product-x4", label="Product, x4", consequence="a quarter; slow to build"),
            Choice(value="product-x8", label="Product, x8", consequence="an eighth; slow to build"),
            Choice(value="product-x16", label="Product, x16", consequence="a sixteenth; slow to build"),
            Choice(value="product-x32", label="Product, x32", consequence="a thirty-second; slow to build"),
            Choice(value="product-x64", label="Product, x64", consequence="a sixty-fourth; slow to build"),
            Choice(value="none", label="None", consequence="searches use the originals"),
        ),
    ),
    Question(
        id="quantization.query_encoding",
        prompt="How are queries encoded?",
        help="With binary quantization a query may keep more bits than the stored vectors, for a better ranking.",
        kind="choice",
        group="storage",
        choices=(
            Choice(value="default", label="As the vectors", consequence="quickest"),
            Choice(value="scalar4bits", label="4 bits", consequence="ranks better, a little slower"),
            Choice(value="scalar8bits", label="8 bits", consequence="ranks best, slower"),
            Choice(value="binary", label="1 bit", consequence="quickest, whatever the vectors have"),
        ),
    ),
    Question(
        id="quantization.always_ram",
        prompt="Keep the quantized vectors in memory?",
        help="Small copies in memory and originals on disk is the usual arrangement for large collections.",
        kind="yesno",
        group="storage",
        choices=yesno("quick searches; the originals may be on disk", "as the server's memory allows"),
    ),
    Question(
        id="quantization.least_recall",
        prompt="Which share of the ten nearest must still be found?",
        help=(
            "Approximate against exact search, on the collection itself, at the best search parameters. Below it the"
            " former configuration is brought back by the engine."
        ),
        kind="number",
        group="storage",
    ),
)

SPARSE: tuple[Question, ...] = (
    Question(
        id="sparse.encoder",
        prompt="Who makes the sparse vectors?",
        help=(
            "One encoder for documents and queries: two that split words differently find less. The server's own BM25 and"
            " the local one are the same code. A text index with scoring needs no vector at all, from 1.20 on."
        ),
        kind="choice",
        group="hybrid",
        choices=(
            Choice(
                value="server-bm25", label="The server's BM25", consequence="texts are sent; queries are texts as well"
            ),
            Choice(
                value="local-bm25", label="BM25 here", consequence="the same code, run by the engine; no text is sent"
            ),
            Choice(
                value="fastembed", label="fastembed", consequence="BM25, SPLADE or miniCOIL by name or from a folder"
            ),
            Choice(
                value="text-index", label="A text index with scoring", consequence="no vector, no load: one request"
            ),
        ),
    ),
    Question(
        id="sparse.model",
        prompt="Which sparse model?",
        help="Its name as fastembed knows it, such as Qdrant/bm25, prithivida/Splade_PP_en_v1 or Qdrant/minicoil-v1.",
        kind="text",
        group="hybrid",
    ),
    Question(
        id="sparse.path",
        prompt="Folder of a local sparse model, if it is not to be downloaded",
        help="A folder with the model's files. Empty: fastembed fetches the model by its name.",
        kind="text",
        group="hybrid",
        optional=True,
    ),
    Question(
        id="sparse.language",
        prompt="Which language are the texts in?",
        help=(
            "It decides which words are left out and how the others are cut to their stems. The wrong one keeps every"
            " 'the' and misses plurals; the trial shows how many words the stop words remove."
        ),
        kind="text",
        group="hybrid",
    ),
    Question(
        id="sparse.average_length",
        prompt="Mean number of terms in a text",
        help=(
            "BM25 weighs a term by how long the text is against the mean. Measured on your own chunks; the application has"
            " to use the same number. Empty: the encoder's own 256."
        ),
        kind="number",
        group="hybrid",
        optional=True,
    ),
    Question(
        id="sparse.name",
        prompt="Name of the sparse vector",
        help="What the application gives as `using` in the sparse part of its search.",
        kind="text",
        group="hybrid",
        optional=True,
    ),
)
