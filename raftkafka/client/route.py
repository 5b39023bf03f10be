"""Which lane the records of one topic go to. Floor 3."""

from __future__ import annotations

from collections.abc import Callable

from raftkafka.client.accumulator import Accumulator
from raftkafka.client.cluster import TopicView
from raftkafka.client.compiled import Appender
from raftkafka.client.delivery import Delivery
from raftkafka.client.lanes import Batch, Lane
from raftkafka.client.partitioner import Partitioner, StickyChoice
from raftkafka.client.types import TopicPartition


class Route:
    """Good until the view changes. `partitions` is their number."""

    __slots__ = (
        "_accumulator",
        "_lanes",
        "_now_ms",
        "_partitioner",
        "_sticky",
        "_view",
        "appender",
        "appenders",
        "partitions",
    )

    def __init__(
        self,
        view: TopicView,
        accumulator: Accumulator,
        sticky: StickyChoice,
        partitioner: Partitioner,
        now_ms: Callable[[], int] | None,
    ) -> None:
        self.partitions = len(view.partitions)
        self._view = view
        self._accumulator = accumulator
        self._sticky = sticky
        self._partitioner = partitioner
        self._now_ms = now_ms
        self._lanes: dict[int, Lane] = {}
        self.appender: Appender[Batch] | None = None
        """Takes plain values for the partition that the sticky choice stays with."""
        self.appenders: dict[int, Appender[Batch]] = {}
        """Take plain values for partitions that the application has named."""

    def take_plain(self, partition: int | None) -> None:
        """A plain value went this way, and others like it may follow: have an appender for them."""
        if partition is None:
            self.appender = self._appender(self.lane_of(self._sticky.current), self._sticky)
        elif partition not in self.appenders:
            self.appenders[partition] = self._appender(self.lane_of(partition), None)

    def _appender(self, lane: Lane, sticky: StickyChoice | None) -> Appender[Batch]:
        accumulator, partition = self._accumulator, lane.topic_partition.partition
        return Appender(lane.waiting, accumulator, sticky, partition, accumulator.batch_size, Delivery, self._now_ms)

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
