"""Kafka's rules for idempotent producers, one by one, and the table that can be taken back."""

import pytest

from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.record.build import encode_values
from raftkafka.record.header import read_header
from raftkafka.replica.producers import PRODUCERS_MAX, SEQUENCE_MAX, UNDO_MAX, Duplicate, ProducerTable


def header(producer_id, epoch, sequence, count=1):
    values = [b"v"] * count
    return read_header(
        encode_values(values, timestamp_ms=7, producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence)
    )


def write(table, *headers):
    """What a leader does: check, then note; the answer of the check."""
    found = table.check(headers)
    if found is None:
        for each in headers:
            last = table.end + each.last_offset_delta
            if each.producer_id < 0:
                table.end = last + 1
            else:
                table.note(
                    each.producer_id, each.producer_epoch, each.base_sequence, table.end, last, each.max_timestamp
                )
    return found


def refused(table, *headers):
    with pytest.raises(ApiError) as raised:
        table.check(headers)
    return raised.value.code


def test_batches_in_order_are_taken_and_repeated_ones_are_found():
    table = ProducerTable(10)
    assert write(table, header(1, 0, 0, 3)) is None
    assert write(table, header(1, 0, 3, 2)) is None
    assert table.end == 15
    assert write(table, header(1, 0, 0, 3)) == Duplicate(10, 12, 7)
    assert write(table, header(1, 0, 3, 2)) == Duplicate(13, 14, 7)
    assert table.end == 15


def test_only_the_last_five_are_remembered():
    table = ProducerTable(0)
    for sequence in range(6):
        write(table, header(1, 0, sequence))
    assert refused(table, header(1, 0, 0)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert [write(table, header(1, 0, sequence)).first_offset for sequence in range(1, 6)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("again", [(0, 0, 2), (0, 1, 2), (0, 4, 1)], ids=["shorter", "overlapping", "a gap"])
def test_what_is_neither_next_nor_the_same_is_out_of_order(again):
    table = ProducerTable(0)
    write(table, header(1, 0, 0, 3))
    epoch, sequence, count = again
    assert refused(table, header(1, epoch, sequence, count)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_epochs():
    table = ProducerTable(0)
    write(table, header(1, 3, 0))
    assert refused(table, header(1, 2, 0)) is ErrorCode.INVALID_PRODUCER_EPOCH
    assert refused(table, header(1, 4, 1)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert write(table, header(1, 4, 0)) is None
    assert refused(table, header(1, 3, 0)) is ErrorCode.INVALID_PRODUCER_EPOCH
    assert write(table, header(1, 4, 0)) == Duplicate(1, 1, 7)


def test_an_unknown_producer_may_begin_anywhere():
    table = ProducerTable(0)
    assert write(table, header(1, 7, 4_000)) is None
    assert write(table, header(1, 7, 4_001)) is None


def test_sequences_begin_again_after_the_largest():
    table = ProducerTable(0)
    write(table, header(1, 0, SEQUENCE_MAX - 1, 4))  # ..., MAX, 0, 1
    assert write(table, header(1, 0, 2)) is None
    assert write(table, header(1, 0, SEQUENCE_MAX - 1, 4)) == Duplicate(0, 3, 7)
    write(table, header(2, 0, SEQUENCE_MAX))
    assert write(table, header(2, 0, 0)) is None


def test_batches_of_one_request_are_judged_together():
    table = ProducerTable(0)
    assert write(table, header(1, 0, 0, 2), header(2, 0, 0), header(1, 0, 2), header(-1, -1, -1)) is None
    assert refused(table, header(1, 0, 3), header(1, 0, 5)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert refused(table, header(3, 0, 9), header(3, 0, 11)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert refused(table, header(3, 1, 0), header(3, 0, 0)) is ErrorCode.INVALID_PRODUCER_EPOCH
    assert refused(table, header(3, 0, 0), header(3, 0, 0)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_a_repeated_request_of_several_batches_is_one_duplicate():
    table = ProducerTable(0)
    both = (header(1, 0, 0, 2), header(1, 0, 2, 3))
    write(table, *both)
    write(table, header(2, 0, 0))
    assert write(table, *both) == Duplicate(0, 4, 7)


def test_a_request_that_is_here_in_part_is_for_sending_one_by_one():
    table = ProducerTable(0)
    write(table, header(1, 0, 0))
    assert refused(table, header(1, 0, 0), header(1, 0, 1)) is ErrorCode.DUPLICATE_SEQUENCE_NUMBER
    assert refused(table, header(1, 0, 0), header(-1, -1, -1)) is ErrorCode.DUPLICATE_SEQUENCE_NUMBER
    write(table, header(2, 0, 0))
    write(table, header(1, 0, 1))
    assert refused(table, header(1, 0, 0), header(1, 0, 1)) is ErrorCode.DUPLICATE_SEQUENCE_NUMBER


def test_a_cut_takes_the_table_back():
    table = ProducerTable(0)
    states = [(0, {})]
    for number in range(UNDO_MAX - 1):
        producer_id, epoch = number % 7, number // 50
        known = table.entries.get(producer_id)
        again = known is not None and known.epoch == epoch
        write(table, header(producer_id, epoch, known.batches[-1].last_sequence + 1 if again else 0))
        states.append((table.end, dict(table.entries)))
    for end, entries in reversed(states):
        assert table.truncate(end)
        assert (table.end, table.entries) == (end, entries)


def test_a_cut_too_far_back_is_not_undone():
    table = ProducerTable(0)
    for sequence in range(UNDO_MAX + 3):
        write(table, header(1, 0, sequence))
    assert not table.truncate(2)
    assert table.truncate(3)
    assert table.entries[1].batches[-1].last_sequence == 2
    fresh = ProducerTable(100)
    assert not fresh.truncate(99)


def test_silent_producers_are_forgotten():
    table = ProducerTable(0)
    table.note(1, 0, 0, 0, 0, 1_000)
    table.note(2, 0, 0, 1, 1, 2_000)
    assert table.expire(now_ms=1_500, expiration_ms=1_000) == 0
    assert table.expire(now_ms=2_000, expiration_ms=1_000) == 1
    assert list(table.entries) == [2]
    assert write(table, header(1, 0, 44)) is None


@pytest.mark.parametrize("timestamp_ms", [-1, 7])
def test_who_writes_is_not_forgotten_for_the_age_of_the_records(timestamp_ms):
    table = ProducerTable(0)
    for sequence in range(3):
        table.note(1, 0, sequence, table.end, table.end, timestamp_ms)
        assert table.expire(now_ms=10_000_000, expiration_ms=1_000) == 0
        assert table.check([header(1, 0, sequence)]) is not None
    assert table.truncate(2)
    table.note(1, 0, 2, 2, 2, timestamp_ms)
    assert table.expire(now_ms=10_000_000, expiration_ms=1_000) == 0
    assert table.expire(now_ms=10_000_000, expiration_ms=1_000) == 1


def test_the_table_is_bounded():
    table = ProducerTable(0)
    for number in range(PRODUCERS_MAX):
        table.note(number, 0, 0, number, number, 7)
    table.note(0, 0, 1, PRODUCERS_MAX, PRODUCERS_MAX, 7)
    table.note(PRODUCERS_MAX, 0, 0, PRODUCERS_MAX + 1, PRODUCERS_MAX + 1, 7)
    assert len(table.entries) == PRODUCERS_MAX
    assert 0 in table.entries
    assert 1 not in table.entries
