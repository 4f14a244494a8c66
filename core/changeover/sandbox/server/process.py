"""The sandbox as a child process."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from changeover.errors import UnreachableError, UsageError
from changeover.sandbox.server import generations

READY_S = 60.0
STOP_S = 10.0
KEY_ENV = "CHANGEOVER_SANDBOX_API_KEY"
READ_ONLY_KEY_ENV = "CHANGEOVER_SANDBOX_READ_ONLY_KEY"


class SandboxServer:
    """A running sandbox; leaving the `with` block stops it. A folder of its own is removed, a given one is kept."""

    def __init__(
        self, process: subprocess.Popen[bytes], url: str, own: tempfile.TemporaryDirectory[str] | None
    ) -> None:
        self._process = process
        self._own = own
        self.url = url

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def faults(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """Put fault rules in force in place of the former ones (see `faults.Rule`); none clears them."""
        self._ask("PUT", "/sandbox/faults", {"rules": [dict(rule) for rule in rules]})

    def settings(self, *, optimised_from: int | None = None, quiet_s: float | None = None) -> None:
        """Set from how many points on a collection's points count as optimised (0: at once), and how many seconds
        after the last write the optimiser starts; what is omitted gets its default back (1,000 points, 0.3 s).
        """
        given = {"optimised_from": optimised_from, "quiet_s": quiet_s}
        self._ask("PUT", "/sandbox/settings", {name: value for name, value in given.items() if value is not None})

    def latency(self, search_ms: float) -> None:
        """Delay the answer to every search by so many milliseconds; 0 ends it."""
        self._ask("PUT", "/sandbox/latency", {"search_ms": search_ms})

    def stats(self) -> dict[str, Any]:
        """Counts so far: total, requests by call, statuses, faults by kind."""
        found: dict[str, Any] = self._ask("GET", "/sandbox/stats", None)
        return found

    def stop(self) -> None:
        """Ask the server to stop, wait for it, and kill it if it does not."""
        if self.running():
            self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._end()

    def kill(self) -> None:
        """Kill the server (SIGKILL); a given folder can be started again and has everything that was acknowledged."""
        self._process.kill()
        self._end()

    def __enter__(self) -> SandboxServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _end(self) -> None:
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        if self._own is not None:
            self._own.cleanup()

    def _ask(self, method: str, path: str, body: Any) -> Any:
        try:
            response = httpx.request(method, self.url + path, json=body, timeout=10.0, trust_env=False)
        except httpx.TransportError as error:
            raise UnreachableError(f"The sandbox at {self.url} does not answer: {type(error).__name__}.") from error
        if not response.is_success:
            raise UsageError(f"The sandbox refused {method} {path}: {' '.join(response.text.split())[:200]}")
        return response.json()


def start(
    generation: str,
    data_dir: Path | None = None,
    *,
    api_key: str | None = None,
    read_only_key: str | None = None,
    port: int = 0,
    inference: bool = False,
) -> SandboxServer:
    """Start a sandbox of a generation ("1.17" to "1.20") and wait until it answers; with `inference` it embeds texts.

    It stops with this process, whatever happens to it. What it says about itself goes to server.log in its folder.
    Raises UsageError for an unknown generation, UnreachableError when it does not start.
    """
    generations.generation(generation)
    own = tempfile.TemporaryDirectory(prefix="changeover-sandbox-") if data_dir is None else None
    folder = Path(own.name) if own is not None else data_dir
    assert folder is not None
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--generation", generation, "--port", str(port), "--data", str(folder), "--parent-pid", str(os.getpid())]
    options += ["--inference"] if inference else []
    environment = dict(os.environ)
    for flag, variable, key in (
        ("--api-key-env", KEY_ENV, api_key),
        ("--read-only-key-env", READ_ONLY_KEY_ENV, read_only_key),
    ):
        if key:
            options += [flag, variable]
            environment[variable] = key
    log = folder / "server.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "changeover.sandbox.server", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            # Ctrl+C in the terminal is for the wizard; it decides what becomes of its sandbox.
            start_new_session=True,
        )
    try:
        return SandboxServer(process, _url(process, log), own)
    except UnreachableError:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        if own is not None:
            own.cleanup()
        raise


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address in the first line that the server prints."""
    assert process.stdout is not None
    deadline = time.monotonic() + READY_S
    ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
    line = process.stdout.readline() if ready else b""
    try:
        url = json.loads(line)["url"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        said = log.read_text(errors="replace").strip().splitlines()
        reason = said[-1] if said else f"no answer within {READY_S:.0f} s"
        raise UnreachableError(f"The sandbox did not start: {reason}") from error
    return str(url)
