"""The error taxonomy: every answer that a Qdrant server gives is sorted once, here, into what the engine does next.

Texts are from recorded answers of 1.17.1, 1.18.3 and 1.19.0 and, where none was recorded, from the server's source.
"""

from __future__ import annotations

import re
from enum import Enum
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from changeover.errors import ChangeoverError, ExitCode
from changeover.safe_text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping


class Action(Enum):
    """What to do about a failed request."""

    RETRY = "retry"
    """The same request again later; `retry_after_s` when the server said when."""
    SPLIT = "split"
    """Too large or too many points: halve the batch."""
    SKIP = "skip"
    """Something in the batch is rejected for good: bisect, record the point, go on."""
    MISSING = "missing"
    """A point of an update is gone and part of the batch was not applied: re-send those that still exist."""
    STOP = "stop"
    """No request like this will succeed: stop, resumable."""


class ClusterError(ChangeoverError):
    """A request failed; the message is one line without any key."""

    def __init__(
        self,
        message: str,
        action: Action,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        where: str = "",
    ) -> None:
        super().__init__(message)
        self.action = action
        self.status = status
        self.retry_after_s = retry_after_s
        self.where = where
        self.exit_code = ExitCode.UNREACHABLE if action in (Action.RETRY, Action.STOP) else ExitCode.BUG


