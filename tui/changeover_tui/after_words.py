"""Going back and cleaning up in words: what will happen, what it costs, how it can be undone. Pure; no Textual."""

from __future__ import annotations

from typing import NamedTuple

from changeover.afterwards.backs import Window, planned_window
from changeover.afterwards.cleanup import SNAPSHOT
from changeover.afterwards.model import Kind, Proposal
from changeover.engine.state import RunState
from changeover.plan.model import (
    DropCollection,
    DropVector,
    FromText,
    Plan,
    ReplaceByAlias,
    Step,
    SwapAlias,
    Sweep,
    TakeSnapshot,
)
from changeover.plan.text import render
from changeover_tui import plan_words
from changeover_tui.words import ago, duration, plural


class Words(NamedTuple):
    """What a screen about one of them says."""

    heading: str
    explain: str
    ask: str
    """What the typed name does."""


WORDS: dict[Kind, Words] = {
    "back": Words(
        "Go back to the old side?",
        "The old side serves again, with everything that was written since the cutover. Nothing happens before the "
        "name is typed. Then an engine compares both sides and brings over what the old one lacks, while the new side "
        "goes on serving; when every lamp is on it sends the one request shown here, and brings over what came late. "
        "The new side stays as it is.",
        "go back",
    ),
    "storage": Words(
        "Bring the former storage back?",
        "The configuration that the run replaced is sent again, and recall is measured before and after. The vectors "
        "and payloads are not touched. Nothing happens before the name is typed.",
        "bring it back",
    ),
    "cleanup": Words(
        "Remove the old side?",
        "What the new side replaced is removed for good: the old collection, or in place the old vector. Late writes "
        "are brought over before, and the engine looks once more at everything that could still need it. Nothing "
        "happens before the name is typed. There is no way back afterwards but a snapshot.",
        "remove it for good",
    ),
}


def old_side(plan: Plan) -> str:
    """What serves again after going back, or is removed by a cleanup; `plan` is the run's own or its way back's."""
    job = plan.job
    if plan.follows:
        return job.target if job.mode == "blue-green" else f"vector {job.target_vector or '(unnamed)'} of {job.target}"
    return job.source if job.mode == "blue-green" else f"vector {job.source_vector or '(unnamed)'} of {job.source}"


def new_side(plan: Plan) -> str:
    """What serves since the cutover."""
    job = plan.job
    return job.target if job.mode == "blue-green" else f"vector {job.target_vector} of {job.target}"


def what_happens(proposal: Proposal, window: Window | None = None) -> tuple[str, ...]:
    """A sentence or two for each thing, in order."""
    done = proposal.done.plan()
    match proposal.kind:
        case "storage":
            return (
                f"{done.job.source} gets its former configuration back. It goes on serving while the server builds.",
            )
        case "cleanup":
            return _cleanup(done, proposal.plan)
    return _back(done, proposal, window)


def _back(done: Plan, proposal: Proposal, window: Window | None) -> tuple[str, ...]:
    old, new = old_side(done), new_side(done)
    by = next((make for make in proposal.plan.job.makes if isinstance(make, FromText)), None)
    model = proposal.plan.job.model
    embedded = f", its vectors made by {model.label}" if by is not None and model is not None else ""
    if proposal.opened and window is not None and window.alive:
        first = f"{old} has been kept fresh since the cutover: {behind(window)}."
    else:
        first = f"What was written to {new} since the cutover is brought to {old}{embedded}; {new} goes on serving."
    swap = next((step for step in proposal.plan.steps if isinstance(step, SwapAlias)), None)
    if swap is not None:
        second = f"When every lamp is on, one request is sent:\n{plan_words.request(swap.request, between=chr(10))}"
    else:
        second = f"When every lamp is on, your application searches {old} again; nothing is sent for that."
    third = f"Late writes are brought over too. {new} stays as it is: to change again, make a new plan."
    last = "Your application: take the change back, as the plan below shows."
    return first, second, third, last


def _cleanup(done: Plan, plan: Plan) -> tuple[str, ...]:
    old, new = old_side(done), new_side(done)
    snapshot = any(isinstance(step, TakeSnapshot) for step in plan.steps)
    drop = next(step for step in plan.steps if isinstance(step, DropCollection | DropVector))
    said = []
    if done.job.mode == "blue-green":
        taken = SNAPSHOT[:1].upper() + SNAPSHOT[1:]
        said.append(
            f"A snapshot of {old} is taken. {taken}."
            if snapshot
            else f"No snapshot of {old} is taken: nothing will be left of it."
        )
    said += [
        f"Writes that still reached {old} are brought to {new}.",
        f"{old} is REMOVED, for good; there is no going back afterwards:\n{plan_words.request(drop.request)}",
        f"It is kept when {_kept_when(done, drop)}.",
    ]
    return tuple(said)


def _kept_when(done: Plan, drop: Step) -> str:
    if isinstance(drop, DropCollection):
        return f"an alias points to it, {done.job.target} is gone or empty, or points are in it alone"
    return f"{done.job.target_vector} is gone, or points hold the old vector alone"


