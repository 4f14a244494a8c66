"""A running engine outlives a server that is away for a moment, in every read that it makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from changeover.cluster.api import Gateway
from changeover.cluster.errors import Action, ClusterError
from changeover.engine.patient import READS, PatientGateway
from changeover.errors import StoppedError
from tests.engine.fakes import MemoryCluster, close, context, plan, slices


class Away:
    """A gateway whose every method fails twice before it answers."""

    def __init__(self, action: Action) -> None:
        self.calls = 0
        self.action = action

    def __getattr__(self, name: str) -> Any:
        async def method(*given: Any, **named: Any) -> Any:
            self.calls += 1
            if self.calls <= 2:
                raise ClusterError("no answer from the server", self.action)
            return name, given, named

        return method


@pytest.fixture
def ctx(tmp_path: Path) -> Any:
    made = context(tmp_path, plan("in-place", slices()), MemoryCluster())
    yield made
    close(made)


@pytest.mark.parametrize("name", sorted(READS))
async def test_a_read_is_asked_again(ctx: Any, name: str) -> None:
    away: Any = Away(Action.RETRY)
    asked = getattr(PatientGateway(ctx, away), name)
    assert await asked("docs", limit=3) == (name, ("docs",), {"limit": 3})
    assert away.calls == 3


async def test_what_cannot_be_mended_and_searches_are_not_asked_again(ctx: Any) -> None:
    for action, name in ((Action.STOP, "count"), (Action.RETRY, "search"), (Action.RETRY, "send")):
        away: Any = Away(action)
        with pytest.raises(ClusterError):
            await getattr(PatientGateway(ctx, away), name)("docs")
        assert away.calls == 1


async def test_a_person_can_stop_the_waiting(ctx: Any) -> None:
    ctx.throttle.stop()
    with pytest.raises(StoppedError):
        await PatientGateway(ctx, Away(Action.RETRY)).count("docs")  # type: ignore[arg-type]


def test_every_read_is_a_method_of_the_gateway() -> None:
    assert all(hasattr(Gateway, name) for name in READS)
