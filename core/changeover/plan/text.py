"""A plan in words: lines with + ~ -, the exact requests behind them, and the count."""

from __future__ import annotations

from typing import Literal

import msgspec
import orjson

from changeover.plan import model as pm
from changeover.survey.describe import in_bytes
from changeover.words import duration

LEASE = "While the engine works it keeps a lease in the metadata of {name}: PATCH /collections/{name}, every 20 s."
BRIDGE = "A bridge: these vectors approximate the new model's until the collection is re-embedded."

Sign = Literal["+", "~", "-", " "]


class PlanLine(msgspec.Struct, frozen=True, kw_only=True):
    """One step: its sign (+ creates, ~ changes, - removes, blank reads or waits), its title, its detail."""

    sign: Sign
    text: str
    detail: str = ""


def render(plan: pm.Plan) -> tuple[PlanLine, ...]:
    """A line for every step, in order."""
    return tuple(PlanLine(sign=_sign(step), text=step.title, detail=_detail(plan, step)) for step in plan.steps)


def purpose(plan: pm.Plan) -> str:
    """The route, or what a run is for that follows another one."""
    if not plan.follows:
        return plan.route
    removes = any(isinstance(step, pm.DropCollection | pm.DropVector) for step in plan.steps)
    return f"{'cleanup' if removes else 'way back'} of {plan.follows}"


def count_line(plan: pm.Plan) -> str:
    """`Plan: 2 to add, 1 to change, 0 to remove.`"""
    signs = [line.sign for line in render(plan)]
    return f"Plan: {signs.count('+')} to add, {signs.count('~')} to change, {signs.count('-')} to remove."


def estimate_lines(plan: pm.Plan) -> tuple[str, ...]:
    """The estimate, a line each."""
    e = plan.estimate
    if plan.follows:
        return f"{e.points:,} points are compared", e.basis
    if not any(isinstance(step, pm.Load) for step in plan.steps):
        return f"{e.points:,} points stay as they are", f"no load: {e.basis}"
    tokens = f", about {e.tokens:,} tokens" if e.tokens else ""
    lines = [
        f"{e.points:,} points{tokens}",
        f"about {duration(e.seconds)} for the load ({e.basis})",
        f"disk up to {in_bytes(e.disk_bytes)}, memory about {in_bytes(e.memory_bytes)} more",
    ]
    if e.money is not None:
        lines.append(f"about {e.money:,.2f} at the price given per million tokens")
    return tuple(lines)


def as_text(plan: pm.Plan) -> str:
    """The whole plan for a terminal or a file."""
    lines = [f"{purpose(plan)}: {plan.job.source} -> {goal(plan)}", ""]
    if plan.job.bridge:
        lines += [BRIDGE, ""]
    for line in render(plan):
        lines.append(f"  {line.sign} {line.text}")
        lines += [f"      {detail}" for detail in line.detail.splitlines()]
    if (sent := texts_go_to(plan.job)) is not None:
        lines += ["", sent]
    if plan.job.lease:
        lines += ["", LEASE.format(name=plan.job.source)]
    lines += ["", count_line(plan), "", "Estimate", *(f"  {line}" for line in estimate_lines(plan))]
    if plan.findings:
        lines += ["", "Findings"]
        lines += [f"  {f.severity:8} {f.code}: {f.title}" for f in plan.findings]
    lines += ["", "What the application must change", *(f"  {row}" for row in plan.application.splitlines())]
    if plan.application_in:
        lines.append(f"  The same in {' and '.join(plan.application_in)}: `application_in` in the plan file.")
    return "\n".join([*lines, "", f"hash {plan.hash}"]) + "\n"


def texts_go_to(job: pm.Job) -> str | None:
    """Where the texts are sent to be embedded, and with whose key; None when they stay on this machine."""
    model = job.model
    if model is None or model.provider in ("fastembed", "sandbox"):
        return None
    if model.provider == "qdrant":
        return "The texts are embedded by the cluster itself."
    key = f"the key in {model.api_key_env}" if model.api_key_env else "no key"
    return f"The texts are sent to {model.url or model.provider} with {key}."


def makes_line(make: pm.Make, job: pm.Job) -> str:
    """One new vector in words: what it is made from, by what, and its size."""
    if isinstance(make, pm.FromVector):
        how = {"leading": "its first numbers", "pca": "its principal components"}.get(make.method, f"{make.method} map")
        return f"{make.vector or '(unnamed)'}: {how} of {make.source or '(unnamed)'} ({make.dimension} numbers)"
    if isinstance(make, pm.Kept):
        return f"{make.vector or '(unnamed)'}: stays where the text stays; nobody can make it anew"
    if isinstance(make, pm.FromTerms):
        return f"{make.vector}: text {job.template!r} -> {make.encoder.label}, {make.encoder.language} (sparse)"
    model = job.model.label if job.model else "no model"
    many = " per token" if make.multi else ""
    return f"{make.vector or '(unnamed)'}: text {job.template!r} -> {model} ({make.dimension} numbers{many})"


