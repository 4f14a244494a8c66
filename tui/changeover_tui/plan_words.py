"""A plan and what came of it in a few words, for the screens and for plain lines. Pure; no Textual."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from changeover.plan.model import (
    AwaitCutover,
    CatchUp,
    ChangeStorage,
    CreateTextIndex,
    DropCollection,
    DropVector,
    FromTerms,
    FromText,
    Load,
    MeasureStorage,
    Plan,
    ReplaceByAlias,
    Request,
    SwapAlias,
    Sweep,
    SwitchApplication,
    TakeSnapshot,
)
from changeover.plan.text import purpose
from changeover_tui.words import duration, one_line, plural

if TYPE_CHECKING:
    from changeover.engine.events import MatrixFitted, StorageMeasured
    from changeover.engine.state import RunState

CUTOVER = {
    "manual": "It stops before the cutover and waits for you there.",
    "when-ready": "It cuts over BY ITSELF as soon as every condition is met, as you answered.",
    "never": "It does not cut over; both sides stay.",
}
BRIDGE = "these vectors approximate the new model's until the collection is re-embedded"
METHODS = {"leading": "the first numbers", "pca": "principal components (PCA)"}


def where(plan: Plan, arrow: str = "->") -> str:
    """From what to what: `docs_v1 -> docs_v2`, `docs_v1, vector text_minilm`, `docs_v1, text index on text`."""
    job = plan.job
    index = next((step for step in plan.steps if isinstance(step, CreateTextIndex)), None)
    if index is not None:
        return f"{job.source}, text index on {index.request.body['field_name']}"
    if job.mode == "blue-green":
        return f"{job.source} {arrow} {job.target}"
    names = " and ".join(make.vector for make in job.makes) or job.target_vector or "the unnamed vector"
    return f"{job.source}, {'vector ' if job.makes or job.target_vector else ''}{names}"


def kind(plan: Plan) -> str:
    """The route, and that it is a bridge where it is one; or way back, or cleanup."""
    return f"{plan.route} (a bridge)" if plan.job.bridge else purpose(plan).partition(" of ")[0]


def cleans_up(plan: Plan) -> bool:
    """Whether the run only removes an old side; it searches nothing, for the application goes on with the new one."""
    return kind(plan) == "cleanup"


def loads(plan: Plan) -> bool:
    """Whether points are written."""
    return any(isinstance(step, Load | CatchUp | Sweep) for step in plan.steps)


def embedder(plan: Plan) -> str:
    """What is busy on this machine beside the writer: a model's embedder, an encoder of terms, or nothing."""
    job = plan.job
    here = job.model is not None and job.model.provider != "qdrant"
    if here and any(isinstance(make, FromText) for make in job.makes):
        return "embedder"
    if any(isinstance(make, FromTerms) and make.encoder.encoder != "server-bm25" for make in job.makes):
        return "encoder"
    return ""


def before(plan: Plan) -> tuple[str, ...]:
    """What starting the engine will do, what serves meanwhile, and how long it takes; a sentence or two each."""
    return (_written(plan), _cutover(plan), _amount(plan))


def _written(plan: Plan) -> str:
    job = plan.job
    if not loads(plan):
        step = plan.steps[0] if isinstance(plan.steps[0], CreateTextIndex) else _change(plan)
        title = step.title[:1].lower() + step.title[1:] if step is not None else "change the configuration"
        return f"The engine will {title} in {job.source}, which goes on serving all the while. No point is written."
    new = " and ".join(make.vector or "(unnamed)" for make in job.makes)
    blue = job.mode == "blue-green"
    place = f"a new collection {job.target}" if blue else f"vector {new} of {job.target}"
    if job.keeps_serving:
        serves = f"; {job.source} goes on" if blue else ", which goes on"
        return f"The engine will write to {place}{serves} serving all the while."
    return (
        f"The engine will write to {place}. YOUR APPLICATION HAS TO BE STOPPED: nothing that it writes meanwhile is"
        " brought over, and nothing proves that searches go on."
    )


def _cutover(plan: Plan) -> str:
    at_any_time = "Pausing, stopping and starting again are possible at any time."
    if not loads(plan):
        if any(isinstance(step, MeasureStorage) and step.least_recall for step in plan.steps):
            return (
                "There is no cutover: searches change as the server builds it. Recall is measured before and after; when"
                " it is too low, the engine brings the former configuration back by itself."
            )
        return "There is no cutover: it can be used as soon as the server has built it."
    step = next((step for step in plan.steps if isinstance(step, AwaitCutover)), None)
    said = CUTOVER[step.mode if step is not None else "never"]
    removal = next((step for step in plan.steps if isinstance(step, ReplaceByAlias)), None)
    if removal is not None:
        said += f" The cutover REMOVES {plan.job.source}, after a snapshot; its name then means {plan.job.target}."
    return f"{said} {at_any_time}"


