from __future__ import annotations

import asyncio
from random import Random

import pytest

from raftkafka.client import ApiError, BufferFullError, Producer, RecordMetadata
from raftkafka.client.types import NotRunningError
from raftkafka.model.api.produce import Produce, ProduceResponse
from raftkafka.model.errors import ConfigurationError, ErrorCode
from raftkafka.record.compression import codec_of
from raftkafka.record.header import read_header


def producer_of(cluster, **settings) -> Producer:
    return Producer("b1:9092,b2:9092", connect=cluster.connect, random=Random(1), **settings)


def produce_requests(cluster) -> list[Produce]:
    return [request for _, request in cluster.requests if isinstance(request, Produce)]


async def test_a_record_gets_its_offset(cluster):
    cluster.add_topic("t", 2)
    async with producer_of(cluster) as producer:
        first = await producer.send_and_wait("t", b"one", timestamp_ms=7)
        second = await producer.send_and_wait("t", b"two", key=b"k", headers=[("h", b"v")])
    assert first == RecordMetadata("t", 0, 0, 7)
    assert second.offset == 1
    assert cluster.topics["t"][0].values() == [b"one", b"two"]


async def test_sends_of_one_turn_travel_together_and_get_consecutive_offsets(cluster):
    cluster.add_topic("t", 1)
    async with producer_of(cluster) as producer:
        await producer.partitions_for("t")
        futures = [producer.send("t", b"%d" % number) for number in range(100)]
        placed = [(await future).offset for future in futures]
    assert placed == list(range(100))
    assert len(produce_requests(cluster)) == 1


async def test_who_waits_for_each_record_loses_no_turn_of_the_loop(cluster):
    cluster.add_topic("t", 1)
    async with producer_of(cluster) as producer:
        for number in range(3):
            await producer.send_and_wait("t", b"%d" % number)
        before = len(produce_requests(cluster))
        waiting = asyncio.create_task(producer.send_and_wait("t", b"now"))
        await asyncio.sleep(0)
        assert len(produce_requests(cluster)) == before + 1
        assert (await waiting).offset == 3


async def test_many_who_wait_for_each_record_share_requests(cluster):
    cluster.add_topic("t", 1)
    cluster.delay_s = 0.001

    async def one_by_one(producer, name):
        for number in range(20):
            await producer.send_and_wait("t", b"%d-%d" % (name, number))

    async with producer_of(cluster) as producer:
        await asyncio.gather(*[one_by_one(producer, name) for name in range(20)])
    assert len(cluster.topics["t"][0].values()) == 400
    assert len(produce_requests(cluster)) <= 60


async def test_a_record_without_a_lane_gives_its_room_back(cluster):
    cluster.add_topic("t", 1)
    async with producer_of(cluster, buffer_memory=1_000) as producer:
        await producer.send_and_wait("t", b"known")
        for _ in range(10):
            with pytest.raises(ValueError, match="negative"):
                await producer.send_and_wait("t", bytes(300), partition=-1)
        assert (await producer.send_and_wait("t", bytes(300))).offset == 1


async def test_lingering_packs_ten_thousand_records_in_few_requests(cluster):
    cluster.add_topic("t", 1)
    async with producer_of(cluster, linger_ms=20) as producer:
        futures = []
        for number in range(10_000):
            futures.append(producer.send("t", b"%d" % number))
            if number % 50 == 0:
                await asyncio.sleep(0)
        await asyncio.gather(*futures)
    assert len(produce_requests(cluster)) <= 200
    assert cluster.topics["t"][0].values() == [b"%d" % number for number in range(10_000)]


async def test_flush_does_not_wait_for_the_linger_time(cluster):
    cluster.add_topic("t", 1)
    async with producer_of(cluster, linger_ms=3_600_000) as producer:
        future = producer.send("t", b"x")
        await producer.flush()
        assert future.done()


