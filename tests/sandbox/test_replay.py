"""The calls recorded on real servers, sent to the sandbox of the same generation: the answers must agree.

Compared in full (status, content type, Retry-After, error texts, ids, vectors, scores) but for what VOLATILE and
SHAPE_ONLY name. Every recorded call is replayed.
"""

from __future__ import annotations

import random
import re
from typing import Any

import httpx
import orjson
import pytest

from changeover.sandbox.server import start
from tests.sandbox.conftest import FIXTURES, VERSIONS, client

VOLATILE = {
    "operation_id": "the servers count other operations too",
    "segments_count": "the core starts with one segment, a server with as many as it has cores",
    "peer_id": "random",
    "creation_time": "time",
    "checksum": "content",
    "disk_usage_percent": "the machine's",
}
"""Key -> why its values cannot be compared; see also `_volatile`."""
SHAPE_ONLY = {
    "query.sample": "random points",
    "optimizations": "what the optimiser does at that moment",
    "q.opt": "what the optimiser does at that moment",
    "q.opt.done": "how the optimiser went",
    "memory": "sizes of preallocated files",
    "profiler": "durations",
    "q.query.rescore": "the 1,000 random points were not recorded",
    "alias.get_through": "1.19.0 was optimising just then and counted the points of an index twice",
    "q.get": "indexed_vectors_count depends on the optimiser's progress",
    "q.get.right_after": "the same",
    "q.get.scalar": "the same",
    "q.get.binary": "the same",
    "q.get.disabled": "the same",
    "q.get.indexing_off": "the same",
}
"""Tag -> why its values cannot be compared; status, keys and types still are."""


@pytest.mark.parametrize("generation", list(VERSIONS))
def test_recorded_calls_get_the_recorded_answers(generation: str) -> None:
    """All 157 calls in their order; every disagreement is listed."""
    lines = (FIXTURES / f"qdrant-{VERSIONS[generation]}.jsonl").read_bytes().splitlines()
    calls = [orjson.loads(line) for line in lines]
    assert len(calls) == 157
    wrong: list[str] = []
    with start(generation) as server, client(server) as http:
        for call in calls:
            response = http.request(call["method"], call["path"], content=_body(call), headers=_JSON)
            wrong += [f"{call['tag']}: {one}" for one in _differences(call, response)]
            if call["tag"] == "q.create":
                _fill(http)
    assert not wrong, "\n".join(wrong)


_JSON = {"Content-Type": "application/json"}
_TOO_LARGE = 37_609_402
"""Bytes of the body that the servers refused; it was not recorded."""


def _body(call: dict[str, Any]) -> bytes | None:
    if call["tag"] == "toolarge":
        return b'{"points": []}'.ljust(_TOO_LARGE)
    return None if call["body"] is None else orjson.dumps(call["body"])


def _fill(http: httpx.Client) -> None:
    """The points that were written unrecorded: 1,000 in batches of 200."""
    numbers = random.Random(7)
    for start_ in range(0, 1000, 200):
        points = [
            {"id": point, "vector": [numbers.uniform(-1, 1) for _ in range(32)]}
            for point in range(start_, start_ + 200)
        ]
        assert http.put("/collections/q/points?wait=true", json={"points": points}).status_code == 200


def _differences(call: dict[str, Any], response: httpx.Response) -> list[str]:
    found = []
    if response.status_code != call["status"]:
        found.append(f"status {response.status_code}, recorded {call['status']}: {response.text[:200]}")
        return found
    kind = response.headers.get("content-type")
    if kind != call["content_type"]:
        found.append(f"content type {kind}, recorded {call['content_type']}")
    if call["status"] == 429:
        return found + _late(response, call)
    if response.headers.get("retry-after") != call["retry_after"]:
        found.append(f"Retry-After {response.headers.get('retry-after')}, recorded {call['retry_after']}")
    if kind != "application/json":
        return found if response.text == call["response"] else [*found, f"text {response.text!r}"]
    answer = response.json()
    answer.pop("time", None)
    answer.pop("usage", None)
    compare = _shapes if call["tag"] in SHAPE_ONLY else _values
    return found + compare(answer, call["response"], call["tag"])


def _late(response: httpx.Response, call: dict[str, Any]) -> list[str]:
    """A refusal for its rate: on a busy machine some tokens have come back, so the numbers may be a little smaller."""
    seconds, recorded = int(response.headers["retry-after"]), int(call["retry_after"])
    texts = [re.sub(r"[\d.]+", "N", document["status"]["error"]) for document in (response.json(), call["response"])]
    if texts[0] == texts[1] and recorded - 2 <= seconds <= recorded:
        return []
    return [f"{response.text}, Retry-After {seconds}; recorded {call['response']}, {recorded}"]


def _values(answer: Any, recorded: Any, where: str) -> list[str]:
    """Where two answers differ; floats to 1e-5, colours of collections and volatile keys not at all."""
    if isinstance(answer, dict) and isinstance(recorded, dict):
        found = [f"{where}: has {key}" for key in answer.keys() - recorded.keys()]
        found += [f"{where}: lacks {key}" for key in recorded.keys() - answer.keys()]
        for key in answer.keys() & recorded.keys():
            if not _volatile(key, where, recorded[key]):
                found += _values(answer[key], recorded[key], f"{where}.{key}")
        return found
    if isinstance(answer, list) and isinstance(recorded, list):
        if len(answer) != len(recorded):
            return [f"{where}: {len(answer)} items, recorded {len(recorded)}"]
        pairs = enumerate(zip(_ties_by_id(answer), _ties_by_id(recorded), strict=True))
        return [one for position, pair in pairs for one in _values(*pair, f"{where}[{position}]")]
    if isinstance(answer, float) or isinstance(recorded, float):
        same = isinstance(answer, int | float) and answer == pytest.approx(recorded, abs=1e-5)
    else:
        same = answer == recorded
    return [] if same else [f"{where}: {answer!r}, recorded {recorded!r}"]


def _ties_by_id(points: list[Any]) -> list[Any]:
    """Scored points by score, equal ones by id: their order is arbitrary on the servers too."""
    if not all(isinstance(one, dict) and "score" in one for one in points):
        return points
    return sorted(points, key=lambda one: (-round(one["score"], 4), str(one["id"])))


def _volatile(key: str, where: str, recorded: Any) -> bool:
    """Also the version of a point (follows the operation id), a collection's colour, name and size of a snapshot."""
    if key in VOLATILE:
        return True
    if key == "version":
        return where != "root"
    if key == "status":
        return recorded in ("green", "yellow")
    return key in ("name", "size") and where.startswith("snapshot.")


def _shapes(answer: Any, recorded: Any, where: str) -> list[str]:
    """Where two answers differ in keys or types; lists by their first items, if both have some.

    An id is a number or a UUID, a slow request's body is of whichever call was slow.
    """
    if isinstance(answer, dict) and isinstance(recorded, dict):
        optional = {"children"}
        found = [f"{where}: has {key}" for key in answer.keys() - recorded.keys() - optional]
        found += [f"{where}: lacks {key}" for key in recorded.keys() - answer.keys() - optional]
        for key in (answer.keys() & recorded.keys()) - {"id", "request_body"}:
            found += _shapes(answer[key], recorded[key], f"{where}.{key}")
        return found
    if isinstance(answer, list) and isinstance(recorded, list):
        return _shapes(answer[0], recorded[0], f"{where}[0]") if answer and recorded else []
    numbers = isinstance(answer, int | float) and isinstance(recorded, int | float)
    same = numbers or type(answer) is type(recorded)
    return [] if same else [f"{where}: {answer!r}, recorded {recorded!r}"]
