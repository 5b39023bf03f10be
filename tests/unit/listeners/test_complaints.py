"""A flood of bad connections is a handful of lines."""

from __future__ import annotations

import logging

from raftkafka.listeners.complaints import EVERY_S, LINES_MAX, Complaints

LOG = logging.getLogger("raftkafka.network")


def test_a_flood_is_a_few_lines_and_the_next_one_says_how_many_were_left_out(caplog):
    complaints = Complaints(LOG)
    for number in range(1_000):
        complaints.say(logging.WARNING, f"stranger {number}", now=10.0)
    assert len(caplog.messages) == LINES_MAX
    complaints.say(logging.WARNING, "later", now=10.0 + EVERY_S)
    assert caplog.messages[-1] == f"later (and {1_000 - LINES_MAX} connections more, of which nothing was said)"
    complaints.say(logging.WARNING, "too soon", now=10.0 + EVERY_S)
    assert len(caplog.messages) == LINES_MAX + 1


def test_now_and_then_one_is_always_told(caplog):
    caplog.set_level(logging.INFO, LOG.name)
    complaints = Complaints(LOG)
    for number in range(100):
        complaints.say(logging.INFO, "again", now=number * EVERY_S)
    assert caplog.messages == ["again"] * 100
