"""Members of a group share its partitions, through joins, losses and moves of the coordinator."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from raftkafka.client import ApiError, ConsumerRebalanceListener, FencedInstanceIdError, TopicPartition
from raftkafka.client.group.assignors.range import RangeAssignor
from raftkafka.model.api.groups import FindCoordinator
from raftkafka.model.api.membership import Heartbeat, JoinGroup, LeaveGroup, SyncGroup
from raftkafka.model.errors import ConfigurationError, ErrorCode

T = [TopicPartition("t", number) for number in range(8)]


class Listener(ConsumerRebalanceListener):
    def __init__(self) -> None:
        self.heard: list[tuple[str, list[int]]] = []

    def _note(self, what, partitions) -> None:
        if partitions:
            self.heard.append((what, sorted(each.partition for each in partitions)))

    def on_partitions_revoked(self, partitions):
        self._note("revoked", partitions)

    async def on_partitions_assigned(self, partitions):
        self._note("assigned", partitions)

    def on_partitions_lost(self, partitions):
        self._note("lost", partitions)


class Reading:
    """Polls in the background, as an application does; `values` are those handed out."""

    def __init__(self, consumer, listener) -> None:
        self.consumer, self.listener = consumer, listener
        self.values: list[bytes] = []
        self.working = False
        self.free = asyncio.Event()  # while it is not set, the application works on what it was given
        self.free.set()
        self.task = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        while True:
            for records in (await self.consumer.poll(20)).values():
                self.values += [record.value for record in records]
            self.working = not self.free.is_set()
            await self.free.wait()
            self.working = False

    async def work(self) -> None:
        """Return when the application has left its poll, and begins with what takes long."""
        self.free.clear()
        await until(lambda: self.working, self)

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def held(self) -> list[int]:
        return sorted(each.partition for each in self.consumer.assignment())


@pytest.fixture
async def reading(member_of):
    """`async with reading(...) as one`: a member that polls until the end of the block."""

    @asynccontextmanager
    async def read(topics=("t",), **settings):
        listener = Listener()
        async with member_of(**settings) as consumer:
            consumer.subscribe(topics, listener=listener)
            one = Reading(consumer, listener)
            try:
                yield one
            finally:
                await one.stop()

    return read


async def until(condition, *readings) -> None:
    async with asyncio.timeout(10):
        while not condition():
            for each in readings:
                if each.task.done():
                    each.task.result()
            await asyncio.sleep(0.005)


STRATEGIES = ["range", "roundrobin", "sticky", "cooperative-sticky"]


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_D9_each_partition_is_read_by_one_member_and_all_are_read(topic, reading, strategy):
    topic("t", 5, records=3)
    everything = {b"%d-%d" % (number, at) for number in range(5) for at in range(3)}
    async with AsyncExitStack() as stack:
        settings = {"partition_assignment_strategy": strategy}
        one = await stack.enter_async_context(reading(**settings))
        two = await stack.enter_async_context(reading(**settings))
        await until(lambda: one.held() and two.held() and len(one.held() + two.held()) == 5, one, two)
        assert sorted(one.held() + two.held()) == [0, 1, 2, 3, 4]
        await until(lambda: set(one.values + two.values) == everything, one, two)
        three = await stack.enter_async_context(reading(**settings))
        await until(lambda: len(one.held() + two.held() + three.held()) == 5 and three.held(), one, two, three)
        assert sorted(one.held() + two.held() + three.held()) == [0, 1, 2, 3, 4]


async def test_who_leaves_hands_over_at_once(topic, reading, coordinator):
    topic("t", 2)
    async with reading() as one:
        async with reading() as two:
            await until(lambda: len(one.held()) == len(two.held()) == 1, one, two)
        (left,) = coordinator.sent(LeaveGroup)
        assert left.members[0].reason == "the consumer is closed"
        await until(lambda: one.held() == [0, 1], one)
        assert one.listener.heard[-1] == ("assigned", [0, 1])
        assert two.listener.heard[-1][0] == "revoked"
    assert coordinator.group().members == {}


async def test_an_eager_member_gives_up_all_before_it_joins_again(topic, reading):
    topic("t", 2)
    async with reading(partition_assignment_strategy=["range"]) as one:
        await until(lambda: one.held() == [0, 1], one)
        async with reading(partition_assignment_strategy=["range"]) as two:
            await until(lambda: len(one.held()) == len(two.held()) == 1, one, two)
            assert one.listener.heard[:3] == [("assigned", [0, 1]), ("revoked", [0, 1]), ("assigned", one.held())]


async def test_cooperative_members_go_on_with_what_does_not_move(topic, reading, coordinator):
    parts = topic("t", 4)
    settings = {"partition_assignment_strategy": "cooperative-sticky"}
    async with reading(**settings) as one:
        await until(lambda: one.held() == [0, 1, 2, 3], one)
        coordinator.gate.clear()  # the rebalance takes as long as this test likes
        async with reading(**settings) as two:
            await until(lambda: coordinator.group().state == "CompletingRebalance", one, two)
            for number, part in enumerate(parts):
                topic.fill(part, b"during %d" % number)
            await until(lambda: len(one.values) == 4, one, two)
            assert one.held() == [0, 1, 2, 3]
            coordinator.gate.set()
            await until(lambda: len(two.held()) == 2, one, two)
            assert one.listener.heard == [("assigned", [0, 1, 2, 3]), ("revoked", two.held())]
            assert sorted(one.held() + two.held()) == [0, 1, 2, 3]
            assert not {b"during %d" % number for number in two.held()} & set(two.values)  # one has committed them


async def test_records_in_hand_are_committed_before_a_partition_is_given_up(topic, reading, coordinator):
    """The application works on a batch when the rebalance begins; nobody else gets it before it is done."""
    topic("t", 2, records=5)
    async with reading() as one:
        await until(lambda: len(one.values) == 10, one)
        await one.work()
        async with reading() as two:
            await until(lambda: coordinator.group().state == "PreparingRebalance", one, two)
            await asyncio.sleep(0.05)
            assert one.held() == [0, 1]
            assert two.held() == []
            one.free.set()
            await until(lambda: len(one.held()) == len(two.held()) == 1, one, two)
            await asyncio.sleep(0.05)
            assert two.values == []
    assert {each.partition: at for each, (at, *_) in coordinator.group().offsets.items()} == {0: 5, 1: 5}


async def test_D7_a_member_that_comes_back_goes_on_after_its_commit(topic, reading, coordinator):
    parts = topic("t", 1, records=3)
    async with reading() as one:
        await until(lambda: len(one.values) == 3, one)
    topic.fill(parts[0], b"new")
    async with reading() as two:
        await until(lambda: two.values, two)
        assert two.values == [b"new"]


async def test_heartbeats_go_on_while_the_application_works(topic, reading, coordinator):
    topic("t", 1, records=1)
    async with reading() as one:
        await until(lambda: one.values, one)
        await one.work()
        before = len(coordinator.sent(Heartbeat))
        await until(lambda: len(coordinator.sent(Heartbeat)) > before + 5)


async def test_who_does_not_poll_in_time_is_out_and_hears_of_it_when_he_comes_back(topic, reading, coordinator):
    topic("t", 1, records=1)
    async with reading(max_poll_interval_ms=100) as one:
        await until(lambda: one.values, one)
        first = coordinator.group().generation
        await one.work()
        await until(lambda: not coordinator.group().members)
        (left,) = coordinator.sent(LeaveGroup)
        assert left.members[0].reason == "no poll for more than 100 ms"
        one.free.set()
        await until(lambda: coordinator.group().generation > first and one.held() == [0], one)
        assert one.listener.heard == [("assigned", [0]), ("lost", [0]), ("assigned", [0])]


async def test_waiting_in_a_poll_is_polling(topic, reading, coordinator):
    topic("t", 1)
    async with reading(max_poll_interval_ms=50) as one:
        await until(lambda: one.held() == [0], one)
        await one.stop()
        await one.consumer.poll(300)
        assert coordinator.sent(LeaveGroup) == []


async def test_a_member_whose_session_ended_loses_its_partitions_and_joins_again(topic, reading, coordinator):
    topic("t", 1)
    async with reading() as one:
        await until(lambda: one.held() == [0], one)
        (member_id,) = coordinator.group().members
        coordinator.expire(member_id)
        await until(lambda: len(one.listener.heard) == 3, one)
        assert one.listener.heard == [("assigned", [0]), ("lost", [0]), ("assigned", [0])]
        assert member_id not in coordinator.group().members


@pytest.mark.parametrize("trouble", ["moved", "dead", "silent"])
async def test_the_coordinator_moves(topic, cluster, reading, coordinator, monkeypatch, trouble):
    monkeypatch.setattr("raftkafka.client.group.coordinator.LOOK_S", 0.02)
    parts = cluster.add_topic("t", 2)
    async with reading() as one:
        await until(lambda: one.held() == [0], one)
        generation = coordinator.group().generation
        if trouble == "dead":
            cluster.kill(1)
        elif trouble == "silent":
            cluster.deaf.add(1)
        coordinator.node = 3
        before = len(coordinator.sent(Heartbeat))
        topic.fill(parts[0], b"a")
        await until(lambda: len(coordinator.sent(Heartbeat)) > before + 4 and one.values, one)
        await one.consumer.commit()
        assert coordinator.group().offsets[T[0]][0] == 1
        assert coordinator.group().generation == generation  # nobody had to join again
        assert one.listener.heard == [("assigned", [0])]


async def test_a_silent_coordinator_does_not_hold_up_a_join(topic, cluster, reading, coordinator, monkeypatch):
    monkeypatch.setattr("raftkafka.client.group.coordinator.LOOK_S", 0.02)
    cluster.add_topic("t", 2)
    real, told = coordinator.answer, []

    def deaf_to_joins(node, request):
        if isinstance(request, JoinGroup) and node == 1:
            told.append(request)
            coordinator.node = 3
            return None
        return real(node, request)

    cluster.script = deaf_to_joins
    async with reading() as one:
        await until(lambda: one.held() == [0], one)
    assert len(told) == 1


async def test_refusals_that_pass_are_waited_out(topic, reading, coordinator):
    topic("t", 1)
    coordinator.refuse(FindCoordinator, ErrorCode.COORDINATOR_NOT_AVAILABLE)
    coordinator.refuse(JoinGroup, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.NOT_COORDINATOR)
    coordinator.refuse(SyncGroup, ErrorCode.REBALANCE_IN_PROGRESS)
    coordinator.refuse(Heartbeat, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
    async with reading() as one:
        await until(lambda: one.held() == [0] and not any(coordinator.refusals.values()), one)
        assert one.listener.heard == [("assigned", [0])]


@pytest.mark.parametrize("code", [ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION])
async def test_a_member_put_out_while_it_joins_begins_anew(topic, reading, coordinator, code):
    topic("t", 1)
    coordinator.refuse(SyncGroup, code)
    async with reading() as one:
        await until(lambda: one.held() == [0], one)


async def test_what_no_further_try_can_change_is_raised(topic, member_of, coordinator):
    topic("t", 1)
    async with member_of() as consumer:
        consumer.subscribe(["t"])
        coordinator.refuse(JoinGroup, ErrorCode.INCONSISTENT_GROUP_PROTOCOL, ErrorCode.INVALID_SESSION_TIMEOUT)
        with pytest.raises(ApiError, match="know none of these assignors: range, cooperative-sticky"):
            await consumer.poll(5_000)
        with pytest.raises(ApiError, match=r"group\.min\.session\.timeout\.ms"):
            await consumer.poll(5_000)
        await consumer.poll(200)
        assert consumer.assignment() == [T[0]]


async def test_an_assignor_that_fails_is_heard_of_and_the_next_poll_tries_again(topic, member_of):
    topic("t", 1, records=1)

    class Moody(RangeAssignor):
        failures = 1

        def assign(self, partitions, members):
            if Moody.failures:
                Moody.failures -= 1
                raise ZeroDivisionError("no members, it thought")
            return super().assign(partitions, members)

    async with member_of(partition_assignment_strategy=[Moody()]) as consumer:
        consumer.subscribe(["t"])
        with pytest.raises(ZeroDivisionError):
            await consumer.poll(5_000)
        assert list(await consumer.poll(5_000)) == [T[0]]


async def test_closing_takes_no_longer_than_leaving_may_when_nobody_answers(topic, cluster, member_of, monkeypatch):
    monkeypatch.setattr("raftkafka.client.group.membership.LEAVE_TIMEOUT_S", 0.05)
    topic("t", 1)
    async with member_of(enable_auto_commit=False) as consumer:
        consumer.subscribe(["t"])
        async with asyncio.timeout(10):
            while not consumer.assignment():
                await consumer.poll(10)
        for node in (1, 2, 3):
            cluster.kill(node)
        async with asyncio.timeout(5):
            await consumer.stop()


# Static members


async def test_a_static_member_does_not_leave_and_takes_up_its_place_again(topic, reading, coordinator):
    topic("t", 2)
    async with reading(group_instance_id="a") as one:
        await until(lambda: one.held() == [0, 1], one)
    assert coordinator.sent(LeaveGroup) == []
    assert len(coordinator.group().members) == 1
    async with reading(group_instance_id="a") as again:
        await until(lambda: again.held() == [0, 1], again)
        assert len(coordinator.group().members) == 1


async def test_a_fenced_static_member_says_so_with_every_poll(topic, member_of, reading, coordinator):
    topic("t", 1)
    async with member_of(group_instance_id="a") as old:
        listener = Listener()
        old.subscribe(["t"], listener=listener)
        await old.poll(200)
        assert old.assignment() == [T[0]]
        async with reading(group_instance_id="a") as new:
            await until(lambda: new.held() == [0], new)
            for _ in range(2):
                with pytest.raises(FencedInstanceIdError, match="group_instance_id 'a'"):
                    await old.poll(10_000)
            assert listener.heard == [("assigned", [0]), ("lost", [0])]
            assert old.assignment() == []
            await asyncio.sleep(0.05)
            assert new.held() == [0]


# Topics that change


async def test_more_partitions_are_shared_soon(topic, cluster, reading):
    topic("t", 1)
    async with reading(metadata_max_age_ms=30) as one:
        await until(lambda: one.held() == [0], one)
        part = cluster.topics["t"][0]
        cluster.topics["t"].append(type(part)(1))
        await until(lambda: one.held() == [0, 1], one)


async def test_a_topic_that_comes_later_is_read(topic, cluster, reading, monkeypatch):
    monkeypatch.setattr("raftkafka.client.group.interest.LOOK_AGAIN_S", 0.02)
    topic("t", 1)
    async with reading(["t", "late"]) as one:
        await until(lambda: len(one.consumer.assignment()) == 1, one)
        topic("late", 1, records=1)
        await until(lambda: one.values == [b"0-0"], one)


async def test_a_leader_watches_the_topics_of_the_others(topic, cluster, reading, monkeypatch):
    topic("t", 1)
    topic("u", 1)
    async with reading(metadata_max_age_ms=30) as leader:
        await until(leader.held, leader)
        async with reading(["u"]) as other:
            await until(other.held, leader, other)
            cluster.topics["u"].append(type(cluster.topics["u"][0])(1))
            await until(lambda: other.held() == [0, 1], leader, other)
            assert leader.held() == [0]


async def test_B7_a_pattern_takes_in_topics_that_come_later(topic, member_of):
    topic("logs-a", 1, records=1)
    topic("logs", 1, records=1)
    async with member_of(metadata_max_age_ms=30) as consumer:
        consumer.subscribe(pattern="logs-.*")
        seen = []
        async with asyncio.timeout(10):
            while not seen:
                seen += list(await consumer.poll(20))
            assert consumer.subscription() == ["logs-a"]
            topic("logs-b", 1, records=1)
            while len(seen) < 2:
                seen += list(await consumer.poll(20))
        assert seen == [TopicPartition("logs-a", 0), TopicPartition("logs-b", 0)]
        assert consumer.subscription() == ["logs-a", "logs-b"]


async def test_a_new_subscription_takes_effect_with_the_next_poll(topic, member_of, coordinator):
    topic("t", 1, records=1)
    topic("u", 1, records=1)
    async with member_of(partition_assignment_strategy="cooperative-sticky") as consumer:
        listener = Listener()
        consumer.subscribe(["t"], listener=listener)
        assert list(await consumer.poll(2_000)) == [T[0]]
        consumer.subscribe(["u"], listener=listener)
        assert list(await consumer.poll(2_000)) == [TopicPartition("u", 0)]
        assert listener.heard == [("assigned", [0]), ("revoked", [0]), ("assigned", [0])]
        await consumer.unsubscribe()
        assert (consumer.assignment(), consumer.subscription(), coordinator.group().members) == ([], [], {})
        assert await consumer.poll(20) == {}
        consumer.assign([T[0]])
        consumer.seek(T[0], 0)
        assert list(await consumer.poll(2_000)) == [T[0]]


# Listeners, and what they may do


async def test_a_listener_may_seek_pause_commit_and_ask(topic, member_of, coordinator):
    topic("t", 2, records=5)
    consumer = member_of(partition_assignment_strategy="range", enable_auto_commit=False)
    notes = []

    class Seeking(ConsumerRebalanceListener):
        async def on_partitions_assigned(self, partitions):
            consumer.seek(T[0], 3)
            consumer.pause(T[1])
            notes.append(await consumer.position(T[1]))

        async def on_partitions_revoked(self, partitions):
            notes.append(await consumer.position(T[0]))
            await consumer.commit()

    async with consumer:
        consumer.subscribe(["t"], listener=Seeking())
        values = []
        async with asyncio.timeout(10):
            while len(values) < 2:
                for records in (await consumer.poll(20)).values():
                    values += [record.value for record in records]
        assert values == [b"0-3", b"0-4"]
        assert consumer.paused() == [T[1]]
        assert coordinator.group().offsets == {}
    assert notes == [0, 5]
    assert {each: at for each, (at, *_) in coordinator.group().offsets.items()} == {T[0]: 5, T[1]: 0}


async def test_what_a_listener_raises_comes_out_of_the_poll_and_the_consumer_goes_on(topic, member_of):
    topic("t", 1, records=1)

    class Failing(ConsumerRebalanceListener):
        def on_partitions_assigned(self, partitions):
            raise LookupError("no place to put them")

    async with member_of() as consumer:
        consumer.subscribe(["t"], listener=Failing())
        with pytest.raises(LookupError):
            await consumer.poll(5_000)
        assert list(await consumer.poll(5_000)) == [T[0]]


async def test_a_poll_that_is_cancelled_while_the_group_rebalances_loses_nothing(topic, member_of, coordinator):
    topic("t", 1, records=2)
    coordinator.gate.clear()
    async with member_of() as consumer:
        consumer.subscribe(["t"])
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await consumer.poll(5_000)
        coordinator.gate.set()
        assert len((await consumer.poll(5_000))[T[0]]) >= 1
        assert len(coordinator.sent(JoinGroup)) == 2  # with the member id that was given


# Bad input


async def test_what_does_not_go_together_is_refused(member_of, topic):
    topic("t", 1)
    async with member_of(None) as alone:
        for ask in (lambda: alone.subscribe(["t"]), alone.enforce_rebalance):
            with pytest.raises(ConfigurationError, match="needs a group_id"):
                ask()
        with pytest.raises(ConfigurationError, match="commit needs a group_id"):
            await alone.commit()
    async with member_of() as consumer:
        with pytest.raises(TypeError, match="list of names"):
            consumer.subscribe("t")
        with pytest.raises(ValueError, match="topics, or to a pattern"):
            consumer.subscribe([])
        with pytest.raises(ValueError, match="topics, or to a pattern"):
            consumer.subscribe(["t"], pattern="t.*")
        with pytest.raises(ValueError, match="no regular expression"):
            consumer.subscribe(pattern="(")
        consumer.assign([T[0]])
        with pytest.raises(ValueError, match="assigned by hand"):
            consumer.subscribe(["t"])
        await consumer.unsubscribe()
        consumer.subscribe(["t"])
        with pytest.raises(ValueError, match="has subscribed"):
            consumer.assign([T[0]])


@pytest.mark.parametrize(
    "settings",
    [
        {"group_id": ""},
        {"group_id": None, "group_instance_id": "a"},
        {"group_instance_id": ""},
        {"session_timeout_ms": 3_000, "heartbeat_interval_ms": 3_000},
        {"heartbeat_interval_ms": 0},
        {"max_poll_interval_ms": -1},
        {"isolation_level": "dirty"},
        {"partition_assignment_strategy": "fair"},
    ],
)
def test_odd_settings_are_refused(member_of, settings):
    with pytest.raises(ConfigurationError):
        member_of(**{"group_id": "g"} | settings)
