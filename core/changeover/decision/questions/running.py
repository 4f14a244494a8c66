"""Questions about the run: who writes, how hard it may work, what it is measured by, who says when."""

from __future__ import annotations

from changeover.decision.questions.base import Choice, Question, yesno

RUNNING: tuple[Question, ...] = (
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
        id="queries.title_field",
        prompt="Or a payload field to make queries from",
        help=(
            "Its values become queries, each with its own point as the right answer: a title finds its text. Weaker than"
            " real queries, and far better than none. Empty: no verdict on quality."
        ),
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
        id="limits.spend",
        prompt="How much may the embedding cost at most?",
        help=(
            "In the currency of the price that you gave. The engine stops, resumable, when the provider has billed so"
            " much. Empty: no limit."
        ),
        kind="number",
        group="load",
        optional=True,
    ),
    Question(
        id="limits.thorough",
        prompt="Does anybody update one of the other vectors alone, without a change of the payload?",
        help=(
            "Catch-up compares payloads, and takes the other vectors along with them. An update of such a vector alone is"
            " found only when every pass reads these vectors too, which is a heavier load on the cluster."
        ),
        kind="yesno",
        group="load",
        choices=yesno("every pass reads the carried vectors too", "passes read payloads alone"),
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
    Question(
        id="rollback.window",
        prompt="How long is the way back kept open after the cutover?",
        help=(
            "A duration such as 24h. Meanwhile a run of its own brings every write to the old side too, so that going"
            " back takes seconds and loses nothing. With 0 `changeover rollback RUN` does that when you ask for it."
        ),
        kind="text",
        group="cutover",
        optional=True,
    ),
)
