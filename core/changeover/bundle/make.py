"""Make a bundle from a walk or from a run: put together, leave out, seal."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec

from changeover import seals
from changeover.bundle.model import Allowed, Bundle, TakenOut
from changeover.bundle.places import LOOPBACK, Places
from changeover.bundle.redact import Redactor, fields_of, names_of, without_keys
from changeover.checks.model import Probes
from changeover.decision.answers import Answers
from changeover.engine import events as ev
from changeover.engine.folder import RunFolder
from changeover.engine.journal import read_all
from changeover.plan.model import Access, Plan
from changeover.safe_text import clean_line
from changeover.survey.model import Survey
from changeover.version import __version__

LIBRARIES = ("qdrant-client", "qdrant-edge-py", "fastembed", "onnxruntime", "numpy", "httpx", "grpcio", "textual")
LOG_LINES = 200
MOST_JOURNAL = 12 * 1024 * 1024
FREQUENT = (ev.Metrics, ev.Progress, ev.Canary, ev.SliceAcked)
"""Events that a long journal can lose most of."""
KEY_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASS", re.IGNORECASE)
LEAST_KEY = 6
"""Characters of a key; a shorter value would blot out words."""


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """Everything as it is, before anything is left out."""

    about: str
    access: Access
    answers: Answers = Answers()
    survey: Survey | None = None
    probes: Probes = Probes()
    plan: Plan | None = None
    accepted: tuple[str, ...] = ()
    engine_log: tuple[str, ...] = ()
    journal: tuple[ev.Event, ...] = ()
    notes: tuple[str, ...] = ()


def of_run(run: RunFolder) -> Contents:
    """What the folder of a run holds; raises UsageError when it is not one."""
    plan = run.plan()
    journal, notes = thinned(read_all(run.journal))
    accepted = run.path / "accepted.txt"
    return Contents(
        about=run.name,
        access=plan.job.access,
        answers=plan.answers,
        plan=plan,
        accepted=tuple(accepted.read_text("utf-8").split()) if accepted.exists() else (),
        engine_log=_tail(run),
        journal=journal,
        notes=notes,
    )


def make(contents: Contents, allowed: frozenset[Allowed], environ: Mapping[str, str]) -> tuple[Bundle, Places]:
    """The sealed bundle, and what has to stay on this machine."""
    places = Places(secrets.token_hex(6))
    survey, plan, answers = contents.survey, contents.plan, contents.answers
    redactor = Redactor(places, allowed, names_of(survey, plan, answers))
    redactor.learn_hosts(_hosts(contents))
    if survey is not None:
        redactor.learn_fields(survey.sample, fields_of(survey, answers))
    parts = redactor.apply(msgspec.structs.replace(contents, about=""))
    bundle = Bundle(
        id=places.bundle,
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
        about=contents.about,
        allowed=tuple(sorted(allowed)),
        versions=versions(),
        **{name: getattr(parts, name) for name in Contents.__struct_fields__ if name != "about"},
    )
    tree, redactor.counts["keys"] = without_keys(msgspec.to_builtins(bundle), _keys(contents, environ))
    bundle = msgspec.convert(tree, Bundle)
    taken = tuple(TakenOut(what=what, count=count) for what, count in sorted(redactor.counts.items()) if count)
    sealed_plan = seals.seal(bundle.plan) if bundle.plan is not None else None
    return seals.seal(msgspec.structs.replace(bundle, plan=sealed_plan, taken_out=taken)), places


def versions() -> dict[str, str]:
    """Of Changeover, Python, the system and the libraries that are here; no name of this machine."""
    found = {
        "changeover": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    for library in LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _hosts(contents: Contents) -> Iterator[tuple[str, str]]:
    """Every host that is known by name, with what it is; the longest first, so that none hides in another."""
    urls = [(contents.access.url, "cluster")]
    answers, survey = contents.answers, contents.survey
    urls += [(model.url, "model") for model in (answers.model, answers.old_model) if model is not None and model.url]
    if survey is not None:
        urls += [(survey.cluster.url, "cluster"), *((peer.uri, "peer") for peer in survey.cluster.peers)]
    named = [(_host(url), kind) for url, kind in urls]
    named += [(event.host, "machine") for event in contents.journal if isinstance(event, ev.EngineStarted)]
    named.append((platform.node(), "machine"))
    return ((host, kind) for host, kind in named if host and host not in LOOPBACK)


def _host(url: str) -> str:
    try:
        return urlsplit(url if "://" in url else f"http://{url}").hostname or ""
    except ValueError:
        return ""


def _keys(contents: Contents, environ: Mapping[str, str]) -> set[str]:
    """Values of the variables that are named as keys, and of those that sound like it."""
    answers, plan = contents.answers, contents.plan
    models = [answers.model, answers.old_model, *((plan.job.model, plan.job.old_model) if plan is not None else ())]
    named = {contents.access.api_key_env, *(model.api_key_env for model in models if model is not None)}
    found = {environ[name].strip() for name in named if name is not None and name in environ}
    found |= {value.strip() for name, value in environ.items() if KEY_NAMES.search(name) and _looks_like_key(value)}
    return {value for value in found if len(value) >= LEAST_KEY}


def _looks_like_key(value: str) -> bool:
    """A variable whose name sounds like a key may hold a plain word, which could be the name of a collection."""
    return len(value) >= 2 * LEAST_KEY and any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def thinned(events: Iterable[ev.Event]) -> tuple[tuple[ev.Event, ...], tuple[str, ...]]:
    """The journal, of a very long run with fewer of its figures; and a note that says so."""
    whole = tuple(events)
    size = sum(len(ev.encode(event)) for event in whole)
    if size <= MOST_JOURNAL:
        return whole, ()
    every = 2 * size // MOST_JOURNAL + 1
    kept = tuple(event for n, event in enumerate(whole) if not isinstance(event, FREQUENT) or n % every == 0)
    return kept, (f"the journal is long: one in {every} of its figures is in here, and every other event",)


def _tail(run: RunFolder) -> tuple[str, ...]:
    try:
        lines = run.log.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ()
    return tuple(map(clean_line, lines[-LOG_LINES:]))