def _amount(plan: Plan) -> str:
    points = plural(plan.estimate.points, "point")
    if not loads(plan):
        return f"{points} stay as they are; how long the server builds depends on the server."
    money = "" if plan.estimate.money is None else f", about {plan.estimate.money:,.2f} in the currency of your price"
    bridge = f" It is a bridge: {BRIDGE}." if plan.job.bridge else ""
    seconds = plan.estimate.seconds
    took = "a moment" if seconds < 1 else f"about {duration(seconds)}"
    return f"{points}, {took}{money}.{bridge}"


def _change(plan: Plan) -> ChangeStorage | None:
    return next((step for step in plan.steps if isinstance(step, ChangeStorage)), None)


def sent(plan: Plan) -> tuple[str, ...]:
    """What the cutover sends: a sentence, then each request."""
    for step in plan.steps:
        match step:
            case SwapAlias():
                return "One request will be sent:", request(step.request)
            case SwitchApplication():
                said = step.title[:1].lower() + step.title[1:]
                sweep = " The engine then brings over the writes that still came without it."
                late = sweep if plan.job.keeps_serving else ""
                return (f"Nothing is sent to the cluster: {said}.{late}",)
            case ReplaceByAlias():
                return (
                    f"{plan.job.source} is REMOVED after a snapshot, by two requests; searches fail between them:",
                    request(step.remove),
                    request(step.name),
                )
            case _:
                continue
    return ("Nothing is sent: this plan has no cutover.",)


def request(request: Request, between: str = " ") -> str:
    """As it is sent: method, path, then the body."""
    body = "" if request.body is None else f"{between}{msgspec.json.encode(request.body).decode()}"
    return f"{request.method} {request.path}{body}"


def matrix(fitted: MatrixFitted) -> str:
    """How the matrix was fitted and, for a map, what it is worth."""
    if fitted.trial is None:
        return f"{METHODS.get(fitted.method, fitted.method)}, on {plural(fitted.sampled, 'stored vector')}"
    trial = fitted.trial
    sides = (("old", trial.old), ("mapped", trial.mapped), ("new", trial.new))
    scores = ", ".join(f"{name} {score.mean:.3f}" for name, score in sides if score is not None)
    gain = ""
    if trial.gain is not None:
        gain = f"; {trial.gain.mean:.0%} of the gain recovered ({trial.gain.low:.0%} to {trial.gain.high:.0%})"
    words = f"{fitted.method} map from {plural(fitted.sampled, 'pair')}"
    return f"{words}: nDCG@10 {scores}{gain}" if scores else words


def storage(found: StorageMeasured) -> tuple[str, str]:
    """`recall before` and its figures: as searched now, the best search parameters, the latency."""
    best = max(found.settings, key=lambda setting: setting.recall, default=None)
    words = f"recall@10 {found.default_recall:.3f}, {found.p50_ms:.1f} ms"
    if best is not None and best.recall > found.default_recall:
        over = f", oversampling {best.oversampling:g}" if best.oversampling else ""
        words += f"; {best.recall:.3f} with {'rescore' if best.rescore else 'no rescore'}{over}"
    return ("after" if found.after else "before"), words


def verified(plan: Plan, state: RunState) -> str:
    """What was verified, or the problems."""
    seen = state.verified
    assert seen is not None
    if seen.problems:
        return f"NO: {one_line('; '.join(seen.problems))}"
    anew = "embedded" if any(isinstance(make, FromText) for make in plan.job.makes) else "computed"
    cosine = "" if seen.worst_cosine is None else f", worst cosine {seen.worst_cosine:.4f}"
    compared = f", {seen.sampled:,} {anew} anew and compared{cosine}" if seen.sampled else ""
    return f"{plural(seen.checked_ids, 'id')} present{compared}"


def _after_following(plan: Plan, state: RunState) -> str:
    """Of a run that follows another: what stays possible."""
    if any(isinstance(step, DropCollection | DropVector) for step in plan.steps):
        kept = any(isinstance(step, TakeSnapshot) for step in plan.steps)
        return f"none: the old side is removed{'; its snapshot can be recovered under another name' if kept else ''}"
    if state.cutover is None:
        return "nothing was brought back; the new side serves as before"
    return f"make a new plan; {plan.job.source} is kept as it is"


def way_back(plan: Plan, state: RunState, run: str) -> str:
    """How to go back; `run` is the name that `changeover rollback` takes."""
    job = plan.job
    if plan.follows:
        return _after_following(plan, state)
    if not loads(plan):
        if _change(plan) is None:
            return "remove the text index; nothing else was changed"
        changed = any(step.kind == "change-storage" and step.status == "done" for step in state.steps)
        return f"`changeover rollback {run}` brings the former configuration back" if changed else "nothing was changed"
    if state.cutover is None:
        return "nothing was cut over; the old side serves as before"
    for step in plan.steps:
        match step:
            case ReplaceByAlias():
                return f"{job.source} was removed; its snapshot can be recovered under another name"
            case SwapAlias():
                back = f"`changeover rollback {run}` brings what was written since to {job.source}"
                return f"{back} and points alias {step.alias} at it"
            case _:
                continue
    if job.make(job.target_vector) is None:
        return "let the application search the dense vector alone again; it was not touched"
    old = job.source_vector or "(unnamed)"
    return f"let the application search vector {old} again; `changeover rollback {run}` fills it for what came since"
