"""Following: append, sync, report; truncate where the leader says; pause, change lanes, and end with the partition."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from itertools import pairwise

import pytest

from raftkafka.broker import fetcher
from raftkafka.model.api.fetch import EpochEndOffset, Fetch, FetchPartitionResponse, FetchResponse
from raftkafka.model.errors import CorruptionError, DiskFullError, ErrorCode, StorageError, SyncFailedError
from raftkafka.model.ids import NodeId
from raftkafka.ports.peer import PeerUnavailableError
from raftkafka.record.header import stamp


class Leader:
    """Node 2's answers to fetches; parks a question until `park_s` when it has nothing to say."""

    def __init__(self, world) -> None:
        self.world = world
        self.asked: list[Fetch] = []
        self.lanes: list[str] = []
        self.rows: dict[bytes, Callable] = {}
        self.whole: FetchResponse | Exception | None = None
        self.once: list[FetchResponse] = []
        self.records: dict[bytes, bytes] = {}
        self.watermark = 0
        world.peers.answer = self.answer
        self.session: dict[tuple, object] | None = None
        """With a dict, the rows of the follower's session."""
        self.deaf = False
        """Whether a question that waits is left waiting when the next one comes."""

    async def answer(self, node: int, request: Fetch) -> FetchResponse:
        assert node == 2
        self.asked.append(request)
        self.lanes.append(self.world.peers.asked[-1][2])
        await asyncio.sleep(0.001)
        if isinstance(self.whole, Exception):
            raise self.whole
        if self.whole is not None:
            return self.whole
        if self.once:
            return self.once.pop()
        if self.session is not None:
            return await self.answer_in_session(request)
        rows = [self.row(each) for each in request.partitions]
        if all(row.error_code is ErrorCode.NONE and not row.records and not row.diverging_epoch for row in rows):
            await asyncio.sleep(request.max_wait_ms / 1000)
            rows = [self.row(each) for each in request.partitions]
        return FetchResponse(partitions=tuple(rows))

    async def answer_in_session(self, request: Fetch) -> FetchResponse:
        if request.session_epoch == 0:
            self.session.clear()
        for gone in request.forgotten:
            del self.session[gone.topic_id]
        self.session.update({each.topic_id: each for each in request.partitions})
        deadline = asyncio.get_running_loop().time() + request.max_wait_ms / 1000
        number = len(self.asked)
        while True:
            rows = [row for each in self.session.values() if (row := self.row(each)).records or row.error_code]
            called_back = len(self.asked) > number and not self.deaf
            if rows or called_back or asyncio.get_running_loop().time() >= deadline:
                return FetchResponse(partitions=tuple(rows), session_id=9)
            await asyncio.sleep(0.001)

    def row(self, wanted) -> FetchPartitionResponse:
        special = self.rows.get(wanted.topic_id)
        fields = special(wanted) if special is not None else None
        if fields is None:
            log = self.records.get(wanted.topic_id, [])
            fields = {"records": b"".join(log[wanted.fetch_offset :]), "high_watermark": self.watermark}
        return FetchPartitionResponse(
            topic_id=wanted.topic_id, partition=wanted.partition, **{"log_start_offset": 0, **fields}
        )

    def append(self, partition, *, epoch: int, size: int = 10) -> None:
        log = self.records.setdefault(partition.topic_partition.topic_id, [])
        batch = self.world.batch(b"x" * size)
        stamp(batch, 0, len(log), epoch)
        log.append(bytes(batch))


@pytest.fixture
async def leader(world) -> Leader:
    return Leader(world)


async def following(world, name: str = "orders"):
    key = world.create(name, 2, 1)
    await world.until(lambda: world.replicas.get(key) is not None)
    return world.replicas.get(key)


@pytest.fixture
async def orders(world, leader):
    world.start_brokers(1, 2)
    world.run()
    return await following(world)


