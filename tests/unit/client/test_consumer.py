from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random

import pytest

from raftkafka.client import ApiError, Consumer, TopicPartition
from raftkafka.model.api.fetch import Fetch, FetchPartitionResponse, FetchResponse
from raftkafka.model.errors import ConfigurationError, ErrorCode
from raftkafka.record.build import encode_values
from raftkafka.record.header import iter_headers

T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)


def consumer_of(cluster, **settings) -> Consumer:
    settings.setdefault("fetch_max_wait_ms", 20)
    return Consumer("b1:9092,b2:9092", connect=cluster.connect, random=Random(1), **settings)


def fill(part, *values: bytes, timestamp_ms: int = 1) -> None:
    part.append(encode_values(list(values), timestamp_ms=timestamp_ms))


def numbered(first: int, end: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, end)]


async def collect(consumer, count: int) -> list[bytes]:
    values: list[bytes] = []
    async with asyncio.timeout(5):
        while len(values) < count:
            for records in (await consumer.poll(1_000)).values():
                values += [record.value for record in records]
    return values


async def test_earliest_reads_everything_and_latest_what_comes(cluster):
    (part,) = cluster.add_topic("t", 2)
    fill(part, b"old")
    async with consumer_of(cluster, auto_offset_reset="earliest") as early, consumer_of(cluster) as late:
        early.assign([T0])
        late.assign([T0])
        assert await collect(early, 1) == [b"old"]
        assert await late.position(T0) == 1
        fill(part, b"new")
        assert await collect(late, 1) == [b"new"]
        assert await collect(early, 1) == [b"new"]
        assert await early.position(T0) == 2
        assert early.high_watermark(T0) == 2


async def test_polls_respect_max_records_and_lose_nothing(cluster):
    (part,) = cluster.add_topic("t", 1)
    for start in range(0, 100, 10):
        fill(part, *numbered(start, start + 10))
    async with consumer_of(cluster, auto_offset_reset="earliest") as consumer:
        consumer.assign([T0])
        seen = []
        while len(seen) < 100:
            records = (await consumer.poll(1_000, max_records=7)).get(T0, [])
            assert len(records) <= 7
            seen += [record.offset for record in records]
            assert await consumer.position(T0) == len(seen)
    assert seen == list(range(100))


async def test_seek_reads_again_and_drops_what_was_fetched(cluster):
    (part,) = cluster.add_topic("t", 1)
    fill(part, *numbered(0, 20))
    async with consumer_of(cluster, auto_offset_reset="earliest") as consumer:
        consumer.assign([T0])
        assert await collect(consumer, 20) == numbered(0, 20)
        consumer.seek(T0, 13)
        assert await consumer.position(T0) == 13
        assert await collect(consumer, 7) == numbered(13, 20)
        consumer.seek_to_beginning(T0)
        assert len(await collect(consumer, 20)) == 20
        consumer.seek_to_end()
        assert await consumer.position(T0) == 20
        with pytest.raises(ValueError, match="not assigned"):
            consumer.seek(T1, 0)


async def test_an_offset_out_of_range_follows_the_reset_policy(cluster):
    (part,) = cluster.add_topic("t", 1)
    fill(part, *numbered(0, 5))
    async with consumer_of(cluster, auto_offset_reset="earliest") as consumer:
        consumer.assign([T0])
        consumer.seek(T0, 99)
        assert await collect(consumer, 5) == numbered(0, 5)
    async with consumer_of(cluster, auto_offset_reset="none") as consumer:
        consumer.assign([T0])
        for _ in range(2):
            with pytest.raises(ApiError) as failed:
                await consumer.poll(1_000)
            assert failed.value.code is ErrorCode.OFFSET_OUT_OF_RANGE
        consumer.seek(T0, 99)
        with pytest.raises(ApiError):
            await consumer.poll(1_000)
        consumer.seek(T0, 4)
        assert await collect(consumer, 1) == [b"4"]


