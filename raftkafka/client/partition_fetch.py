"""How far one assigned partition has been fetched, and what keeps it from going on. Floor 3, pure."""

from __future__ import annotations

from raftkafka.client.buffered import Buffered
from raftkafka.client.types import TopicPartition
from raftkafka.model.errors import ApiError
from raftkafka.model.ids import NO_NODE, NodeId, TimestampMs


class PartitionFetch:
    """One assigned partition. `fetch_offset` runs ahead of `buffered.position`; -1 while it is being looked up."""

    __slots__ = (
        "buffered",
        "error",
        "failures",
        "fetch_offset",
        "generation",
        "high_watermark",
        "in_flight",
        "leader_only_until",
        "looking_up",
        "not_before",
        "paused",
        "preferred",
        "preferred_until",
        "reset_to",
        "topic_partition",
        "tried_epoch",
    )

    def __init__(self, topic_partition: TopicPartition) -> None:
        self.topic_partition = topic_partition
        self.buffered = Buffered(topic_partition)
        self.fetch_offset = -1
        self.high_watermark = -1
        self.generation = 0
        """Counts seeks: what was asked for before one is not wanted after it."""
        self.reset_to: TimestampMs | None = None
        self.looking_up = False
        self.in_flight = False
        self.paused = False
        self.error: ApiError | None = None
        """Raised to the application once it has read what came before."""
        self.failures = 0
        self.not_before = 0.0
        self.tried_epoch = -1
        self.preferred: NodeId = NO_NODE
        """The replica that the leader named to read from (KIP-392), until `preferred_until`."""
        self.preferred_until = 0.0
        self.leader_only_until = 0.0

    def read_from(self, leader: NodeId, now: float) -> NodeId:
        """The node to fetch from: the preferred replica, as long as its time lasts, else the leader."""
        if self.preferred == NO_NODE:
            return leader
        if now >= self.preferred_until:
            self.preferred = NO_NODE
            return leader
        return self.preferred

    def back_to_leader(self, *, until: float) -> None:
        """The preferred replica did not serve; until then no other one is wanted."""
        self.preferred = NO_NODE
        self.leader_only_until = until

    def seek(self, offset: int) -> None:
        self.generation += 1
        self.fetch_offset = offset
        self.reset_to = None
        self.error = None
        self.not_before = 0.0
        self.buffered.clear(offset)

    def reset(self, timestamp: TimestampMs) -> None:
        """Look the position up by timestamp (LATEST, EARLIEST) before anything is fetched."""
        self.seek(-1)
        self.reset_to = timestamp
        self.looking_up = False
