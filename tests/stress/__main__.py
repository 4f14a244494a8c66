"""`python -m tests.stress --minutes 30`: every route in turn with a new seed each, until the time is over or one fails."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from changeover.sandbox.server import start
from tests.engine import live
from tests.stress.run import ROUTES, closed, stress


@contextmanager
def server(url: str, generation: str, folder: Path) -> Iterator[str]:
    """The server given, else a sandbox."""
    if url:
        yield url
        return
    with start(generation, folder / "server") as sandbox:
        yield sandbox.url.rstrip("/")


def main() -> int:
    """0 when nothing was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--url", default="", help="a real server; the sandbox when left out")
    parser.add_argument("--generation", default="1.18")
    parser.add_argument("--route", choices=list(ROUTES), action="append")
    parser.add_argument("--seconds", type=float, default=30.0, help="of chaos, for each run")
    parser.add_argument("--points", type=int, default=300)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    until, seed = time.monotonic() + options.minutes * 60, options.seed
    while True:
        for route in options.route or ROUTES:
            seed += 1
            with tempfile.TemporaryDirectory() as folder, server(options.url, options.generation, Path(folder)) as url:
                version = httpx.get(url).json()["version"]
                if closed(route, version):
                    continue
                environ = live.environ_for(Path(folder) / "runs")
                begun = time.monotonic()
                try:
                    found = stress(
                        url, f"soak_{seed}", route, environ, seconds=options.seconds, seed=seed, points=options.points
                    )
                except AssertionError as error:
                    sys.stdout.write(f"{version} {route} seed {seed}: LOST\n{error}\n")
                    return 1
                sys.stdout.write(f"{version} {route} seed {seed}: {time.monotonic() - begun:.0f} s, {found}\n")
                sys.stdout.flush()
            if time.monotonic() > until:
                return 0


if __name__ == "__main__":
    sys.exit(main())
