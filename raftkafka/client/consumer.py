"""The consumer that applications use: alone, for partitions they assign themselves, or as a member of a group. Floor 3.

Invariant: the position of a partition is the offset after the last record handed out, and moves by `seek` or a reset only
otherwise; leaders may change without the application noticing. What is committed without being asked for was
handed out before the poll under way, so the application is done with it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import index
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar

from raftkafka.client.backoff import Backoff
from raftkafka.client.buffered import new_record
from raftkafka.client.channels import Channel, Connect, parse_bootstrap
from raftkafka.client.checking import checked_topic
from raftkafka.client.connection import Connection
from raftkafka.client.fetching import Fetcher, FetchSettings
from raftkafka.client.partition_fetch import PartitionFetch
from raftkafka.client.polling import BUSY_POLL_US, busy_poll, checked_busy_poll
from raftkafka.client.positions import Positions
from raftkafka.client.routing import Router
from raftkafka.client.types import Batch, ConsumerRecord, NotRunningError, OffsetAndMetadata, TopicPartition, Values
from raftkafka.model.api.offsets import EARLIEST, LATEST
from raftkafka.model.errors import ApiError, ConfigurationError, CorruptionError, ErrorCode
from raftkafka.model.ids import GroupId, TimestampMs
from raftkafka.record.iterate import Record
from raftkafka.wire.busy_poll import BusyPoll

if TYPE_CHECKING:
    # What groups need is loaded where a group is named: most consumers that a command starts have none.
    from raftkafka.client.group.assignors.values import Assignor
    from raftkafka.client.group.listener import ConsumerRebalanceListener
    from raftkafka.client.group.participation import Participation
    from raftkafka.client.group.settings import GroupSettings

DEFAULT_STRATEGY: Final = ("range", "cooperative-sticky")
"""Kafka's default: a group of such members moves to the cooperative protocol by taking "range" away, one member at a time."""
_RESETS: Final[Mapping[str, TimestampMs | None]] = {"latest": LATEST, "earliest": EARLIEST, "none": None}
_ISOLATION_LEVELS: Final[Mapping[str, int]] = {"read_uncommitted": 0, "read_committed": 1}
_Taken = TypeVar("_Taken")
_NO_RUN: Final[Iterator[ConsumerRecord]] = iter(())