async def test_it_appends_syncs_and_reports_what_is_synced(world, leader, orders):
    for _ in range(3):
        leader.append(orders, epoch=0)
    leader.watermark = 2
    await world.until(lambda: orders.log.log_end_offset == 3)
    assert orders.high_watermark == 2
    await world.until(lambda: leader.asked[-1].partitions[0].fetch_offset == 3)
    (row,) = leader.asked[-1].partitions
    assert (row.flushed_offset, row.last_fetched_epoch, row.current_leader_epoch) == (3, 0, 0)
    assert (leader.asked[-1].replica_id, leader.asked[-1].replica_epoch) == (1, world.epoch(1))


async def test_what_is_not_synced_is_not_reported_as_such(world, leader, orders):
    world.disk.gate.clear()
    leader.append(orders, epoch=0)
    await world.until(lambda: orders.log.log_end_offset == 1)
    asked = len(leader.asked)
    await asyncio.sleep(2)
    assert len(leader.asked) == asked
    world.disk.gate.set()
    await world.until(lambda: leader.asked[-1].partitions[0].flushed_offset == 1)


async def test_a_large_answer_is_followed_by_the_next_question_before_its_sync(world, leader, orders):
    world.disk.gate.clear()
    leader.append(orders, epoch=0, size=600_000)
    await world.until(lambda: leader.asked[-1].partitions[0].fetch_offset == 1)
    assert leader.asked[-1].partitions[0].flushed_offset == 0
    assert leader.asked[-1].max_wait_ms == 0
    world.disk.gate.set()
    await world.until(lambda: leader.asked[-1].partitions[0].flushed_offset == 1)


async def test_it_truncates_where_the_leader_says_and_nowhere_else(world, leader, orders):
    for _ in range(3):
        leader.append(orders, epoch=0)
    await world.until(lambda: orders.log.log_end_offset == 3)
    leader.rows[orders.topic_partition.topic_id] = lambda wanted: (
        {"diverging_epoch": EpochEndOffset(epoch=0, end_offset=1)} if wanted.fetch_offset == 3 else None
    )
    leader.records[orders.topic_partition.topic_id][1:] = []
    await world.until(lambda: orders.log.log_end_offset == 1)
    leader.append(orders, epoch=0)
    await world.until(lambda: orders.log.log_end_offset == 2)
    assert orders.offline is None


async def test_a_truncation_waits_for_space_and_ends_with_a_failed_sync(world, leader, orders, monkeypatch):
    for _ in range(3):
        leader.append(orders, epoch=0)
    await world.until(lambda: orders.log.log_end_offset == 3)
    leader.rows[orders.topic_partition.topic_id] = lambda wanted: (
        {"diverging_epoch": EpochEndOffset(epoch=0, end_offset=1)} if wanted.fetch_offset > 1 else None
    )
    leader.records[orders.topic_partition.topic_id][1:] = []
    with monkeypatch.context() as patched:
        patched.setattr(world.disk, "write_atomic", raising(DiskFullError("no space")))
        await asyncio.sleep(2)
        assert (orders.offline, orders.log.log_end_offset) == (None, 3)
    await world.until(lambda: orders.log.log_end_offset == 1)
    await world.logs.checkpoint_recovery_points()
    monkeypatch.setattr(world.disk, "write_atomic", raising(SyncFailedError("EIO")))
    leader.append(orders, epoch=0)
    await world.until(lambda: orders.offline is not None)
    assert world.all_failed == [orders.offline]


def raising(error):
    def refused(*_, **__):
        raise error

    return refused


async def test_behind_the_leaders_log_start_it_begins_again_there(world, leader, orders):
    leader.rows[orders.topic_partition.topic_id] = lambda wanted: (
        {"error_code": ErrorCode.OFFSET_OUT_OF_RANGE, "log_start_offset": 100}
        if wanted.fetch_offset < 100
        else {"log_start_offset": 100, "high_watermark": 100}
    )
    await world.until(lambda: orders.log.log_end_offset == 100)
    assert (orders.log.log_start_offset, orders.high_watermark) == (100, 100)


