"""Takes up people's requests: pause, resume, stop, rate, batch, streams, cutover, when-ready. Each is answered in the journal."""

from __future__ import annotations

import asyncio

from changeover.engine import events as ev
from changeover.engine import left_out, scans
from changeover.engine.context import Context
from changeover.engine.control import Ask, Inbox
from changeover.engine.state import ASKED
from changeover.plan.model import AwaitCutover

POLL_S = 0.25
QUALITY_CODE = "no-go"
"""Accepting this code lets a NO-GO of the run's own comparison pass; no finding before the run has it, so that nobody
overrules the verdict by acknowledging what a sample said."""
ACCEPTED_LATER = (QUALITY_CODE, left_out.CODE, scans.DELETED_CODE)
"""What a person may overrule while the run goes on."""
MOST = {"batch": 4096, "streams": 8, "rate": 1_000_000, "spend": 1_000_000_000}


class Desk:
    """Reads control.jsonl four times a second; `cutover_asked` is what await-cutover looks at."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        answered = frozenset(asked.number for asked in ctx.state.asked)
        # The state remembers the last answers only; what was asked before those is settled.
        seen = min(answered) if len(ctx.state.asked) >= ASKED else 0
        self._inbox = Inbox(ctx.folder.control, seen, answered)
        self.cutover_asked: Ask | None = None

    async def run(self) -> None:
        """Answer requests for ever; cancelled when the engine ends."""
        while True:
            self.look()
            await asyncio.sleep(POLL_S)

    def look(self) -> None:
        """Answer what was asked since the last look, also before this engine started."""
        for asked in self._inbox.read():
            self._take_up(asked)

    def answer(self, asked: Ask, refused: str = "") -> None:
        """Write down that a request was taken up, or why it was not."""
        self._ctx.emit(
            ev.Controlled(
                at=self._ctx.clock(), number=asked.number, verb=asked.verb, value=asked.value, refused=refused
            )
        )

    def _take_up(self, asked: Ask) -> None:
        throttle = self._ctx.throttle
        match asked.verb:
            case "pause":
                throttle.pause()
                self.answer(asked)
                self._ctx.emit(ev.Paused(at=self._ctx.clock(), reason="on request"))
            case "resume":
                throttle.resume()
                self.answer(asked)
                self._ctx.emit(ev.Resumed(at=self._ctx.clock()))
            case "stop" if asked.number <= self._ctx.asked_before:
                self.answer(asked, "it was asked of an engine that is gone")
            case "stop":
                self.answer(asked)
                throttle.stop()
            case "when-ready":
                self.answer(asked, "" if self._can_cut_over() else "this run has no cutover that a person confirms")
            case "accept":
                known = asked.value in ACCEPTED_LATER
                named = " and ".join(ACCEPTED_LATER)
                self.answer(asked, "" if known else f"only {named} can be accepted while a run goes on")
            case "cutover" if throttle.paused:
                self.answer(asked, "the run is paused: let it go on first, so that it catches up")
            case "cutover":
                if not any(s.kind == "await-cutover" and s.status == "running" for s in self._ctx.state.steps):
                    self.answer(asked, "not ready yet: the run waits for the cutover after verification")
                else:
                    self.cutover_asked = asked
            case "rate" | "batch" | "streams" | "spend":
                self._retune(asked)

    def _can_cut_over(self) -> bool:
        return any(isinstance(step, AwaitCutover) and step.mode != "never" for step in self._ctx.plan.steps)

    def _retune(self, asked: Ask) -> None:
        most = MOST[asked.verb]
        least = 0 if asked.verb in ("rate", "spend") else 1
        value = asked.value
        if not isinstance(value, int | float) or not least <= value <= most:
            self.answer(asked, f"{asked.verb} must be a number from {least} to {most:,}")
            return
        if asked.verb == "spend":
            pass  # the journal keeps it: every engine of this run reads it there
        elif asked.verb == "rate":
            self._ctx.throttle.retune(rate=float(value))
        elif asked.verb == "batch":
            self._ctx.throttle.retune(batch=int(value))
        else:
            self._ctx.throttle.retune(streams=int(value))
        self.answer(asked)
