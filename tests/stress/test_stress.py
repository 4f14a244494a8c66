"""Every route under stress on the sandbox; `python -m tests.stress` soaks for as long as you say, on any server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine import live
from tests.stress.run import ROUTES, stress
from tests.stress.served import Sandbox

pytestmark = pytest.mark.slow

ON = {"blue-green": "1.17", "side-by-side": "1.17", "hybrid": "1.19"}
"""Generation that a route is stressed on; 1.18 for the others."""
SHORT = ("in-place", "blue-green")
"""Stressed in each run of the tests; the others in the long one, by the soak and on real servers."""
SECONDS = 7.0


@pytest.mark.parametrize(
    "route", [pytest.param(route, marks=() if route in SHORT else pytest.mark.long) for route in ROUTES]
)
def test_nothing_is_lost_under_stress(route: str, tmp_path: Path) -> None:
    environ = live.environ_for(tmp_path / "runs")
    with Sandbox(ON.get(route, "1.18"), tmp_path / "server") as server:
        seed = sum(map(ord, route))
        found = stress(server.url, "stressed", route, environ, seconds=SECONDS, seed=seed, served=server)
    assert found["engines"] > 1 and found["faults"] and found["writes"] > 50 and found["did"]["server killed"]
