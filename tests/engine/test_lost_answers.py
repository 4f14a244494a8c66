"""A request whose answer was lost is sent again; what the first attempt had done all the same is no error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from changeover.cluster.errors import Action, ClusterError, classify, wait_timeout
from changeover.engine.context import Context
from changeover.engine.steps import schema
from changeover.errors import BlockedError
from changeover.plan.model import CreateCollection, CreateIndexes, Request
from tests.engine.fakes import DIMENSION, MemoryCluster, close, context, plan, slices

BODY = {"vectors": {"new": {"size": DIMENSION, "distance": "Cosine"}}}
STEP = CreateCollection(
    id="create", title="Create", request=Request(method="PUT", path="/collections/target", body=BODY)
)
EXISTS = classify(409, b'{"status":{"error":"Wrong input: Collection `target` already exists!"}}')
LOST = ClusterError("no answer from the server: timed out", Action.RETRY)


class Creating(MemoryCluster):
    """Collections are made by PUT, once; `lose` of the answers to such requests are lost, `before` runs ahead of each."""

    def __init__(self, *lose: ClusterError) -> None:
        super().__init__()
        self.collections["source"] = {}
        self.made: dict[str, Any] = {}
        self.lose = list(lose)
        self.before: Callable[[], None] = lambda: None

    def make(self, name: str, body: Any, points: int = 0) -> None:
        self.collections[name] = {i: ({}, {}) for i in range(points)}
        self.made[name] = body["vectors"]

    async def send(self, method: str, path: str, body: Any = None, *, timeout_s: float | None = None) -> Any:
        await super().send(method, path, body)
        self.before()
        name = path.rpartition("/")[2]
        if name in self.collections:
            raise EXISTS
        self.make(name, body)
        if self.lose:
            raise self.lose.pop(0)
        return True

    async def collection(self, name: str) -> dict[str, Any]:
        return {"config": {"params": {"vectors": self.made[name]}}}


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[[MemoryCluster], Context]]:
    opened: list[Context] = []

    def made(cluster: MemoryCluster) -> Context:
        ctx = context(tmp_path / "run", plan("blue-green", slices()), cluster)
        ctx.throttle.sleep = lambda seconds: None  # type: ignore[method-assign]
        opened.append(ctx)
        return ctx

    yield made
    for ctx in opened:
        close(ctx)


Begin = Callable[[MemoryCluster], Context]


@pytest.mark.parametrize("lost", [LOST, wait_timeout(), classify(503, b"")], ids=lambda error: str(error)[:20])
async def test_a_collection_whose_answer_was_lost_is_gone_on_with(begin: Begin, lost: ClusterError) -> None:
    cluster = Creating(lost)
    assert await schema.create_collection(begin(cluster), STEP) == "target created"
    assert [path for _, path, _ in cluster.sent] == ["/collections/target"] * 2


async def test_one_that_somebody_else_made_in_between_is_not(begin: Begin) -> None:
    cluster = Creating()
    cluster.before = lambda: cluster.make("target", BODY)
    with pytest.raises(BlockedError, match="appeared since the plan was made"):
        await schema.create_collection(begin(cluster), STEP)


@pytest.mark.parametrize(("size", "points"), [(DIMENSION + 1, 0), (DIMENSION, 3)])
async def test_another_one_is_refused_even_after_a_lost_answer(begin: Begin, size: int, points: int) -> None:
    """The request never arrived, and somebody made a collection of that name before it was sent again."""
    cluster = Creating()
    attempts = []

    def before() -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise LOST
        cluster.make("target", {"vectors": {"new": {"size": size, "distance": "Cosine"}}}, points)

    cluster.before = before
    with pytest.raises(BlockedError, match="appeared since the plan was made"):
        await schema.create_collection(begin(cluster), STEP)
    assert len(attempts) == 2


async def test_a_refusal_of_another_kind_is_not_hidden_by_a_lost_answer(begin: Begin) -> None:
    cluster = Creating()
    attempts = []

    def before() -> None:
        attempts.append(1)
        raise LOST if len(attempts) == 1 else classify(403, b'{"status":{"error":"forbidden"}}')

    cluster.before = before
    with pytest.raises(ClusterError, match="403"):
        await schema.create_collection(begin(cluster), STEP)


async def test_send_looks_only_after_a_retry_of_its_own(begin: Begin) -> None:
    looked = []

    async def done() -> bool:
        looked.append(1)
        return True

    cluster = Creating()
    cluster.make("target", BODY)
    ctx = begin(cluster)
    with pytest.raises(ClusterError, match="already exists"):
        await schema.send(ctx, STEP.request, done=done)
    assert not looked
    cluster.collections.pop("target")
    cluster.lose = [LOST]
    assert await schema.send(ctx, STEP.request, done=done) is None
    assert looked


async def test_indexes_are_simply_sent_again(begin: Begin) -> None:
    cluster = MemoryCluster()
    failures = [LOST, LOST]
    usual = cluster.send

    async def losing(*given: Any, **named: Any) -> Any:
        answer = await usual(*given, **named)
        if failures:
            raise failures.pop()
        return answer

    cluster.send = losing  # type: ignore[method-assign]
    request = msgspec.structs.replace(STEP.request, path="/collections/target/index")
    step = CreateIndexes(id="indexes", title="Indexes", requests=(request,))
    assert await schema.create_indexes(begin(cluster), step) == "1 payload indexes"
    assert len(cluster.sent) == 3