@pytest.mark.parametrize(
    "code", [ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.REQUEST_TIMED_OUT, ErrorCode.NOT_LEADER_OR_FOLLOWER]
)
async def test_order_holds_when_any_request_may_fail(cluster, code):
    """Requests fail selectively, some before and some after the append; first copies stay in send order."""
    cluster.add_topic("t", 1)
    random = Random(code.value)

    def script(node, request):
        if not isinstance(request, Produce) or random.random() < 0.5:
            return NotImplemented
        if random.random() < 0.3:  # appended, but the answer says no
            for part in request.partitions:
                cluster.produce(node, part)
        return ProduceResponse(partitions=tuple(cluster.refuse(part, code) for part in request.partitions))

    cluster.script = script
    async with producer_of(cluster, retry_backoff_ms=1, retry_backoff_max_ms=2, batch_size=200) as producer:
        futures = []
        for number in range(300):
            futures.append(producer.send("t", b"%d" % number))
            if number % 7 == 0:
                await asyncio.sleep(0)
        await asyncio.gather(*futures)
    written = cluster.topics["t"][0].values()
    assert list(dict.fromkeys(written)) == [b"%d" % number for number in range(300)]
    by_value = dict(zip(reversed(range(len(written))), reversed(written), strict=True))
    for number, future in enumerate(futures):
        assert by_value[future.result().offset] == b"%d" % number


async def test_a_lost_answer_may_copy_but_never_reorders(cluster):
    cluster.add_topic("t", 1)
    lost = 0

    def script(node, request):
        nonlocal lost
        if isinstance(request, Produce) and lost < 5:
            lost += 1
            for part in request.partitions:
                cluster.produce(node, part)
            for channel in list(cluster.channels):
                channel.abort()
            return None
        return NotImplemented

    cluster.script = script
    async with producer_of(cluster, retry_backoff_ms=1) as producer:
        for number in range(50):
            producer.send("t", b"%d" % number)
            await asyncio.sleep(0)
    assert lost == 5
    assert list(dict.fromkeys(cluster.topics["t"][0].values())) == [b"%d" % number for number in range(50)]


async def test_at_most_one_request_of_a_partition_is_under_way(cluster):
    cluster.add_topic("t", 1, 1)
    under_way = {0: 0, 1: 0}
    most = 0

    async def slow(node, request):
        nonlocal most
        for part in request.partitions:
            under_way[part.partition] += 1
            most = max(most, under_way[part.partition])
        await asyncio.sleep(0.002)
        for part in request.partitions:
            under_way[part.partition] -= 1
        return ProduceResponse(partitions=tuple(cluster.produce(node, part) for part in request.partitions))

    cluster.script = lambda node, request: slow(node, request) if isinstance(request, Produce) else NotImplemented
    async with producer_of(cluster) as producer:
        for number in range(60):
            producer.send("t", b"%d" % number, partition=number % 2)
            await asyncio.sleep(0.0005)
    assert most == 1


async def test_a_new_leader_is_found_when_the_old_one_dies(cluster):
    (part,) = cluster.add_topic("t", 1)
    async with producer_of(cluster) as producer:
        await producer.send_and_wait("t", b"before")
        cluster.kill(1)
        future = producer.send("t", b"after")
        await asyncio.sleep(0.05)
        assert not future.done()
        part.leader, part.epoch = 2, 2
        assert (await asyncio.wait_for(future, 2)).offset == 1
    assert part.values() == [b"before", b"after"]


async def test_a_hint_spares_the_refresh(cluster):
    (part,) = cluster.add_topic("t", 1)

    async with producer_of(cluster, retry_backoff_ms=60_000, retry_backoff_max_ms=60_000) as producer:
        await producer.send_and_wait("t", b"before")
        part.leader, part.epoch = 3, 5

        def script(node, request):
            if isinstance(request, Produce) and node == 1:
                return ProduceResponse(
                    partitions=tuple(
                        cluster.refuse(p, ErrorCode.NOT_LEADER_OR_FOLLOWER, current_leader=3, current_leader_epoch=5)
                        for p in request.partitions
                    )
                )
            return NotImplemented

        cluster.script = script
        assert (await asyncio.wait_for(producer.send_and_wait("t", b"after"), 2)).offset == 1


