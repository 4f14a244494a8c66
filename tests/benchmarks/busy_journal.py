"""A run whose journal grows by a steady number of events a second, written by a process that holds the run's lock."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from changeover.engine import events as ev
from changeover.engine.folder import RunFolder
from changeover.engine.lock import RunLock
from tests.ui import fakes, stories

BURST_S = 0.05
TOTAL = 40_000_000


def new_run(folder: Path) -> RunFolder:
    """A run that has just begun its load."""
    run = RunFolder.create(fakes.plan(), {}, folder / "busy")
    stories.Story(run).loading(points=1, seconds=1)
    return run


def events() -> Iterator[ev.Event]:
    """Endlessly: of ten events four say how far it is, three are checkpoints, the others rates, searches and the log."""
    for number in itertools.count(1):
        at, points = time.time(), number * 256
        match number % 10:
            case 0:
                lanes = tuple(
                    ev.Stream(n, f"writes {n * 64} points", n, None, points // n, 997.5) for n in (1, 2, 3, 4)
                )
                yield ev.Metrics(
                    at=at,
                    points=points,
                    points_per_s=4000.0 + number % 997,
                    embed_busy=0.9 + number % 7 / 100,
                    write_busy=0.4 + number % 11 / 100,
                    batch=256,
                    streams=4,
                    lanes=lanes,
                    throttle="slowed: search p95 31 ms > 24 ms (2x baseline)" if number % 40_000 < 20_000 else "",
                )
            case 1:
                p95 = 11.0 + number % 13
                yield ev.Canary(at=at, searches=number, failures=0, p50_ms=p95 / 2, p95_ms=p95, baseline_p95_ms=12.0)
            case 2:
                level: ev.Level = "warning" if number % 100 == 2 else "info"
                yield ev.Log(at=at, level=level, text=f"line {number}: something that is worth a line in the log")
            case 3 | 4 | 5:
                yield ev.SliceAcked(at=at, step="load", slice=number % 200, position=points, points=points // 200)
            case _:
                yield ev.Progress(at=at, step="load", done=points, total=TOTAL, note=f"slice {number % 200} of 200")


def write(run: RunFolder, per_s: int, seconds: float) -> None:
    """Append so many events a second, in bursts, and end."""
    lock = RunLock(run.lock)
    lock.acquire()
    begun, written, source = time.monotonic(), 0, events()
    with run.journal.open("ab", buffering=0) as out:
        while (passed := time.monotonic() - begun) < seconds:
            due = int(passed * per_s) - written
            out.write(b"".join(ev.encode(event) + b"\n" for event in itertools.islice(source, due)))
            written += due
            time.sleep(BURST_S)
    lock.release()


if __name__ == "__main__":
    write(RunFolder(Path(sys.argv[1])), int(sys.argv[2]), float(sys.argv[3]))