async def test_a_leader_change_goes_unnoticed(cluster):
    (part,) = cluster.add_topic("t", 1)
    fill(part, b"a")
    async with consumer_of(cluster, auto_offset_reset="earliest") as consumer:
        consumer.assign([T0])
        assert await collect(consumer, 1) == [b"a"]
        part.leader, part.epoch = 2, 2
        fill(part, b"b")
        assert await collect(consumer, 1) == [b"b"]
        cluster.kill(2)
        part.leader, part.epoch = 3, 3
        fill(part, b"c")
        assert await collect(consumer, 1) == [b"c"]


async def test_a_stopped_leader_is_left_when_another_is_elected(cluster, monkeypatch):
    monkeypatch.setattr("raftkafka.client.fetching.SILENCE_S", 0.02)
    (part,) = cluster.add_topic("t", 1)
    fill(part, b"a")
    async with consumer_of(cluster, auto_offset_reset="earliest") as consumer:
        consumer.assign([T0])
        assert await collect(consumer, 1) == [b"a"]
        cluster.deaf = {1}
        await asyncio.sleep(0.05)
        part.leader, part.epoch = 2, 2
        fill(part, b"b")
        assert await collect(consumer, 1) == [b"b"]


async def test_offset_not_available_is_waited_out(cluster):
    (part,) = cluster.add_topic("t", 1)
    fill(part, b"a")
    refusals = 3

    def script(node, request):
        nonlocal refusals
        if not isinstance(request, Fetch) or not refusals:
            return NotImplemented
        refusals -= 1
        (asked,) = request.partitions
        refused = FetchPartitionResponse(
            topic_id=asked.topic_id, partition=0, error_code=ErrorCode.OFFSET_NOT_AVAILABLE
        )
        return FetchResponse(partitions=(refused,))

    cluster.script = script
    async with consumer_of(cluster, auto_offset_reset="earliest", retry_backoff_ms=1) as consumer:
        consumer.assign([T0])
        assert await collect(consumer, 1) == [b"a"]
    assert not refusals


async def test_pause_holds_one_partition_only(cluster):
    one, two = cluster.add_topic("t", 1, 1)
    fill(one, b"one")
    fill(two, b"two")
    async with consumer_of(cluster, auto_offset_reset="earliest") as consumer:
        consumer.assign([T0, T1])
        consumer.pause(T0)
        assert consumer.paused() == [T0]
        assert await collect(consumer, 1) == [b"two"]
        assert await consumer.poll(30) == {}
        consumer.resume(T0)
        assert await collect(consumer, 1) == [b"one"]


async def test_what_is_buffered_is_bounded_while_nobody_reads(cluster):
    one, two = cluster.add_topic("t", 1, 2)
    for part in (one, two):
        for _ in range(100):
            fill(part, bytes(1_000))
    async with consumer_of(
        cluster, auto_offset_reset="earliest", max_partition_fetch_bytes=5_000, fetch_max_bytes=8_000
    ) as consumer:
        consumer.assign([T0, T1])
        await consumer.poll(1_000, max_records=1)
        await asyncio.sleep(0.1)
        buffered = sum(state.buffered.bytes for state in consumer._fetcher.states.values())
        assert 0 < buffered <= 2 * (8_000 + 5_000)
        assert len(await collect(consumer, 199)) == 199


async def test_the_next_fetch_runs_while_the_application_works(cluster):
    (part,) = cluster.add_topic("t", 1)
    for _ in range(10):
        fill(part, bytes(1_000))
    async with consumer_of(cluster, auto_offset_reset="earliest", max_partition_fetch_bytes=1_500) as consumer:
        consumer.assign([T0])
        assert len((await consumer.poll(1_000, max_records=1))[T0]) == 1
        await asyncio.sleep(0.05)  # the application's work
        asked = sum(isinstance(request, Fetch) for _, request in cluster.requests)
        assert consumer._fetcher.states[T0].buffered
        assert asked >= 2


async def test_a_quiet_partition_does_not_hold_up_a_busy_one(cluster):
    """Both have one leader; the busy one's buffer is often full, and a long poll for the other must not delay its refill."""
    busy, _ = cluster.add_topic("t", 1, 1)
    for _ in range(40):
        fill(busy, bytes(1_000))
    async with consumer_of(
        cluster, auto_offset_reset="earliest", max_partition_fetch_bytes=1_000, fetch_max_wait_ms=60_000
    ) as consumer:
        consumer.assign([T0, T1])
        values = []
        async with asyncio.timeout(5):
            while len(values) < 40:
                for records in (await consumer.poll(60_000, max_records=1)).values():
                    values += records
                await asyncio.sleep(0.005)


