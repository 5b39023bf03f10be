"""The log against a model: a list of batches."""

import asyncio
import itertools

import pytest
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkafka.model.errors import (
    ApiError,
    CorruptionError,
    DiskFullError,
    ErrorCode,
    InvariantViolationError,
    StorageError,
)
from raftkafka.record.build import encode_records
from raftkafka.record.compression import target_of
from raftkafka.record.header import CRC_START, iter_headers, read_header, stamp
from raftkafka.record.iterate import decode_records
from raftkafka.storage.config import LogConfig
from raftkafka.storage.log import Log
from raftkafka.storage.open_segments import OpenSegments

SMALL = {"segment_bytes": 1_000, "index_interval_bytes": 200}

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 4), st.integers(0, 150)),
        st.tuples(st.just("fetched"), st.integers(1, 3), st.integers(0, 1)),
        st.tuples(st.just("truncate"), st.floats(0, 1), st.just(0)),
        st.tuples(st.just("reopen"), st.booleans(), st.just(0)),
        st.tuples(st.just("flush"), st.just(0), st.just(0)),
        st.tuples(st.just("read"), st.floats(0, 1), st.integers(1, 900)),
        st.tuples(st.just("epoch"), st.just(0), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_a_log_is_a_list_of_batches(logs, steps):
    asyncio.run(_play(logs, steps))


async def _play(logs, steps):
    disk = logs.disk()
    log = await logs.open(disk, **SMALL)
    model: list[bytes] = []  # whole batches, in order
    epoch = 0

    def end():
        return read_header(model[-1]).next_offset if model else 0

    for step, first, second in steps:
        if step == "append":
            model.append(logs.append(log, *[bytes(second)] * first, epoch=epoch))
        elif step == "fetched":
            epoch += second
            batch = logs.fetched(end(), epoch, *[b"x"] * first)
            log.append_as_follower(batch, now_ms=1_000)
            model.append(batch)
        elif step == "truncate":
            cut = int(first * end())
            log.truncate_to(cut)
            model = [batch for batch in model if read_header(batch).next_offset <= cut]
        elif step == "reopen":
            if first:
                await logs.flush(log, disk)
            point = log.recovery_point
            log.close()
            disk.cold = not disk.cold
            log = await logs.open(disk, clean=first, recovery_point=point, **SMALL)
        elif step == "flush":
            await logs.flush(log, disk)
            assert log.flushed_offset == end()
        elif step == "epoch":
            epoch += 1
            log.begin_epoch(epoch)
        elif end():
            offset = min(int(first * end()), end() - 1)
            result = log.read(offset, max_bytes=second, end=end())
            if result is None:
                result = await log.read_cold(offset, max_bytes=second, end=end())
            expected = [batch for batch in model if read_header(batch).next_offset > offset]
            got = logs.split(result.records)
            assert got == expected[: len(got)]
            assert len(got) >= 1
            assert len(got) == 1 or len(result.records) <= second
            assert result.first_offset == read_header(got[0]).base_offset
            assert result.next_offset == read_header(got[-1]).next_offset
        assert log.log_end_offset == end()
        assert log.flushed_offset <= log.log_end_offset
        assert log.corruption is None
        assert log.size_bytes == sum(map(len, model))
    assert await logs.read_all(log) == model
    for batch in model:
        header = read_header(batch)
        assert log.epochs.epoch_at(header.base_offset) == header.partition_leader_epoch


async def test_offsets_and_epoch_are_stamped_in_place(logs, disk):
    log = await logs.open(disk)
    logs.append(log, b"a", b"b")
    batch = logs.batch(b"c", b"d", b"e")
    appended = log.append_as_leader(batch, leader_epoch=7, now_ms=5_000)
    assert (appended.first_offset, appended.last_offset, appended.records) == (2, 4, 3)
    assert (appended.log_append_time_ms, appended.max_timestamp, appended.bytes) == (-1, 1_002, len(batch))
    header = read_header(batch)
    assert (header.base_offset, header.partition_leader_epoch) == (2, 7)
    assert log.epochs.entries() == ((0, 0), (7, 2))


async def test_the_brokers_time_is_stamped_when_the_topic_says_so(logs, disk):
    log = await logs.open(disk, timestamp_type="LogAppendTime")
    appended = log.append_as_leader(logs.batch(b"a"), leader_epoch=0, now_ms=777_000)
    assert (appended.log_append_time_ms, appended.max_timestamp) == (777_000, 777_000)
    (batch,) = await logs.read_all(log)
    assert read_header(batch).has_log_append_time
    assert log.offset_for_timestamp(777_000, end=1) == (777_000, 0, 0)


async def test_reads_end_below_the_given_end_and_refuse_other_offsets(logs, disk):
    log = await logs.open(disk)
    first = logs.append(log, b"a", b"b")
    logs.append(log, b"c", b"d")
    result = log.read(0, max_bytes=1 << 20, end=3)
    assert (result.records, result.next_offset) == (first, 2)
    assert len(log.read(2, max_bytes=1 << 20, end=3).records) == 0
    assert len(log.read(4, max_bytes=1 << 20, end=4).records) == 0
    for offset in (-1, 5):
        with pytest.raises(ApiError) as raised:
            log.read(offset, max_bytes=100, end=4)
        assert raised.value.code is ErrorCode.OFFSET_OUT_OF_RANGE


async def test_a_batch_larger_than_the_limit_is_read_only_when_one_is_wanted(logs, disk):
    log = await logs.open(disk)
    batch = logs.append(log, bytes(500))
    assert log.read(0, max_bytes=10, end=1).records == batch
    assert len(log.read(0, max_bytes=10, end=1, min_one=False).records) == 0
    assert len(log.read(0, max_bytes=100, end=1, min_one=False).records) == 0


async def test_a_sequential_reader_needs_no_index(logs, disk):
    log = await logs.open(disk, segment_bytes=500, index_interval_bytes=0)
    for _ in range(20):
        logs.append(log, b"value")
    assert log.segment_count > 2
    disk.cold = True
    assert log.read(0, max_bytes=100, end=20) is None
    disk.cold = False
    offset = 0
    while offset < 20:
        result = log.read(offset, max_bytes=200, end=20)
        offset = result.next_offset


@pytest.mark.parametrize("what", ["overlap", "damage", "torn", "empty", "older epoch"])
async def test_a_follower_appends_all_or_nothing(logs, disk, what):
    log = await logs.open(disk)
    kept = logs.fetched(0, 3, b"a", b"b")
    log.append_as_follower(kept, now_ms=1_000)
    good = logs.fetched(2, 3, b"c")
    bad = {
        "overlap": logs.fetched(1, 3, b"d"),
        "damage": good + logs.fetched(3, 3, b"d")[:-1] + b"\xff",
        "torn": good + logs.fetched(3, 3, b"d")[:-1],
        "empty": b"",
        "older epoch": good + logs.fetched(3, 2, b"d"),
    }[what]
    with pytest.raises(ApiError):
        log.append_as_follower(bad, now_ms=1_000)
    assert log.log_end_offset == 2
    assert await logs.read_all(log) == [kept]
    assert log.epochs.entries() == ((3, 0),)


@pytest.mark.parametrize("policy", ["compact", "delete"])
async def test_a_follower_takes_over_the_gaps_of_a_compacted_leader(logs, disk, policy):
    log = await logs.open(disk, cleanup_policy=policy)
    first = logs.fetched(3, 1, b"a") + logs.fetched(7, 1, b"b", b"c")
    log.append_as_follower(first, now_ms=1_000)
    second = logs.fetched(12, 4, b"d")
    log.append_as_follower(second, now_ms=1_000)
    assert log.log_end_offset == 13
    for wanted, base in ((0, 3), (3, 3), (4, 7), (8, 7), (9, 12), (12, 12)):
        result = log.read(wanted, max_bytes=1, end=13)
        assert read_header(result.records).base_offset == base, wanted
    await logs.flush(log, disk)
    # Recovered by reading it, also under a policy that makes no gaps itself.
    disk.crash()
    log = await logs.open(disk, recovery_point=0, cleanup_policy="delete")
    assert log.corruption is None
    assert await logs.read_all(log) == logs.split(first + second)
    assert log.epochs.entries() == ((1, 3), (4, 12))
    log.truncate_to(10)  # within a gap: what stays ends where the batch before it does
    assert log.log_end_offset == 9
    assert await logs.read_all(log) == logs.split(first)


@pytest.mark.parametrize("mask", [0x01, 0x40])
async def test_a_gap_beyond_the_reach_of_a_segment_is_damage_in_a_compacted_log_too(logs, disk, mask):
    """Recovery would index an offset that no index can hold."""
    log = await logs.open(disk, cleanup_policy="compact")
    log.append_as_follower(logs.fetched(0, 0, b"a"), now_ms=1_000)
    size = log.size_bytes
    log.append_as_follower(logs.fetched(1, 0, b"b"), now_ms=1_000)
    await logs.flush(log, disk)
    disk.flip(f"{logs.PATH}/00000000000000000000.log", size + 3, mask)
    log = await logs.open(disk, cleanup_policy="compact", clean=False)
    assert log.log_end_offset == 1
    assert log.corruption is not None


async def test_a_gap_that_nobody_explains_is_damage(logs, disk):
    log = await logs.open(disk)
    logs.append(log, b"a")
    size = log.size_bytes
    logs.append(log, b"b")
    await logs.flush(log, disk)
    disk.flip(f"{logs.PATH}/00000000000000000000.log", size + 7, 4)  # offset 1 becomes 5
    with pytest.raises(CorruptionError):
        log.read(1, max_bytes=100, end=2)
    assert (await logs.open(disk, recovery_point=2)).corruption is not None


async def test_a_stale_leader_cannot_write_an_older_epoch(logs, disk):
    log = await logs.open(disk)
    logs.append(log, b"a", epoch=4)
    with pytest.raises(InvariantViolationError):
        logs.append(log, b"b", epoch=3)


async def test_a_leadership_that_wrote_nothing_gives_way(logs, disk):
    log = await logs.open(disk)
    log.append_as_follower(logs.fetched(0, 2, b"a"), now_ms=1_000)
    log.begin_epoch(5)
    log.append_as_follower(logs.fetched(1, 3, b"b") + logs.fetched(2, 6, b"c"), now_ms=1_000)
    assert log.epochs.entries() == ((2, 0), (3, 1), (6, 2))
    assert len(await logs.read_all(log)) == 3


async def test_a_full_disk_leaves_the_log_as_it_was(logs, disk):
    log = await logs.open(disk)
    kept = logs.append(log, b"a")
    disk.capacity_bytes = disk.used_bytes() + 10
    with pytest.raises(DiskFullError):
        logs.append(log, b"b")
    assert log.log_end_offset == 1
    assert await logs.read_all(log) == [kept]
    disk.capacity_bytes = 1 << 30
    assert logs.append(log, b"c") == (await logs.read_all(log))[1]


async def test_a_full_disk_at_a_roll_leaves_the_log_usable(logs, disk):
    log = await logs.open(disk, **SMALL)
    batches = [logs.append(log, bytes(200)) for _ in range(3)]
    disk.capacity_bytes = disk.used_bytes() + 10
    with pytest.raises(DiskFullError):
        logs.append(log, bytes(300))
    assert await logs.read_all(log) == batches
    disk.capacity_bytes = 1 << 30
    batches.append(logs.append(log, bytes(300)))
    assert await logs.read_all(log) == batches
    reopened = await logs.open(disk, **SMALL)
    assert await logs.read_all(reopened) == batches


async def test_a_full_disk_does_not_fail_the_sync_of_what_is_there(logs, disk):
    log = await logs.open(disk)
    logs.append(log, b"a", epoch=3)
    disk.capacity_bytes = disk.used_bytes() + 5
    await logs.flush(log, disk)
    assert (log.flushed_offset, log.recovery_point) == (1, 0)
    disk.capacity_bytes = 1 << 30
    await logs.flush(log, disk)
    assert (log.flushed_offset, log.recovery_point) == (1, 1)


async def test_a_failed_write_takes_the_log_offline(logs, disk):
    log = await logs.open(disk)
    kept = logs.append(log, b"a")
    disk.append_error = StorageError("input/output error")
    with pytest.raises(StorageError):
        logs.append(log, b"b")
    disk.append_error = None
    with pytest.raises(StorageError, match="takes no appends"):
        logs.append(log, b"c")
    assert await logs.read_all(log) == [kept]


async def test_a_failed_sync_takes_the_log_offline_and_counts_for_nothing(logs, disk):
    log = await logs.open(disk)
    logs.append(log, b"a")
    disk.sync_error = StorageError("input/output error")
    with pytest.raises(StorageError) as raised:
        await logs.flush(log, disk)
    log.take_offline(raised.value)
    assert log.flushed_offset == 0
    with pytest.raises(StorageError):
        log.append_as_follower(logs.fetched(1, 0, b"b"), now_ms=1_000)


@pytest.mark.parametrize("cut", [lambda log: log.truncate_to(2), lambda log: log.truncate_fully_and_start_at(9)])
async def test_a_full_disk_leaves_a_log_that_is_to_be_cut_as_it_was(logs, disk, cut):
    """A follower would have to stay offline until its next start for it."""
    log = await logs.open(disk)
    batches = [logs.append(log, b"a", epoch=epoch) for epoch in range(4)]
    await logs.flush(log, disk)
    epochs = log.epochs.entries()
    for space in itertools.count():
        disk.capacity_bytes = disk.used_bytes() + space
        try:
            cut(log)
        except DiskFullError:
            assert log.offline is None
            assert log.epochs.entries() == epochs
            assert await logs.read_all(log) == batches
        else:
            break
    assert space > 0
    assert log.log_end_offset in (2, 9)
    assert log.epochs.latest < 3


async def test_a_truncation_during_a_sync_takes_back_its_part(logs, disk):
    log = await logs.open(disk)
    for _ in range(5):
        logs.append(log, b"a")
    files, end = log.files_to_sync()
    log.truncate_to(2)
    logs.append(log, b"b", epoch=1)
    logs.append(log, b"c", epoch=1)
    log.mark_flushed(end, files)
    assert log.flushed_offset == 2
    files, end = log.files_to_sync()
    assert [file.path for file in files if file.path.endswith(".log")] == [f"{logs.PATH}/{0:020d}.log"]
    log.mark_flushed(end, files)
    assert log.flushed_offset == 4
    assert log.files_to_sync()[0] == []


async def test_rolled_segments_are_synced_too(logs, disk):
    log = await logs.open(disk, **SMALL)
    for _ in range(10):
        logs.append(log, bytes(200))
    files, _ = log.files_to_sync()
    assert len([file for file in files if file.path.endswith(".log")]) == log.segment_count > 2
    await logs.flush(log, disk)
    disk.crash()
    reopened = await logs.open(disk, recovery_point=10, **SMALL)
    assert reopened.log_end_offset == 10


async def test_segments_roll_by_time_by_index_and_by_offset_delta(logs, disk):
    log = await logs.open(disk, segment_ms=100)
    logs.append(log, b"a", now_ms=1_000)
    logs.append(log, b"b", now_ms=1_100)
    assert log.segment_count == 1
    logs.append(log, b"c", now_ms=1_101)
    assert log.segment_count == 2
    log = await logs.open(disk, "/data/orders-1", index_interval_bytes=0, index_size_max_bytes=24)
    for _ in range(5):
        logs.append(log, b"a")
    assert log.segment_count == 2


async def test_truncating_fully_begins_anew(logs, disk):
    log = await logs.open(disk, **SMALL)
    for _ in range(10):
        logs.append(log, bytes(200), epoch=2)
    await logs.flush(log, disk)
    log.truncate_fully_and_start_at(500)
    assert (log.log_start_offset, log.log_end_offset, log.flushed_offset, log.segment_count) == (500, 500, 500, 1)
    assert log.epochs.entries() == ()
    batch = logs.fetched(500, 9, b"a")
    log.append_as_follower(batch, now_ms=1_000)
    disk.crash()
    log = await logs.open(disk, recovery_point=10, **SMALL)
    assert (log.log_start_offset, log.log_end_offset, log.corruption) == (500, 500, None)


async def test_a_cut_then_other_records_then_a_crash(logs, disk):
    """What was synced before a cut vouches for nothing that came to stand in its place."""
    log = await logs.open(disk)
    for _ in range(10):
        logs.append(log, bytes(100), epoch=1)
    await logs.flush(log, disk)
    checkpointed = log.recovery_point
    assert checkpointed == 10
    log.truncate_to(4)
    for _ in range(4):
        logs.append(log, bytes(100), epoch=2)
    disk.crash()
    log = await logs.open(disk, recovery_point=checkpointed)
    assert log.corruption is None
    assert log.flushed_offset <= 4


async def test_retention_by_time_and_by_size(logs, disk):
    log = await logs.open(disk, retention_ms=1_000, **SMALL)
    for at in range(12):
        logs.append(log, bytes(200), timestamp=1_000 + at * 100, now_ms=1_000 + at * 100)
    count = log.segment_count
    assert log.delete_old_segments(now_ms=2_000, high_watermark=12) == 0
    assert log.delete_old_segments(now_ms=2_650, high_watermark=0) == 0
    assert log.delete_old_segments(now_ms=2_650, high_watermark=12) > 0
    assert log.segment_count < count
    start = log.log_start_offset
    assert start > 0
    with pytest.raises(ApiError):
        log.read(start - 1, max_bytes=100, end=12)
    assert len(await logs.read_all(log)) == 12 - start
    log.delete_old_segments(now_ms=1 << 40, high_watermark=12)
    assert (log.log_start_offset, log.log_end_offset, log.size_bytes) == (12, 12, 0)

    log = await logs.open(disk, "/data/orders-1", retention_bytes=1_000, retention_ms=-1, **SMALL)
    for _ in range(12):
        logs.append(log, bytes(200))
    log.delete_old_segments(now_ms=1 << 40, high_watermark=12)
    assert 1_000 <= log.size_bytes < 2_000


async def test_a_flipped_bit_in_a_time_index_does_not_cost_a_segment(logs, disk):
    config = {"retention_ms": 1_000, **SMALL}
    log = await logs.open(disk, **config)
    for _ in range(12):
        logs.append(log, bytes(200), timestamp=1 << 20)
    await logs.flush(log, disk)
    log.close()
    time_index = f"{logs.PATH}/{0:020d}.timeindex"
    disk.flip(time_index, disk.file_size(time_index) - 12 + 5, 0x10)
    log = await logs.open(disk, clean=True, now_ms=1 << 20, **config)
    assert log.delete_old_segments(now_ms=(1 << 20) + 900, high_watermark=12) == 0
    assert log.offset_for_timestamp(1 << 20, end=12) == (1 << 20, 0, 0)
    assert log.delete_old_segments(now_ms=(1 << 20) + 2_000, high_watermark=12) > 0


@pytest.mark.parametrize("position", range(0, 24, 3))
async def test_a_cut_does_not_believe_a_damaged_index(logs, disk, position):
    config = {"segment_bytes": 3_000, "index_interval_bytes": 400}
    log = await logs.open(disk, **config)
    batches = [logs.append(log, bytes(100)) for _ in range(40)]
    await logs.flush(log, disk)
    log.close()
    disk.flip(f"{logs.PATH}/{0:020d}.index", position, 0x01)
    log = await logs.open(disk, clean=True, **config)
    log.truncate_to(6)
    assert await logs.read_all(log) == batches[:6]
    batches[6:] = [logs.append(log, bytes(100), epoch=1) for _ in range(20)]
    for offset in range(26):
        result = log.read(offset, max_bytes=1, end=26) or await log.read_cold(offset, max_bytes=1, end=26)
        assert result.records == batches[offset]


async def test_a_record_from_the_future_does_not_keep_its_segment(logs, disk):
    log = await logs.open(disk, retention_ms=1_000, **SMALL)
    logs.append(log, bytes(600), timestamp=1 << 45, now_ms=1_000)
    logs.append(log, bytes(600), timestamp=3_000, now_ms=3_000)
    assert log.delete_old_segments(now_ms=3_500, high_watermark=2) == 1


async def test_timestamps_lead_to_single_records(logs, disk):
    log = await logs.open(disk, **SMALL)
    for at in range(30):
        logs.append(log, b"a", b"b", b"c", timestamp=1_000 + at * 10)
    assert log.segment_count > 2
    for reopened in (False, True):
        if reopened:
            await logs.flush(log, disk)
            log.close()
            log = await logs.open(disk, clean=True, **SMALL)
        for asked, expected in ((0, (1_000, 0)), (1_000, (1_000, 0)), (1_002, (1_002, 2)), (1_003, (1_010, 3))):
            assert log.offset_for_timestamp(asked, end=90) == (*expected, 0)
        assert log.offset_for_timestamp(1_292, end=90) == (1_292, 89, 0)
        assert log.offset_for_timestamp(1_292, end=89) is None
        assert log.offset_for_timestamp(1_293, end=90) is None
        assert log.max_timestamp_offset(90) == (1_292, 89, 0)
        assert log.max_timestamp_offset(3) == (1_002, 2, 0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 3)), min_size=1, max_size=20),
    st.integers(0, 55),
    st.integers(1, 60),
    st.integers(0, 60),
    st.booleans(),
)
def test_timestamps_in_any_order(logs, batches, asked, end, start, reopened):
    async def check():
        disk = logs.disk()
        config = {"segment_bytes": 400, "index_interval_bytes": 150}
        log = await logs.open(disk, **config)
        for timestamp, count in batches:
            logs.append(log, *[b"v"] * count, timestamp=timestamp)
        if reopened:
            await logs.flush(log, disk)
            log.close()
            log = await logs.open(disk, clean=True, **config)
        log.advance_log_start(start)
        times = [timestamp + at for timestamp, count in batches for at in range(count)]
        visible = [(time, at, 0) for at, time in enumerate(times) if log.log_start_offset <= at < end]
        expected = next((each for each in visible if each[0] >= asked), None)
        assert log.offset_for_timestamp(asked, end=end) == expected
        newest = log.max_timestamp_offset(end)
        largest = max(visible, key=lambda each: each[0], default=None)
        if end >= len(times):  # a high watermark never stands within a batch
            assert (newest and newest[0]) == (largest and largest[0])
            assert newest is None or newest in visible

    asyncio.run(check())


