"""`control`: ask a running engine for something and say what it answered."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from changeover.errors import BlockedError, UsageError
from changeover.safe_text import clean
from changeover_tui.verbs.common import say

if TYPE_CHECKING:
    from changeover.engine.control import Verb
    from changeover.engine.events import Controlled
    from changeover.engine.folder import RunFolder

NUMBERS: dict[str, tuple[int, int, str]] = {
    "rate": (0, 1_000_000, "points per second, 0 for no limit"),
    "batch": (1, 4_096, "points per request"),
    "streams": (1, 8, "requests at once"),
    "spend": (0, 1_000_000_000, "money at most, in the currency of the model's price"),
}
"""Request -> least, most, what the number is."""
CUTOVERS = ("cutover", "when-ready")
"""Requests that a typed name confirms."""
ANSWER_S = 20.0
"""How long an engine may take to answer; it looks four times a second, but may be in a long request."""


def run(options: argparse.Namespace, environ: dict[str, str]) -> int:
    """Append the request and wait for its answer; a refusal is exit code 4."""
    from changeover.engine.control import ask
    from changeover.engine.folder import find
    from changeover.engine.launch import running_pid

    folder = find(options.name, environ)
    plan = folder.plan()
    verb: Verb = options.request
    value = code(options.value) if verb == "accept" else number(verb, options.value)
    if running_pid(folder) is None:
        ended = folder.state().status == "finished"
        hint = "the run is finished" if ended else f"start it with `changeover resume {folder.name}`"
        raise BlockedError(f"{folder.name}: no engine is working on this run; {hint}")
    if verb in CUTOVERS:
        _confirm(options.confirm, confirm_name(folder))
    asked = ask(folder.control, verb, plan.job.name_in_use if verb in CUTOVERS else value)
    answer = wait_for_answer(folder, asked)
    if answer is None:
        say(f"{verb} was asked for; the engine has not answered yet: changeover watch {folder.name}")
        return 0
    if answer.refused:
        raise BlockedError(f"{verb} was refused: {answer.refused}")
    shown = "" if value is None else f" {value}" if isinstance(value, str) else f" {value:g}"
    say(f"{verb}{shown}: taken up")
    return 0


def code(text: str | None) -> str:
    """The code of what is accepted; UsageError without one."""
    if not text:
        raise UsageError("control accept: needs the code of what is accepted, such as no-go")
    return text


def number(verb: str, text: str | None) -> float | int | None:
    """The checked number of a request that takes one; UsageError for anything else."""
    if verb not in NUMBERS:
        if text is not None:
            raise UsageError(f"control {verb}: takes no value")
        return None
    least, most, words = NUMBERS[verb]
    try:
        value = float(text or "")
    except ValueError:
        value = -1.0
    if not least <= value <= most or (verb not in ("rate", "spend") and value != int(value)):
        raise UsageError(f"control {verb}: needs a number from {least} to {most:,} ({words})")
    return value if verb in ("rate", "spend") else int(value)


def confirm_name(folder: RunFolder) -> str:
    """The name that must be typed for the cutover of this run."""
    from changeover.plan.model import AwaitCutover

    plan = folder.plan()
    return next((s.confirm for s in plan.steps if isinstance(s, AwaitCutover)), plan.job.name_in_use)


def wait_for_answer(folder: RunFolder, number: int, patience_s: float = ANSWER_S) -> Controlled | None:
    """The engine's answer to the request of that number; None when it took too long or the engine ended."""
    from changeover.engine.events import Controlled
    from changeover.engine.journal import Tail

    tail = Tail(folder.journal)
    until = time.monotonic() + patience_s
    while True:
        for event in tail.read():
            if isinstance(event, Controlled) and event.number == number:
                return event
        if time.monotonic() >= until:
            return None
        time.sleep(0.1)


def _confirm(given: str | None, name: str) -> None:
    if given is None and sys.stdin.isatty():
        sys.stderr.write(f"Type {clean(name)} to cut over: ")
        sys.stderr.flush()
        given = sys.stdin.readline().strip()
    if given != name:
        wrong = "the cutover needs a confirmation" if given is None else "that is not the name"
        raise UsageError(f"{wrong}: give --confirm {clean(name)}")
