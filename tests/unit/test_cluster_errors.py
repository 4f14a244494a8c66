"""Every recorded error answer of three servers is sorted as the engine needs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from changeover.cluster.errors import Action, classify, from_grpc, unreachable

FIXTURES = Path(__file__).parents[1] / "fixtures"

EXPECTED: dict[str, Action] = {
    "create.again": Action.STOP,
    "get.missing": Action.STOP,
    "upsert.wrongdim": Action.SKIP,
    "upsert.unknownvector": Action.STOP,
    "upsert.unnamed_on_named": Action.STOP,
    "upsert.empty": Action.SKIP,
    "upsert.badid": Action.SKIP,
    "upsert.null": Action.SKIP,
    "vec.create": Action.STOP,
    "vec.create.again_other": Action.STOP,
    "vec.create.missing": Action.STOP,
    "updvec.missing_id": Action.MISSING,
    "updvec.wrongdim": Action.SKIP,
    "updvec.unknownvector": Action.STOP,
    "updvec.sparse_empty": Action.SKIP,
    "alias.collection_name": Action.STOP,
    "alias.missing_target": Action.STOP,
    "alias.half": Action.STOP,
    "create.named_like_alias": Action.STOP,
    "hyb.unknown_model": Action.STOP,
    "strict.batch": Action.SPLIT,
    "strict.updvec_batch": Action.SPLIT,
    "strict.scroll_limit": Action.SPLIT,
    "strict.filter": Action.STOP,
    "strict.count_exact": Action.STOP,
    "strict.rate3": Action.RETRY,
    "strict.rate4": Action.RETRY,
    "strict.rate5": Action.RETRY,
    "custom_shard.nokey": Action.STOP,
    "toolarge": Action.SPLIT,
    "malformed": Action.SKIP,
}


def recorded() -> list[Any]:
    rows = []
    for path in sorted(FIXTURES.glob("qdrant-*.jsonl")):
        for line in path.read_text().splitlines():
            call = json.loads(line)
            if call["status"] >= 400 and call["tag"] in EXPECTED:
                rows.append(pytest.param(call, id=f"{path.stem.removeprefix('qdrant-')}:{call['tag']}"))
    return rows


@pytest.mark.parametrize("call", recorded())
def test_a_recorded_answer_is_sorted(call: dict[str, Any]) -> None:
    if (
        call["tag"].startswith("updvec")
        and "vectors/" not in call["path"]
        and call["status"] == 404
        and not call["response"]
    ):
        pytest.skip("the vector was never added on this server")
    body = json.dumps(call["response"]) if isinstance(call["response"], dict) else str(call["response"] or "")
    headers = {"retry-after": str(call["retry_after"])} if call["retry_after"] else {}
    error = classify(call["status"], body, headers, "PUT /x")
    expected = EXPECTED[call["tag"]]
    if "Not existing vector name" in body:
        expected = Action.STOP
    assert error.action is expected, str(error)
    assert "\n" not in str(error)
    assert error.retry_after_s == (float(call["retry_after"]) if call["retry_after"] else None)


@pytest.mark.parametrize(
    ("status", "body", "action"),
    [
        (401, "Invalid API key or JWT", Action.STOP),
        (403, '{"status":{"error":"Forbidden: Global manage access is required"}}', Action.STOP),
        (404, "", Action.STOP),
        (408, '{"status":{"error":"Timeout: Operation timed out"}}', Action.RETRY),
        (413, "<html>413</html>", Action.SPLIT),
        (
            429,
            '{"status":{"error":"Write rate limit exceeded, request larger than rate limiter capacity, please split"}}',
            Action.SPLIT,
        ),
        (500, '{"status":{"error":"Service internal error: No space left on device: WAL buffer"}}', Action.STOP),
        (500, '{"status":{"error":"Service internal error: 1 of 2 replicas failed"}}', Action.RETRY),
        (
            404,
            '{"status":{"error":"1 out of 2 shards failed to apply operation. First error: No point with id 9 found"}}',
            Action.MISSING,
        ),
        (502, "bad gateway", Action.RETRY),
        (503, '{"status":{"error":"Shard temporarily unavailable"}}', Action.RETRY),
        (504, "", Action.RETRY),
        (400, '{"status":{"error":"Bad request: Max vector storage size limit of 5MB reached!"}}', Action.STOP),
    ],
)
def test_answers_that_were_not_recorded(status: int, body: str, action: Action) -> None:
    assert classify(status, body).action is action


def test_no_answer_at_all_is_retried() -> None:
    error = unreachable(httpx.ConnectError("[Errno 111] Connection refused"), "GET /")
    assert error.action is Action.RETRY
    assert str(error) == "GET /: no answer from the server: [Errno 111] Connection refused (ConnectError)"


class FakeRpcError(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode, details: str, metadata: tuple[tuple[str, str], ...] = ()) -> None:
        self._all = code, details, metadata

    def code(self) -> grpc.StatusCode:
        return self._all[0]

    def details(self) -> str:
        return self._all[1]

    def trailing_metadata(self) -> tuple[tuple[str, str], ...]:
        return self._all[2]


@pytest.mark.parametrize(
    ("code", "details", "action"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, "Wrong input: Vector dimension error: expected dim: 4, got 3", Action.SKIP),
        (grpc.StatusCode.NOT_FOUND, "Not found: No point with id 999 found", Action.MISSING),
        (grpc.StatusCode.NOT_FOUND, "Not found: Collection `nope` doesn't exist!", Action.STOP),
        (grpc.StatusCode.UNAVAILABLE, "failed to connect to all addresses", Action.RETRY),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", Action.RETRY),
        (grpc.StatusCode.UNAUTHENTICATED, "Invalid API key or JWT", Action.STOP),
        (grpc.StatusCode.PERMISSION_DENIED, "Forbidden", Action.STOP),
        (grpc.StatusCode.UNIMPLEMENTED, "", Action.STOP),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Rate limiting exceeded", Action.RETRY),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER: Received message larger than max", Action.SPLIT),
        (grpc.StatusCode.INTERNAL, "Service internal error", Action.RETRY),
    ],
)
def test_grpc_errors_are_sorted_alike(code: grpc.StatusCode, details: str, action: Action) -> None:
    assert from_grpc(FakeRpcError(code, details)).action is action


def test_grpc_says_when_to_come_back() -> None:
    error = from_grpc(FakeRpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, "Rate limiting", (("retry-after", "7"),)))
    assert error.retry_after_s == 7.0
