"""Looks at the running nodes without changing them: every applied command, leadership and move of a watermark, what
followers append once a disk is damaged, and replicas now and then.

The shipped methods are called through; what they were told is written into the history.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.partition import Partition
from raftkafka.model.errors import CorruptionError
from raftkafka.model.ids import NodeId, TopicPartition
from raftkafka.record.header import crc_ok, iter_headers
from raftkafka.record.iterate import decode_records
from raftkafka.replica.leader import LeaderState
from raftkafka.storage.log import Log
from tests.simulation.history import (
    Applied,
    Counted,
    Damaged,
    Led,
    Load,
    Member,
    NodePartition,
    Record,
    Replica,
    Restored,
    Seen,
)
from tests.simulation.loop import OWNER

if TYPE_CHECKING:
    from tests.simulation.world import SimNode, World


@contextlib.contextmanager
def observing(world: World) -> Iterator[None]:
    """Record what the nodes of `world` do, as long as the context is open; one world at a time."""
    history, loop = world.history, world.loop
    apply, restore, lead = MetadataStore.apply, MetadataStore.restore, Partition.lead
    publish = MetadataStore._publish
    moved, append = Partition._watermark_moved, Log.append_as_follower
    damaged_batches: list[Damaged] = []

    def who() -> tuple[str, int]:
        owner = OWNER.get()
        assert owner is not None
        return owner.host, world.life_of(owner)

    def observed_publish(self: MetadataStore, *changes: Any) -> None:
        if self.applied_index > world.newest_index:
            world.newest_index, world.newest_image = self.applied_index, self.image
        publish(self, *changes)

    def observed_move(self: Partition) -> None:
        key = (self.topic_partition.topic_id, self.topic_partition.partition)
        leader = self.leader
        if leader is not None:
            host, _ = who()
            there = [each for each in leader.replicas if _has(leader, each)]
            _note_move(world, host, key, leader, tuple(there))
        moved(self)

    def observed_append(self: Log, records: memoryview | bytes, **others: Any) -> Any:
        if history.lossy:
            host, _ = who()
            for position, header in iter_headers(records):
                if not crc_ok(records, position, header.batch_size):
                    key = (self.topic_partition.topic_id, self.topic_partition.partition)
                    damaged_batches.append(Damaged(loop.now, host, key, "appended as a follower", header.base_offset))
        before = self.log_end_offset
        appended = append(self, records, **others)
        if damaged_batches and self.log_end_offset > before:
            history.damaged.extend(damaged_batches)
        damaged_batches.clear()
        return appended

    def observed_apply(self: MetadataStore, index: Any, command: bytes) -> Any:
        host, life = who()
        history.applied.append(Applied(loop.now, host, life, index, command))
        world.trace("apply", host, index, len(command))
        return apply(self, index, command)

    def observed_restore(self: MetadataStore, index: Any, data: bytes) -> None:
        host, life = who()
        history.restored.append(Restored(loop.now, host, life, index))
        world.trace("restore", host, index, len(data))
        restore(self, index, data)

    def observed_lead(self: Partition, state: Any, **others: Any) -> None:
        host, _ = who()
        key = self.topic_partition
        lead(self, state, **others)
        if self.leader is not None:
            history.led.append(Led(loop.now, host, (key.topic_id, key.partition), self.leader_epoch))
            world.trace("lead", host, str(self), self.leader_epoch)

    MetadataStore.apply = observed_apply  # type: ignore[method-assign]
    MetadataStore.restore = observed_restore  # type: ignore[method-assign]
    MetadataStore._publish = observed_publish  # type: ignore[method-assign]
    Partition.lead = observed_lead  # type: ignore[method-assign]
    Partition._watermark_moved = observed_move  # type: ignore[method-assign]
    Log.append_as_follower = observed_append  # type: ignore[method-assign]
    try:
        yield
    finally:
        MetadataStore.apply = apply  # type: ignore[method-assign]
        MetadataStore.restore = restore  # type: ignore[method-assign]
        MetadataStore._publish = publish  # type: ignore[method-assign]
        Partition.lead = lead  # type: ignore[method-assign]
        Partition._watermark_moved = moved  # type: ignore[method-assign]
        Log.append_as_follower = append  # type: ignore[method-assign]


def _has(leader: LeaderState, node_id: NodeId) -> bool:
    """Whether the leader knows this replica to have everything below its high watermark."""
    if node_id == leader.node_id:
        return leader.counted_offset >= leader.high_watermark
    follower = leader.follower(node_id)
    return follower is not None and follower.counted_offset >= leader.high_watermark


def _note_move(world: World, host: str, key: NodePartition, leader: LeaderState, there: tuple[int, ...]) -> None:
    state = world.newest_image.partition(TopicPartition(*key))
    same = state is not None and state.leader_epoch == leader.leader_epoch
    isr = tuple(state.isr) if same else ()
    world.history.counted.append(
        Counted(world.loop.now, host, key, leader.leader_epoch, leader.high_watermark, isr, there)
    )
    world.committed[key] = max(world.committed.get(key, 0), leader.high_watermark)


def look(world: World) -> None:
    """Note where the replicas stand, where that has changed."""
    for node in world.nodes.values():
        for partition in node.partitions():
            if partition.offline is not None:
                continue
            log = partition.log
            state = (partition.is_leader, log.log_start_offset, partition.high_watermark, log.log_end_offset)
            key = (partition.topic_partition.topic_id, partition.topic_partition.partition)
            if node.last_seen.get(key) != state:
                node.last_seen[key] = state
                known, opening = node.openings.get(key, (log, 0))
                if known is not log:
                    opening += 1
                node.openings[key] = log, opening
                world.history.seen.append(Seen(world.loop.now, node.host, node.life, key, *state, opening))
                _note_member(world, node, key, log.log_end_offset)


def _note_member(world: World, node: SimNode, key: NodePartition, log_end: int) -> None:
    committed = world.committed.get(key)
    state = world.newest_image.partition(TopicPartition(*key)) if committed else None
    if committed is None or state is None:
        return
    role = "ISR" if node.node_id in state.isr else "ELR" if node.node_id in state.elr else None
    if role is not None:
        world.history.members.append(Member(world.loop.now, node.host, key, role, log_end, committed))


def look_at_loads(world: World, *, idle: bool = False) -> None:
    """Note what each process holds."""
    for node in world.nodes.values():
        running, process = node.node, node.process
        if not node.is_up or running is None or running._parts is None or process is None:
            continue
        partitions = list(running.parts.replicas)
        world.history.loads.append(
            Load(
                at=world.loop.now,
                node=node.host,
                idle=idle,
                connections=sum(server.connections for server in running.parts.servers),
                held_bytes=sum(server.held_bytes for server in running.parts.servers),
                waiting_commits=sum(len(partition.waiting_commits) for partition in partitions),
                waiting_fetches=sum(len(partition.waiting_fetches) for partition in partitions),
                open_files=process.open_files,
                tasks=sum(not task.done() for task in process.tasks),
            )
        )


async def read_replica(node: SimNode, partition: Partition) -> Replica | None:
    """Everything that lies in the log of one replica; None for damage on a disk that was damaged.

    Nobody reads a follower's log before it leads, so damage may lie there unseen. What matters is that it is not served.
    """
    try:
        return await _read(node, partition)
    except CorruptionError:
        if node.disk_suspect:
            return None
        raise


async def _read(node: SimNode, partition: Partition) -> Replica:
    log = partition.log
    records: list[Record] = []
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        result = log.read(offset, max_bytes=1 << 20, end=log.log_end_offset)
        if result is None:
            result = await log.read_cold(offset, max_bytes=1 << 20, end=log.log_end_offset)
        for position, header in iter_headers(result.records):
            records += [
                Record(record.offset, header.partition_leader_epoch, record.value or b"", record.key)
                for record in decode_records(result.records, position)
                if record.offset >= offset
            ]
        assert result.next_offset > offset
        offset = result.next_offset
    return Replica(
        node=node.host,
        partition=(partition.topic, int(partition.topic_partition.partition)),
        log_start=log.log_start_offset,
        high_watermark=partition.high_watermark,
        log_end=log.log_end_offset,
        records=tuple(records),
    )
