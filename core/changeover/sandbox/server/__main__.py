"""`python -m changeover.sandbox.server`: serve the sandbox on 127.0.0.1 until SIGTERM or until the parent is gone."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import uvicorn

from changeover.errors import ChangeoverError, UsageError
from changeover.sandbox.server.app import Keys, Sandbox
from changeover.sandbox.server.cluster import Cluster
from changeover.sandbox.server.generations import GENERATIONS, generation
from changeover.sandbox.server.inference import SandboxInference

PARENT_CHECK_S = 0.5
KEEP_ALIVE_S = 300
"""Longer than any pause of a client, so that no request meets a connection that is just being closed."""


class Server(uvicorn.Server):
    """Says when it is ready, and closes the cluster before it lets the signal through."""

    def __init__(self, config: uvicorn.Config, cluster: Cluster, url: str) -> None:
        super().__init__(config)
        self._cluster = cluster
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then print one JSON line with the address."""
        await super().startup(sockets)
        sys.stdout.write(json.dumps({"url": self._url, "pid": os.getpid()}) + "\n")
        sys.stdout.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop answering, then flush and close every collection."""
        await super().shutdown(sockets)
        self._cluster.close()


def main(arguments: list[str] | None = None) -> int:
    """Run until stopped; 0, or the exit code of a ChangeoverError told in one line."""
    options = _options(arguments)
    try:
        with contextlib.ExitStack() as stack:
            data = options.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="changeover-sandbox-")))
            listener = stack.enter_context(_listen(options.port))
            keys = Keys(_key(options.api_key_env), _key(options.read_only_key_env))
            inference = SandboxInference(data / "models") if options.inference else None
            cluster = Cluster(data, generation(options.generation), inference)
            stack.callback(cluster.close)
            if options.parent_pid:
                threading.Thread(target=_watch, args=(options.parent_pid,), daemon=True).start()
            _serve(listener, cluster, keys)
    except ChangeoverError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    return 0


def _serve(listener: socket.socket, cluster: Cluster, keys: Keys) -> None:
    config = uvicorn.Config(
        Sandbox(cluster, keys).asgi,
        loop="asyncio",
        http="h11",
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=2,
    )
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    # uvicorn raises the signal again once it has stopped; here stopping on SIGTERM or SIGINT is the normal end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    asyncio.run(Server(config, cluster, url).serve(sockets=[listener]))


def _listen(port: int) -> socket.socket:
    # asyncio switches Nagle's algorithm off only for sockets that name the protocol; with it a search takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise UsageError(f"Port {port} cannot be used ({error.strerror}); choose another --port, or 0.") from error
    listener.listen(128)
    return listener


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    value = os.environ.get(variable)
    if not value:
        raise UsageError(f"The environment variable {variable} is to hold an API key and is not set.")
    return value


def _watch(parent: int) -> None:
    """Stop when the parent is gone; a parent that was ours is gone as soon as another process adopts us."""
    ours = os.getppid() == parent
    while True:
        time.sleep(PARENT_CHECK_S)
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            break
        except PermissionError:
            continue
        if ours and os.getppid() != parent:
            break
    os.kill(os.getpid(), signal.SIGTERM)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m changeover.sandbox.server", description=__doc__)
    parser.add_argument("--generation", default="1.18", choices=tuple(GENERATIONS))
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--api-key-env", metavar="NAME")
    parser.add_argument("--read-only-key-env", metavar="NAME")
    parser.add_argument("--inference", action="store_true", help="embed texts, as Qdrant Cloud does")
    parser.add_argument("--parent-pid", type=int)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
