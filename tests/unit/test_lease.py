"""One engine per collection over several machines: who gets the lease, who is refused, who takes it over."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from changeover.cluster.errors import Action, ClusterError
from changeover.engine import lease
from changeover.engine.lease import BEAT_S, EXPIRES_S, Keeper, place
from changeover.errors import BlockedError, StoppedError
from changeover.survey.lease import KEY, Lease, read


class Server:
    """A collection's metadata, merged at their top level; `fails` are raised one by one before an answer."""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = {"changeover": {"model": "a"}}
        self.fails: list[ClusterError] = []
        self.sent: list[str] = []

    async def send(self, method: str, path: str, body: Any = None) -> Any:
        self.sent.append(f"{method} {path}")
        await asyncio.sleep(0)
        if self.fails:
            raise self.fails.pop(0)
        if method == "PATCH":
            self.metadata |= body["metadata"]
            return True
        return {"config": {"metadata": self.metadata}}

    @property
    def lease(self) -> Lease:
        found = read(self.metadata)
        assert found is not None
        return found


class Time:
    """Time that passes only in `sleep`; `meanwhile` happens in each of them."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.now = 1000.0
        self.meanwhile = meanwhile

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.meanwhile()
        await asyncio.sleep(0)


def keeper(server: Server, run: str, time: Time, said: list[str] | None = None, host: str = "one") -> Keeper:
    gateway: Any = server
    say = (said if said is not None else []).append
    return Keeper(gateway, "docs", run, clock=lambda: time.now, say=say, sleep=time.sleep, host=host)


async def test_it_is_taken_kept_and_given_back_beside_other_metadata() -> None:
    server, time = Server(), Time()
    mine = keeper(server, "r1", time)
    await mine.take()
    assert (server.lease.run, server.lease.host, server.lease.beat, server.lease.ended) == ("r1", "one", 1, None)
    enough = asyncio.Event()
    time.meanwhile = lambda: enough.set() if server.lease.beat >= 4 else None
    keeping = asyncio.create_task(mine.keep())
    await enough.wait()
    keeping.cancel()
    assert time.now >= 1000 + 3 * BEAT_S
    await mine.release()
    assert server.lease.ended == time.now
    assert server.metadata["changeover"] == {"model": "a"}
    await keeper(server, "r2", time).take()
    assert server.lease.run == "r2"


async def test_a_living_engine_is_not_disturbed() -> None:
    server = Server()
    await keeper(server, "r1", Time()).take()

    def beats() -> None:
        server.metadata[KEY] = {**server.metadata[KEY], "beat": server.metadata[KEY]["beat"] + 1}

    with pytest.raises(BlockedError, match="another-migration: docs is leased to r1 on one"):
        await keeper(server, "r2", Time(beats)).take()
    assert server.lease.run == "r1"


async def test_a_dead_engine_is_outlived_by_watching_whatever_its_clock_says() -> None:
    server, said = Server(), list[str]()
    server.metadata[KEY] = {"run": "r1", "host": "one", "beat": 7, "at": 9e12}
    time = Time()
    await keeper(server, "r2", time, said, host="two").take()
    assert time.now - 1000 >= EXPIRES_S
    assert (server.lease.run, server.lease.host) == ("r2", "two")
    assert any("r1 on one is gone" in line for line in said)


@pytest.fixture(params=["waited for", "zombie"])
def dead_pid(request: pytest.FixtureRequest) -> Iterator[int]:
    """Of a process that has ended."""
    dead = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert dead.stdout is not None
    dead.stdout.read()
    if request.param == "waited for" or not place():
        dead.wait()
    while Path(f"/proc/{dead.pid}").exists() and " Z " not in Path(f"/proc/{dead.pid}/stat").read_text():
        pass
    yield dead.pid
    dead.wait()
    dead.stdout.close()


@pytest.mark.parametrize("here", [True, False])
async def test_who_died_on_this_machine_is_not_waited_for(here: bool, dead_pid: int) -> None:
    """The same pid in another place says nothing."""
    server, said, time = Server(), list[str](), Time()
    where = place() if here else "another boot"
    server.metadata[KEY] = {"run": "r1", "host": "one", "beat": 7, "at": 0.0, "place": where, "pid": dead_pid}
    await keeper(server, "r2", time, said).take()
    assert server.lease.run == "r2"
    assert (time.now - 1000 < EXPIRES_S) == (here and bool(place()))


async def test_the_same_run_on_the_same_machine_goes_on_at_once() -> None:
    server, time = Server(), Time()
    await keeper(server, "r1", time).take()
    before = time.now
    await keeper(server, "r1", time).take()
    assert time.now - before < 5


@pytest.mark.parametrize("where", [place(), "another boot", ""])
async def test_a_copy_of_the_runs_folder_is_another_engine(where: str) -> None:
    """Copied beside it, or to a machine of the same name: each has a lock of its own."""
    server = Server()
    copy = {"run": "r1", "host": "one", "beat": 7, "at": 0.0, "place": where, "pid": os.getppid()}
    server.metadata[KEY] = copy

    def beats() -> None:
        server.metadata[KEY] = {**copy, "beat": server.metadata[KEY]["beat"] + 1}

    with pytest.raises(BlockedError, match="another-migration: docs is leased to r1 on one"):
        await keeper(server, "r1", Time(beats)).take()
    mine = keeper(server, "r1", Time())
    server.metadata[KEY] = {**copy, "ended": 1.0}
    await mine.take()
    server.metadata[KEY] = copy
    with pytest.raises(StoppedError):
        await mine.keep()


@pytest.mark.parametrize("where", [place(), ""])
async def test_a_killed_engine_is_followed_at_once_by_the_next_one_of_its_run(
    where: str, dead_pid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "place", lambda: where)
    server, time = Server(), Time()
    server.metadata[KEY] = {"run": "r1", "host": "one", "beat": 7, "at": 0.0, "place": where, "pid": dead_pid}
    await keeper(server, "r1", time).take()
    assert time.now - 1000 < EXPIRES_S


async def test_of_two_at_once_one_stays() -> None:
    server = Server()
    results = await asyncio.gather(
        *(keeper(server, run, Time()).take() for run in ("r1", "r2", "r3")), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, BlockedError)]
    assert len(refused) == 2 and results.count(None) == 1


async def test_an_engine_whose_lease_was_taken_stops_and_leaves_the_lease_alone() -> None:
    server, time = Server(), Time()
    mine = keeper(server, "r1", time)
    await mine.take()
    server.metadata[KEY] = {"run": "r2", "host": "two", "beat": 1, "at": 0.0}
    with pytest.raises(StoppedError, match="leased to r2 on two"):
        await mine.keep()
    await mine.release()
    assert (server.lease.run, server.lease.ended) == ("r2", None)


async def test_a_beat_that_is_refused_once_is_not_the_last_one() -> None:
    """The server's disk was full for a moment; another machine must not take the lease over because of that."""
    server, time, enough = Server(), Time(), asyncio.Event()
    mine = keeper(server, "r1", time)
    await mine.take()
    server.fails = [ClusterError("No space left on device", Action.STOP, status=500)]
    time.meanwhile = lambda: enough.set() if server.lease.beat >= 3 else None
    keeping = asyncio.create_task(mine.keep())
    await asyncio.wait_for(enough.wait(), 5)
    keeping.cancel()
    assert mine.held and not server.fails


