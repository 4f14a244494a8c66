"""Options of the whole test suite; pytest reads them only from here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["PYTHONPYCACHEPREFIX"] = str(Path(__file__).resolve().parents[1] / ".pytest_cache" / "modules")
"""Engines are started hundreds of times; each would compile every module anew where nothing may be written beside it."""

settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
"""A property is about what holds, not about how long it takes on a busy machine."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--snapshot-update` writes the pictures in snapshots/ anew instead of comparing."""
    parser.addoption("--snapshot-update", action="store_true", help="write the pictures in snapshots/ anew")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each worker begins with its share of the slow tests: they mostly wait, and none of them is left for the end."""
    workers = int(getattr(config, "workerinput", {}).get("workercount", 1))
    slow = [item for item in items if item.get_closest_marker("slow")]
    quick = [item for item in items if not item.get_closest_marker("slow")]
    share = -(-len(quick) // workers)
    items[:] = [
        item
        for worker in range(workers)
        for item in (*slow[worker::workers], *quick[worker * share : (worker + 1) * share])
    ]