async def test_a_refusal_fails_the_guilty_batch_alone(cluster):
    (part,) = cluster.add_topic("t", 1)

    def script(node, request):
        if isinstance(request, Produce) and any(b"bad" in bytes(p.records) for p in request.partitions):
            return ProduceResponse(
                partitions=tuple(
                    cluster.refuse(p, ErrorCode.INVALID_RECORD, error_message="no") for p in request.partitions
                )
            )
        return NotImplemented

    cluster.script = script
    async with producer_of(cluster, batch_size=1) as producer:
        await producer.partitions_for("t")
        futures = [producer.send("t", value) for value in (b"a", b"bad", b"c")]
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert part.values() == [b"a", b"c"]
    assert outcomes[0].offset == 0
    assert outcomes[2].offset == 1
    assert isinstance(outcomes[1], ApiError)
    assert outcomes[1].code is ErrorCode.INVALID_RECORD
    assert outcomes[1].message == "no"


@pytest.mark.parametrize("answer", ["lost", "retriable"])
async def test_a_refused_repetition_leaves_the_outcome_unknown(cluster, answer):
    """The first request was carried out and its answer did not say so; the second meets a leader with a wrong clock."""
    (part,) = cluster.add_topic("t", 1)
    asked = 0

    def script(node, request):
        nonlocal asked
        if not isinstance(request, Produce):
            return NotImplemented
        asked += 1
        if asked > 1:
            return ProduceResponse(
                partitions=tuple(cluster.refuse(p, ErrorCode.INVALID_TIMESTAMP) for p in request.partitions)
            )
        for each in request.partitions:
            cluster.produce(node, each)
        if answer == "lost":
            for channel in list(cluster.channels):
                channel.abort()
            return None
        return ProduceResponse(
            partitions=tuple(cluster.refuse(p, ErrorCode.NOT_LEADER_OR_FOLLOWER) for p in request.partitions)
        )

    cluster.script = script
    async with producer_of(cluster, retry_backoff_ms=1) as producer:
        with pytest.raises(ApiError, match=r"outcome is unknown.*INVALID_TIMESTAMP") as failed:
            await producer.send("t", b"a")
    assert failed.value.code is ErrorCode.REQUEST_TIMED_OUT
    assert asked == 2
    assert part.values() == [b"a"]


async def test_the_buffer_is_bounded_and_ready_waits_for_room(cluster):
    cluster.add_topic("t", 1)
    gate = asyncio.Event()

    async def held(node, request):
        await gate.wait()
        return ProduceResponse(partitions=tuple(cluster.produce(node, part) for part in request.partitions))

    cluster.script = lambda node, request: held(node, request) if isinstance(request, Produce) else NotImplemented
    async with producer_of(cluster, buffer_memory=10_000) as producer:
        taken = 0
        while producer._accumulator._fits(136):
            producer.send("t", bytes(100))
            taken += 1
        with pytest.raises(BufferFullError):
            producer.send("t", bytes(100))
        assert 50 <= taken <= 100
        waiting = asyncio.ensure_future(producer.ready())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        gate.set()
        await asyncio.wait_for(waiting, 2)
        producer.send("t", b"fits again")
    assert cluster.topics["t"][0].end == taken + 1


async def test_nobody_waits_for_room_longer_than_max_block_ms(cluster):
    cluster.add_topic("t", 1)
    gate = asyncio.Event()

    async def held(node, request):
        await gate.wait()
        return ProduceResponse(partitions=tuple(cluster.produce(node, part) for part in request.partitions))

    cluster.script = lambda node, request: held(node, request) if isinstance(request, Produce) else NotImplemented
    async with producer_of(cluster, buffer_memory=1_000, batch_size=500, max_block_ms=30) as producer:
        await producer.partitions_for("t")
        first = producer.send("t", bytes(800))
        with pytest.raises(BufferFullError, match=r"no room for 836 bytes within max_block_ms, 30: 897 of 1000"):
            await producer.send_and_wait("t", bytes(800))
        with pytest.raises(BufferFullError, match="within max_block_ms"):
            await producer.send_batch("t", [bytes(100)] * 10)
        gate.set()
        assert (await first).offset == 0
        assert (await producer.send_and_wait("t", b"again")).offset == 1
        assert producer._accumulator.used_bytes == 0


