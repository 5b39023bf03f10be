"""A trace goes with the record, from the producer's span to the consumer's."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind

from raftkafka.client.tracing import CARRIED_MAX_BYTES, TracedProducer, carrier_of, process
from raftkafka.client.types import ConsumerRecord, RecordMetadata
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.ports.tracer import NullTracer
from raftkafka.ports.tracer import SpanKind as Kind
from tests.spans import SpansInMemory


class FakeProducer:
    """Takes records; the test ends `future`."""

    def __init__(self) -> None:
        self.future = asyncio.get_running_loop().create_future()
        self.headers = None
        self.error = None

    def send(self, topic, value, *, headers, **_):
        if self.error is not None:
            raise self.error
        self.headers = headers
        return self.future

    async def send_and_wait(self, topic, value, **given):
        return await self.send(topic, value, **given)


def record(headers):
    return ConsumerRecord(
        topic="orders", partition=2, offset=17, timestamp_ms=5, key=None, value=b"four", headers=headers
    )


SAMPLED = 1
"""The flag of `traceparent`; another says that the trace id is random."""
DONE = RecordMetadata(topic="orders", partition=2, offset=17, timestamp_ms=5)


@pytest.fixture
def spans():
    return SpansInMemory()


async def test_the_consumer_goes_on_with_the_producers_trace(spans):
    producer = FakeProducer()
    given = [("source", b"shop"), ("traceparent", b"of somebody else")]
    future = TracedProducer(producer, spans.tracer).send("orders", b"four", headers=given)
    assert future is producer.future
    assert spans.finished == []
    producer.future.set_result(DONE)
    await asyncio.sleep(0)
    sent = spans.named("send orders")
    assert sent.kind is SpanKind.PRODUCER
    assert dict(sent.attributes) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "orders",
        "messaging.destination.partition.id": "2",
        "messaging.kafka.offset": 17,
        "messaging.message.body.size": 4,
    }
    (source, traceparent) = producer.headers
    assert source == ("source", b"shop")
    version, trace_id, span_id, flags = traceparent[1].decode().split("-")
    assert (traceparent[0], version) == ("traceparent", "00")
    assert (int(trace_id, 16), int(span_id, 16)) == (sent.context.trace_id, sent.context.span_id)
    assert int(flags, 16) & SAMPLED

    with process(spans.tracer, record(producer.headers), group_id="billing"):
        spans.tracer.begin("charge", Kind.INTERNAL).end()
    processed = spans.named("process orders")
    assert processed.kind is SpanKind.CONSUMER
    assert processed.parent.span_id == sent.context.span_id
    assert processed.context.trace_id == sent.context.trace_id
    assert processed.attributes["messaging.consumer.group.name"] == "billing"
    assert processed.attributes["messaging.kafka.offset"] == 17
    assert spans.named("charge").parent.span_id == processed.context.span_id


async def test_the_acknowledgement_ends_the_span_of_who_waits_for_it(spans):
    producer = FakeProducer()
    sending = asyncio.ensure_future(TracedProducer(producer, spans.tracer).send_and_wait("orders", None))
    await asyncio.sleep(0)
    assert spans.finished == []
    producer.future.set_result(DONE)
    assert await sending is DONE
    assert spans.named("send orders").attributes["messaging.message.body.size"] == 0


@pytest.mark.parametrize("waits", [False, True])
async def test_a_failure_is_told_by_its_code(spans, waits):
    producer = FakeProducer()
    traced = TracedProducer(producer, spans.tracer)
    sending = asyncio.ensure_future(traced.send_and_wait("orders", b"x")) if waits else traced.send("orders", b"x")
    await asyncio.sleep(0)
    producer.future.set_exception(ApiError(ErrorCode.REQUEST_TIMED_OUT))
    with pytest.raises(ApiError):
        await sending
    await asyncio.sleep(0)
    assert spans.named("send orders").attributes["error.type"] == "REQUEST_TIMED_OUT"


async def test_what_is_not_taken_and_what_is_cancelled_end_too(spans):
    producer = FakeProducer()
    traced = TracedProducer(producer, spans.tracer)
    traced.send("orders", b"x").cancel()
    await asyncio.sleep(0)
    producer.error = TypeError("value must be bytes")
    with pytest.raises(TypeError):
        traced.send("orders", "x")
    assert [each.attributes["error.type"] for each in spans.finished] == ["CancelledError", "TypeError"]


async def test_an_exception_in_the_application_is_told_and_passes_on(spans):
    with pytest.raises(ZeroDivisionError), process(spans.tracer, record(())):
        raise ZeroDivisionError
    assert spans.named("process orders").attributes["error.type"] == "ZeroDivisionError"
    assert spans.named("process orders").parent is None


@pytest.mark.parametrize(
    "value", [b"", b"no trace", b"\xff\xfe", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01", b"x" * 10_000, None]
)
async def test_a_header_that_is_none_begins_a_trace(spans, value):
    with process(spans.tracer, record((("traceparent", value),))):
        pass
    assert spans.named("process orders").parent is None


def test_what_is_carried_is_bounded():
    whole = (("traceparent", b"tp"), ("tracestate", b"x" * CARRIED_MAX_BYTES), ("other", b"y"))
    assert carrier_of(record(whole)) == {"traceparent": "tp", "tracestate": "x" * CARRIED_MAX_BYTES}
    assert carrier_of(record((whole[0], ("tracestate", b"x" * (CARRIED_MAX_BYTES + 1))))) == {"traceparent": "tp"}
    assert carrier_of(record(whole[1:])) is None


async def test_what_is_not_sampled_says_so_to_the_consumer():
    spans = SpansInMemory(ALWAYS_OFF)
    producer = FakeProducer()
    TracedProducer(producer, spans.tracer).send("orders", b"x")
    [(name, value)] = producer.headers
    assert name == "traceparent"
    assert not int(value[-2:], 16) & SAMPLED
    with process(spans.tracer, record(producer.headers)):
        pass
    assert spans.finished == []


async def test_with_the_null_tracer_headers_stay_as_they_are():
    producer = FakeProducer()
    given = (("source", b"shop"),)
    TracedProducer(producer, NullTracer()).send("orders", b"x", headers=given)
    assert producer.headers is given
    with process(NullTracer(), record(given)) as span:
        assert not span.is_recording
