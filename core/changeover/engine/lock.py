"""One engine per run: an advisory file lock that the kernel frees when the process dies, however it dies."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from changeover.errors import BlockedError, UsageError

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class RunLock:
    """Held for the life of an engine."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def acquire(self) -> None:
        """Take the lock and write our pid beside it; raises BlockedError when another engine holds it."""
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise UsageError(f"{self._path}: cannot be opened: {error.strerror}") from None
        # Somebody who only looks (`holder`) has the lock for a moment: that is no other engine.
        for _ in range(10):
            if _try_lock(self._fd):
                break
            time.sleep(0.05)
        else:
            os.close(self._fd)
            self._fd = -1
            raise BlockedError(f"another engine is already working on this run ({self._path.parent.name})")
        with suppress(OSError):  # a full disk: the lock is held all the same
            descriptor = os.open(self._path.with_suffix(".pid"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as out:
                out.write(str(os.getpid()))

    def release(self) -> None:
        """Give the lock back."""
        if self._fd >= 0:
            self._path.with_suffix(".pid").unlink(missing_ok=True)
            _unlock(self._fd)
            os.close(self._fd)
            self._fd = -1


def holder(path: Path) -> int | None:
    """The pid of the process that holds the lock, or None; 0 when it is held but its pid is not known yet."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    except PermissionError:  # somebody who may only read can still look
        descriptor = os.open(path, os.O_RDONLY)
    try:
        if _try_lock(descriptor):
            _unlock(descriptor)
            return None
    finally:
        os.close(descriptor)
    try:
        return int(path.with_suffix(".pid").read_text())
    except (OSError, ValueError):
        return 0
