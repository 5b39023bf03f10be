"""The checks before an append, in their order; what an acknowledgement waits for; what a change of role does to waiters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from raftkafka.broker.purgatory import CommitWait
from raftkafka.model.errors import ApiError, CorruptionError, DiskFullError, ErrorCode, StorageError


@pytest.fixture
async def three(world):
    """A partition of three replicas that this node leads under policy `group`; nodes 2 and 3 follow."""
    world.start_brokers(1, 2, 3)
    world.run()
    return await world.leading("orders", 1, 2, 3)


def append(world, partition, *, epoch: int = -1, needs_isr: bool = True):
    return partition.append(world.batch(), epoch=epoch, needs_isr=needs_isr, now_ms=1_000)


def wait_for(partition, offset: int) -> list[ErrorCode]:
    codes: list[ErrorCode] = []
    partition.waiting_commits.add(CommitWait(offset, codes.append))
    return codes


async def flushed(world, partition) -> None:
    await world.until(lambda: partition.log.flushed_offset == partition.log.log_end_offset)


def fetched(world, partition, node: int, offset: int, flushed_offset: int | None = None) -> None:
    partition.on_replica_fetch(
        node,
        fetch_offset=offset,
        flushed_offset=offset if flushed_offset is None else flushed_offset,
        broker_epoch=world.epoch(node),
    )


async def test_a_stale_epoch_is_fenced_and_a_newer_one_unknown(world, three):
    assert three.leader_epoch == 0
    world.set_leader(three.topic_partition, 2)
    world.set_leader(three.topic_partition, 1)
    epoch = three.leader_epoch
    assert epoch > 0
    assert three.check_leader(epoch) is three.leader
    assert three.check_leader(-1) is three.leader
    for asked, code in ((epoch - 1, ErrorCode.FENCED_LEADER_EPOCH), (epoch + 1, ErrorCode.UNKNOWN_LEADER_EPOCH)):
        with pytest.raises(ApiError) as refused:
            append(world, three, epoch=asked)
        assert refused.value.code is code
    assert three.log.log_end_offset == 0


async def test_offline_goes_before_not_leader_and_that_before_epochs(world, three):
    world.set_leader(three.topic_partition, 2)
    with pytest.raises(ApiError) as refused:
        append(world, three, epoch=99)
    assert refused.value.code is ErrorCode.NOT_LEADER_OR_FOLLOWER
    three.take_offline(StorageError("gone"))
    with pytest.raises(ApiError) as refused:
        append(world, three, epoch=99)
    assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR


async def test_too_small_an_isr_refuses_acks_all_but_not_one(make_world):
    world = make_world(log={"min_insync_replicas": 2})
    world.start_brokers(1, 2)
    world.run()
    partition = await world.leading("orders", 1, 2)
    world.fence(2)
    with pytest.raises(ApiError) as refused:
        append(world, partition)
    assert refused.value.code is ErrorCode.NOT_ENOUGH_REPLICAS
    append(world, partition, needs_isr=False)
    await flushed(world, partition)
    assert (partition.log.log_end_offset, partition.high_watermark) == (1, 0)


async def test_the_topics_own_min_insync_replicas_goes_before_the_brokers(world):
    world.start_brokers(1, 2)
    world.run()
    partition = await world.leading("orders", 1, 2, min_insync_replicas="2")
    world.fence(2)
    await world.until(lambda: partition.leader.isr == (1,))
    with pytest.raises(ApiError) as refused:
        append(world, partition)
    assert refused.value.code is ErrorCode.NOT_ENOUGH_REPLICAS


async def test_one_replica_is_enough_for_a_partition_that_has_no_other(world):
    world.start_brokers(1)
    world.run()
    partition = await world.leading("orders", 1, min_insync_replicas="2")
    append(world, partition)
    await flushed(world, partition)
    assert partition.high_watermark == 1


async def test_under_group_the_watermark_waits_for_every_disk(world, three):
    world.disk.gate.clear()
    append(world, three)
    codes = wait_for(three, 0)
    fetched(world, three, 2, 1)
    fetched(world, three, 3, 1, flushed_offset=0)
    world.disk.gate.set()
    await flushed(world, three)
    assert (three.high_watermark, codes) == (0, [])
    fetched(world, three, 3, 1)
    assert (three.high_watermark, codes) == (1, [ErrorCode.NONE])


async def test_under_group_the_leaders_own_disk_counts_too(world, three):
    world.disk.gate.clear()
    append(world, three)
    codes = wait_for(three, 0)
    for node in (2, 3):
        fetched(world, three, node, 1)
    assert codes == []
    world.disk.gate.set()
    await flushed(world, three)
    assert codes == [ErrorCode.NONE]


async def test_under_os_page_caches_count(os_world):
    world = os_world
    world.start_brokers(1, 2)
    world.run()
    partition = await world.leading("orders", 1, 2)
    append(world, partition)
    fetched(world, partition, 2, 1, flushed_offset=0)
    assert partition.high_watermark == 1
    assert world.disk.synced[1:] == [] or all("log" not in path for paths in world.disk.synced for path in paths)


async def test_losing_the_leadership_answers_who_waits_and_keeps_the_watermark(world, three):
    append(world, three)
    for node in (2, 3):
        fetched(world, three, node, 1)
    await flushed(world, three)
    append(world, three)
    codes = wait_for(three, 1)
    world.set_leader(three.topic_partition, 2)
    assert codes == [ErrorCode.NOT_LEADER_OR_FOLLOWER]
    assert not three.is_leader
    assert (three.leader_id, three.high_watermark) == (2, 1)


async def test_a_new_epoch_of_the_same_leader_answers_who_waits(world, three):
    append(world, three)
    codes = wait_for(three, 0)
    before = three.leader
    world.set_leader(three.topic_partition, 2)
    world.set_leader(three.topic_partition, 1)
    assert codes == [ErrorCode.NOT_LEADER_OR_FOLLOWER]
    assert three.leader is not before
    assert three.leader.epoch_start_offset == 1
    assert not three.leader.hw_serves_consumers()


async def test_an_isr_change_in_the_same_epoch_answers_nobody(world, three):
    append(world, three)
    codes = wait_for(three, 0)
    await flushed(world, three)
    fetched(world, three, 2, 1)
    assert codes == []
    world.fence(3)
    assert codes == [ErrorCode.NONE]
    assert three.leader.isr == (1, 2)


async def test_a_failed_sync_takes_the_partition_offline_and_answers(world, three):
    world.disk.sync_error = StorageError("EIO")
    append(world, three)
    codes = wait_for(three, 0)
    await world.until(lambda: three.offline is not None)
    assert codes == [ErrorCode.KAFKA_STORAGE_ERROR]
    assert not three.is_leader
    assert len(world.all_failed) == 1


async def test_a_full_disk_refuses_the_append_and_nothing_else(world, three, monkeypatch):
    def full(*args, **kwargs):
        raise DiskFullError("no space")

    with monkeypatch.context() as patched:
        patched.setattr(three.log, "append_as_leader", full)
        with pytest.raises(ApiError) as refused:
            append(world, three)
    assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    assert three.offline is None
    append(world, three)


async def test_a_failing_disk_takes_the_partition_offline(world, three, monkeypatch):
    def failing(*args, **kwargs):
        raise StorageError("EIO")

    monkeypatch.setattr(three.log, "append_as_leader", failing)
    with pytest.raises(ApiError):
        append(world, three)
    assert three.offline is not None


async def test_offline_is_said_once_with_the_first_reason(three):
    first = CorruptionError("bad bytes")
    three.take_offline(first)
    three.take_offline(StorageError("later"))
    assert three.offline is first


async def test_a_followers_watermark_reaches_its_log_end_and_never_goes_back(world, three):
    append(world, three)
    world.set_leader(three.topic_partition, 2)
    three.set_follower_watermark(5)
    assert three.high_watermark == 1
    three.set_follower_watermark(0)
    assert three.high_watermark == 1


async def test_a_log_that_begins_anew_takes_its_watermark_along(world, three):
    world.set_leader(three.topic_partition, 2)
    three.log.truncate_fully_and_start_at(100)
    three.truncated()
    assert three.high_watermark == 100


async def test_a_follower_that_is_not_in_sync_is_news_for_the_isr(world, three):
    world.fence(3)
    world.isr_news.clear()
    fetched(world, three, 3, 0)
    assert world.isr_news == [three]
    world.restart(3)
    fetched(world, three, 3, 0)
    world.set_isr(three.topic_partition, 1, 2, 3)
    world.isr_news.clear()
    fetched(world, three, 3, 0)
    assert world.isr_news == []


async def test_an_added_replica_is_followed_up_without_a_new_leadership(world, three):
    world.start_brokers(4)
    codes = wait_for(three, append(world, three).last_offset)
    leader = three.leader
    world.reassign(three.topic_partition, 1, 2, 3, 4)
    assert three.leader is leader
    fetched(world, three, 4, 1)
    assert three.leader.follower(4).fetch_offset == 1
    assert codes == []


async def test_a_leader_that_leads_on_in_the_next_epoch_keeps_its_promises(world, three):
    codes = wait_for(three, append(world, three).last_offset)
    world.reassign(three.topic_partition, 1, 2)
    assert (three.is_leader, three.leader_epoch) == (True, 1)
    assert codes == []
    await flushed(world, three)
    fetched(world, three, 2, 1)
    assert codes == [ErrorCode.NONE]


async def test_a_leader_that_was_away_in_between_promises_nothing(world, three):
    codes = wait_for(three, append(world, three).last_offset)
    state = replace(three.state, leader_epoch=three.leader_epoch + 2)
    three.lead(state, min_insync_replicas=1)
    assert codes == [ErrorCode.NOT_LEADER_OR_FOLLOWER]