async def test_an_answer_to_an_older_epoch_is_thrown_away(world, leader, orders):
    before = len(leader.asked)
    world.set_leader(orders.topic_partition, 1)
    world.set_leader(orders.topic_partition, 2)
    leader.append(orders, epoch=2)
    await world.until(lambda: orders.log.log_end_offset == 1)
    assert {each.partitions[0].current_leader_epoch for each in leader.asked[before:]} == {2}


async def test_a_new_partition_does_not_wait_for_the_long_poll_of_the_others(world, leader, orders):
    await world.until(lambda: leader.asked and leader.asked[-1].max_wait_ms == 500)
    began = asyncio.get_running_loop().time()
    other = await following(world, "other")
    leader.append(other, epoch=0)
    await world.until(lambda: other.log.log_end_offset == 1)
    assert asyncio.get_running_loop().time() - began < 0.1
    assert len(set(leader.lanes)) > 1


@pytest.mark.parametrize(
    ("code", "longest_s"),
    [
        (ErrorCode.NOT_LEADER_OR_FOLLOWER, 0.2),
        (ErrorCode.UNKNOWN_LEADER_EPOCH, 0.2),
        (ErrorCode.KAFKA_STORAGE_ERROR, 0.2),
    ],
)
async def test_a_refused_partition_pauses_and_the_others_go_on(world, leader, orders, code, longest_s):
    other = await following(world, "other")
    leader.rows[orders.topic_partition.topic_id] = lambda wanted: {"error_code": code}
    await asyncio.sleep(1)
    before = len(leader.asked)
    await asyncio.sleep(1)
    assert len(leader.asked) - before < 2 * 1 / (longest_s / 2.5)
    leader.append(other, epoch=0)
    await world.until(lambda: other.log.log_end_offset == 1, timeout_s=1)
    del leader.rows[orders.topic_partition.topic_id]
    leader.append(orders, epoch=0)
    began = asyncio.get_running_loop().time()
    await world.until(lambda: orders.log.log_end_offset == 1)
    assert asyncio.get_running_loop().time() - began < longest_s


@pytest.mark.parametrize(
    "trouble", [PeerUnavailableError("down"), FetchResponse(error_code=ErrorCode.STALE_BROKER_EPOCH, partitions=())]
)
async def test_a_leader_in_trouble_is_asked_again_after_a_pause(world, leader, orders, trouble):
    leader.whole = trouble
    await asyncio.sleep(1)
    before = len(leader.asked)
    await asyncio.sleep(1)
    assert 5 <= len(leader.asked) - before <= 11
    leader.whole = None
    leader.append(orders, epoch=0)
    await world.until(lambda: orders.log.log_end_offset == 1)


async def test_damaged_bytes_are_not_appended_and_asked_for_again(world, leader, orders):
    leader.append(orders, epoch=0)
    whole = leader.records[orders.topic_partition.topic_id][0]
    leader.records[orders.topic_partition.topic_id][0] = whole[:-1] + bytes([whole[-1] ^ 1])
    await asyncio.sleep(1)
    assert (orders.log.log_end_offset, orders.offline) == (0, None)
    leader.records[orders.topic_partition.topic_id][0] = whole
    await world.until(lambda: orders.log.log_end_offset == 1)


async def test_a_new_leader_is_asked_again_soon_and_one_that_takes_its_time_less_often(world, leader, orders):
    """A thousand partitions that ask fifty times a second keep a leader from opening their logs."""
    leader.rows[orders.topic_partition.topic_id] = lambda wanted: {"error_code": ErrorCode.NOT_LEADER_OR_FOLLOWER}
    world.set_leader(orders.topic_partition, 1)
    world.set_leader(orders.topic_partition, 2)
    before = len(leader.asked)
    await asyncio.sleep(0.07)
    assert len(leader.asked) - before >= 3
    await asyncio.sleep(0.5)
    before = len(leader.asked)
    await asyncio.sleep(1)
    assert len(leader.asked) - before <= 11


