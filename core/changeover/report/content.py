"""What the report of a run says: one function per section, each from the plan, the events and their fold. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from changeover.engine import events as ev
from changeover.engine import state as run_state
from changeover.engine.state import RunState
from changeover.plan.model import Load, Plan
from changeover.plan.text import makes_line, purpose
from changeover.quality.model import Verdict
from changeover.report import changes
from changeover.report.model import (
    Bar,
    Bars,
    Block,
    Facts,
    Items,
    Line,
    Paragraph,
    Report,
    Section,
    Table,
    Tone,
)
from changeover.side_by_side.votes import WORDS, Tally
from changeover.words import duration, moment, plural, size

RATE_POINTS = 160
"""Points of the sparkline at most; more are averaged."""
TONES: dict[Verdict, Tone] = {"GO": "good", "NO-GO": "bad", "UNDECIDED": "plain"}
ROWS = 50
"""Rows of a table of points or requests at most; the rest is counted."""


def make(plan: Plan, events: Sequence[ev.Event], accepted: Sequence[str] = (), votes: Tally | None = None) -> Report:
    """The report of a run, finished or not; `votes` is what people preferred, query by query."""
    state = run_state.fold(run_state.begin(plan), events)
    outcome, tone = _outcome(state)
    sections = (
        _migrated(plan, state),
        _service(plan, state),
        *changes.computed(plan, state),
        *changes.storage(plan, state),
        *((_verification(state),) if _proves(plan) else ()),
        *(() if plan.follows else (_quality(state),)),
        *(() if votes is None or votes.empty else (_preferred(votes),)),
        _timeline(plan, state, events),
        _differences(state, events),
        _left_out(state, events),
        _people(state, events, plan, accepted),
        changes.application(plan),
        changes.afterwards(plan, state),
        _versions(plan, state, events),
    )
    what = purpose(plan).partition(" of ")[0].capitalize() if plan.follows else "Changeover"
    return Report(title=f"{what} of {plan.job.name_in_use}", outcome=outcome, tone=tone, sections=sections)


def _proves(plan: Plan) -> bool:
    """Whether the plan is one that verifies points."""
    return not plan.follows and (bool(plan.job.makes) or plan.job.mode == "blue-green")


def _outcome(state: RunState) -> tuple[str, Tone]:
    if state.verified is not None and state.verified.problems:
        return f"Not verified, nothing was cut over: {state.verified.problems[0]}", "bad"
    if state.finished is not None:
        tone: Tone = "good" if state.failures == 0 else "plain"
        return _sentence(state.finished.summary), tone
    if state.stopped is not None:
        return f"Stopped, can be resumed: {state.stopped.reason}", "bad"
    return f"Not finished: {state.current.title if state.current else 'no step has begun'}", "plain"


def _migrated(plan: Plan, state: RunState) -> Section:
    job = plan.job
    old = job.old_model.label if job.old_model else "not named"
    spent = None if state.started_at is None or state.last_at is None else state.last_at - state.started_at
    estimated = "" if plan.follows else f" (estimated: {duration(plan.estimate.seconds)} for the load)"
    rows = (
        ("Route", purpose(plan)),
        ("Cluster", job.access.url),
        ("Name that the application uses", job.name_in_use),
        ("From", f"collection {job.source}, {changes.named(job.source_vector)}, model {old}"),
        ("To", f"collection {job.target}" + ("" if job.makes else ", the same vectors")),
        *(("New vector", makes_line(make, job)) for make in job.makes),
        ("Vectors carried over", ", ".join(name or "the unnamed one" for name in job.carry) or "none"),
        ("Points when planned", f"{plan.estimate.points:,}"),
        ("Started", moment(state.started_at)),
        ("Duration", duration(spent) + estimated),
    )
    return Section(title="What was migrated", blocks=(Facts(rows=rows),))


def _service(plan: Plan, state: RunState) -> Section:
    title = "Was the service interrupted?"
    if not state.searches or state.canary is None:
        return Section(title=title, blocks=(Paragraph(text="No canary search was made, so nothing is known."),))
    canary = state.canary
    said = (
        f"{state.failures:,} of {state.searches:,} searches through {plan.job.name_in_use} failed meanwhile"
        f"{' and over the cutover' if state.cutover else ''}."
    )
    rows = [
        ("Canary searches", f"{state.searches:,}"),
        ("Failed", f"{state.failures:,}"),
        ("p95 before", "not measured" if canary.baseline_p95_ms is None else f"{canary.baseline_p95_ms:.1f} ms"),
        ("p95 during", f"{canary.p95_ms:.1f} ms"),
        ("p50 during", f"{canary.p50_ms:.1f} ms"),
    ]
    if state.cutover is not None:
        words = {None: "not tried", True: "answered", False: "failed"}[state.cutover.canary_ok]
        rows += [("Cutover", f"{moment(state.cutover.at)}: {state.cutover.detail}"), ("Searches right after it", words)]
    if canary.last_error:
        rows.append(("Last error", canary.last_error))
    tone: Tone = "bad" if state.failures else "good"
    return Section(title=title, blocks=(Paragraph(text=said, tone=tone), Facts(rows=tuple(rows))))


def _verification(state: RunState) -> Section:
    title = "Is everything there?"
    found = state.verified
    if found is None:
        return Section(title=title, blocks=(Paragraph(text="The run was not verified.", tone="bad"),))
    rows = (
        ("Points on the old side", f"{found.source_points:,}"),
        ("Points with the new vector", f"{found.target_points:,}"),
        ("Ids compared", f"{found.checked_ids:,}"),
        ("Points embedded anew and compared", f"{found.sampled:,}"),
        ("Lowest cosine among them", "-" if found.worst_cosine is None else f"{found.worst_cosine:.4f}"),
        ("Points without text", f"{found.without_text:,}"),
        ("Points skipped", f"{found.skipped:,}"),
    )
    blocks: list[Block] = [Facts(rows=rows)]
    if found.problems:
        blocks = [Paragraph(text="No. These differences remained:", tone="bad"), Items(lines=found.problems), *blocks]
    else:
        blocks.insert(0, Paragraph(text=f"Yes: everything agreed at {moment(found.at)}.", tone="good"))
    return Section(title=title, blocks=tuple(blocks))


def _quality(state: RunState) -> Section:
    title = "Is search better?"
    quality = state.quality
    if quality is None:
        said = "Not measured: no labelled queries were given, so this run proves completeness, not quality."
        return Section(title=title, blocks=(Paragraph(text=said),))
    tone = TONES[quality.verdict]
    sides = (("old", quality.old), *((way.name, way.scores) for way in quality.variants))
    if not quality.variants:
        sides = (("old", quality.old), ("new", quality.new))
    rows = tuple(
        (score.metric, side, f"{score.mean:.3f}", f"{score.low:.3f} to {score.high:.3f}")
        for side, scores in sides
        for score in scores
    )
    blocks: list[Block] = [Paragraph(text=f"{quality.verdict}: {quality.reason}", tone=tone)]
    if rows:
        blocks.append(Table(head=("Metric", "Side", "Mean", "95 % interval"), rows=rows))
    shown = tuple(
        Bar(label=f"{score.metric}, {side}", mean=score.mean, low=score.low, high=score.high)
        for side, scores in sides
        for score in scores
        if score.metric.lower().startswith("ndcg")
    )
    if shown:
        blocks.append(Bars(bars=shown, caption="Means with their 95 % bootstrap intervals"))
    facts = [("Labelled queries", f"{quality.queries:,}")]
    if quality.difference is not None:
        d = quality.difference
        facts.append((f"{d.metric}, new minus old", f"{d.mean:+.3f} (95 %: {d.low:+.3f} to {d.high:+.3f})"))
    if quality.overlap is not None:
        facts.append(("Overlap of the two top tens (decides nothing)", f"{quality.overlap:.0%}"))
    if quality.ann_recall is not None:
        facts.append(("Approximate against exact search, new vector", f"{quality.ann_recall:.3f}"))
    return Section(title=title, blocks=(*blocks, Facts(rows=tuple(facts))))


def _preferred(votes: Tally) -> Section:
    """Numbers only: the queries may be nobody else's business."""
    count = votes.judged + votes.skip
    of = f"{count:,} {'query' if count == 1 else 'queries'}"
    said = f"People looked at the old and the new list of {of} and said which one is better."
    rows = [(WORDS[choice].capitalize(), f"{getattr(votes, choice):,}") for choice in ("new", "old", "same", "skip")]
    if (share := votes.share()) is not None:
        mean, low, high = share
        rows.append(("New, where one was better", f"{mean:.0%} (95 % interval: {low:.0%} to {high:.0%})"))
    return Section(title="Which did people prefer?", blocks=(Paragraph(text=said), Facts(rows=tuple(rows))))


