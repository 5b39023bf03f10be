"""The producer that applications use: records in, futures of their offsets out. Floor 3.

Delivery is in order per partition, and once with an idempotent producer, the default (KIP-98); without, at least once (see
`sender`). A future that fails with REQUEST_TIMED_OUT leaves the outcome
unknown unless the message says that nothing was sent (I18).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from types import TracebackType
from typing import Final, Self

from raftkafka.client.accumulator import Accumulator
from raftkafka.client.backoff import Backoff
from raftkafka.client.bulk import BulkDelivery, encode_chunk, records_per_chunk
from raftkafka.client.channels import Channel, Connect, parse_bootstrap
from raftkafka.client.checking import checked_record, checked_topic
from raftkafka.client.connection import Connection
from raftkafka.client.identity import Identity
from raftkafka.client.partitioner import Partitioner, StickyChoice, partition_by_key
from raftkafka.client.polling import BUSY_POLL_US, busy_poll, checked_busy_poll
from raftkafka.client.route import Route
from raftkafka.client.routing import Router
from raftkafka.client.sender import Sender, SenderSettings
from raftkafka.client.types import (
    BatchMetadata,
    BufferFullError,
    Headers,
    NotRunningError,
    RecordMetadata,
    TopicPartition,
    WallClock,
)
from raftkafka.client.unrouted import Unrouted
from raftkafka.model.errors import ApiError, ConfigurationError, ErrorCode
from raftkafka.ports.clock import Clock
from raftkafka.record.build import estimated_size
from raftkafka.record.compression import CODECS, codec_of
from raftkafka.record.header import HEADER_BYTES
from raftkafka.record.layout import RecordFields
from raftkafka.wire.busy_poll import BusyPoll

IN_FLIGHT_MAX: Final = 5
"""Kafka's bound with idempotence: brokers remember so many batches of a producer."""

_ACKS: Final = {"all": -1, -1: -1, 0: 0, 1: 1, "0": 0, "1": 1, "-1": -1}


