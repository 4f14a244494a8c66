"""Where the runs on this machine stand, in a word and in words; also of folders that cannot be read."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from changeover.afterwards.backs import Window, back_runs, window_of
from changeover.engine import launch
from changeover.engine.folder import RunFolder
from changeover.engine.journal import Tail
from changeover.engine.state import RunState, begin, fold
from changeover.errors import ChangeoverError
from changeover.plan.model import Plan
from changeover.words import duration

Word = Literal["running", "paused", "ready", "finished", "stopped", "interrupted"]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run stands. `interrupted`: its engine died without a word."""

    word: Word
    why: str = ""
    """Of a run that stopped: the reason that its engine gave."""
    window: Window | None = None
    """The way back that is open: from this run, or this run itself."""

    @property
    def resumable(self) -> bool:
        """Whether its engine can be started again."""
        return self.word in ("stopped", "interrupted")

    @property
    def words(self) -> str:
        """As a person reads it: `ready for the cutover`, `finished, way back open for 3 h 12 min`."""
        if self.window is not None and not self.window.asked:
            left = self.window.left_s
            still = "" if left is None else f" for {duration(max(0.0, left))}"
            stale = "" if self.window.alive else ", but no engine keeps it fresh"
            return f"{'finished, ' if self.word == 'finished' else ''}way back open{still}{stale}"
        if self.window is not None:
            return "finished, going back" if self.window.alive else "finished, going back was stopped"
        if self.word == "ready":
            return "ready for the cutover"
        return f"stopped: {self.why}" if self.word == "stopped" and self.why else self.word


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One folder among the runs: a run and where it stands, or why it cannot be read."""

    folder: RunFolder
    plan: Plan | None = None
    state: RunState | None = None
    standing: Standing | None = None
    broken: str = ""
    age_s: float | None = None
    """Since it began; None where that is not known."""


class Runs:
    """Every run on this machine; a second look reads only what was written since."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[Path, tuple[int, Plan, Tail, RunState]] = {}

    def look(self, now: float | None = None, most: int | None = None) -> tuple[Seen, ...]:
        """The newest first, at most so many; a folder that cannot be read says why."""
        now = time.time() if now is None else now
        return tuple(self.at(RunFolder(path), now) for path in _folders(self._root)[:most])

    def at(self, folder: RunFolder, now: float) -> Seen:
        """One of them."""
        try:
            plan, state = self._read(folder)
            begun = state.started_at or datetime.fromisoformat(plan.created_at).timestamp()
            standing = self._standing(folder, plan, state, now)
            return Seen(folder=folder, plan=plan, state=state, standing=standing, age_s=max(0.0, now - begun))
        except KeyError as error:
            return Seen(folder=folder, broken=f"its journal names a step that its plan lacks: {error}")
        except (ChangeoverError, OSError, ValueError) as error:
            return Seen(folder=folder, broken=str(error).removeprefix(str(folder.path)).lstrip("/:. "))

    def _read(self, folder: RunFolder) -> tuple[Plan, RunState]:
        plan_path = folder.path / "plan.json"
        written = plan_path.stat().st_mtime_ns if plan_path.exists() else 0
        known = self._known.get(folder.path)
        if known is None or known[0] != written:
            plan = folder.plan()
            known = (written, plan, Tail(folder.journal), begin(plan))
        _, plan, tail, state = known
        state = fold(state, tail.read())
        self._known[folder.path] = (written, plan, tail, state)
        return plan, state

    def _standing(self, folder: RunFolder, plan: Plan, state: RunState, now: float) -> Standing:
        back = None
        if state.cutover is not None and not plan.follows:
            # A broken way back is listed by itself, and takes nothing from this run.
            with suppress(ChangeoverError, OSError, KeyError, ValueError):
                back = next(((run, *self._read(run)) for run in back_runs(folder)[-1:]), None)
        return standing(folder, plan, state, back, now)


def at(folder: RunFolder) -> Seen:
    """One run as it stands now."""
    return Runs(folder.path.parent).at(folder, time.time())


Back = tuple[RunFolder, Plan, RunState]


def standing(folder: RunFolder, plan: Plan, state: RunState, back: Back | None, now: float) -> Standing:
    """Where the run stands, from its journal, its lock and the latest way back that was begun from it."""
    alive = launch.running_pid(folder) is not None
    word: Word
    if state.status == "finished":
        word = "finished"
    elif alive:
        word = {"paused": "paused", "ready": "ready"}.get(state.status, "running")  # type: ignore[assignment]
    else:
        word = "stopped" if state.status == "stopped" else "interrupted"
    why = state.stopped.reason if word == "stopped" and state.stopped is not None else ""
    window = None
    if back is not None:
        run, its_plan, its_state = back
        window = window_of(run, its_plan, its_state, now=now, alive=launch.running_pid(run) is not None)
    elif state.cutover is None:
        own = window_of(folder, plan, state, now=now, alive=alive)
        window = own if own is not None and own.left_s is not None else None
    return Standing(word=word, why=why, window=window)


def _folders(root: Path) -> list[Path]:
    """Folders of runs, the newest first; one without a plan is broken, and listed where its journal lies."""
    if not root.is_dir():
        return []
    found = []
    for path in root.iterdir():
        mark = next((path / name for name in ("plan.json", "journal.jsonl") if (path / name).exists()), None)
        if mark is not None:
            found.append((mark.stat().st_mtime, path))
    return [path for _, path in sorted(found, key=lambda pair: pair[0], reverse=True)]
