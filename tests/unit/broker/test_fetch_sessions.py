"""Fetch sessions: only news in the answers, nobody forgotten, room for the worthier, and fair shares of a full answer."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from raftkafka.broker import fetch_sessions
from raftkafka.broker.fetch_sessions import EVICTION_S, FetchSessions
from raftkafka.model.api.fetch import Fetch, FetchPartition, ForgottenPartition
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NO_NODE, NodeId, PartitionIndex, TopicId


class Asker:
    """One side of a session, spelled out by hand."""

    def __init__(self, world, *, follower: int = NO_NODE) -> None:
        self.world = world
        self.follower = follower
        self.session_id, self.epoch = 0, 0

    def row(self, partition, offset: int, **fields) -> FetchPartition:
        key = partition.topic_partition
        if self.follower != NO_NODE:
            fields = {"current_leader_epoch": partition.leader_epoch, "flushed_offset": offset, **fields}
        return FetchPartition(topic_id=key.topic_id, partition=key.partition, fetch_offset=offset, **fields)

    def ask(self, *rows: FetchPartition, forget=(), **fields):
        request = Fetch(
            replica_id=NodeId(self.follower),
            replica_epoch=-1 if self.follower == NO_NODE else self.world.epoch(self.follower),
            session_id=self.session_id,
            session_epoch=self.epoch,
            partitions=rows,
            forgotten=tuple(
                ForgottenPartition(topic_id=each.topic_partition.topic_id, partition=each.topic_partition.partition)
                for each in forget
            ),
            **{"max_wait_ms": 0, **fields},
        )
        context = RequestContext(listener="PLAINTEXT", client_address="test")
        context.node_id = NodeId(self.follower)
        answer = self.world.fetch(context, request)
        self.epoch += 1
        if not asyncio.isfuture(answer):
            self.session_id = self.session_id or answer.session_id
        return answer


@pytest.fixture
async def topics(world):
    world.start_brokers(1, 2)
    world.run()
    return [await world.leading(name, 1, 2) for name in ("a", "b", "c")]


@pytest.fixture
def follower(world) -> Asker:
    return Asker(world, follower=2)


def names(answer) -> list[str]:
    return [each.topic_id[:1].decode() for each in answer.partitions]


async def test_the_first_answer_is_whole_and_the_next_ones_tell_news_only(world, topics, follower):
    first = follower.ask(*(follower.row(each, 0) for each in topics))
    assert names(first) == ["a", "b", "c"]
    assert first.session_id > 0
    assert follower.ask().partitions == ()
    world.send(topics[1], acks=1)
    (news,) = follower.ask().partitions
    assert (news.topic_id, len(news.records) > 0) == (topics[1].topic_partition.topic_id, True)
    # Not acknowledged by a changed row, so it may not have arrived.
    assert names(follower.ask()) == ["b"]
    assert follower.ask(follower.row(topics[1], 1, last_fetched_epoch=0)).session_id == first.session_id


async def test_a_watermark_that_moved_is_news_that_can_wait(world, topics, follower):
    world.send(topics[0], acks=1)
    await world.until(lambda: topics[0].log.flushed_offset == 1)
    follower.ask(*(follower.row(each, 0) for each in topics))
    began = asyncio.get_running_loop().time()
    waiting = follower.ask(follower.row(topics[0], 1, last_fetched_epoch=0), max_wait_ms=300)
    assert topics[0].high_watermark == 1
    (news,) = (await waiting).partitions
    assert asyncio.get_running_loop().time() - began == pytest.approx(0.3)
    assert (news.high_watermark, bytes(news.records)) == (1, b"")
    assert (await follower.ask(max_wait_ms=100)).partitions == ()


async def test_a_log_start_that_moved_is_news(world, topics, follower):
    world.send(topics[2], acks=1)
    await world.until(lambda: topics[2].log.flushed_offset == 1)
    follower.ask(follower.row(topics[2], 1, last_fetched_epoch=0))
    follower.ask()
    topics[2].log.advance_log_start(1)
    await asyncio.sleep(1)
    (news,) = follower.ask().partitions
    assert news.log_start_offset == 1


async def test_a_parked_question_is_woken_by_one_partition_and_answers_for_it_alone(world, topics, follower):
    follower.ask(*(follower.row(each, 0) for each in topics))
    waiting = follower.ask(max_wait_ms=10_000)
    began = asyncio.get_running_loop().time()
    world.send(topics[2], acks=1)
    assert names(await waiting) == ["c"]
    assert asyncio.get_running_loop().time() == began


async def test_who_leaves_the_session_is_heard_of_no_more(world, topics, follower):
    follower.ask(*(follower.row(each, 0) for each in topics))
    assert len(topics[0].waiting_fetches) == 1
    follower.ask(forget=[topics[0]])
    world.send(topics[0], acks=1)
    assert follower.ask().partitions == ()
    assert len(topics[0].waiting_fetches) == 0


async def test_a_silent_follower_stays_in_sync_and_one_that_is_gone_does_not(world, topics, follower):
    follower.ask(*(follower.row(each, 0) for each in topics))
    leader = topics[0].leader
    for _ in range(100):
        await asyncio.sleep(0.5)
        follower.ask()
    world.send(topics[0], acks=1)
    now = asyncio.get_running_loop().time
    assert leader.isr_proposal(now(), lambda node: True) is None
    await asyncio.sleep(world.settings.replica.lag_time_max_ms / 1000 + 1)
    proposed = leader.isr_proposal(now(), lambda node: True)
    assert [member.node_id for member in proposed] == [1]


async def test_a_follower_that_knew_of_itself_before_the_leader_did_gets_in_sync(world, topics, follower):
    """Nothing is written, so it has no reason to say again where it is."""
    partition = await world.leading("d", 1)
    follower.ask(*(follower.row(each, 0) for each in (*topics, partition)))
    assert partition.leader.follower(2) is None
    world.reassign(partition.topic_partition, 1, 2)
    assert partition.leader.follower(2).fetch_offset < 0
    for _ in range(2):
        await asyncio.sleep(0.5)
        follower.ask()
    assert partition.leader.follower(2).fetch_offset == 0
    proposed = partition.leader.isr_proposal(asyncio.get_running_loop().time(), lambda node: True)
    assert [member.node_id for member in proposed] == [1, 2]


async def test_a_replica_that_was_taken_back_and_added_again_asks_in_a_new_epoch(world, topics, follower):
    partition = await world.leading("d", 1)
    world.reassign(partition.topic_partition, 1, 2)
    follower.ask(follower.row(partition, 0))
    world.reassign(partition.topic_partition)
    world.reassign(partition.topic_partition, 1, 2)
    await asyncio.sleep(0.5)
    (news,) = follower.ask().partitions
    assert news.error_code is ErrorCode.FENCED_LEADER_EPOCH
    follower.ask(follower.row(partition, 0))
    assert partition.leader.follower(2).fetch_offset == 0


async def test_a_change_of_leadership_is_an_error_until_it_is_asked_for_anew(world, topics, follower):
    follower.ask(*(follower.row(each, 0) for each in topics))
    waiting = follower.ask(max_wait_ms=10_000)
    world.set_leader(topics[0].topic_partition, 2)
    (news,) = (await waiting).partitions
    assert news.error_code is ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert names(follower.ask()) == ["a"]
    world.set_leader(topics[0].topic_partition, 1)
    (news,) = follower.ask().partitions
    assert news.error_code is ErrorCode.FENCED_LEADER_EPOCH
    assert follower.ask(follower.row(topics[0], 0)).partitions[0].error_code is ErrorCode.NONE
    assert follower.ask().partitions == ()


async def test_a_topic_made_again_under_its_id_is_found(world, topics, follower):
    follower.ask(*(follower.row(each, 0) for each in topics))
    world.delete(topics[0].topic_partition)
    await world.until(lambda: world.replicas.get(topics[0].topic_partition) is None)
    assert follower.ask().partitions[0].error_code is ErrorCode.UNKNOWN_TOPIC_ID
    again = await world.leading("a", 1, 2)
    assert again is not topics[0]
    world.send(again, acks=1)
    (news,) = follower.ask(follower.row(again, 0)).partitions
    assert (news.error_code, len(news.records) > 0) == (ErrorCode.NONE, True)


async def test_a_full_answer_serves_the_others_first_the_next_time(world, topics, follower):
    size = len(world.batch())
    for each in topics:
        for _ in range(4):
            world.send(each, acks=1)
    served = [names(follower.ask(*(follower.row(each, 0) for each in topics), max_bytes=size))[:1]]
    offsets = dict.fromkeys("abc", 0)
    order = []
    answer = follower.ask(max_bytes=size)
    for _ in range(6):
        (response,) = [each for each in answer.partitions if len(each.records)]
        name = response.topic_id[:1].decode()
        order.append(name)
        offsets[name] += 1
        partition = topics["abc".index(name)]
        answer = follower.ask(follower.row(partition, offsets[name], last_fetched_epoch=0), max_bytes=size)
    assert order[:3] == ["b", "c", "a"]
    assert order[3:] == ["b", "c", "a"]
    assert served == [["a"]]


async def test_a_consumers_session_is_woken_by_the_watermark(world, topics, follower):
    consumer = Asker(world)
    consumer.ask(*(consumer.row(each, 0) for each in topics))
    waiting = consumer.ask(max_wait_ms=10_000)
    world.send(topics[1], acks=1)
    await asyncio.sleep(1)
    assert not waiting.done()
    follower.ask(follower.row(topics[1], 1, last_fetched_epoch=0))
    (news,) = (await waiting).partitions
    assert (news.topic_id[:1], len(news.records) > 0, news.high_watermark) == (b"b", True, 1)


async def test_sessions_that_nobody_uses_any_more_cost_an_append_nothing(world, topics, follower):
    for _ in range(50):
        consumer = Asker(world)
        consumer.ask(consumer.row(topics[0], 0))
    assert len(topics[0].waiting_fetches) == 50
    world.send(topics[0], acks=1)
    await world.until(lambda: topics[0].log.flushed_offset == 1)
    follower.ask(follower.row(topics[0], 1, last_fetched_epoch=0))
    assert topics[0].high_watermark == 1
    assert len(topics[0].waiting_fetches) == 1
    assert len(consumer.ask().partitions[0].records) > 0


async def test_an_append_wakes_a_follower_that_has_yet_to_hear_of_a_watermark(world, topics, follower):
    world.send(topics[0], acks=1)
    await world.until(lambda: topics[0].log.flushed_offset == 1)
    follower.ask(follower.row(topics[0], 0))
    waiting = follower.ask(follower.row(topics[0], 1, last_fetched_epoch=0), max_wait_ms=10_000)
    assert topics[0].high_watermark == 1
    await asyncio.sleep(0.1)
    began = asyncio.get_running_loop().time()
    world.send(topics[0], acks=1)
    (news,) = (await waiting).partitions
    assert (news.high_watermark, len(news.records) > 0) == (1, True)
    assert asyncio.get_running_loop().time() == began


# Ids and epochs


async def test_the_wrong_epoch_and_the_wrong_session_are_refused(world, topics, follower):
    follower.ask(follower.row(topics[0], 0))
    follower.epoch = 5
    assert follower.ask().error_code is ErrorCode.INVALID_FETCH_SESSION_EPOCH
    follower.epoch = 1
    assert follower.ask().error_code is ErrorCode.NONE
    stranger = Asker(world)
    stranger.session_id, stranger.epoch = follower.session_id, 2
    assert stranger.ask().error_code is ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    follower.session_id ^= 1
    assert follower.ask().error_code is ErrorCode.FETCH_SESSION_ID_NOT_FOUND


async def test_a_new_session_ends_the_old_one_and_its_wait(world, topics, follower):
    follower.ask(follower.row(topics[0], 0))
    waiting = follower.ask(max_wait_ms=10_000)
    follower.epoch = 0
    old = follower.session_id
    follower.session_id = old
    assert follower.ask(follower.row(topics[0], 0)).session_id not in (0, old)
    assert waiting.done()
    assert len(world.sessions) == 1
    assert len(topics[0].waiting_fetches) == 1


async def test_the_next_question_of_a_session_ends_the_wait_of_the_one_before(world, topics, follower):
    follower.ask(follower.row(topics[0], 0))
    first = follower.ask(max_wait_ms=10_000)
    follower.ask(max_wait_ms=0)
    assert (await first).partitions == ()


async def test_a_cancelled_wait_keeps_the_session(world, topics, follower):
    follower.ask(follower.row(topics[0], 0))
    follower.ask(max_wait_ms=10_000).cancel()
    await asyncio.sleep(0)
    world.send(topics[0], acks=1)
    assert names(follower.ask()) == ["a"]


# Room


def sessions(slots: int) -> FetchSessions:
    return FetchSessions(slots=slots, random=Random(1))


def whole(partitions: int = 1, *, replica: int = NO_NODE, session_id: int = 0, epoch: int = 0) -> Fetch:
    rows = tuple(
        FetchPartition(topic_id=TopicId(b"t" * 16), partition=PartitionIndex(number), fetch_offset=0)
        for number in range(partitions)
    )
    return Fetch(replica_id=NodeId(replica), session_id=session_id, session_epoch=epoch, partitions=rows)


def test_without_slots_there_are_no_sessions():
    assert sessions(0).open(whole(), 0.0).session_id == 0


def test_only_who_was_silent_for_long_makes_room_among_equals():
    table = sessions(2)
    first, second = table.open(whole(), 0.0), table.open(whole(), 1.0)
    assert table.open(whole(), EVICTION_S).session_id == 0
    table.open(whole(session_id=first.session_id, epoch=1), EVICTION_S)
    assert table.open(whole(), 2 + EVICTION_S).session_id > 0
    with pytest.raises(ApiError, match="FETCH_SESSION_ID_NOT_FOUND"):
        table.open(whole(session_id=second.session_id, epoch=1), 3 + EVICTION_S)
    assert (len(table), table.evictions) == (2, 1)


def test_a_follower_drives_out_a_consumer_and_never_the_other_way_round():
    table = sessions(1)
    table.open(whole(50), 0.0)
    follower = table.open(whole(1, replica=2), 1.0)
    assert follower.session_id > 0
    assert table.open(whole(50), 2.0).session_id == 0
    assert table.open(whole(50, replica=3), 3.0).session_id == 0


def test_after_its_time_a_small_session_gives_way_to_a_larger_one():
    table = sessions(1)
    small = table.open(whole(2), 0.0)
    later = EVICTION_S + 1
    table.open(whole(session_id=small.session_id, epoch=1), later)
    assert table.open(whole(1), later).session_id == 0
    assert table.open(whole(3), later).session_id > 0


def test_all_sessions_together_hold_so_many_partitions(monkeypatch):
    monkeypatch.setattr(fetch_sessions, "PARTITIONS_MAX", 5)
    table = sessions(10)
    first = table.open(whole(4), 0.0)
    assert table.open(whole(2), 0.0).session_id == 0
    assert table.partitions == 4
    with pytest.raises(ApiError, match="FETCH_SESSION_ID_NOT_FOUND"):
        table.open(whole(6, session_id=first.session_id, epoch=1), 0.0)
    assert (len(table), table.partitions) == (0, 0)


async def test_a_batch_too_large_for_its_place_comes_with_the_next_answer(world, topics, follower):
    """It fits nowhere but at the first place; nothing else happens to its partition that would put it on the list again."""
    small, large, _ = topics
    follower.ask(*(follower.row(each, 0, max_bytes=500) for each in topics))
    world.send(small, acks=1)
    world.send(large, acks=1, records=world.batch(bytes(1_000)))
    first = {each.topic_id[:1]: len(each.records) for each in follower.ask().partitions}
    assert first[b"a"] > 0
    assert not first.get(b"b")
    (news,) = follower.ask(follower.row(small, 1, last_fetched_epoch=0, max_bytes=500)).partitions
    assert (news.topic_id[:1], len(news.records) > 1_000) == (b"b", True)


def test_consumers_cannot_use_up_the_partitions_that_followers_need(monkeypatch):
    monkeypatch.setattr(fetch_sessions, "PARTITIONS_MAX", 5)
    table = sessions(10)
    first, second = table.open(whole(2), 0.0), table.open(whole(3), 1.0)
    assert table.open(whole(2, replica=2), 2.0).session_id > 0
    with pytest.raises(ApiError, match="FETCH_SESSION_ID_NOT_FOUND"):
        table.open(whole(session_id=first.session_id, epoch=1), 3.0)
    assert table.open(whole(1, session_id=second.session_id, epoch=1), 3.0) is second
    assert table.open(whole(9, replica=3), 4.0).session_id == 0
    assert (len(table), table.partitions, table.evictions) == (2, 5, 1)
