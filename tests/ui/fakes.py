"""Values for screens: a cluster that answers from memory, a plan, a journal. No network, no engine, no clock."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from changeover import seals
from changeover.checks.model import Finding, ModelProbe, Probes
from changeover.decision.answers import Answers, RouteName, TextAnswer, VectorAnswer, set_answer
from changeover.decision.charts import Chart, Evidence
from changeover.decision.tree import propose
from changeover.embed.model import ModelSpec
from changeover.engine.folder import RunFolder
from changeover.errors import UnreachableError
from changeover.measurements import Measurements, supposing
from changeover.plan import model as pm
from changeover.survey import model as sm
from changeover.survey.listing import Listed
from changeover.survey.trials.budget import Progress

BEGAN = 1_800_000_000.0
OLD = ModelSpec(provider="sandbox", name="wordllama")
NEW = ModelSpec(provider="sandbox", name="minilm")
DIFF = """--- search.py
+++ search.py
-vector = wordllama.embed(query)
+vector = minilm.embed(query)
-client.query_points("docs", vector, using="text")
+client.query_points("docs", vector, using="text_minilm")
"""
DIFF_TS = """--- application.ts
+++ application.ts  // deploy this before the cutover
-query: await embed("wordllama", text),
+query: await embed("minilm", text),
"""
DIFF_CURL = """--- application.sh
+++ application.sh  # deploy this before the cutover
-"query": $(embed wordllama "$text"),
+"query": $(embed minilm "$text"),
"""


def clock() -> float:
    """Frozen, four minutes and twelve seconds after the run began."""
    return BEGAN + 252.0


def survey() -> sm.Survey:
    """A collection of the sandbox as a survey reads it."""
    return sm.Survey(
        taken_at="2027-01-15T08:00:00Z",
        asked="docs",
        collection="docs_v1",
        cluster=sm.Cluster(url="http://localhost:6333", version="1.18.3", peers=(sm.Peer(id=0, version="1.18.3"),)),
        vectors=(sm.Vector(name="text", kind="dense", size=256, distance="Cosine", points=4000),),
        state=sm.State(color="green", queued_optimizations=0, running_optimizations=0),
        size=sm.Size(points=4000, vector_bytes=4_096_000, payload_bytes=3_000_000, text_chars=2_400_000),
        indexes=(sm.Index(field="module", schema={"type": "keyword"}, points=4000),),
        aliases=(sm.Alias(name="docs", collection="docs_v1"),),
        collections=("docs_v1",),
        sample=(sm.Sampled(id=1, payload={"module": "json", "text": "Serialize obj to a JSON formatted str."}),),
        text=sm.Text(
            template="{text}",
            fields=(sm.Field(path="text", present=1.0, text=1.0, mean_chars=600, distinct=1.0, score=0.97),),
            proofs=(sm.Proof(template="{text}", prefix="", n=64, median=1.0, low=0.9998, share=1.0),),
            proven=True,
            old_model=OLD,
        ),
    )


def answers() -> Answers:
    """What the sandbox proposes."""
    return Answers(
        collection="docs",
        avoid="none",
        zero_downtime=True,
        keep_both=False,
        add_sparse=False,
        model=NEW,
        old_model=OLD,
        text=TextAnswer(field="text"),
        vector=VectorAnswer(source="text", name="text_minilm"),
        writers="unknown",
    )


PROBES = Probes(
    new_model=ModelProbe(dimension=384, max_tokens=256, texts_per_s=210.0, tokens_per_text=118.0, truncated=0.08),
    queries=300,
)

FINDINGS = (
    Finding(
        code="query-model-must-change",
        severity="warning",
        title="Your application must embed its queries with the new model",
        measured="old model wordllama, new model minilm",
        limit="both sides of a search must use one model",
        consequence="Queries made by the old model against the new vectors return nonsense without any error.",
        remedy="Deploy the change that the plan shows, together with the cutover.",
        source="how embedding search works; measured on 1.18.3",
        acknowledge=True,
    ),
    Finding(
        code="optimizer-busy",
        severity="info",
        title="The optimizer is quiet",
        measured="0 queued, 0 running",
        source="GET /collections/docs_v1/optimizations",
    ),
)
PASSED = (
    ("memory-headroom", "memory of the machine against what the new vectors need"),
    ("disk-headroom", "free disk against what the run writes"),
    ("not-green", "the collection's colour"),
    ("plain-name", "whether the application uses an alias"),
)
BLOCKER = Finding(
    code="dimension-mismatch",
    severity="blocker",
    title="The model returns another dimension than was declared",
    measured="384 numbers",
    limit="768 declared",
    consequence="Every write would be rejected.",
    remedy="Answer model.dimension with 384, or choose the model that you meant.",
    source="a probe of the model just now",
)


def plan(route: RouteName = "blue-green", findings: tuple[Finding, ...] = FINDINGS) -> pm.Plan:
    """A sealed plan of either route over three slices."""
    blue = route == "blue-green"
    target = "docs_v2" if blue else "docs_v1"
    vector = {"text_minilm": {"size": 384, "distance": "Cosine"}}
    create = pm.Request(method="PUT", path=f"/collections/{target}", body={"vectors": vector})
    first: tuple[pm.Step, ...] = (
        (
            pm.CreateCollection(id="create-collection", title="Create collection docs_v2", request=create),
            pm.CreateIndexes(
                id="create-indexes",
                title="Create payload indexes",
                requests=(
                    pm.Request(
                        method="PUT",
                        path="/collections/docs_v2/index?wait=true",
                        body={"field_name": "module", "field_schema": "keyword"},
                    ),
                ),
            ),
        )
        if blue
        else (
            pm.AddVector(
                id="add-vector",
                title="Add vector text_minilm",
                request=pm.Request(
                    method="PUT",
                    path="/collections/docs_v1/vectors/text_minilm?wait=true",
                    body={"create_vectors": vector},
                ),
            ),
        )
    )
    swap = {"actions": [{"create_alias": {"collection_name": "docs_v2", "alias_name": "docs"}}]}
    last: pm.Step = (
        pm.SwapAlias(
            id="swap-alias",
            title="Point alias docs at docs_v2",
            alias="docs",
            expected="docs_v1",
            request=pm.Request(method="POST", path="/collections/aliases", body=swap),
        )
        if blue
        else pm.SwitchApplication(id="switch-application", title="Application searches it", vector="text_minilm")
    )
    slices = (
        pm.Slice(number=0, end=1333),
        pm.Slice(number=1, start=1333, end=2666),
        pm.Slice(number=2, start=2666),
    )
    steps: tuple[pm.Step, ...] = (
        *first,
        pm.Load(id="load", title="Embed and write 4,000 points", slices=slices),
        pm.CatchUp(id="catch-up", title="Catch up with writes"),
        pm.WaitGreen(id="wait-green", title="Wait until green", collection=target),
        pm.Verify(id="verify", title="Verify every point"),
        pm.Evaluate(id="evaluate", title="Compare on your queries", queries="queries.jsonl"),
        pm.AwaitCutover(id="await-cutover", title="Wait for the cutover", confirm="docs"),
        last,
        pm.Sweep(id="sweep", title="Bring over late writes"),
    )
    bare = pm.Plan(
        id=f"docs-{route}-1",
        created_at="2027-01-15T08:00:00Z",
        changeover="0.1.0",
        route=route,
        job=pm.Job(
            access=pm.Access(url="http://localhost:6333"),
            mode="blue-green" if blue else "in-place",
            source="docs_v1",
            target=target,
            name_in_use="docs",
            source_vector="text",
            target_vector="text_minilm",
            makes=(pm.FromText(vector="text_minilm", dimension=384),),
            model=NEW,
            dimension=384,
            old_model=OLD,
            template="{text}",
        ),
        answers=answers(),
        findings=findings,
        steps=steps,
        estimate=pm.Estimate(
            points=4000,
            tokens=472_000,
            seconds=19.0,
            disk_bytes=14_000_000,
            memory_bytes=9_000_000,
            basis="210 texts/s measured just now",
        ),
        application=DIFF,
        application_in={"typescript": DIFF_TS, "curl": DIFF_CURL},
        fingerprint=pm.Fingerprint(
            version="1.18.3", collection="docs_v1", vectors={}, aliases={"docs": "docs_v1"}, indexes={}
        ),
    )
    return seals.seal(bare)


TRIAL = "fewer dimensions on stored vectors"


class FakeWizard:
    """The wizard's seam with everything answered from memory."""

    def __init__(self, access: pm.Access, environ: Any, *, root: Path = Path("runs")) -> None:
        self.access = access
        self.environ = dict(environ)
        self.answers = Answers()
        self.survey: sm.Survey | None = None
        self.probes = Probes()
        self.root = root
        self.found: tuple[Finding, ...] = FINDINGS
        self.closed = False
        self.started: list[tuple[pm.Plan, frozenset[str]]] = []
        self.probed = 0
        self.offline = ""
        self.gone = ""
        """A question that is not asked any more."""
        self.trial: asyncio.Event | None = None
        """A trial that the answers call for; it ends when this is set. None: there is none."""

    async def collections(self) -> tuple[Any, ...]:
        if "nowhere" in self.access.url:
            raise UnreachableError(f"{self.access.url}: nothing answers there; check the address and the port")
        return LISTED

    async def take_survey(self, name: str) -> sm.Survey:
        self.survey = survey()
        return self.survey

    def answer(self, given: Answers) -> None:
        self.answers = given

    def questions(self) -> tuple[Any, ...]:
        from changeover.decision.tree import view

        assert self.survey is not None
        return tuple(a for a in view(self.survey, self.answers, self.probes) if a.question.id != self.gone)

    def completed(self) -> Answers:

        assert self.survey is not None
        return propose(self.survey, self.answers, self.probes)

    async def probe(self, *, trials: bool = True, progress: Progress | None = None) -> Probes:
        self.probed += 1
        self.probes = PROBES
        if trials and self.trial is not None:
            if progress is not None:
                progress(2, 5, f"{TRIAL}: reading stored vectors")
            await self.trial.wait()
        return self.probes

    def evidence(self, question: str, value: str | None = None) -> Evidence:
        assert self.survey is not None
        return Measurements().evidence(self.survey, supposing(self.answers, question, value), self.probes, question)

    def so_far(self) -> tuple[Chart, ...]:
        return ()

    def untried(self) -> tuple[str, ...]:
        return (TRIAL,) if self.trial is not None and not self.trial.is_set() else ()

    def findings(self) -> tuple[Finding, ...]:
        return self.found

    def passed(self) -> tuple[tuple[str, str], ...]:
        return PASSED

    def plan(self) -> pm.Plan:
        return plan(findings=self.found)

    def start(self, sealed: pm.Plan, accepted: frozenset[str], folder: Path | None = None) -> RunFolder:
        self.started.append((sealed, accepted))
        return RunFolder.create(sealed, {}, self.root / sealed.id, accepted)

    async def close(self) -> None:
        self.closed = True


LISTED: tuple[Any, ...] = (
    Listed(name="docs_v1", points=4000, vectors=("text 256 Cosine",), aliases=("docs",)),
    Listed(name="tickets", points=1_250_000, vectors=("(unnamed) 1536 Cosine",), flags=("its vector has no name",)),
)


def said(given: Answers, **values: str) -> Answers:
    """Answers with some more, by id with `__` for the dot."""
    for key, value in values.items():
        given = set_answer(given, key.replace("__", "."), value)
    return given