class NeedsRestError(ClusterError):
    """A payload holds a number that gRPC cannot carry; REST can."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Action.STOP)


class Rule(NamedTuple):
    """One row of the table: status (None: any) and pattern of the text -> action."""

    status: int | None
    pattern: str
    action: Action


RULES: tuple[Rule, ...] = (
    # The rate limiter's 429 without Retry-After: the batch is larger than a whole minute's tokens.
    Rule(429, r"request larger than rate limiter capacity", Action.SPLIT),
    Rule(429, r"", Action.RETRY),
    Rule(413, r"", Action.SPLIT),
    Rule(400, r"is larger than allowed \(limit: \d+ bytes\)|message length too large", Action.SPLIT),
    Rule(400, r'Limit exceeded \d+ > \d+ for "(upsert|update|delete|search batch)', Action.SPLIT),
    Rule(400, r'Limit exceeded \d+ > \d+ for "limit"', Action.SPLIT),
    Rule(400, r"Condition size limit reached", Action.SPLIT),
    # Memory is freed again when the optimizer is done; disk is not.
    Rule(400, r"Resident memory usage is at", Action.RETRY),
    Rule(400, r"(Max \w+ ?\w* ?storage size limit|Max points count limit|exceeding the configured limit)", Action.STOP),
    Rule(400, r"Not existing vector name error", Action.STOP),
    Rule(400, r"(Shard key not specified|Shard key .* not found|Distributed mode disabled)", Action.STOP),
    Rule(400, r"Exact search disabled|Index required but not found|No (appropriate|range) index", Action.STOP),
    Rule(400, r"Filter condition limit reached|Cannot use an `offset`|Limit exceeded", Action.STOP),
    Rule(400, r"already exists with a different configuration|already exists as a sparse vector", Action.STOP),
    Rule(400, r"Alias with the same name already exists", Action.STOP),
    # The request itself is not understood, whatever its points are.
    Rule(400, r"unknown variant|Expected some form of condition|untagged enum QuantizationConfig", Action.STOP),
    Rule(400, r"Empty update request", Action.STOP),
    Rule(400, r"", Action.SKIP),
    Rule(422, r"in path parameters|in query parameters", Action.STOP),
    Rule(422, r"", Action.SKIP),
    Rule(404, r"No point with id", Action.MISSING),
    Rule(500, r"No point with id", Action.MISSING),
    Rule(500, r"No space left on device|Not enough space available", Action.STOP),
    Rule(500, r"killed during initialization|[Rr]ecovery mode", Action.STOP),
    Rule(500, r"InferenceService", Action.STOP),
    Rule(500, r"", Action.RETRY),
    Rule(408, r"", Action.RETRY),
    Rule(502, r"", Action.RETRY),
    Rule(503, r"", Action.RETRY),
    Rule(504, r"", Action.RETRY),
)
"""First match wins; what no row matches (401, 403, 404, 405, 409, 507, ...) means STOP."""

GRPC_STATUS: dict[str, int] = {
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "DEADLINE_EXCEEDED": 504,
    "UNAVAILABLE": 503,
    "INTERNAL": 500,
    "ABORTED": 503,
    "CANCELLED": 503,
    "UNKNOWN": 500,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 405,
    "FAILED_PRECONDITION": 500,
    "DATA_LOSS": 400,
}
"""gRPC status name -> the HTTP status that the REST interface gives the same failure."""

INSUFFICIENT_STORAGE = "qdrant-insufficient-storage"
"""Trailing metadata that tells a quota from a rate limit: both are RESOURCE_EXHAUSTED (server source 1.19.0)."""


def classify(status: int, body: bytes | str, headers: Mapping[str, str] | None = None, where: str = "") -> ClusterError:
    """Sort an answer of status >= 300; `where` is method and path for the message."""
    text = error_text(body)
    action = next(
        (r.action for r in RULES if r.status in (None, status) and re.search(r.pattern, text)),
        Action.STOP,
    )
    words = _advice(status, text) if status in (401, 403) or not text else text
    if action is Action.SKIP and isinstance(body, bytes) and not _is_qdrants(body):
        # A proxy or firewall in front of the cluster: that says nothing about the points.
        action, words = Action.STOP, f"not Qdrant, but something in front of it, refused the request: {words}"
    prefix = f"{where}: " if where else ""
    return ClusterError(
        f"{prefix}{words} (HTTP {status})", action, status=status, retry_after_s=_retry_after(headers), where=where
    )


def from_exception(error: BaseException, where: str = "") -> ClusterError:
    """Sort what qdrant-client, httpx, gRPC or the socket raised; anything else is a bug and is raised again.

    A certificate that is not trusted and an answer that is no JSON mean STOP; no answer at all means RETRY.
    """
    if isinstance(error, ClusterError):
        return error
    # By name, so that none of the three libraries is imported to sort an error of another.
    names = {kind.__name__ for kind in type(error).__mro__}
    known: Any = error
    if "ResourceExhaustedResponse" in names:
        return classify(429, known.message, {"retry-after": str(known.retry_after_s)}, where)
    if "UnexpectedResponse" in names:
        return classify(known.status_code or 0, known.content, known.headers, where)
    if "ResponseHandlingException" in names:
        source = known.source
        return foreign_answer(where) if isinstance(source, ValueError) else from_exception(source, where)
    if "RpcError" in names:
        return from_grpc(error, where)
    if names & {"JSONDecodeError", "ValidationError", "DecodingError"}:
        return foreign_answer(where)
    if names & {"UnsupportedProtocol", "InvalidURL", "LocalProtocolError", "TooManyRedirects"}:
        return ClusterError(f"{where}: {_line(error)}" if where else _line(error), Action.STOP, where=where)
    if names & {"HTTPError", "OSError", "TimeoutError"}:
        return unreachable(error, where)
    raise error


def foreign_answer(where: str = "") -> ClusterError:
    """Something answered with success, but not as Qdrant does."""
    prefix = f"{where}: " if where else ""
    return ClusterError(f"{prefix}the answer is not Qdrant's JSON", Action.STOP, where=where)


def unreachable(error: BaseException, where: str = "") -> ClusterError:
    """A request that got no answer: refused, reset, timed out, name unknown: to be retried. A bad certificate: STOP."""
    prefix = f"{where}: " if where else ""
    words = _line(error)
    action = Action.STOP if "CERTIFICATE_VERIFY_FAILED" in words else Action.RETRY
    return ClusterError(f"{prefix}no answer from the server: {words} ({type(error).__name__})", action, where=where)


def wait_timeout(where: str = "") -> ClusterError:
    """HTTP 200 with `wait_timeout` (>= 1.17): the server goes on, but nobody knows whether it is done."""
    prefix = f"{where}: " if where else ""
    return ClusterError(
        f"{prefix}the server answered wait_timeout: the update is not confirmed yet", Action.RETRY, where=where
    )


def from_grpc(error: BaseException, where: str = "") -> ClusterError:
    """Sort a grpc.RpcError."""
    code = getattr(error, "code", lambda: None)()
    name = getattr(code, "name", "UNKNOWN")
    detail = str(getattr(error, "details", lambda: "")() or "")
    status = GRPC_STATUS.get(name, 500)
    if name == "UNAVAILABLE" and not detail.startswith(("Shard", "Service")):
        return unreachable(ConnectionError(detail or name), where)
    metadata = dict(getattr(error, "trailing_metadata", lambda: ())() or ())
    if name == "RESOURCE_EXHAUSTED" and "message larger than" in detail:
        status = 413
    if name == "RESOURCE_EXHAUSTED" and INSUFFICIENT_STORAGE in metadata:
        status = 507
    headers = {"retry-after": str(metadata["retry-after"])} if "retry-after" in metadata else None
    return classify(status, detail, headers, where)


def error_text(body: bytes | str) -> str:
    """The server's words: `status.error` of a JSON answer, else the plain text in one line, cut at 300 characters."""
    raw = body.encode("utf-8", "replace") if isinstance(body, str) else body
    try:
        text = str(msgspec.json.decode(raw)["status"]["error"])
    except (msgspec.DecodeError, KeyError, TypeError, UnicodeDecodeError, RecursionError):
        text = raw.decode("utf-8", "replace")
    if re.match(r"\s*<(!doctype|html|head|body|\?xml)", text, re.IGNORECASE):
        text = "an HTML page instead of Qdrant's JSON"
    return clean(text, 300)


def _is_qdrants(body: bytes) -> bool:
    """Whether a refusal has Qdrant's form: JSON with `status.error`."""
    try:
        return isinstance(msgspec.json.decode(body)["status"]["error"], str)
    except (msgspec.DecodeError, KeyError, TypeError, UnicodeDecodeError, RecursionError):
        return False


def _line(error: BaseException) -> str:
    return clean(error, 300) or type(error).__name__


def _retry_after(headers: Mapping[str, str] | None) -> float | None:
    value = (headers or {}).get("retry-after") or (headers or {}).get("Retry-After")
    try:
        seconds = float(value) if value is not None else None
    except ValueError:
        return None
    return max(0.0, seconds) if seconds is not None and isfinite(seconds) else None


def _advice(status: int, text: str) -> str:
    if status == 401:
        return f"the server refused the key ({text or 'unauthorised'}); set the right one in the key's variable"
    if status == 403:
        return f"the key may not do this ({text or 'forbidden'}); use one with the rights that the plan names"
    if status == 404:
        return "the server does not know this request; its version is too old, or the URL is not Qdrant's"
    return "the server gave no reason"
