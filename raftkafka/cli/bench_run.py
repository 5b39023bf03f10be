"""What `rk bench` measures: one client process against a cluster that is there. Floor 5.

Latency is taken at a steady pace, whatever became of the records before: a pause counts for every record that it delays (no
coordinated omission).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from struct import Struct
from typing import Any, Final

from raftkafka.cli.pace import Pace
from raftkafka.cli.reading import known_partitions
from raftkafka.client.consumer import Consumer
from raftkafka.client.producer import Producer
from raftkafka.client.types import BatchMetadata, TopicPartition
from raftkafka.model.errors import ApiError, ErrorCode

STAMP: Final = Struct(">d")
PORTION: Final = 5_000
_PORTIONS_AHEAD: Final = 16
_POLL_MS: Final = 500
_QUIET_S: Final = 30.0
"""Nothing for so long is no slow cluster, but one that does not deliver."""


async def produce(
    topic: str, *, records: int, record_bytes: int, rate: float | None, settings: dict[str, Any]
) -> dict[str, Any]:
    """Send so many records of this size, as fast as they go or at `rate`; ends when all are acknowledged. Raises ApiError."""
    value = bytes(record_bytes)
    under_way: set[asyncio.Future[BatchMetadata]] = set()
    async with Producer(client_id="rk-bench", **settings) as producer:
        await producer.partitions_for(topic)
        pace = None if rate is None else Pace(rate, time.perf_counter)
        began = time.perf_counter()
        left = records
        while left:
            count = min(left, PORTION if pace is None else max(1, int((rate or 1) / 20)))
            if pace is not None and (wait_s := pace.wait_s(count)):
                await asyncio.sleep(wait_s)
            if len(under_way) >= _PORTIONS_AHEAD:
                done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                _check(done)
            future = await producer.send_batch(topic, [value] * count)
            future.add_done_callback(_seen)
            under_way.add(future)
            left -= count
        if under_way:
            _check((await asyncio.wait(under_way))[0])
        seconds = time.perf_counter() - began
    return throughput(records, records * record_bytes, seconds)


def _check(done: set[asyncio.Future[BatchMetadata]]) -> None:
    for each in done:
        each.result()


async def consume(topic: str, *, records: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Read the topic from its beginning: so many records, or all that are there now if they are fewer. Raises ApiError.

    A topic that is missing is an error, and not created: a misspelt name would be measured as an empty topic.
    """
    reader = Consumer(client_id="rk-bench", auto_offset_reset="earliest", allow_auto_create_topics=False, **settings)
    async with reader as consumer:
        waiting_for = (settings["bootstrap_servers"], settings["default_api_timeout_ms"])
        partitions = await known_partitions(consumer, topic, waiting_for)
        starts, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        wanted = min(records, sum(ends[each] - starts[each] for each in partitions))
        consumer.assign(partitions)
        began = time.perf_counter()
        read = size = 0
        quiet_since = began
        while read < wanted:
            for values in await consumer.poll_values(_POLL_MS):
                read += len(values.values)
                size += sum(len(value) for value in values.values if value is not None)
                quiet_since = time.perf_counter()
            if all([await consumer.position(each) >= ends[each] for each in partitions]):
                break  # compaction has left fewer records than offsets
            if time.perf_counter() - quiet_since > _QUIET_S:
                raise ApiError(ErrorCode.REQUEST_TIMED_OUT, f"{read} of {wanted} records came, then none any more")
        seconds = time.perf_counter() - began
    return throughput(read, size, seconds)


async def latency(
    topic: str, *, records: int, record_bytes: int, rate: float, producer: dict[str, Any], consumer: dict[str, Any]
) -> dict[str, Any]:
    """From `send` until a consumer of this process holds the record, partition 0. Raises ApiError."""
    fill = bytes(max(0, record_bytes - STAMP.size))
    async with (
        Producer(client_id="rk-bench", **producer) as sender,
        Consumer(client_id="rk-bench", auto_offset_reset="latest", **consumer) as reader,
    ):
        await sender.partitions_for(topic)
        partition = TopicPartition(topic, 0)
        # The connections and the partition are warm before the first record counts.
        place = await sender.send_and_wait(topic, fill, partition=0)
        reader.assign([partition])
        reader.seek(partition, place.offset + 1)
        # A group, so that neither outlives the other's failure.
        try:
            async with asyncio.TaskGroup() as both:
                reading = both.create_task(_arrivals(reader, records))
                both.create_task(_send_paced(sender, topic, fill, records=records, rate=rate))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        return summary(reading.result())


async def _send_paced(sender: Producer, topic: str, fill: bytes, *, records: int, rate: float) -> None:
    futures: list[asyncio.Future[Any]] = []
    began = time.perf_counter()
    for number in range(records):
        if (ahead_s := began + number / rate - time.perf_counter()) > 0:
            await asyncio.sleep(ahead_s)
        future = sender.send(topic, STAMP.pack(began + number / rate) + fill, partition=0)
        future.add_done_callback(_seen)
        futures.append(future)
    await sender.flush()
    for future in futures:
        future.result()


def _seen(done: asyncio.Future[Any]) -> None:
    """Look at the outcome: the first failure ends the run, and asyncio would complain of the others."""
    if not done.cancelled():
        done.exception()


async def _arrivals(consumer: Consumer, records: int) -> list[float]:
    times_ms: list[float] = []
    quiet_since = time.perf_counter()
    while len(times_ms) < records:
        for values in await consumer.poll_values(_POLL_MS):
            now = quiet_since = time.perf_counter()
            times_ms += [
                (now - STAMP.unpack_from(value)[0]) * 1e3
                for value in values.values
                if value is not None and len(value) >= STAMP.size
            ]
        if time.perf_counter() - quiet_since > _QUIET_S:
            raise ApiError(
                ErrorCode.REQUEST_TIMED_OUT, f"{len(times_ms)} of {records} records came, then none any more"
            )
    return times_ms[:records]


def throughput(records: int, size_bytes: int, seconds: float) -> dict[str, Any]:
    """The form documented in docs/cli.md."""
    return {
        "records": records,
        "bytes": size_bytes,
        "seconds": round(seconds, 3),
        "records_per_second": round(records / seconds) if seconds > 0 else 0,
        "mb_per_second": round(size_bytes / seconds / 1e6, 2) if seconds > 0 else 0.0,
    }


def summary(times_ms: Sequence[float]) -> dict[str, Any]:
    """The form documented in docs/cli.md; the percentile p is the smallest time that p of all do not exceed."""
    ordered = sorted(times_ms)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))], 3)

    return {
        "records": len(ordered),
        "p50_ms": at(0.5),
        "p95_ms": at(0.95),
        "p99_ms": at(0.99),
        "p999_ms": at(0.999),
        "max_ms": round(ordered[-1], 3),
    }
