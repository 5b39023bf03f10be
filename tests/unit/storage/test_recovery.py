"""What comes back after a crash: everything synced, nothing damaged, and a decision about what is neither."""

import asyncio
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkafka.model.errors import CorruptionError, StorageError
from raftkafka.record.header import read_header

LOG = "/data/orders-0/00000000000000000000.log"
SMALL = {"segment_bytes": 1_000, "index_interval_bytes": 200}


async def test_a_tail_torn_at_any_byte_is_cut_off(logs):
    disk = logs.disk()
    log = await logs.open(disk)
    kept = [logs.append(log, b"a" * at) for at in range(3)]
    last = logs.append(log, b"some value", b"another one")
    whole = disk.read_file(LOG)
    for cut in range(1, len(last)):
        disk = logs.disk()
        disk.make_dir(logs.PATH)
        disk.open(LOG, create=True).append([whole[: len(whole) - cut]])
        log = await logs.open(disk, recovery_point=2)
        assert (log.log_end_offset, log.corruption) == (3, None)
        assert await logs.read_all(log) == kept
        logs.append(log, b"goes on")
        assert log.log_end_offset == 4


async def test_a_flip_in_the_last_batch_is_damage_and_no_torn_tail(logs):
    """It may have been acknowledged: to cut it off would let an intact replica be cut to it (I1)."""
    for position in range(68):
        if 12 <= position < 16:
            continue  # the leader epoch: no checksum covers it, the history is what batches say
        disk = logs.disk()
        log = await logs.open(disk)
        kept = logs.append(log, b"a")
        whole = logs.append(log, b"b")
        assert len(whole) >= 68
        disk.flip(LOG, len(kept) + position)
        damaged = disk.read_file(LOG)
        log = await logs.open(disk, recovery_point=1)
        assert log.corruption is not None, position
        assert disk.read_file(LOG) == damaged, "nothing is removed: perhaps somebody can make sense of it"


@pytest.mark.parametrize("lost", [16, 30, 60])
async def test_a_page_that_never_came_to_the_disk_is_a_torn_tail(logs, lost):
    disk = logs.disk()
    log = await logs.open(disk)
    kept = logs.append(log, b"a")
    torn = logs.append(log, b"b" * 40)
    inode = disk._inode(LOG)
    inode.content[len(kept) + len(torn) - lost :] = bytes(lost)
    inode.sync()
    log = await logs.open(disk, recovery_point=1)
    assert (log.corruption, log.log_end_offset) == (None, 1)
    assert await logs.read_all(log) == [kept]


async def test_a_page_in_the_middle_of_a_large_batch_is_missed_too(logs):
    disk = logs.disk()
    log = await logs.open(disk)
    logs.append(log, b"x" * 20_000)
    inode = disk._inode(LOG)
    inode.content[4096:8192] = bytes(4096)
    inode.sync()
    log = await logs.open(disk, recovery_point=0)
    assert (log.corruption, log.log_end_offset) == (None, 0)


async def test_a_flip_before_valid_batches_is_kept_and_marked(logs):
    reference = logs.disk()
    log = await logs.open(reference)
    batches = [logs.append(log, b"value") for _ in range(4)]
    size = len(batches[0])
    whole = reference.read_file(LOG)
    for position in range(size, 2 * size):
        if 12 <= position - size < 16:
            continue  # the leader epoch: no checksum covers it, the history is what batches say
        disk = logs.disk()
        disk.make_dir(logs.PATH)
        disk.open(LOG, create=True).append([whole])
        disk.flip(LOG, position, 0x40)
        damaged = disk.read_file(LOG)
        log = await logs.open(disk, recovery_point=0)
        assert isinstance(log.corruption, CorruptionError), position - size
        assert disk.read_file(LOG) == damaged
        assert log.read(0, max_bytes=1 << 20, end=4).records == batches[0]
        with pytest.raises(CorruptionError):
            log.read(1, max_bytes=1 << 20, end=4)
        with pytest.raises(StorageError):
            logs.append(log, b"more")


async def test_damage_below_the_recovery_point_is_not_cut(logs, disk):
    log = await logs.open(disk)
    batches = [logs.append(log, b"value") for _ in range(2)]
    await logs.flush(log, disk)
    disk.flip(LOG, len(batches[0]) + 70)
    size = disk.file_size(LOG)
    log = await logs.open(disk, recovery_point=2)
    assert log.corruption is not None
    assert disk.file_size(LOG) == size


