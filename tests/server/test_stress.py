"""The stress of tests/stress on real servers: each route that the version is open for."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from changeover.cluster.capabilities import supports
from tests.engine import live
from tests.server.conftest import Server
from tests.stress.run import ROUTES, stress

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("route", ROUTES)
def test_nothing_is_lost_under_stress(server: Server, route: str, tmp_path: Path) -> None:
    if not server.real:
        pytest.skip("the sandbox has its own test of this")
    if ROUTES[route].in_place and not supports("add_vector_safe", httpx.get(server.url).json()["version"]):
        pytest.skip("vectors cannot be added on this version")
    name = f"changeover_test_stress_{os.environ.get('PYTEST_XDIST_WORKER', 'one')}"
    environ = live.environ_for(tmp_path / "runs")
    found = stress(server.url, name, route, environ, seconds=10.0, seed=sum(map(ord, route)))
    assert found["engines"] > 1 and found["faults"] and found["writes"] > 50