async def test_a_full_disk_holds_the_follower_up_and_no_longer(world, leader, orders, monkeypatch, caplog):
    def full(records, *, now_ms):
        raise DiskFullError("no space")

    with monkeypatch.context() as patched:
        patched.setattr(orders.log, "append_as_follower", full)
        leader.append(orders, epoch=0)
        await asyncio.sleep(1)
        assert orders.offline is None
        assert len([line for line in caplog.messages if "cannot follow" in line]) == 1
    await world.until(lambda: orders.log.log_end_offset == 1)


async def test_a_failing_disk_takes_all_replicas_on_it_offline(world, leader, orders, monkeypatch):
    other = await following(world, "other")
    monkeypatch.setattr(orders.log, "append_as_follower", raising(StorageError("EIO")))
    leader.append(orders, epoch=0)
    await world.until(lambda: orders.offline is not None)
    assert other.offline is orders.offline
    assert world.all_failed == [orders.offline]


async def test_damage_takes_one_replica_offline_and_the_others_go_on(world, leader, orders, monkeypatch):
    other = await following(world, "other")
    monkeypatch.setattr(orders.log, "append_as_follower", raising(CorruptionError("a bit has flipped")))
    leader.append(orders, epoch=0)
    leader.append(other, epoch=0)
    await world.until(lambda: orders.offline is not None)
    await world.until(lambda: other.log.log_end_offset == 1)
    await asyncio.sleep(1)
    assert all(row.topic_id == other.topic_partition.topic_id for row in leader.asked[-1].partitions)


async def test_a_partition_deleted_during_a_fetch_leaves_the_others_followed(world, leader, orders):
    other = await following(world, "other")
    await asyncio.sleep(1)
    # The question about both is parked; its answer appends to one and finds the other gone.
    world.delete(orders.topic_partition)
    leader.append(other, epoch=0)
    await world.until(lambda: other.log.log_end_offset == 1)
    leader.append(other, epoch=0)
    await world.until(lambda: other.log.log_end_offset == 2)


async def test_who_was_served_goes_behind_the_others(world, leader, orders):
    other = await following(world, "other")
    await asyncio.sleep(0.1)
    leader.append(orders, epoch=0)
    await world.until(lambda: orders.log.log_end_offset == 1)
    await world.until(lambda: leader.asked[-1].partitions[0].topic_id == other.topic_partition.topic_id)


async def test_without_a_leader_nobody_is_asked(world, leader, orders):
    world.fence(2)
    await asyncio.sleep(1)
    before = len(leader.asked)
    await asyncio.sleep(5)
    assert len(leader.asked) == before
    assert orders.is_leader


async def test_the_last_partition_takes_its_fetcher_with_it(world, leader, orders):
    world.delete(orders.topic_partition)
    await asyncio.sleep(1)
    before = len(leader.asked)
    await asyncio.sleep(5)
    assert len(leader.asked) == before
    assert world.fetchers._by_leader == {}


async def test_a_partition_has_one_leader_at_a_time(world, leader, orders):
    world.start_brokers(3)
    world.fetchers.follow(orders, NodeId(3))
    assert list(world.fetchers._by_leader) == [3]
    world.fetchers.forget(orders.topic_partition)
    world.fetchers.forget(orders.topic_partition)
    assert world.fetchers._by_leader == {}


async def test_a_question_that_fails_while_the_fetcher_stops_is_no_news(world, orders, leader):
    loop = asyncio.get_running_loop()
    complaints: list[object] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    failing: asyncio.Future[FetchResponse] = loop.create_future()
    world.peers.answer = lambda node, request: failing
    asked = len(world.peers.asked)
    await world.until(lambda: len(world.peers.asked) > asked)
    # Both in one turn of the loop: the failure is there, and the task that would have looked at it is gone.
    failing.set_exception(PeerUnavailableError("the connection was lost"))
    await asyncio.sleep(0)
    world.fetchers.stop()
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    assert complaints == []


# Sessions


