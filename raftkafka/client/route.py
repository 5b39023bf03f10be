"""Which lane the records of one topic go to. Floor 3."""

from __future__ import annotations

from raftkafka.client.accumulator import Accumulator
from raftkafka.client.cluster import TopicView
from raftkafka.client.lanes import Lane
from raftkafka.client.partitioner import Partitioner, StickyChoice
from raftkafka.client.types import TopicPartition


class Route:
    """Good until the view changes. `partitions` is their number."""

    __slots__ = ("_accumulator", "_lanes", "_partitioner", "_sticky", "_view", "partitions")

    def __init__(
        self, view: TopicView, accumulator: Accumulator, sticky: StickyChoice, partitioner: Partitioner
    ) -> None:
        self.partitions = len(view.partitions)
        self._view = view
        self._accumulator = accumulator
        self._sticky = sticky
        self._partitioner = partitioner
        self._lanes: dict[int, Lane] = {}

    def lane(self, key: bytes | None, size_bytes: int) -> Lane:
        """For a record without a partition of its own: by its key, else the sticky choice."""
        if key is None:
            return self.lane_of(self._sticky.choose(size_bytes, self.partitions, self._view.led_partitions))
        return self.lane_of(self._partitioner(key, self.partitions))

    def lane_of(self, partition: int) -> Lane:
        """The lane of a partition, which need not exist: then its records wait until it does, or time out.

        Raises:
            ValueError: no partition has such a number.
        """
        lane = self._lanes.get(partition)
        if lane is None:
            if partition < 0:
                raise ValueError(f"partition {partition} is negative")
            lane = self._lanes[partition] = self._accumulator.lane(TopicPartition(self._view.name, partition))
        return lane
