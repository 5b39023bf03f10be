"""Which partition of `__consumer_offsets` a group belongs to: its leader is the group's coordinator.

Floor 1, pure.
"""

from __future__ import annotations

from raftkafka.model.ids import PartitionIndex


def partition_of(group_id: str, partitions: int) -> PartitionIndex:
    """Kafka's choice: `Utils.abs(groupId.hashCode()) % partitions`, with Java's `String.hashCode` over UTF-16 code units."""
    code = 0
    units = group_id.encode("utf-16-be", "surrogatepass")
    for at in range(0, len(units), 2):
        code = (31 * code + (units[at] << 8 | units[at + 1])) & 0xFFFF_FFFF
    if code >= 1 << 31:
        code -= 1 << 32
    # Kafka's abs of the smallest int is 0, for want of a positive one.
    return PartitionIndex((0 if code == -(1 << 31) else abs(code)) % partitions)
