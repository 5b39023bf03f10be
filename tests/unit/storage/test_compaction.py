"""Compaction against a model: a dict of last values. And the power fails at every step of the disk."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkafka.model.errors import ApiError, CorruptionError, DiskFullError, StorageError
from raftkafka.record import rewrite
from raftkafka.record.build import encode_records
from raftkafka.record.header import (
    CRC_START,
    DELETE_HORIZON,
    HEADER,
    HEADER_BYTES,
    LENGTH_OVERHEAD,
    iter_headers,
    read_header,
    stamp,
)
from raftkafka.record.iterate import decode_records
from raftkafka.record.varint import encode_varint
from raftkafka.storage import compaction

SMALL = {"segment_bytes": 600, "index_interval_bytes": 100, "cleanup_policy": "compact"}
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


async def no_rest():
    await asyncio.sleep(0)


async def clean(log, now_ms=DAY_MS, *, high_watermark=None, key_map_bytes=1 << 20, pause=no_rest):
    end = log.log_end_offset if high_watermark is None else high_watermark
    return await log.clean(high_watermark=end, now_ms=now_ms, pause=pause, key_map_bytes=key_map_bytes)


def put(log, *pairs, epoch=0, compression=0, now_ms=DAY_MS, timestamp=1_000, producer=-1, sequence=-1):
    records = [
        (f"k{key}".encode(), value, timestamp + at, ((("h", b"x"),) if at % 3 == 2 else ()))
        for at, (key, value) in enumerate(pairs)
    ]
    batch = encode_records(
        records,
        compression=compression,
        producer_id=producer,
        producer_epoch=0 if producer >= 0 else -1,
        base_sequence=sequence,
    )
    return log.append_as_leader(memoryview(batch), leader_epoch=epoch, now_ms=now_ms)


async def everything(log):
    """Every record by offset, read in order from the log start."""
    found = {}
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        result = log.read(offset, max_bytes=300, end=log.log_end_offset)
        if result is None:
            result = await log.read_cold(offset, max_bytes=300, end=log.log_end_offset)
        for at, _ in iter_headers(result.records):
            for record in decode_records(result.records, at):
                if record.offset >= offset:
                    assert record.offset not in found
                    found[record.offset] = record
        assert result.next_offset > offset
        offset = result.next_offset
    assert list(found) == sorted(found)
    return found


def last_values(records):
    values = {}
    for record in records.values():
        values[record.key] = record.value
    return {key: value for key, value in values.items() if value is not None}


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("put"),
            st.lists(
                st.tuples(st.integers(0, 5), st.one_of(st.none(), st.binary(max_size=60))), min_size=1, max_size=4
            ),
            st.sampled_from([0, 0, 1, 2, 3, 4]),
        ),
        st.tuples(
            st.just("put"), st.lists(st.tuples(st.integers(0, 5), st.none()), min_size=1, max_size=2), st.just(0)
        ),
        st.tuples(st.just("clean"), st.sampled_from([0, HOUR_MS, 2 * DAY_MS]), st.sampled_from([1, 1 << 20])),
        st.tuples(st.just("reopen"), st.booleans(), st.just(0)),
        st.tuples(st.just("epoch"), st.just(0), st.just(0)),
        st.tuples(st.just("start"), st.floats(0, 1), st.just(0)),
    ),
    min_size=10,
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_the_last_value_of_every_key_stays(logs, steps):
    asyncio.run(_play(logs, steps))


async def _play(logs, steps):
    disk = logs.disk()
    log = await logs.open(disk, **SMALL)
    written = {}  # offset -> record, of everything that was ever appended
    epochs = {}
    now_ms, epoch = DAY_MS, 0
    start = 0
    for step, first, second in steps:
        if step == "put":
            appended = put(log, *first, epoch=epoch, compression=second, now_ms=now_ms)
            result = log.read(appended.first_offset, max_bytes=1 << 20, end=log.log_end_offset)
            result = result or await log.read_cold(appended.first_offset, max_bytes=1 << 20, end=log.log_end_offset)
            written.update({record.offset: record for record in decode_records(result.records)})
            epochs[appended.first_offset] = epoch
        elif step == "clean":
            await logs.flush(log, disk)
            now_ms += first
            await clean(log, now_ms, key_map_bytes=second)
        elif step == "reopen":
            await logs.flush(log, disk)
            point, cleaned, log_start = log.recovery_point, log.compactor.cleaned_until, log.log_start_offset
            if first:
                log.close()
            else:
                disk.crash(Random(len(written)))
            log = await logs.open(
                disk, clean=first, recovery_point=point, log_start_offset=log_start, cleaned_until=cleaned, **SMALL
            )
        elif step == "epoch":
            epoch += 1
            log.begin_epoch(epoch)
        else:
            start = max(start, int(first * log.log_end_offset * 0.3))
            log.advance_log_start(start)
        assert log.corruption is None
        found = await everything(log)
        assert log.log_end_offset == (max(written) + 1 if written else 0)
        assert all(written[offset] == record for offset, record in found.items())
        live = {offset: record for offset, record in written.items() if offset >= start}
        assert last_values(found) == last_values(live)
        for offset, of_batch in epochs.items():
            if offset >= log.log_start_offset:
                assert log.epochs.epoch_at(offset) == of_batch
    # Lookups agree with a walk, gaps or not.
    found = await everything(log)
    for timestamp in (0, 1_000, 1_002):
        expected = next((offset for offset, record in found.items() if record.timestamp_ms >= timestamp), None)
        answer = log.offset_for_timestamp(timestamp, end=log.log_end_offset)
        assert (None if answer is None else answer[1]) == expected
    newest = max((record.timestamp_ms for record in found.values()), default=None)
    answer = log.max_timestamp_offset(log.log_end_offset)
    assert (None if answer is None else answer[0]) == newest
    # A follower that comes late has the same records.
    other = await logs.open(disk, "/data/follower-0", **SMALL)
    while other.log_end_offset < log.log_end_offset:
        at = max(other.log_end_offset, log.log_start_offset)
        if other.log_end_offset < at:
            other.truncate_fully_and_start_at(at)
        result = log.read(at, max_bytes=500, end=log.log_end_offset) or await log.read_cold(
            at, max_bytes=500, end=log.log_end_offset
        )
        records = result.records
        if read_header(records).base_offset < other.log_end_offset:
            break  # the log start lies within a batch: a follower takes it whole from there on
        other.append_as_follower(bytes(records), now_ms=now_ms)
    else:
        assert await everything(other) == {
            offset: record for offset, record in found.items() if offset >= other.log_start_offset
        }


async def filled(logs, disk, count=40, **config):
    log = await logs.open(disk, **{**SMALL, **config})
    for number in range(count):
        put(log, (number % 4, b"%04d" % number * 5), epoch=number // 15)
    await logs.flush(log, disk)
    return log


async def test_what_is_superseded_goes_and_small_segments_become_one(logs, disk):
    log = await filled(logs, disk)
    before, segments = log.size_bytes, log.segment_count
    cleaned = await clean(log)
    assert (cleaned.first_dirty, cleaned.unread_batches) == (0, 0)
    assert cleaned.bytes_after < cleaned.bytes_before / 2
    assert log.size_bytes == before - cleaned.bytes_before + cleaned.bytes_after
    assert log.compactor.cleaned_until == cleaned.end
    assert await clean(log) is None  # nothing is dirty now
    for _ in range(12):
        put(log, (1, bytes(60)), epoch=3)
    await logs.flush(log, disk)
    await clean(log)
    assert log.segment_count < segments  # although two more were written
    assert not [name for name in disk.list_dir(logs.PATH) if name.endswith((".cleaned", ".swap", ".deleted"))]


async def test_nothing_above_the_high_watermark_or_unsynced_counts(logs, disk):
    log = await filled(logs, disk, 20)
    before = await everything(log)
    assert await clean(log, high_watermark=3) is None
    for number in range(20):
        put(log, (number % 4, b"new" * 10), epoch=2)
    await clean(log)
    found = await everything(log)
    assert all(offset in found for offset in before if offset >= log.flushed_offset - 4)
    await logs.flush(log, disk)
    disk.crash()
    log = await logs.open(disk, recovery_point=20, **SMALL)
    assert last_values(await everything(log)) == last_values(found)


async def test_tombstones_stay_for_their_time_and_say_so(logs, disk):
    log = await logs.open(disk, delete_retention_ms=HOUR_MS, **SMALL)
    put(log, (1, b"old"), (2, b"stays"))
    put(log, (1, None), timestamp=5_000)
    for _ in range(12):
        put(log, (3, bytes(60)))
    await logs.flush(log, disk)
    await clean(log, DAY_MS)
    found = await everything(log)
    assert (found[2].value, found[2].timestamp_ms) == (None, 5_000)
    assert 0 not in found
    header = read_header(log.read(2, max_bytes=1, end=log.log_end_offset).records)
    assert header.attributes & DELETE_HORIZON
    assert (header.base_timestamp, header.max_timestamp) == (DAY_MS + HOUR_MS, 5_000)
    for now_ms, there in ((DAY_MS + HOUR_MS - 1, True), (DAY_MS + HOUR_MS, False)):
        for _ in range(12):
            put(log, (3, bytes(60)))
        await logs.flush(log, disk)
        await clean(log, now_ms)
        assert (2 in await everything(log)) is there


async def test_the_young_are_left_alone(logs, disk):
    log = await logs.open(disk, min_compaction_lag_ms=HOUR_MS, **SMALL)
    for number in range(40):
        put(log, (0, bytes(50)), now_ms=DAY_MS, timestamp=DAY_MS if number >= 20 else 1_000)
    await logs.flush(log, disk)
    await clean(log, DAY_MS)
    found = await everything(log)
    assert set(range(20, 40)) <= set(found)
    assert len(found) < 40


async def test_the_overdue_are_known(logs, disk):
    log = await logs.open(disk, max_compaction_lag_ms=HOUR_MS, **SMALL)
    for _ in range(30):
        put(log, (0, bytes(50)), now_ms=DAY_MS, timestamp=DAY_MS)
    await logs.flush(log, disk)
    assert not log.cleanable(high_watermark=30, now_ms=DAY_MS + HOUR_MS).overdue
    assert log.cleanable(high_watermark=30, now_ms=DAY_MS + HOUR_MS + 1).overdue


async def test_the_last_batch_of_a_producer_stays_without_its_records(logs, disk):
    log = await logs.open(disk, **SMALL)
    put(log, (1, b"first of its epoch"))
    put(log, (1, b"a"), producer=7, sequence=0)
    put(log, (1, b"b"), producer=7, sequence=1)
    put(log, (1, b"c"), producer=8, sequence=0)
    for _ in range(12):
        put(log, (1, bytes(60)))
    await logs.flush(log, disk)
    await clean(log)
    headers = [read_header(batch) for batch in await logs.read_all(log)]
    kept = {header.producer_id: header for header in headers if header.producer_id >= 0}
    assert [header.producer_id for header in headers if header.producer_id >= 0] == [7, 8]
    assert (kept[7].records_count, kept[7].base_sequence, kept[7].last_offset) == (0, 1, 2)
    # Whoever builds the state anew from the log knows what may come next, and when the producer was last heard of.
    before = log.producers.entries[7].batches[-1]
    log.close()
    for name in disk.list_dir(logs.PATH):
        if name.endswith(".snapshot"):
            disk.remove(f"{logs.PATH}/{name}")
    again = await logs.open(disk, recovery_point=log.log_end_offset, **SMALL)
    assert again.producers.entries[7].batches[-1] == before


async def test_epochs_can_be_read_from_the_batches_again(logs, disk):
    log = await filled(logs, disk)
    expected = log.epochs.entries()
    assert len(expected) > 2
    await clean(log)
    log.close()
    disk.remove(f"{logs.PATH}/leader-epoch-checkpoint")
    again = await logs.open(disk, recovery_point=40, **SMALL)
    assert again.epochs.entries() == expected
    assert again.corruption is None


async def test_what_cannot_be_read_is_left_and_keeps_tombstones(logs, disk):
    log = await logs.open(disk, delete_retention_ms=0, **SMALL)
    batch = memoryview(encode_records([(b"k1", b"unreadable", 1_000, ())]))
    batch[22] |= 4  # as if zstd had written it
    batch[17:21] = crc32c(batch[21:]).to_bytes(4, "big")
    with pytest.raises(ApiError):  # a leader takes no such batch, but the topic may not have been compacted before
        log.append_as_leader(batch, leader_epoch=0, now_ms=DAY_MS)
    stamp(batch, 0, 0, 0)
    log.append_as_follower(batch, now_ms=DAY_MS)
    put(log, (1, None))
    for _ in range(2):
        for _ in range(12):
            put(log, (3, bytes(60)))
        await logs.flush(log, disk)
        cleaned = await clean(log)
        assert cleaned.unread_batches == 1
    headers = [read_header(each) for each in await logs.read_all(log)]
    assert headers[0].compression == 4
    assert headers[1].base_offset == 1
    assert headers[1].records_count == 1


async def test_damage_is_found_not_copied(logs, disk):
    log = await filled(logs, disk)
    before = disk.list_dir(logs.PATH)
    disk.flip(f"{logs.PATH}/{before[1]}" if before[1].endswith(".log") else f"{logs.PATH}/00000000000000000000.log", 80)
    with pytest.raises(CorruptionError):
        await clean(log)
    assert disk.list_dir(logs.PATH) == before


async def test_a_full_disk_changes_nothing(logs, disk):
    log = await filled(logs, disk)
    before, names = await everything(log), disk.list_dir(logs.PATH)
    disk.capacity_bytes = disk.used_bytes() + 50
    with pytest.raises(DiskFullError):
        await clean(log)
    assert disk.list_dir(logs.PATH) == names
    assert await everything(log) == before
    disk.capacity_bytes = 1 << 40
    assert (await clean(log)).bytes_after < 2_000


@pytest.mark.parametrize("how", ["truncate", "start anew", "close", "offline"])
@pytest.mark.parametrize("after", range(0, 60, 7))
async def test_a_cleaning_gives_way_to_a_cut_at_any_time(logs, disk, monkeypatch, how, after):
    monkeypatch.setattr(compaction, "RECORDS_PER_SLICE", 1)
    log = await filled(logs, disk)
    pauses = 0

    async def pause():
        nonlocal pauses
        pauses += 1
        if pauses == after + 1:
            if how == "truncate":
                log.truncate_to(5)
            elif how == "start anew":
                log.truncate_fully_and_start_at(100)
            elif how == "close":
                log.close()
            else:
                log.take_offline(StorageError("gone"))

    assert await clean(log, pause=pause) is None
    assert not [name for name in disk.list_dir(logs.PATH) if name.endswith((".cleaned", ".swap"))]
    if how == "truncate":
        assert log.compactor.cleaned_until <= log.log_end_offset <= 5
        for _ in range(30):
            put(log, (9, bytes(50)), epoch=9)
        await logs.flush(log, disk)
        assert (await clean(log)).end > 5


class PowerLossError(BaseException):
    """The machine is off: nothing that is called reaches the disk any more."""


def stepwise(logs):
    """A disk that can lose power before any change."""
    kind = type(logs.disk())

    class StepDisk(kind):
        left = -1
        steps = 0

        def step(self):
            self.steps += 1
            if self.left == 0:
                raise PowerLossError
            self.left -= 1

    def counted(name):
        plain = getattr(kind, name)

        def method(self, *args, **kwargs):
            self.step()
            return plain(self, *args, **kwargs)

        async def coroutine(self, *args, **kwargs):
            self.step()
            return await plain(self, *args, **kwargs)

        return coroutine if asyncio.iscoroutinefunction(plain) else method

    for name in ("rename", "remove", "write_atomic", "sync_dir", "sync_names", "sync"):
        setattr(StepDisk, name, counted(name))
    disk = StepDisk()
    disk.make_dir("/data")
    disk.sync_dir("/")
    return disk


@pytest.mark.parametrize("seed", range(2))
async def test_the_power_may_fail_at_every_step(logs, seed):
    random = Random(seed)
    step = total = 0
    while True:
        disk = stepwise(logs)
        log = await filled(logs, disk, 60)
        put(log, (1, None), epoch=4)
        for number in range(12):
            put(log, (3, bytes(60)), epoch=5 + number // 6)
        await logs.flush(log, disk)
        log_end, expected, epochs = log.log_end_offset, last_values(await everything(log)), log.epochs.entries()
        disk.left = step
        try:
            await clean(log)
            finished = True
        except PowerLossError:
            finished = False
        # The recovery may be cut short, too.
        for left in (random.randint(0, 12), -1):
            disk.left = -1
            disk.crash(random if seed else None)
            disk.left = left
            try:
                log = await logs.open(disk, recovery_point=log_end, **SMALL)
            except PowerLossError:
                continue
            break
        disk.left = -1
        assert log.corruption is None, (step, log.corruption)
        assert log.log_end_offset == log_end
        assert log.epochs.entries() == epochs
        assert last_values(await everything(log)) == expected
        names = disk.list_dir(logs.PATH)
        assert not [name for name in names if name.endswith((".cleaned", ".swap", ".deleted"))]
        total += 1
        if finished:
            break
        step += 1
    assert total > 20


async def test_a_damaged_swap_is_not_believed(logs, disk):
    log = await filled(logs, disk)
    before = await everything(log)
    names = [name for name in disk.list_dir(logs.PATH) if name.endswith(".log")]
    content = disk.read_file(f"{logs.PATH}/{names[0]}")
    disk.open(f"{logs.PATH}/{names[0]}.swap", create=True).append((content[:-1],))
    disk.sync_all()
    log = await logs.open(disk, recovery_point=40, **SMALL)
    assert log.corruption is None
    assert await everything(log) == before
    # And where the segments that it stood for are gone already, the hole is seen, however well vouched for.
    disk.open(f"{logs.PATH}/{names[0]}.swap", create=True).append((content[:-1],))
    disk.remove(f"{logs.PATH}/{names[1]}")
    disk.sync_all()
    assert (await logs.open(disk, recovery_point=40, **SMALL)).corruption is not None


async def test_a_cut_takes_back_what_was_cleaned_also_after_a_crash(logs, disk):
    log = await filled(logs, disk)
    await clean(log)
    cleaned = log.compactor.cleaned_until
    assert cleaned > 20
    log.truncate_to(10)
    for number in range(20):
        put(log, (number % 4, bytes(50)), epoch=7)
    await logs.flush(log, disk)
    disk.crash()
    log = await logs.open(disk, recovery_point=40, cleaned_until=cleaned, **SMALL)
    assert log.compactor.cleaned_until <= 10


async def test_compact_and_delete_delete_too(logs, disk):
    log = await filled(logs, disk, cleanup_policy="compact,delete", retention_ms=HOUR_MS)
    await clean(log, DAY_MS)
    assert log.delete_old_segments(now_ms=DAY_MS + HOUR_MS + 1, high_watermark=40) > 0
    assert log.log_start_offset > 0


async def test_a_tombstone_that_was_not_mapped_stays_as_long_as_its_value(logs, disk):
    log = await logs.open(disk, delete_retention_ms=HOUR_MS, **SMALL)
    put(log, (9, b"old"))
    for key in range(3):
        put(log, (key, b"x"))
    put(log, (9, None))
    for key in range(10, 22):
        put(log, (key, bytes(60)))
    await logs.flush(log, disk)
    for times in range(4):
        # Room for one key: the first passes do not come as far as the tombstone, which lies in the same segment.
        await clean(log, DAY_MS + times * 2 * HOUR_MS, key_map_bytes=1)
        assert b"k9" not in last_values(await everything(log))


def with_times(batch, base_ms, delta_ms):
    """The batch of one record, its times replaced by what no honest producer sends; the header's largest stays."""
    header = read_header(batch)
    section = bytes(batch[HEADER_BYTES:])
    (record,) = rewrite.raw_records(section, header)
    body = b"\0" + encode_varint(delta_ms) + section[record.rest : record.stop]
    changed = bytearray(batch[:HEADER_BYTES]) + encode_varint(len(body)) + body
    fields = header._replace(batch_length=len(changed) - LENGTH_OVERHEAD, base_timestamp=base_ms)
    HEADER.pack_into(changed, 0, *fields)
    changed[17:21] = crc32c(memoryview(changed)[CRC_START:]).to_bytes(4)
    return changed