class Consumer(Positions):
    """Use `async with Consumer(...)`, or `start` and `stop`, inside a running event loop; one task reads at a time.

    Names and defaults are Kafka's, times in milliseconds and sizes in bytes. Three ways to read: records (`poll`,
    `async for`), values alone (`poll_values`, several times faster), and record batches as they lie in the log
    (`poll_batches`, for who decodes elsewhere or not at all).

    With `client_rack` set to the `broker.rack` of a broker near by, partitions are read from the replica there, where the
    brokers have a `replica.selector.class` (KIP-392).

    `busy_poll_us`: for so many microseconds an answer that is likely to come at once is asked for before the loop sleeps; 0 for never.

    With a `group_id` it may `subscribe`, and shares the topics' partitions with the other members of that group; who
    assigns by hand can have the group keep the positions, and no more. Heartbeats need the event loop: code
    that blocks it for longer than `session_timeout_ms` puts this member out of the group.
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
        allow_auto_create_topics: bool = True,
        isolation_level: str = "read_uncommitted",
        group_id: str | None = None,
        group_instance_id: str | None = None,
        partition_assignment_strategy: str | Sequence[str | Assignor] = DEFAULT_STRATEGY,
        session_timeout_ms: int = 45_000,
        heartbeat_interval_ms: int = 3_000,
        max_poll_interval_ms: int = 300_000,
        enable_auto_commit: bool = True,
        auto_commit_interval_ms: int = 5_000,
        exclude_internal_topics: bool = True,
        busy_poll_us: int = BUSY_POLL_US,
        connect: Connect | None = None,
        random: Random | None = None,
    ) -> None:
        if auto_offset_reset not in _RESETS:
            raise ConfigurationError(f"auto_offset_reset is latest, earliest or none, not {auto_offset_reset!r}")
        if isolation_level not in _ISOLATION_LEVELS:
            raise ConfigurationError(f"isolation_level is {' or '.join(_ISOLATION_LEVELS)}, not {isolation_level!r}")
        if group_id is None and group_instance_id is not None:
            raise ConfigurationError("group_instance_id is set without a group_id")

        async def open_connection(host: str, port: int) -> Channel:
            return await Connection.open(
                host,
                port,
                client_id=client_id,
                connect_timeout_s=connect_timeout_ms / 1000,
                busy_poll=self._busy_poll,
            )

        self._bootstrap = parse_bootstrap(bootstrap_servers)
        self._connect: Connect = connect or open_connection
        self._busy_poll_us = checked_busy_poll(busy_poll_us)
        self._busy_poll: BusyPoll | None = None
        self._random = random or Random()
        self._max_poll_records = max_poll_records
        self._api_timeout_s = default_api_timeout_ms / 1000
        self._metadata_max_age_s = metadata_max_age_ms / 1000
        self._allow_auto_create_topics = allow_auto_create_topics
        self._isolation_level = _ISOLATION_LEVELS[isolation_level]
        self._client_rack = client_rack
        backoff = Backoff(first_s=retry_backoff_ms / 1000, max_s=retry_backoff_max_ms / 1000)
        self._settings = FetchSettings(
            fetch_min_bytes=fetch_min_bytes,
            fetch_max_bytes=fetch_max_bytes,
            fetch_max_wait_ms=fetch_max_wait_ms,
            max_partition_fetch_bytes=max_partition_fetch_bytes,
            check_crcs=check_crcs,
            auto_offset_reset=_RESETS[auto_offset_reset],
            request_timeout_s=request_timeout_ms / 1000,
            lookup_timeout_s=default_api_timeout_ms / 1000,
            backoff=backoff,
            client_rack=client_rack,
            preferred_for_s=metadata_max_age_ms / 1000,
            isolation_level=self._isolation_level,
        )
        self._group_settings: GroupSettings | None = None
        if group_id is not None:
            from raftkafka.client.group.assignors import assignors_of
            from raftkafka.client.group.settings import GroupSettings

            self._group_settings = GroupSettings(
                group_id=GroupId(group_id),
                group_instance_id=group_instance_id,
                assignors=assignors_of(partition_assignment_strategy),
                session_timeout_ms=session_timeout_ms,
                heartbeat_interval_ms=heartbeat_interval_ms,
                max_poll_interval_ms=max_poll_interval_ms,
                enable_auto_commit=enable_auto_commit,
                auto_commit_interval_ms=auto_commit_interval_ms,
                exclude_internal_topics=exclude_internal_topics,
                metadata_max_age_s=metadata_max_age_ms / 1000,
                request_timeout_s=request_timeout_ms / 1000,
                api_timeout_s=default_api_timeout_ms / 1000,
                backoff=backoff,
            )
        self._group: Participation | None = None
        self._run: Iterator[ConsumerRecord] = _NO_RUN
        """What `async for` is in the midst of reading, without a group."""
        self._running = False
        self._handed_out: list[tuple[PartitionFetch, int, int]] = []
        """By the last read, for a group: partitions, and their positions and generations before."""

    async def start(self) -> None:
        if self._running:
            return
        self._loop = asyncio.get_running_loop()
        self._busy_poll = busy_poll(self._busy_poll_us)
        self._router = Router(
            bootstrap=self._bootstrap,
            connect=self._connect,
            random=self._random,
            metadata_max_age_s=self._metadata_max_age_s,
            allow_auto_topic_creation=self._allow_auto_create_topics,
        )
        self._fetcher = Fetcher(router=self._router, settings=self._settings, random=self._random)
        if self._group_settings is not None:
            from raftkafka.client.group.participation import Participation

            self._group = Participation(
                router=self._router,
                fetcher=self._fetcher,
                settings=self._group_settings,
                random=self._random,
                client_rack=self._client_rack,
            )
        self._running = True
        await self._router.start()

    async def stop(self) -> None:
        """With auto-commit on, what was handed out is committed; then the group is left."""
        await self._stop(processed=True)

    async def _stop(self, *, processed: bool) -> None:
        """`processed`: the application is done with what the last read gave it."""
        if not self._running:
            return
        try:
            if self._group is not None:
                await self._group.close(self._positions_at_end(self._group, processed=processed))
        finally:
            if self._running:
                self._running = False
                await self._fetcher.stop()
                await self._router.stop()
                self._fetcher.arrived.set()  # whoever waits for records learns that none will come

    def _positions_at_end(self, group: Participation, *, processed: bool) -> dict[TopicPartition, OffsetAndMetadata]:
        positions = group.positions()
        if not processed:
            for state, before, generation in reversed(self._handed_out):
                if state.generation == generation and state.topic_partition in positions:
                    positions[state.topic_partition] = OffsetAndMetadata(before)
        return positions

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """After an error, what the last read has given counts as not processed: it is not committed."""
        await self._stop(processed=error is None)

    # What to read

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Read these partitions and no others.

        New ones begin at what the group has committed, else, or without a group, where `auto_offset_reset` says, unless sought.
        """
        self._check_running()
        wanted = [TopicPartition(checked_topic(topic), index(partition)) for topic, partition in partitions]
        self._run = _NO_RUN
        if self._group is None:
            self._fetcher.assign(wanted)
        elif self._group.subscribed:
            raise ValueError("this consumer has subscribed; unsubscribe() before partitions are assigned by hand")
        else:
            self._group.assign(wanted)

    def subscribe(
        self,
        topics: Iterable[str] = (),
        *,
        pattern: str | re.Pattern[str] | None = None,
        listener: ConsumerRebalanceListener | None = None,
    ) -> None:
        """Share these topics with the other members of the group, in place of those subscribed to before; the next poll joins.

        `pattern`: all topics whose whole name matches this regular expression, those that come later too (noticed within
        `metadata_max_age_ms`).
        """
        from raftkafka.client.group.subscription import checked_topics, pattern_of

        self._check_running()
        group = self._needed_group("subscribe")
        if not group.subscribed and self._fetcher.states:
            raise ValueError("partitions are assigned by hand; unsubscribe() before topics are subscribed to")
        wanted = checked_topics(topics)
        if bool(wanted) == (pattern is not None):
            raise ValueError("subscribe to topics, or to a pattern")
        group.subscribe(wanted if pattern is None else pattern_of(pattern), listener)

    async def unsubscribe(self) -> None:
        """Read nothing: leave the group (with a last commit where that is automatic), or drop what was assigned by hand."""
        self._check_running()
        if self._group is not None and self._group.subscribed:
            await self._group.unsubscribe()
        else:
            self._run = _NO_RUN
            self._fetcher.assign(())

    def subscription(self) -> list[str]:
        """The topics subscribed to; of a pattern those that match now."""
        return [] if self._group is None else list(self._group.topics)

    def assignment(self) -> list[TopicPartition]:
        """The partitions that this consumer reads now."""
        return list(self._fetcher.states)

    def enforce_rebalance(self, reason: str = "enforced by the application") -> None:
        """Let the whole group join again, with the next poll (KIP-568)."""
        self._needed_group("enforce_rebalance").rejoin(reason)

    # Commits

    async def commit(self, offsets: Mapping[TopicPartition, int | OffsetAndMetadata] | None = None) -> None:
        """Commit these, or the positions of all assigned partitions: the offsets after the last records handed out.

        Raises:
            CommitFailedError: the group has gone on without this consumer.
            RebalanceInProgressError: poll, and commit again.
            FencedInstanceIdError: another consumer has this `group_instance_id`.
            ApiError: refused, or REQUEST_TIMED_OUT after `default_api_timeout_ms`: the outcome is unknown.
        """
        self._check_running()
        group = self._needed_group("commit")
        places = group.positions() if offsets is None else _places(offsets)
        await group.commits.commit(places, timeout_s=self._api_timeout_s)

    async def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata | None]:
        """What the group has committed; None where nothing. The partitions need not be assigned. Raises ApiError."""
        self._check_running()
        group = self._needed_group("committed")
        wanted = [TopicPartition(*each) for each in partitions]
        return await group.commits.committed(wanted, timeout_s=self._api_timeout_s)

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
            return [batch for state in self._readable() for batch in self._read(state, state.buffered.take_batches)]

        return await self._poll(take, timeout_ms)

    def __aiter__(self) -> AsyncIterator[ConsumerRecord]:
        return self

    async def __anext__(self) -> ConsumerRecord:
        """The next record of any assigned partition, waiting without end. Raises as `poll`."""
        for following in self._run:
            # Most records are followed by another of the same batch: nothing else has changed then.
            return following
        group = self._group
        while True:
            if group is not None:
                self._begin_read(group)
                if group.attention:
                    await group.attend()
            for state in self._readable():
                record = self._read(state, state.buffered.take_record)
                if record is not None:
                    if not state.buffered:
                        self._last_in_turn(state)
                    if group is None:
                        self._run = state.buffered.run()
                    self._fetcher.wake()
                    return new_record(state.topic_partition + record)
            self._raise_error()
            if not self._running:
                raise StopAsyncIteration
            await self._wait()

    async def _poll(self, take: Callable[[], _Taken], timeout_ms: int) -> _Taken:
        self._check_running()
        deadline = self._loop.time() + timeout_ms / 1000
        group = self._group
        while True:
            if group is not None:
                self._begin_read(group)
                if group.attention:
                    await group.attend()
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

    def _begin_read(self, group: Participation) -> None:
        """The application is done with what the last read gave it."""
        self._handed_out.clear()
        group.last_poll = self._loop.time()

    async def _wait(self) -> None:
        if not self._running:
            raise NotRunningError("the consumer was stopped")
        self._fetcher.arrived.clear()
        group = self._group
        if group is None:
            await self._fetcher.arrived.wait()
            return
        group.waiting = True
        try:
            await self._fetcher.arrived.wait()
        finally:
            group.waiting = False
            group.last_poll = self._loop.time()

    def _readable(self) -> list[PartitionFetch]:
        return [state for state in self._fetcher.states.values() if state.buffered and not state.paused]

    def _read(self, state: PartitionFetch, take: Callable[[], _Taken]) -> _Taken:
        """`take`; what cannot be decoded is fetched again from the position, at the next poll."""
        if self._group is not None:
            self._handed_out.append((state, state.buffered.position, state.generation))
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
                if state.fetch_offset < 0 and state.reset_to is None:
                    state.error = error  # only `seek` mends a position that nobody may choose for the application
                raise error

    def _check_running(self) -> None:
        if not self._running:
            raise NotRunningError("the consumer is not running: use `async with`, or start() it")

    def _needed_group(self, what: str) -> Participation:
        if self._group is None:
            raise ConfigurationError(f"{what} needs a group_id" if self._group_settings is None else "not started yet")
        return self._group


def _places(offsets: Mapping[TopicPartition, int | OffsetAndMetadata]) -> dict[TopicPartition, OffsetAndMetadata]:
    places = {
        TopicPartition(*each): place if isinstance(place, OffsetAndMetadata) else OffsetAndMetadata(place)
        for each, place in offsets.items()
    }
    for each, place in places.items():
        if place.offset < 0:
            raise ValueError(f"{each}: offset {place.offset} is negative")
    return places