def goal(plan: pm.Plan) -> str:
    """What the plan ends in, in a few words."""
    job = plan.job
    if plan.follows:
        removal = next((s for s in plan.steps if isinstance(s, pm.DropCollection | pm.DropVector)), None)
        old = f"vector {job.target_vector or '(unnamed)'}" if job.mode == "in-place" else job.target
        return removal.title[:1].lower() + removal.title[1:] if removal else f"{old} serves again"
    if not job.makes:
        return plan.steps[0].title if len(plan.steps) == 1 else f"{job.target}, same vectors"
    made = ", ".join(make.vector or "(unnamed)" for make in job.makes)
    return f"new vector {made}" if job.mode == "in-place" else f"{job.target}, new vector {made}"


def _sign(step: pm.Step) -> Sign:
    match step:
        case (
            pm.CreateCollection()
            | pm.CreateShardKeys()
            | pm.CreateIndexes()
            | pm.AddVector()
            | pm.Load()
            | pm.CreateTextIndex()
        ):
            return "+"
        case pm.PatchVector() | pm.PauseIndexing() | pm.RestoreIndexing() | pm.SwapAlias() | pm.WriteMetadata():
            return "~"
        case pm.ChangeStorage():
            return "~"
        case pm.ReplaceByAlias() | pm.DropCollection() | pm.DropVector():
            return "-"
        case _:
            return " "


def _detail(plan: pm.Plan, step: pm.Step) -> str:
    job = plan.job
    match step:
        case pm.CreateShardKeys() | pm.CreateIndexes():
            return "\n".join(_request(request) for request in step.requests)
        case pm.FitMatrix():
            return f"on {step.sample:,} points, kept in the run folder as matrix.npz"
        case pm.Load():
            return "\n".join([_how(job, len(step.slices)), *(makes_line(make, job) for make in job.makes)])
        case pm.CatchUp():
            since = "cutover" if plan.follows else "load"
            made = [makes_line(make, job) for make in job.makes] if plan.follows else []
            return "\n".join([f"up to {step.passes} passes: new, edited and deleted points since the {since}", *made])
        case pm.WaitGreen():
            return f"{step.collection} green and nothing queued, twice in a row"
        case pm.Verify():
            return f"every id; {step.sample} points made anew, cosine at least {step.cosine}"
        case pm.Evaluate():
            return f"queries of {step.queries}" if step.queries else f"queries made from {step.title_field}"
        case pm.MeasureStorage():
            return f"{step.sample} stored vectors asked with, approximate against exact search"
        case pm.ChangeStorage():
            return f"{_request(step.request)}\nthe way back: {_request(step.undo)}"
        case pm.AwaitCutover():
            return {"manual": "a person types the name", "when-ready": "as soon as every lamp is on"}.get(
                step.mode, "no cutover: the run ends here"
            )
        case pm.SwapAlias():
            expected = step.expected or "nothing yet"
            return f"{_request(step.request)}\nonly while {step.alias} points to {expected}"
        case pm.ReplaceByAlias():
            return f"{_request(step.remove)}\n{_request(step.name)}\nonly when verified and nobody writes any more"
        case pm.CountLacking():
            return "reads only; the run ends here unless there are none, or you accepted it"
        case pm.OpenWayBack():
            return f"for {duration(step.window_s)} a run of its own brings what is written to the old side too"
        case pm.DropCollection():
            return f"{_request(step.request)}\nonly while no alias points to it"
        case pm.SwitchApplication():
            return "nothing is sent: deploy the change below"
        case pm.Sweep():
            old, new = ("the old side", "the new side") if plan.job.mode == "in-place" else (job.source, job.target)
            return f"late writes to {old} are brought over; where both sides changed, {new} stays"
        case _:
            return _request(step.request)


def _how(job: pm.Job, slices: int) -> str:
    carried = ", ".join(was if was == name else f"{was or '(unnamed)'} as {name}" for was, name in job.carry.items())
    also = f", carrying {carried or '(unnamed)'} and the payload unchanged" if job.carry else ""
    also = also or (", with the payload unchanged" if job.mode == "blue-green" else "")
    return (
        f"{slices} slices, {job.batch} points per request, {job.streams} streams"
        f"{f', at most {job.rate:,.0f} points/s' if job.rate else ''}{also}"
    )


def _request(request: pm.Request) -> str:
    body = f" {orjson.dumps(request.body).decode()}" if request.body is not None else ""
    return f"{request.method} {request.path}{body}"
