"""Where the app reaches the world: the real wizard, the real sandbox, the client library; tests give others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from changeover.engine.folder import RunFolder
    from changeover.plan.model import Access
    from changeover.sandbox.demo import DemoWorld
    from changeover.sandbox.scenarios import ScenarioName
    from changeover.side_by_side.comparison import Comparison
    from changeover.wizard import Wizard

MakeWizard = Callable[["Access", Mapping[str, str]], "Wizard"]
Say = Callable[[str], None]
OpenDemo = Callable[[Mapping[str, str], Say, "ScenarioName"], "DemoWorld"]
"""Environment, what is called with a line for each step on the way, and the scenario."""


def real_wizard(access: Access, environ: Mapping[str, str]) -> Wizard:
    """The wizard on a real cluster."""
    from changeover.wizard import Wizard

    return Wizard(access, environ)


def real_demo(environ: Mapping[str, str], say: Say, scenario: ScenarioName) -> DemoWorld:
    """Start the sandbox; raises UsageError when its packages are not installed."""
    from changeover.sandbox.demo import open_demo

    return open_demo(environ, say=say, scenario=scenario)


async def real_comparison(run: RunFolder, environ: Mapping[str, str], say: Say) -> Comparison:
    """Connect to the run's cluster and open the models of both sides."""
    from changeover.side_by_side.comparison import open_comparison

    return await open_comparison(run, environ, tell=say)


class WarmUp:
    """Imports the client library behind the first frame: it takes a second that nobody should wait for.

    A daemon thread, not a Textual worker: a worker's thread would keep the process alive after `q`.
    """

    def __init__(self) -> None:
        self._thread = threading.Thread(target=_import_client, daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    async def done(self) -> None:
        """Wait for the end; the event loop goes on meanwhile."""
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)


def _import_client() -> None:
    import qdrant_client  # noqa: F401
