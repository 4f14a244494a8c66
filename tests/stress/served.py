"""A server that can be killed in the middle of its work and started again on what it has on disk."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from changeover.sandbox.server import start

READY_S = 90.0


class Served(Protocol):
    """Where it answers, and its kill -9."""

    url: str

    def killed(self, seconds: float) -> None:
        """Kill it, leave it dead for so long, start it again and wait until it answers."""

    def close(self) -> None:
        """Stop it."""


class Sandbox:
    """The sandbox of a generation, always on the same port and folder."""

    def __init__(self, generation: str, folder: Path) -> None:
        self._generation, self._folder = generation, folder
        self._server = start(generation, folder)
        self.url = self._server.url.rstrip("/")

    def killed(self, seconds: float) -> None:
        self._server.kill()
        time.sleep(seconds)
        self._server = start(self._generation, self._folder, port=urlsplit(self.url).port or 0)

    def close(self) -> None:
        self._server.stop()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Command:
    """A real server that a command starts; it has to answer at `url`."""

    def __init__(self, command: str, url: str) -> None:
        self._command, self.url = command, url
        self._start()

    def killed(self, seconds: float) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        time.sleep(seconds)
        self._start()

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(30)

    def _start(self) -> None:
        self._process = subprocess.Popen(self._command, shell=True, start_new_session=True)
        until = time.monotonic() + READY_S
        while True:
            assert self._process.poll() is None and time.monotonic() < until, "the server does not start"
            try:
                if httpx.get(f"{self.url}/readyz", trust_env=False).is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