async def test_a_batch_waits_for_room_and_reports_its_offsets(cluster):
    cluster.add_topic("t", 1)
    values = [b"%06d" % number for number in range(5_000)]
    async with producer_of(cluster, buffer_memory=20_000, batch_size=4_096) as producer:
        done = await producer.send_batch("t", values, partition=0)
        assert producer._accumulator.used_bytes <= 20_000
        placed = await done
    assert (placed.base_offset, placed.last_offset, placed.record_count) == (0, 4_999, 5_000)
    assert cluster.topics["t"][0].values() == values


async def test_a_batch_of_uneven_values_respects_the_request_size(cluster):
    cluster.add_topic("t", 1)
    values = [b"s"] * 100 + [bytes(9_000)] + [b"t"] * 100
    async with producer_of(cluster, max_request_size=10_000) as producer:
        await (await producer.send_batch("t", values))
        with pytest.raises(ApiError) as refused:
            await producer.send_batch("t", [bytes(10_000)])
        with pytest.raises(ApiError):
            producer.send("t", bytes(10_000))
    assert refused.value.code is ErrorCode.MESSAGE_TOO_LARGE
    assert cluster.topics["t"][0].values() == values
    assert all(len(p.records) <= 10_000 for r in produce_requests(cluster) for p in r.partitions)


async def test_delivery_times_out_with_the_cause(cluster):
    cluster.add_topic("t", -1)
    async with producer_of(cluster, delivery_timeout_ms=50) as producer:
        with pytest.raises(ApiError) as failed:
            await producer.send_and_wait("t", b"x")
    assert failed.value.code is ErrorCode.REQUEST_TIMED_OUT
    assert "not sent" in failed.value.message


async def test_a_silent_leader_leaves_the_outcome_unknown(cluster):
    cluster.add_topic("t", 1)
    cluster.script = lambda node, request: None if isinstance(request, Produce) else NotImplemented
    async with producer_of(cluster, delivery_timeout_ms=60, request_timeout_ms=25) as producer:
        with pytest.raises(ApiError, match="unknown"):
            await producer.send_and_wait("t", b"x")


async def test_a_stopped_leader_is_left_when_another_is_elected(cluster, monkeypatch):
    monkeypatch.setattr("raftkafka.client.sender.SILENCE_S", 0.02)
    (part,) = cluster.add_topic("t", 1)
    async with producer_of(cluster) as producer:
        await producer.send_and_wait("t", b"before")
        cluster.deaf = {1}
        future = producer.send("t", b"after")
        await asyncio.sleep(0.01)
        part.leader, part.epoch = 2, 2
        assert (await asyncio.wait_for(future, 2)).offset == 1


async def test_acks_0_does_not_wait(cluster):
    cluster.add_topic("t", 1)
    async with producer_of(cluster, acks=0) as producer:
        placed = await producer.send_and_wait("t", b"x")
    assert placed.offset == -1
    assert cluster.topics["t"][0].values() == [b"x"]


async def test_acks_0_waits_for_a_connection_that_does_not_take_more(cluster):
    (part,) = cluster.add_topic("t", 1)
    async with producer_of(cluster, acks=0) as producer:
        await producer.send_and_wait("t", b"x")
        cluster.channels[-1].unsent_bytes = 100 << 20
        future = producer.send("t", b"y")
        await asyncio.sleep(0.01)
        assert part.values() == [b"x"]
        cluster.drained.set()
        await future
    assert part.values() == [b"x", b"y"]


