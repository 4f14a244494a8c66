"""What a watched run costs: share of a core, bytes a second to the terminal and repaints, at 120 x 40; reported.

The journal grows by 2,000 events a second. CPU time is the screen's own, so that a busy machine changes little.
Run it with `python -m tests.benchmarks.bench_run_screen [SECONDS]`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks import busy_journal
from tests.terminal.terminal import Terminal

PER_S = 2_000
COLUMNS, ROWS = 120, 40
BUDGET = {"CPU": "15 % of a core", "bytes": "100 KiB/s", "repaints": "4 /s"}
ASKS_FOR_FRAMES, HAS_FRAMES, FRAME = b"\x1b[?2026$p", b"\x1b[?2026;2$y", b"\x1b[?2026h"
"""Told that the terminal knows synchronised output, a screen marks the beginning of each repaint."""
PANES = {"log": b"", "streams": b"2", "errors": b"3"}


def cpu_s(pid: int) -> float:
    """User and system time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def watch(pane: str, seconds: float) -> tuple[float, float, float]:
    """CPU seconds, bytes and repaints, each per second, with that pane shown."""
    with tempfile.TemporaryDirectory() as folder:
        run = busy_journal.new_run(Path(folder))
        writer = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.busy_journal", str(run.path), str(PER_S), str(seconds + 60)]
        )
        environ = {**os.environ, "TERM": "xterm-256color", "CHANGEOVER_RUNS": folder}
        command = [sys.executable, "-m", "changeover_tui.cli", "watch", str(run.path)]
        try:
            with Terminal(command, environ, COLUMNS, ROWS) as terminal:
                terminal.read_until(ASKS_FOR_FRAMES)
                terminal.send(HAS_FRAMES)
                terminal.read_until(b"points/s")
                terminal.send(PANES[pane])
                terminal.read_for(3.0)
                seen, used, begun = len(terminal.seen), cpu_s(terminal.process.pid), time.monotonic()
                terminal.read_for(seconds)
                took = time.monotonic() - begun
                used = cpu_s(terminal.process.pid) - used
                printed = terminal.seen[seen:]
                terminal.send(b"q")
                terminal.wait()
        finally:
            writer.kill()
            writer.wait()
    return used / took, len(printed) / took, printed.count(FRAME) / took


def main() -> None:
    """Print each pane's figures beside the budget."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    print(f"{PER_S:,} events/s, {COLUMNS} x {ROWS}, {seconds:.0f} s; budget: {', '.join(BUDGET.values())}")
    for pane in PANES:
        cpu, sent, repaints = watch(pane, seconds)
        print(f"{pane:8} {cpu:6.1%} of a core   {sent / 1024:6.1f} KiB/s   {repaints:5.1f} repaints/s")


if __name__ == "__main__":
    main()
