"""Journals of runs as an engine would write them, event by event."""

from __future__ import annotations

from pathlib import Path

from changeover.decision.answers import RouteName
from changeover.engine import events as ev
from changeover.engine.folder import RunFolder
from changeover.engine.journal import Journal
from changeover.plan import model as pm
from changeover.quality.model import QualityReport, Score
from changeover.quality.trials import MapTrial, SearchSetting

from .fakes import BEGAN, plan

QUALITY = QualityReport(
    queries=300,
    old=(Score(metric="nDCG@10", mean=0.353, low=0.310, high=0.396),),
    new=(Score(metric="nDCG@10", mean=0.458, low=0.413, high=0.502),),
    difference=Score(metric="nDCG@10", mean=0.105, low=0.071, high=0.139),
    overlap=0.31,
    ann_recall=0.998,
    verdict="GO",
    reason="nDCG@10 rises by 0.105 [0.071, 0.139]",
)
LAMPS = (
    ev.Lamp(name="collection green", on=True, detail="green, nothing queued"),
    ev.Lamp(name="caught up", on=True, detail="0.2 s behind; last pass: no differences"),
    ev.Lamp(name="verified", on=True, detail="4,000 points"),
    ev.Lamp(name="quality", on=True, detail="GO: nDCG@10 rises by 0.105 [0.071, 0.139]"),
    ev.Lamp(name="alias where planned", on=True, detail="docs -> docs_v1"),
)


