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

from tests.engine import live
from tests.stress.run import ROUTES, closed, stress
from tests.stress.served import Command, Sandbox, Served


@contextmanager
def server(url: str, command: str, generation: str, folder: Path) -> Iterator[tuple[str, Served | None]]:
    """The server given, or the one that a command starts, else a sandbox; only the last two are killed."""
    if url and not command:
        yield url, None
        return
    served = Command(command, url) if command else Sandbox(generation, folder / "server")
    try:
        yield served.url, served
    finally:
        served.close()


def main() -> int:
    """0 when nothing was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--url", default="", help="a real server; the sandbox when left out")
    parser.add_argument("--serve", default="", help="a command that starts the server at --url, which is killed then")
    parser.add_argument("--dead", type=float, default=10.0, help="most seconds that a killed server stays away")
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
            with (
                tempfile.TemporaryDirectory() as folder,
                server(options.url, options.serve, options.generation, Path(folder)) as (url, served),
            ):
                version = httpx.get(url).json()["version"]
                if closed(route, version):
                    continue
                environ = live.environ_for(Path(folder) / "runs")
                begun = time.monotonic()
                try:
                    found = stress(
                        url,
                        f"soak_{seed}",
                        route,
                        environ,
                        seconds=options.seconds,
                        seed=seed,
                        points=options.points,
                        served=served,
                        dead_s=options.dead,
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
