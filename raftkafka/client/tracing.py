"""Traces of records, for applications that ask for them: the producer's trace travels in the headers, the consumer goes on
with it.

Floor 3. `traceparent` and `tracestate` are headers as W3C Trace Context has them, so producers and consumers of other makers
understand each other. A producer that does not trace is not touched by any of this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final

from raftkafka.client.producer import Producer
from raftkafka.client.types import ConsumerRecord, Headers, RecordMetadata
from raftkafka.model.errors import ApiError
from raftkafka.ports.tracer import Span, SpanKind, Tracer

CARRIED: Final = frozenset({"traceparent", "tracestate"})
CARRIED_MAX_BYTES: Final = 512
"""The length of a `tracestate` that W3C Trace Context asks everybody to carry; longer ones come from nobody who keeps to it."""


class TracedProducer:
    """Sends by `producer`, which stays its owner's: start and stop that one.

    Each record has a span `send <topic>` that ends with its acknowledgement, under the caller's active span, and takes its
    context along in the headers, in the place of what the caller gave for those.
    """

    def __init__(self, producer: Producer, tracer: Tracer) -> None:
        self._producer = producer
        self._tracer = tracer

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
        """As `Producer.send`."""
        span = self._begin(topic, value)
        try:
            future = self._producer.send(
                topic,
                value,
                key=key,
                partition=partition,
                timestamp_ms=timestamp_ms,
                headers=self._with_context(headers, span),
            )
        except BaseException as error:
            _failed(span, error)
            raise
        future.add_done_callback(partial(_sent, span))
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
        """As `Producer.send_and_wait`."""
        span = self._begin(topic, value)
        try:
            metadata = await self._producer.send_and_wait(
                topic,
                value,
                key=key,
                partition=partition,
                timestamp_ms=timestamp_ms,
                headers=self._with_context(headers, span),
            )
        except BaseException as error:
            _failed(span, error)
            raise
        _acknowledged(span, metadata)
        return metadata

    def _begin(self, topic: str, value: bytes | None) -> Span:
        span = self._tracer.begin(f"send {topic}", SpanKind.PRODUCER)
        if span.is_recording:
            _describe(span, "send", topic)
            span.set("messaging.message.body.size", 0 if value is None else len(value))
        return span

    def _with_context(self, headers: Headers, span: Span) -> Headers:
        carrier = self._tracer.carrier(span)
        own = [(name, value.encode("ascii")) for name, value in carrier.items()]
        return [*(each for each in headers if each[0] not in CARRIED), *own] if own else headers


@contextmanager
def process(tracer: Tracer, record: ConsumerRecord, *, group_id: str | None = None) -> Iterator[Span]:
    """The span `process <topic>` around the application's work on one record; it goes on with the trace in its headers."""
    span = tracer.begin(f"process {record.topic}", SpanKind.CONSUMER, carrier=carrier_of(record))
    if span.is_recording:
        _describe(span, "process", record.topic)
        span.set("messaging.destination.partition.id", str(record.partition))
        span.set("messaging.kafka.offset", record.offset)
        span.set("messaging.message.body.size", 0 if record.value is None else len(record.value))
        if group_id is not None:
            span.set("messaging.consumer.group.name", group_id)
    try:
        with tracer.active(span):
            yield span
    except BaseException as error:
        _failed(span, error)
        raise
    span.end()


def carrier_of(record: ConsumerRecord) -> Mapping[str, str] | None:
    """What the headers tell of the producer's trace; None where they tell nothing."""
    found = {
        name: value.decode("ascii", "replace")
        for name, value in record.headers
        if name in CARRIED and value is not None and len(value) <= CARRIED_MAX_BYTES
    }
    return found if "traceparent" in found else None


def _describe(span: Span, operation: str, topic: str) -> None:
    span.set("messaging.system", "kafka")
    span.set("messaging.operation.name", operation)
    span.set("messaging.operation.type", operation)
    span.set("messaging.destination.name", topic)


def _sent(span: Span, future: asyncio.Future[RecordMetadata]) -> None:
    if future.cancelled():
        _failed(span, asyncio.CancelledError())
    elif (error := future.exception()) is not None:
        _failed(span, error)
    else:
        _acknowledged(span, future.result())


def _acknowledged(span: Span, metadata: RecordMetadata) -> None:
    if span.is_recording:
        span.set("messaging.destination.partition.id", str(metadata.partition))
        span.set("messaging.kafka.offset", metadata.offset)
    span.end()


def _failed(span: Span, error: BaseException) -> None:
    span.fail(error.code.name if isinstance(error, ApiError) else type(error).__qualname__, str(error))
    span.end()
