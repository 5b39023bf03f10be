"""Where a consumer reads: seeking, pausing, and looking offsets up. Floor 3."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence

from raftkafka.client.checking import checked_topic
from raftkafka.client.fetching import Fetcher
from raftkafka.client.offsets import Found, list_offsets
from raftkafka.client.partition_fetch import PartitionFetch
from raftkafka.client.routing import Router
from raftkafka.client.types import OffsetAndTimestamp, TopicPartition
from raftkafka.model.api.offsets import EARLIEST, LATEST
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import TimestampMs


class Positions(ABC):
    """The part of `Consumer` that concerns positions in partitions, whoever assigned them."""

    _router: Router
    _fetcher: Fetcher
    _api_timeout_s: float
    _isolation_level: int

    @abstractmethod
    async def _wait(self) -> None:
        """Until something has arrived."""

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from `offset`; one that does not exist is met by `auto_offset_reset` at the next fetch."""
        if offset < 0:
            raise ValueError(f"offset {offset} is negative")
        self._state(partition).seek(offset)
        self._fetcher.wake()

    def seek_to_beginning(self, *partitions: TopicPartition) -> None:
        """Read on from the log start, of all assigned partitions when none is named; looked up at the next fetch."""
        self._reset(partitions, EARLIEST)

    def seek_to_end(self, *partitions: TopicPartition) -> None:
        """Read on from the high watermark, of all assigned partitions when none is named; looked up at the next fetch."""
        self._reset(partitions, LATEST)

    def _reset(self, partitions: Sequence[TopicPartition], timestamp: TimestampMs) -> None:
        for state in [self._state(partition) for partition in partitions] or self._fetcher.states.values():
            state.reset(timestamp)
        self._fetcher.wake()

    async def position(self, partition: TopicPartition) -> int:
        """The offset of the next record that will be handed out; waits while it is being looked up.

        Raises:
            ApiError: it cannot be had.
        """
        state = self._state(partition)
        try:
            async with asyncio.timeout(self._api_timeout_s):
                while state.fetch_offset < 0 and state.error is None:
                    await self._wait()
        except TimeoutError:
            raise ApiError(ErrorCode.REQUEST_TIMED_OUT, f"the position of {partition} is not known") from None
        if state.fetch_offset < 0 and state.error is not None:
            raise state.error
        return state.buffered.position

    def high_watermark(self, partition: TopicPartition) -> int | None:
        """The end of what consumers may read, as the last fetch told; None before the first."""
        known = self._state(partition).high_watermark
        return None if known < 0 else known

    def pause(self, *partitions: TopicPartition) -> None:
        """Neither fetch nor hand out these until `resume`; positions and what is buffered stay."""
        for partition in partitions:
            state = self._state(partition)
            state.paused = True
            state.buffered.end_run()

    def resume(self, *partitions: TopicPartition) -> None:
        for partition in partitions:
            self._state(partition).paused = False
        self._fetcher.arrived.set()
        self._fetcher.wake()

    def paused(self) -> list[TopicPartition]:
        return [tp for tp, state in self._fetcher.states.items() if state.paused]

    async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset of each log; the partitions need not be assigned. Raises ApiError."""
        found = await self._list(dict.fromkeys(partitions, EARLIEST))
        return {tp: answer.offset for tp, answer in found.items()}

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The high watermark of each partition; they need not be assigned. Raises ApiError."""
        found = await self._list(dict.fromkeys(partitions, LATEST))
        return {tp: answer.offset for tp, answer in found.items()}

    async def offsets_for_times(
        self, timestamps_ms: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """The first offset with a timestamp >= the given one (milliseconds since the epoch, UTC); None where none is."""
        if any(timestamp < 0 for timestamp in timestamps_ms.values()):
            raise ValueError("timestamps are milliseconds since the epoch, not negative")
        found = await self._list({tp: TimestampMs(timestamp) for tp, timestamp in timestamps_ms.items()})
        return {
            tp: None if answer.offset < 0 else OffsetAndTimestamp(answer.offset, answer.timestamp)
            for tp, answer in found.items()
        }

    async def _list(self, targets: Mapping[TopicPartition, TimestampMs]) -> Found:
        return await list_offsets(
            self._router, targets, timeout_s=self._api_timeout_s, isolation_level=self._isolation_level
        )

    async def partitions_for(self, topic: str) -> list[TopicPartition]:
        """All partitions of a topic, to be assigned.

        Raises:
            ApiError: it cannot be had within `default_api_timeout_ms`.
        """
        self._router.track((checked_topic(topic),))
        view = self._router.view

        def settled() -> bool:
            code = view.error(topic)
            return view.topic(topic) is not None or (code is not ErrorCode.NONE and not code.retriable)

        if not settled():
            await self._router.wait_until(settled, timeout_s=self._api_timeout_s)
        known = view.topic(topic)
        if known is None:
            code = view.error(topic)
            cause = self._router.last_failure
            raise ApiError(
                ErrorCode.REQUEST_TIMED_OUT if code is ErrorCode.NONE else code,
                f"topic {topic!r} cannot be used" + (f": {cause}" if cause else ""),
            )
        return [TopicPartition(topic, number) for number in range(len(known.partitions))]

    def _state(self, partition: TopicPartition) -> PartitionFetch:
        state = self._fetcher.states.get(TopicPartition(*partition))
        if state is None:
            raise ValueError(f"{partition} is not assigned")
        return state
