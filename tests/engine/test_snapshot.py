"""The snapshot before a removal: asked for once, however long it takes and whoever dies meanwhile."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from changeover.cluster.address import Address
from changeover.cluster.errors import Action, ClusterError, classify
from changeover.cluster.gateway import QdrantGateway
from changeover.engine import events as ev
from changeover.engine.context import Context
from changeover.engine.journal import read_all
from changeover.engine.steps import snapshot
from changeover.errors import StoppedError, UnreachableError
from changeover.plan.model import Request, TakeSnapshot
from tests.engine.fakes import MemoryCluster, close, context, plan, slices

STEP = TakeSnapshot(
    id="take-snapshot", title="Snapshot", request=Request(method="POST", path="/collections/source/snapshots?wait=true")
)
TIMED_OUT = ClusterError("no answer from the server:  (ReadTimeout)", Action.RETRY)
FAILED = classify(500, b'{"status":{"error":"Service internal error: No space left on device"}}')


class Disk(MemoryCluster):
    """A server that needs `looks` looks until a snapshot is written; `answer` is what the request for it gets."""

    def __init__(self, *, looks: int = 0, answer: ClusterError | None = None, tells: bool = True) -> None:
        super().__init__()
        self.names = ["source-1-2026-01-01-00-00-00.snapshot"]
        self.asked = 0
        self.left: int | None = None
        self.looks, self.answer, self.tells = looks, answer, tells
        self.arrives = True
        self.begun, self.written = asyncio.Event(), asyncio.Event()
        """The request has come; what it waits for when there is no other answer."""

    async def send(self, method: str, path: str, body: Any = None, *, timeout_s: float | None = None) -> Any:
        if method == "POST":
            self.asked += 1
            self.begun.set()
            self.left = self.looks if self.arrives else None
            if self.answer is not None:
                raise self.answer
            await self.written.wait()
            return {"name": self.names[-1]}
        if path.startswith("/telemetry"):
            if not self.tells:
                raise ClusterError("403 forbidden", Action.STOP, status=403)
            return {"collections": {"snapshots": [{"id": "source", "running_snapshots": int(self.left is not None)}]}}
        assert (method, path) == ("GET", "/collections/source/snapshots")
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                self.names.append(f"source-1-2026-01-02-00-00-0{self.asked}.snapshot")
                self.written.set()
        return [{"name": name, "size": 1} for name in self.names]


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], Context]]:
    """Engines of one run folder, each on the server given."""
    opened: list[Context] = []
    monkeypatch.setattr(snapshot, "POLL_S", 0.001)
    monkeypatch.setattr(snapshot, "LOOK_S", 0.002)

    def made(cluster: Any) -> Context:
        ctx = context(tmp_path / "run", plan("blue-green", slices()), MemoryCluster())
        ctx.gateway = cluster
        opened.append(ctx)
        return ctx

    yield made
    for ctx in opened:
        close(ctx)


Begin = Callable[[Any], Context]
WANTED = "snapshot source-1-2026-01-02-00-00-01.snapshot of source"


def notes(ctx: Context) -> list[str]:
    return [event.note for event in read_all(ctx.folder.journal) if isinstance(event, ev.Progress)]


async def test_a_server_that_answers_is_believed(begin: Begin) -> None:
    disk = Disk()
    disk.written.set()
    disk.names.append("mine.snapshot")
    assert await snapshot.take_snapshot(begin(disk), STEP) == "snapshot mine.snapshot of source"
    assert disk.asked == 1


@pytest.mark.parametrize("error", [TIMED_OUT, classify(504, b"<html>"), classify(502, b""), classify(503, b"")])
async def test_after_a_timeout_it_is_looked_for_and_not_asked_for_again(begin: Begin, error: ClusterError) -> None:
    disk = Disk(looks=6, answer=error)
    ctx = begin(disk)
    assert await snapshot.take_snapshot(ctx, STEP) == WANTED
    assert disk.asked == 1
    assert any("being written" in note for note in notes(ctx))


async def test_where_the_server_does_not_tell_it_is_looked_for_all_the_same(begin: Begin) -> None:
    disk = Disk(looks=6, answer=TIMED_OUT, tells=False)
    assert await snapshot.take_snapshot(begin(disk), STEP) == WANTED
    assert disk.asked == 1


async def test_a_connection_that_died_silently_is_not_waited_for(begin: Begin) -> None:
    """The request never returns, but the snapshot is there; meanwhile the screens say how long it takes."""
    disk = Disk(looks=3)
    disk.written.set = lambda: None  # type: ignore[method-assign]
    ctx = begin(disk)
    assert await asyncio.wait_for(snapshot.take_snapshot(ctx, STEP), 10) == WANTED
    assert disk.asked == 1
    assert any("being written" in note for note in notes(ctx))


async def test_an_engine_that_died_meanwhile_left_word_of_it(begin: Begin) -> None:
    """kill -9: the next engine finds the one that the first had asked for, at once or after more waiting."""
    disk = Disk(looks=10**9)
    dying = asyncio.create_task(snapshot.take_snapshot(begin(disk), STEP))
    await disk.begun.wait()
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    disk.left = 4
    again = begin(disk)
    assert await snapshot.take_snapshot(again, STEP) == WANTED
    assert await snapshot.take_snapshot(begin(disk), STEP) == WANTED, "killed before the step was written down as done"
    assert disk.asked == 1
    assert any("being written" in note for note in notes(again))
    assert again.folder.snapshot.stat().st_mode & 0o777 == 0o600


async def test_a_stop_does_not_wait_for_it_and_the_next_engine_asks_no_second_time(begin: Begin) -> None:
    disk = Disk(looks=10**9)
    ctx = begin(disk)
    step = asyncio.create_task(snapshot.take_snapshot(ctx, STEP))
    await disk.begun.wait()
    ctx.throttle.stop()
    with pytest.raises(StoppedError):
        await asyncio.wait_for(step, 10)
    disk.left = 2
    assert await snapshot.take_snapshot(begin(disk), STEP) == WANTED
    assert disk.asked == 1


async def test_one_that_the_server_gave_up_is_said_and_asked_for_by_the_next_engine_only(begin: Begin) -> None:
    disk = Disk(answer=FAILED)
    disk.arrives = False
    for tells in (True, False):
        disk.tells = tells
        before = disk.asked
        with pytest.raises(UnreachableError, match=r"source has no snapshot: .*No space left.*changeover resume run"):
            await snapshot.take_snapshot(begin(disk), STEP)
        assert disk.asked == before + 1
    disk.answer, disk.arrives = None, True
    assert (await snapshot.take_snapshot(begin(disk), STEP)).endswith("03.snapshot of source")
    assert disk.asked == 3


async def test_without_a_word_of_the_server_the_patience_ends(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "UNTOLD_S", 50.0)
    disk = Disk(answer=TIMED_OUT, tells=False)
    disk.arrives = False
    ctx, now = begin(disk), [1000.0]

    def clock() -> float:
        now[0] += 5.0
        return now[0]

    ctx.clock = clock
    with pytest.raises(UnreachableError, match="ReadTimeout"):
        await snapshot.take_snapshot(ctx, STEP)
    assert disk.asked == 1 and now[0] >= 1050


async def test_what_never_arrived_is_sent_again(begin: Begin) -> None:
    refusals = [
        classify(429, b'{"status":{"error":"Rate limit"}}'),
        ClusterError("no answer from the server: refused (ConnectError)", Action.RETRY),
    ]

    class Busy(Disk):
        async def send(self, method: str, path: str, body: Any = None, *, timeout_s: float | None = None) -> Any:
            if method == "POST" and refusals:
                raise refusals.pop()
            return await super().send(method, path, body, timeout_s=timeout_s)

    disk = Busy()
    ctx = begin(disk)
    ctx.throttle.sleep = lambda seconds: None  # type: ignore[method-assign]
    assert await snapshot.take_snapshot(ctx, STEP) == WANTED
    assert disk.asked == 1 and not refusals


async def test_a_refusal_is_said_as_it_is_and_leaves_nothing_to_look_for(begin: Begin) -> None:
    disk = Disk(answer=classify(403, b'{"status":{"error":"forbidden"}}'))
    disk.arrives = False
    ctx = begin(disk)
    with pytest.raises(ClusterError, match="403"):
        await snapshot.take_snapshot(ctx, STEP)
    assert not ctx.folder.snapshot.exists()


async def test_a_word_that_cannot_be_read_is_none(begin: Begin) -> None:
    disk = Disk()
    ctx = begin(disk)
    ctx.folder.snapshot.write_bytes(b"\x00{")
    assert await snapshot.take_snapshot(ctx, STEP) == WANTED
    assert disk.asked == 1


async def test_a_closed_port_counts_as_never_arrived() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    gateway = QdrantGateway(Address("http", "127.0.0.1", port, "", None, None))
    with pytest.raises(ClusterError) as raised:
        await gateway.send("POST", "/collections/source/snapshots?wait=true")
    await gateway.close()
    assert snapshot.never_begun(raised.value)
    assert not snapshot.never_begun(TIMED_OUT)