async def test_damaged_bytes_are_not_served(logs, disk):
    log = await logs.open(disk)
    batches = [logs.append(log, bytes(100)) for _ in range(3)]
    path = f"{logs.PATH}/{0:020d}.log"
    for position in range(len(batches[0]), 2 * len(batches[0])):
        disk.flip(path, position)
        with pytest.raises(CorruptionError):
            await _read_to_end(log)
        disk.flip(path, position)
    assert await logs.read_all(log) == batches


async def _read_to_end(log):
    offset = 0
    while offset < log.log_end_offset:
        result = log.read(offset, max_bytes=1 << 20, end=log.log_end_offset)
        assert result.next_offset > offset
        offset = result.next_offset


async def test_a_damaged_index_is_rebuilt(logs, disk):
    log = await logs.open(disk, **SMALL)
    batches = [logs.append(log, bytes(100)) for _ in range(20)]
    await logs.flush(log, disk)
    log.close()
    index = f"{logs.PATH}/{0:020d}.index"
    assert disk.file_size(index) > 0
    disk.flip(index, 7, 0x10)
    log = await logs.open(disk, clean=True, **SMALL)
    for offset in range(20):
        result = log.read(offset, max_bytes=1, end=20)
        if result is None:
            result = await log.read_cold(offset, max_bytes=1, end=20)
        assert result.records == batches[offset]


