"""A loopback HTTP server whose answers a test chooses; it records every request exactly as it came."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Call(NamedTuple):
    """One request."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Reply(NamedTuple):
    """One answer; a dict or list is sent as JSON, bytes as they are; None closes the connection without a word."""

    status: int = 200
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()


ROOT = Reply(200, {"title": "qdrant - vector search engine", "version": "1.18.3"})
COLLECTIONS = Reply(200, {"result": {"collections": [{"name": "docs"}]}, "status": "ok"})


def ok(result: Any) -> Reply:
    """A success as Qdrant wraps it."""
    return Reply(200, {"result": result, "status": "ok", "time": 0.001})


def qdrant(answer: Callable[[Call], Reply]) -> Callable[[Call], Reply]:
    """Answers `/` and `/collections` as a server does, all else by `answer`."""
    return lambda call: {"/": ROOT, "/collections": COLLECTIONS}.get(call.path) or answer(call)


class Server(NamedTuple):
    """A running server and what it was asked."""

    url: str
    calls: list[Call]


@contextmanager
def serving(answer: Callable[[Call], Reply]) -> Iterator[Server]:
    """Serve until the block ends."""
    calls: list[Call] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            call = Call(self.command, self.path, body, {k.lower(): v for k, v in self.headers.items()})
            calls.append(call)
            reply = answer(call)
            if reply.status == 0:
                self.close_connection = True
                return
            data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in (*reply.headers, ("content-length", str(len(data)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _serve

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_address[1]}", calls)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