async def test_what_cannot_be_encoded_is_refused_at_once(cluster):
    (part,) = cluster.add_topic("t", 1)
    async with producer_of(cluster) as producer:
        await producer.partitions_for("t")
        for wrong in (
            {"value": "text"},
            {"value": b"v", "key": 5},
            {"value": b"v", "headers": [(b"h", b"x")]},
            {"value": b"v", "headers": [("h", 1)]},
            {"value": b"v", "timestamp_ms": 1.5},
        ):
            with pytest.raises(TypeError):
                producer.send("t", **wrong)
        with pytest.raises(ValueError, match="negative"):
            producer.send("t", b"v", partition=-1)
        with pytest.raises(TypeError):
            await producer.send_batch("t", ["text"])
        assert producer._accumulator.used_bytes == 0
        buffer = bytearray(b"before")
        future = producer.send("t", buffer)
        buffer[:] = b"after!"
        await future
        await producer.send_and_wait("t", None, key=b"tombstone")
    assert part.values() == [b"before", None]
    with pytest.raises(NotRunningError):
        producer.send("t", b"late")


async def test_a_failing_partitioner_fails_its_record_alone(cluster):
    cluster.add_topic("t", 1)

    def picky(key: bytes, partitions: int) -> int:
        return int(key) % partitions

    async with producer_of(cluster, partitioner=picky) as producer:
        bad, good = producer.send("t", b"x", key=b"no number"), producer.send("t", b"y", key=b"3")
        assert (await good).offset == 0
        with pytest.raises(ValueError, match="no number"):
            await bad
        with pytest.raises(ValueError, match="no number"):
            producer.send("t", b"x", key=b"no number")


@pytest.mark.parametrize("seed", range(8))
async def test_under_random_faults_nothing_acknowledged_is_lost_or_out_of_order(cluster, seed):
    """Leaders move, nodes die and come back, answers are lost; each partition keeps the order of first copies."""
    random = Random(seed)
    parts = cluster.add_topic("t", 1, 2, 3)

    def script(node, request):
        if not isinstance(request, Produce):
            return NotImplemented
        chance = random.random()
        if chance < 0.1:
            return ProduceResponse(
                partitions=tuple(cluster.refuse(p, ErrorCode.NOT_ENOUGH_REPLICAS) for p in request.partitions)
            )
        if chance < 0.2:
            for part in request.partitions:
                cluster.produce(node, part)
            for channel in [channel for channel in cluster.channels if channel.node_id == node]:
                channel.abort()
            return None
        return NotImplemented

    async def trouble() -> None:
        while True:
            await asyncio.sleep(0.005)
            victim = random.choice([1, 2, 3])
            cluster.dead = {victim}
            cluster.kill(victim)
            for part in parts:
                if part.leader == victim:
                    part.leader = random.choice([node for node in (1, 2, 3) if node != victim])
                    part.epoch += 1

    cluster.script = script
    troubling = asyncio.ensure_future(trouble())
    sent: dict[int, list[bytes]] = {0: [], 1: [], 2: []}
    futures = []
    async with producer_of(cluster, retry_backoff_ms=1, retry_backoff_max_ms=4, batch_size=300) as producer:
        for number in range(300):
            partition = random.randrange(3)
            sent[partition].append(b"%d" % number)
            futures.append((partition, b"%d" % number, producer.send("t", b"%d" % number, partition=partition)))
            if random.random() < 0.3:
                await asyncio.sleep(0)
        async with asyncio.timeout(20):
            await asyncio.gather(*(future for _, _, future in futures))
    troubling.cancel()
    for number, part in enumerate(parts):
        assert list(dict.fromkeys(part.values())) == sent[number]
    for partition, value, future in futures:
        assert parts[partition].values()[future.result().offset] == value


async def test_a_missing_topic_is_created_on_demand_or_refused(cluster):
    cluster.auto_create = 4
    async with producer_of(cluster) as producer:
        assert await producer.partitions_for("fresh") == 4
        await producer.send_and_wait("other", b"x")
    cluster.auto_create = None
    async with producer_of(cluster, max_block_ms=50) as producer:
        future = producer.send("missing", b"x")
        with pytest.raises(ApiError) as failed:
            await future
        with pytest.raises(ApiError):
            await producer.send_batch("missing", [b"x"])
        assert producer._accumulator.used_bytes == 0
    assert failed.value.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