async def test_in_a_session_only_what_has_changed_is_asked_for(world, leader, orders):
    leader.session = {}
    other = await following(world, "other")
    await world.until(lambda: leader.asked[-1].session_epoch > 2)
    assert leader.asked[-1].partitions == leader.asked[-1].forgotten == ()
    before = len(leader.asked)
    leader.append(other, epoch=0)
    await world.until(lambda: other.log.flushed_offset == 1 and not leader.asked[-1].partitions)
    spelled_out = [row for each in leader.asked[before:] for row in each.partitions]
    assert {row.topic_id for row in spelled_out} == {other.topic_partition.topic_id}
    assert (spelled_out[-1].fetch_offset, spelled_out[-1].flushed_offset) == (1, 1)
    assert leader.session[orders.topic_partition.topic_id].fetch_offset == 0


async def test_every_sync_and_every_log_start_is_reported_in_a_session(world, leader, orders):
    leader.session = {}
    await world.until(lambda: leader.asked[-1].session_epoch > 1)
    world.disk.gate.clear()
    leader.append(orders, epoch=0, size=600_000)
    row = lambda: leader.session[orders.topic_partition.topic_id]  # noqa: E731
    await world.until(lambda: row().fetch_offset == 1)
    assert (row().flushed_offset, leader.asked[-1].max_wait_ms) == (0, 0)
    world.disk.gate.set()
    await world.until(lambda: row().flushed_offset == 1, timeout_s=0.1)
    orders.set_follower_watermark(1)
    orders.log.advance_log_start(1)
    await world.until(lambda: row().log_start_offset == 1, timeout_s=2)


async def test_who_pauses_or_goes_offline_leaves_the_session_and_who_pauses_comes_back(world, leader, orders):
    leader.session = {}
    other = await following(world, "other")
    topic = orders.topic_partition.topic_id
    leader.rows[topic] = lambda wanted: {"error_code": ErrorCode.KAFKA_STORAGE_ERROR}
    await world.until(lambda: topic not in leader.session and other.topic_partition.topic_id in leader.session)
    del leader.rows[topic]
    await world.until(lambda: topic in leader.session)
    orders.take_offline(StorageError("EIO"))
    await world.until(lambda: topic not in leader.session)


async def test_a_question_that_waits_is_called_back_for_a_new_partition_and_the_session_goes_on(world, leader, orders):
    leader.session = {}
    await world.until(lambda: leader.asked[-1].session_epoch > 2 and leader.asked[-1].max_wait_ms == 500)
    before, began = len(leader.asked), asyncio.get_running_loop().time()
    other = await following(world, "other")
    leader.append(other, epoch=0)
    await world.until(lambda: other.log.log_end_offset == 1)
    assert asyncio.get_running_loop().time() - began < 0.1
    since = leader.asked[before - 1 :]
    assert all(later.session_epoch == earlier.session_epoch + 1 for earlier, later in pairwise(since))
    assert {row.topic_id for each in since for row in each.partitions} == {other.topic_partition.topic_id}
    assert (since[1].max_wait_ms, since[1].partitions, len(set(leader.lanes[before - 1 :]))) == (0, (), 1)


async def test_who_was_refused_is_named_again_however_late_the_loop_comes_to_it(world, leader, orders):
    """A row that the leader has refused and that is not named again is followed without the leader ever counting it."""
    leader.session = {}
    other = await following(world, "other")
    topic = orders.topic_partition.topic_id
    await world.until(lambda: leader.session.keys() == {topic, other.topic_partition.topic_id})
    world.disk.gate.clear()
    leader.rows[topic] = lambda wanted: {"error_code": ErrorCode.NOT_LEADER_OR_FOLLOWER}
    leader.append(other, epoch=0)
    await world.until(lambda: other.log.log_end_offset == 1)
    del leader.rows[topic]
    before = len(leader.asked)
    await asyncio.sleep(1)  # the sync takes longer than the pause
    assert len(leader.asked) == before
    world.disk.gate.set()
    named = lambda: {row.topic_id for each in leader.asked[before:] for row in each.partitions}  # noqa: E731
    await world.until(lambda: topic in named(), timeout_s=1)


