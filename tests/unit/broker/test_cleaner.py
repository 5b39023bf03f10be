"""Which logs are compacted, and what is noted of it."""

from __future__ import annotations

import pytest

from raftkafka.broker.cleaner import LogCleaner
from raftkafka.model.errors import StorageError
from raftkafka.record.build import encode_records
from raftkafka.storage import checkpoint


@pytest.fixture
async def compacting(make_world):
    world = make_world(log={"segment_bytes": 300})
    world.start_brokers(1)
    world.run()
    return world


def cleaner(world) -> LogCleaner:
    return LogCleaner(logs=world.logs, settings=lambda: world.live.log, clock=world.clock)


async def fill(world, partition, count: int = 20, **fields: int) -> None:
    for number in range(count):
        records = memoryview(encode_records([(b"k%d" % (number % 2), bytes(50), 500, ())], **fields))
        answer = world.send(partition, acks=1, records=records)
        assert answer.partitions[0].error_code == 0
    await world.until(lambda: partition.high_watermark == partition.log.log_end_offset)


def saved(world) -> dict:
    return checkpoint.read(world.disk, f"{world.path}/{checkpoint.CLEANER_FILE}")


async def test_dirty_compacted_logs_are_compacted_and_it_is_noted(compacting):
    world = compacting
    partition = await world.leading("compacted", cleanup_policy="compact")
    other = await world.leading("deleting", mark=2)
    await fill(world, partition)
    await fill(world, other)
    sizes = partition.log.size_bytes, other.log.size_bytes
    await cleaner(world).clean_all()
    assert partition.log.size_bytes < sizes[0] / 2
    assert other.log.size_bytes == sizes[1]
    assert saved(world) == {("compacted", 0): partition.log.compactor.cleaned_until}
    # A new start knows.
    await world.close()
    world.logs = world.open_log_dirs()
    again = await world.logs.open(
        partition.topic_partition, world.store.image.topics[partition.topic_partition.topic_id]
    )
    assert again.log.compactor.cleaned_until == partition.log.compactor.cleaned_until > 0


async def test_a_log_that_is_mostly_clean_waits_until_it_is_overdue(compacting):
    world = compacting
    patient = await world.leading(
        "patient", cleanup_policy="compact", min_cleanable_dirty_ratio="1.0", max_compaction_lag_ms="5000"
    )
    await fill(world, patient)
    await cleaner(world).clean_all()  # nothing of it is clean: the ratio is 1
    cleaned = patient.log.compactor.cleaned_until
    await fill(world, patient)
    await cleaner(world).clean_all()
    assert patient.log.compactor.cleaned_until == cleaned > 0
    world.clock.now_ms = lambda: 5_501
    await cleaner(world).clean_all()
    assert patient.log.compactor.cleaned_until > cleaned


async def test_damage_takes_the_replica_offline(compacting):
    world = compacting
    partition = await world.leading("compacted", cleanup_policy="compact")
    await fill(world, partition)
    path = f"{partition.log.directory}/{0:020d}.log"
    content = bytearray(world.disk.read_file(path))
    content[80] ^= 1
    world.disk.write_atomic(path, content)
    partition.log._segments.first.close()
    await cleaner(world).clean_all()
    assert partition.offline is not None


async def test_what_cannot_be_read_is_told_once(compacting, caplog):
    world = compacting
    partition = await world.leading("compacted", cleanup_policy="compact")
    strange = bytearray(encode_records([(b"k", b"v", 500, ())], compression=1))
    strange[22] |= 0x10  # of a transaction
    from crc32c import crc32c

    strange[17:21] = crc32c(strange[21:]).to_bytes(4, "big")
    world.send(partition, acks=1, records=memoryview(strange))
    one = cleaner(world)
    for _ in range(2):
        await fill(world, partition)
        await one.clean_all()
    assert len([line for line in caplog.messages if "left as they are" in line]) == 1


async def test_a_sync_that_fails_takes_the_whole_directory_offline(compacting):
    """What else the device has lost is not known; a node without a directory ends, and recovers at its next start."""
    world = compacting
    partition = await world.leading("compacted", cleanup_policy="compact")
    other = await world.leading("deleting", mark=2)
    await fill(world, partition)
    world.disk.sync_error = StorageError("EIO")
    await cleaner(world).clean_all()
    assert isinstance(partition.offline, StorageError)
    assert isinstance(other.offline, StorageError)
    assert len(world.all_failed) == 1
