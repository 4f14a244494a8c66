"""Sections of the report that differ by route: computed vectors, storage, the application, the way back. Pure."""

from __future__ import annotations

from changeover.engine.state import RunState
from changeover.plan.model import DropCollection, DropVector, FromVector, Plan, ReplaceByAlias
from changeover.plan.text import BRIDGE
from changeover.report.model import Block, Code, Facts, Items, Paragraph, Section, Table


def computed(plan: Plan, state: RunState) -> tuple[Section, ...]:
    """How the matrix was fitted and, for a map, what it is worth; () on routes without one."""
    fitted = state.matrix
    if fitted is None:
        return ()
    rows = [
        ("Method", fitted.method),
        ("Fitted on", f"{fitted.sampled:,} points"),
        ("File", "matrix.npz in the run folder; the application needs it where its queries are cut too"),
        ("SHA-256", fitted.digest),
    ]
    blocks: list[Block] = [Facts(rows=tuple(rows))]
    if plan.job.bridge:
        blocks.insert(0, Paragraph(text=BRIDGE))
    trial = fitted.trial
    if trial is not None:
        sides = (("old", trial.old), ("mapped", trial.mapped), ("new", trial.new), ("gain recovered", trial.gain))
        table = tuple((n, f"{s.mean:.3f}", f"{s.low:.3f} to {s.high:.3f}") for n, s in sides if s is not None)
        if table:
            blocks.append(Table(head=("Side", "nDCG@10", "95 % interval"), rows=table))
        blocks.append(
            Paragraph(text=f"On {trial.queries:,} queries and {trial.points:,} points that the map has not seen.")
        )
    return (Section(title="How the new vectors were computed", blocks=tuple(blocks)),)


def storage(plan: Plan, state: RunState) -> tuple[Section, ...]:
    """Recall and latency before and after a change of the storage; () on other routes."""
    if not state.storage:
        return ()
    rows = []
    for found in state.storage:
        when = "after" if found.after else "before"
        rows.append((when, "none given", f"{found.default_recall:.3f}", f"{found.p50_ms:.1f} ms"))
        for setting in found.settings:
            over = f", oversampling {setting.oversampling:g}" if setting.oversampling else ""
            rows.append((when, f"rescore {str(setting.rescore).lower()}{over}", f"{setting.recall:.3f}", ""))
    head = ("When", "Search parameters", "Recall@10 against exact", "Median latency")
    said = "Approximate against exact search on the collection itself, asked with its own stored vectors."
    return (
        Section(
            title="What the change costs and gains", blocks=(Paragraph(text=said), Table(head=head, rows=tuple(rows)))
        ),
    )


def application(plan: Plan) -> Section:
    """The diff of the application's call."""
    job = plan.job
    if plan.follows:
        said = "The call that goes with what serves now:"
    elif job.model is not None:
        said = "The application has to embed its queries with the new model, in the way the new vectors were made:"
    elif any(isinstance(make, FromVector) for make in job.makes):
        said = "The application has to cut its queries in the way the stored vectors were cut:"
    else:
        said = "The model of the queries stays; the call changes like this:"
    return Section(title="What the application must change", blocks=(Paragraph(text=said), Code(text=plan.application)))


def afterwards(plan: Plan, state: RunState) -> Section:
    """The way back, and what is left to clean up."""
    return Section(title="Going back, and cleaning up", blocks=(Items(lines=_lines(plan, state)),))


def named(vector: str) -> str:
    """A vector in words."""
    return f"vector {vector}" if vector else "the unnamed vector"


def _lines(plan: Plan, state: RunState) -> tuple[str, ...]:
    job = plan.job
    if not job.makes and job.mode == "in-place":
        return ("Nothing was written to the points. The plan holds the request that brings the former state back.",)
    if any(isinstance(step, ReplaceByAlias) for step in plan.steps) and state.cutover:
        return (f"{job.source} was removed; the snapshot that was taken before can be recovered under another name.",)
    if plan.follows:
        return _followed(plan, state)
    back, rest = _blue_green(plan) if job.mode == "blue-green" else _in_place(plan)
    if not state.cutover:
        return (f"Nothing was cut over: {job.source} serves as before.", rest)
    bridge = ("Re-embed when you can: the vectors are approximations until then.",) if job.bridge else ()
    return (back, rest, *bridge)


def _followed(plan: Plan, state: RunState) -> tuple[str, ...]:
    job = plan.job
    if any(isinstance(step, DropCollection | DropVector) for step in plan.steps):
        return ("What was removed is gone; a snapshot that was taken before can be recovered under another name.",)
    if not state.cutover:
        return (f"Nothing was brought back: {named(job.source_vector)} of {job.source} goes on serving.",)
    kept = f"{job.source} is kept as it is." if job.mode == "blue-green" else f"{named(job.source_vector)} is kept."
    return (f"{plan.follows} was taken back. {kept} To try again, make a new plan.",)


def _blue_green(plan: Plan) -> tuple[str, str]:
    job = plan.job
    return (
        f"To go back: changeover rollback {plan.id}. It brings what was written to {job.target} since the cutover to"
        f" {job.source}, then points the alias at it.",
        f"{job.source} is kept; it holds disk and memory. When nobody needs it any more: changeover cleanup {plan.id}.",
    )


def _in_place(plan: Plan) -> tuple[str, str]:
    job = plan.job
    if job.make(job.target_vector) is None:
        return (
            "To go back, let the application search the dense vector alone again; it was not touched.",
            "The new sparse vector holds disk and memory until it is removed.",
        )
    return (
        f"To go back: changeover rollback {plan.id}. It fills {named(job.source_vector)} for points written since the"
        " cutover, with the old model; then the application searches it again.",
        f"{named(job.source_vector)} is kept; it holds disk and memory. From 1.19: changeover cleanup {plan.id}.",
    )