async def test_a_key_that_may_not_write_metadata_goes_on_without() -> None:
    server, said = Server(), list[str]()
    mine = keeper(server, "r1", Time(), said)
    server.fails = [ClusterError("no", Action.RETRY), ClusterError("no", Action.RETRY)]
    await mine.take()
    assert mine.held, "a server that is busy is asked again"
    other = Server()
    refused = keeper(other, "r1", Time(), said)

    async def send(method: str, path: str, body: Any = None) -> Any:
        if method == "PATCH":
            raise ClusterError("403 Forbidden", Action.STOP, status=403)
        return {"config": {}}

    other.send = send  # type: ignore[method-assign]
    await refused.take()
    assert not refused.held
    assert any("may not change metadata" in line for line in said)
    await refused.release()


async def test_a_collection_that_the_run_itself_removed_is_not_leased() -> None:
    """A cleanup that was killed right after the removal is resumed to its end."""
    server, said = Server(), list[str]()
    server.fails = [ClusterError("404 Not Found: Collection `docs` doesn't exist!", Action.STOP, status=404)]
    mine = keeper(server, "r1", Time(), said)
    await mine.take()
    assert not mine.held and any("docs is not there" in line for line in said)
    await mine.release()


@pytest.mark.parametrize("metadata", [None, {}, {KEY: None}, {KEY: "x"}, {KEY: {"run": 1}}, {KEY: {}}])
def test_what_is_no_lease_is_none(metadata: Any) -> None:
    assert read(metadata) is None
