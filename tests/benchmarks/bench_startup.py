"""Milliseconds to `changeover --version` and to the first frame at 80 x 24; reported, never asserted.

Run it with `python -m tests.benchmarks.bench_startup`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.terminal.terminal import Terminal

ROUNDS = 7
BUDGET_MS = {"--version": 100, "first frame": 500}


def version_ms() -> float:
    """One run of `changeover --version`, from the start of the process to its end."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "changeover_tui.cli", "--version"], check=True, capture_output=True)
    return (time.perf_counter() - begun) * 1000


def first_frame_ms() -> float:
    """From the start of the process until the first screen's first row is on the terminal."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        with Terminal.wizard(Path(folder)) as terminal:
            terminal.read_until(b"Try it on the sandbox")
            took = (time.perf_counter() - begun) * 1000
            terminal.send(b"q")
            terminal.wait()
    return took


def main() -> None:
    """Print best and median of each."""
    for name, measure in (("--version", version_ms), ("first frame", first_frame_ms)):
        taken = [measure() for _ in range(ROUNDS)]
        best, median = min(taken), statistics.median(taken)
        print(f"{name:12} best {best:6.0f} ms   median {median:6.0f} ms   budget {BUDGET_MS[name]} ms")


if __name__ == "__main__":
    main()
