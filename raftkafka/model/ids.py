"""Distinct ids get distinct types, so that a checker refuses an offset where a leader epoch is wanted.

Floor 0. Names follow the vocabulary of the architecture page: term (Raft) is never leader epoch (partition), and index
(Raft), offset (log) and position (byte in a file) are three different things.
"""

from __future__ import annotations

from typing import NamedTuple, NewType

NodeId = NewType("NodeId", int)
"""`broker.id`: one number for the broker, the voter and the controller that live in one node."""

BrokerEpoch = NewType("BrokerEpoch", int)
"""The Raft index of the registration in force; a restart of the node takes a higher one (KIP-380, KIP-903)."""

TopicId = NewType("TopicId", bytes)
"""16 bytes of a UUID; a topic that is deleted and created again has another one (KIP-516)."""

DirectoryId = NewType("DirectoryId", bytes)
"""16 random bytes of a log directory, drawn when it is first used: a disk that was replaced has another one (KIP-858)."""

PartitionIndex = NewType("PartitionIndex", int)
Offset = NewType("Offset", int)
LeaderEpoch = NewType("LeaderEpoch", int)
PartitionEpoch = NewType("PartitionEpoch", int)
"""Counts every change of a partition's metadata, ISR moves included; the compare-and-set key of AlterPartition."""

ProducerId = NewType("ProducerId", int)
"""Given out once in the life of a cluster; what it wrote is numbered, so that a repetition is recognized (KIP-98)."""

GroupId = NewType("GroupId", str)
MemberId = NewType("MemberId", str)
"""Given to a member of a group by its coordinator; another start of the same consumer gets another one."""

GenerationId = NewType("GenerationId", int)
"""Counts the rebalances of a group; who speaks of an older one is refused."""

Term = NewType("Term", int)
RaftIndex = NewType("RaftIndex", int)
TimestampMs = NewType("TimestampMs", int)
"""Milliseconds since the epoch, UTC."""

NO_NODE = NodeId(-1)
NO_OFFSET = Offset(-1)
NO_EPOCH = LeaderEpoch(-1)
NO_BROKER_EPOCH = BrokerEpoch(-1)
NO_PRODUCER_ID = ProducerId(-1)
NO_GENERATION = GenerationId(-1)
NO_MEMBER = MemberId("")
NO_TIMESTAMP = TimestampMs(-1)
NO_TOPIC_ID = TopicId(bytes(16))


class TopicPartition(NamedTuple):
    """The key of everything that belongs to one partition of one incarnation of a topic."""

    topic_id: TopicId
    partition: PartitionIndex

    def __str__(self) -> str:
        return f"{self.topic_id.hex()}-{self.partition}"
