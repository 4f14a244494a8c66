"""The HTTP side of the sandbox: routes, keys, body limit, faults and the servers' shapes of answers."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from changeover.sandbox.server import refusals
from changeover.sandbox.server.calls import Call, Text, Whole
from changeover.sandbox.server.cluster import Cluster, Settings
from changeover.sandbox.server.faults import Faults, Rule, refusal, unfinished
from changeover.sandbox.server.refusals import Refused
from changeover.sandbox.server.routes import ROWS, Right, Row

BODY_LIMIT = 32 * 1024 * 1024
NO_KEY = "Must provide an API key or an Authorization bearer token"
WRONG_KEY = "Invalid API key or JWT"
SEARCHES = ("/points/query", "/points/query/batch", "/points/search")
READ_ONLY = "Forbidden: Global manage access is required"
Endpoint = Callable[[Request], Awaitable[Response]]


class Keys:
    """The API keys in force; without any everything is allowed."""

    def __init__(self, full: str | None, read_only: str | None) -> None:
        self._full = full
        self._read_only = read_only

    def check(self, request: Request, right: Right) -> None:
        """Refuse a request whose key does not give the right; texts of server source."""
        if right == "none" or not (self._full or self._read_only):
            return
        given = request.headers.get("api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        if not given:
            raise Refused(401, NO_KEY, plain=True)
        if self._full and secrets.compare_digest(given.encode(), self._full.encode()):
            return
        if self._read_only and secrets.compare_digest(given.encode(), self._read_only.encode()):
            if right == "write":
                raise Refused(403, READ_ONLY)
            return
        raise Refused(401, WRONG_KEY, plain=True)


class Stats:
    """Counts of requests and answers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[str, int] = {}
        self._statuses: dict[str, int] = {}

    def count(self, request: str, status: str) -> None:
        """Count one request such as "PUT /collections/{name}/points" and its status, or "none"."""
        with self._lock:
            self._requests[request] = self._requests.get(request, 0) + 1
            self._statuses[status] = self._statuses.get(status, 0) + 1

    def document(self, faults: Faults) -> dict[str, Any]:
        """The answer of `GET /sandbox/stats`."""
        with self._lock:
            total = sum(self._requests.values())
            return {
                "total": total,
                "requests": dict(self._requests),
                "statuses": dict(self._statuses),
                "faults": dict(faults.struck),
            }


