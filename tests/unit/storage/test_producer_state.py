"""Producer state through everything that happens to a log: it is always what the headers of the log say."""

import asyncio
import os
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.record.build import encode_values
from raftkafka.record.header import iter_headers, stamp
from raftkafka.replica.producers import SEQUENCE_MAX, ProducerTable
from raftkafka.storage.producer_state import decode, encode, snapshot_offsets


def produced(producer_id, epoch, sequence, count=1, timestamp=1_000):
    return memoryview(
        encode_values(
            [b"v" * 20] * count,
            timestamp_ms=timestamp,
            producer_id=producer_id,
            producer_epoch=epoch,
            base_sequence=sequence,
        )
    )


def append(log, *args, **more):
    return log.append_as_leader(produced(*args, **more), leader_epoch=0, now_ms=1_000)


async def from_headers(logs, log):
    """The table that the log's own batches give."""
    table = ProducerTable(log.log_start_offset)
    for batch in await logs.read_all(log):
        for _, header in iter_headers(batch):
            if header.producer_id >= 0:
                table.note(
                    header.producer_id,
                    header.producer_epoch,
                    header.base_sequence,
                    header.base_offset,
                    header.last_offset,
                    header.max_timestamp,
                )
    return table.entries


def snapshots(disk, logs):
    return snapshot_offsets(disk.list_dir(logs.PATH))


async def test_a_repeated_batch_is_answered_and_not_appended(logs, disk):
    log = await logs.open(disk)
    append(log, 1, 0, 0, 3)
    logs.append(log, b"somebody else")
    again = append(log, 1, 0, 0, 3)
    assert (again.first_offset, again.last_offset, again.bytes, again.records) == (0, 2, 0, 0)
    assert log.log_end_offset == 4


async def test_a_repeated_batch_tells_the_brokers_time(logs, disk):
    log = await logs.open(disk, timestamp_type="LogAppendTime")
    first = log.append_as_leader(produced(1, 0, 0), leader_epoch=0, now_ms=5_000)
    again = log.append_as_leader(produced(1, 0, 0), leader_epoch=0, now_ms=6_000)
    assert (first.log_append_time_ms, again.log_append_time_ms) == (5_000, 5_000)


async def test_a_refused_batch_leaves_no_trace(logs, disk):
    log = await logs.open(disk)
    append(log, 1, 0, 0)
    with pytest.raises(ApiError) as raised:
        append(log, 1, 0, 2)
    assert raised.value.code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert log.log_end_offset == 1
    append(log, 1, 0, 1)


async def test_a_full_disk_leaves_no_trace(logs, disk):
    log = await logs.open(disk)
    append(log, 1, 0, 0)
    disk.capacity_bytes = disk.used_bytes()
    with pytest.raises(Exception, match="no space"):
        append(log, 1, 0, 1)
    disk.capacity_bytes = 1 << 30
    assert append(log, 1, 0, 1).first_offset == 1


async def test_a_follower_comes_to_the_same_table(logs, disk):
    leader = await logs.open(disk)
    follower = await logs.open(disk, "/data/other-0")
    for sequence in range(7):
        append(leader, 1, 0, sequence)
        append(leader, 2, 5, sequence * 2, 2)
    for batch in await logs.read_all(leader):
        follower.append_as_follower(batch, now_ms=1_000)
    assert follower.producers.entries == leader.producers.entries
    assert follower.append_as_leader(produced(1, 0, 6), leader_epoch=1, now_ms=1).first_offset == 18


async def test_snapshots_stand_at_segments_and_at_a_clean_end(logs, disk):
    log = await logs.open(disk, segment_bytes=200)
    for sequence in range(6):
        append(log, 1, 0, sequence)
    bases = [int(name[:20]) for name in disk.list_dir(logs.PATH) if name.endswith(".log")]
    assert len(bases) > 2
    assert snapshots(disk, logs) == bases[1:]
    log.close()
    assert snapshots(disk, logs) == [*bases[1:], 6]
    reopened = await logs.open(disk, clean=True, segment_bytes=200)
    assert reopened.producers.entries == log.producers.entries
    append(reopened, 1, 0, 6)
    append(reopened, 1, 0, 7)
    reopened.close()
    assert 6 not in snapshots(disk, logs) or f"{6:020d}.log" in disk.list_dir(logs.PATH)
    assert snapshots(disk, logs)[-1] == 8