async def test_values_and_raw_batches(cluster):
    (part,) = cluster.add_topic("t", 1)
    for start in range(0, 30, 10):
        fill(part, *numbered(start, start + 10))
    async with consumer_of(cluster, auto_offset_reset="earliest") as consumer:
        consumer.assign([T0])
        (values,) = await consumer.poll_values(1_000)
        assert (values.first_offset, values.next_offset, values.values) == (0, 30, numbered(0, 30))
        consumer.seek(T0, 15)
        (batch,) = await consumer.poll_batches(1_000)
        assert (batch.topic_partition, batch.first_offset, batch.next_offset) == (T0, 15, 30)
        assert [header.base_offset for _, header in iter_headers(batch.records)] == [10, 20]
        assert await consumer.position(T0) == 30


async def test_iterating(cluster):
    (part,) = cluster.add_topic("t", 1)
    fill(part, *numbered(0, 10))
    async with consumer_of(cluster, auto_offset_reset="earliest") as consumer:
        consumer.assign([T0])
        seen = []
        async for record in consumer:
            seen.append((record.topic, record.partition, record.offset, record.value))
            assert await consumer.position(T0) == record.offset + 1
            if len(seen) == 10:
                break
    assert seen == [("t", 0, number, b"%d" % number) for number in range(10)]


async def test_seek_pause_and_assign_count_within_a_batch_that_is_iterated(cluster):
    for part in cluster.add_topic("t", 1, 1):
        fill(part, *numbered(0, 10))
    async with consumer_of(cluster, auto_offset_reset="earliest") as consumer:
        consumer.assign([T0])
        seen = []
        async for record in consumer:
            seen.append((record.partition, record.offset))
            if len(seen) == 3:
                consumer.seek(T0, 7)
            elif len(seen) == 5:
                consumer.assign([T0, TopicPartition("t", 1)])
                consumer.pause(T0)
            elif len(seen) == 8:
                consumer.assign([T0])
                consumer.resume(T0)
            elif len(seen) == 9:
                break
    assert seen == [(0, 0), (0, 1), (0, 2), (0, 7), (0, 8), (1, 0), (1, 1), (1, 2), (0, 9)]


@pytest.mark.parametrize("read", ["poll", "poll_values", "poll_batches"])
async def test_damage_is_raised_and_fetched_again(cluster, read):
    (part,) = cluster.add_topic("t", 1)
    fill(part, b"good")
    fill(part, b"fragile")
    whole = part.batches[1]
    part.batches[1] = (whole[0], whole[1][:-2] + b"\xff" + whole[1][-1:])
    async with consumer_of(cluster, auto_offset_reset="earliest", max_partition_fetch_bytes=1) as consumer:
        consumer.assign([T0])
        assert len(await getattr(consumer, read)(1_000)) == 1
        with pytest.raises(ApiError) as failed:
            await getattr(consumer, read)(1_000)
        assert failed.value.code is ErrorCode.CORRUPT_MESSAGE
        part.batches[1] = whole
        assert await getattr(consumer, read)(1_000)
        assert await consumer.position(T0) == 2


async def test_offsets_by_time_and_ends(cluster):
    one, two = cluster.add_topic("t", 1, 2)
    fill(one, b"a", timestamp_ms=100)
    fill(one, b"b", timestamp_ms=200)
    two.leader = -1
    async with consumer_of(cluster) as consumer:
        assert await consumer.beginning_offsets([T0]) == {T0: 0}
        assert await consumer.end_offsets([T0]) == {T0: 2}
        found = await consumer.offsets_for_times({T0: 150})
        assert tuple(found[T0]) == (1, 200)
        assert await consumer.offsets_for_times({T0: 201}) == {T0: None}
        waiting = asyncio.ensure_future(consumer.end_offsets([T0, T1]))
        await asyncio.sleep(0.03)
        two.leader, two.epoch = 3, 2
        assert await asyncio.wait_for(waiting, 2) == {T0: 2, T1: 0}