@pytest.mark.parametrize("policy", ["compact", "delete"])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
async def test_an_offset_beyond_its_segment_is_damage_to_whoever_reads_it(logs, disk, policy, number):
    """Not an empty answer, with which a reader would come back for ever."""
    log = await logs.open(disk, cleanup_policy=policy, **SMALL)
    batches = [logs.append(log, bytes(100)) for _ in range(20)]
    disk.flip(f"{logs.PATH}/{0:020d}.log", number * len(batches[0]) + 3, 0x01)

    async def read():
        # An index that knows the batch is taken for damaged first, and that is for the slow way.
        if log.read(number, max_bytes=1, end=20) is None:
            await log.read_cold(number, max_bytes=1, end=20)

    with pytest.raises(CorruptionError):
        await read()


async def test_an_index_is_rebuilt_up_to_an_offset_that_no_index_holds(logs, disk):
    log = await logs.open(disk, **SMALL)
    batches = [logs.append(log, bytes(100)) for _ in range(20)]
    await logs.flush(log, disk)
    log.close()
    disk.flip(f"{logs.PATH}/{0:020d}.index", 7, 0x10)
    disk.flip(f"{logs.PATH}/{0:020d}.log", 2 * len(batches[0]) + 3, 0x01)
    log = await logs.open(disk, clean=True, **SMALL)
    assert (await log.read_cold(0, max_bytes=1, end=20)).records == batches[0]
    with pytest.raises(CorruptionError):
        await log.read_cold(2, max_bytes=1, end=20)