async def test_a_clean_start_reads_no_log_for_what_the_snapshot_tells(logs, disk):
    log = await logs.open(disk)
    for sequence in range(9):
        append(log, 1, 0, sequence)
    await logs.flush(log, disk)
    log.close()
    path = f"{logs.PATH}/{9:020d}.snapshot"
    other = ProducerTable(9, [(77, log.producers.entries[1])])
    disk.write_atomic(path, encode(other))
    assert list((await logs.open(disk, clean=True)).producers.entries) == [77]


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
async def test_a_damaged_snapshot_is_passed_over(logs, disk, damage):
    log = await logs.open(disk, segment_bytes=200)
    for sequence in range(9):
        append(log, 1, 0, sequence)
    await logs.flush(log, disk)
    log.close()
    for offset in snapshots(disk, logs):
        path = f"{logs.PATH}/{offset:020d}.snapshot"
        content = bytearray(disk.read_file(path))
        content[-3] ^= 8
        if damage == "gone":
            disk.remove(path)
        else:
            disk.write_atomic(path, {"flip": content, "cut": content[:-9], "empty": b""}[damage])
    for clean in (True, False):
        reopened = await logs.open(disk, clean=clean, segment_bytes=200)
        assert reopened.producers.entries == log.producers.entries


async def test_a_snapshot_above_the_log_is_dropped(logs, disk):
    log = await logs.open(disk)
    append(log, 1, 0, 0)
    await logs.flush(log, disk)
    disk.write_atomic(f"{logs.PATH}/{50:020d}.snapshot", encode(log.producers))
    for clean in (False, True):
        disk.write_atomic(f"{logs.PATH}/{50:020d}.snapshot", encode(ProducerTable(50)))
        reopened = await logs.open(disk, clean=clean)
        assert reopened.producers.entries == log.producers.entries
        assert reopened.producers.end == 1
        assert 50 not in snapshots(disk, logs)


async def test_a_snapshot_that_a_cut_has_outdated_never_comes_back(logs, disk):
    """Cut below a snapshot, other records in its place, a crash: the log decides."""
    log = await logs.open(disk, segment_bytes=200)
    for sequence in range(8):
        append(log, 1, 0, sequence)
    await logs.flush(log, disk)
    log.truncate_to(3)
    assert all(offset <= 3 for offset in snapshots(disk, logs))
    for sequence in range(5):
        append(log, 2, 0, sequence)
    await logs.flush(log, disk)
    disk.crash(Random(1))
    reopened = await logs.open(disk, recovery_point=8, segment_bytes=200)
    assert reopened.producers.entries == await from_headers(logs, reopened)
    assert reopened.producers.entries[2].batches[-1].last_offset == 7


async def test_a_deep_cut_is_rebuilt_from_snapshot_and_log(logs, disk):
    log = await logs.open(disk, segment_bytes=8_000)
    for sequence in range(400):
        append(log, 1, 0, sequence)
    log.truncate_to(150)
    assert log.producers.entries == await from_headers(logs, log)
    assert append(log, 1, 0, 149).first_offset == 149
    assert append(log, 1, 0, 150).first_offset == 150


async def test_retention_takes_snapshots_but_not_what_is_known(logs, disk):
    log = await logs.open(disk, segment_bytes=200, retention_ms=1_000)
    append(log, 7, 0, 0)
    for sequence in range(9):
        append(log, 1, 0, sequence)
    known = dict(log.producers.entries)
    assert log.delete_old_segments(now_ms=10_000, high_watermark=log.log_end_offset)
    assert log.producers.entries == known
    first = min(int(name[:20]) for name in disk.list_dir(logs.PATH) if name.endswith(".log"))
    assert snapshots(disk, logs)[0] == first
    await logs.flush(log, disk)
    for clean in (False, True):
        if clean:
            log.close()
        reopened = await logs.open(disk, clean=clean, segment_bytes=200, log_start_offset=log.log_start_offset)
        assert reopened.producers.entries == known


async def test_beginning_anew_forgets(logs, disk):
    log = await logs.open(disk, segment_bytes=200)
    for sequence in range(8):
        append(log, 1, 0, sequence)
    log.truncate_fully_and_start_at(30)
    assert (log.producers.entries, log.producers.end) == ({}, 30)
    assert snapshots(disk, logs) == []
    append(log, 1, 0, 9)
    assert log.log_end_offset == 31


def test_the_bytes_are_those_of_kafka():
    table = ProducerTable(0)
    table.note(0x0102, 3, 4, 10, 14, 0x0A0B)
    table.note(0x0102, 3, 9, 15, 15, 0x0A0C)
    content = encode(table)
    assert content[:2] == b"\x00\x01"
    assert content[6:10] == b"\x00\x00\x00\x02"
    assert content[10:56] == bytes.fromhex(
        "0000000000000102000300000008000000000000000e000000040000000000000a0bffffffff" + "ff" * 8
    )
    assert len(content) == 10 + 2 * 46
    assert decode(content, 16).entries == table.entries


