"""Together connections hold no more than the limit: those that hold most go first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from raftkafka.listeners.held_bytes import LIGHT_BYTES, HeldBytes

LIMIT = 10 * LIGHT_BYTES


class Connection:
    def __init__(self) -> None:
        self.held_bytes = 0
        self.was_cut = False

    def cut(self, reason: str) -> None:
        self.was_cut = True
        self.held_bytes = 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4 * LIGHT_BYTES)), max_size=60))
def test_what_is_reported_stays_below_the_limit_and_light_ones_are_never_cut(steps):
    held, connections = HeldBytes(LIMIT), [Connection() for _ in range(6)]
    for number, size in steps:
        connection = connections[number]
        if connection.was_cut:
            continue
        connection.held_bytes = size
        held.report(connection, size)
        heavy = [each for each in connections if each.held_bytes >= LIGHT_BYTES]
        assert held.total == sum(each.held_bytes for each in heavy) <= LIMIT
        assert not connection.was_cut or size >= LIGHT_BYTES


def test_the_one_that_holds_most_is_cut_and_no_other():
    held, (small, large, last) = HeldBytes(LIMIT), (Connection(), Connection(), Connection())
    for connection, size in ((small, 2), (large, 7), (last, 3)):
        connection.held_bytes = size * LIGHT_BYTES
        held.report(connection, connection.held_bytes)
    assert [each.was_cut for each in (small, large, last)] == [False, True, False]


def test_who_has_been_sent_his_bytes_since_is_not_cut_for_them():
    held, (done, new) = HeldBytes(LIMIT), (Connection(), Connection())
    held.report(done, 8 * LIGHT_BYTES)
    new.held_bytes = 3 * LIGHT_BYTES
    held.report(new, new.held_bytes)
    assert not done.was_cut
    assert held.total == new.held_bytes


def test_a_connection_that_is_gone_holds_nothing():
    held, gone = HeldBytes(LIMIT), Connection()
    held.report(gone, 8 * LIGHT_BYTES)
    held.forget(gone)
    held.forget(gone)
    assert held.total == 0
