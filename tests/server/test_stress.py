"""The stress of tests/stress on real servers: each route, or the named reason why it is closed there."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from changeover.errors import BlockedError
from tests.engine import live
from tests.server.conftest import CLOSED, Server
from tests.stress.run import ROUTES, closed, stress

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("route", ROUTES)
def test_nothing_is_lost_under_stress(real_server: Server, route: str, tmp_path: Path) -> None:
    name = f"changeover_test_stress_{os.environ.get('PYTEST_XDIST_WORKER', 'one')}"
    environ = live.environ_for(tmp_path / "runs")
    if closed(route, httpx.get(real_server.url).json()["version"]):
        with pytest.raises(BlockedError, match=CLOSED):
            stress(real_server.url, name, route, environ, seconds=10.0, seed=1)
        return
    found = stress(real_server.url, name, route, environ, seconds=10.0, seed=sum(map(ord, route)))
    assert found["engines"] > 1 and found["faults"] and found["writes"] > 50
