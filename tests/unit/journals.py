"""A whole run as the engine would have written it down, for the tests of everything that only reads journals."""

from __future__ import annotations

from pathlib import Path

from changeover.engine import events as ev
from changeover.engine.folder import RunFolder
from changeover.engine.journal import Journal
from changeover.plan.model import Plan
from changeover.quality.model import QualityReport, Score
from tests.engine import fakes

LAMPS = ("collection green", "caught up", "verified", "quality")


def a_plan(mode: str = "blue-green") -> Plan:
    """The small plan that the engine's tests use."""
    return fakes.plan("blue-green" if mode == "blue-green" else "in-place", fakes.slices(500))


def score(metric: str, mean: float) -> Score:
    return Score(metric=metric, mean=mean, low=mean - 0.02, high=mean + 0.02)


QUALITY = QualityReport(
    queries=300,
    old=(score("nDCG@10", 0.35), score("recall@10", 0.5)),
    new=(score("nDCG@10", 0.46), score("recall@10", 0.6)),
    difference=score("nDCG@10", 0.11),
    overlap=0.42,
    ann_recall=0.997,
    verdict="GO",
    reason="better on nDCG@10, and the interval excludes zero",
)


def loading(start: float = 1_000.0, points: int = 1_000, seconds: int = 10) -> list[ev.Event]:
    """From the start of the engine to the end of the load: ten per cent a second."""
    found: list[ev.Event] = [
        ev.EngineStarted(at=start, pid=4242, host="here", version="0.1.0", server="1.18.3"),
        ev.StepStarted(at=start + 1, step="load"),
    ]
    for second in range(1, seconds + 1):
        at = start + 1 + second
        done = points * second // seconds
        found += [
            ev.Progress(at=at, step="load", done=done, total=points),
            ev.Metrics(
                at=at,
                points=done,
                points_per_s=points / seconds,
                embed_busy=0.97,
                write_busy=0.2,
                batch=64,
                streams=2,
                rss_bytes=300 << 20,
            ),
            ev.Canary(at=at, searches=second * 20, failures=0, p50_ms=3.0, p95_ms=9.0, baseline_p95_ms=7.5),
        ]
    return [*found, ev.StepDone(at=start + 2 + seconds, step="load", detail=f"{points:,} points")]


def ready(start: float = 1_020.0, *, on: bool = True) -> list[ev.Event]:
    """Catch-up, verification, comparison, and the lamps."""
    verified = ev.Verified(
        at=start + 3, source_points=1_004, target_points=1_004, checked_ids=1_004, sampled=50, worst_cosine=0.9998
    )
    lamps = tuple(ev.Lamp(name=name, on=on or name != "caught up", detail=f"{name} it is") for name in LAMPS)
    return [
        ev.StepStarted(at=start, step="catch-up"),
        ev.Differences(at=start + 1, step="catch-up", number=1, new=3, edited=4, deleted=1),
        ev.Log(at=start + 1, level="info", text="pass 1: 1,004 points compared in 0.1 s, 3 new, 4 edited, 1 deleted"),
        ev.StepDone(at=start + 1, step="catch-up", detail="last pass: 3 new, 4 edited, 1 deleted"),
        ev.StepStarted(at=start + 2, step="verify"),
        verified,
        ev.Evaluated(at=start + 3, report=QUALITY),
        ev.StepDone(at=start + 3, step="verify", detail="1,004 points verified, 50 re-embedded"),
        ev.StepStarted(at=start + 4, step="await"),
        ev.CutoverReady(at=start + 5, lamps=lamps, backlog=0),
    ]


def after(start: float = 1_030.0) -> list[ev.Event]:
    """The cutover that a person asked for, the sweep, the end."""
    return [
        ev.Controlled(at=start, number=1, verb="cutover", value="app"),
        ev.StepDone(at=start, step="await", detail="asked for by a person"),
        ev.StepStarted(at=start, step="swap"),
        ev.CutOver(at=start + 1, detail="alias app points to target", canary_ok=True),
        ev.StepDone(at=start + 1, step="swap", detail="alias app points to target"),
        ev.StepStarted(at=start + 1, step="sweep"),
        ev.Conflict(at=start + 2, id=17, kept="new", reason="changed on both sides"),
        ev.Skipped(at=start + 2, id="9b0f8f1e-8a52-4f0e-9f6e-0d6a0f6b8f10", reason="the model returned no number"),
        ev.StepDone(at=start + 3, step="sweep", detail="2 late writes brought over, 1 conflicts"),
        ev.Canary(at=start + 3, searches=640, failures=0, p50_ms=3.1, p95_ms=9.4, baseline_p95_ms=7.5),
        ev.RunFinished(at=start + 4, summary="finished: the new model serves", report="report.html"),
    ]


def whole() -> list[ev.Event]:
    """All of it."""
    return [*loading(), *ready(), *after()]


def on_disk(folder: Path, events: list[ev.Event], plan: Plan | None = None) -> RunFolder:
    """A run folder with these events in its journal."""
    run = RunFolder.create(plan or a_plan(), {}, folder)
    append(run, events)
    return run


def append(run: RunFolder, events: list[ev.Event]) -> None:
    """More events, as the engine writes them."""
    journal = Journal(run.journal)
    for event in events:
        journal.write(event)
    journal.close()
