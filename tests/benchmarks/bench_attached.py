"""What an attached screen costs an engine: throughput with and without one, in turns, in one run; reported.

The screen is attached once; in every other turn it is stopped by a signal, so that starting it is not measured. By the
clock is what a person sees, and as noisy as the machine (a process that only sleeps was "attached" at 1.010 +- 0.006);
by the engine's own CPU time is what the engine pays; the screen's own CPU time, as a share of all cores, is the most
that it can take from anybody. Run it with `python -m tests.benchmarks.bench_attached [ROUNDS] [SECONDS]`.
"""

from __future__ import annotations

import itertools
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from changeover.engine import events as ev
from changeover.engine.journal import Tail
from tests.benchmarks.bench_run_screen import COLUMNS, ROWS, cpu_s
from tests.terminal.terminal import Terminal

BUDGET = 0.01
CATCH_UP_S = 1.0
"""After a stop the screen reads what it has missed, which an attached one never has to."""


class Reading(NamedTuple):
    """What an engine had done at a moment."""

    at: float
    points: int
    cpu_s: float


class Engine:
    """An engine process and what its journal says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "attached"
        self.process = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.busy_engine", str(self.folder)])
        self._tail = Tail(self.folder / "journal.jsonl")

    def reading(self) -> Reading:
        """At its next event of the load, which it writes once a second."""
        self._tail.read()
        while True:
            found = [event for event in self._tail.read() if isinstance(event, ev.Metrics)]
            if found:
                return Reading(found[-1].at, found[-1].points, cpu_s(self.process.pid))
            time.sleep(0.01)

    def rates(self, terminal: Terminal, seconds: float) -> tuple[float, float]:
        """Points per second, and per second of its CPU time; the terminal is read meanwhile, as a real one does."""
        before = self.reading()
        terminal.read_for(seconds)
        after = self.reading()
        points = after.points - before.points
        return points / (after.at - before.at), points / (after.cpu_s - before.cpu_s)


def main() -> None:
    """Print the ratios, attached to alone."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 3.0
    alone: list[tuple[float, float]] = []
    attached: list[tuple[float, float]] = []
    used = took = 0.0
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(Path(folder))
        try:
            engine.reading()
            command = [sys.executable, "-m", "changeover_tui.cli", "watch", str(engine.folder), "--read-only"]
            with Terminal(command, {**os.environ, "TERM": "xterm-256color"}, COLUMNS, ROWS) as terminal:
                terminal.read_until(b"points/s")
                for _ in range(rounds):
                    terminal.signal(signal.SIGSTOP)
                    alone.append(engine.rates(terminal, seconds))
                    terminal.signal(signal.SIGCONT)
                    terminal.read_for(CATCH_UP_S)
                    before, begun = cpu_s(terminal.process.pid), time.monotonic()
                    attached.append(engine.rates(terminal, seconds))
                    used += cpu_s(terminal.process.pid) - before
                    took += time.monotonic() - begun
        finally:
            engine.process.kill()
            engine.process.wait()
    for which, name in enumerate(("by the clock", "by its CPU time")):
        # Each turn with a screen against the turns before and after it: what drifts, drifts for both.
        around = [(one[which] + other[which]) / 2 for one, other in itertools.pairwise(alone)]
        ratios = [on[which] / off for on, off in zip(attached, around, strict=False)]
        error = statistics.stdev(ratios) / len(ratios) ** 0.5
        print(f"{name:16} {statistics.mean(ratios):.3f} +- {error:.3f} of the throughput alone")
    cores = os.cpu_count() or 1
    print(f"the screen's own {used / took:.1%} of a core, {used / took / cores:.1%} of all {cores}")
    print(f"alone {statistics.median(rate for rate, _ in alone):,.0f} points/s; budget {1 - BUDGET:.2f}")


if __name__ == "__main__":
    main()