def _timeline(plan: Plan, state: RunState, events: Sequence[ev.Event]) -> Section:
    rows = tuple(
        (
            step.title,
            moment(step.started_at) if step.started_at else step.status,
            duration(step.ended_at - step.started_at) if step.started_at and step.ended_at else "",
            step.detail or step.note,
        )
        for step in state.steps
    )
    blocks: list[Block] = [Table(head=("Step", "Started", "Took", "Result"), rows=rows)]
    rates = load_rates(plan, events)
    if rates:
        caption = f"Points per second of the load: mean {sum(rates) / len(rates):,.0f}, highest {max(rates):,.0f}"
        blocks.append(Line(values=averaged(rates, RATE_POINTS), caption=caption))
    peak = max((event.rss_bytes for event in events if isinstance(event, ev.Metrics)), default=0)
    if peak:
        blocks.append(Paragraph(text=f"The engine used {size(peak)} of memory at most."))
    return Section(title="Timeline", blocks=tuple(blocks))


def load_rates(plan: Plan, events: Sequence[ev.Event]) -> tuple[float, ...]:
    """Points per second, a value a second, while a load step ran."""
    loads = {step.id for step in plan.steps if isinstance(step, Load)}
    rates: list[float] = []
    running = ""
    for event in events:
        if isinstance(event, ev.StepStarted):
            running = event.step
        elif isinstance(event, ev.Metrics) and running in loads:
            rates.append(event.points_per_s)
    return tuple(rates)


