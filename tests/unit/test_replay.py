"""Going through a journal in time: any moment is what folding up to it gives, and a long journal is quick."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from changeover.engine import events as ev
from changeover.engine import replay
from changeover.engine import state as run_state
from changeover.engine.replay import Replay
from tests.unit import journals

START = run_state.begin(journals.a_plan())


def log(at: float, level: ev.Level = "info") -> ev.Log:
    return ev.Log(at=at, level=level, text=f"at {at}")


@given(st.lists(st.floats(0, 1000), max_size=40), st.lists(st.floats(-10, 1100), max_size=8))
def test_any_moment_is_the_fold_up_to_it(times: list[float], moments: list[float]) -> None:
    events = [log(at) for at in times]
    told, highest = Replay(START, events), 0.0
    reached = [highest := max(highest, at) for at in times]  # a clock set back stands still
    for moment in moments:
        prefix = [event for event, at in zip(events, reached, strict=True) if at <= moment]
        assert told.at(moment) == run_state.fold(START, prefix)


def test_a_whole_run_from_any_end_is_the_same() -> None:
    events = journals.whole()
    told = Replay(START, events)
    for count in (len(events), 3, 0, len(events) // 2, len(events) + 5, -1):
        assert told.after(count) == run_state.fold(START, events[: max(0, count)])
    assert told.at(told.ended).status == "finished"
    assert told.at(told.begun - 1).status == "new"


def test_a_seek_folds_only_what_lies_after_the_kept_state() -> None:
    count = 20 * replay.EVERY
    told = Replay(START, [log(float(number)) for number in range(count)])
    last = told.at(float(count))
    folded: list[int] = []
    fold = replay.fold

    def counting(state: run_state.RunState, events: object) -> run_state.RunState:
        folded.append(len(events))  # type: ignore[arg-type]
        return fold(state, events)  # type: ignore[arg-type]

    replay.fold = counting  # type: ignore[assignment]
    try:
        assert told.at(float(count)) == last
        assert told.at(count / 3).last_at == count // 3
    finally:
        replay.fold = fold
    assert all(one < replay.EVERY for one in folded)
    assert len(folded) == 2


def test_the_marks_are_what_matters() -> None:
    events: list[ev.Event] = [
        log(1),
        log(2, "warning"),
        ev.StepStarted(at=3, step="load"),
        ev.Progress(at=4, step="load", done=1, total=2),
        ev.StepDone(at=5, step="load"),
        log(6),
    ]
    told = Replay(START, events)
    forth, at = [], told.begun
    while at < told.ended:
        forth.append(at := told.next_mark(at))
    assert forth == [2, 3, 5, 6]
    back = []
    while at > told.begun:
        back.append(at := told.previous_mark(at))
    assert back == [5, 3, 2, 1]
    assert told.steps == [3]


def test_an_empty_journal_stands_still() -> None:
    told = Replay(START, [])
    assert told.at(5.0) == START
    assert told.next_mark(0.0) == told.previous_mark(0.0) == told.begun == told.ended == 0.0