async def test_a_cold_read_survives_a_cut(logs, disk):
    log = await logs.open(disk, **SMALL)
    batches = [logs.append(log, bytes(100)) for _ in range(20)]
    disk.cold = True

    async def cut():
        disk.on_read_cold = None
        log.truncate_to(3)

    disk.on_read_cold = cut
    with pytest.raises(ApiError):
        await log.read_cold(15, max_bytes=1_000, end=20)
    result = await log.read_cold(2, max_bytes=1_000, end=20)
    assert result.records == batches[2]


async def test_concurrent_cold_reads_after_a_restart(logs, disk):
    log = await logs.open(disk, **SMALL)
    batches = [logs.append(log, bytes(100)) for _ in range(40)]
    await logs.flush(log, disk)
    log.close()
    for name in disk.list_dir(logs.PATH):
        if name.endswith("index"):
            disk.remove(f"{logs.PATH}/{name}")
    log = await logs.open(disk, clean=True, **SMALL)
    disk.cold = True
    disk.on_read_cold = lambda: asyncio.sleep(0)
    results = await asyncio.gather(*(log.read_cold(at, max_bytes=1, end=40) for at in range(40)))
    assert [result.records for result in results] == batches


DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("timestamp", "accepted"), [(1, False), (9 * DAY_MS, True), (-1, True), (12 * DAY_MS, False), (11 * DAY_MS, True)]
)
async def test_timestamps_are_compared_with_the_brokers_clock(logs, disk, timestamp, accepted):
    log = await logs.open(disk, timestamp_before_max_ms=DAY_MS, timestamp_after_max_ms=DAY_MS)
    batch = memoryview(encode_records([(b"k", b"v", timestamp, ())]))
    if accepted:
        log.append_as_leader(batch, leader_epoch=0, now_ms=10 * DAY_MS)
    else:
        with pytest.raises(ApiError) as refused:
            log.append_as_leader(batch, leader_epoch=0, now_ms=10 * DAY_MS)
        assert refused.value.code is ErrorCode.INVALID_TIMESTAMP
    assert log.log_end_offset == int(accepted)