async def test_partitions_of_a_topic(cluster):
    cluster.add_topic("t", 1, 2)
    async with consumer_of(cluster, default_api_timeout_ms=500) as consumer:
        assert await consumer.partitions_for("t") == [T0, T1]
        with pytest.raises(ApiError) as failed:
            await consumer.partitions_for("missing")
        assert failed.value.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


async def test_a_new_assignment_keeps_positions_it_shares_with_the_old(cluster):
    one, two = cluster.add_topic("t", 1, 1)
    fill(one, b"a", b"b")
    fill(two, b"x")
    async with consumer_of(cluster, auto_offset_reset="earliest") as consumer:
        consumer.assign([T0])
        assert len(await collect(consumer, 2)) == 2
        consumer.assign([T1, T0])
        assert consumer.assignment() == [T0, T1]
        assert await collect(consumer, 1) == [b"x"]
        assert await consumer.position(T0) == 2


def test_odd_settings_are_refused():
    with pytest.raises(ConfigurationError):
        Consumer(auto_offset_reset="somewhere")


# Sessions and the nearest replica


async def until(consumer, condition) -> None:
    """Poll, without expecting records, until the condition holds."""
    async with asyncio.timeout(5):
        while not condition():
            assert await consumer.poll(10) == {}


def fetches(cluster, node: int | None = None) -> list[Fetch]:
    return [request for at, request in cluster.requests if isinstance(request, Fetch) and node in (None, at)]


async def test_in_a_session_an_idle_partition_is_not_spelled_out(cluster):
    cluster.sessions = {}
    parts = cluster.add_topic("t", 1, 1)
    async with consumer_of(cluster, auto_offset_reset="earliest") as consumer:
        consumer.assign([T0, T1])
        fill(parts[0], b"a")
        assert await collect(consumer, 1) == [b"a"]
        await until(consumer, lambda: not fetches(cluster)[-1].partitions)
        before = len(fetches(cluster))
        fill(parts[1], b"b")
        assert await collect(consumer, 1) == [b"b"]
        asked = len(fetches(cluster))
        await until(consumer, lambda: len(fetches(cluster)) > asked + 1)
        rows = [row.partition for each in fetches(cluster)[before:] for row in each.partitions]
        assert rows == [1]
        consumer.pause(T0)
        forgotten = lambda: [gone.partition for each in fetches(cluster)[before:] for gone in each.forgotten]  # noqa: E731
        await until(consumer, lambda: forgotten() == [0])
        consumer.resume(T0)
        fill(parts[0], b"c")
        assert await collect(consumer, 1) == [b"c"]


async def test_a_session_that_the_broker_lost_is_not_noticed(cluster):
    cluster.sessions = {}
    (part,) = cluster.add_topic("t", 1)
    async with consumer_of(cluster, auto_offset_reset="earliest") as consumer:
        consumer.assign([T0])
        fill(part, b"a")
        assert await collect(consumer, 1) == [b"a"]
        cluster.sessions.clear()
        fill(part, b"b")
        assert await collect(consumer, 1) == [b"b"]
    assert [each.session_epoch for each in fetches(cluster)].count(0) == 2


async def test_it_reads_from_the_replica_near_by_and_its_watermark_does_not_go_back(cluster):
    (part,) = cluster.add_topic("t", 1)
    fill(part, b"a")
    async with consumer_of(cluster, auto_offset_reset="earliest", client_rack="r3") as consumer:
        consumer.assign([T0])
        assert await collect(consumer, 1) == [b"a"]
        assert fetches(cluster, 3) == []
        cluster.followers[3] = 1
        await until(consumer, lambda: fetches(cluster, 3))
        fill(part, b"b")
        # Node 3 does not know yet that b is committed.
        asked = len(fetches(cluster, 3))
        await until(consumer, lambda: len(fetches(cluster, 3)) > asked + 2)
        assert consumer.high_watermark(T0) == 1
        cluster.followers[3] = 2
        before = len(fetches(cluster, 1))
        assert await collect(consumer, 1) == [b"b"]
        assert consumer.high_watermark(T0) == 2
        assert len(fetches(cluster, 1)) == before
        # It starts again and knows less for a while: what the application was shown stays.
        cluster.followers[3] = 1
        fill(part, b"c")
        assert await collect(consumer, 1) == [b"c"]
        assert consumer.high_watermark(T0) == 3


