"""The epoch history against a naive model: the epoch of every single offset."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.model.errors import CorruptionError
from raftkafka.replica.epochs import EpochHistory

RUNS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=8)
"""(how far the epoch rises, how many records it writes)."""


def build(runs, start=0):
    """A history, and the epoch of each offset from `start` on."""
    history, epochs, epoch = EpochHistory(), [], 0
    for rise, records in runs:
        epoch += rise
        history.assign(epoch, start + len(epochs))
        epochs += [epoch] * records
    return history, epochs


@given(RUNS, st.integers(-1, 30), st.integers(0, 5))
def test_end_offset_is_that_of_the_largest_epoch_at_or_below_the_asked_one(runs, asked, start):
    history, epochs = build(runs, start)
    got = history.end_offset_for(asked, start + len(epochs))
    known = [epoch for epoch in epochs if epoch <= asked]
    if not epochs or asked < 0:
        assert got == (-1, -1)
    elif not known:
        assert got == (asked, start)
    else:
        assert got == (max(known), start + len(known))


@given(RUNS, st.integers(-2, 40))
def test_epoch_at_names_the_writer_of_an_offset(runs, offset):
    history, epochs = build(runs)
    expected = -1 if offset < 0 or not epochs else epochs[min(offset, len(epochs) - 1)]
    assert history.epoch_at(offset) == expected
    epoch, end = history.span_at(offset)
    # A batch that begins before the history is the one that the log start lies in.
    assert epoch == (epochs[0] if epochs and offset < 0 else expected)
    assert end == next((entry.start_offset for entry in history.entries() if entry.start_offset > offset), None)


@given(RUNS, st.integers(0, 40))
def test_truncation_from_the_end_forgets_what_was_cut(runs, offset):
    history, epochs = build(runs)
    before = len(history)
    changed = history.truncate_from_end(offset)
    assert changed == (len(history) != before)
    assert [history.epoch_at(at) for at in range(len(epochs[:offset]))] == epochs[:offset]
    assert history.latest == (epochs[:offset][-1] if epochs[:offset] else -1)


@given(RUNS, st.integers(0, 40))
def test_truncation_from_the_start_keeps_the_epoch_in_force(runs, offset):
    history, epochs = build(runs)
    history.truncate_from_start(offset)
    assert [history.epoch_at(at) for at in range(offset, len(epochs))] == epochs[offset:]
    assert all(entry.start_offset >= offset for entry in history.entries())
    if epochs:
        assert history.latest == epochs[-1]


@given(RUNS, st.lists(st.tuples(st.integers(0, 12), st.integers(0, 20)), max_size=6))
def test_assignments_always_leave_a_rising_history(runs, assignments):
    history, _ = build(runs)
    for epoch, start in assignments:
        history.assign(epoch, start)
        assert history.latest == epoch
        entries = history.entries()
        assert all(a.epoch < b.epoch and a.start_offset < b.start_offset for a, b in pairwise(entries))


@given(RUNS)
def test_the_checkpoint_round_trips(runs):
    history, _ = build(runs)
    assert EpochHistory.decode(history.encode()) == history


def test_the_checkpoint_is_kafkas_text():
    assert EpochHistory([(0, 0), (3, 120)]).encode() == b"0\n2\n0 0\n3 120\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"0\n",
        b"1\n0\n",
        b"0\n2\n0 0\n",
        b"0\n1\n0\n",
        b"0\n1\nx 0\n",
        b"0\n2\n3 0\n2 5\n",
        b"0\n1\n-1 0\n",
        b"\xff",
    ],
)
def test_a_damaged_checkpoint_is_refused(content):
    with pytest.raises(CorruptionError):
        EpochHistory.decode(content)


def test_assigning_the_epoch_in_force_again_changes_nothing():
    history = EpochHistory([(4, 10)])
    assert not history.assign(4, 15)
    assert history.entries() == ((4, 10),)
