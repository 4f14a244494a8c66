"""Terminal faults that would end a Textual app, and how they are met."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable


def tolerate_broken_bytes() -> None:
    """Let undecodable input pass instead of crashing the app.

    A legacy X10 mouse report past column 95 is not UTF-8, and Textual 8.2.8 decodes strictly (Textualize/textual issue
    6668, fix not merged). The name that its Linux driver looks up is replaced; a driver without it is left alone.
    """
    if sys.platform == "win32":
        return
    import codecs

    from textual.drivers import linux_driver

    if not hasattr(linux_driver, "getincrementaldecoder"):
        return

    def forgiving(encoding: str) -> Callable[..., codecs.IncrementalDecoder]:
        decoder = codecs.getincrementaldecoder(encoding)
        return lambda errors="replace": decoder(errors)

    linux_driver.getincrementaldecoder = forgiving


def ask_the_terminal_for_its_size() -> None:
    """Forget exported COLUMNS and LINES: Textual 8.2.8 believes them for ever and misses every resize."""
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)


GRACE_S = 5.0
"""How long the app may take to leave after a signal before its process is ended."""
_watchdogs: list[threading.Timer] = []


def called_off() -> None:
    """The app has left by itself."""
    while _watchdogs:
        _watchdogs.pop().cancel()


def on_hangup(leave: Callable[[int], object]) -> None:
    """Call `leave(128 + n)` on SIGTERM and SIGHUP, so that the terminal is restored; must run in the event loop.

    A terminal that is gone takes no more output, and Textual 8.2.8 can then wait for ever on its writer (seen when a
    tmux server was killed): the process is ended after GRACE_S unless `called_off` was called.
    """
    if sys.platform == "win32":
        return
    loop = asyncio.get_running_loop()

    def go(code: int) -> None:
        watchdog = threading.Timer(GRACE_S, os._exit, (code,))
        watchdog.daemon = True
        watchdog.start()
        _watchdogs.append(watchdog)
        leave(code)

    for number in (signal.SIGTERM, signal.SIGHUP):
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, go, 128 + number)