class Latency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT /sandbox/latency`: by how many milliseconds the answer to every search is delayed."""

    search_ms: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class Sandbox:
    """The application around a cluster; `asgi` is what the HTTP server runs."""

    def __init__(self, cluster: Cluster, keys: Keys) -> None:
        self._cluster = cluster
        self._keys = keys
        self._faults = Faults()
        self._stats = Stats()
        self._latency = Latency()
        self._tasks: set[asyncio.Task[None]] = set()
        known = [row for row in ROWS if row.known(cluster.generation)]
        routes = [Route(row.path, self._endpoint(row), methods=[row.method]) for row in known]
        own = {
            ("GET", "/sandbox"): self._about,
            ("GET", "/sandbox/stats"): self._show_stats,
            ("PUT", "/sandbox/faults"): self._set_faults,
            ("PUT", "/sandbox/settings"): self._set_settings,
            ("PUT", "/sandbox/latency"): self._set_latency,
        }
        routes += [Route(path, endpoint, methods=[method]) for (method, path), endpoint in own.items()]
        nothing: Any = {404: _no_route, 405: _no_route}
        self.asgi = Starlette(routes=routes, exception_handlers=nothing)

    def _endpoint(self, row: Row) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            response = await self._answer(request, row)
            self._stats.count(f"{request.method} {row.path}", str(response.status_code) if response else "none")
            return response or await _hang_up(request)

        return endpoint

    async def _answer(self, request: Request, row: Row) -> Response | None:
        """The response; None when a fault says that there is none."""
        started = time.perf_counter()
        rule = self._faults.pick(request.method, request.url.path)
        raw = await request.body()
        try:
            self._keys.check(request, row.right)
            if len(raw) > BODY_LIMIT:
                size = f"JSON payload ({len(raw)} bytes) is larger than allowed (limit: {BODY_LIMIT} bytes)."
                raise Refused(400, self._cluster.generation.too_large + size)
            if rule is not None and rule.kind == "partial-404":
                await run_in_threadpool(self._run, row, request, raw, started, partly=True)
            if rule is None or rule.apply == "before" or row.right != "write":
                content = await run_in_threadpool(self._run, row, request, raw, started)
            else:
                content = b""
        except Refused as refused:
            if rule is None or rule.kind == "partial-404":
                return _refusal(refused, started)
            content = b""
        if rule is not None:
            response = await _fault(rule, content, started)
            if rule.apply == "after" and row.right == "write":
                self._later(rule.delay_s, row, request, raw)
            return response
        if self._latency.search_ms and request.url.path.endswith(SEARCHES):
            await asyncio.sleep(self._latency.search_ms / 1000)
        return content if isinstance(content, Response) else _json(content)

    def _later(self, delay_s: float, row: Row, request: Request, raw: bytes) -> None:
        """Let a request take effect in a while, when nobody is listening any more."""

        async def work() -> None:
            await asyncio.sleep(delay_s)
            with contextlib.suppress(Refused):
                await run_in_threadpool(self._run, row, request, raw, time.perf_counter())

        task = asyncio.create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _run(self, row: Row, request: Request, raw: bytes, started: float, *, partly: bool = False) -> bytes | Response:
        """Run a handler, in a thread, and encode its answer there too."""
        call = Call(self._cluster, request.path_params, request.query_params, raw, takes=row.takes, partly=partly)
        try:
            result = row.handler(call)
        except Refused:
            raise
        except KeyError as error:
            traceback.print_exc()
            raise refusals.malformed(f"missing field `{error.args[0]}`") from error
        except Exception as error:
            traceback.print_exc()
            raise Refused(500, f"Service internal error: the sandbox stumbled: {error!r}") from error
        if isinstance(result, Text):
            return Response(result.text, media_type="text/plain")
        document = result.document if isinstance(result, Whole) else _around(result, started)
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)

    async def _about(self, request: Request) -> Response:
        return _json(
            orjson.dumps(
                {
                    "what": "Changeover's sandbox: the Qdrant core behind a loopback server, for trying and testing. "
                    "Never a database.",
                    "generation": self._cluster.generation.version,
                    "core": "qdrant-edge-py",
                    "settings": msgspec.to_builtins(self._cluster.settings),
                }
            )
        )

    async def _show_stats(self, request: Request) -> Response:
        return _json(orjson.dumps(self._stats.document(self._faults)))

    async def _set_faults(self, request: Request) -> Response:
        try:
            self._faults.set(await request.body())
        except Refused as refused:
            return _refusal(refused, time.perf_counter())
        return _json(orjson.dumps({"result": True}))

    async def _set_latency(self, request: Request) -> Response:
        try:
            self._latency = msgspec.json.decode(await request.body(), type=Latency)
        except msgspec.DecodeError as error:
            return _refusal(refusals.malformed(str(error)), time.perf_counter())
        return _json(orjson.dumps({"result": True}))

    async def _set_settings(self, request: Request) -> Response:
        try:
            self._cluster.settings = msgspec.json.decode(await request.body(), type=Settings)
        except msgspec.DecodeError as error:
            return _refusal(refusals.malformed(str(error)), time.perf_counter())
        return _json(orjson.dumps({"result": True}))


def _around(result: Any, started: float) -> dict[str, Any]:
    return {"usage": None, "result": result, "status": "ok", "time": time.perf_counter() - started}


def _json(content: bytes | Response, status: int = 200) -> Response:
    return content if isinstance(content, Response) else Response(content, status, media_type="application/json")


def _refusal(refused: Refused, started: float) -> Response:
    if refused.plain:
        kind = "text/plain" if refused.text else None
        return Response(refused.text, refused.status, media_type=kind)
    document = {"usage": None, "status": {"error": refused.text}, "time": time.perf_counter() - started}
    response = _json(orjson.dumps(document), refused.status)
    if refused.retry_after is not None:
        response.headers["Retry-After"] = str(refused.retry_after)
    return response


async def _fault(rule: Rule, content: Any, started: float) -> Response | None:
    refused = refusal(rule)
    if refused is not None:
        return _refusal(refused, started)
    if rule.kind == "wait_timeout":
        applied = orjson.loads(content)["result"] if isinstance(content, bytes) and content else None
        operation = applied.get("operation_id", 0) if isinstance(applied, dict) else 0
        return _json(orjson.dumps(_around(unfinished(operation), started)))
    if rule.kind == "timeout":
        await asyncio.sleep(rule.delay_s)
    return None


async def _hang_up(request: Request) -> Response:
    """Close the connection without an answer; ASGI has no word for it, so the server's transport is asked."""
    cycle = request.receive.__self__  # type: ignore[attr-defined]
    cycle.transport.abort()
    await request.receive()
    return Response(b"")


async def _no_route(request: Request, error: Exception) -> Response:
    return _refusal(refusals.no_route(), time.perf_counter())
