"""A rate is kept evenly, whatever the portions, and what was missed is not made good without end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.cli.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@given(st.floats(0.5, 1e6), st.lists(st.integers(1, 1_000), min_size=1, max_size=50))
def test_the_rate_is_kept(rate: float, portions: list[int]) -> None:
    clock = Clock()
    pace = Pace(rate, clock)
    for records in portions:
        clock.now += pace.wait_s(records)
    before_last = sum(portions[:-1])
    assert clock.now - 100.0 == pytest.approx(before_last / rate, abs=1e-6)


def test_the_first_goes_at_once_and_a_pause_is_made_good_for_a_second() -> None:
    clock = Clock()
    pace = Pace(10, clock)
    assert pace.wait_s(1) == 0
    assert pace.wait_s(1) == pytest.approx(0.1)
    clock.now += 60
    burst = 0
    while pace.wait_s(1) == 0:
        burst += 1
    assert burst == 11


def test_portions_are_small_enough() -> None:
    pace = Pace(100, Clock())
    assert [len(step) for step in pace.steps(range(12))] == [5, 5, 2]
    assert [len(step) for step in Pace(0.5, Clock()).steps(range(2))] == [1, 1]