async def test_keys_decide_the_partition_as_in_java(cluster):
    cluster.add_topic("t", 1, 2, 3)
    async with producer_of(cluster) as producer:
        placed = await producer.send_and_wait("t", b"x", key=b"foobar")
    assert placed.partition == ((-790332482) & 0x7FFFFFFF) % 3


async def test_leaving_by_an_exception_does_not_wait_for_the_cluster(cluster):
    cluster.add_topic("t", -1)
    futures = []

    async def leave() -> None:
        async with producer_of(cluster) as producer:
            futures.append(producer.send("t", b"x"))
            raise KeyError

    with pytest.raises(KeyError):
        await leave()
    assert isinstance(futures[0].exception(), ApiError)


def test_odd_settings_are_refused():
    with pytest.raises(ConfigurationError):
        Producer(acks=2)
    with pytest.raises(ConfigurationError):
        Producer("host:nine")
    with pytest.raises(
        ConfigurationError, match="compression_type is one of none, gzip, snappy, lz4, zstd, not 'brotli'"
    ):
        Producer(compression_type="brotli")


@pytest.mark.parametrize("name", ["gzip", "snappy", "lz4", "zstd"])
@pytest.mark.parametrize("idempotent", [False, True])
async def test_batches_leave_packed(cluster, name, idempotent):
    cluster.add_topic("t", 1)
    values = [b"%d, and %d, and %d" % (number, number, number) for number in range(500)]
    async with producer_of(cluster, compression_type=name, enable_idempotence=idempotent) as producer:
        futures = [producer.send("t", value, key=b"k", headers=[("h", b"v")]) for value in values]
        assert [(await future).offset for future in futures] == list(range(500))
        placed = await (await producer.send_batch("t", values))
        assert (placed.base_offset, placed.last_offset) == (500, 999)
    partition = cluster.topics["t"][0]
    assert partition.values() == values * 2
    assert {read_header(batch).compression for _, batch in partition.batches} == {codec_of(name)}
    assert sum(len(batch) for _, batch in partition.batches) < 2 * sum(map(len, values))


async def test_the_request_size_counts_packed_for_many_values(cluster):
    cluster.add_topic("t", 1)
    async with producer_of(cluster, compression_type="zstd", max_request_size=2_000) as producer:
        placed = await (await producer.send_batch("t", [bytes(500_000)]))
        assert placed.record_count == 1
        with pytest.raises(ApiError, match="exceeds max_request_size") as refused:
            await producer.send_and_wait("t", bytes(500_000))
    assert refused.value.code is ErrorCode.MESSAGE_TOO_LARGE


async def test_who_is_throttled_sends_nothing_to_that_broker_meanwhile(cluster):
    cluster.add_topic("t", 1)
    cluster.add_topic("other", 2)
    loop = asyncio.get_running_loop()
    sent = []

    def script(node, request):
        if not isinstance(request, Produce):
            return NotImplemented
        sent.append((node, loop.time()))
        parts = tuple(cluster.produce(node, part) for part in request.partitions)
        return ProduceResponse(partitions=parts, throttle_time_ms=250 if len(sent) == 1 else 0)

    cluster.script = script
    async with producer_of(cluster) as producer:
        await producer.send_and_wait("t", b"one")
        later = producer.send("t", b"two")
        await producer.send_and_wait("other", b"elsewhere")
        assert [node for node, _ in sent] == [1, 2]
        assert not later.done()
        await later
    assert sent[2][0] == 1
    assert sent[2][1] - sent[0][1] >= 0.24
    assert cluster.topics["t"][0].values() == [b"one", b"two"]


async def test_a_name_that_no_request_can_hold_harms_no_other_topic(cluster):
    cluster.add_topic("t", 1)
    async with producer_of(cluster) as producer:
        for wrong, error in ((5, TypeError), (b"t", TypeError), ("x" * 40_000, ApiError)):
            with pytest.raises(error, match="a topic's name"):
                producer.send(wrong, b"x")
            with pytest.raises(error, match="a topic's name"):
                await producer.send_and_wait(wrong, b"x")
            with pytest.raises(error, match="a topic's name"):
                await producer.partitions_for(wrong)
        assert (await producer.send_and_wait("t", b"x")).offset == 0
