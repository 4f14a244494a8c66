"""What a bundle holds and what was taken out of it, in lines that a customer reads before sending it. Pure."""

from __future__ import annotations

from changeover.bundle.model import Bundle
from changeover.bundle.offline import moment
from changeover.engine import state as run_state
from changeover.plan.text import purpose
from changeover.safe_text import clean
from changeover.version import __version__
from changeover.words import plural

STAYS = (
    "names of collections, aliases, vectors, payload fields, shard keys and models; ids of points; text templates and"
    " prefixes; the server's configuration; figures"
)
NEVER = "keys"


def lines(bundle: Bundle) -> tuple[tuple[str, str], ...]:
    """(label, value) lines: what it is, what is inside, what was taken out, what stays."""
    rows = [
        ("bundle of", f"{bundle.about}, taken {moment(bundle)}"),
        ("inside", "; ".join(_inside(bundle))),
        ("taken out", "; ".join(f"{part.what} ({part.count:,})" for part in bundle.taken_out) or "nothing"),
        ("let in", ", ".join(bundle.allowed) or "nothing: neither hosts nor payload"),
        ("stays", STAYS),
        ("never", NEVER),
        ("versions", ", ".join(f"{name} {version}" for name, version in bundle.versions.items())),
    ]
    made = bundle.versions.get("changeover", "")
    if made != __version__:
        rows.append(("note", f"made by changeover {made}, opened by {__version__}: a plan from here may not fit there"))
    return tuple((label, clean(value)) for label, value in (*rows, *(("note", note) for note in bundle.notes)))


def _inside(bundle: Bundle) -> list[str]:
    parts = []
    if bundle.survey is not None:
        survey = bundle.survey
        sampled = plural(len(survey.sample), "sampled point")
        parts.append(f"survey of {survey.asked} (Qdrant {survey.cluster.version}, {sampled})")
    parts.append("answers")
    measured = [
        name for name in bundle.probes.__struct_fields__ if name != "quantizations" and getattr(bundle.probes, name)
    ]
    if measured:
        parts.append(f"what was measured ({', '.join(name.replace('_', ' ') for name in measured)})")
    if bundle.plan is not None:
        state = run_state.fold(run_state.begin(bundle.plan), bundle.journal)
        done = sum(step.status == "done" for step in state.steps)
        parts.append(f"plan ({purpose(bundle.plan)}, {done} of {len(state.steps)} steps done)")
        parts.append(f"journal ({plural(len(bundle.journal), 'event')})")
        parts.append(f"engine.log ({plural(len(bundle.engine_log), 'line')})")
    return [*parts, "versions"]