class Producer:
    """Use `async with Producer(...)`, or `start` and `stop`, inside a running event loop.

    Names and defaults are Kafka's, times in milliseconds and sizes in bytes. They differ where a Python client pays
    otherwise: `linger_ms` 0 (what arrives during one turn of the loop, or while a request is under way, travels together
    anyway) and `batch_size` 131072 rather than 16384 (the cost of a batch is fixed, a larger one spreads it over more
    records). `acks` is 0, 1, or -1 or "all". `enable_idempotence` needs acks=all and at most 5 requests in flight per
    connection; None, the default, is True unless these are set otherwise (KIP-679). `compression_type` is none, gzip, snappy,
    lz4 or zstd: a batch is packed when it leaves; its records count unpacked until then. `partitioner` maps `(key, partition count)` to a partition.
    `busy_poll_us`: for so many microseconds an answer that is likely to come at once is asked for before the loop sleeps; 0 for never.
    """

    def __init__(
        self,
        bootstrap_servers: str | Sequence[str] = "localhost:9092",
        *,
        client_id: str = "raftkafka-producer",
        acks: int | str = -1,
        enable_idempotence: bool | None = None,
        compression_type: str = "none",
        linger_ms: int = 0,
        batch_size: int = 131_072,
        max_request_size: int = 1_048_576,
        buffer_memory: int = 33_554_432,
        max_in_flight_requests_per_connection: int = 5,
        delivery_timeout_ms: int = 120_000,
        request_timeout_ms: int = 30_000,
        retry_backoff_ms: int = 20,
        retry_backoff_max_ms: int = 1_000,
        max_block_ms: int = 60_000,
        metadata_max_age_ms: int = 300_000,
        connect_timeout_ms: int = 10_000,
        allow_auto_create_topics: bool = True,
        busy_poll_us: int = BUSY_POLL_US,
        partitioner: Partitioner = partition_by_key,
        connect: Connect | None = None,
        random: Random | None = None,
        clock: Clock | None = None,
    ) -> None:
        if acks not in _ACKS:
            raise ConfigurationError(f"acks is 0, 1, -1 or 'all', not {acks!r}")
        if compression_type not in CODECS:
            raise ConfigurationError(f"compression_type is one of {', '.join(CODECS)}, not {compression_type!r}")
        if max_in_flight_requests_per_connection < 1 or batch_size < 1 or max_request_size <= HEADER_BYTES:
            raise ConfigurationError(
                "max_in_flight_requests_per_connection, batch_size and max_request_size are too small"
            )
        fits = _ACKS[acks] == -1 and max_in_flight_requests_per_connection <= IN_FLIGHT_MAX
        if enable_idempotence and not fits:
            raise ConfigurationError(
                f"enable_idempotence needs acks='all' and max_in_flight_requests_per_connection of at most {IN_FLIGHT_MAX}; "
                f"they are {acks!r} and {max_in_flight_requests_per_connection}"
            )
        self._idempotent = fits if enable_idempotence is None else enable_idempotence

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
        self._clock = clock or WallClock()
        self._now_ms = None if clock is None else clock.now_ms
        self._compression = codec_of(compression_type)
        self._batch_size = min(batch_size, max_request_size)
        self._max_request_size = max_request_size
        self._record_bytes_max = max_request_size - HEADER_BYTES
        self._buffer_memory = buffer_memory
        self._delivery_timeout_s = delivery_timeout_ms / 1000
        self._max_block_s = max_block_ms / 1000
        self._metadata_max_age_s = metadata_max_age_ms / 1000
        self._allow_auto_create_topics = allow_auto_create_topics
        self._partitioner = partitioner
        self._sender_settings = SenderSettings(
            acks=_ACKS[acks],
            linger_s=linger_ms / 1000,
            max_request_size=max_request_size,
            max_in_flight=max_in_flight_requests_per_connection,
            request_timeout_s=request_timeout_ms / 1000,
            backoff=Backoff(first_s=retry_backoff_ms / 1000, max_s=retry_backoff_max_ms / 1000),
        )
        self._sticky: dict[str, StickyChoice] = {}
        self._routes: dict[str, Route] = {}
        """Empty unless the producer runs."""
        self._running = False

    async def start(self) -> None:
        """Takes up work; brokers are contacted in the background, `send` may be called at once."""
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
        self._accumulator = Accumulator(
            batch_size=self._batch_size,
            memory_max_bytes=self._buffer_memory,
            delivery_timeout_s=self._delivery_timeout_s,
            compression=self._compression,
        )
        self._identity = self._make_identity() if self._idempotent else None
        self._sender = Sender(
            router=self._router,
            accumulator=self._accumulator,
            settings=self._sender_settings,
            random=self._random,
            identity=self._identity,
        )
        self._unrouted = Unrouted(
            settle=self._settle_topic,
            route=self._append,
            drop=self._accumulator.release,
            request_update=self._router.request_update,
            max_block_s=self._max_block_s,
        )
        # Partitions may have been added, or the topic created anew.
        self._router.on_update += [self._routes.clear, self._unrouted.look]
        self._running = True
        await self._router.start()
        if self._identity is not None:
            self._identity.request()

    async def stop(self, *, flush: bool = True) -> None:
        """Flush (at most `delivery_timeout_ms`), then close; what is not acknowledged by then fails as unknown."""
        if not self._running:
            return
        try:
            if flush:
                await self.flush()
        finally:
            self._running = False
            self._routes.clear()
            self._unrouted.stop()
            self._sender.stop()
            if self._identity is not None:
                await self._identity.stop()
            await self._router.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Whoever leaves by an exception wants to get out, not to wait for a cluster that may be the cause.
        await self.stop(flush=error is None)

    def _make_identity(self) -> Identity:
        return Identity(
            router=self._router,
            timeout_s=self._sender_settings.request_timeout_s,
            random=self._random,
            on_ready=lambda: self._sender.identity_known(),  # noqa: PLW0108 - the sender is made with it
        )

    # Sending

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Headers = (),
    ) -> asyncio.Future[RecordMetadata]:
        """Take one record; the future gives its place once the brokers have acknowledged it.

        Without `partition`, a key decides (murmur2, as the Java client), else a sticky choice. Nothing is waited for here:
        bound your own pace by the futures or by `ready`. The future fails with `ApiError`.

        Raises:
            BufferFullError: `buffer_memory` is used up; the record was not taken.
            ApiError: MESSAGE_TOO_LARGE, beyond `max_request_size`.
            NotRunningError: before `start` or after `stop`.
            TypeError: topic, key, value or a header is of the wrong type.
        """
        route = self._routes.get(topic)
        plain = key is None and timestamp_ms is None and headers == ()
        if plain and route is not None:
            appender = route.appender if partition is None else route.appenders.get(partition)
            if appender is not None:
                delivery = appender(value)
                if delivery is not None:
                    return delivery
        record = checked_record(key, value, self._clock.now_ms() if timestamp_ms is None else timestamp_ms, headers)
        size_bytes = estimated_size(record[0], record[1], record[3])
        if route is None or size_bytes > self._record_bytes_max:
            self._check(topic, partition, size_bytes)
            self._accumulator.reserve(size_bytes)
            return self._take(topic, partition, record, size_bytes)
        lane = route.lane(record[0], size_bytes) if partition is None else route.lane_of(partition)
        self._accumulator.reserve(size_bytes)
        future: asyncio.Future[RecordMetadata] = self._loop.create_future()
        if self._accumulator.append(lane, record, size_bytes, future):
            self._sender.wake(lane)
            if plain:
                route.take_plain(partition)
        return future

    async def send_and_wait(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Headers = (),
    ) -> RecordMetadata:
        """`send`, waiting for room before (at most `max_block_ms`, else BufferFullError) and for the acknowledgement after."""
        record = checked_record(key, value, self._clock.now_ms() if timestamp_ms is None else timestamp_ms, headers)
        size_bytes = estimated_size(record[0], record[1], record[3])
        route = self._routes.get(topic)
        if route is None or size_bytes > self._record_bytes_max or not self._accumulator.reserve_now(size_bytes):
            self._check(topic, partition, size_bytes)
            await self._reserve_when_free(size_bytes)
            return await self._take(topic, partition, record, size_bytes)
        try:
            lane = route.lane(record[0], size_bytes) if partition is None else route.lane_of(partition)
        except BaseException:
            self._accumulator.release(size_bytes)
            raise
        future: asyncio.Future[RecordMetadata] = self._loop.create_future()
        if self._accumulator.append(lane, record, size_bytes, future):
            self._sender.wake_awaited(lane)
        return await future

    async def send_batch(
        self, topic: str, values: Sequence[bytes], *, partition: int | None = None, timestamp_ms: int | None = None
    ) -> asyncio.Future[BatchMetadata]:
        """Take many values for one partition, all of one time; the fast path, where nothing is done per record in Python.

        Returns when everything is encoded and buffered, waiting for room in `buffer_memory` as needed; the future it
        gives ends when all of it is acknowledged, or with the first failure (then some of it may have been written).

        Raises:
            BufferFullError: for one batch of it there was no room in `max_block_ms`; those before it are sent.
            ApiError: MESSAGE_TOO_LARGE (one value beyond `max_request_size`), or the topic cannot be had in `max_block_ms`.
            ValueError: no values.
        """
        if not values:
            raise ValueError("send_batch wants at least one value")
        self._check(topic, partition, 0)
        accumulator = self._accumulator
        timestamp = self._clock.now_ms() if timestamp_ms is None else timestamp_ms
        total_bytes = sum(map(len, values))
        if partition is None:
            await self.partitions_for(topic)
            route = self._route(topic)
            assert route is not None, "partitions_for has seen it"
            lane = route.lane(None, total_bytes)
        else:
            self._router.track((topic,))
            lane = accumulator.lane(TopicPartition(topic, partition))
        bulk = BulkDelivery(lane.topic_partition, len(values), self._loop.create_future())
        step = records_per_chunk(len(values), total_bytes, self._batch_size)
        for first in range(0, len(values), step):
            for encoded, count in encode_chunk(
                values[first : first + step],
                timestamp,
                self._max_request_size,
                checksum=not self._idempotent,
                compression=self._compression,
            ):
                await self._reserve_when_free(len(encoded))
                accumulator.append_encoded(lane, encoded, count, bulk.part(count))
                self._sender.wake(lane)
            await asyncio.sleep(0)  # let what is encoded leave while the next chunk is being encoded
        bulk.seal()
        return bulk.future

    async def ready(self) -> None:
        """Wait until half of `buffer_memory` is free, however long that takes: what is in it times out by itself."""
        await self._accumulator.reserve_when_free(self._buffer_memory // 2)
        self._accumulator.release(self._buffer_memory // 2)
        self._check_running()

    async def flush(self) -> None:
        """Send everything taken so far without lingering, and wait until it is acknowledged or has failed."""
        await self._unrouted.empty.wait()
        await self._sender.flush()

    async def partitions_for(self, topic: str) -> int:
        """How many partitions the topic has; waits for at most `max_block_ms` until it is known (or created).

        Raises:
            ApiError: it cannot be had; the code is the broker's last word.
        """
        self._router.track((checked_topic(topic),))

        def settled() -> bool:
            return self._route(topic) is not None or self._hopeless(topic)

        if not settled():
            await self._router.wait_until(settled, timeout_s=self._max_block_s)
        route = self._route(topic)
        if route is None:
            raise self._why_not(topic)
        return route.partitions

    # Taking

    def _check_running(self) -> None:
        if not self._running:
            raise NotRunningError("the producer is not running: use `async with`, or start() it")

    def _check(self, topic: str, partition: int | None, size_bytes: int) -> None:
        self._check_running()
        checked_topic(topic)
        if partition is not None and partition < 0:
            raise ValueError(f"partition {partition} is negative")
        if size_bytes > self._record_bytes_max:
            raise ApiError(
                ErrorCode.MESSAGE_TOO_LARGE,
                f"a record of {size_bytes} bytes exceeds max_request_size, {self._max_request_size}",
            )

    async def _reserve_when_free(self, size_bytes: int) -> None:
        if not self._accumulator.reserve_now(size_bytes):
            try:
                async with asyncio.timeout(self._max_block_s):
                    await self._accumulator.reserve_when_free(size_bytes)
            except TimeoutError:
                raise BufferFullError(
                    f"no room for {size_bytes} bytes within max_block_ms, {self._max_block_s * 1000:.0f}: "
                    f"{self._accumulator.used_bytes} of {self._buffer_memory} bytes wait to be acknowledged"
                ) from None
        if not self._running:
            self._accumulator.release(size_bytes)
            self._check_running()

    def _take(
        self, topic: str, partition: int | None, record: RecordFields, size_bytes: int
    ) -> asyncio.Future[RecordMetadata]:
        future: asyncio.Future[RecordMetadata] = self._loop.create_future()
        if topic not in self._routes and (topic in self._unrouted or self._route(topic) is None):
            self._unrouted.add(topic, partition, record, size_bytes, future)
            self._router.track((topic,))
        else:
            self._append(topic, partition, record, size_bytes, future)
        return future

    def _append(
        self,
        topic: str,
        partition: int | None,
        record: RecordFields,
        size_bytes: int,
        future: asyncio.Future[RecordMetadata],
    ) -> None:
        route = self._routes.get(topic) or self._route(topic)
        assert route is not None, "the caller has seen it"
        lane = route.lane(record[0], size_bytes) if partition is None else route.lane_of(partition)
        if self._accumulator.append(lane, record, size_bytes, future):
            self._sender.wake(lane)

    # Topics

    def _route(self, topic: str) -> Route | None:
        """Where the records of a topic go; None while its partitions are not known."""
        route = self._routes.get(topic)
        if route is None:
            view = self._router.view.topic(topic)
            if view is None or not view.partitions:
                return None
            sticky = self._sticky.get(topic)
            if sticky is None:
                sticky = self._sticky[topic] = StickyChoice(switch_bytes=self._batch_size, random=self._random)
            route = self._routes[topic] = Route(view, self._accumulator, sticky, self._partitioner, self._now_ms)
        return route

    def _hopeless(self, topic: str) -> bool:
        code = self._router.view.error(topic)
        return code is not ErrorCode.NONE and not code.retriable

    def _settle_topic(self, topic: str, final: bool) -> bool | ApiError:
        """True when records for the topic can be routed, an error when they never will (or it is `final`)."""
        if self._route(topic) is not None:
            return True
        return self._why_not(topic) if final or self._hopeless(topic) else False

    def _why_not(self, topic: str) -> ApiError:
        code = self._router.view.error(topic)
        cause = self._router.last_failure
        if code is ErrorCode.NONE:
            code = ErrorCode.REQUEST_TIMED_OUT
        return ApiError(code, f"topic {topic!r} cannot be used" + (f": {cause}" if cause else ""))
