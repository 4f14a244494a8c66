"""A proxy in front of a server that fails in every way a network and a server can; it is the same for any server."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections import Counter
from typing import NamedTuple

import httpx

REFUSED = {
    "500": (500, {"status": {"error": "Service internal error: task panicked"}}, {}),
    "502": (502, "<html><body><h1>502 Bad Gateway</h1></body></html>", {}),
    "503": (503, {"status": {"error": "Service unavailable: try again"}}, {}),
    "504": (504, "upstream request timeout", {}),
    "408": (408, {"status": {"error": "Timeout error: Operation 'Update' timed out after 60 seconds"}}, {}),
    "429": (429, {"status": {"error": "Rate limiting exceeded: Write rate limit exceeded"}}, {"retry-after": "1"}),
    "429 without Retry-After": (429, {"status": {"error": "Rate limiting exceeded: Read rate limit exceeded"}}, {}),
}
KINDS = (*REFUSED, "refused", "answer dropped", "answer cut", "wait_timeout", "slow", "no space left")


class Request(NamedTuple):
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def writes(self) -> bool:
        """Whether it is answered with an update's status."""
        return "/points" in self.target and "wait=true" in self.target


class Proxy:
    """`share` of the requests fail; `outage(s)` refuses every connection for so long. Runs in a thread of its own."""

    def __init__(self, upstream: str, seed: int) -> None:
        self._upstream = upstream
        self._chance = random.Random(seed)
        self.share = 0.0
        self.struck: Counter[str] = Counter()
        self._until = 0.0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self.url = ""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def outage(self, seconds: float) -> None:
        """Nobody is there for so long."""
        self._until = self._loop.time() + seconds
        self.struck["outage"] += 1

    def close(self) -> None:
        """Stop serving."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=32)
        self._client = httpx.AsyncClient(base_url=self._upstream, timeout=120, limits=limits, trust_env=False)
        server = self._loop.run_until_complete(asyncio.start_server(self._connection, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(self._client.aclose())
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read(reader)) is not None:
                if self._loop.time() < self._until or not await self._answer(request, writer):
                    break
        except (OSError, asyncio.IncompleteReadError, httpx.HTTPError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Forward, or fail; False when the connection is to be closed."""
        kind = self._chance.choice(KINDS) if self._chance.random() < self.share else ""
        if kind == "wait_timeout" and not request.writes:
            kind = "503"
        if kind:
            self.struck[kind] += 1
        if kind == "refused":
            return False
        if kind == "no space left":
            # A node that runs full says so before it writes; the engine stops, resumable.
            error = {"status": {"error": "Service internal error: No space left on device"}}
            return await _send(writer, 500 if request.writes else 503, json.dumps(error).encode(), {})
        if kind in REFUSED:
            status, body, headers = REFUSED[kind]
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            return await _send(writer, status, data, headers)
        if kind == "slow":
            await asyncio.sleep(self._chance.uniform(0.2, 1.0))
        answer = await self._client.request(
            request.method,
            request.target,
            content=request.body,
            headers={"content-type": request.headers.get("content-type", "application/json")},
        )
        if kind == "answer dropped":
            return False
        if kind == "answer cut":
            head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(answer.content) + 50}\r\n\r\n".encode()
            writer.write(head + answer.content[: len(answer.content) // 2])
            await writer.drain()
            return False
        if kind == "wait_timeout":
            body = {"result": {"operation_id": 1, "status": "wait_timeout"}, "status": "ok", "time": 0.1}
            return await _send(writer, 200, json.dumps(body).encode(), {})
        return await _send(writer, answer.status_code, answer.content, {})


async def _read(reader: asyncio.StreamReader) -> Request | None:
    line = await reader.readline()
    if not line.strip():
        return None
    method, target, _ = line.decode().split(" ", 2)
    headers = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode().partition(":")
        headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, target, headers, body)


async def _send(writer: asyncio.StreamWriter, status: int, body: bytes, headers: dict[str, str]) -> bool:
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()
    return True
