"""What going back and cleaning up make of the runs that lie there: which way back is open, and what refuses what."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from changeover import seals
from changeover.afterwards import cleanup, rollback
from changeover.afterwards.backs import open_back
from changeover.engine import control, launch
from changeover.engine import events as ev
from changeover.engine.desk import Desk
from changeover.engine.folder import RunFolder
from changeover.engine.journal import Journal
from changeover.errors import BlockedError, UsageError
from changeover.plan import model as pm
from changeover_tui.verbs import rollback as verb
from tests.engine import fakes

RUN = "one"
CUT = ev.CutOver(at=1.0, detail="swapped")
END = ev.RunFinished(at=2.0, summary="finished")
FINE = ev.Verified(at=0.5, source_points=1, target_points=1, checked_ids=1, sampled=0, worst_cosine=None)

DROPS = (
    pm.DropCollection(id="drop", title="Remove", request=pm.Request(method="DELETE", path="/collections/source")),
    pm.DropVector(
        id="drop-vector",
        title="Remove",
        vector="old",
        request=pm.Request(method="DELETE", path="/collections/source/vectors/old?wait=true"),
    ),
)
WINDOW_S = 3600.0


def made(root: Path, name: str, *events: ev.Event, window_s: float = 0.0, ago_s: float = 0.0) -> RunFolder:
    """A run's folder with these events in its journal; its plan was made so many seconds ago."""
    plan = fakes.plan("blue-green", fakes.slices())
    steps = tuple(
        msgspec.structs.replace(step, window_s=window_s) if isinstance(step, pm.AwaitCutover) else step
        for step in plan.steps
    )
    at = datetime.fromtimestamp(time.time() - ago_s, UTC).isoformat(timespec="seconds")
    plan = msgspec.structs.replace(plan, id=name, steps=(*steps, *DROPS), created_at=at, hash="")
    folder = RunFolder.create(seals.seal(plan), {}, root / name)
    journal = Journal(folder.journal)
    for event in events:
        journal.write(event)
    journal.close()
    return folder


def started(ago_s: float) -> ev.EngineStarted:
    return ev.EngineStarted(at=time.time() - ago_s, pid=1, host="h", version="0", server="1.18.3")


def opened(run: RunFolder) -> str | None:
    found = open_back(run)
    return found.name if found is not None else None


def test_the_latest_way_back_is_the_one_that_is_open(tmp_path: Path) -> None:
    run = made(tmp_path, RUN, FINE, CUT, END)
    assert open_back(run) is None
    first = made(tmp_path, f"{RUN}-back", started(5))
    assert opened(run) == first.name
    second = made(tmp_path, f"{RUN}-back-2", started(5))
    assert opened(run) == second.name
    made(tmp_path, f"{RUN}-back-3", started(5), END)
    assert open_back(run) is None, "the window of the last one ended; the first two were replaced"
    made(tmp_path, f"{RUN}-back-4", started(5), CUT, END)
    with pytest.raises(BlockedError, match="taken back already by one-back-4"):
        open_back(run)


@pytest.mark.parametrize(
    ("backs", "refused"),
    [
        ([[started(10)]], "is open"),
        ([[started(10)], [started(5), END]], ""),
        ([[started(10), END]], ""),
        ([[started(10), CUT]], "was taken back by one-back"),
    ],
)
def test_the_cleanup_waits_for_the_way_back_that_is_open(
    backs: list[list[ev.Event]], refused: str, tmp_path: Path
) -> None:
    run = made(tmp_path, RUN, FINE, CUT, END)
    for number, events in enumerate(backs, start=1):
        made(tmp_path, f"{RUN}-back" + ("" if number == 1 else f"-{number}"), *events, window_s=3600.0)
    if not refused:
        cleanup.refuse(run)
        return
    with pytest.raises(BlockedError, match=refused):
        cleanup.refuse(run)


