"""What went wrong, each thing once; the write streams one by one; and journals of engines that knew neither."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from changeover.engine import events as ev
from changeover.engine import state as run_state
from changeover.engine import troubles
from changeover.engine.lanes import Lanes
from changeover.engine.waits import Waits
from tests.unit import journals

START = run_state.begin(journals.a_plan())


def metrics(at: float, throttle: str = "") -> ev.Metrics:
    return ev.Metrics(
        at=at, points=0, points_per_s=0, embed_busy=0, write_busy=0, batch=64, streams=2, throttle=throttle
    )


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 99), st.integers(1, 5)), max_size=40))
def test_every_one_is_counted_once_and_the_latest_is_last(said: list[tuple[str, int, int]]) -> None:
    known: tuple[troubles.Trouble, ...] = ()
    for at, (word, number, times) in enumerate(said):
        known = troubles.noted(known, "retried", f"{word} {number} ms", float(at), times=times, waited_s=1.0)
    assert len(known) == len({word for word, _, _ in said})
    assert sum(one.times for one in known) == sum(times for _, _, times in said)
    assert sum(one.waited_s for one in known) == len(said)
    assert [one.last_at for one in known] == sorted(one.last_at for one in known)


def test_the_quiet_ones_go_when_there_are_too_many() -> None:
    known: tuple[troubles.Trouble, ...] = ()
    for number in range(3 * troubles.MOST):
        known = troubles.noted(known, "warning", "x" * number, float(number))
    assert len(known) == troubles.MOST
    assert known[-1].last_at == 3 * troubles.MOST - 1


def test_the_fold_tells_what_went_wrong_and_what_is_done_about_it() -> None:
    slow = "slowed: search p95 {} ms > 24 ms (2x baseline)"
    state = run_state.fold(
        START,
        [
            metrics(1.0, slow.format(31)),
            metrics(2.0, slow.format(35)),
            metrics(3.0),
            metrics(4.0, slow.format(29)),
            metrics(5.0, "waiting 2.0 s: 429"),
            ev.Retried(at=6.0, reason="HTTP 429 after 12 ms", times=3, waited_s=4.5),
            ev.Retried(at=7.0, reason="HTTP 429 after 15 ms", times=1, waited_s=0.5),
            ev.Canary(at=8.0, searches=10, failures=2, p50_ms=1, p95_ms=2, last_error="timed out"),
            ev.Canary(at=9.0, searches=20, failures=2, p50_ms=1, p95_ms=2, last_error="timed out"),
            ev.Log(at=10.0, level="warning", text="no search probe: nothing there"),
            ev.Controlled(at=11.0, number=1, verb="streams", value=99, refused="must be a number from 1 to 8"),
            ev.EngineStopped(at=12.0, reason="a bug: x", exit_code=1),
            ev.EngineStopped(at=13.0, reason="asked to stop", exit_code=6),
        ],
    )
    told = {one.kind: one for one in state.troubles}
    assert len(told) == len(state.troubles) == 6
    assert (told["slowed"].times, told["slowed"].waited_s) == (2, 1.0)
    assert (told["retried"].times, told["retried"].waited_s) == (4, 5.0)
    assert told["retried"].text == "HTTP 429 after 15 ms"
    assert (told["search"].times, told["search"].last_at) == (2, 8.0)
    assert "without searches" in told["warning"].does
    assert told["refused"].text == "streams: must be a number from 1 to 8"
    assert "can be started again" in told["error"].does


def test_a_journal_of_an_earlier_engine_is_read() -> None:
    line = b'{"event":"metrics","at":1.0,"points":5,"points_per_s":2.0,"embed_busy":0.5,"write_busy":0.1,"batch":64,"streams":2}'
    event = ev.decode(line)
    assert isinstance(event, ev.Metrics)
    assert event.lanes == ()


def test_eight_streams_stay_small_in_the_journal() -> None:
    lanes = tuple(ev.Stream(n, "writes 1,024 points", 128, "tenant-1", 10**7, 1234.5) for n in range(1, 9))
    event = ev.Metrics(at=1.0, points=0, points_per_s=0, embed_busy=0, write_busy=0, batch=64, streams=8, lanes=lanes)
    assert ev.decode(ev.encode(event)) == event
    assert len(ev.encode(event)) < 700


def test_streams_are_numbered_from_one_and_count_what_they_wrote() -> None:
    now = [0.0]
    lanes = Lanes(lambda: now[0])
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with lanes.taken(50, 2, "b"):
            entered.set()
            leave.wait(5)

    with lanes.taken(100, 1, None):
        thread = threading.Thread(target=other)
        thread.start()
        entered.wait(5)
        with lanes.waiting("waiting 2.0 s: HTTP 429"):
            first, second = lanes.read(2)
        assert (first.number, first.doing, first.slice) == (1, "waiting 2.0 s: HTTP 429", 1)
        assert (second.doing, second.slice, second.shard_key, second.points) == ("writes 50 points", 2, "b", 0)
    now[0] = 2.0
    leave.set()
    thread.join()
    first, second, third = lanes.read(3)
    assert (first.doing, first.points, first.points_per_s) == ("", 100, 50.0)
    assert (second.points, second.points_per_s) == (50, 25.0)
    assert third == ev.Stream(3, "")
    try:
        with lanes.taken(7, 1, None):
            raise ValueError
    except ValueError:
        assert lanes.read(1)[0].points == 100, "what was not written does not count"


def test_waits_are_written_down_once_for_each_reason() -> None:
    waits = Waits()
    for seconds in (0.2, 0.4):
        waits.note(f"HTTP 503 after {seconds} s", seconds)
    waits.note("connection refused", 1.0)
    assert sorted(waits.drain(9.0), key=lambda one: one.times) == [
        ev.Retried(at=9.0, reason="connection refused", times=1, waited_s=1.0),
        ev.Retried(at=9.0, reason="HTTP 503 after 0.4 s", times=2, waited_s=0.6),
    ]
    assert waits.drain(10.0) == []
