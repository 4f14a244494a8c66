"""Sandbox servers for the tests: one a generation for a module, and a client without proxies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from changeover.sandbox.server import SandboxServer, start

FIXTURES = Path(__file__).parents[1] / "fixtures"
VERSIONS = {"1.17": "1.17.1", "1.18": "1.18.3", "1.19": "1.19.0"}


def client(server: SandboxServer, key: str | None = None) -> httpx.Client:
    """A client of one sandbox."""
    headers = {"api-key": key} if key else {}
    return httpx.Client(base_url=server.url, timeout=20.0, headers=headers, trust_env=False)


@pytest.fixture(scope="module", params=list(VERSIONS))
def each(request: pytest.FixtureRequest) -> Iterator[SandboxServer]:
    """A sandbox of every generation, one after another."""
    with start(request.param) as server:
        yield server


@pytest.fixture(scope="module")
def server18() -> Iterator[SandboxServer]:
    """A sandbox of 1.18."""
    with start("1.18") as server:
        yield server


@pytest.fixture(scope="module")
def server19() -> Iterator[SandboxServer]:
    """A sandbox of 1.19."""
    with start("1.19") as server:
        yield server