@pytest.mark.parametrize("trouble", ["behind", "dead", "silent"])
async def test_a_replica_that_does_not_serve_is_left_for_the_leader(cluster, trouble):
    (part,) = cluster.add_topic("t", 1)
    cluster.followers[3] = 1
    fill(part, b"a")
    async with consumer_of(cluster, auto_offset_reset="none", client_rack="r3", request_timeout_ms=500) as consumer:
        consumer.assign([T0])
        consumer.seek(T0, 0)
        assert await collect(consumer, 1) == [b"a"]
        fill(part, b"b")
        if trouble == "behind":
            cluster.followers[3] = 0
        elif trouble == "dead":
            cluster.kill(3)
        else:
            cluster.deaf.add(3)
        assert await collect(consumer, 1) == [b"b"]
        assert len(fetches(cluster, 1)) > 1


async def test_it_asks_the_leader_again_when_the_preference_is_old(cluster):
    (part,) = cluster.add_topic("t", 1)
    cluster.followers[3] = 1
    fill(part, b"a")
    async with consumer_of(
        cluster, auto_offset_reset="earliest", client_rack="r3", metadata_max_age_ms=200
    ) as consumer:
        consumer.assign([T0])
        assert await collect(consumer, 1) == [b"a"]
        asked, near = len(fetches(cluster, 1)), len(fetches(cluster, 3))
        await until(consumer, lambda: len(fetches(cluster, 1)) > asked + 1)
        assert len(fetches(cluster, 3)) > near + 2


async def test_who_is_throttled_asks_that_broker_for_nothing_meanwhile(cluster):
    (part,) = cluster.add_topic("t", 1)
    fill(part, b"one")
    loop = asyncio.get_running_loop()
    asked = []

    def script(node, request):
        if not isinstance(request, Fetch):
            return NotImplemented
        asked.append(loop.time())

        async def answer():
            response = await cluster.fetch(node, request)
            return replace(response, throttle_time_ms=250) if len(asked) == 1 else response

        return answer()

    cluster.script = script
    async with consumer_of(cluster, auto_offset_reset="earliest") as consumer:
        consumer.assign([T0])
        assert await collect(consumer, 1) == [b"one"]
        fill(part, b"two")
        assert await collect(consumer, 1) == [b"two"]
    assert asked[1] - asked[0] >= 0.24


@pytest.mark.parametrize("wrong", [{"group_id": 5}, {"group_id": b"g"}, {"group_id": "g", "group_instance_id": 5}])
async def test_ids_of_another_type_are_refused_at_once(wrong) -> None:
    with pytest.raises(ConfigurationError, match="is a str, not"):
        Consumer("b1:9092", **wrong)


@pytest.mark.parametrize(("wrong", "error"), [(5, TypeError), (b"t", TypeError), ("x" * 40_000, ApiError)])
async def test_names_that_no_request_can_hold_are_refused_at_once(cluster, wrong, error) -> None:
    cluster.add_topic("t", 1)
    async with consumer_of(cluster, auto_offset_reset="earliest") as consumer:
        with pytest.raises(error, match="a topic's name"):
            consumer.assign([(wrong, 0)])
        with pytest.raises(error, match="a topic's name"):
            await consumer.partitions_for(wrong)
        assert consumer.assignment() == []


@pytest.mark.parametrize("wrong", ["bad/name", "..", "x" * 250])
async def test_topics_that_cannot_be_are_not_waited_for(cluster, wrong) -> None:
    async with consumer_of(cluster, group_id="g") as consumer:
        with pytest.raises(ApiError, match="topic name") as refused:
            consumer.subscribe(["t", wrong])
        assert refused.value.code is ErrorCode.INVALID_TOPIC_EXCEPTION
