"""The consumer that applications use, for partitions they assign themselves. Floor 3.

Invariant: the position of a partition is the offset after the last record handed out, and moves by `seek` or a reset only
otherwise; leaders may change without the application noticing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import partial
from random import Random
from types import TracebackType
from typing import Final, Self, TypeVar

from raftkafka.client.backoff import Backoff
from raftkafka.client.channels import Channel, Connect, parse_bootstrap
from raftkafka.client.connection import Connection
from raftkafka.client.fetching import Fetcher, FetchSettings
from raftkafka.client.offsets import Found, list_offsets
from raftkafka.client.partition_fetch import PartitionFetch
from raftkafka.client.routing import Router
from raftkafka.client.types import Batch, ConsumerRecord, NotRunningError, OffsetAndTimestamp, TopicPartition, Values
from raftkafka.model.api.offsets import EARLIEST, LATEST
from raftkafka.model.errors import ApiError, ConfigurationError, CorruptionError, ErrorCode
from raftkafka.model.ids import TimestampMs
from raftkafka.record.iterate import Record

_RESETS: Final[Mapping[str, TimestampMs | None]] = {"latest": LATEST, "earliest": EARLIEST, "none": None}
_Taken = TypeVar("_Taken")


class Consumer:
    """Use `async with Consumer(...)`, or `start` and `stop`, inside a running event loop; one task reads at a time.

    Names and defaults are Kafka's, times in milliseconds and sizes in bytes. Three ways to read: records (`poll`,
    `async for`), values alone (`poll_values`, several times faster), and record batches as they lie in the log
    (`poll_batches`, for who decodes elsewhere or not at all).

    With `client_rack` set to the `broker.rack` of a broker near by, partitions are read from the replica there, where the
    brokers have a `replica.selector.class` (KIP-392).
    """

    def __init__(
        self,
        bootstrap_servers: str | Sequence[str] = "localhost:9092",
        *,
        client_id: str = "raftkafka-consumer",
        fetch_min_bytes: int = 1,
        fetch_max_bytes: int = 52_428_800,
        fetch_max_wait_ms: int = 500,
        max_partition_fetch_bytes: int = 1_048_576,
        max_poll_records: int = 500,
        auto_offset_reset: str = "latest",
        client_rack: str = "",
        check_crcs: bool = True,
        request_timeout_ms: int = 30_000,
        default_api_timeout_ms: int = 60_000,
        retry_backoff_ms: int = 20,
        retry_backoff_max_ms: int = 1_000,
        metadata_max_age_ms: int = 300_000,
        connect_timeout_ms: int = 10_000,
        allow_auto_create_topics: bool = False,
        connect: Connect | None = None,
        random: Random | None = None,
    ) -> None:
        if auto_offset_reset not in _RESETS:
            raise ConfigurationError(f"auto_offset_reset is latest, earliest or none, not {auto_offset_reset!r}")

        async def open_connection(host: str, port: int) -> Channel:
            return await Connection.open(host, port, client_id=client_id, connect_timeout_s=connect_timeout_ms / 1000)

        self._bootstrap = parse_bootstrap(bootstrap_servers)
        self._connect: Connect = connect or open_connection
        self._random = random or Random()
        self._max_poll_records = max_poll_records
        self._api_timeout_s = default_api_timeout_ms / 1000
        self._metadata_max_age_s = metadata_max_age_ms / 1000
        self._allow_auto_create_topics = allow_auto_create_topics
        self._settings = FetchSettings(
            fetch_min_bytes=fetch_min_bytes,
            fetch_max_bytes=fetch_max_bytes,
            fetch_max_wait_ms=fetch_max_wait_ms,
            max_partition_fetch_bytes=max_partition_fetch_bytes,
            check_crcs=check_crcs,
            auto_offset_reset=_RESETS[auto_offset_reset],
            request_timeout_s=request_timeout_ms / 1000,
            lookup_timeout_s=default_api_timeout_ms / 1000,
            backoff=Backoff(first_s=retry_backoff_ms / 1000, max_s=retry_backoff_max_ms / 1000),
            client_rack=client_rack,
            preferred_for_s=metadata_max_age_ms / 1000,
        )
        self._running = False

    async def start(self) -> None:
        if self._running:
            return
        self._loop = asyncio.get_running_loop()
        self._router = Router(
            bootstrap=self._bootstrap,
            connect=self._connect,
            random=self._random,
            metadata_max_age_s=self._metadata_max_age_s,
            allow_auto_topic_creation=self._allow_auto_create_topics,
        )
        self._fetcher = Fetcher(router=self._router, settings=self._settings, random=self._random)
        self._running = True
        await self._router.start()

    async def stop(self) -> None:
        if self._running:
            self._running = False
            await self._fetcher.stop()
            await self._router.stop()
            self._fetcher.arrived.set()  # whoever waits for records learns that none will come

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # Assignment and positions

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Read these partitions and no others; new ones begin where `auto_offset_reset` says, unless sought."""
        self._check_running()
        self._fetcher.assign(TopicPartition(*partition) for partition in partitions)

    def assignment(self) -> list[TopicPartition]:
        return list(self._fetcher.states)

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
            self._state(partition).paused = True

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
        return await list_offsets(self._router, targets, timeout_s=self._api_timeout_s)

    async def partitions_for(self, topic: str) -> list[TopicPartition]:
        """All partitions of a topic, to be assigned.

        Raises:
            ApiError: it cannot be had within `default_api_timeout_ms`.
        """
        self._router.track((topic,))
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

    # Reading

    async def poll(self, timeout_ms: int = 0, max_records: int | None = None) -> dict[TopicPartition, list[Record]]:
        """Records that are there, or that come within `timeout_ms`; at most `max_records` (default `max_poll_records`).

        Raises:
            ApiError: OFFSET_OUT_OF_RANGE under auto_offset_reset "none", CORRUPT_MESSAGE, or a refusal by the broker; what
                came before it has been handed out, and the next poll tries again.
        """
        limit = self._max_poll_records if max_records is None else max_records

        def take() -> dict[TopicPartition, list[Record]]:
            taken: dict[TopicPartition, list[Record]] = {}
            room = limit
            for state in self._readable():
                records = self._read(state, partial(state.buffered.take_records, room))
                if records:
                    taken[state.topic_partition] = records
                    room -= len(records)
                    self._last_in_turn(state)
                if room <= 0:
                    break
            return taken

        return await self._poll(take, timeout_ms)

    async def poll_values(self, timeout_ms: int = 0) -> list[Values]:
        """All values that are there, or that come within `timeout_ms`. Raises as `poll`."""

        def take() -> list[Values]:
            taken = [self._read(state, state.buffered.take_values) for state in self._readable()]
            return [values for values in taken if values is not None]

        return await self._poll(take, timeout_ms)

    async def poll_batches(self, timeout_ms: int = 0) -> list[Batch]:
        """All record batches that are there, or that come within `timeout_ms`, undecoded. Raises as `poll`."""

        def take() -> list[Batch]:
            return [batch for state in self._readable() for batch in state.buffered.take_batches()]

        return await self._poll(take, timeout_ms)

    def __aiter__(self) -> AsyncIterator[ConsumerRecord]:
        return self

    async def __anext__(self) -> ConsumerRecord:
        """The next record of any assigned partition, waiting without end. Raises as `poll`."""
        while True:
            for state in self._readable():
                record = self._read(state, state.buffered.take_record)
                if record is not None:
                    if not state.buffered:
                        self._last_in_turn(state)
                    self._fetcher.wake()
                    return ConsumerRecord._make(state.topic_partition + record)
            self._raise_error()
            if not self._running:
                raise StopAsyncIteration
            await self._wait()

    async def _poll(self, take: Callable[[], _Taken], timeout_ms: int) -> _Taken:
        self._check_running()
        deadline = self._loop.time() + timeout_ms / 1000
        while True:
            taken = take()
            self._fetcher.wake()  # fetch the next while the application works on these
            if taken:
                return taken
            self._raise_error()
            if self._loop.time() >= deadline or not self._running:
                return taken
            try:
                async with asyncio.timeout_at(deadline):
                    await self._wait()
            except TimeoutError:
                return take()

    async def _wait(self) -> None:
        if not self._running:
            raise NotRunningError("the consumer was stopped")
        self._fetcher.arrived.clear()
        await self._fetcher.arrived.wait()

    def _readable(self) -> list[PartitionFetch]:
        return [state for state in self._fetcher.states.values() if state.buffered and not state.paused]

    def _read(self, state: PartitionFetch, take: Callable[[], _Taken]) -> _Taken:
        """`take`; what cannot be decoded is fetched again from the position, at the next poll."""
        try:
            return take()
        except CorruptionError as error:
            state.seek(state.buffered.position)
            raise ApiError(ErrorCode.CORRUPT_MESSAGE, f"{state.topic_partition}: {error}") from error

    def _last_in_turn(self, state: PartitionFetch) -> None:
        """Others come first next time, so that no partition starves."""
        states = self._fetcher.states
        states[state.topic_partition] = states.pop(state.topic_partition)

    def _raise_error(self) -> None:
        """Raise what a partition met, once everything that came before it has been read."""
        for state in self._fetcher.states.values():
            if state.error is not None and not state.buffered and not state.paused:
                error, state.error = state.error, None
                if state.fetch_offset < 0 and state.reset_to is None and self._settings.auto_offset_reset is None:
                    state.error = error  # only `seek` mends a position that nobody may choose for the application
                raise error

    def _check_running(self) -> None:
        if not self._running:
            raise NotRunningError("the consumer is not running: use `async with`, or start() it")

    def _state(self, partition: TopicPartition) -> PartitionFetch:
        state = self._fetcher.states.get(TopicPartition(*partition))
        if state is None:
            raise ValueError(f"{partition} is not assigned")
        return state
