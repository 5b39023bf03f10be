"""Idempotent produce on the client's side: one copy, in order, under numbers that are never used for anything else."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from raftkafka.client import ApiError, Producer
from raftkafka.client.lanes import PRODUCER_EPOCH_MAX
from raftkafka.client.types import TopicPartition
from raftkafka.model.api.produce import Produce, ProduceResponse
from raftkafka.model.api.producers import InitProducerId, InitProducerIdResponse
from raftkafka.model.errors import ConfigurationError, ErrorCode
from raftkafka.record.header import iter_headers
from raftkafka.replica.producers import SEQUENCE_MAX


def producer_of(cluster, **settings) -> Producer:
    return Producer(
        "b1:9092,b2:9092",
        connect=cluster.connect,
        random=Random(1),
        **{"retry_backoff_ms": 1, "retry_backoff_max_ms": 2, **settings},
    )


def id_requests(cluster) -> int:
    return sum(isinstance(request, InitProducerId) for _, request in cluster.requests)


class Faults:
    """Answers the first produce requests as told: `lose` appends and closes, a code appends or not and refuses."""

    def __init__(self, cluster, *faults) -> None:
        self.cluster, self.left = cluster, list(faults)
        cluster.script = self

    def __call__(self, node, request):
        if not isinstance(request, Produce) or not self.left:
            return NotImplemented
        fault = self.left.pop(0)
        if fault is None:
            return NotImplemented
        append, code = fault
        if append:
            for part in request.partitions:
                self.cluster.produce(node, part)
        if code is None:
            for channel in list(self.cluster.channels):
                channel.abort()
            return None
        return ProduceResponse(partitions=tuple(self.cluster.refuse(part, code) for part in request.partitions))


LOST = (True, None)
LOST_BEFORE = (False, None)


async def send_all(producer, values, *, pause=1):
    futures = []
    for number, value in enumerate(values):
        futures.append(producer.send("t", value, partition=0))
        if number % pause == 0:
            await asyncio.sleep(0)
    return await asyncio.gather(*futures, return_exceptions=True)


@pytest.mark.parametrize(
    "fault", [LOST, LOST_BEFORE, (True, ErrorCode.REQUEST_TIMED_OUT), (True, ErrorCode.NOT_LEADER_OR_FOLLOWER)]
)
async def test_a_lost_answer_makes_no_second_copy(cluster, fault):
    cluster.add_topic("t", 1)
    Faults(cluster, fault, fault, None, fault)
    values = [b"%d" % number for number in range(50)]
    async with producer_of(cluster) as producer:
        results = await send_all(producer, values)
    assert cluster.topics["t"][0].values() == values
    assert [each.offset for each in results] == list(range(50))
    assert id_requests(cluster) == 1


async def test_what_left_together_leaves_together_again(cluster):
    cluster.add_topic("t", 1)
    Faults(cluster, LOST)
    async with producer_of(cluster, batch_size=1) as producer:
        await producer.partitions_for("t")
        results = await send_all(producer, [b"%d" % number for number in range(9)], pause=100)
    first, second, *others = cluster.numbers
    assert first == second == [(41, 0, sequence) for sequence in range(5)]
    assert others == [[(41, 0, sequence) for sequence in range(5, 9)]]
    assert [each.offset for each in results] == list(range(9))


async def test_a_batch_is_written_once_and_with_a_right_checksum(cluster):
    cluster.add_topic("t", 1)
    Faults(cluster, LOST, (False, ErrorCode.NOT_ENOUGH_REPLICAS))
    async with producer_of(cluster, batch_size=500) as producer:
        values = [b"%06d" % number for number in range(400)]
        metadata = await (await producer.send_batch("t", values, partition=0))
    assert cluster.topics["t"][0].values() == values
    assert (metadata.base_offset, metadata.last_offset) == (0, 399)


async def test_each_partition_has_sequences_of_its_own(cluster):
    cluster.add_topic("t", 1, 2)
    async with producer_of(cluster) as producer:
        for partition in (0, 1, 0):
            await producer.send_and_wait("t", b"x", partition=partition)
    assert cluster.numbers == [[(41, 0, 0)], [(41, 0, 0)], [(41, 0, 1)]]


@pytest.mark.parametrize("settings", [{"enable_idempotence": False}, {"acks": 1}, {"acks": 0}])
async def test_it_can_be_left_out(cluster, settings):
    cluster.add_topic("t", 1)
    async with producer_of(cluster, **settings) as producer:
        await producer.send_and_wait("t", b"x")
    assert cluster.numbers == [[(-1, -1, -1)]]
    assert id_requests(cluster) == 0


@pytest.mark.parametrize("settings", [{"acks": 1}, {"acks": 0}, {"max_in_flight_requests_per_connection": 6}])
def test_settings_that_contradict_it_are_refused(settings):
    with pytest.raises(ConfigurationError, match="enable_idempotence"):
        Producer(enable_idempotence=True, **settings)
    Producer(**settings)


async def test_a_batch_that_is_given_up_leaves_no_gap_behind(cluster):
    """Its outcome is unknown; what follows begins a new epoch and is never taken for it."""
    cluster.add_topic("t", 1)
    Faults(cluster, *[(False, ErrorCode.REQUEST_TIMED_OUT)] * 10_000)
    async with producer_of(cluster, delivery_timeout_ms=30) as producer:
        with pytest.raises(ApiError, match="unknown") as raised:
            await producer.send_and_wait("t", b"lost", partition=0)
        assert raised.value.code is ErrorCode.REQUEST_TIMED_OUT
        cluster.script.left.clear()
        assert (await producer.send_and_wait("t", b"next", partition=0)).offset == 0
    assert cluster.numbers[-1] == [(41, 1, 0)]
    late = next(part for _, each in cluster.requests if isinstance(each, Produce) for part in each.partitions)
    with pytest.raises(ApiError, match="INVALID_PRODUCER_EPOCH"):
        cluster.topics["t"][0].append(late.records)


@pytest.mark.parametrize(
    "code",
    [ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, ErrorCode.UNKNOWN_PRODUCER_ID, ErrorCode.INVALID_PRODUCER_EPOCH],
)
async def test_a_broker_that_knows_other_numbers_gets_a_new_epoch(cluster, code):
    cluster.add_topic("t", 1)
    Faults(cluster, None, (False, code))
    async with producer_of(cluster) as producer:
        offsets = [(await producer.send_and_wait("t", b"%d" % number, partition=0)).offset for number in range(3)]
    assert offsets == [0, 1, 2]
    assert cluster.numbers == [[(41, 0, 0)], [(41, 0, 1)], [(41, 1, 0)], [(41, 1, 1)]]


async def test_a_doubtful_batch_never_gets_other_numbers(cluster):
    """Nobody knows whether it was written, so under new numbers it might be there twice."""
    cluster.add_topic("t", 1)
    Faults(cluster, LOST_BEFORE, (False, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER))
    async with producer_of(cluster) as producer:
        with pytest.raises(ApiError, match=r"outcome is unknown.*OUT_OF_ORDER") as raised:
            await producer.send_and_wait("t", b"doubtful", partition=0)
        assert raised.value.code is ErrorCode.REQUEST_TIMED_OUT
        await producer.send_and_wait("t", b"next", partition=0)
    assert cluster.numbers == [[(41, 0, 0)], [(41, 0, 0)], [(41, 1, 0)]]
    assert cluster.topics["t"][0].values() == [b"next"]


async def test_a_refused_batch_fails_alone_and_the_others_follow(cluster):
    cluster.add_topic("t", 1)

    def script(node, request):
        if isinstance(request, Produce) and any(b"guilty" in bytes(part.records) for part in request.partitions):
            return ProduceResponse(
                partitions=tuple(cluster.refuse(part, ErrorCode.INVALID_RECORD) for part in request.partitions)
            )
        return NotImplemented

    cluster.script = script
    async with producer_of(cluster, batch_size=1) as producer:
        await producer.partitions_for("t")
        results = await send_all(producer, [b"a", b"b", b"guilty", b"c", b"d"], pause=100)
    assert results[2].code is ErrorCode.INVALID_RECORD
    assert cluster.topics["t"][0].values() == [b"a", b"b", b"c", b"d"]
    assert [results[at].offset for at in (0, 1, 3, 4)] == [0, 1, 2, 3]


async def test_a_request_that_was_written_in_part_is_sent_one_by_one(cluster):
    cluster.add_topic("t", 1)

    def script(node, request):
        """The first batch of the first request arrives by another way."""
        if isinstance(request, Produce):
            (part,) = request.partitions
            ((_, header), *_) = iter_headers(part.records)
            cluster.topics["t"][0].append(bytes(part.records)[: header.batch_size])
            cluster.script = lambda *_: NotImplemented
        return NotImplemented

    cluster.script = script
    async with producer_of(cluster, batch_size=1) as producer:
        await producer.partitions_for("t")
        results = await send_all(producer, [b"a", b"b", b"c"], pause=100)
    assert cluster.topics["t"][0].values() == [b"a", b"b", b"c"]
    assert [each.offset for each in results] == [0, 1, 2]


async def test_nothing_is_sent_without_an_id_and_the_failure_says_so(cluster):
    cluster.add_topic("t", 1)
    none = InitProducerIdResponse(error_code=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, error_message="nobody leads")
    cluster.script = lambda _, request: none if isinstance(request, InitProducerId) else NotImplemented
    async with producer_of(cluster, delivery_timeout_ms=1_000) as producer:
        with pytest.raises(ApiError, match=r"not sent.*nobody leads"):
            await producer.send_and_wait("t", b"x", partition=0)
        cluster.script = lambda *_: NotImplemented
        assert (await producer.send_and_wait("t", b"y", partition=0)).offset == 0
    assert cluster.topics["t"][0].values() == [b"y"]


async def test_a_cluster_that_gives_no_ids_is_no_reason_to_wait(cluster):
    cluster.add_topic("t", 1)
    never = InitProducerIdResponse(error_code=ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
    cluster.script = lambda _, request: never if isinstance(request, InitProducerId) else NotImplemented
    async with producer_of(cluster) as producer:
        for _ in range(2):
            with pytest.raises(ApiError) as raised:
                await producer.send_and_wait("t", b"x", partition=0)
            assert raised.value.code is ErrorCode.CLUSTER_AUTHORIZATION_FAILED


async def test_sequences_begin_again_after_the_largest(cluster):
    cluster.add_topic("t", 1)
    async with producer_of(cluster) as producer:
        await producer.send_and_wait("t", b"0", partition=0)
        lane = producer._accumulator.lane(TopicPartition("t", 0))
        lane.begin_epoch()
        lane.next_sequence = SEQUENCE_MAX
        cluster.topics["t"][0].producers.clear(1)
        for number in range(3):
            await producer.send_and_wait("t", b"%d" % number, partition=0)
    assert [each[0][2] for each in cluster.numbers] == [0, SEQUENCE_MAX, 0, 1]


async def test_an_id_whose_epochs_are_used_up_is_replaced(cluster):
    cluster.add_topic("t", 1, 1)
    async with producer_of(cluster) as producer:
        for partition in (0, 1):
            await producer.send_and_wait("t", b"x", partition=partition)
        lane = producer._accumulator.lane(TopicPartition("t", 0))
        lane.epoch = PRODUCER_EPOCH_MAX
        lane.begin_epoch()
        for partition in (0, 1):
            await producer.send_and_wait("t", b"y", partition=partition)
    assert cluster.numbers == [[(41, 0, 0)], [(41, 0, 0)], [(42, 0, 0)], [(41, 0, 1)]]


@pytest.mark.parametrize("seed", range(12))
async def test_under_random_faults_there_is_one_copy_in_send_order(cluster, seed):
    """Lost answers, refusals before and after the append, and batches that are given up."""
    cluster.add_topic("t", 1)
    random = Random(seed)
    codes = [
        None,
        ErrorCode.REQUEST_TIMED_OUT,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.NOT_ENOUGH_REPLICAS,
        ErrorCode.INVALID_RECORD,
    ]

    def fault():
        code = random.choice(codes)
        refused_before = (ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.INVALID_RECORD)
        return (code not in refused_before and random.random() < 0.5, code)

    faults = Faults(cluster)
    faults.left = [fault() if random.random() < 0.4 else None for _ in range(400)]
    values = [b"%d" % number for number in range(300)]
    async with producer_of(cluster, batch_size=200, delivery_timeout_ms=40) as producer:
        results = await send_all(producer, values, pause=7)
    written = cluster.topics["t"][0].values()
    order = [int(value) for value in written]
    assert order == sorted(set(order))
    for number, result in enumerate(results):
        if isinstance(result, ApiError):
            unknown = result.code is ErrorCode.REQUEST_TIMED_OUT and "not sent" not in str(result)
            assert unknown or values[number] not in written
        else:
            assert written[result.offset] == values[number]
