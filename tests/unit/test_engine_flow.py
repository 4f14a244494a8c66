"""Acknowledgements, throttle, meter and the fold of a journal."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changeover.engine import events as ev
from changeover.engine.acks import SliceAcks
from changeover.engine.meter import Meter
from changeover.engine.state import begin, eta_s, fold
from changeover.engine.throttle import LONGEST_DELAY_S, Throttle
from changeover.errors import StoppedError
from tests.engine.fakes import plan, slices


@given(st.permutations(range(12)), st.integers(0, 11))
def test_a_position_never_passes_a_page_that_is_not_written(order: list[int], stop: int) -> None:
    acks = SliceAcks(0)
    numbers = [acks.register(10 * (i + 1), 10, last=i == 11) for i in range(12)]
    done: set[int] = set()
    for page in order[: stop + 1]:
        now = acks.ack(numbers[page])
        done.add(page)
        closed = next(i for i in range(13) if i not in done)
        assert now.points == 10 * closed
        assert now.done == (closed == 12)
        assert now.position == (None if closed == 12 else 10 * closed)


def test_a_pause_holds_readers_and_a_stop_ends_every_wait() -> None:
    throttle = Throttle(10, 1, None)
    throttle.pause()
    seen: list[str] = []

    def read() -> None:
        throttle.admit(10)
        seen.append("read")
        try:
            throttle.sleep(60)
        except StoppedError:
            seen.append("stopped")

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.05)
    assert seen == []
    throttle.resume()
    while not seen:
        time.sleep(0.005)
    throttle.stop()
    thread.join(2)
    assert seen == ["read", "stopped"]
    with pytest.raises(StoppedError):
        throttle.acquire()


def test_a_rate_limit_holds_over_time_and_can_be_lifted() -> None:
    throttle = Throttle(10, 1, 200.0)
    begun = time.monotonic()
    for _ in range(6):
        throttle.admit(10)
    assert time.monotonic() - begun >= 0.2
    throttle.retune(rate=0)
    begun = time.monotonic()
    for _ in range(100):
        throttle.admit(10)
    assert time.monotonic() - begun < 0.2


def test_a_page_larger_than_a_seconds_worth_does_not_wait_for_ever() -> None:
    throttle = Throttle(1000, 1, 5000.0)
    throttle.rate = 400.0
    begun = time.monotonic()
    throttle.admit(1000)
    throttle.admit(1)
    assert 1.0 < time.monotonic() - begun < 6.0


def test_a_slow_canary_slows_the_load_and_a_quick_one_frees_it() -> None:
    throttle = Throttle(10, 1, None)
    for _ in range(30):
        throttle.on_canary(90.0, 10.0)
    assert throttle.delay_s == LONGEST_DELAY_S
    assert throttle.reason == "slowed: search p95 90 ms > 20 ms (2x baseline)"
    for _ in range(30):
        throttle.on_canary(9.0, 10.0)
    assert throttle.delay_s == 0.0
    assert throttle.reason == ""
    throttle.on_canary(19.0, 1.0)
    assert throttle.delay_s == 0.0, "under 20 ms is never slow"


def test_a_learned_ceiling_caps_what_was_asked_for() -> None:
    throttle = Throttle(256, 1, None)
    throttle.learn_ceiling(100)
    throttle.learn_ceiling(300)
    throttle.retune(batch=512)
    assert (throttle.batch, throttle.effective_batch) == (512, 100)


def test_busy_time_of_work_under_way_is_counted() -> None:
    meter = Meter()
    meter.read(1, 1)
    with meter.busy("embed"):
        time.sleep(0.1)
        middle = meter.read(1, 1)
        time.sleep(0.05)
    meter.add(10)
    after = meter.read(1, 1)
    assert middle.embed_busy > 0.9
    assert after.embed_busy > 0.8
    assert after.write_busy == 0.0
    assert after.points == 10


def test_the_fold_tells_the_run() -> None:
    made = plan("in-place", slices())
    state = fold(
        begin(made),
        [
            ev.EngineStarted(at=1, pid=5, host="h", version="0", server="1.18.3"),
            ev.StepStarted(at=1, step="load"),
            ev.SliceAcked(at=2, step="load", slice=0, position=50, points=50),
            ev.Progress(at=2, step="load", done=50, total=200),
            ev.Metrics(at=2, points=50, points_per_s=50, embed_busy=1, write_busy=0.1, batch=10, streams=2),
            ev.Canary(at=2, searches=40, failures=0, p50_ms=1, p95_ms=2),
            ev.EngineStopped(at=3, reason="killed", exit_code=6),
            ev.EngineStarted(at=9, pid=6, host="h", version="0", server="1.18.3"),
            ev.Canary(at=10, searches=10, failures=1, p50_ms=1, p95_ms=2),
            ev.Skipped(at=10, id=3, reason="bad"),
        ],
    )
    assert state.engines == 2
    assert state.status == "running"
    assert (state.searches, state.failures) == (50, 1), "counts of both engines add up"
    assert state.current is not None and state.current.id == "load"
    assert eta_s(state) == 3.0
    assert state.acked["load"][0].position == 50
    assert (state.skipped, state.warnings) == (1, 2)
    state = fold(state, [ev.StepDone(at=12, step="load", detail="200"), ev.RunFinished(at=13, summary="finished")])
    assert state.status == "finished"
    assert state.step("load").ended_at == 12


@given(st.integers(), st.text(), st.lists(st.booleans(), max_size=3))
def test_events_survive_the_journal(number: int, text: str, lamps: list[bool]) -> None:
    bounded = number % 2**63
    made: list[ev.Event] = [
        ev.Skipped(at=1.5, id=bounded, reason=text),
        ev.CutoverReady(at=2, lamps=tuple(ev.Lamp(name=text, on=on) for on in lamps), backlog=bounded),
        ev.Differences(at=3, step=text, number=1, new=bounded),
    ]
    assert [ev.decode(ev.encode(event)) for event in made] == made
