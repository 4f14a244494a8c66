"""Servers to test on: the sandbox in three generations, and every real one named in CHANGEOVER_TEST_SERVERS.

CHANGEOVER_TEST_SERVERS="1.18.3=http://127.0.0.1:7333 1.19.0=http://127.0.0.1:7533"; gRPC is tried on the port beside.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from changeover.cluster.capabilities import supports
from changeover.cluster.connect import open_gateway
from changeover.cluster.gateway import QdrantGateway
from changeover.plan.model import Access

SANDBOX = ("1.17", "1.18", "1.19")


def real_servers() -> dict[str, str]:
    """Version -> URL from the environment; {} when none is named."""
    pairs = (entry.split("=", 1) for entry in os.environ.get("CHANGEOVER_TEST_SERVERS", "").split())
    return dict(pairs)


class Server(NamedTuple):
    """One server under test."""

    name: str
    url: str
    real: bool

    @property
    def access(self) -> Access:
        port = int(self.url.rsplit(":", 1)[1].strip("/"))
        return Access(url=self.url, grpc_port=port + 1 if self.real else None)


NAMES = [f"sandbox-{generation}" for generation in SANDBOX] + (
    [f"real-{version}" for version in real_servers()] or ["real"]
)


@pytest.fixture(scope="session", params=NAMES)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Each server in turn."""
    kind, _, version = request.param.partition("-")
    if kind == "real":
        yield _named(version)
        return
    from changeover.sandbox.server import start

    with start(version) as sandbox:
        yield Server(request.param, sandbox.url.rstrip("/"), False)


@pytest.fixture(scope="session", params=list(real_servers()) or [""])
def real_server(request: pytest.FixtureRequest) -> Server:
    """Each real server in turn, for what the sandbox has its own tests of."""
    return _named(request.param)


def _named(version: str) -> Server:
    if not version:
        pytest.skip("no real server: name some in CHANGEOVER_TEST_SERVERS (1.18.3=http://127.0.0.1:6333 ...)")
    return Server(f"real-{version}", real_servers()[version].rstrip("/"), True)


CLOSED = r"vectors cannot be added on [\d.]+ \(from 1\.18\.1 on they can\)"
"""Why a route in place is refused where `adds_vectors` is false."""


def adds_vectors(server: Server) -> bool:
    """Whether vectors may be added to a collection there (from 1.18.1)."""
    return supports("add_vector_safe", httpx.get(server.url).json()["version"])


@pytest.fixture
async def gateway(server: Server) -> AsyncIterator[QdrantGateway]:
    """A gateway to it; collections and aliases that a test makes are deleted by the test's `name` fixture."""
    opened = await open_gateway(server.access, {})
    assert isinstance(opened, QdrantGateway)
    yield opened
    await opened.close()


@pytest.fixture
async def name(gateway: QdrantGateway) -> AsyncIterator[str]:
    """A fresh collection name; it and everything that begins with it is removed afterwards."""
    base = f"changeover_test_{uuid.uuid4().hex[:8]}"
    yield base
    actions: list[Any] = [
        {"delete_alias": {"alias_name": alias}} for alias in await gateway.aliases() if alias.startswith(base)
    ]
    if actions:
        await gateway.send("POST", "/collections/aliases", {"actions": actions})
    for collection in await gateway.collections():
        if collection.startswith(base):
            await gateway.send("DELETE", f"/collections/{collection}")
