"""Where runs stand, as `runs` and the first screen list them; broken folders too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from changeover.afterwards.standing import Runs, Seen
from changeover.engine import events as ev
from changeover.engine import launch
from changeover.engine.folder import RunFolder
from tests.unit import journals
from tests.unit.test_afterwards import CONFIRMED, CUT, END, FINE, RUN, WINDOW_S, made

NOW = 1_000_000.0


def started(ago_s: float) -> ev.EngineStarted:
    return ev.EngineStarted(at=NOW - ago_s, pid=1, host="h", version="0", server="1.18.3")


STOPPED = ev.EngineStopped(at=3.0, reason="asked to stop", exit_code=6)


def look(root: Path) -> dict[str, Seen]:
    return {one.folder.name: one for one in Runs(root).look(NOW)}


def words(one: Seen) -> str:
    assert one.standing is not None
    return one.standing.words


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Engines work on the runs of these names."""

    def work(*names: str) -> None:
        monkeypatch.setattr(launch, "running_pid", lambda folder: 7 if folder.name in names else None)

    return work


@pytest.mark.parametrize(
    ("events", "lives", "said"),
    [
        ([], True, "running"),
        ([], False, "interrupted"),
        ([started(5), ev.Paused(at=1.0, reason="on request")], True, "paused"),
        ([started(5), ev.Paused(at=1.0, reason="on request")], False, "interrupted"),
        ([started(5), journals.ready()[-1]], True, "ready for the cutover"),
        ([started(5), STOPPED], False, "stopped: asked to stop"),
        ([started(5), END], False, "finished"),
    ],
)
def test_a_run_stands_where_its_journal_and_its_lock_say(
    events: list[ev.Event], lives: bool, said: str, tmp_path: Path, alive: Callable[..., None]
) -> None:
    made(tmp_path, RUN, *events)
    alive(*[RUN] * lives)
    one = look(tmp_path)[RUN]
    assert words(one) == said
    assert one.standing is not None and one.standing.resumable is (said[:4] in ("inte", "stop"))


@pytest.mark.parametrize(
    ("events", "lives", "of_run", "of_back"),
    [
        ([started(5)], True, "finished, way back open for 59 min 55 s", "way back open for 59 min 55 s"),
        (
            [started(5), STOPPED],
            False,
            "finished, way back open for 59 min 55 s, but no engine keeps it fresh",
            "way back open for 59 min 55 s, but no engine keeps it fresh",
        ),
        ([started(5), CONFIRMED], True, "finished, going back", "running"),
        ([started(5), CONFIRMED, STOPPED], False, "finished, going back was stopped", "stopped: asked to stop"),
        ([started(WINDOW_S + 5)], False, "finished", "interrupted"),
        ([started(5), END], False, "finished", "finished"),
    ],
)
def test_a_run_says_for_how_long_its_way_back_is_open(
    events: list[ev.Event], lives: bool, of_run: str, of_back: str, tmp_path: Path, alive: Callable[..., None]
) -> None:
    made(tmp_path, RUN, FINE, CUT, END)
    made(tmp_path, f"{RUN}-back", *events, window_s=WINDOW_S)
    alive(*[f"{RUN}-back"] * lives)
    seen = look(tmp_path)
    assert (words(seen[RUN]), words(seen[f"{RUN}-back"])) == (of_run, of_back)


def test_a_folder_that_cannot_be_read_says_why_and_hides_no_other(tmp_path: Path) -> None:
    made(tmp_path, "good", started(5))
    edited = made(tmp_path, "edited", started(5)).path / "plan.json"
    edited.write_text(edited.read_text().replace('"app"', '"other"'))
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost" / "journal.jsonl").write_text("")
    made(tmp_path, "foreign", ev.StepStarted(at=1.0, step="no-such-step"))
    (tmp_path / "not-a-run").mkdir()
    seen = look(tmp_path)
    assert sorted(seen) == ["edited", "foreign", "good", "lost"]
    assert not seen["good"].broken
    assert "the plan was changed after it was written" in seen["edited"].broken
    assert seen["lost"].broken.startswith("not a run folder (no plan.json)")
    assert "no-such-step" in seen["foreign"].broken


def test_a_second_look_reads_only_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(tmp_path, RUN, started(5))
    runs = Runs(tmp_path)
    assert words(runs.look()[0]) == "interrupted"
    journals.append(run, [END])
    monkeypatch.setattr(RunFolder, "plan", None)
    assert words(runs.look()[0]) == "finished"
