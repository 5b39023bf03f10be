"""What the image says becomes what this node has: opened, led, followed, deleted, in whatever order it is told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from raftkafka.broker import reconciler
from raftkafka.broker.reconciler import LOGS_PER_TURN, RETRY_MAX_S, RETRY_MIN_S
from raftkafka.metadata.commands import LoseReplica
from raftkafka.model.api.broker_lifecycle import OfflineReplica
from raftkafka.model.errors import CorruptionError, ErrorCode, StorageError
from raftkafka.model.ids import NodeId


class SlowLogs:
    """The world's log directories, behind a gate that holds `open` up."""

    def __init__(self, logs) -> None:
        self._logs = logs
        self.gate = asyncio.Event()
        self.gate.set()
        self.opening: list[str] = []
        self.failure: Exception | None = None
        self.holds_all = False

    def holds(self, key):
        return self.holds_all or self._logs.holds(key)

    async def open(self, key, topic):
        self.opening.append(topic.name)
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return await self._logs.open(key, topic)

    def configure(self, partition, topic):
        self._logs.configure(partition, topic)

    async def delete(self, partition):
        await self._logs.delete(partition)

    async def set_aside(self, partition):
        await self._logs.set_aside(partition)

    async def delete_strays(self, image):
        await self._logs.delete_strays(image)


@pytest.fixture
async def logs(world) -> SlowLogs:
    slow = SlowLogs(world.logs)
    world.reconciler._logs = slow
    world.start_brokers(1, 2)
    return slow


def directories(world) -> list[str]:
    return sorted(path.name for path in Path(world.path).iterdir() if path.is_dir())


async def test_it_opens_what_the_image_gives_to_this_node_and_nothing_else(world, logs):
    mine, other = world.create("mine", 1), world.create("other", 2)
    world.run()
    await world.until(lambda: world.replicas.get(mine))
    assert world.replicas.get(mine).is_leader
    assert world.replicas.get(other) is None
    assert directories(world) == ["mine-0"]


async def test_before_the_start_nothing_is_opened(world, logs):
    world.create("mine", 1)
    await asyncio.sleep(1)
    assert logs.opening == []


async def test_before_its_registration_is_applied_a_node_leads_nothing(world, logs):
    """The image of an earlier start may name this node in an epoch whose records its disk has lost (I1)."""
    logs.holds_all = True
    key = world.create("mine", 1, 2)
    world.reconciler.start()
    await world.until(lambda: world.replicas.get(key))
    await asyncio.sleep(1)
    assert not world.replicas.get(key).is_leader
    (response,) = world.ask(key, 0).partitions
    assert response.error_code is ErrorCode.NOT_LEADER_OR_FOLLOWER
    world.reconciler.image_is_current()
    assert world.replicas.get(key).is_leader


async def test_no_log_is_made_anew_before_the_registration_is_applied(world, logs):
    """The disk that it was on may be gone: at the next start an empty log would pass for it (I4)."""
    key = world.create("mine", 1, 2)
    world.reconciler.start()
    await asyncio.sleep(1)
    assert logs.opening == []
    world.reconciler.image_is_current()
    await world.until(lambda: world.replicas.get(key))


async def test_what_cannot_be_opened_is_reported(world, logs):
    world.run()
    logs.failure = StorageError("no space left on device")
    key = world.create("mine", 1, 2)
    await world.until(lambda: key in world.reconciler.failed)
    assert world.reconciler.offline() == (OfflineReplica(topic_id=key.topic_id, partition=key.partition),)


async def test_the_pauses_between_tries_to_open_a_log_grow(world, logs):
    world.run()
    logs.failure = StorageError("no space left on device")
    world.create("mine", 1)
    await asyncio.sleep(7 * RETRY_MIN_S + 0.1)
    # At once, after one pause, after two, after four.
    assert len(logs.opening) == 4
    await asyncio.sleep(600)
    assert len(logs.opening) < 4 + 600 / RETRY_MAX_S + 4
    logs.failure = None
    await asyncio.sleep(RETRY_MAX_S + 0.1)
    assert world.reconciler.failed == {}


async def test_a_role_changes_in_the_turn_in_which_it_is_applied(world, logs):
    world.run()
    partition = await world.leading("mine", 1, 2)
    world.set_leader(partition.topic_partition, 2)
    assert not partition.is_leader
    world.set_leader(partition.topic_partition, 1)
    assert partition.is_leader
    assert partition.leader_epoch == 2