async def test_what_answer_and_call_back_bring_twice_is_appended_once(world, leader, orders):
    leader.session = {}
    await world.until(lambda: leader.asked[-1].session_epoch > 2 and leader.asked[-1].max_wait_ms == 500)
    leader.append(orders, epoch=0)
    leader.append(orders, epoch=0)
    await following(world, "other")
    await world.until(lambda: orders.log.flushed_offset == 2)
    await world.until(lambda: leader.session[orders.topic_partition.topic_id].flushed_offset == 2)
    assert orders.offline is None


async def test_a_leader_that_calls_nothing_back_is_asked_on_another_connection(world, leader, orders):
    leader.session = {}
    await world.until(lambda: leader.asked[-1].session_epoch > 2 and leader.asked[-1].max_wait_ms == 500)
    leader.deaf = True
    world.peers.answer = lambda node, request: asyncio.get_running_loop().create_future()
    asked = len(world.peers.asked)
    await world.until(lambda: len(world.peers.asked) > asked, timeout_s=1)
    lane = world.peers.asked[-1][2]
    other = await following(world, "other")
    await asyncio.sleep(fetcher.CALL_BACK_S / 2)
    world.peers.answer = leader.answer
    leader.append(other, epoch=0)
    await world.until(lambda: other.log.log_end_offset == 1, timeout_s=2 * fetcher.CALL_BACK_S)
    assert leader.lanes[-1] != lane


async def test_a_session_grows_step_by_step(world, leader, monkeypatch):
    monkeypatch.setattr(fetcher, "ROWS_MAX", 2)
    world.start_brokers(1, 2)
    leader.session = {}
    keys = [world.create(f"topic-{number}", 2, 1) for number in range(5)]
    world.run()
    topics = {key.topic_id for key in keys}
    await world.until(lambda: leader.session.keys() == topics)
    assert max(len(each.partitions) for each in leader.asked) == 2
    assert sum(each.session_epoch == 0 for each in leader.asked) == 1
    assert all(each.max_wait_ms == 0 for each in leader.asked if len(each.partitions) == 2)
    await world.until(lambda: leader.asked[-1].max_wait_ms == 500)


async def test_without_a_session_every_question_names_all(world, leader, monkeypatch):
    monkeypatch.setattr(fetcher, "ROWS_MAX", 2)
    world.start_brokers(1, 2)
    keys = [world.create(f"topic-{number}", 2, 1) for number in range(5)]
    world.run()
    await world.until(lambda: leader.asked and leader.asked[-1].max_wait_ms == 500)
    assert {row.topic_id for row in leader.asked[-1].partitions} == {key.topic_id for key in keys}


@pytest.mark.parametrize("code", [ErrorCode.FETCH_SESSION_ID_NOT_FOUND, ErrorCode.INVALID_FETCH_SESSION_EPOCH])
async def test_a_lost_session_costs_one_whole_question_and_no_pause(world, leader, orders, code):
    leader.session = {}
    await world.until(lambda: leader.asked[-1].session_epoch > 2)
    leader.once.append(FetchResponse(error_code=code, partitions=()))
    before = len(leader.asked)
    await world.until(lambda: not leader.once)
    await world.until(lambda: any(each.session_epoch == 0 for each in leader.asked[before:]), timeout_s=0.05)
    (again,) = [each for each in leader.asked[before:] if each.session_epoch == 0]
    assert len(again.partitions) == 1
    assert again.session_id == (0 if code is ErrorCode.FETCH_SESSION_ID_NOT_FOUND else 9)


async def test_a_session_ends_with_its_connection(world, leader, orders):
    leader.session = {}
    await world.until(lambda: leader.asked[-1].session_epoch > 2)
    leader.whole = PeerUnavailableError("lost")
    await world.until(lambda: leader.asked[-1].session_epoch == 0)
    leader.whole = None
    leader.append(orders, epoch=0)
    await world.until(lambda: orders.log.log_end_offset == 1)