class Story:
    """Writes the journal of a run, event by event, as an engine would."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.plan = run.plan()
        self.at = BEGAN
        self._journal = Journal(run.journal)

    def write(self, *events: ev.Event) -> None:
        for event in events:
            self._journal.write(event)

    def later(self, seconds: float) -> float:
        self.at += seconds
        return self.at

    def begin(self) -> None:
        self.write(ev.EngineStarted(at=self.at, pid=4242, host="host", version="0.1.0", server="1.18.3"))

    def done(self, step: str, seconds: float = 1.0, detail: str = "") -> None:
        self.write(ev.StepStarted(at=self.later(0.1), step=step))
        self.write(ev.StepDone(at=self.later(seconds), step=step, detail=detail))

    def until_load(self) -> None:
        self.begin()
        for step in self.plan.steps:
            if step.id == "load":
                break
            self.done(step.id)

    def loading(self, points: int = 1800, seconds: int = 9, throttle: str = "") -> None:
        self.until_load()
        self.write(ev.StepStarted(at=self.later(0.1), step="load"))
        for second in range(1, seconds + 1):
            done = points * second // seconds
            rate = 160 + 20 * (second % 4)
            self.write(ev.Progress(at=self.later(1.0), step="load", done=done, total=4000, note="slice 2 of 3"))
            self.write(
                ev.Metrics(
                    at=self.at,
                    points=done,
                    points_per_s=rate,
                    embed_busy=0.97,
                    write_busy=0.12,
                    batch=256,
                    streams=2,
                    throttle=throttle if second == seconds else "",
                    lanes=self._lanes(done),
                )
            )
        self.search(1240)

    def _lanes(self, done: int) -> tuple[ev.Stream, ...]:
        return (
            ev.Stream(1, "writes 256 points", 0, None, done // 2, 96.4),
            ev.Stream(2, "waiting 2.0 s: HTTP 429: too many requests", 1, None, done - done // 2, 83.6),
        )

    def troubles(self) -> None:
        """Requests sent again, a load that is slowed, a warning, a refused request, and two points left out."""
        self.write(
            ev.Retried(at=self.later(1), reason="HTTP 429: too many requests", times=14, waited_s=31.0),
            ev.Log(at=self.later(0.5), level="warning", text="no search probe: docs holds no vector yet"),
            ev.Controlled(
                at=self.later(0.5), number=1, verb="streams", value=99, refused="streams must be a number from 1 to 8"
            ),
            ev.Skipped(at=self.later(0.2), id=17, reason="the model returned numbers that are not finite"),
            ev.Skipped(
                at=self.later(0.2),
                id="9b0f8f1e-8a52-4f0e-9f6e-0d6a0f6b8f10",
                reason="the model refused 'x': 9,120 tokens, 8,192 at most",
            ),
        )

    def search(self, searches: int, failures: int = 0) -> None:
        self.write(
            ev.Canary(at=self.at, searches=searches, failures=failures, p50_ms=9.0, p95_ms=14.0, baseline_p95_ms=12.0)
        )

    def until_cutover(self, lamps: tuple[ev.Lamp, ...] = LAMPS) -> None:
        self.loading(points=4000, seconds=20)
        self.write(ev.StepDone(at=self.later(0.2), step="load", detail="4,000 points"))
        self.write(ev.StepStarted(at=self.later(0.1), step="catch-up"))
        self.write(ev.Differences(at=self.at, step="catch-up", number=1, new=3, edited=5, deleted=1))
        self.write(ev.Differences(at=self.later(1.0), step="catch-up", number=2))
        self.write(ev.StepDone(at=self.later(0.2), step="catch-up", detail="2 passes"))
        self.done("wait-green", 2.0)
        self.write(ev.StepStarted(at=self.later(0.1), step="verify"))
        self.write(_verified(self.at))
        self.write(ev.StepDone(at=self.later(3.0), step="verify", detail="everything agrees"))
        self.write(ev.StepStarted(at=self.later(0.1), step="evaluate"))
        self.write(ev.Evaluated(at=self.at, report=QUALITY))
        self.write(ev.StepDone(at=self.later(4.0), step="evaluate", detail="GO"))
        self.write(ev.StepStarted(at=self.later(0.1), step="await-cutover"))
        self.search(5210)
        self.write(ev.CutoverReady(at=self.later(1.0), lamps=lamps))

    def go(self, until: str = "", *, last: str = "finished: the storage is changed") -> None:
        """Whatever the plan has, up to the step of that kind, which is begun; without one to the end."""
        self.begin()
        for step in self.plan.steps:
            kind = str(type(step).__struct_config__.tag)
            self.write(ev.StepStarted(at=self.later(0.1), step=step.id))
            if isinstance(step, pm.Load):
                self._load(step.id, 0.0 if kind == until else 1.0)
            elif isinstance(step, pm.FitMatrix):
                self.write(self._fitted())
            elif isinstance(step, pm.MeasureStorage):
                self.write(_recall(self.later(1.0), step.vector, after=bool(step.least_recall)))
            elif isinstance(step, pm.Verify):
                self.write(_verified(self.at))
            elif isinstance(step, pm.AwaitCutover):
                lamps = [lamp for lamp in LAMPS if self.plan.job.mode == "blue-green" or "alias" not in lamp.name]
                self.write(ev.CutoverReady(at=self.later(1.0), lamps=tuple(lamps[:3])))
            if kind == until:
                return
            if isinstance(step, pm.SwapAlias | pm.SwitchApplication | pm.ReplaceByAlias):
                self.write(ev.CutOver(at=self.at, detail=step.title, canary_ok=True))
            self.write(ev.StepDone(at=self.later(1.0), step=step.id))
        self.write(ev.RunFinished(at=self.later(0.1), summary=last, report="report.html"))

    def _load(self, step: str, share: float) -> None:
        embeds = self.plan.job.model is not None and not self.plan.job.bridge
        done = int(4000 * (share or 0.45))
        for second in (1, 2, 3):
            rate = 900.0 + 40 * second
            self.write(
                ev.Progress(at=self.later(1.0), step=step, done=done * second // 3, total=4000),
                ev.Metrics(
                    at=self.at,
                    points=done * second // 3,
                    points_per_s=rate,
                    embed_busy=0.97 if embeds else 0.0,
                    write_busy=0.62,
                    batch=256,
                    streams=2,
                ),
            )
        if self.plan.job.keeps_serving:
            self.search(1240)

    def _fitted(self) -> ev.MatrixFitted:
        make = next(make for make in self.plan.job.makes if isinstance(make, pm.FromVector))
        trial = None
        if make.method in ("ridge", "procrustes"):
            trial = MapTrial(
                method="ridge",
                anchors=2000,
                points=1000,
                queries=300,
                old=Score(metric="nDCG@10", mean=0.353, low=0.31, high=0.396),
                mapped=Score(metric="nDCG@10", mean=0.421, low=0.38, high=0.462),
                new=Score(metric="nDCG@10", mean=0.458, low=0.413, high=0.502),
                gain=Score(metric="gain", mean=0.65, low=0.41, high=0.88),
            )
        return ev.MatrixFitted(
            at=self.later(2.0), method=make.method, sampled=2000 if trial else 4000, digest="ab" * 32, trial=trial
        )

    def finish(self) -> None:
        last = "swap-alias" if self.plan.job.mode == "blue-green" else "switch-application"
        self.write(ev.StepDone(at=self.later(1.0), step="await-cutover", detail="asked for by a person"))
        self.write(ev.StepStarted(at=self.later(0.1), step=last))
        self.write(ev.CutOver(at=self.at, detail="alias docs points to docs_v2", canary_ok=True))
        self.write(ev.StepDone(at=self.later(0.2), step=last))
        self.done("sweep", 2.0, "nothing was late")
        self.search(6020)
        self.write(ev.RunFinished(at=self.later(0.1), summary="finished: the new model serves", report="report.html"))


def _recall(at: float, vector: str, *, after: bool) -> ev.StorageMeasured:
    plain = SearchSetting(rescore=False, oversampling=None, recall=0.941 if after else 0.996)
    over = SearchSetting(rescore=True, oversampling=2.0, recall=0.992 if after else 0.996)
    return ev.StorageMeasured(
        at=at,
        vector=vector,
        asked=100,
        settings=(plain, over),
        default_recall=plain.recall,
        p50_ms=2.1 if after else 4.3,
        after=after,
    )


def _verified(at: float) -> ev.Verified:
    return ev.Verified(
        at=at, source_points=4002, target_points=4002, checked_ids=4002, sampled=200, worst_cosine=0.9997
    )


def new_run(root: Path, route: RouteName = "blue-green") -> RunFolder:
    """A run folder with a plan and an empty journal."""
    return run_of(plan(route), root)


def run_of(sealed: pm.Plan, root: Path) -> RunFolder:
    """A run folder with that plan and an empty journal."""
    return RunFolder.create(sealed, {}, root / sealed.id)
