"""What spans tell of requests, of their parts, and of changes of metadata."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from raftkafka.broker.tracing import TracedControllerQueue, TracedDispatch
from raftkafka.metadata.decide import Decision
from raftkafka.model.api.cluster import DescribeCluster
from raftkafka.model.api.fetch import Fetch, FetchPartition
from raftkafka.model.api.produce import Produce, ProducePartition
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import PartitionIndex, TopicId
from raftkafka.record.build import encode_values
from tests.spans import SpansInMemory

CONTEXT = RequestContext(listener="PLAINTEXT", client_address="127.0.0.1", client_id="shop")


def traced(world, spans, dispatch=None):
    def route(context, request):
        return {Produce: world.produce, Fetch: world.fetch}[type(request)](context, request)

    def topic_name(topic_id):
        topic = world.store.image.topics.get(topic_id)
        return None if topic is None else topic.name

    return TracedDispatch(dispatch or route, tracer=spans.tracer, topic_name=topic_name)


def produce(partition, *, acks=-1):
    records = memoryview(bytearray(encode_values([b"a", b"b"], timestamp_ms=5)))
    key = partition.topic_partition
    wanted = ProducePartition(
        topic_id=key.topic_id, partition=key.partition, leader_epoch=partition.leader_epoch, records=records
    )
    return Produce(acks=acks, timeout_ms=5_000, partitions=(wanted,))


@pytest.fixture
async def orders(world):
    world.start_brokers(1, 2)
    world.run()
    return await world.leading("orders", 1)


@pytest.fixture
def spans():
    return SpansInMemory()


async def test_a_produce_shows_its_append_and_what_it_waited_for(world, orders, spans):
    world.disk.gate.clear()
    answer = traced(world, spans)(CONTEXT, produce(orders))
    assert [each.name for each in spans.finished] == ["append"]
    await asyncio.sleep(0.25)
    world.disk.gate.set()
    await answer
    await asyncio.sleep(0)
    server = spans.named("Produce")
    assert server.kind is SpanKind.SERVER
    assert server.parent is None
    assert dict(server.attributes) == {
        "rpc.system": "kafka",
        "rpc.method": "Produce",
        "messaging.system": "kafka",
        "messaging.client.id": "shop",
        "client.address": "127.0.0.1",
        "raftkafka.listener": "PLAINTEXT",
        "raftkafka.acks": -1,
        "raftkafka.partitions": 1,
        "messaging.destination.name": "orders",
        "messaging.destination.partition.id": "0",
        "raftkafka.error_code": "NONE",
    }
    assert server.status.status_code is StatusCode.UNSET
    for name in ("append", "wait for replicas"):
        assert spans.named(name).parent.span_id == server.context.span_id
    assert spans.named("append").end_time <= spans.named("wait for replicas").start_time


async def test_a_refusal_is_told_by_its_code(world, orders, spans):
    dispatch = traced(world, spans)
    missing = FetchPartition(topic_id=TopicId(b"x" * 16), partition=PartitionIndex(3), fetch_offset=0, max_bytes=1)
    dispatch(CONTEXT, Fetch(partitions=(missing,), min_bytes=0))
    server = spans.named("Fetch")
    assert server.attributes["raftkafka.error_code"] == "UNKNOWN_TOPIC_ID"
    assert server.attributes["error.type"] == "UNKNOWN_TOPIC_ID"
    assert server.status.status_code is StatusCode.ERROR
    assert "messaging.destination.name" not in server.attributes


async def test_a_fetch_that_waits_shows_for_how_long(world, orders, spans):
    key = orders.topic_partition
    wanted = FetchPartition(topic_id=key.topic_id, partition=key.partition, fetch_offset=0, max_bytes=1_000)
    answer = traced(world, spans)(CONTEXT, Fetch(partitions=(wanted,), min_bytes=1, max_wait_ms=300))
    assert isinstance(answer, asyncio.Future)
    assert spans.finished == []
    await answer
    await asyncio.sleep(0)
    waited = spans.named("wait for records")
    assert waited.parent.span_id == spans.named("Fetch").context.span_id


async def test_acks_0_has_a_span_although_it_has_no_answer(world, orders, spans):
    assert traced(world, spans)(CONTEXT, produce(orders, acks=0)) is None
    assert "raftkafka.error_code" not in spans.named("Produce").attributes


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("error", [ApiError(ErrorCode.NOT_CONTROLLER), RuntimeError("a bug")])
async def test_what_a_handler_raises_passes_through(world, spans, error, later):
    def dispatch(context, request):
        async def fail():
            raise error

        if later:
            return fail()
        raise error

    with pytest.raises(type(error)):
        await traced(world, spans, dispatch)(CONTEXT, DescribeCluster())
    server = spans.named("DescribeCluster")
    assert server.status.status_code is StatusCode.ERROR
    assert server.attributes["error.type"] == ("NOT_CONTROLLER" if isinstance(error, ApiError) else "RuntimeError")


async def test_an_answer_that_nobody_waits_for_any_more_ends_its_span(world, spans):
    pending = asyncio.get_running_loop().create_future()
    traced(world, spans, lambda context, request: pending)(CONTEXT, DescribeCluster())
    pending.cancel()
    await asyncio.sleep(0)
    assert spans.named("DescribeCluster").attributes["error.type"] == "cancelled"


async def test_a_change_of_metadata_shows_its_way_through_raft(world, spans):
    world.start_brokers(1)
    world.consensus.elect(1)
    queue = TracedControllerQueue(
        consensus=world.consensus, store=world.store, probe=world.probe, timeout_s=2.0, tracer=spans.tracer
    )

    async def create(context, request):
        return await queue.submit(lambda image: Decision(commands=(), respond=lambda after: after.cluster_id))

    async def refuse(context, request):
        def decide(image):
            raise ApiError(ErrorCode.TOPIC_ALREADY_EXISTS)

        return await queue.submit(decide)

    await traced(world, spans, create)(CONTEXT, DescribeCluster())
    committed = spans.named("commit metadata")
    assert committed.parent.span_id == spans.named("DescribeCluster").context.span_id
    assert committed.attributes["raftkafka.raft.applied_index"] == world.store.applied_index
    with pytest.raises(ApiError):
        await traced(world, spans, refuse)(CONTEXT, DescribeCluster())
    assert [each.attributes.get("error.type") for each in spans.finished if each.name == "commit metadata"] == [
        None,
        "TOPIC_ALREADY_EXISTS",
    ]


async def test_what_is_not_sampled_leaves_nothing_and_its_parts_neither(world, orders):
    spans = SpansInMemory(ALWAYS_OFF)
    await traced(world, spans)(CONTEXT, produce(orders))
    await asyncio.sleep(0)
    assert spans.finished == []
