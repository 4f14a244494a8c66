"""`runs` and `watch`: the runs on this machine, and one of them as it goes on."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import msgspec

from changeover.errors import ChangeoverError, ExitCode
from changeover_tui.verbs.common import out, out_bytes, say, wants_screens

if TYPE_CHECKING:
    from changeover.engine.folder import RunFolder
    from changeover.engine.state import RunState


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One run in the list; `age_s` is since its first event, or None before one."""

    name: str
    route: str
    collection: str
    state: str
    progress: str
    age_s: float | None
    path: str


def run(options: argparse.Namespace, environ: dict[str, str]) -> int:
    """List, or watch."""
    return _watch(options, environ) if options.verb == "watch" else _list(options, environ)


def _list(options: argparse.Namespace, environ: dict[str, str]) -> int:
    from changeover.engine.folder import runs
    from changeover.words import duration
    from changeover_tui.verbs.inspect import table

    rows = []
    for folder in runs(environ):
        try:
            rows.append(row_of(folder))
        except (ChangeoverError, OSError, KeyError) as error:
            say(f"{folder.path}: cannot be read: {error}")
    if options.json:
        out_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=2))
        return int(ExitCode.DONE)
    if not rows:
        say("there are no runs on this machine yet; `changeover` or `changeover apply` starts one")
    head = ("run", "route", "collection", "state", "progress", "age")
    for line in table(
        head,
        [
            (r.name, r.route, r.collection, r.state, r.progress, "" if r.age_s is None else duration(r.age_s))
            for r in rows
        ],
    ):
        out(line)
    return int(ExitCode.DONE)


def row_of(folder: RunFolder) -> Row:
    """A run as its journal tells it now."""
    from changeover.plan.text import purpose

    plan, state = folder.plan(), folder.state()
    return Row(
        name=folder.name,
        route=purpose(plan).partition(" of ")[0],
        collection=plan.job.name_in_use,
        state=standing(folder, state),
        progress=_progress(state),
        age_s=None if state.started_at is None else max(0.0, time.time() - state.started_at),
        path=str(folder.path),
    )


def standing(folder: RunFolder, state: RunState) -> str:
    """finished, running, paused, ready, stopped, or interrupted: an engine that died without a word."""
    from changeover.engine.launch import running_pid

    if state.status == "finished":
        return "finished"
    if running_pid(folder) is not None:
        return state.status if state.status in ("paused", "ready") else "running"
    return "stopped" if state.status in ("stopped", "new") else "interrupted"


def _progress(state: RunState) -> str:
    done = sum(step.status == "done" for step in state.steps)
    words = f"{done} of {len(state.steps)} steps"
    step = state.current
    if step is not None and step.total:
        words += f", {step.title} {min(1.0, step.done / step.total):.0%}"
    return words


def _watch(options: argparse.Namespace, environ: dict[str, str]) -> int:
    from changeover.engine.folder import find

    folder = find(options.name, environ)
    folder.plan()
    if wants_screens(options, environ):
        from changeover_tui.app import run_wizard

        return run_wizard(None, environ, start="watch", run=folder, read_only=options.read_only, replay=options.replay)
    from changeover_tui.plain import attend, follow
    from changeover_tui.runner import writable

    if options.replay:
        return follow.retell(folder, out)
    if options.read_only or not writable(folder):
        why = "" if options.read_only else ": the run's folder cannot be written by you"
        say(f"read-only{why}; nothing is asked for from here")
        return attend.attend(folder, say, watches=True)
    return attend.attend(folder, say, on_ready=attend.tell_how(folder, say))