@pytest.mark.parametrize("base_ms", [(1 << 63) - 1, 1_000, -(1 << 63)])
@pytest.mark.parametrize("delta_ms", [(1 << 63) - 1, 1, -(1 << 63)])
@pytest.mark.parametrize("value", [None, b"value"])
async def test_times_that_cannot_be_are_left_as_they_are(logs, disk, base_ms, delta_ms, value):
    log = await logs.open(disk, **SMALL)
    odd = with_times(encode_records([(b"k1", value, 0, ())]), base_ms, delta_ms)
    log.append_as_leader(memoryview(odd), leader_epoch=0, now_ms=DAY_MS)
    for _ in range(12):
        put(log, (3, bytes(60)))
    await logs.flush(log, disk)
    for days in (1, 9):
        await clean(log, days * DAY_MS)
    found = await everything(log)
    plausible = abs(base_ms + delta_ms) < 1 << 62
    assert ([found[0].timestamp_ms, found[0].value] == [base_ms + delta_ms, value]) if 0 in found else plausible


async def test_tombstones_may_stay_for_ever(logs, disk):
    log = await logs.open(disk, delete_retention_ms=(1 << 63) - 1, **SMALL)
    put(log, (1, None))
    for _ in range(12):
        put(log, (3, bytes(60)))
    await logs.flush(log, disk)
    for days in (1, 9_000):
        await clean(log, days * DAY_MS)
    assert (await everything(log))[0].value is None


async def test_the_largest_time_is_that_of_a_record_above_the_log_start(logs, disk):
    log = await logs.open(disk, **SMALL)
    put(log, (1, b"old"), (77, b"a"), (3, b"b"), timestamp=5_000)
    for key in range(10):
        put(log, (key, bytes(60)), timestamp=2_000 - key)
    put(log, (1, b"new"), timestamp=900)
    log.advance_log_start(2)
    await logs.flush(log, disk)
    assert log.max_timestamp_offset(log.log_end_offset)[:2] == (5_002, 2)
    # Of the first batch two records are superseded, and the one that is left lies below the log start.
    put(log, (3, bytes(60)), timestamp=800)
    await logs.flush(log, disk)
    await clean(log)
    found = await everything(log)
    newest = max(record.timestamp_ms for record in found.values())
    assert log.max_timestamp_offset(log.log_end_offset)[0] == newest