ENTRIES = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, SEQUENCE_MAX), st.integers(1, 9)), max_size=30
)


@given(ENTRIES)
def test_a_snapshot_round_trip_is_exact(batches):
    table = ProducerTable(0)
    for producer_id, epoch, sequence, count in batches:
        table.note(producer_id, epoch, sequence, table.end, table.end + count - 1, 99)
    after = decode(encode(table), table.end)
    assert after.entries == table.entries
    assert list(after.entries) == list(table.entries)


@given(st.binary(max_size=120))
def test_foreign_bytes_are_no_snapshot(content):
    assert decode(content, 0) is None


STEP = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 3), st.integers(1, 4)),
    st.tuples(st.just("append"), st.integers(0, 3), st.integers(1, 4)),
    st.tuples(st.just("bump"), st.integers(0, 3), st.integers(1, 4)),
    st.tuples(st.just("plain"), st.just(0), st.integers(1, 3)),
    st.tuples(st.just("flush"), st.just(0), st.just(0)),
    st.tuples(st.just("cut"), st.just(0), st.integers(0, 12)),
    st.tuples(st.just("restart"), st.just(0), st.just(0)),
    st.tuples(st.just("crash"), st.integers(0, 1 << 30), st.just(0)),
)


@settings(max_examples=int(os.environ.get("EXAMPLES", "150")))
@given(st.lists(STEP, max_size=40), st.sampled_from([150, 400, 10_000]))
def test_what_is_kept_live_is_what_the_log_says(logs, steps, segment_bytes):
    """Random appends, cuts, clean restarts and crashes: the table is always that of the log's own headers."""
    asyncio.run(_play(logs, steps, segment_bytes))


async def _play(logs, steps, segment_bytes):
    disk = logs.disk()
    log = await logs.open(disk, segment_bytes=segment_bytes)
    recovery_point = 0
    for what, who, much in steps:
        known = log.producers.entries.get(who)
        epoch, sequence = (0, 0) if known is None else (known.epoch, known.batches[-1].last_sequence + 1)
        if what in ("append", "bump"):
            records = produced(who, epoch + (what == "bump"), 0 if what == "bump" else sequence, much)
            end = log.log_end_offset
            if len(records) % 2:
                stamp(records, 0, end, max(log.epochs.latest, 0))
                log.append_as_follower(bytes(records), now_ms=1_000)
            else:
                log.append_as_leader(records, leader_epoch=max(log.epochs.latest, 0), now_ms=1_000)
            assert log.log_end_offset == end + much
        elif what == "plain":
            logs.append(log, *[b"x"] * much)
        elif what == "flush":
            await logs.flush(log, disk)
            recovery_point = log.recovery_point
            log.recovery_point_saved()
        elif what == "cut":
            log.truncate_to(max(0, log.log_end_offset - much))
        elif what == "restart":
            await logs.flush(log, disk)
            log.close()
            recovery_point = log.recovery_point
            log.recovery_point_saved()
            log = await logs.open(disk, clean=True, recovery_point=recovery_point, segment_bytes=segment_bytes)
        else:
            disk.crash(Random(who))
            log = await logs.open(disk, recovery_point=recovery_point, segment_bytes=segment_bytes)
            assert log.corruption is None
        assert log.producers.entries == await from_headers(logs, log)
        assert log.producers.end == log.log_end_offset


async def test_snapshots_are_open_only_while_they_are_synced(logs, disk, monkeypatch):
    opened = []
    plain = disk.open

    def watched(path, **more):
        opened.append(plain(path, **more))
        return opened[-1]

    monkeypatch.setattr(disk, "open", watched)
    log = await logs.open(disk, segment_bytes=200)
    for sequence in range(20):
        append(log, 1, 0, sequence)
    held = [file for file in opened if file.path.endswith(".snapshot")]
    assert len(held) > 5
    assert all(file.closed for file in held)
    files, end = log.files_to_sync()
    syncing = [file for file in files if file.path.endswith(".snapshot")]
    assert sorted(file.path for file in syncing) == sorted(file.path for file in held)
    await disk.sync(files)
    log.truncate_to(15)
    log.mark_flushed(end, files)
    assert all(file.closed for file in syncing)
    assert not [file for file in log.files_to_sync()[0] if file.path.endswith(".snapshot")]