@pytest.mark.parametrize(("lives", "refused"), [(True, True), (False, False)])
def test_a_window_that_is_over_refuses_only_while_its_engine_ends_it(
    lives: bool, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made(tmp_path, RUN, FINE, CUT, END)
    made(tmp_path, f"{RUN}-back", started(100), window_s=60.0)
    monkeypatch.setattr(launch, "running_pid", lambda folder: 1 if lives else None)
    if not refused:
        cleanup.refuse(run)
        return
    with pytest.raises(BlockedError, match=r"is open for 0 s; nothing is removed"):
        cleanup.refuse(run)


LATE = WINDOW_S + 60
Told = Callable[[], ev.Event]
"""An event whose time is that of the test, not that of its collection minutes before."""


def engine(ago_s: float) -> Told:
    return lambda: started(ago_s)


def awaiting(ago_s: float) -> Told:
    return lambda: ev.StepStarted(at=time.time() - ago_s, step="await")


def awaited() -> ev.Event:
    return ev.StepDone(at=2.0, step="await")


@pytest.mark.parametrize(
    ("events", "lives", "opened_ago_s", "open_still", "refused"),
    [
        ([engine(LATE)], False, LATE, False, ""),
        ([engine(LATE)], True, LATE, True, "is open for 0 s"),
        ([], False, LATE, False, ""),
        ([], False, 5, True, "is open for 59 min"),
        ([engine(LATE), awaiting(5)], False, LATE, True, "is open for 59 min"),
        (
            [engine(LATE), awaiting(LATE), awaited],
            False,
            LATE,
            True,
            "going back was asked for; `changeover resume one-back` goes on",
        ),
    ],
)
def test_a_window_that_nobody_closed_is_over_by_itself(
    events: list[Told],
    lives: bool,
    opened_ago_s: float,
    open_still: bool,
    refused: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = made(tmp_path, RUN, FINE, CUT, END)
    back = made(tmp_path, f"{RUN}-back", *(told() for told in events), window_s=WINDOW_S, ago_s=opened_ago_s)
    monkeypatch.setattr(launch, "running_pid", lambda folder: 1 if lives else None)
    assert opened(run) == (back.name if open_still else None), "else its engine would end the window, not go back"
    if not refused:
        cleanup.refuse(run)
        return
    with pytest.raises(BlockedError, match=refused):
        cleanup.refuse(run)


def test_a_way_back_that_was_replaced_refuses_while_an_engine_works_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made(tmp_path, RUN, FINE, CUT, END)
    first = made(tmp_path, f"{RUN}-back", started(10), window_s=WINDOW_S)
    made(tmp_path, f"{RUN}-back-2", started(5), END)
    cleanup.refuse(run)
    monkeypatch.setattr(launch, "running_pid", lambda folder: 7 if folder.name == first.name else None)
    with pytest.raises(BlockedError, match="one-back is open"):
        cleanup.refuse(run)


REMOVING = ev.StepStarted(at=1.0, step="drop-vector")
UNFINISHED = "its cleanup was begun and is not finished: finish it with `changeover resume one-cleanup`, or, to go back"


@pytest.mark.parametrize(
    ("events", "lives", "words"),
    [
        ([], False, UNFINISHED),
        ([started(1)], False, UNFINISHED),
        ([started(1), ev.StepStarted(at=1.0, step="drop")], False, UNFINISHED),
        ([started(1)], True, "its cleanup was begun, an engine .pid 7. works on it; `changeover control one-cleanup"),
        ([started(1), REMOVING], False, "its cleanup was removing the old vector"),
        ([started(1), REMOVING, ev.EngineStopped(at=2.0, reason="alone", exit_code=4)], False, UNFINISHED),
        ([started(1), END], False, "one-cleanup removed the old side; there is nothing to go back to"),
    ],
)
def test_nobody_goes_back_while_the_old_side_is_removed(
    events: list[ev.Event], lives: bool, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made(tmp_path, RUN, FINE, CUT, END)
    rollback.refuse(run)
    made(tmp_path, f"{RUN}-cleanup", *events)
    monkeypatch.setattr(launch, "running_pid", lambda folder: 7 if lives and folder.name != RUN else None)
    with pytest.raises(BlockedError, match=words):
        rollback.refuse(run)


def wanted(confirm: str | None) -> argparse.Namespace:
    """`rollback RUN --set old_model...`."""
    given = ["old_model.provider=sandbox", "old_model.name=wordllama"]
    return argparse.Namespace(name=RUN, set=given, accept=[], confirm=confirm, output=None, detach=True)


def test_a_look_with_another_model_leaves_the_open_way_back_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path, RUN, FINE, CUT, END)
    back = made(tmp_path, f"{RUN}-back", started(5), window_s=WINDOW_S)
    before = sorted(tmp_path.rglob("*"))
    plan = back.plan()

    async def planned(*_: Any) -> pm.Plan:
        return plan

    monkeypatch.setattr(rollback, "planned", planned)
    monkeypatch.setattr(launch, "running_pid", lambda folder: 7 if folder.name == back.name else None)
    assert verb.run(wanted(None), {"CHANGEOVER_RUNS": str(tmp_path)}) == 0
    assert "nothing was changed" in capsys.readouterr().err
    with pytest.raises(UsageError, match="not the name"):
        verb.run(wanted("another"), {"CHANGEOVER_RUNS": str(tmp_path)})
    assert sorted(tmp_path.rglob("*")) == before


def test_a_way_back_that_has_gone_back_is_not_replaced(tmp_path: Path) -> None:
    made(tmp_path, RUN, FINE, CUT, END)
    made(tmp_path, f"{RUN}-back", started(5), CUT)
    with pytest.raises(BlockedError, match="one-back has gone back already; `changeover resume one-back` finishes it"):
        verb.run(wanted("app"), {"CHANGEOVER_RUNS": str(tmp_path)})


CONFIRMED = ev.Controlled(at=1.5, number=1, verb="when-ready", value="app")


def test_a_way_back_that_was_confirmed_has_no_end_and_keeps_the_old_side(tmp_path: Path) -> None:
    run = made(tmp_path, RUN, FINE, CUT, END)
    back = made(tmp_path, f"{RUN}-back", started(LATE), CONFIRMED, window_s=WINDOW_S, ago_s=LATE)
    assert opened(run) == back.name, "the window is over, and somebody confirmed before"
    with pytest.raises(BlockedError, match="going back was asked for; `changeover resume one-back` goes on"):
        cleanup.refuse(run)


def test_a_way_back_that_only_counted_holds_up_no_cleanup(tmp_path: Path) -> None:
    run = made(tmp_path, RUN, FINE, CUT, END)
    refused = ev.EngineStopped(at=2.0, reason="no-old-vector: 5 points", exit_code=4)
    back = made(tmp_path, f"{RUN}-back", started(5), CONFIRMED, refused)
    cleanup.refuse(run)
    assert opened(run) == back.name, "with --accept it goes on"


@pytest.mark.parametrize(("mode", "refused"), [("manual", ""), ("never", "has no cutover")])
def test_a_confirmed_cutover_is_kept_in_the_journal(mode: str, refused: str, tmp_path: Path) -> None:
    ctx = asked(tmp_path, ("when-ready", "app"), mode=mode)
    assert refused in ctx.state.asked[-1].refused
    assert ctx.state.when_ready is not bool(refused)


def test_an_engine_that_is_gone_is_not_asked_to_stop(tmp_path: Path) -> None:
    back = made(tmp_path, f"{RUN}-back", started(5))
    rollback.end(back)
    assert not back.control.exists()


def test_a_name_is_shown_without_its_escape_sequences() -> None:
    with pytest.raises(UsageError) as told:
        verb.confirmed("other", "prod\x1b]0;owned\x07\u202ex", "go back")
    assert str(told.value).isprintable() and "owned" not in str(told.value)


def asked(
    tmp_path: Path, *verbs: Any, earlier: int = 0, before: tuple[ev.Event, ...] = (), mode: Any = "manual"
) -> Any:
    """A desk that looks at these requests; returns its context."""
    plan = fakes.plan("in-place", fakes.slices())
    steps = tuple(msgspec.structs.replace(s, mode=mode) if isinstance(s, pm.AwaitCutover) else s for s in plan.steps)
    ctx = fakes.context(tmp_path, msgspec.structs.replace(plan, steps=steps), fakes.MemoryCluster())
    for event in before:
        ctx.emit(event)
    for one in verbs:
        control.ask(ctx.folder.control, *one)
    ctx.asked_before = earlier
    Desk(ctx).look()
    fakes.close(ctx)
    return ctx


@pytest.mark.parametrize(("earlier", "stops"), [(0, True), (1, False)])
def test_a_stop_that_was_asked_of_an_earlier_engine_stops_no_later_one(
    earlier: int, stops: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the clock says, which may have been set back meanwhile."""
    monkeypatch.setattr(time, "time", lambda: 0.0 if stops else 9e9)
    ctx = asked(tmp_path, ("stop",), earlier=earlier)
    assert ctx.throttle.stopping is stops
    assert bool(ctx.state.asked[-1].refused) is not stops


def test_a_cutover_is_not_left_without_an_answer_by_a_pause(tmp_path: Path) -> None:
    """A paused run looks at nothing, so that it would be taken up long after it was asked for."""
    ctx = asked(tmp_path, ("pause",), ("cutover", "app"))
    assert "the run is paused" in ctx.state.asked[-1].refused


def test_a_request_that_a_crash_left_unanswered_is_taken_up_although_later_ones_were_answered(tmp_path: Path) -> None:
    answered = ev.Controlled(at=1.0, number=2, verb="rate", value=5)
    ctx = asked(tmp_path, ("batch", 7), ("rate", 5), ("streams", 1), before=(answered,))
    assert [one.number for one in ctx.state.asked] == [2, 1, 3]


def test_the_verbs_say_it_in_one_line(tmp_path: Path) -> None:
    made(tmp_path, RUN, started(1))
    options = argparse.Namespace(name=RUN, set=[], accept=[], confirm=None, output=None, detach=False)
    with pytest.raises(BlockedError) as told:
        verb.run(options, {"CHANGEOVER_RUNS": str(tmp_path)})
    assert "\n" not in str(told.value)