async def test_the_brokers_own_time_is_never_refused(logs, disk):
    log = await logs.open(disk, timestamp_after_max_ms=0, timestamp_type="LogAppendTime")
    log.append_as_leader(logs.batch(b"a", timestamp=DAY_MS), leader_epoch=0, now_ms=1_000)
    assert log.log_end_offset == 1


@pytest.mark.parametrize("role", ["leader", "follower"])
async def test_a_timestamp_of_the_future_does_not_keep_a_segment_for_ever(logs, disk, role):
    log = await logs.open(disk, retention_ms=DAY_MS)
    batch = memoryview(encode_records([(b"k", b"v", 1_000 * DAY_MS, ())]))
    if role == "leader":
        log.append_as_leader(batch, leader_epoch=0, now_ms=DAY_MS)
    else:
        stamp(batch, 0, 0, 0)
        log.append_as_follower(batch, now_ms=DAY_MS)
    assert log.delete_old_segments(now_ms=2 * DAY_MS, high_watermark=1) == 0
    assert log.delete_old_segments(now_ms=2 * DAY_MS + 1, high_watermark=1) == 1
    assert log.log_start_offset == 1


@pytest.mark.parametrize("compression", [0, 1, 2, 3, 4])
async def test_a_compacted_topic_wants_keys(logs, disk, compression):
    log = await logs.open(disk, cleanup_policy="compact,delete")
    records = [(b"k", b"v", 1, ()), (None, b"v", 1, ())]
    with pytest.raises(ApiError) as refused:
        log.append_as_leader(memoryview(encode_records(records, compression=compression)), leader_epoch=0, now_ms=1_000)
    assert refused.value.code is ErrorCode.INVALID_RECORD
    assert log.log_end_offset == 0
    good = memoryview(encode_records(records[:1], compression=compression))
    assert log.append_as_leader(good, leader_epoch=0, now_ms=1_000).last_offset == 0