async def test_of_many_roles_some_change_in_each_turn_and_its_own_leaderships_first(world, logs, monkeypatch):
    monkeypatch.setattr(reconciler, "ROLES_PER_TURN", 3)
    world.start_brokers(3)
    world.run()
    keys = [world.create(f"led-{number}", 2, 1, 3) for number in range(4)]
    keys += [world.create(f"followed-{number}", 2, 3, 1) for number in range(4)]
    await world.until(lambda: all(world.replicas.get(key) is not None for key in keys))
    held = [world.replicas.get(key) for key in keys]
    world.fence(2)
    assert [world.store.image.partition(key).leader for key in keys] == [1] * 4 + [3] * 4
    assert [each.is_leader for each in held] == [True] * 3 + [False] * 5
    turns = 0
    while {each.leader_id for each in held} != {1, 3}:
        turns += 1
        await asyncio.sleep(0)
    assert turns == 2
    assert [each.is_leader for each in held] == [True] * 4 + [False] * 4


async def test_a_change_that_comes_between_turns_is_the_one_that_is_looked_at(world, logs, monkeypatch):
    monkeypatch.setattr(reconciler, "ROLES_PER_TURN", 3)
    world.run()
    keys = [world.create(f"led-{number}", 2, 1) for number in range(8)]
    await world.until(lambda: all(world.replicas.get(key) is not None for key in keys))
    world.fence(2)
    waits = [key for key in keys if not world.replicas.get(key).is_leader]
    assert len(waits) == 5
    world.delete(waits[-1])
    assert not world.replicas.get(waits[0]).is_leader
    await world.until(lambda: len(world.replicas) == 7)
    assert all(world.replicas.get(key).is_leader for key in keys if key != waits[-1])


async def test_once_it_is_stopped_no_further_roles_are_taken(world, logs, monkeypatch):
    monkeypatch.setattr(reconciler, "ROLES_PER_TURN", 3)
    world.run()
    keys = [world.create(f"led-{number}", 2, 1) for number in range(8)]
    await world.until(lambda: all(world.replicas.get(key) is not None for key in keys))
    world.fence(2)
    await world.reconciler.stop()
    for _ in range(5):
        await asyncio.sleep(0)
    assert sum(world.replicas.get(key).is_leader for key in keys) == 3


async def test_a_deleted_topic_is_gone_from_table_and_disk(world, logs):
    world.run()
    partition = await world.leading("mine", 1)
    world.send(partition, acks=1)
    world.delete(partition.topic_partition)
    await world.until(lambda: directories(world) == [])
    assert len(world.replicas) == 0


async def test_opening_and_deleting_many_logs_leaves_the_loop_to_others_in_between(world, logs):
    """A restart with a thousand partitions must not hold the loop for so long that an election follows."""
    keys = [world.create(f"mine-{number}", 1) for number in range(4 * LOGS_PER_TURN)]
    turns = 0

    def turn() -> None:
        nonlocal turns
        turns += 1
        asyncio.get_running_loop().call_soon(turn)

    world.run()
    turn()
    seen = []
    for wanted in (len(keys), 0):
        began = turns
        while len(world.replicas) != wanted:
            await asyncio.sleep(0)
        seen.append(turns - began)
        if wanted:
            for key in keys:
                world.delete(key)
    assert min(seen) >= len(keys) // LOGS_PER_TURN - 1


async def test_a_topic_deleted_while_it_is_opened_is_deleted_then(world, logs):
    world.run()
    logs.gate.clear()
    key = world.create("mine", 1)
    await world.until(lambda: logs.opening == ["mine"])
    world.delete(key)
    logs.gate.set()
    await asyncio.sleep(1)
    assert directories(world) == []
    assert len(world.replicas) == 0


async def test_a_role_that_changes_while_the_log_is_opened_is_the_one_taken(world, logs):
    world.run()
    logs.gate.clear()
    key = world.create("mine", 1, 2)
    await world.until(lambda: logs.opening)
    world.set_leader(key, 2)
    logs.gate.set()
    await world.until(lambda: world.replicas.get(key))
    assert (world.replicas.get(key).is_leader, world.replicas.get(key).leader_id) == (False, 2)


@pytest.mark.parametrize("opened", [True, False])
async def test_a_topic_made_again_under_its_name_keeps_its_own_log(world, logs, opened):
    """Deleted and made again while the first log is open, or still being opened: the second log must survive."""
    world.run()
    logs.gate.clear()
    old = world.create("mine", 1, mark=1)
    await world.until(lambda: logs.opening)
    if opened:
        logs.gate.set()
        await world.until(lambda: world.replicas.get(old))
        world.send(old, acks=1)
    world.delete(old)
    new = world.create("mine", 1, mark=2)
    logs.gate.set()
    await world.until(lambda: (p := world.replicas.get(new)) is not None and p.is_leader)
    await asyncio.sleep(1)
    assert world.replicas.get(old) is None
    (response,) = (await world.send(new)).partitions
    assert (response.error_code, response.base_offset) == (ErrorCode.NONE, 0)
    assert directories(world) == ["mine-0"]
    assert list((world.path / "mine-0").glob("*.log"))