async def test_a_log_shorter_than_its_recovery_point_is_marked(logs, disk):
    log = await logs.open(disk)
    batches = [logs.append(log, b"value") for _ in range(3)]
    await logs.flush(log, disk)
    disk.open(LOG).truncate(2 * len(batches[0]))
    log = await logs.open(disk, recovery_point=3)
    assert log.corruption is not None


async def test_a_log_whose_files_are_gone_is_marked(logs, disk):
    log = await logs.open(disk)
    logs.append(log, b"value")
    await logs.flush(log, disk)
    disk.remove(LOG)
    log = await logs.open(disk, recovery_point=1)
    assert log.corruption is not None
    with pytest.raises(StorageError):
        logs.append(log, b"value")
    assert (await logs.open(disk, recovery_point=1)).corruption is not None
    assert (await logs.open(disk, recovery_point=0)).corruption is None


async def test_an_orderly_start_reads_little(logs, disk, monkeypatch):
    log = await logs.open(disk, index_interval_bytes=500)
    batches = [logs.append(log, bytes(100), epoch=at // 10) for at in range(50)]
    await logs.flush(log, disk)
    log.close()
    read = []
    read_cold = disk.read_cold

    async def counting(file, position, count):
        chunk = await read_cold(file, position, count)
        read.append(len(chunk))
        return chunk

    monkeypatch.setattr(disk, "read_cold", counting)
    reopened = await logs.open(disk, clean=True, index_interval_bytes=500)
    assert sum(read) < 1_000 < sum(map(len, batches))
    assert reopened.log_end_offset == reopened.flushed_offset == 50
    assert reopened.epochs == log.epochs
    batches.append(logs.append(reopened, b"more", epoch=9))
    assert await logs.read_all(reopened) == batches


async def test_a_missing_segment_below_the_recovery_point_is_damage(logs, disk):
    names = await _without_second_segment(logs, disk)
    log = await logs.open(disk, recovery_point=20, **SMALL)
    assert log.corruption is None  # what is closed below the recovery point is not read at the start
    with pytest.raises(CorruptionError):
        await logs.read_all(log)
    log = await logs.open(disk, recovery_point=int(names[1][:20]) + 1, **SMALL)
    assert log.corruption is not None


async def test_a_missing_segment_above_the_recovery_point_ends_the_log_and_later_ones_are_set_aside(logs, disk):
    names = await _without_second_segment(logs, disk)
    log = await logs.open(disk, **SMALL)
    assert (log.corruption, log.log_end_offset) == (None, int(names[1][:20]))
    assert f"{names[2]}.aside" in disk.list_dir(logs.PATH)
    await logs.flush(log, disk)
    log.close()
    await logs.open(disk, clean=True, **SMALL)
    assert f"{names[2]}.aside" not in disk.list_dir(logs.PATH)


async def _without_second_segment(logs, disk):
    log = await logs.open(disk, **SMALL)
    for _ in range(20):
        logs.append(log, bytes(200))
    await logs.flush(log, disk)
    names = [name for name in disk.list_dir(logs.PATH) if name.endswith(".log")]
    disk.remove(f"{logs.PATH}/{names[1]}")
    return names


async def test_damage_at_the_end_of_a_closed_segment_is_kept(logs, disk):
    """Whole but wrong, or with a wrong length: a short file is the only sign that it was never synced."""
    log = await logs.open(disk, **SMALL)
    batches = [logs.append(log, bytes(200)) for _ in range(6)]
    names = [name for name in disk.list_dir(logs.PATH) if name.endswith(".log")]
    last = int(names[1][:20]) - 1
    at = sum(map(len, batches[:last]))
    for position, mask in ((at + 100, 1), (at + 9, 2), (at + 11, 1)):
        disk.flip(LOG, position, mask)
        log = await logs.open(disk, **SMALL)
        assert log.corruption is not None, position
        disk.flip(LOG, position, mask)
    disk.open(LOG).truncate(at + 100)
    log = await logs.open(disk, **SMALL)
    assert (log.corruption, log.log_end_offset) == (None, last)


async def test_a_batch_larger_than_a_read_is_recovered(logs, disk, monkeypatch):
    monkeypatch.setattr("raftkafka.storage.scan.CHUNK_BYTES", 256)
    log = await logs.open(disk, index_interval_bytes=0)
    batches = [logs.append(log, bytes(size)) for size in (10, 1_000, 100, 3_000, 5)]
    reopened = await logs.open(disk)
    assert await logs.read_all(reopened) == batches
    disk.flip(LOG, len(batches[0]) + 500)
    damaged = await logs.open(disk)
    assert damaged.corruption is not None
    for at in (4, 3, 2):
        disk.open(LOG).truncate(sum(map(len, batches[:at])))
    torn = await logs.open(disk)
    assert (torn.corruption, torn.log_end_offset) == (None, 1)


async def test_leftovers_of_deletions_go(logs, disk):
    log = await logs.open(disk)
    batch = logs.append(log, b"a")
    for name in ("00000000000000000007.log.deleted", "00000000000000000007.index", "x.tmp"):
        disk.open(f"{logs.PATH}/{name}", create=True)
    log = await logs.open(disk)
    assert await logs.read_all(log) == [batch]
    assert not {"00000000000000000007.index", "x.tmp"} & set(disk.list_dir(logs.PATH))


async def test_epochs_come_back_from_the_batches(logs, disk):
    log = await logs.open(disk, **SMALL)
    for at in range(20):
        logs.append(log, bytes(150), epoch=at // 4)
    expected = log.epochs.entries()
    await logs.flush(log, disk)
    disk.crash()
    log = await logs.open(disk, recovery_point=log.recovery_point, **SMALL)
    assert log.epochs.entries() == expected
    disk.flip(f"{logs.PATH}/leader-epoch-checkpoint", 0)
    log = await logs.open(disk, recovery_point=20, **SMALL)
    assert log.epochs.entries() == expected


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 1 << 32))
def test_no_synced_record_is_lost_whatever_the_crash(logs, seed):
    asyncio.run(_crash_often(logs, Random(seed)))


async def _crash_often(logs, random):
    """A broker's life: it appends, syncs, checkpoints, cuts and forgets, and loses power in between."""
    disk = logs.disk()
    log = await logs.open(disk, retention_bytes=2_000, **SMALL)
    written: dict[int, bytes] = {}  # base offset -> batch; every batch has one record
    checkpoint = start = epoch = 0
    for _ in range(4):
        clean = False
        for _ in range(random.randint(1, 12)):
            match random.choice(["append"] * 6 + ["sync", "checkpoint", "cut", "epoch", "retain", "begin", "stop"]):
                case "append":
                    offset = log.log_end_offset
                    written[offset] = logs.append(log, bytes(random.randint(0, 300)), epoch=epoch)
                case "sync":
                    await logs.flush(log, disk)
                case "checkpoint":
                    checkpoint = log.recovery_point
                    start = log.log_start_offset
                    log.recovery_point_saved()
                case "cut":
                    cut = random.randint((log.log_start_offset + log.log_end_offset) // 2, log.log_end_offset)
                    log.truncate_to(cut)
                    written = {offset: batch for offset, batch in written.items() if offset < cut}
                    epoch += 1
                case "epoch":
                    epoch += 1
                case "retain":
                    log.delete_old_segments(now_ms=1_000, high_watermark=log.flushed_offset)
                case "begin" if random.random() < 0.3:
                    log.truncate_fully_and_start_at(log.log_end_offset + random.randint(0, 5))
                    written.clear()
                    epoch += 1
                case "stop":
                    await logs.flush(log, disk)
                    log.close()
                    clean = True
                    break
        synced = {offset: batch for offset, batch in written.items() if offset < log.flushed_offset}
        first = log.log_start_offset
        if clean:
            checkpoint, start = log.recovery_point, log.log_start_offset
            disk.sync_all()
        else:
            disk.crash(random)
        log = await logs.open(
            disk, clean=clean, recovery_point=checkpoint, log_start_offset=start, retention_bytes=2_000, **SMALL
        )
        assert log.corruption is None
        assert log.log_start_offset <= first
        survived = {read_header(batch).base_offset: batch for batch in await logs.read_all(log)}
        assert all(survived[offset] == batch for offset, batch in synced.items() if offset >= first)
        assert log.log_start_offset <= log.flushed_offset <= log.log_end_offset
        if clean:
            assert log.flushed_offset == log.log_end_offset
        written = survived
        for offset, batch in survived.items():
            header = read_header(batch)
            epoch = max(epoch, header.partition_leader_epoch)
            assert log.epochs.epoch_at(offset) == header.partition_leader_epoch
            again = log.read(offset, max_bytes=1, end=log.log_end_offset)
            assert again is None or again.records == batch


async def test_what_a_failed_sync_left_in_the_cache_is_not_believed(logs):
    disk = logs.disk()
    log = await logs.open(disk)
    kept = logs.append(log, b"synced")
    await logs.flush(log, disk)
    logs.append(log, b"never written")
    disk.sync_error = StorageError("input/output error")
    with pytest.raises(StorageError):
        await logs.flush(log, disk)
    disk.sync_error = None
    # The process starts again on a machine that goes on: its page cache still shows the record.
    log = await logs.open(disk)
    assert log.log_end_offset == 1
    assert await logs.read_all(log) == [kept]
