"""Idempotent produce on the client's side: one copy, in order, under numbers that are never used for anything else."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from raftkafka.client import ApiError, Producer
from raftkafka.client.lanes import PRODUCER_EPOCH_MAX, Batch, Delivered, Failed, Flight, Lane
from raftkafka.client.types import TopicPartition
from raftkafka.model.api.produce import Produce, ProduceResponse
from raftkafka.model.api.producers import InitProducerId, InitProducerIdResponse
from raftkafka.model.errors import ConfigurationError, ErrorCode
from raftkafka.record.build import encode_values
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
    assert [numbers for request in others for numbers in request] == [(41, 0, sequence) for sequence in range(5, 9)]
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


class UnderWay:
    """Counts the batches of each partition that were sent and not answered, as the broker sees them."""

    def __init__(self, cluster, *, answer=None, delay_s=0.002) -> None:
        self.cluster, self.answer, self.delay_s = cluster, answer, delay_s
        self.batches = self.most_batches = self.requests = self.most_requests = 0
        cluster.script = self

    def __call__(self, node, request):
        if not isinstance(request, Produce):
            return NotImplemented
        self.batches += sum(len(list(iter_headers(part.records))) for part in request.partitions)
        self.requests += 1
        self.most_batches = max(self.most_batches, self.batches)
        self.most_requests = max(self.most_requests, self.requests)
        answer = self.answer(node, request) if self.answer is not None else NotImplemented
        if answer is NotImplemented:
            answer = ProduceResponse(partitions=tuple(self.cluster.produce(node, part) for part in request.partitions))
        return self.late(request, answer)

    async def late(self, request, answer):
        await asyncio.sleep(self.delay_s)
        self.batches -= sum(len(list(iter_headers(part.records))) for part in request.partitions)
        self.requests -= 1
        return answer


async def test_five_batches_of_a_partition_are_under_way_in_several_requests(cluster):
    cluster.add_topic("t", 1)
    values = [b"%06d" % number for number in range(2_000)]
    async with producer_of(cluster, batch_size=500) as producer:
        await producer.send_and_wait("t", b"first", partition=0)
        under_way = UnderWay(cluster)
        placed = await (await producer.send_batch("t", values, partition=0))
    assert cluster.topics["t"][0].values() == [b"first", *values]
    assert (placed.base_offset, placed.last_offset) == (1, 2_000)
    assert under_way.most_batches == 5
    assert under_way.most_requests >= 3


async def test_nothing_follows_before_the_broker_knows_the_producer(cluster):
    """It takes any sequence from a producer that it does not know: the second batch might be written first."""
    cluster.add_topic("t", 1)
    under_way = UnderWay(cluster)
    async with producer_of(cluster, batch_size=500) as producer:
        await producer.partitions_for("t")
        pending = await producer.send_batch("t", [b"%06d" % number for number in range(400)], partition=0)
        await asyncio.sleep(0.0005)
        assert under_way.most_requests == 1
        await pending
    assert under_way.most_requests > 1


async def test_what_is_less_than_a_batch_waits_for_the_answer(cluster):
    cluster.add_topic("t", 1)
    async with producer_of(cluster) as producer:
        await producer.send_and_wait("t", b"first", partition=0)
        under_way = UnderWay(cluster)
        for number in range(20):
            producer.send("t", b"%d" % number, partition=0)
            await asyncio.sleep(0)
    assert under_way.most_requests == 1


@pytest.mark.parametrize("code", [ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.REQUEST_TIMED_OUT])
@pytest.mark.parametrize("nth", [0, 1, 2, 3])
async def test_what_followed_a_failed_request_is_sent_again_in_order(cluster, nth, code):
    """Refused for the gap, or written: either way it goes back behind what failed."""
    cluster.add_topic("t", 1)
    values = [b"%06d" % number for number in range(600)]
    came = 0

    def answer(node, request):
        nonlocal came
        came += 1
        if came != nth + 1:
            return NotImplemented
        if code is ErrorCode.REQUEST_TIMED_OUT:  # appended, but not committed in time
            for part in request.partitions:
                cluster.produce(node, part)
        return ProduceResponse(partitions=tuple(cluster.refuse(part, code) for part in request.partitions))

    async with producer_of(cluster, batch_size=500) as producer:
        await producer.send_and_wait("t", b"first", partition=0)
        under_way = UnderWay(cluster, answer=answer)
        placed = await (await producer.send_batch("t", values, partition=0))
    assert cluster.topics["t"][0].values() == [b"first", *values]
    assert (placed.base_offset, placed.last_offset) == (1, 600)
    assert under_way.most_requests > 1
    assert under_way.most_batches <= 5


async def test_a_batch_refused_for_good_takes_nothing_that_followed_it_along(cluster):
    cluster.add_topic("t", 1)

    def answer(node, request):
        if any(b"guilty" in bytes(part.records) for part in request.partitions):
            return ProduceResponse(
                partitions=tuple(cluster.refuse(part, ErrorCode.INVALID_RECORD) for part in request.partitions)
            )
        return NotImplemented

    async with producer_of(cluster, batch_size=1) as producer:
        await producer.send_and_wait("t", b"first", partition=0)
        under_way = UnderWay(cluster, answer=answer)
        values = [b"a", b"guilty", b"b", b"c", b"d", b"e", b"f"]
        results = await send_all(producer, values, pause=100)
    assert results[1].code is ErrorCode.INVALID_RECORD
    assert cluster.topics["t"][0].values() == [b"first", b"a", b"b", b"c", b"d", b"e", b"f"]
    assert [results[at].offset for at in (0, 2, 3, 4, 5, 6)] == [1, 2, 3, 4, 5, 6]
    assert under_way.most_requests > 1


async def test_a_lost_connection_sends_everything_again_once(cluster):
    cluster.add_topic("t", 1)
    values = [b"%06d" % number for number in range(600)]
    async with producer_of(cluster, batch_size=500) as producer:
        await producer.send_and_wait("t", b"first", partition=0)
        under_way = UnderWay(cluster, delay_s=0.01)
        pending = await producer.send_batch("t", values, partition=0)
        while under_way.requests < 3:
            await asyncio.sleep(0)
        cluster.channels[-1].abort()
        placed = await pending
    assert cluster.topics["t"][0].values() == [b"first", *values]
    assert (placed.base_offset, placed.last_offset) == (1, 600)


async def test_answers_out_of_order_are_settled_in_order():
    lane = Lane(TopicPartition("t", 0))
    lane.producer_id, lane.followable = 41, True
    for _ in range(6):
        batch = Batch(created=0.0, deadline=9.0, compression=0, loop=asyncio.get_running_loop())
        batch.hold(bytearray(encode_values([b"x"], timestamp_ms=1)), 1, lambda *_: None)
        lane.waiting.append(batch)
    *batches, last = lane.waiting
    for _ in range(2):
        lane.flights.append(Flight(lane.take(1 << 20, at_least_one=True), object(), bytes(16), 0))
    assert [flight.batches for flight in lane.flights] == [batches[:3], batches[3:]]
    assert not lane.may_leave(100)
    lane.number([batch for flight in lane.flights for batch in flight.batches])
    lane.flights[1].outcome = Delivered(7, -1)
    lane.flights[0].outcome = Failed(ApiError(ErrorCode.REQUEST_TIMED_OUT), in_doubt=True, at_once=False)
    assert lane.put_back().error.code is ErrorCode.REQUEST_TIMED_OUT
    # The later one was written, so the earlier one was too: all leave together again, and the broker says where they stand.
    assert list(lane.waiting) == [*batches, last]
    assert [batch.doubtful for batch in lane.waiting] == [True] * 5 + [False]
    assert lane.take(1 << 20, at_least_one=True) == batches


async def test_behind_what_was_not_written_nothing_is_in_doubt():
    lane = Lane(TopicPartition("t", 0))
    for code, doubt in ((ErrorCode.NOT_ENOUGH_REPLICAS, False), (ErrorCode.REQUEST_TIMED_OUT, True)):
        batch = Batch(created=0.0, deadline=9.0, compression=0, loop=asyncio.get_running_loop())
        flight = Flight([batch], object(), bytes(16), 0)
        flight.outcome = Failed(ApiError(code), in_doubt=doubt, at_once=False)
        lane.flights.append(flight)
    lane.put_back()
    assert [batch.doubtful for batch in lane.waiting] == [False, False]


@pytest.mark.parametrize("delay_s", [0.0, 0.001])
@pytest.mark.parametrize("seed", range(12))
async def test_under_random_faults_there_is_one_copy_in_send_order(cluster, seed, delay_s):
    """Lost answers, refusals before and after the append, and batches that are given up."""
    cluster.add_topic("t", 1)
    cluster.delay_s = delay_s
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


async def test_what_followed_a_repetition_may_have_been_written():
    """Else it would get another number with the next epoch, and be written again (seed 821099)."""
    lane = Lane(TopicPartition("t", 0))
    repetition = ApiError(ErrorCode.DUPLICATE_SEQUENCE_NUMBER, "2 of 2 batches have been written before")
    for error, in_doubt in ((repetition, False), (ApiError(ErrorCode.REQUEST_TIMED_OUT), True)):
        batch = Batch(created=0.0, deadline=9.0, compression=0, loop=asyncio.get_running_loop())
        batch.hold(bytearray(encode_values([b"x"], timestamp_ms=1)), 1, lambda *_: None)
        batch.number(1, 0, len(lane.flights))
        flight = Flight([batch], object(), bytes(16), 0)
        flight.outcome = Failed(error, in_doubt=in_doubt, at_once=False)
        lane.flights.append(flight)
    lane.put_back()
    assert [batch.doubtful for batch in lane.waiting] == [True, True]
    lane.begin_epoch()
    assert [batch.numbers for batch in lane.waiting] == [(1, 0, 0), (1, 0, 1)]
