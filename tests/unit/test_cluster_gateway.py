"""The gateway sends exactly what it is given and returns exactly what came."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from changeover.cluster.address import resolve
from changeover.cluster.errors import Action, ClusterError
from changeover.cluster.gateway import QdrantGateway, segment
from changeover.errors import UsageError
from changeover.plan.model import Access
from tests.unit.http_server import Call, Reply, Server, ok, serving


@asynccontextmanager
async def cluster(answer: Callable[[Call], Reply]) -> AsyncIterator[tuple[QdrantGateway, Server]]:
    with serving(answer) as server:
        gateway = QdrantGateway(resolve(Access(url=server.url), {}))
        try:
            yield gateway, server
        finally:
            await gateway.close()


async def test_a_request_goes_out_as_given_and_comes_back_whole() -> None:
    body = {"a": 18446744073709551615, "b": [1.5, None, True], "field_of_tomorrow": {"x": "é"}}
    result = {"config": {"params": {"memory": "pinned", "new_in_9.9": [1, {"deep": None}]}}, "n": 18446744073709551615}
    async with cluster(lambda call: ok(result)) as (gateway, server):
        assert await gateway.send("PATCH", "/collections/x?timeout=5", body) == result
    (call,) = server.calls
    assert (call.method, call.path) == ("PATCH", "/collections/x?timeout=5")
    assert call.json == body
    assert call.headers["content-type"] == "application/json"


async def test_a_failure_is_sent_once_and_sorted() -> None:
    async with cluster(lambda call: Reply(503, b"")) as (gateway, server):
        with pytest.raises(ClusterError) as caught:
            await gateway.send("PUT", "/collections/x/points?wait=true", {"points": []})
    assert caught.value.action is Action.RETRY
    assert len(server.calls) == 1, "retrying is the engine's, which knows whether it may"


@pytest.mark.parametrize(
    ("reply", "action", "wait"),
    [
        (Reply(429, {"status": {"error": "Rate limit"}}, (("Retry-After", "7"),)), Action.RETRY, 7.0),
        (Reply(429, {"status": {"error": "request larger than rate limiter capacity"}}), Action.SPLIT, None),
        (ok({"operation_id": 3, "status": "wait_timeout"}), Action.RETRY, None),
        (Reply(0), Action.RETRY, None),
        (Reply(200, b"{"), Action.STOP, None),
    ],
)
async def test_what_goes_wrong_is_sorted(reply: Reply, action: Action, wait: float | None) -> None:
    async with cluster(lambda call: reply) as (gateway, _):
        with pytest.raises(ClusterError) as caught:
            await gateway.send("PUT", "/collections/x/points?wait=true", {"points": []})
    assert caught.value.action is action
    assert caught.value.retry_after_s == wait


@pytest.mark.parametrize("name", ["a b", "ä/ö", "100%", "{x}", "..", ".", "a?b#c", "日本"])
async def test_any_name_stays_one_segment(name: str) -> None:
    async with cluster(lambda call: ok({"exists": True})) as (gateway, server):
        assert await gateway.exists(name)
    path = server.calls[0].path
    assert path.count("/") == 3
    assert path == f"/collections/{segment(name)}/exists"


def test_an_empty_name_is_not_the_list_of_collections() -> None:
    with pytest.raises(UsageError, match="empty"):
        segment("")


async def test_a_count_is_exact_unless_strict_mode_forbids_it() -> None:
    def answer(call: Call) -> Reply:
        if "/strict/" in call.path and call.json["exact"]:
            return Reply(400, {"status": {"error": "Bad request: Exact search disabled!. Help: Set exact=false."}})
        return ok({"count": 9})

    async with cluster(answer) as (gateway, server):
        assert await gateway.count("docs", {"must": [{"has_vector": "new"}]}) == 9
        assert server.calls[-1].json == {"exact": True, "filter": {"must": [{"has_vector": "new"}]}}
        assert await gateway.count("strict") == 9
        assert await gateway.count("strict") == 9
        assert [call.json["exact"] for call in server.calls] == [True, True, False, False]
        assert gateway.inexact_counts == {"strict"}


async def test_sample_and_scroll_take_what_strict_mode_allows() -> None:
    def answer(call: Call) -> Reply:
        if call.json["limit"] > 5:
            text = f'Bad request: Limit exceeded {call.json["limit"]} > 5 for "limit". Help: Reduce the "limit"'
            return Reply(400, {"status": {"error": text}})
        return ok({"points": [{"id": i} for i in range(call.json["limit"])], "next_page_offset": 5})

    async with cluster(answer) as (gateway, _):
        assert len(await gateway.sample("docs", 1000)) == 5
        points, following = await gateway.scroll("docs", limit=200)
        assert (len(points), following) == (5, 5)


@pytest.mark.parametrize(
    ("vector", "expected"),
    [
        ([1.0, 2.0], {"": [1.0, 2.0]}),
        ({"": [1.0], "new": [2.0]}, {"": [1.0], "new": [2.0]}),
        ({"kw": {"indices": [1], "values": [0.5]}}, {"kw": {"indices": [1], "values": [0.5]}}),
        ([[1.0], [2.0]], {"": [[1.0], [2.0]]}),
        (None, {}),
    ],
)
async def test_every_shape_of_a_point_is_read(vector: Any, expected: dict[str, Any]) -> None:
    row = {"id": "6c8f1a0e-2f3b-4a55-9d0a-0123456789ab", "payload": None, "vector": vector, "shard_key": "eu"}
    async with cluster(lambda call: ok([row])) as (gateway, server):
        (point,) = await gateway.retrieve("docs", [row["id"]], vectors=[""])
    assert point.vectors == expected
    assert (point.payload, point.shard_key) == ({}, "eu")
    assert server.calls[0].json["with_vector"] is True


async def test_the_optimizer_is_read_where_the_server_tells() -> None:
    info = {"status": "yellow", "optimizer_status": "ok"}
    now = {"summary": {"queued_optimizations": 2, "queued_points": 50}, "running": [{"optimizer": "merge"}]}

    def answer(call: Call) -> Reply:
        if call.path.endswith("/optimizations"):
            return ok(now) if "/new/" in call.path else Reply(404, b"")
        return ok(info if "/broken" not in call.path else {"status": "red", "optimizer_status": {"error": "disk"}})

    async with cluster(answer) as (gateway, _):
        known = await gateway.optimizations("new")
        old = await gateway.optimizations("old")
        broken = await gateway.optimizations("broken")
    assert (known.queued, known.running, known.queued_points, known.quiet) == (2, 1, 50, False)
    assert (old.color, old.queued, old.running, known.in_hand) == ("yellow", None, None, None)
    assert (broken.error, broken.quiet) == ("disk", False)


@pytest.mark.parametrize(("hidden", "points"), [(False, 134), (None, 134), (True, None)])
async def test_what_the_optimizer_has_in_hand_is_counted_unless_it_is_hidden_meanwhile(
    hidden: bool | None, points: int | None
) -> None:
    info = {"status": "yellow", "config": {"optimizer_config": {"prevent_unoptimized": hidden}}}
    running = [{"optimizer": "merge", "segments": [{"points_count": 83}, {"points_count": 1}]}]
    now = {"summary": {"queued_optimizations": 1, "queued_points": 50}, "running": running}

    async with cluster(lambda call: ok(now if call.path.endswith("/optimizations") else info)) as (gateway, _):
        assert (await gateway.optimizations("docs")).in_hand == points


async def test_search_says_only_what_is_asked() -> None:
    async with cluster(lambda call: ok({"points": [{"id": 3, "score": 0.5, "version": 9}]})) as (gateway, server):
        (hit,) = await gateway.search("docs", [1.0, 2.0], limit=3)
        await gateway.search("docs", [1.0], using="new", exact=True)
    assert (hit.id, hit.score) == (3, 0.5)
    assert server.calls[0].json == {"query": [1.0, 2.0], "limit": 3, "with_payload": False}
    assert json.loads(server.calls[1].body) == {
        "query": [1.0],
        "limit": 10,
        "with_payload": False,
        "using": "new",
        "params": {"exact": True},
    }
