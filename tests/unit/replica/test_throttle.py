"""The token bucket passes its rate in the long run, whatever the batches, and the list names who is held up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.replica.throttle import BURST_S, Throttle, is_listed


@given(st.integers(1, 10_000), st.lists(st.tuples(st.floats(0, 0.5), st.integers(1, 5_000)), max_size=200))
def test_no_more_passes_than_the_rate_a_burst_and_one_batch(rate, batches):
    throttle, now, passed, largest = Throttle(rate=rate, now=0.0), 0.0, 0, 0
    for wait_s, size in batches:
        now += wait_s
        if not throttle.is_exceeded(now):
            throttle.record(size, now)
            passed += size
            largest = max(largest, size)
    assert passed <= rate * (now + BURST_S) + largest + 1


def test_after_its_pause_something_passes_again_and_not_before():
    throttle = Throttle(rate=100, now=0.0)
    throttle.record(300, 0.0)
    assert throttle.pause_s(0.0) == pytest.approx(2.0)
    assert throttle.is_exceeded(1.99)
    assert not throttle.is_exceeded(2.01)
    assert throttle.pause_s(2.01) == 0.0


def test_time_that_goes_back_changes_nothing():
    throttle = Throttle(rate=100, now=10.0)
    throttle.record(150, 10.0)
    assert throttle.is_exceeded(5.0)
    assert not throttle.is_exceeded(10.6)


@pytest.mark.parametrize(
    ("text", "listed"),
    [(None, False), ("", False), ("*", True), ("3:1", True), ("0:1,3:1", True), ("3:11,13:1", False), ("1:3", False)],
)
def test_the_list_names_partition_and_broker(text, listed):
    assert is_listed(text, 3, 1) is listed
