"""A lease in the collection's metadata: no two machines work on one collection (servers from 1.16 keep metadata).

The server cannot compare and swap metadata, so a lease is written, left for a moment and read again: of two that write
at once the later one stays. Whether another's lease still lives is seen from its beat, not from clocks, which differ
between machines.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from changeover.cluster.api import Gateway
from changeover.cluster.errors import Action, ClusterError
from changeover.errors import BlockedError, StoppedError
from changeover.survey.lease import KEY, Lease, read

BEAT_S = 20.0
EXPIRES_S = 90.0
"""A beat that stands still for so long belongs to an engine that is gone."""
SETTLE_S = 1.0
"""How long a fresh lease is left before it is read again."""
REFUSED = (401, 403)


class Keeper:
    """Takes the lease, keeps it fresh, and gives it back. Without the right to write metadata there is none."""

    def __init__(
        self,
        gateway: Gateway,
        collection: str,
        run: str,
        *,
        clock: Callable[[], float],
        say: Callable[[str], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        host: str = "",
    ) -> None:
        self._gateway = gateway
        self._path = f"/collections/{quote(collection, safe='')}"
        self._collection = collection
        self._clock, self._say, self._sleep = clock, say, sleep
        self._mine = Lease(run=run, host=host or socket.gethostname(), beat=0, at=0.0, place=place(), pid=os.getpid())
        self.held = False

    async def take(self) -> None:
        """Write the lease. Raises BlockedError when another engine holds it, after having watched whether it lives.

        A collection that is not there has none: the run may have removed it itself, right before it was killed.
        """
        try:
            found = await self._read()
        except ClusterError as error:
            if error.status != 404:
                raise
            self._say(f"no lease is kept: {self._collection} is not there")
            return
        if found is not None and found.ended is None and not found.same_holder(self._mine):
            await self._outlive(found)
        try:
            await self._write()
        except ClusterError as error:
            if error.status not in REFUSED:
                raise
            self._say("no lease is kept: this key may not change metadata; only this machine's own lock protects")
            return
        await self._sleep(SETTLE_S)
        found = await self._read()
        if found is None or not found.same_holder(self._mine):
            raise _taken(self._collection, found)
        self.held = True

    async def keep(self) -> None:
        """Beat while the lease is held, and never return; raises StoppedError when another engine has taken the lease over meanwhile."""
        while self.held:
            await self._sleep(BEAT_S)
            try:
                found = await self._read()
                if found is not None and not found.same_holder(self._mine):
                    self.held = False
                    raise StoppedError(f"{_taken(self._collection, found)}; this one stops")
                await self._write()
            except ClusterError:
                # Refused now, perhaps not the next time (a full disk); the collection may be gone by the plan itself.
                # What is really wrong shows in the step at work.
                continue
        await asyncio.Event().wait()

    async def release(self) -> None:
        """Write that the run has ended or stopped; says nothing when the server is away: the lease expires."""
        if not self.held:
            return
        self.held = False
        try:
            found = await self._read()
            if found is not None and found.same_holder(self._mine):
                await self._write(ended=self._clock())
        except ClusterError:
            return

    async def _outlive(self, found: Lease) -> None:
        if self._on_this_machine(found) and not _lives(found.pid):
            if found.run != self._mine.run:
                self._say(f"the engine of {found.run} died on this machine; its lease is taken over")
            return
        self._say(
            f"{self._collection} is leased to {found.run} on {found.host}; waiting {EXPIRES_S:.0f} s to see whether it lives"
        )
        waited = 0.0
        while waited < EXPIRES_S:
            await self._sleep(BEAT_S / 2)
            waited += BEAT_S / 2
            now = await self._read()
            if now is None or now.ended is not None:
                return
            if now != found:
                raise _taken(self._collection, now)
        self._say(f"the engine of {found.run} on {found.host} is gone; its lease is taken over")

    def _on_this_machine(self, found: Lease) -> bool:
        """Whether its pid is one of this machine's; where the system tells no place, a run's own is by its host's name."""
        mine = self._mine
        if found.place or mine.place:
            return found.place == mine.place
        return (found.run, found.host) == (mine.run, mine.host)

    async def _read(self) -> Lease | None:
        info = await self._patiently(lambda: self._gateway.send("GET", self._path))
        return read(info["config"].get("metadata"))

    async def _write(self, ended: float | None = None) -> None:
        mine = msgspec.structs.replace(self._mine, beat=self._mine.beat + 1, at=self._clock(), ended=ended)
        self._mine = mine
        body = {"metadata": {KEY: msgspec.to_builtins(mine)}}
        await self._patiently(lambda: self._gateway.send("PATCH", self._path, body))

    async def _patiently(self, call: Callable[[], Awaitable[Any]]) -> Any:
        for attempt in range(5):
            try:
                return await call()
            except ClusterError as error:
                if error.action is not Action.RETRY or attempt == 4:
                    raise
                await self._sleep(min(5.0, max(error.retry_after_s or 0.0, 0.3 * 2**attempt)))
        return None


def place() -> str:
    """Which boot and process namespace this is; "" where the system does not tell (then a lease has to expire)."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        # Killed, and not waited for by the screen that started it: its pid is there for as long as that is open.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True


def _taken(collection: str, found: Lease | None) -> BlockedError:
    whose = f"{found.run} on {found.host}" if found is not None else "nobody any more"
    return BlockedError(f"another-migration: {collection} is leased to {whose}; two engines must not work on it")
