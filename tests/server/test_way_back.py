"""The way back on real servers: 50 late writes to the old side, 500 to the new one, and back without a loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from changeover.errors import BlockedError
from tests.engine import live
from tests.engine.small_world import World, kill_leftovers
from tests.engine.test_way_back import COLLECTION, DOCUMENTS, LIVE, TARGET, rollback_in_place, sweep_and_rollback
from tests.server.conftest import CLOSED, Server, adds_vectors

pytestmark = pytest.mark.slow


@contextmanager
def world_on(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> Iterator[Any]:
    environ = live.environ_for(tmp_path / "runs")
    monkeypatch.setenv("CHANGEOVER_RUNS", str(tmp_path / "runs"))
    world = World(server.url, collection=COLLECTION, folder=tmp_path, documents=DOCUMENTS, **more)
    try:
        yield world, environ
    finally:
        kill_leftovers(environ)
        world.close(TARGET)


def test_sweep_and_rollback(real_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world_on(real_server, tmp_path, monkeypatch, alias=LIVE) as (world, environ):
        sweep_and_rollback(world, environ)


def test_rollback_in_place(real_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world_on(real_server, tmp_path, monkeypatch) as (world, environ):
        if not adds_vectors(real_server):
            with pytest.raises(BlockedError, match=CLOSED):
                rollback_in_place(world, environ)
            return
        rollback_in_place(world, environ)
