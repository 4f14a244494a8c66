"""The run folder: plan, journal, ledger, control, log and lock of one migration. Modes 0700 and 0600."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from changeover.decision.answers import to_toml
from changeover.engine import state as run_state
from changeover.engine.journal import read_all
from changeover.errors import UsageError
from changeover.plan import file as plan_file
from changeover.plan.model import Plan


def runs_root(environ: Mapping[str, str]) -> Path:
    """Where runs live: $CHANGEOVER_RUNS, else $XDG_STATE_HOME/changeover/runs, else ~/.local/state/changeover/runs."""
    if environ.get("CHANGEOVER_RUNS"):
        return Path(environ["CHANGEOVER_RUNS"])
    state_home = environ.get("XDG_STATE_HOME")
    base = Path(state_home) if state_home else Path.home() / ".local" / "state"
    return base / "changeover" / "runs"


class RunFolder:
    """Paths and small files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def answers(self) -> Path:
        """The answers that the plan was made from, as a file that `plan --answers` takes; not in runs that follow another."""
        return self.path / "answers.toml"

    @property
    def journal(self) -> Path:
        """The event log, one JSON object a line."""
        return self.path / "journal.jsonl"

    @property
    def control(self) -> Path:
        """Requests of people, one JSON object a line."""
        return self.path / "control.jsonl"

    @property
    def ledger(self) -> Path:
        """SQLite: id, text hash, payload hash of every point written."""
        return self.path / "ledger.sqlite"

    @property
    def matrix(self) -> Path:
        """The matrix that this run fitted, for the application's queries too; only on routes that compute vectors."""
        return self.path / "matrix.npz"

    @property
    def snapshot(self) -> Path:
        """When a snapshot was asked for, and what was there before; only in runs that remove a collection."""
        return self.path / "snapshot.json"

    @property
    def over_rest(self) -> Path:
        """There when a payload was met that gRPC cannot carry: from then on the run uses REST."""
        return self.path / "over-rest"

    @property
    def lock(self) -> Path:
        """Locked by the one engine that works on the run."""
        return self.path / "lock"

    @property
    def log(self) -> Path:
        """Diagnostics of the engine process."""
        return self.path / "engine.log"

    @property
    def report(self) -> Path:
        """The HTML report; report.md lies beside it."""
        return self.path / "report.html"

    @property
    def name(self) -> str:
        """The folder's name: what `watch`, `resume` and the others take as RUN."""
        return self.path.name

    @classmethod
    def create(
        cls,
        plan: Plan,
        environ: Mapping[str, str],
        path: Path | None = None,
        accepted: frozenset[str] = frozenset(),
        base: RunFolder | None = None,
    ) -> RunFolder:
        """Make the folder for a sealed plan. The same plan again opens the same folder; another plan is refused.

        `base` is the run whose ledger this one's begins with; without it the one that the plan follows.
        """
        folder = cls(path or runs_root(environ) / plan.id)
        plan_path = folder.path / "plan.json"
        if plan_path.exists():
            if plan_file.load(plan_path).hash != plan.hash:
                raise UsageError(f"{folder.path}: holds another plan's run; give another --run-dir")
            return folder
        folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.path.chmod(0o700)
        if plan.follows:
            from changeover.engine.beginning import seed

            followed = base or (find(plan.follows, environ) if path is None else cls(path.with_name(plan.follows)))
            seed(folder.ledger, followed.ledger, followed.plan(), plan)
        write_private(folder.path / "accepted.txt", "".join(f"{code}\n" for code in sorted(accepted)).encode())
        if not plan.follows:
            write_private(folder.answers, to_toml(plan.answers).encode())
        write_private(plan_path, plan_file.to_json(plan))
        return folder

    def plan(self) -> Plan:
        """The plan of this run; raises UsageError when the folder is not a run or the plan was edited."""
        path = self.path / "plan.json"
        if not path.exists():
            raise UsageError(f"{self.path}: not a run folder (no plan.json); `changeover runs` lists the runs")
        return plan_file.load(path)

    def state(self) -> run_state.RunState:
        """The run as its journal tells it now."""
        return run_state.fold(run_state.begin(self.plan()), read_all(self.journal))


def find(name: str | None, environ: Mapping[str, str]) -> RunFolder:
    """The run of that name or path; without a name the newest. Raises UsageError."""
    if name is None:
        newest = next(runs(environ), None)
        if newest is None:
            raise UsageError("there are no runs yet; `changeover` or `changeover apply` starts one")
        return newest
    for path in (Path(name), runs_root(environ) / name):
        if (path / "plan.json").exists():
            return RunFolder(path.resolve())
    raise UsageError(f"{name}: no such run; `changeover runs` lists them")


def runs(environ: Mapping[str, str]) -> Iterator[RunFolder]:
    """All runs, newest first."""
    root = runs_root(environ)
    plans = sorted(root.glob("*/plan.json"), key=lambda p: p.stat().st_mtime, reverse=True) if root.is_dir() else []
    for path in plans:
        yield RunFolder(path.parent)


def write_private(path: Path, data: bytes) -> None:
    """Write a file whole with mode 0600: to a sibling first, then renamed over it."""
    temporary = path.with_name(path.name + ".part")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(path)
