"""Log directories over restarts: what may be believed, what must not, and what a failed one takes along."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from raftkafka.broker.replicas import ReplicaTable
from raftkafka.model.api.broker_lifecycle import HeldLogs, OfflineReplica
from raftkafka.model.errors import (
    CorruptionError,
    DiskFullError,
    ErrorCode,
    StartupError,
    StorageError,
    SyncFailedError,
)
from raftkafka.model.ids import BrokerEpoch


@pytest.fixture
async def orders(world):
    world.start_brokers(1)
    world.run()
    return await world.leading("orders", 1)


async def stop(world, *, epoch: int = 7) -> None:
    await world.reconciler.stop()
    await world.logs.close(broker_epoch=BrokerEpoch(epoch))


def crash(world) -> None:
    world.logs.release()


async def start(world, *, run: bool = True) -> None:
    """A new process on the same directories, with the image that Raft gives back."""
    await world.reconciler.stop()
    world.store._listeners.clear()
    world.logs = world.open_log_dirs()
    world.replicas = ReplicaTable()
    world.produce._replicas = world.fetch._replicas = world.replicas
    world.reconciler = world.make_reconciler()
    if run:
        world.run()


async def reopened(world, key):
    await world.until(lambda: (p := world.replicas.get(key)) is not None and p.is_leader)
    return world.replicas.get(key)


async def test_a_clean_stop_keeps_everything_and_says_its_epoch(world, orders):
    await world.send(orders)
    await stop(world)
    await start(world)
    again = await reopened(world, orders.topic_partition)
    assert (again.log.log_end_offset, again.high_watermark, again.log.flushed_offset) == (1, 1, 1)
    assert world.logs.previous_broker_epoch == 7


async def test_after_a_crash_the_log_is_recovered_and_nothing_is_claimed(world, orders):
    await world.send(orders)
    (segment,) = (world.path / "orders-0").glob("*.log")
    crash(world)
    segment.write_bytes(segment.read_bytes() + b"torn")
    await start(world)
    again = await reopened(world, orders.topic_partition)
    assert again.log.log_end_offset == 1
    assert world.logs.previous_broker_epoch == -1


async def test_a_stop_before_the_logs_were_recovered_is_not_clean(world, orders):
    await world.send(orders)
    crash(world)
    await start(world, run=False)
    await stop(world)
    await start(world)
    await reopened(world, orders.topic_partition)
    assert world.logs.previous_broker_epoch == -1


async def test_a_clean_directory_stays_clean_when_nothing_was_opened_or_registered(world, orders):
    await stop(world)
    await start(world, run=False)
    await stop(world, epoch=-1)
    await start(world)
    assert world.logs.previous_broker_epoch == 7


async def test_the_checkpoints_of_a_deleted_topic_are_not_believed_of_a_new_one(world, orders):
    for _ in range(3):
        await world.send(orders)
    await world.logs.checkpoint_watermarks()
    await world.logs.checkpoint_recovery_points()
    await world.logs.delete_old_segments()
    world.delete(orders.topic_partition)
    new = await world.leading("orders", 1, mark=9)
    assert new.topic_partition != orders.topic_partition
    for name in ("replication-offset-checkpoint", "recovery-point-offset-checkpoint", "log-start-offset-checkpoint"):
        assert "orders 0 3" not in (world.path / name).read_text()
    crash(world)
    await start(world)
    again = await reopened(world, new.topic_partition)
    assert (again.high_watermark, again.log.recovery_point) == (0, 0)


async def test_a_topic_made_again_while_the_broker_was_down_keeps_its_log(world, orders):
    """The old log is found at the start; the clean-up of strays must not take the new one, which has its path."""
    await world.send(orders)
    await stop(world)
    await world.reconciler.stop()
    world.store._listeners.clear()
    world.delete(orders.topic_partition)
    key = world.create("orders", 1, mark=9)
    await start(world, run=False)
    world.run()
    new = await reopened(world, key)
    (response,) = (await world.send(new)).partitions
    assert response.base_offset == 0
    await world.until(lambda: not world.reconciler._strays_wanted)
    assert list((world.path / "orders-0").glob("*.log"))
    crash(world)
    await start(world)
    assert (await reopened(world, key)).log.log_end_offset == 1


async def test_a_stray_is_deleted_once_the_image_is_current(world, orders):
    await world.send(orders)
    await stop(world)
    world.delete(orders.topic_partition)
    await start(world, run=False)
    world.reconciler.start()
    await world.until(lambda: not world.reconciler._dirty)
    assert (world.path / "orders-0").exists()
    world.reconciler.image_is_current()
    await world.until(lambda: not (world.path / "orders-0").exists())


async def test_a_deleted_log_is_gone_for_good(world, orders):
    await world.send(orders)
    world.delete(orders.topic_partition)
    await world.until(lambda: not (world.path / "orders-0").exists())
    with pytest.raises(KeyError):
        world.logs.flusher_of(orders)


async def test_a_deletion_that_the_disk_refuses_takes_the_directory_offline(world, orders, monkeypatch):
    """What is left of the log goes at the next start; without one it would stay for ever."""
    other = await world.leading("other", 1)

    def refused(path):
        raise SyncFailedError(f"cannot sync {path}")

    monkeypatch.setattr(world.disk, "sync_dir", refused)
    world.delete(orders.topic_partition)
    await world.until(lambda: world.all_failed)
    assert isinstance(other.offline, SyncFailedError)
    monkeypatch.undo()
    crash(world)
    await start(world)
    await world.until(lambda: not list(world.path.glob("orders-*")))


async def test_a_full_disk_has_room_for_a_deletion(world, orders, monkeypatch):
    await world.send(orders)

    def full(path, *_):
        raise DiskFullError(f"no space for {path}")

    monkeypatch.setattr(world.disk, "write_atomic", full)
    monkeypatch.setattr(type(orders.log._segments.active.file), "append", full)
    world.delete(orders.topic_partition)
    await world.until(lambda: not list(world.path.glob("orders-*")))
    assert world.reconciler.failed == {}


async def test_a_stray_that_cannot_be_deleted_takes_its_directory_offline_and_no_more(world, orders, monkeypatch):
    await stop(world)
    await start(world, run=False)
    world.delete(orders.topic_partition)

    def refused(path):
        raise SyncFailedError(f"cannot sync {path}")

    monkeypatch.setattr(world.disk, "sync_dir", refused)
    world.run()
    await world.until(lambda: world.all_failed)
    assert not world.reconciler._task.done()


async def test_a_log_whose_directory_was_not_synced_is_not_opened_by_the_next_try(world, orders):
    """The next try would find the topic id in the cache, and every record that it acknowledges goes with the power."""
    await stop(world)
    await start(world)
    await reopened(world, orders.topic_partition)
    world.disk.sync_error = SyncFailedError("EIO")
    key = world.create("new", 1)
    await world.until(lambda: world.all_failed)
    world.disk.sync_error = None
    await world.until(lambda: str(world.reconciler.failed[key]).startswith("the log directory"))
    assert world.replicas.get(key) is None


async def test_retention_moves_the_log_start_and_remembers_it(make_world):
    world = make_world(log={"segment_bytes": 200, "retention_bytes": 0})
    world.start_brokers(1)
    world.run()
    partition = await world.leading("orders", 1)
    for _ in range(10):
        await world.send(partition)
    await world.logs.delete_old_segments()
    start_offset = partition.log.log_start_offset
    assert start_offset > 0
    crash(world)
    await start(world)
    assert (await reopened(world, partition.topic_partition)).log.log_start_offset == start_offset


@pytest.mark.parametrize("error", [CorruptionError("bad bytes"), StorageError("EIO")])
async def test_retention_of_a_damaged_log_costs_that_log_only(world, orders, monkeypatch, error):
    other = await world.leading("other", 1)
    looked_at = []

    def broken(**_):
        raise error

    monkeypatch.setattr(orders.log, "delete_old_segments", broken)
    monkeypatch.setattr(other.log, "delete_old_segments", lambda **_: looked_at.append(other) or 0)
    await world.logs.delete_old_segments()
    await world.logs.save_log_starts([orders, other])
    assert orders.offline is error
    assert other.offline is None
    assert looked_at == [other, other]


@pytest.fixture
async def two(make_world, tmp_path, settings):
    """A world with the directories a and b, and a partition in each: (world, the one in a, the one in b)."""
    world = make_world()
    world.logs.release()
    world.settings = replace(settings, log_dirs=(tmp_path / "a", tmp_path / "b"))
    world.logs = world.open_log_dirs()
    world.reconciler = world.make_reconciler()
    world.start_brokers(1)
    world.run()
    partitions = [await world.leading(name, 1) for name in ("first", "second")]
    by_dir = {Path(each.log.directory).parent.name: each for each in partitions}
    return world, by_dir["a"], by_dir["b"]


async def test_a_failed_directory_takes_its_partitions_and_no_others(two):
    world, first, second = two
    world.disk.sync_error = StorageError("EIO")
    world.send(first)
    await world.until(lambda: first.offline is not None)
    world.disk.sync_error = None
    assert second.offline is None
    assert world.all_failed == []
    (response,) = (await world.send(second)).partitions
    assert response.base_offset == 0
    third = await world.leading("third", 1)
    assert Path(third.log.directory).parent == Path(second.log.directory).parent
    await world.logs.checkpoint_recovery_points()
    world.disk.sync_error = StorageError("EIO")
    world.send(second)
    await world.until(lambda: world.all_failed)


async def test_a_directory_with_an_offline_partition_is_not_marked_clean(world, orders):
    orders.take_offline(StorageError("EIO"))
    await stop(world)
    await start(world, run=False)
    assert world.logs.previous_broker_epoch == -1


@pytest.mark.parametrize(
    ("marks", "said"),
    [((7, 7), 7), ((7, None), -1), ((None, None), -1), ((7, 5), 5), ((5, 7), 5)],
)
async def test_several_directories_say_one_epoch(make_world, tmp_path, settings, marks, said):
    """Marks of two orderly stops: one of the disks is an old copy."""
    world = make_world()
    world.logs.release()
    world.settings = replace(settings, log_dirs=(tmp_path / "a", tmp_path / "b"))
    world.logs = world.open_log_dirs()
    for opened, mark in zip(world.logs._dirs, marks, strict=True):
        if mark is not None:
            opened.directory.mark_clean(BrokerEpoch(mark))
    world.logs.release()
    world.logs = world.open_log_dirs()
    assert world.logs.previous_broker_epoch == said


async def test_it_tells_its_directories_and_the_logs_that_it_found(world, orders):
    ids = world.logs.directory_ids
    assert len(set(ids)) == 1
    assert world.logs.held() == ()
    crash(world)
    await start(world, run=False)
    assert world.logs.directory_ids == ids
    assert world.logs.held() == (
        HeldLogs(topic_id=orders.topic_partition.topic_id, partitions=(orders.topic_partition.partition,)),
    )
    assert world.logs.were_synced


async def test_a_log_that_is_in_two_directories_is_refused(make_world, tmp_path, settings):
    """A directory that was left out for a while: its copy of the log is older than the other."""
    world = make_world()
    world.logs.release()
    world.settings = replace(settings, log_dirs=(tmp_path / "a", tmp_path / "b"))
    world.logs = world.open_log_dirs()
    world.reconciler = world.make_reconciler()
    world.start_brokers(1)
    world.run()
    log = Path((await world.leading("orders", 1)).log.directory)
    await stop(world)
    other = next(path for path in (tmp_path / "a", tmp_path / "b") if path != log.parent)
    shutil.copytree(log, other / log.name)
    with pytest.raises(StartupError, match=r"orders-0 is in two log directories"):
        world.open_log_dirs()


async def test_a_try_that_failed_half_way_is_repeated_in_the_same_directory(make_world, tmp_path, settings):
    """Elsewhere it would leave two, of which the next start cannot tell the right one."""
    world = make_world()
    world.logs.release()
    world.settings = replace(settings, log_dirs=(tmp_path / "a", tmp_path / "b"))
    world.logs = world.open_log_dirs()
    world.reconciler = world.make_reconciler()
    world.start_brokers(1)
    world.run()
    first = await world.leading("first", 1)
    key = world.create("second", 1)
    world.disk.sync_error = DiskFullError("no space left on device")
    await world.until(lambda: key in world.reconciler.failed)
    (half,) = tmp_path.glob("*/second-0")
    # By now the other directory is the emptier one.
    world.disk.sync_error = None
    world.delete(first.topic_partition)
    await world.until(lambda: world.replicas.get(key))
    assert [Path(world.replicas.get(key).log.directory)] == list(tmp_path.glob("*/second-0")) == [half]


async def test_a_directory_in_use_or_of_another_cluster_is_refused(world):
    with pytest.raises(StartupError):
        world.open_log_dirs()
    world.logs.stamp("one")
    world.logs.stamp("one")
    with pytest.raises(StartupError):
        world.logs.stamp("two")
    world.logs.release()
    world.logs = world.open_log_dirs()
    assert world.logs.cluster_id == "one"


def online(world) -> list[bool]:
    return [state.is_online for state, _ in world.logs.contents()]


async def test_logs_that_are_opened_at_once_are_spread(two, tmp_path):
    world, _, _ = two
    world.disk.gate.clear()
    keys = [world.create(f"t{number}", 1) for number in range(4)]
    await world.until(lambda: len(list(tmp_path.glob("*/t*-0"))) == 4)
    world.disk.gate.set()
    await world.until(lambda: all(world.replicas.get(key) for key in keys))
    assert [len(list(tmp_path.glob(f"{name}/t*-0"))) for name in "ab"] == [2, 2]


async def test_a_directory_that_was_removed_is_offline_for_good(two, tmp_path):
    world, gone, stays = two
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(StorageError, match="removed or unmounted"):
        await world.logs.checkpoint_watermarks()
    assert gone.offline is not None
    assert world.offline_news.is_set()
    assert world.reconciler.offline() == (
        OfflineReplica(topic_id=gone.topic_partition.topic_id, partition=gone.topic_partition.partition),
    )
    assert (online(world), world.all_failed) == ([False, True], [])
    (tmp_path / "a").mkdir()
    await world.logs.checkpoint_watermarks()
    assert list((tmp_path / "a").iterdir()) == []
    assert online(world) == [False, True]
    (response,) = (await world.send(stays)).partitions
    assert response.error_code is ErrorCode.NONE
    (response,) = world.send(gone).partitions
    assert response.error_code is ErrorCode.KAFKA_STORAGE_ERROR


async def test_a_removed_directory_is_not_made_anew_for_a_new_log(two, tmp_path):
    world, gone, stays = two
    world.delete(gone.topic_partition)
    await world.until(lambda: not Path(gone.log.directory).exists())
    # The emptier one, and the next to be chosen.
    shutil.rmtree(tmp_path / "a")
    third = await world.leading("third", 1)
    assert Path(third.log.directory).parent == Path(stays.log.directory).parent
    assert not (tmp_path / "a").exists()
    assert online(world) == [False, True]


async def test_when_the_last_directory_is_gone_the_broker_ends(two, tmp_path):
    world, _, _ = two
    for name in ("a", "b"):
        assert world.all_failed == []
        (tmp_path / name).rename(tmp_path / f"{name}-elsewhere")
        with pytest.raises(StorageError):
            await world.logs.checkpoint_log_starts()
    assert len(world.all_failed) == 1
    await world.logs.close(broker_epoch=BrokerEpoch(7))
    assert not (tmp_path / "a").exists()
    assert not list(tmp_path.glob("*-elsewhere/.kafka_cleanshutdown"))


async def test_a_checkpoint_that_fails_takes_its_directory_offline_and_spares_the_other(two, tmp_path, monkeypatch):
    world, broken, other = two
    replace_file = world.disk.replace

    async def refused(path, content):
        if Path(path).parent.name == "a":
            raise StorageError(f"cannot write {path}: input/output error")
        await replace_file(path, content)

    monkeypatch.setattr(world.disk, "replace", refused)
    await world.send(other)
    with pytest.raises(StorageError):
        await world.logs.checkpoint_recovery_points()
    assert (broken.offline is not None, other.offline) == (True, None)
    assert f"{other.topic} 0 1\n" in (tmp_path / "b/recovery-point-offset-checkpoint").read_text()
    await stop(world)
    assert not (tmp_path / "a/.kafka_cleanshutdown").exists()
    assert (tmp_path / "b/.kafka_cleanshutdown").exists()


async def test_a_checkpoint_that_finds_the_disk_full_costs_nothing(two, monkeypatch):
    world, first, second = two

    async def full(path, content):
        raise DiskFullError(f"no space for {path}")

    monkeypatch.setattr(world.disk, "replace", full)
    with pytest.raises(DiskFullError):
        await world.logs.checkpoint_watermarks()
    assert (first.offline, second.offline, online(world)) == (None, None, [True, True])
