"""Every recorded error answer of three servers is sorted as the engine needs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from changeover.cluster.errors import Action, ClusterError, classify, from_exception, from_grpc, unreachable

FIXTURES = Path(__file__).parents[1] / "fixtures"

EXPECTED: dict[str, Action] = {
    "create.again": Action.STOP,
    "get.missing": Action.STOP,
    "upsert.wrongdim": Action.SKIP,
    "upsert.unknownvector": Action.STOP,
    "upsert.unnamed_on_named": Action.STOP,
    "upsert.empty": Action.STOP,
    "upsert.badid": Action.SKIP,
    "upsert.null": Action.SKIP,
    "upsert.update_mode_wrong": Action.STOP,
    "scroll.orderby_offset": Action.STOP,
    "scroll.slice": Action.STOP,
    "query.nousing": Action.STOP,
    "query.unknownvector": Action.STOP,
    "query.wrongdim": Action.SKIP,
    "query.deleted": Action.STOP,
    "facet.noindex": Action.STOP,
    "vec.create": Action.STOP,
    "vec.create.again_same": Action.STOP,
    "vec.create.again_other": Action.STOP,
    "vec.create.sparse": Action.STOP,
    "vec.create.multi": Action.STOP,
    "vec.create.badname": Action.STOP,
    "vec.create.missing": Action.STOP,
    "vec.patch": Action.STOP,
    "vec.patch.unknown": Action.STOP,
    "vec.delete": Action.STOP,
    "vec.delete.unknown": Action.STOP,
    "updvec.missing_id": Action.MISSING,
    "updvec.wrongdim": Action.SKIP,
    "updvec.unknownvector": Action.STOP,
    "updvec.sparse_empty": Action.SKIP,
    "alias.collection_name": Action.STOP,
    "alias.missing_target": Action.STOP,
    "alias.half": Action.STOP,
    "create.named_like_alias": Action.STOP,
    "hyb.unknown_model": Action.STOP,
    "q.turbo": Action.STOP,
    "strict.batch": Action.SPLIT,
    "strict.updvec_batch": Action.SPLIT,
    "strict.scroll_limit": Action.SPLIT,
    "strict.filter": Action.STOP,
    "strict.count_exact": Action.STOP,
    "strict.rate3": Action.RETRY,
    "strict.rate4": Action.RETRY,
    "strict.rate5": Action.RETRY,
    "custom_shard.key": Action.STOP,
    "custom_shard.nokey": Action.STOP,
    "delete_points.empty": Action.STOP,
    "memory": Action.STOP,
    "quotas": Action.STOP,
    "plain.vec.create": Action.STOP,
    "plain.vec.delete": Action.STOP,
    "toolarge": Action.SPLIT,
    "malformed": Action.SKIP,
}
"""Tag of a recorded call -> what its error means. Calls on a vector that 1.17 could not add name no vector there."""

UNKNOWN_VECTOR = "Not existing vector name"


def recorded() -> list[Any]:
    rows = []
    for path in sorted(FIXTURES.glob("qdrant-*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            call = json.loads(line)
            if call["status"] >= 400:
                rows.append(pytest.param(call, id=f"{path.stem.removeprefix('qdrant-')}:{call['tag']}"))
    return rows


@pytest.mark.parametrize("call", recorded())
def test_a_recorded_answer_is_sorted(call: dict[str, Any]) -> None:
    body = json.dumps(call["response"]) if isinstance(call["response"], dict) else str(call["response"] or "")
    headers = {"retry-after": str(call["retry_after"])} if call["retry_after"] else {}
    error = classify(call["status"], body, headers, "PUT /x")
    expected = Action.STOP if UNKNOWN_VECTOR in body else EXPECTED[call["tag"]]
    assert error.action is expected, str(error)
    assert "\n" not in str(error)
    assert error.status == call["status"]
    assert error.retry_after_s == (float(call["retry_after"]) if call["retry_after"] else None)


def test_every_server_has_errors_recorded() -> None:
    versions = {row.id.split(":")[0] for row in recorded()}
    assert versions == {"1.17.1", "1.18.3", "1.19.0"}
    assert {row.id.split(":")[1] for row in recorded()} >= set(EXPECTED)


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
        (400, '{"status":{"error":"Bad request: Max points count limit of 10 reached!"}}', Action.STOP),
        (400, '{"status":{"error":"Bad request: Condition size limit reached (300 > 100)"}}', Action.SPLIT),
        (
            400,
            '{"status":{"error":"Resident memory usage is at 91% of total, exceeding the configured limit of 90%"}}',
            Action.RETRY,
        ),
        (
            400,
            '{"status":{"error":"Disk usage is at 91% of total, exceeding the configured limit of 90%"}}',
            Action.STOP,
        ),
        (500, '{"status":{"error":"Service internal error: Qdrant was killed during initialization."}}', Action.STOP),
        (
            500,
            '{"status":{"error":"Service internal error: Not enough space available for optimization"}}',
            Action.STOP,
        ),
        (507, '{"status":{"error":"Insufficient storage"}}', Action.STOP),
        (418, "teapot", Action.STOP),
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
        (grpc.StatusCode.INTERNAL, "Service internal error: No space left on device", Action.STOP),
        (grpc.StatusCode.OUT_OF_RANGE, "Error, decoded message length too large: found 9 bytes", Action.SPLIT),
        (grpc.StatusCode.INVALID_ARGUMENT, 'Limit exceeded 3 > 2 for "upsert limit". Help: ...', Action.SPLIT),
        (grpc.StatusCode.UNAVAILABLE, "Shard temporarily unavailable: 0", Action.RETRY),
        (grpc.StatusCode.CANCELLED, "", Action.RETRY),
    ],
)
def test_grpc_errors_are_sorted_alike(code: grpc.StatusCode, details: str, action: Action) -> None:
    assert from_grpc(FakeRpcError(code, details)).action is action


def test_grpc_says_when_to_come_back() -> None:
    error = from_grpc(FakeRpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, "Rate limiting", (("retry-after", "7"),)))
    assert error.retry_after_s == 7.0


def test_a_quota_over_grpc_is_no_rate_limit() -> None:
    metadata = (("qdrant-insufficient-storage", "1"),)
    error = from_grpc(FakeRpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, "disk quota reached", metadata))
    assert error.action is Action.STOP


def handling(source: Exception) -> Exception:
    return ResponseHandlingException(source)


@pytest.mark.parametrize(
    ("error", "action", "words"),
    [
        (handling(httpx.ConnectError("[Errno 111] Connection refused")), Action.RETRY, "Connection refused"),
        (handling(httpx.ReadTimeout("timed out")), Action.RETRY, "timed out (ReadTimeout)"),
        (handling(httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] bad")), Action.STOP, "CERTIFICATE_VERIFY"),
        (handling(ValueError("1 validation error")), Action.STOP, "not Qdrant's JSON"),
        (json.JSONDecodeError("Expecting value", "<html>", 0), Action.STOP, "not Qdrant's JSON"),
        (httpx.RemoteProtocolError("Server disconnected"), Action.RETRY, "Server disconnected"),
        (httpx.UnsupportedProtocol("Request URL has an unsupported protocol"), Action.STOP, "unsupported protocol"),
        (ConnectionResetError(104, "Connection reset by peer"), Action.RETRY, "reset by peer"),
        (TimeoutError(), Action.RETRY, "TimeoutError"),
        (ResourceExhaustedResponse("Write rate limit exceeded", 12), Action.RETRY, "Write rate limit"),
        (
            UnexpectedResponse(404, "Not Found", b'{"status":{"error":"No point with id 3 found"}}', httpx.Headers()),
            Action.MISSING,
            "No point with id 3",
        ),
        (FakeRpcError(grpc.StatusCode.NOT_FOUND, "Collection `x` doesn't exist!"), Action.STOP, "doesn't exist"),
    ],
)
def test_exceptions_of_the_libraries_are_sorted(error: Exception, action: Action, words: str) -> None:
    found = from_exception(error, "PUT /x")
    assert found.action is action
    assert words in str(found)
    assert str(found).startswith("PUT /x: ")
    assert "\n" not in str(found)


def test_the_wait_that_the_server_asks_for_is_kept() -> None:
    assert from_exception(ResourceExhaustedResponse("slow down", 12)).retry_after_s == 12.0
    assert classify(429, "", {"retry-after": "soon"}).retry_after_s is None


def test_a_bug_stays_a_bug() -> None:
    with pytest.raises(KeyError):
        from_exception(KeyError("x"))
    error = ClusterError("said already", Action.SPLIT)
    assert from_exception(error, "PUT /x") is error


@pytest.mark.parametrize("body", [b"\xff\xfe", b"", b"{", b"[1]", b'{"status": 3}', "é\n\x1b[31mred"])
def test_any_body_gives_one_clean_line(body: bytes | str) -> None:
    text = str(classify(500, body))
    assert text.isprintable()


def test_a_page_of_html_is_not_shown() -> None:
    assert "<" not in str(classify(502, b"<!DOCTYPE html>\n<html><body>nginx</body></html>"))


@pytest.mark.parametrize("body", [b"<html><body>400 Bad Request</body></html>", b'{"error": "blocked"}', b"", b"no"])
@pytest.mark.parametrize("status", [400, 422])
def test_a_refusal_by_a_proxy_says_nothing_about_the_points(status: int, body: bytes) -> None:
    refused = classify(status, body)
    assert refused.action is Action.STOP and "something in front of it" in str(refused)
    assert classify(status, b'{"status":{"error":"Wrong input: Vector dimension error"}}').action is Action.SKIP