def without_model(proposal: Proposal) -> str:
    """What going back costs where nobody makes old vectors; "" where somebody does."""
    if proposal.lacking:
        return (
            f"{proposal.lacking}; searches of the old side would not find them. `changeover rollback"
            f" {proposal.done.name} --set old_model.provider=... --set old_model.name=...` gives them one; or go back"
            " without."
        )
    if proposal.counts:
        return (
            "No old model was given, so nobody can make an old vector for a point that was added or got another text"
            " since the cutover. These points are counted first, reading only; if there are any, you are asked again."
        )
    return ""


def plan_lines(plan: Plan) -> tuple[str, ...]:
    """The plan as the verb prints it: sign and title, the detail below, what the application must change."""
    lines = []
    for line in render(plan):
        lines.append(f"{line.sign} {line.text}")
        lines += [f"    {detail}" for detail in line.detail.splitlines()]
    if plan.application.startswith("nothing"):
        return tuple(lines)
    return (*lines, "", "What the application must change", *plan.application.rstrip("\n").split("\n"))


def behind(window: Window) -> str:
    """How fresh the old side is: what the last pass brought over."""
    if window.behind is None:
        return "no pass so far"
    return (
        "the last pass found no difference"
        if not window.behind
        else (f"the last pass brought {plural(window.behind, 'difference')} over")
    )


def countdown(done: Plan, window: Window, now: float) -> str:
    """The open way back in a line or two: how long, how fresh, what closes it."""
    old = old_side(done)
    if window.asked:
        going = "is on its way" if window.alive else "was confirmed and stopped"
        return f"going back {going}: {window.run}"
    left = "" if window.left_s is None else f" for {duration(max(0.0, window.left_s))}"
    looked = "" if window.looked_at is None else f", {ago(max(0.0, now - window.looked_at))}"
    fresh = (
        f"{old} is kept fresh: {behind(window)}{looked}"
        if window.alive
        else (f"NO ENGINE keeps {old} fresh; `changeover resume {window.run}` does")
    )
    return f"open{left}, then it closes by itself; {fresh}"


def countdown_short(window: Window, now: float) -> str:
    """The open way back in two short lines."""
    if window.asked:
        return f"going back: {'on its way' if window.alive else 'confirmed, and stopped'}"
    left = "" if window.left_s is None else f" for {duration(max(0.0, window.left_s))}"
    looked = "" if window.looked_at is None else f", {ago(max(0.0, now - window.looked_at))}"
    count = "no pass so far" if window.behind is None else f"last pass brought {window.behind:,} over{looked}"
    return f"way back open{left}\n{count if window.alive else 'NO ENGINE keeps the old side fresh'}"


def sweep_found(state: RunState) -> str:
    """What the sweep brought over after the cutover; "" before it ended."""
    step = next((step for step in state.steps if step.kind == "sweep" and step.status == "done"), None)
    return step.detail if step is not None else ""


def offered(plan: Plan, state: RunState) -> bool:
    """Whether a run came so far that going back and cleaning up are worth a look; the look says why not, if not."""
    if plan.follows:
        return False
    changed = any(step.kind == "change-storage" and step.status != "waiting" for step in state.steps)
    return state.cutover is not None or changed


LANGUAGES = {"typescript": "TypeScript", "curl": "curl"}
"""How the languages of a plan's diffs are called, beside Python."""


def cutover_pages(plan: Plan, run: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What a person reads before the cutover, page by page: (title, lines); the diff once for each language."""
    diffs = [("Python", plan.application)]
    diffs += [(title, plan.application_in[name]) for name, title in LANGUAGES.items() if name in plan.application_in]
    if plan.application.startswith("nothing"):
        diffs = [("your application", "It changes nothing: its query call stays as it is.")]
    said = (*plan_words.sent(plan), *_after_cutover(plan), _way_back(plan, run))
    return (("what will be sent, and then", said), *((title, tuple(text.split("\n"))) for title, text in diffs))


def _after_cutover(plan: Plan) -> tuple[str, ...]:
    if plan.follows or not any(isinstance(step, Sweep) for step in plan.steps):
        return ("Then: the engine looks at every lamp once more, sends it, and the run goes on to its end.",)
    old, new = old_side(plan), new_side(plan)
    return (
        f"Then: the engine looks at every lamp once more, and sends it. A sweep brings over what still reached {old};"
        f" where both sides changed, {new} stays as it is and the point is listed as a conflict.",
    )


def _way_back(plan: Plan, run: str) -> str:
    old = old_side(plan)
    if any(isinstance(step, ReplaceByAlias) for step in plan.steps):
        return f"No way back: {plan.job.source} is removed; its snapshot can be recovered under another name."
    if plan.follows:
        return f"To change again: make a new plan; {plan.job.source} stays as it is."
    if plan.job.mode == "in-place" and plan.job.make(plan.job.target_vector) is None:
        return "Going back: the dense vector is not touched; let the application search it alone again."
    window = planned_window(plan)
    makes = plan.job.old_model is not None
    model = f" with the old model {plan.job.old_model.label}" if plan.job.old_model is not None else ""
    if window:
        kept = (
            f"Going back: for {duration(window)} {old} is kept fresh{model}; then it is one request, and loses nothing."
        )
    else:
        kept = (
            f"Going back: g on the run, or `changeover rollback {run}`, first brings what was written since to"
            f" {old}{model}."
        )
    if makes:
        return kept
    return (
        f"{kept} WITHOUT THE OLD MODEL a point that is added or edited after the cutover has no old vector there:"
        " such points are counted and named before anything happens."
    )
