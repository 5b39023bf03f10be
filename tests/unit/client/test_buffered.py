from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.client.buffered import Buffered, receive
from raftkafka.client.types import ConsumerRecord, TopicPartition
from raftkafka.model.errors import CorruptionError
from raftkafka.record.build import encode_records, encode_values
from raftkafka.record.header import iter_headers, stamp

TP = TopicPartition("t", 0)


def log(*counts: int, start: int = 0, gap: int = 0) -> bytes:
    """Batches of so many values each; values are their offsets in decimal."""
    out, offset = b"", start
    for count in counts:
        batch = encode_values([b"%d" % number for number in range(offset, offset + count)], timestamp_ms=1)
        stamp(batch, 0, offset, 1)
        out += bytes(batch)
        offset += count + gap
    return out


def buffered_from(offset: int, *chunks: bytes) -> Buffered:
    buffered = Buffered(TP)
    buffered.clear(offset)
    for chunk in chunks:
        received = receive(chunk, offset, check_crcs=True)
        if received is not None:
            buffered.add(received)
            offset = received.next_offset
    return buffered


@given(
    counts=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    skip=st.integers(0, 12),
    limits=st.lists(st.sampled_from([0, 1, 2, 7, -1, -3, -9]), min_size=1, max_size=40),
)
def test_whichever_way_they_are_read_every_offset_comes_once_and_in_order(counts, skip, limits):
    """A limit of 0 reads values, 7 reads raw, a negative one steps through a run, others read records; each way goes on
    where the last stopped, and what a run had left is not given any more.
    """
    end = sum(counts)
    start = min(skip, end)
    buffered = buffered_from(start, log(*counts))
    seen: list[int] = []
    runs = []
    for limit in limits:
        assert buffered.position == start + len(seen)
        if limit < 0:
            run = buffered.run()
            assert all(list(stale) == [] for stale in runs)
            runs.append(run)
            for record in islice(run, -limit):
                assert record == ConsumerRecord(*TP, record.offset, 1, None, b"%d" % record.offset, ())
                seen.append(record.offset)
        elif limit == 0:
            values = buffered.take_values()
            seen += [int(value) for value in values.values] if values else []
            assert values is None or values.first_offset + len(values.values) == values.next_offset
        elif limit == 7:
            for batch in buffered.take_batches():
                decoded = [
                    header.base_offset + delta
                    for _, header in iter_headers(batch.records)
                    for delta in range(header.records_count)
                ]
                seen += [offset for offset in decoded if batch.first_offset <= offset < batch.next_offset]
        else:
            records = buffered.take_records(limit)
            assert len(records) <= limit
            seen += [record.offset for record in records]
    assert seen == list(range(start, start + len(seen)))
    while (record := buffered.take_record()) is not None:
        seen.append(record.offset)
    assert seen == list(range(start, end))
    assert not buffered
    assert buffered.bytes == 0


def test_gaps_left_by_compaction_divide_values():
    buffered = buffered_from(0, log(2, 3, gap=5))
    first, second = buffered.take_values(), buffered.take_values()
    assert (first.first_offset, first.next_offset, first.values) == (0, 2, [b"0", b"1"])
    assert (second.first_offset, second.next_offset, second.values) == (7, 10, [b"7", b"8", b"9"])


def test_a_run_is_followed_record_by_record_and_leaves_the_last_one_of_its_batch():
    buffered = buffered_from(0, log(4, 2, gap=5))
    assert list(buffered.run()) == []  # no batch is being read yet
    assert buffered.take_record().offset == 0
    run = buffered.run()
    for offset in (1, 2):
        assert next(run).offset == offset
        assert buffered.position == offset + 1
    assert list(run) == []
    assert (buffered.position, buffered.take_record().offset, buffered.position) == (3, 3, 4)


def test_a_run_ends_when_the_position_moves():
    buffered = buffered_from(0, log(9))
    assert buffered.take_record().offset == 0
    run = buffered.run()
    assert next(run).offset == 1
    buffered.clear(5)
    assert list(run) == []
    assert buffered.position == 5
    buffered = buffered_from(0, log(9))
    assert buffered.take_record().offset == 0
    run = buffered.run()
    assert next(run).offset == 1
    buffered.end_run()
    assert list(run) == []
    assert [record.offset for record in buffered.take_records(3)] == [2, 3, 4]


def test_nothing_new_is_nothing():
    assert receive(log(3), 3, check_crcs=True) is None
    assert receive(b"", 0, check_crcs=True) is None


def test_damage_is_noticed():
    damaged = bytearray(log(3))
    damaged[-1] ^= 1
    with pytest.raises(CorruptionError):
        receive(bytes(damaged), 0, check_crcs=True)
    assert receive(bytes(damaged), 0, check_crcs=False) is not None
    with pytest.raises(CorruptionError):
        receive(bytes(damaged[:-1]), 0, check_crcs=False)


def test_keys_headers_and_tombstones_pass_through():
    batch = encode_records([(b"k", None, 5, [("h", b"v")]), (None, b"x", 6, ())])
    buffered = buffered_from(0, bytes(batch))
    one, two = buffered.take_records(10)
    assert (one.key, one.value, one.timestamp_ms, list(one.headers)) == (b"k", None, 5, [("h", b"v")])
    assert (two.key, two.value, two.offset) == (None, b"x", 1)
