"""The REST wire: bodies as Qdrant takes them, and every failure sorted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from changeover.cluster.address import resolve
from changeover.cluster.errors import Action, ClusterError
from changeover.cluster.wire_rest import RestPage, RestWire
from changeover.plan.model import Access
from tests.unit.http_server import Call, Reply, Server, ok, serving

UUID = "6c8f1a0e-2f3b-4a55-9d0a-0123456789ab"
DONE = ok({"operation_id": 1, "status": "completed"})


@contextmanager
def wired(answer: Callable[[Call], Reply] = lambda call: DONE) -> Iterator[tuple[RestWire, Server]]:
    with serving(answer) as server:
        wire = RestWire(resolve(Access(url=server.url), {}), 2)
        yield wire, server
        wire.close()


def page(*rows: dict[str, Any]) -> RestPage:
    return RestPage(list(rows), None)


def floats(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def test_a_scroll_asks_for_what_is_needed_and_no_more() -> None:
    result = {"points": [{"id": 7, "payload": {"a": 1}, "vector": {"old": [1.0]}}, {"id": UUID}], "next_page_offset": 9}
    with wired(lambda call: ok(result)) as (wire, server):
        found = wire.scroll("a b", start=3, limit=2, payload=["a"], vectors=["old"], filter={"must": []})
        wire.scroll("a b", start=None, limit=2, payload=False)
        wire.scroll("a b", start=None, limit=2, vectors=[""])
    assert server.calls[0].path == "/collections/a%20b/points/scroll"
    assert server.calls[0].json == {
        "limit": 2,
        "with_payload": ["a"],
        "with_vector": ["old"],
        "offset": 3,
        "filter": {"must": []},
    }
    assert server.calls[1].json == {"limit": 2, "with_payload": False, "with_vector": False}
    assert server.calls[2].json["with_vector"] is True
    assert (list(found.ids), found.next) == ([7, UUID], 9)
    assert (found.payload(0), found.payload(1)) == ({"a": 1}, {})
    assert (found.vector(0, "old"), found.vector(0, "new"), found.vector(1, "old")) == ([1.0], None, None)


def test_points_are_written_whole() -> None:
    rows = page(
        {"id": 1, "payload": {"n": None}, "vector": {"old": [1.5], "kw": {"indices": [4], "values": [0.5]}}},
        {"id": 2, "payload": {"gone": True}, "vector": {"old": [2.5]}},
        {"id": UUID, "payload": {}, "vector": {}},
    )
    with wired() as (wire, server):
        new = floats([0.25, 2.0], [float("nan"), float("nan")])
        wire.upsert("docs", rows, [0, 2], {"new": new}, carry={"old": "kept", "kw": "kw"}, insert_only=True)
    (call,) = server.calls
    assert (call.method, call.path) == ("PUT", "/collections/docs/points?wait=true")
    assert call.json == {
        "points": [
            {
                "id": 1,
                "payload": {"n": None},
                "vector": {"kept": [1.5], "kw": {"indices": [4], "values": [0.5]}, "new": [0.25, 2.0]},
            },
            {"id": UUID, "payload": {}, "vector": {}},
        ],
        "update_mode": "insert_only",
    }


def test_a_vector_without_a_name_is_a_plain_list_where_it_is_the_only_one() -> None:
    rows = page({"id": 1, "vector": [1.0]}, {"id": 2, "vector": {"": [2.0], "kw": {"indices": [1], "values": [1.0]}}})
    with wired() as (wire, server):
        wire.upsert("docs", rows, [0, 1], {}, carry={"": "", "kw": "kw"})
        wire.upsert("docs", rows, [0], {"": floats([3, 4])})
    vectors = [point["vector"] for call in server.calls for point in call.json["points"]]
    assert vectors == [[1.0], {"": [2.0], "kw": {"indices": [1], "values": [1.0]}}, [3.0, 4.0]]


@pytest.mark.parametrize("values", [np.ones((2, 3), np.float64), np.ones((3, 2), np.float32).T, np.ones((4, 3))[::2]])
def test_any_layout_of_numbers_can_be_sent(values: np.ndarray) -> None:
    with wired() as (wire, server):
        wire.update_vectors("docs", [1, UUID], {"new": values})
    assert server.calls[0].json["points"] == [
        {"id": 1, "vector": {"new": [1.0, 1.0, 1.0]}},
        {"id": UUID, "vector": {"new": [1.0, 1.0, 1.0]}},
    ]


def test_the_guard_and_points_without_a_vector() -> None:
    with wired() as (wire, server):
        wire.update_vectors("docs", [1, 2], {"new": floats([1, 2], [float("nan")] * 2)}, only_absent=True)
        wire.update_vectors("docs", [2], {"new": floats([float("nan")] * 2)})
        wire.update_vectors("docs", [], {"new": np.empty((0, 2), np.float32)})
        wire.upsert("docs", page(), [], {})
        wire.delete("docs", [])
        wire.delete("docs", [3, UUID])
    guarded, deleted = server.calls
    assert guarded.json == {
        "points": [{"id": 1, "vector": {"new": [1.0, 2.0]}}],
        "update_filter": {"must_not": [{"has_vector": "new"}]},
    }
    assert (deleted.path, deleted.json) == ("/collections/docs/points/delete?wait=true", {"points": [3, UUID]})


def test_a_body_that_no_server_takes_is_not_sent() -> None:
    large = {"text": "x" * 20 * 1024 * 1024}
    with wired() as (wire, server):
        with pytest.raises(ClusterError) as caught:
            wire.upsert("docs", page({"id": 1, "payload": large}, {"id": 2, "payload": large}), [0, 1], {})
        assert caught.value.action is Action.SPLIT
        assert not server.calls
        wire.upsert("docs", page({"id": 1, "payload": {"text": "x" * 31 * 1024 * 1024}}), [0], {})
    assert len(server.calls) == 1, "one point alone is the server's to judge"


@pytest.mark.parametrize("odd", [[1.0, float("nan")], [float("inf"), 1.0], [float("-inf")] * 2])
def test_a_number_that_is_not_finite_is_refused_before_it_is_sent(odd: list[float]) -> None:
    with wired() as (wire, server):
        for call in (
            lambda: wire.update_vectors("docs", [1, 2], {"new": floats([1, 2], odd)}),
            lambda: wire.upsert("docs", page({"id": 1}, {"id": 2}), [0, 1], {"new": floats([1, 2], odd)}),
        ):
            with pytest.raises(ClusterError, match="point 2 holds a number that is not finite") as caught:
                call()
            assert caught.value.action is Action.SKIP
    assert not server.calls


@pytest.mark.parametrize(
    ("reply", "action"),
    [
        (ok({"operation_id": 1, "status": "wait_timeout"}), Action.RETRY),
        (ok({"operation_id": 1, "status": "acknowledged"}), Action.RETRY),
        (ok(None), Action.RETRY),
        (Reply(404, {"status": {"error": "Not found: No point with id 9 found"}}), Action.MISSING),
        (Reply(429, {"status": {"error": "Write rate limit"}}, (("Retry-After", "3"),)), Action.RETRY),
        (Reply(200, b"<html>"), Action.STOP),
        (Reply(307, b"", (("location", "/elsewhere"),)), Action.STOP),
    ],
)
def test_a_write_counts_only_when_it_is_completed(reply: Reply, action: Action) -> None:
    with wired(lambda call: reply) as (wire, _), pytest.raises(ClusterError) as caught:
        wire.delete("docs", [9])
    assert caught.value.action is action


def test_after_a_broken_connection_the_wire_goes_on() -> None:
    replies = [Reply(0), Reply(0), DONE]
    with wired(lambda call: replies.pop(0)) as (wire, server):
        for _ in range(2):
            with pytest.raises(ClusterError) as caught:
                wire.delete("docs", [9])
            assert caught.value.action is Action.RETRY
        wire.delete("docs", [9])
    assert len(server.calls) == 3, "nothing is sent twice on its own"


@pytest.mark.parametrize("key", ["acme", 42])
def test_requests_of_a_shard_key_name_it(key: int | str) -> None:
    answers = [ok({"points": [{"id": 1, "payload": {}, "vector": {}}], "next_page_offset": None}), *[DONE] * 7]
    with wired(lambda call: answers.pop(0)) as (wire, server):
        part = wire.of(key)
        rows = part.scroll("docs", start=None, limit=1)
        part.upsert("docs", rows, [0], {})
        part.update_vectors("docs", [1], {"new": floats([1.0])})
        part.delete("docs", [1])
        part.delete_vectors("docs", [1], ["new"])
        part.clear_payload("docs", [1])
        wire.delete("docs", [1])
    assert [call.json.get("shard_key") for call in server.calls] == [key] * 6 + [None]
