"""Single requests of a running engine: asked again while the server is away, instead of ending the run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from changeover.cluster.api import Gateway
from changeover.cluster.errors import ClusterError
from changeover.engine.patience import Patience

if TYPE_CHECKING:
    from changeover.engine.context import Context

T = TypeVar("T")
READS = frozenset(
    {"version", "collections", "collection", "exists", "aliases", "count", "retrieve", "scroll", "sample"}
)
"""Methods of a gateway that only read. Searches are not among them: the canary counts each one that fails."""


async def patiently(ctx: Context, request: Callable[[], Awaitable[T]]) -> T:
    """Send again while the answer says RETRY; raises ClusterError for all else, UnreachableError, StoppedError."""
    patience = Patience(first_s=0.3, longest_pause_s=10.0, longest_s=600.0)
    while True:
        try:
            return await request()
        except ClusterError as error:
            pause = patience.pause_s(error)
            ctx.waits.note(str(error), pause)
        await asyncio.to_thread(ctx.throttle.sleep, pause)


class PatientGateway:
    """A gateway whose reads are sent patiently; everything else goes to it as it is."""

    def __init__(self, ctx: Context, gateway: Gateway) -> None:
        self._ctx = ctx
        self._gateway = gateway

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._gateway, name)
        if name not in READS:
            return found

        async def asked(*given: Any, **named: Any) -> Any:
            return await patiently(self._ctx, lambda: found(*given, **named))

        return asked
