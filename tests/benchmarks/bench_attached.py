"""What an attached screen costs an engine: throughput with and without one, in turns, in one run; reported.

By the clock it is what a person sees, and as noisy as the machine; by the engine's own CPU time it is what the engine
pays. Run it with `python -m tests.benchmarks.bench_attached [ROUNDS] [SECONDS]`.
"""

from __future__ import annotations

import os
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

    def rates(self, seconds: float) -> tuple[float, float]:
        """Points per second, and per second of its CPU time."""
        before = self.reading()
        time.sleep(seconds)
        after = self.reading()
        points = after.points - before.points
        return points / (after.at - before.at), points / (after.cpu_s - before.cpu_s)

    def rates_attached(self, seconds: float) -> tuple[float, float]:
        """The same with a screen on it; its output is read all the while, as a terminal does."""
        command = [sys.executable, "-m", "changeover_tui.cli", "watch", str(self.folder), "--read-only"]
        with Terminal(command, {**os.environ, "TERM": "xterm-256color"}, COLUMNS, ROWS) as terminal:
            terminal.read_until(b"points/s")
            before = self.reading()
            terminal.read_for(seconds)
            after = self.reading()
        points = after.points - before.points
        return points / (after.at - before.at), points / (after.cpu_s - before.cpu_s)


def main() -> None:
    """Print the ratios, attached to alone."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 8.0
    clock, paid = [], []
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(Path(folder))
        try:
            engine.reading()
            for _ in range(rounds):
                before, attached, after = engine.rates(seconds), engine.rates_attached(seconds), engine.rates(seconds)
                alone = [(one + other) / 2 for one, other in zip(before, after, strict=True)]
                clock.append(attached[0] / alone[0])
                paid.append(attached[1] / alone[1])
                print(f"alone {alone[0]:8,.0f} points/s, attached {attached[0]:8,.0f}: {clock[-1]:.3f}", flush=True)
        finally:
            engine.process.kill()
            engine.process.wait()
    for name, ratios in (("by the clock", clock), ("by its CPU time", paid)):
        low, high = min(ratios), max(ratios)
        print(f"{name:16} {statistics.median(ratios):.3f} of the throughput alone (from {low:.3f} to {high:.3f})")
    print(f"budget {1 - BUDGET:.2f}")


if __name__ == "__main__":
    main()