async def test_only_deleting_topics_delete(logs, disk):
    log = await logs.open(disk, cleanup_policy="compact", retention_ms=1, retention_bytes=0, **SMALL)
    for _ in range(20):
        logs.append(log, bytes(150))
    assert log.delete_old_segments(now_ms=1_000_000, high_watermark=20) == 0


async def test_segments_roll_at_their_age_less_the_jitter(logs, disk):
    ages = set()
    for path in (f"/data/orders-{number}" for number in range(8)):
        log = await logs.open(disk, path, segment_ms=1_000, segment_jitter_ms=900)
        logs.append(log, b"first", now_ms=0)
        now = 0
        while log.segment_count == 1:
            now += 1
            logs.append(log, b"more", now_ms=now)
        ages.add(now)
    assert len(ages) > 1
    assert all(100 < age <= 1_001 for age in ages)


@pytest.mark.parametrize("reopened", [False, True])
async def test_a_log_start_within_a_batch_leaves_the_batch_readable(logs, disk, reopened):
    log = await logs.open(disk)
    batch = logs.append(log, b"a", b"b", b"c", epoch=4)
    logs.append(log, b"d", epoch=6)
    log.advance_log_start(1)
    if reopened:
        await logs.flush(log, disk)
        log.close()
        log = await logs.open(disk, clean=True, recovery_point=4, log_start_offset=1)
    result = log.read(1, max_bytes=1, end=4)
    assert (result.records, result.first_offset, result.next_offset) == (batch, 0, 3)
    assert len(logs.split(log.read(1, max_bytes=1 << 20, end=4).records)) == 2
    with pytest.raises(ApiError):
        log.read(0, max_bytes=1, end=4)