def averaged(values: Sequence[float], most: int) -> tuple[float, ...]:
    """At most `most` means of neighbours, in order; every value is in one of them."""
    if len(values) <= most:
        return tuple(values)
    edges = [round(number * len(values) / most) for number in range(most + 1)]
    return tuple(sum(values[a:b]) / (b - a) for a, b in pairwise(edges))


def _differences(state: RunState, events: Sequence[ev.Event]) -> Section:
    passes = [event for event in events if isinstance(event, ev.Differences)]
    found = [event for event in passes if event.total or event.conflicts]
    titles = {step.id: step.title for step in state.steps}
    rows = tuple(
        (
            titles.get(event.step, event.step),
            *(
                f"{count:,}"
                for count in (
                    event.number,
                    event.new,
                    event.edited,
                    event.payload,
                    event.deleted,
                    event.missing,
                    event.conflicts,
                )
            ),
        )
        for event in found[-ROWS:]
    )
    said = (
        f"{plural(len(passes), 'comparison')} of both sides, {len(found):,} of them with differences: what the "
        "application wrote meanwhile, brought over by the engine."
        if passes
        else "Both sides were not compared."
    )
    blocks: list[Block] = [Paragraph(text=said)]
    if rows:
        head = ("Step", "Pass", "New", "Edited", "Payload", "Deleted", "Without vector", "Conflicts")
        blocks.append(Table(head=head, rows=rows))
    if len(found) > ROWS:
        blocks.append(Paragraph(text=f"The last {ROWS} of {len(found):,} are shown; all are in the journal."))
    return Section(title="What changed meanwhile", blocks=tuple(blocks))


def _left_out(state: RunState, events: Sequence[ev.Event]) -> Section:
    last = {event.id: event for event in events if isinstance(event, ev.Skipped | ev.Settled)}
    skipped = [event for event in last.values() if isinstance(event, ev.Skipped)]
    blocks: list[Block] = []
    if skipped:
        blocks.append(Paragraph(text=f"{plural(len(skipped), 'point')} skipped, with the reason.", tone="bad"))
        rows = tuple((str(event.id), event.reason) for event in skipped[:ROWS])
        blocks.append(Table(head=("Point", "Reason"), rows=rows))
        if len(skipped) > ROWS:
            blocks.append(Paragraph(text=f"and {len(skipped) - ROWS:,} more; all are in the journal."))
    if state.conflicts:
        words = f"{plural(len(state.conflicts), 'point')} changed on both sides around the cutover; one side was kept."
        blocks.append(Paragraph(text=words))
        conflicts = tuple((str(event.id), event.kept, event.reason) for event in state.conflicts[:ROWS])
        blocks.append(Table(head=("Point", "Kept", "Reason"), rows=conflicts))
    if not blocks:
        blocks.append(Paragraph(text="No point was skipped, and no point was changed on both sides.", tone="good"))
    return Section(title="Skipped points and conflicts", blocks=tuple(blocks))


def _people(state: RunState, events: Sequence[ev.Event], plan: Plan, accepted: Sequence[str]) -> Section:
    blocks: list[Block] = []
    rows = tuple(
        (f.code, f.severity, f.title, "accepted" if f.code in accepted else "to be accepted" if f.acknowledge else "")
        for f in plan.findings
        if f.severity != "info" or f.acknowledge
    )
    if rows:
        blocks.append(Table(head=("Finding", "Severity", "What it says", ""), rows=rows))
    asked = [event for event in events if isinstance(event, ev.Controlled)]
    if asked:
        requests = tuple(
            (
                moment(event.at),
                event.verb + ("" if event.value is None else f" {event.value}"),
                f"refused: {event.refused}" if event.refused else "taken up",
            )
            for event in asked[-ROWS:]
        )
        blocks.append(Table(head=("When", "Request", "Answer"), rows=requests))
    else:
        blocks.append(Paragraph(text="Nobody asked the running engine for anything."))
    return Section(title="What people accepted and asked for", blocks=tuple(blocks))


def _versions(plan: Plan, state: RunState, events: Sequence[ev.Event]) -> Section:
    engines = [event for event in events if isinstance(event, ev.EngineStarted)]
    rows = (
        ("Changeover", ", ".join(dict.fromkeys([plan.changeover, *(event.version for event in engines)]))),
        ("Qdrant", ", ".join(dict.fromkeys(event.server for event in engines)) or plan.fingerprint.version),
        ("Plan", f"{plan.id}, written {plan.created_at}"),
        ("SHA-256 of the plan", plan.hash),
        ("Engine processes", f"{state.engines:,}" + (" (the run was resumed)" if state.engines > 1 else "")),
        ("Warnings and errors in the journal", f"{state.warnings:,} and {state.errors:,}"),
    )
    return Section(title="Versions", blocks=(Facts(rows=rows),))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
