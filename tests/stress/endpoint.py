"""A model endpoint that speaks OpenAI's protocol and fails in every way such an endpoint can; the model is wordllama."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from changeover.embed.model import ModelSpec
from changeover.embed.protocol import load

MODEL = ModelSpec(provider="sandbox", name="wordllama")
TOKENS = 100
"""Billed for each text."""
REFUSED: dict[str, tuple[int, dict[str, str]]] = {
    "model 500": (500, {}),
    "model 503": (503, {}),
    "model 429": (429, {"Retry-After": "1"}),
    "model 429 without Retry-After": (429, {}),
}
KINDS = (*REFUSED, "model gone", "model garbled", "model answers half", "model slow")


class Endpoint:
    """`share` of the requests fail; `outage(s)` closes every connection for so long. Runs in threads of its own."""

    def __init__(self, seed: int) -> None:
        self.share = 0.0
        self.struck: Counter[str] = Counter()
        self._chance, self._lock = random.Random(seed), threading.Lock()
        self._embedder = load(MODEL)
        self._until = 0.0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def spec(self) -> ModelSpec:
        """The model as answers name it; a million tokens cost as much as one counts."""
        url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        return ModelSpec(provider="openai", name="wordllama", url=url, price_per_million_tokens=1.0)

    def outage(self, seconds: float) -> None:
        """Nobody answers for so long."""
        self._until = time.monotonic() + seconds
        self.struck["model outage"] += 1

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, texts: list[str]) -> tuple[int, dict[str, str], bytes] | None:
        """Status, headers and body; None to hang up."""
        if time.monotonic() < self._until:
            return None
        with self._lock:
            kind = self._chance.choice(KINDS) if self._chance.random() < self.share else ""
            if kind:
                self.struck[kind] += 1
        if kind in REFUSED:
            status, headers = REFUSED[kind]
            return status, headers, b'{"error": {"message": "try again later"}}'
        if kind == "model gone":
            return None
        if kind == "model slow":
            time.sleep(0.5)
        with self._lock:
            vectors = self._embedder.embed_documents(texts)
        rows = [{"index": i, "embedding": [float(x) for x in vector]} for i, vector in enumerate(vectors)]
        whole = json.dumps({"data": rows, "usage": {"total_tokens": TOKENS * len(texts)}}).encode()
        if kind == "model garbled":
            return 200, {}, whole[: len(whole) // 2]
        if kind == "model answers half":
            return 200, {}, json.dumps({"data": rows[: len(rows) // 2], "usage": {"total_tokens": 1}}).encode()
        return 200, {}, whole

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                answered = endpoint.answer(body["input"])
                if answered is None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                status, headers, data = answered
                self.send_response(status)
                for name, value in {**headers, "Content-Type": "application/json"}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler
