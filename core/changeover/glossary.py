"""The words of the field in one sentence each, and which of them a text uses."""

from __future__ import annotations

import re

import msgspec


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """One word of the field."""

    name: str
    """As it is looked up."""
    text: str
    """What it means, in one sentence that needs no other."""
    forms: tuple[str, ...] = ()
    """Other spellings as regular expressions; a plural s is found without one."""
    exact: bool = False
    """Whether it is only meant in this case: a verdict GO is not the verb."""


TERMS: tuple[Term, ...] = (
    Term(
        name="alias",
        forms=("alias(es)?",),
        text="a second name for a collection; one request points it at another one, so an application needs no change",
    ),
    Term(
        name="answers file",
        text="a TOML file with an answer for each question, so that the same walk needs nobody to type",
    ),
    Term(
        name="backlog",
        text="what is still to be done: writes not yet brought over, or segments that the server has not yet optimized",
    ),
    Term(name="batch", forms=("batch(es)?",), text="the points that are sent to the cluster in one request"),
    Term(
        name="BM25",
        text="a way to score texts by the words that they share with a query; rare words count more",
    ),
    Term(
        name="blue-green",
        text="a new collection is filled beside the old one, and one request makes it the one that serves",
    ),
    Term(
        name="bridge",
        text="vectors of the old model turned into the new model's by a learned matrix: good for a while, never equal",
    ),
    Term(
        name="canary",
        forms=("canar(y|ies)",),
        text="a search that Changeover makes again and again as your application does, to see at once when one is slow or fails",
    ),
    Term(
        name="catch-up",
        forms=("catch[- ]?up", "caught up", "catches up"),
        text="bringing over what the application wrote while the points were being copied",
    ),
    Term(
        name="collection",
        text="a named set of points in Qdrant, searched together; like a table in a database",
    ),
    Term(
        name="confidence interval",
        forms=(r"\d+ ?% (confidence )?interval", "intervals?"),
        text="the range in which the true value lies with that probability; a wide one means few queries",
    ),
    Term(
        name="Cosine, Dot, Euclid",
        forms=("[Cc]osine", "Dot", "Euclid", "Manhattan"),
        exact=True,
        text="how the likeness of two vectors is computed; a property of each vector of a collection",
    ),
    Term(
        name="cutover",
        forms=("cutover", "cut over", "cuts over"),
        text="the moment from which searches go to the new side",
    ),
    Term(
        name="dense vector",
        forms=("dense",),
        text="a vector in which every number counts, as embedding models return them; it stands for a meaning",
    ),
    Term(
        name="dimension",
        text="how many numbers a vector has; a property of the model",
    ),
    Term(
        name="embedding",
        forms=("embed(s|ded|ding|dings|der|ders)?", "re-?embed(s|ded|ding)?"),
        text="turning a text into a vector with a model, so that texts of like meaning lie close together",
    ),
    Term(
        name="engine",
        text="the process that does the work of a run; it goes on when this window is closed",
    ),
    Term(
        name="finding",
        text="something that a check saw: what was measured, what follows from it, and what to do",
    ),
    Term(
        name="fusion",
        forms=("fus(e|es|ed|ion)", "RRF"),
        text="making one list of results out of two, by the places that a point has in each",
    ),
    Term(
        name="GO, NO-GO",
        forms=("NO-GO", "GO"),
        exact=True,
        text="the verdict of comparing both sides with your labelled queries: not worse than allowed, or worse",
    ),
    Term(
        name="HNSW",
        forms=("HNSW", "graph"),
        text="the graph that Qdrant walks to find near vectors without comparing all of them",
    ),
    Term(
        name="hybrid search",
        forms=("hybrid",),
        text="searching by meaning and by words at once, and making one list of both results",
    ),
    Term(
        name="in place",
        forms=("in[- ]place",),
        text="the new vector comes beside the old one in the same collection; the application then searches the new one",
    ),
    Term(
        name="index",
        forms=("index(es|ed)?", "indices"),
        text="what lets a search find points without reading all: for vectors a graph, for payload fields a list of values",
    ),
    Term(
        name="journal",
        text="the file in which a run writes down everything that it does, so that it can go on after a crash",
    ),
    Term(
        name="labelled queries",
        forms=("label+ed",),
        text="questions of which is known which points are the right answers; with them two models can be compared",
    ),
    Term(name="lamp", text="one condition of the cutover: on when it is met, dark when not"),
    Term(
        name="late interaction",
        forms=("late[- ]interaction", "multi-?vectors?", "(a )?vectors? per token", "ColBERT"),
        text="a vector for each token of a text instead of one for all of it: better order, far more memory",
    ),
    Term(
        name="lease",
        text="a mark in the collection that keeps a second engine from working on it at the same time",
    ),
    Term(
        name="ledger",
        text="Changeover's own list of which text each new vector was made from; it tells what changed since",
    ),
    Term(
        name="linear map",
        forms=("linear[- ]map", "learned map"),
        text="a matrix that turns old vectors into approximations of the new model's, learnt from pairs of both",
    ),
    Term(
        name="Matryoshka",
        text="a model trained so that the first numbers of its vectors work alone; such vectors can be cut",
    ),
    Term(
        name="nDCG",
        forms=(r"nDCG(@\d+)?",),
        text="how good the order of a result list is, from 0 to 1: right answers near the top count most",
    ),
    Term(
        name="normalised",
        forms=("normali[sz]ed?", "of length 1"),
        text="brought to length 1, so that only the direction of a vector counts",
    ),
    Term(
        name="optimizer",
        forms=("optimi[sz](er|ers|ation|ations)",),
        text="the server's own work in the background: merging segments and building indexes after writes",
    ),
    Term(
        name="oversampling",
        text="with quantization: finding more candidates than asked for by the small copies, so that fewer are missed",
    ),
    Term(
        name="p95",
        forms=(r"p\d\d",),
        text="95 of 100 searches are at least this fast; p50 is the middle one",
    ),
    Term(name="payload", text="the data stored with a point beside its vectors, as JSON: its text, titles, dates"),
    Term(
        name="PCA",
        forms=("PCA", "principal components?", "rotation"),
        text="turning vectors so that their first numbers hold most of what tells them apart, before the rest is cut off",
    ),
    Term(name="point", text="one entry of a collection: an id, its vectors and its payload"),
    Term(
        name="prefix",
        forms=("prefix(es)?",),
        text="words that some models want in front of each text, such as `query: `; they must be the same as in training",
    ),
    Term(
        name="probe",
        forms=("prob(e|es|ed|ing)",),
        text="a short try of the model on a few of your texts: its dimension, speed and token limit",
    ),
    Term(
        name="quantization",
        forms=("quanti[sz](e|ed|ation)",),
        text="keeping small copies of the vectors, of 8 bits or even 1 per number, so that they fit in memory",
    ),
    Term(
        name="recall",
        forms=(r"recall(@\d+)?",),
        text="the share of the truly nearest points that a search finds; 1.0 is all",
    ),
    Term(
        name="replica",
        text="a copy of a part of a collection on another machine of the cluster",
    ),
    Term(
        name="rescore",
        forms=("rescor(e|es|ed|ing)",),
        text="with quantization: sorting the candidates again by their full vectors",
    ),
    Term(
        name="rollback",
        forms=("roll(ed)?[- ]?back", "way back"),
        text="letting the old side serve again, with everything that was written since the cutover",
    ),
    Term(name="route", text="one of the ways to carry a change out; each is a list of steps"),
    Term(
        name="run",
        text="one migration under way or done: a folder with its plan, its journal and its report",
    ),
    Term(
        name="sandbox",
        text="a small cluster with texts and an application that Changeover starts on this machine to try things on",
    ),
    Term(name="segment", text="a part of a collection as the server stores it; it merges small ones by itself"),
    Term(name="shard", text="a part of a collection that lives on one machine"),
    Term(
        name="side by side",
        forms=("side[- ]by[- ]side",),
        text="both models stay in one collection, each under a vector name of its own",
    ),
    Term(
        name="slice", text="a range of point ids that is loaded as one piece, with a position of its own to go on from"
    ),
    Term(name="snapshot", text="a copy of a collection in one file that the server makes and can restore"),
    Term(
        name="sparse vector",
        forms=("sparse",),
        text="a vector of mostly zeros with a weight for each word of a text; it finds exact words",
    ),
    Term(
        name="SPLADE",
        forms=("SPLADE", "miniCOIL"),
        text="a model that makes sparse vectors and also weighs words that are related to those in the text",
    ),
    Term(name="stream", text="one of several requests that the engine has under way at the same time"),
    Term(
        name="survey",
        forms=("survey(s|ed)?",),
        text="reading everything about a collection that a plan depends on; nothing is written",
    ),
    Term(name="sweep", text="after the cutover: bringing over what still reached the old side"),
    Term(
        name="throttle",
        forms=("throttl(e|ed|ing)", "slowed"),
        text="the engine slows itself down because your searches became slower or the server is busy",
    ),
    Term(name="token", text="a piece of a word; models read texts as tokens and have a limit of them"),
    Term(
        name="trial",
        forms=("trials?", "tried on a sample"),
        text="a look at a few thousand of your own points that shows what a change would cost, before you decide",
    ),
    Term(
        name="vector",
        text="a list of numbers that a model made from a text; near vectors mean like texts",
    ),
    Term(name="writer", text="a program that writes to the collection: your application, an import job"),
)
"""In the order of the alphabet."""

_FORMS = {
    one.name: re.compile(
        rf"(?<![\w-])(?:{'|'.join((*one.forms, re.escape(one.name) + 's?'))})(?![\w-])",
        0 if one.exact else re.IGNORECASE,
    )
    for one in TERMS
}


def terms_in(text: str) -> tuple[Term, ...]:
    """The words of the field that the text uses, in the order of the alphabet."""
    return tuple(one for one in TERMS if _FORMS[one.name].search(text))


def term(name: str) -> Term | None:
    """The word of that name or spelling; None when it is not one of the field."""
    wanted = name.strip()
    named = next((one for one in TERMS if one.name.lower() == wanted.lower()), None)
    return named or next((one for one in TERMS if _FORMS[one.name].fullmatch(wanted)), None)
