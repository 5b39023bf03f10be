"""A broker's place in the cluster: it registers, keeps its lease, and loses it in time."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from raftkafka.broker.membership import Membership
from raftkafka.model.api.broker_lifecycle import (
    BrokerHeartbeat,
    BrokerHeartbeatResponse,
    BrokerRegistration,
    BrokerRegistrationResponse,
    HeldLogs,
    ListenerEndpoint,
    OfflineReplica,
)
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import BrokerEpoch, NodeId, PartitionIndex, TopicId
from raftkafka.model.settings.values import ControllerSettings

LISTENERS = (ListenerEndpoint(name="PLAINTEXT", host="127.0.0.1", port=9_092),)


class Channel:
    """A controller as this broker sees it; `registration` and `heartbeat` are its answers, an ApiError is raised."""

    def __init__(self) -> None:
        self.asked: list = []
        self.registration: object = BrokerRegistrationResponse(broker_epoch=BrokerEpoch(5), cluster_id="cluster")
        self.heartbeat: object = BrokerHeartbeatResponse(is_fenced=False)
        self.delay_s = 0.0

    async def ask(self, request, *, timeout_s):
        self.asked.append(request)
        answer = self.registration if isinstance(request, BrokerRegistration) else self.heartbeat
        await asyncio.sleep(self.delay_s)
        if isinstance(answer, ApiError):
            raise answer
        return answer

    def count(self, kind: type) -> int:
        return sum(isinstance(each, kind) for each in self.asked)


HELD = (HeldLogs(topic_id=TopicId(bytes(16)), partitions=(PartitionIndex(0),)),)


@pytest.fixture
def channel() -> Channel:
    return Channel()


@pytest.fixture
def told() -> SimpleNamespace:
    return SimpleNamespace(registered=[], fatal=[], offline=[])


@pytest.fixture
def store() -> SimpleNamespace:
    listeners = []
    return SimpleNamespace(applied_index=7, listeners=listeners, subscribe=listeners.append)


@pytest.fixture
async def membership(channel, told, store):
    made = Membership(
        node_id=NodeId(1),
        cluster_id="",
        incarnation_id=bytes(16),
        rack="r1",
        disks=SimpleNamespace(
            previous_broker_epoch=BrokerEpoch(3), were_synced=True, directory_ids=(bytes(16),), held=lambda: HELD
        ),
        channel=channel,
        store=store,
        settings=ControllerSettings(),
        offline_replicas=lambda: tuple(told.offline),
        on_registered=lambda *news: told.registered.append(news),
        on_fatal=told.fatal.append,
    )
    yield made
    await made.stop()


async def test_it_registers_and_is_unfenced_at_once(membership, channel, told):
    membership.start(LISTENERS)
    await asyncio.sleep(0.2)
    assert told.registered == [("cluster", 5)]
    assert (membership.broker_epoch, membership.fenced, membership.has_lease()) == (5, False, True)
    registration, heartbeat = channel.asked[:2]
    assert (registration.previous_broker_epoch, registration.rack, registration.listeners) == (3, "r1", LISTENERS)
    assert (heartbeat.broker_epoch, heartbeat.applied_index) == (5, 7)


async def test_it_goes_on_asking_while_there_is_no_controller(membership, channel, told):
    channel.registration, works = ApiError(ErrorCode.NOT_CONTROLLER), channel.registration
    membership.start(LISTENERS)
    await asyncio.sleep(1)
    assert 10 < channel.count(BrokerRegistration) < 30
    assert not membership.has_lease()
    assert "NOT_CONTROLLER" in membership.last_error
    channel.registration = works
    await asyncio.sleep(0.2)
    assert membership.has_lease()


async def test_a_settled_broker_keeps_the_heartbeat_interval(membership, channel):
    membership.start(LISTENERS)
    await asyncio.sleep(0.5)
    before = channel.count(BrokerHeartbeat)
    await asyncio.sleep(20)
    assert channel.count(BrokerHeartbeat) - before == 10


async def test_a_fenced_broker_has_no_lease_and_asks_often(membership, channel):
    channel.heartbeat = BrokerHeartbeatResponse(is_fenced=True)
    membership.start(LISTENERS)
    await asyncio.sleep(1)
    assert channel.count(BrokerHeartbeat) > 10
    assert not membership.has_lease()


async def test_the_lease_ends_a_session_after_the_last_question_that_was_answered(membership, channel):
    channel.delay_s = 1.0
    membership.start(LISTENERS)
    await asyncio.sleep(2.5)
    asked_at = asyncio.get_running_loop().time() - 1.45  # of the first heartbeat: registered after 1 s, plus the pause
    assert membership.has_lease()
    channel.heartbeat = ApiError(ErrorCode.NOT_CONTROLLER)
    await asyncio.sleep(asked_at + 8.9 - asyncio.get_running_loop().time())
    assert membership.has_lease()
    await asyncio.sleep(0.3)
    assert not membership.has_lease()


@pytest.mark.parametrize("code", [ErrorCode.STALE_BROKER_EPOCH, ErrorCode.BROKER_ID_NOT_REGISTERED])
async def test_a_registration_that_is_not_known_any_more_is_made_again_and_the_lease_is_gone(membership, channel, code):
    membership.start(LISTENERS)
    await asyncio.sleep(0.5)
    channel.heartbeat = BrokerHeartbeatResponse(error_code=code)
    channel.registration, works = ApiError(ErrorCode.NOT_CONTROLLER), channel.registration
    await asyncio.sleep(3)
    assert not membership.has_lease()
    assert membership.fenced
    channel.registration, channel.heartbeat = works, BrokerHeartbeatResponse(is_fenced=False)
    await asyncio.sleep(0.5)
    assert membership.has_lease()


@pytest.mark.parametrize(
    "code",
    [ErrorCode.INCONSISTENT_CLUSTER_ID, ErrorCode.DUPLICATE_BROKER_REGISTRATION, ErrorCode.INVALID_REQUEST],
)
async def test_a_cluster_that_will_not_have_it_is_fatal(membership, channel, told, code):
    channel.registration = BrokerRegistrationResponse(error_code=code, error_message="broker 1 is at home")
    membership.start(LISTENERS)
    await asyncio.sleep(0.01)
    assert "broker 1 is at home" in str(told.fatal[0])
    assert told.registered == []


async def test_another_refusal_is_not_fatal(membership, channel, told):
    channel.registration = BrokerRegistrationResponse(error_code=ErrorCode.REQUEST_TIMED_OUT)
    membership.start(LISTENERS)
    await asyncio.sleep(1)
    assert told.fatal == []
    assert channel.count(BrokerRegistration) > 5


async def test_it_names_the_logs_that_it_holds_when_it_is_asked(membership, channel, told):
    channel.registration, works = (
        BrokerRegistrationResponse(error_code=ErrorCode.LOG_DIR_NOT_FOUND, error_message="a directory is missing"),
        channel.registration,
    )
    membership.start(LISTENERS)
    await asyncio.sleep(0.01)
    channel.registration = works
    await asyncio.sleep(0.2)
    first, second = [each for each in channel.asked if isinstance(each, BrokerRegistration)]
    assert (first.held, second.held) == (None, HELD)
    assert (first.directories, first.logs_synced) == ((bytes(16),), True)
    assert told.registered == [("cluster", 5)]


async def test_a_new_controller_hears_at_once_also_during_a_heartbeat(membership, channel):
    membership.start(LISTENERS)
    await asyncio.sleep(0.5)
    before = channel.count(BrokerHeartbeat)
    membership.report_soon()
    await asyncio.sleep(0.01)
    assert channel.count(BrokerHeartbeat) == before + 1
    channel.delay_s = 0.1
    membership.report_soon()
    await asyncio.sleep(0.05)
    membership.report_soon()
    await asyncio.sleep(0.1)
    assert channel.count(BrokerHeartbeat) == before + 3


async def test_leaving_waits_until_the_leaderships_have_moved(membership, channel):
    membership.start(LISTENERS)
    await asyncio.sleep(0.5)
    leaving = asyncio.ensure_future(membership.leave(timeout_s=5))
    await asyncio.sleep(0.2)
    assert channel.asked[-1].want_shut_down
    assert not leaving.done()
    channel.heartbeat = BrokerHeartbeatResponse(is_fenced=False, should_shut_down=True)
    assert await leaving is True


async def test_leaving_gives_up_in_time_and_without_a_registration_at_once(membership, channel):
    began = asyncio.get_running_loop().time()
    assert await membership.leave(timeout_s=5) is False
    membership.start(LISTENERS)
    await asyncio.sleep(0.5)
    # A controller that answers has leaderships to move still: it gets all the time there is.
    assert await membership.leave(timeout_s=5) is False
    assert 5.5 <= asyncio.get_running_loop().time() - began < 5.7


async def test_leaving_gives_up_soon_where_nobody_answers(membership, channel):
    membership.start(LISTENERS)
    await asyncio.sleep(0.5)
    began = asyncio.get_running_loop().time()
    channel.heartbeat = ApiError(ErrorCode.NOT_CONTROLLER)
    assert await membership.leave(timeout_s=5) is False
    assert 1.0 <= asyncio.get_running_loop().time() - began < 1.2


@pytest.mark.parametrize(("epoch", "heard"), [(5, True), (4, False)])
async def test_a_broker_that_reads_of_its_fencing_asks_at_once(membership, channel, store, epoch, heard):
    membership.start(LISTENERS)
    await asyncio.sleep(0.5)
    before = channel.count(BrokerHeartbeat)
    own = SimpleNamespace(fenced=True, epoch=epoch)
    store.listeners[0](SimpleNamespace(brokers={1: own}), SimpleNamespace(brokers={1}))
    assert membership.has_lease() is not heard
    await asyncio.sleep(0.01)
    assert channel.count(BrokerHeartbeat) == before + heard
    assert membership.has_lease()


async def test_what_it_cannot_serve_is_in_the_next_heartbeat(membership, channel, told):
    membership.start(LISTENERS)
    await asyncio.sleep(0.2)
    told.offline.append(OfflineReplica(topic_id=bytes(16), partition=3))
    membership.report_soon()
    await asyncio.sleep(0.01)
    assert channel.asked[-1].offline_replicas == (OfflineReplica(topic_id=bytes(16), partition=3),)