@pytest.mark.parametrize("failure", [StorageError("EIO"), CorruptionError("bad")])
async def test_a_log_that_cannot_be_opened_is_named_and_tried_again_at_the_next_change(world, logs, failure):
    world.run()
    logs.failure = failure
    key = world.create("mine", 1, 2)
    await world.until(lambda: key in world.reconciler.failed)
    await asyncio.sleep(RETRY_MIN_S / 2)
    assert logs.opening == ["mine"]
    logs.failure = None
    other = await world.leading("other", 1)
    assert other.is_leader
    world.fence(2)
    await world.until(lambda: world.replicas.get(key))
    assert world.replicas.get(key).is_leader
    assert world.reconciler.failed == {}


async def test_an_epoch_that_goes_back_stops_that_partition_only(world, logs):
    """An image older than the log: leading would break the epoch order, so this replica refuses to serve."""
    world.run()
    partition = await world.leading("mine", 1, 2)
    other = await world.leading("other", 1)
    world.set_leader(partition.topic_partition, 2)
    partition.log.begin_epoch(9)
    world.set_leader(partition.topic_partition, 1)
    assert partition.offline is not None
    assert other.is_leader
    world.set_leader(partition.topic_partition, 2)


async def test_an_offline_replica_takes_no_role(world, logs):
    world.run()
    partition = await world.leading("mine", 1, 2)
    partition.take_offline(StorageError("gone"))
    world.set_leader(partition.topic_partition, 2)
    world.set_leader(partition.topic_partition, 1)
    assert not partition.is_leader
    assert world.fetchers._by_leader == {}


async def test_a_burst_of_topics_is_opened_one_by_one(world, logs):
    world.run()
    keys = [world.create(f"t{number}", 1) for number in range(10)]
    await world.until(lambda: all((p := world.replicas.get(key)) and p.is_leader for key in keys))
    assert logs.opening == [f"t{number}" for number in range(10)]


async def test_of_too_many_offline_replicas_the_controller_hears_in_turns(world, logs, monkeypatch):
    monkeypatch.setattr(reconciler, "OFFLINE_MAX", 2)
    world.run()
    lost = [await world.leading(f"t{number}", 1, 2) for number in range(5)]
    world.set_leader(lost[0].topic_partition, 2)
    world.set_isr(lost[0].topic_partition, 2)
    for partition in lost:
        partition.take_offline(StorageError("the disk is gone"))
    keys = [each.topic_partition.topic_id for each in lost]
    told = [[each.topic_id for each in world.reconciler.offline()] for _ in range(2)]
    # That of the first is no news: the image has it out of the ISR already.
    assert told == [keys[1:3], keys[3:5]]
    for partition in lost[1:3]:
        world.set_leader(partition.topic_partition, 2)
        world.set_isr(partition.topic_partition, 2)
    assert {each.topic_id for each in world.reconciler.offline()} == set(keys[3:5])


async def test_a_damaged_log_is_built_anew_once_it_counts_for_nothing(world, logs):
    world.run()
    partition = await world.leading("mine", 1, 2)
    key = partition.topic_partition
    world.send(partition, acks=1)
    partition.take_offline(CorruptionError("a bit has flipped"))
    assert world.offline_news.is_set()
    assert world.replicas.offline() == (OfflineReplica(topic_id=key.topic_id, partition=key.partition, damaged=True),)
    await asyncio.sleep(1)
    assert world.replicas.get(key) is partition, "as a member of the ISR it must not turn into an empty log"
    world.commit(LoseReplica(node_id=NodeId(1), epoch=world.epoch(1), topic_id=key.topic_id, partition=key.partition))
    await world.until(lambda: world.replicas.get(key) not in (None, partition))
    fresh = world.replicas.get(key)
    assert (fresh.offline, fresh.log.log_end_offset, fresh.leader_id, fresh.is_leader) == (None, 0, 2, False)
    assert world.replicas.offline() == ()
    assert directories(world) == ["mine-0", "mine-0.0-stray"]


