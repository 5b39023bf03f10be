"""Looks at the running nodes without changing them: every applied command, every leadership, and replicas now and then.

The shipped methods are called through; what they were told is written into the history.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.partition import Partition
from raftkafka.model.errors import CorruptionError
from raftkafka.record.header import iter_headers
from raftkafka.record.iterate import decode_records
from tests.simulation.history import Applied, Led, Record, Replica, Restored, Seen
from tests.simulation.loop import OWNER

if TYPE_CHECKING:
    from tests.simulation.world import SimNode, World


@contextlib.contextmanager
def observing(world: World) -> Iterator[None]:
    """Record what the nodes of `world` do, as long as the context is open; one world at a time."""
    history, loop = world.history, world.loop
    apply, restore, lead = MetadataStore.apply, MetadataStore.restore, Partition.lead

    def who() -> tuple[str, int]:
        owner = OWNER.get()
        assert owner is not None
        return owner.host, world.life_of(owner)

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
    Partition.lead = observed_lead  # type: ignore[method-assign]
    try:
        yield
    finally:
        MetadataStore.apply = apply  # type: ignore[method-assign]
        MetadataStore.restore = restore  # type: ignore[method-assign]
        Partition.lead = lead  # type: ignore[method-assign]


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
                world.history.seen.append(Seen(world.loop.now, node.host, node.life, key, *state))


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
                Record(record.offset, header.partition_leader_epoch, record.value or b"")
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
