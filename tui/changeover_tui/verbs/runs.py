"""`runs` and `watch`: the runs on this machine, and one of them as it goes on."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import msgspec

from changeover.errors import ExitCode
from changeover.safe_text import clean
from changeover_tui.verbs.common import look, out, out_bytes, say, wants_screens

if TYPE_CHECKING:
    from changeover.afterwards.standing import Seen
    from changeover.engine.state import RunState


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One run in the list; `age_s` is since it began. `state` is a word, `words` say more."""

    name: str
    route: str
    collection: str
    state: str
    words: str
    progress: str
    age_s: float | None
    path: str
    window_s: float | None = None
    """Until the way back closes by itself, where one is open."""


def run(options: argparse.Namespace, environ: dict[str, str]) -> int:
    """List, or watch."""
    return _watch(options, environ) if options.verb == "watch" else _list(options, environ)


def _list(options: argparse.Namespace, environ: dict[str, str]) -> int:
    from changeover.afterwards.standing import Runs
    from changeover.engine.folder import runs_root
    from changeover.words import duration
    from changeover_tui.verbs.inspect import table

    rows = []
    for one in Runs(runs_root(environ)).look():
        if one.broken:
            say(f"{one.folder.path}: cannot be read: {one.broken}")
        else:
            rows.append(row_of(one))
    if options.json:
        out_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=2))
        return int(ExitCode.DONE)
    if not rows:
        say("there are no runs on this machine yet; `changeover` or `changeover apply` starts one")
    head = ("run", "route", "collection", "state", "progress", "age")
    for line in table(
        head,
        [
            (
                r.name,
                r.route,
                r.collection,
                clean(r.words, 60),
                r.progress,
                "" if r.age_s is None else duration(r.age_s),
            )
            for r in rows
        ],
    ):
        out(line)
    return int(ExitCode.DONE)


def row_of(one: Seen) -> Row:
    """A run as its journal tells it now."""
    from changeover.plan.text import purpose

    assert one.plan is not None and one.state is not None and one.standing is not None
    window = one.standing.window
    return Row(
        name=one.folder.name,
        route=purpose(one.plan).partition(" of ")[0],
        collection=one.plan.job.name_in_use,
        state=one.standing.word,
        words=one.standing.words,
        progress=_progress(one.state),
        age_s=one.age_s,
        path=str(one.folder.path),
        window_s=None if window is None else window.left_s,
    )


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
    plan = folder.plan()
    if options.once:
        from changeover.afterwards.standing import at
        from changeover_tui.plain import standing

        where = at(folder).standing
        for line in standing.lines(plan, folder.state(), "" if where is None else where.words):
            out(line)
        return int(ExitCode.DONE)
    if wants_screens(options, environ):
        from changeover_tui.app import run_wizard

        return run_wizard(
            None,
            environ,
            start="watch",
            run=folder,
            read_only=options.read_only,
            replay=options.replay,
            **look(options),
        )
    from changeover_tui.plain import attend, follow
    from changeover_tui.runner import writable

    if options.replay:
        return follow.retell(folder, out)
    if options.read_only or not writable(folder):
        why = "" if options.read_only else ": the run's folder cannot be written by you"
        say(f"read-only{why}; nothing is asked for from here")
        return attend.attend(folder, say, watches=True)
    return attend.attend(folder, say, on_ready=attend.tell_how(folder, say))