async def test_the_last_member_of_an_isr_keeps_its_damaged_log(world, logs):
    world.run()
    partition = await world.leading("mine", 1)
    key = partition.topic_partition
    partition.take_offline(CorruptionError("a bit has flipped"))
    world.commit(LoseReplica(node_id=NodeId(1), epoch=world.epoch(1), topic_id=key.topic_id, partition=key.partition))
    await asyncio.sleep(1)
    assert world.replicas.get(key) is partition
    (response,) = world.ask(key, 0).partitions
    assert response.error_code is ErrorCode.KAFKA_STORAGE_ERROR


async def test_an_image_of_before_the_start_lets_no_damaged_log_go(world, logs):
    logs.holds_all = True
    key = world.create("mine", 1, 2)
    world.reconciler.start()
    await world.until(lambda: world.replicas.get(key))
    partition = world.replicas.get(key)
    partition.take_offline(CorruptionError("a bit has flipped"))
    # What the own Raft log tells while it is replayed: once this replica was not in the ISR. By now it may be the last.
    world.commit(LoseReplica(node_id=NodeId(1), epoch=world.epoch(1), topic_id=key.topic_id, partition=key.partition))
    await asyncio.sleep(1)
    assert world.replicas.get(key) is partition
    world.reconciler.image_is_current()
    await world.until(lambda: world.replicas.get(key) not in (None, partition))
    assert world.replicas.get(key).offline is None


async def test_a_log_that_could_not_be_opened_is_tried_again_although_nothing_changes(world, logs):
    world.run()
    logs.failure = StorageError("no space left on device")
    key = world.create("mine", 1)
    await world.until(lambda: key in world.reconciler.failed)
    logs.failure = None
    await world.until(lambda: world.replicas.get(key) is not None, timeout_s=2 * RETRY_MAX_S)
    assert world.replicas.get(key).is_leader
    assert world.reconciler.failed == {}


# Replicas that come and go


async def test_a_replica_that_is_added_is_opened_and_one_that_is_taken_away_deleted(world, logs):
    world.run()
    key = world.create("mine", 2)
    await asyncio.sleep(1)
    assert directories(world) == []
    world.reassign(key, 2, 1)
    await world.until(lambda: world.replicas.get(key))
    assert world.replicas.get(key).leader_id == 2
    world.set_isr(key, 2, 1)
    assert directories(world) == ["mine-0"]
    world.reassign(key, 2)
    await world.until(lambda: directories(world) == [])
    assert len(world.replicas) == 0
    assert world.fetchers._by_leader == {}


async def test_a_leader_that_is_taken_away_serves_nothing_from_that_turn_on(world, logs):
    world.run()
    partition = await world.leading("mine", 1, 2, min_insync_replicas="1")
    key = partition.topic_partition
    waiting = world.send(partition)
    world.reassign(key, 2)
    (refused,) = world.send(key, acks=1).partitions
    assert (refused.error_code, refused.current_leader) == (ErrorCode.NOT_LEADER_OR_FOLLOWER, 2)
    (unknown,) = (await waiting).partitions
    assert unknown.error_code is ErrorCode.NOT_LEADER_OR_FOLLOWER
    await world.until(lambda: directories(world) == [])


async def test_an_image_of_before_the_start_deletes_no_log_that_came_back_since(world, logs):
    """What the own Raft log tells while it is replayed: this replica was taken away once, and is back and in the ISR now."""
    logs.holds_all = True
    key = world.create("mine", 1, 2)
    world.reconciler.start()
    await world.until(lambda: world.replicas.get(key))
    partition = world.replicas.get(key)
    world.reassign(key, 2)
    await asyncio.sleep(1)
    assert directories(world) == ["mine-0"]
    world.reassign(key, 2, 1)
    await asyncio.sleep(1)
    assert world.replicas.get(key) is partition
    assert partition.leader_id == 2
    world.reconciler.image_is_current()
    await asyncio.sleep(1)
    assert world.replicas.get(key) is partition


async def test_once_the_image_is_current_a_replica_that_is_gone_goes(world, logs):
    logs.holds_all = True
    key = world.create("mine", 1, 2)
    world.reconciler.start()
    await world.until(lambda: world.replicas.get(key))
    world.reassign(key, 2)
    await asyncio.sleep(1)
    world.reconciler.image_is_current()
    await world.until(lambda: directories(world) == [])
    assert len(world.replicas) == 0


async def test_a_replica_taken_away_and_given_back_before_it_was_deleted_keeps_its_log(world, logs):
    world.run()
    partition = await world.leading("mine", 1, 2)
    key = partition.topic_partition
    world.reassign(key, 2)
    world.reassign(key, 2, 1)
    await asyncio.sleep(1)
    assert world.replicas.get(key) is partition
    assert (partition.is_leader, partition.leader_id) == (False, 2)
