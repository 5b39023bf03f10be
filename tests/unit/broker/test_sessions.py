"""Who has been heard of lately."""

from __future__ import annotations

from raftkafka.broker.sessions import Sessions


def test_a_session_runs_out_after_the_time_out_and_not_at_it():
    sessions = Sessions(timeout_s=9)
    sessions.begin([1, 2], 100)
    sessions.touch(2, 105)
    assert sessions.expired(109) == []
    assert sessions.expired(109.5) == [1]
    assert sessions.expired(115) == [1, 2]


def test_who_is_forgotten_is_not_named_and_who_is_heard_of_again_neither():
    sessions = Sessions(timeout_s=9)
    sessions.begin([1, 2], 100)
    sessions.forget(1)
    sessions.forget(7)
    sessions.touch(2, 111)
    assert sessions.expired(112) == []


def test_a_new_controller_gives_everybody_a_fresh_session():
    sessions = Sessions(timeout_s=9)
    sessions.begin([1, 2], 100)
    sessions.begin([2], 200)
    assert sessions.expired(205) == []
    assert not sessions.heard_within(1, 205, 9)
    assert sessions.heard_within(2, 205, 5)
    assert not sessions.heard_within(2, 206, 5)
