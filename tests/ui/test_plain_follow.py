"""A run as lines: every change once, nothing twice, quiet while nothing happens."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from changeover.engine import events as ev
from changeover.engine import state as run_state
from changeover.engine.lock import RunLock
from changeover.errors import ExitCode
from changeover_tui.plain.follow import Follower, exit_code, lamp_lines, lines, stamp, summary
from tests.unit import journals

START = run_state.begin(journals.a_plan())


def said(events: Sequence[ev.Event], chunk: int = 1) -> list[str]:
    """Every line of these events, folded `chunk` at a time."""
    state, found = START, []
    for begin in range(0, len(events), chunk):
        old, state = state, run_state.fold(state, events[begin : begin + chunk])
        found += lines(old, state)
    return found


def test_a_whole_run() -> None:
    found = said(journals.whole())
    text = "\n".join(found)
    for words in (
        "engine started, pid 4242, server 1.18.3",
        "Load: started",
        "Load: 500 of 1,000 (50%), 100 points/s, 5 s left, search p95 9 ms, 0 failed",
        "Load: done, 1,000 points",
        "pass 1 brought over: 3 new, 4 edited, 1 deleted",
        "quality GO on 300 queries",
        "  nDCG@10: 0.350 [0.330, 0.370] -> 0.460 [0.440, 0.480]",
        "ready for the cutover",
        "[on ] caught up: caught up it is",
        "asked: cutover app",
        "alias app points to target",
        "warning: point 9b0f8f1e-8a52-4f0e-9f6e-0d6a0f6b8f10 skipped: the model returned no number",
        "finished: the new model serves",
    ):
        assert words in text, words
    assert "points compared in" not in text


def test_progress_is_said_every_tenth_or_every_five_seconds() -> None:
    slow = [
        ev.EngineStarted(at=0.0, pid=1, host="h", version="0", server="1.19.0"),
        ev.StepStarted(at=0.0, step="load"),
        *(ev.Progress(at=second / 2, step="load", done=second, total=100_000) for second in range(1, 41)),
    ]
    progress = [line for line in said(slow) if " of 100,000 " in line]
    assert len(progress) == 5  # the first, and one as each of 5, 10, 15 and 20 s begins
    quick = [
        *slow[:2],
        *(ev.Progress(at=count / 1_000, step="load", done=count, total=100) for count in range(1, 101)),
    ]
    assert len([line for line in said(quick) if " of 100 " in line]) == 11  # the first, and one for each tenth


def test_waiting_is_quiet() -> None:
    waiting = [*journals.loading(), *journals.ready()]
    state = run_state.fold(START, waiting)
    again: list[ev.Event] = []
    for number in range(2, 30):
        at = 1_030.0 + number
        lamps = tuple(ev.Lamp(name=name, on=True, detail=f"pass {number}") for name in journals.LAMPS)
        again += [
            ev.Differences(at=at, step="await", number=number),
            ev.Log(at=at, level="info", text=f"pass {number}: 1,004 points compared in 0.1 s, no differences"),
            ev.CutoverReady(at=at, lamps=lamps),
            ev.Canary(at=at, searches=400 + number, failures=0, p50_ms=3.0, p95_ms=9.0),
        ]
    for event in again:
        old, state = state, run_state.fold(state, [event])
        assert lines(old, state) == []


def test_a_lamp_that_goes_out_is_said() -> None:
    state = run_state.fold(START, [*journals.loading(), *journals.ready()])
    dark = run_state.fold(state, journals.ready(1_040.0, on=False)[-1:])
    assert lines(state, dark)[0] == "not ready for the cutover"
    assert "  [OFF] caught up: caught up it is" in lamp_lines(dark)


def test_failed_searches_are_said_each_time_there_are_more() -> None:
    canary = [
        ev.Canary(at=1.0 + n, searches=10 * n, failures=failures, p50_ms=1, p95_ms=2, last_error="503")
        for n, failures in enumerate((0, 2, 2, 3), 1)
    ]
    assert said(canary) == [
        "warning: 2 of 20 canary searches failed: 503",
        "warning: 3 of 40 canary searches failed: 503",
    ]


def test_pause_and_resume() -> None:
    events = [*journals.loading()[:2], ev.Paused(at=1_003.0, reason="on request"), ev.Resumed(at=1_004.0)]
    assert said(events)[-2:] == ["paused: on request", "goes on"]


@given(st.integers(min_value=1, max_value=40))
def test_the_log_is_said_once_whatever_is_read_at_once(chunk: int) -> None:
    logged = [text for _, _, text in run_state.fold(START, journals.whole()).log if not text.startswith("pass ")]
    found = said(journals.whole(), chunk)
    assert [line for line in found if any(line.removeprefix("warning: ") == text for text in logged)] == [
        line if not line.startswith("point ") else f"warning: {line}" for line in logged
    ]


@settings(max_examples=50)
@given(st.text(max_size=60))
def test_hostile_text_does_not_reach_the_terminal(text: str) -> None:
    hostile = [ev.Log(at=1.0, level="error", text=f"\x1b[2J{text}"), ev.Skipped(at=2.0, id=1, reason=f"\r{text}")]
    for line in said(hostile):
        assert not {unicodedata.category(char) for char in line} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_follow_to_the_end(tmp_path: Path) -> None:
    run = journals.on_disk(tmp_path / "run", journals.whole())
    found: list[str] = []
    follower = Follower(run, found.append)
    state = follower.until(lambda _: False)
    assert exit_code(run, state, found.append) == ExitCode.DONE
    assert found[0].startswith("[00:00:00] engine started")
    assert found[-1] == "[00:00:34] finished: the new model serves"
    assert summary(run, state)[:2] == [
        "verified: 1,004 ids present, 50 embedded anew and compared, worst cosine 0.9998",
        "searches: 0 of 640 failed, p95 9 ms (before: 8 ms)",
    ]


def test_a_stopped_run_ends_with_the_engines_code_and_says_how_to_go_on(tmp_path: Path) -> None:
    stopped = ev.EngineStopped(at=1_020.0, reason="verification failed: 1 point differs", exit_code=5)
    run = journals.on_disk(tmp_path / "run", [*journals.loading(), stopped])
    found: list[str] = []
    state = Follower(run, found.append).until(lambda _: False)
    assert exit_code(run, state, found.append) == ExitCode.UNVERIFIED
    assert found[-1] == "the run can be resumed: changeover resume run"


def test_an_engine_that_died_without_a_word(tmp_path: Path) -> None:
    run = journals.on_disk(tmp_path / "run", journals.loading()[:9])
    run.log.write_text("Traceback\nMemoryError: \x1b[31mno room\n")
    found: list[str] = []
    state = Follower(run, found.append).until(lambda _: False)
    assert exit_code(run, state, found.append) == ExitCode.BUG
    assert "MemoryError: no room" in found[-2] and str(run.log) in found[-2]


def test_a_stop_from_before_a_resume_does_not_end_the_following(tmp_path: Path) -> None:
    stopped = ev.EngineStopped(at=1_012.5, reason="on request", exit_code=6)
    run = journals.on_disk(tmp_path / "run", [*journals.loading()[:9], stopped])
    lock = RunLock(run.lock)
    lock.acquire()
    try:
        found: list[str] = []
        follower = Follower(run, found.append)
        assert follower.catch_up().status == "stopped"
        journals.append(run, [*journals.loading(1_100.0), *journals.ready(1_120.0), *journals.after(1_130.0)])
        assert follower.until(lambda _: False).status == "finished"
        assert found[0].endswith("engine resumed, pid 4242, server 1.18.3")
    finally:
        lock.release()


@pytest.mark.parametrize(("seconds", "clock"), [(0.0, "00:00:00"), (61.9, "00:01:01"), (36_061.0, "10:01:01")])
def test_the_clock(seconds: float, clock: str) -> None:
    state = run_state.fold(START, journals.loading(0.5)[:1])
    assert stamp(run_state.fold(state, [ev.Log(at=0.5 + seconds, level="info", text="x")])) == clock
    assert stamp(START) == "00:00:00"