async def test_closed_segments_of_all_logs_share_a_budget_of_descriptors(logs, disk):
    budget = OpenSegments(3)
    opened = [
        await Log.open(
            disk,
            f"/data/orders-{number}",
            topic_partition=logs.KEY,
            topic="orders",
            config=LogConfig(**SMALL),
            clean=False,
            recovery_point=0,
            log_start_offset=0,
            now_ms=1_000,
            open_segments=budget,
        )
        for number in range(3)
    ]
    expected = [[logs.append(log, bytes(150)) for _ in range(20)] for log in opened]
    for log in opened:
        await logs.flush(log, disk)
    for _ in range(2):
        for log, batches in zip(opened, expected, strict=True):
            assert await logs.read_all(log) == batches
            closed = [each for log in opened for each in list(log._segments)[:-1]]
            assert len([each for each in closed if each.file is not None]) <= 3
    # A segment that becomes the active one again is none of the budget's.
    opened[0].truncate_to(2)
    for log in opened[1:]:
        await logs.read_all(log)
    assert opened[0]._segments.active.file is not None
    opened[1].close()
    assert len(budget) <= 3


async def test_rolled_segments_ask_for_a_sync_and_then_let_go(logs, disk):
    log = await logs.open(disk, **SMALL)
    while not log.wants_sync:
        logs.append(log, bytes(300))
    assert 4 < log.segment_count < 8
    await logs.flush(log, disk)
    assert not log.wants_sync
    for _ in range(40):
        logs.append(log, bytes(300))
    await logs.flush(log, disk)
    assert len([each for each in list(log._segments)[:-1] if each.file is not None]) <= 4


