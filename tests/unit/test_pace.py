"""Size and number of requests follow what the server did with the last ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from changeover.engine.pace import LEAST, LIFT_AFTER, TARGET_S, Pace

events = st.lists(
    st.one_of(
        st.tuples(st.just("well"), st.integers(0, 5000), st.floats(0, 120)),
        st.tuples(st.just("back")),
        st.tuples(st.just("large"), st.integers(0, 5000)),
        st.tuples(st.just("ask"), st.integers(1, 4096), st.integers(1, 8)),
    ),
    max_size=60,
)


@given(st.integers(1, 4096), st.integers(1, 8), events)
def test_it_never_asks_for_nothing_nor_for_more_than_was_asked(
    batch: int, streams: int, said: list[tuple[object, ...]]
) -> None:
    pace = Pace(batch, streams)
    for event in said:
        match event:
            case ("well", int(points), float(seconds)):
                pace.went_well(points, seconds)
            case ("back",):
                pace.pushed_back()
            case ("large", int(points)):
                pace.too_large(points)
            case ("ask", int(more), int(at_once)):
                pace.ask(batch=more, streams=at_once)
        assert 1 <= pace.batch <= pace.asked_batch
        assert 1 <= pace.streams <= pace.asked_streams
        assert bool(pace.why) == (pace.batch < pace.asked_batch or pace.streams < pace.asked_streams)


@given(st.floats(0.0001, 0.05), st.floats(0, 0.3))
def test_a_batch_comes_to_take_the_target_time(per_point: float, overhead: float) -> None:
    pace = Pace(1024, 2)
    for _ in range(100):
        pace.went_well(pace.batch, overhead + per_point * pace.batch)
    took = overhead + per_point * pace.batch
    assert took <= 1.1 * TARGET_S or pace.batch == LEAST
    assert took >= 0.7 * TARGET_S or pace.batch == 1024


def test_slow_requests_shrink_and_quick_ones_grow_back() -> None:
    pace = Pace(256, 2)
    for _ in range(3):
        pace.went_well(256, 8.0)
    assert pace.batch == 32
    assert "they take 8.0 s" in pace.why
    for _ in range(40):
        pace.went_well(pace.batch, 0.05)
    assert (pace.batch, pace.why) == (256, "")


def test_the_way_to_a_far_server_does_not_shrink_a_batch_to_nothing() -> None:
    pace = Pace(256, 2)
    for _ in range(50):
        pace.went_well(pace.batch, 3.0)
    assert pace.batch == LEAST


def test_small_requests_say_nothing_about_large_ones() -> None:
    pace = Pace(256, 2)
    for _ in range(20):
        pace.went_well(2, 0.2)
    assert pace.batch == 256


def test_streams_are_halved_and_come_back_one_by_one() -> None:
    pace = Pace(64, 8)
    pace.pushed_back()
    assert pace.streams == 4
    pace.pushed_back()
    assert (pace.streams, pace.why) == (2, "2 of 8 streams: the server pushed back")
    for _ in range(5):
        pace.pushed_back()
    assert pace.streams == 1
    seen = []
    for _ in range(75):
        pace.went_well(64, 0.1)
        seen.append(pace.streams)
    assert sorted(set(seen)) == [1, 2, 3, 4, 5, 6, 7, 8] and seen == sorted(seen)


def test_a_ceiling_is_tried_again_after_a_good_while() -> None:
    pace = Pace(256, 2)
    pace.too_large(100)
    pace.too_large(120)
    assert (pace.batch, pace.why) == (100, "100 of 256 points per request: the server takes no more")
    for _ in range(LIFT_AFTER):
        assert pace.batch == 100
        pace.went_well(100, 0.1)
    assert pace.batch == 200
    pace.too_large(100)
    assert pace.batch == 100
    for _ in range(3 * LIFT_AFTER):
        pace.went_well(pace.batch, 0.1)
    assert (pace.batch, pace.why) == (256, "")


def test_who_asks_gets_it_at_once() -> None:
    pace = Pace(256, 4)
    pace.went_well(256, 8.0)
    pace.pushed_back()
    pace.ask(batch=128, streams=3)
    assert (pace.batch, pace.streams) == (128, 3)
    pace.too_large(50)
    pace.ask(batch=512)
    assert pace.batch == 50
