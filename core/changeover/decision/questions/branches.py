"""The questions that branch: what becomes of the vectors, and where it is done."""

from __future__ import annotations

from changeover.decision.questions.base import Choice, Question, yesno

BRANCHES: tuple[Question, ...] = (
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
        choices=yesno(
            "the engine catches up with every write, and a canary searches all the while",
            "the application is stopped: no catch-up and no canary, and the old name can be taken over",
        ),
    ),
    Question(
        id="keep_both",
        prompt="Must both models stay live after the cutover?",
        help=(
            "Both can then be searched and compared as long as you like. Where vectors can be added (from 1.18.1 on) the new"
            " one comes beside the old; before, a new collection is made that carries the old vectors over unchanged."
        ),
        kind="yesno",
        group="both",
        choices=yesno("old and new vector side by side in one collection", "only the new model serves afterwards"),
    ),
    Question(
        id="add_sparse",
        prompt="Is this a move from dense to hybrid search?",
        help="Hybrid search adds sparse vectors (BM25, SPLADE) beside dense ones; the dense vectors need no re-embedding.",
        kind="yesno",
        group="hybrid",
        choices=yesno(
            "words are searched too: a sparse vector beside the dense one, or a text index",
            "only the dense model changes",
        ),
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
)