@pytest.mark.parametrize("target", ["uncompressed", "gzip", "snappy", "lz4", "zstd"])
@pytest.mark.parametrize("sent", [0, 1, 4])
@pytest.mark.parametrize("timestamp_type", ["CreateTime", "LogAppendTime"])
async def test_a_topic_with_a_codec_of_its_own_stores_all_batches_so(logs, disk, target, sent, timestamp_type):
    codec = target_of(target)
    log = await logs.open(disk, repacks_by=codec, timestamp_type=timestamp_type)
    for first in (0, 100):
        records = [(b"k%d" % at, b"value" * 3, 500 + at, ()) for at in range(100)]
        batch = encode_records(
            records, compression=sent, producer_id=7, producer_epoch=0, base_sequence=first
        ) + encode_records([(None, b"other", 900, ())], compression=target_of("lz4"))
        log.append_as_leader(memoryview(batch), leader_epoch=0, now_ms=1_000)
    result = log.read(0, max_bytes=1 << 20, end=log.log_end_offset)
    found = list(iter_headers(result.records))
    assert [header.compression for _, header in found] == [codec] * 4
    assert [header.base_offset for _, header in found] == [0, 100, 101, 201]
    assert [header.base_sequence for _, header in found] == [0, -1, 100, -1]
    back = decode_records(result.records, found[2][0])
    stamped = timestamp_type == "LogAppendTime"
    assert [(each.key, each.timestamp_ms) for each in back] == [
        (b"k%d" % at, 1_000 if stamped else 500 + at) for at in range(100)
    ]
    # The repetition is known by its numbers, however it is packed.
    batch = encode_records(records, compression=3, producer_id=7, producer_epoch=0, base_sequence=100)
    assert log.append_as_leader(memoryview(batch), leader_epoch=0, now_ms=1_000).first_offset == 101


async def test_what_is_packed_as_the_topic_wants_is_not_touched(logs, disk):
    log = await logs.open(disk, repacks_by=4)
    batch = encode_records([(None, b"v" * 500, 1, ())], compression=4)
    before = bytes(batch[CRC_START:])
    log.append_as_leader(memoryview(batch), leader_epoch=0, now_ms=1_000)
    assert log.read(0, max_bytes=1 << 20, end=1).records[CRC_START:] == before


async def test_the_size_counts_after_the_topic_s_codec(logs, disk):
    log = await logs.open(disk, repacks_by=0, message_max_bytes=1_000)
    small = encode_records([(None, bytes(2_000), 1, ())], compression=1)
    assert len(small) < 200
    with pytest.raises(ApiError, match="packed as the topic demands, exceeds 1000") as refused:
        log.append_as_leader(memoryview(small), leader_epoch=0, now_ms=1_000)
    assert refused.value.code is ErrorCode.MESSAGE_TOO_LARGE
    assert log.log_end_offset == 0


@pytest.mark.parametrize("codec", [1, 2, 3, 4], ids=["gzip", "snappy", "lz4", "zstd"])
async def test_a_bomb_is_refused_where_the_broker_has_to_unpack(logs, disk, codec):
    """Topics that keep what producers sent never unpack: there the consumer's bound counts."""
    bomb = encode_records([(b"k", bytes(65 << 20), 1, ())], compression=codec)
    for config in ({"repacks_by": 4 if codec == 3 else 3}, {"cleanup_policy": "compact"}):
        log = await logs.open(disk, f"/data/{next(iter(config))}-0", message_max_bytes=8 << 20, **config)
        with pytest.raises(ApiError, match="unfolds to more than 67108864 bytes") as refused:
            log.append_as_leader(memoryview(bytearray(bomb)), leader_epoch=0, now_ms=1_000)
        assert refused.value.code is ErrorCode.RECORD_LIST_TOO_LARGE


async def test_what_cannot_be_unpacked_is_not_packed_anew(logs, disk):
    log = await logs.open(disk, repacks_by=4)
    batch = encode_records([(None, b"v" * 500, 1, ())], compression=1)
    batch[22] = 3
    batch[17:21] = crc32c(memoryview(batch)[CRC_START:]).to_bytes(4, "big")
    with pytest.raises(ApiError, match="lz4") as refused:
        log.append_as_leader(memoryview(batch), leader_epoch=0, now_ms=1_000)
    assert refused.value.code is ErrorCode.CORRUPT_MESSAGE
