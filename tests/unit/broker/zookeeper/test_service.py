"""Sessions, changes, reads and watches of one node's clients, without a socket and in virtual time."""

from __future__ import annotations

import asyncio

import pytest
from kazoo.security import make_digest_acl_credential

from raftkafka.broker.zookeeper.service import ZooKeeperService
from raftkafka.model.api.znodes import AlterZkSession, SessionStep
from raftkafka.model.ids import NodeId
from raftkafka.model.settings.values import ZooKeeperSettings
from raftkafka.model.zookeeper import acl
from raftkafka.model.zookeeper.acl import OPEN_ACL, Acl, Identity
from raftkafka.model.zookeeper.errors import ZkErrorCode
from raftkafka.model.zookeeper.events import AddWatchMode, EventType, WatchedEvent, WatcherType
from raftkafka.model.zookeeper.modes import CreateMode
from raftkafka.model.zookeeper.ops import (
    Create,
    CreateResult,
    Delete,
    DeleteResult,
    ErrorResult,
    SetData,
    SetDataResult,
)
from raftkafka.model.zookeeper.requests import (
    AddWatch,
    Auth,
    CheckWatches,
    CloseSession,
    Done,
    Exists,
    ExistsResult,
    GetAcl,
    GetAllChildrenNumber,
    GetChildren,
    GetData,
    GetEphemerals,
    MultiRead,
    Ping,
    Reconfig,
    RemoveWatches,
    Sasl,
    SetWatches,
    Sync,
    SyncResult,
    WhoAmI,
)
from raftkafka.model.zookeeper.sessions import EXPIRED, ConnectRequest
from raftkafka.ports.consensus import OutcomeUnknownError

NOT_ASKED = object()


class Link:
    """A connection that keeps what it is told, in order."""

    def __init__(self, host: str = "10.0.0.9") -> None:
        self.host = host
        self.told: list = []
        self.ended: str | None = None
        self.response = NOT_ASKED

    def deliver(self, event: WatchedEvent) -> None:
        self.told.append((event.kind, event.path))

    def end(self, reason: str) -> None:
        self.ended = reason

    def answer(self, reply) -> None:
        self.told.append(reply.answer)
        self.zxid = reply.zxid


class Port:
    def __init__(self, world, **settings) -> None:
        self.world = world
        self.lease = True
        numbers = iter(range(100, 10_000))
        self.service = ZooKeeperService(
            node_id=NodeId(1),
            store=world.store,
            channel=world.channel,
            settings=ZooKeeperSettings(**settings),
            mode=lambda: "standalone",
            has_lease=lambda: self.lease,
            new_session=lambda: (next(numbers), bytes(16)),
            timeout_s=2.0,
        )

    async def connect(self, link: Link | None = None, **request) -> Link:
        link = link or Link()
        self.service.connect(
            link,
            ConnectRequest(**{"timeout_ms": 10_000, **request}),
            lambda response: setattr(link, "response", response),
        )
        await self.world.until(lambda: link.response is not NOT_ASKED)
        return link

    def send(self, link: Link, request) -> None:
        self.service.handle(link, request, link.answer)

    async def ask(self, link: Link, request):
        told = len(link.told)
        self.send(link, request)
        await self.world.until(lambda: len(link.told) > told or link.ended)
        return link.told[-1]


@pytest.fixture
async def port(world):
    made: list[Port] = []

    async def make(**settings) -> Port:
        world.start_brokers(1)
        world.consensus.elect(1)
        await world.until(lambda: world.controller.active and world.store.image.cluster_id)
        made.append(Port(world, **settings))
        return made[-1]

    yield make
    for each in made:
        await each.service.stop()


def create(path: str, **changes) -> Create:
    return Create(**{"path": path, "data": b"", "acl": OPEN_ACL, **changes})


def refused(code: ZkErrorCode) -> ErrorResult:
    return ErrorResult(code=code)


async def test_a_session_is_negotiated_and_closed(port, world):
    here = await port()
    link = await here.connect(timeout_ms=1)
    assert (link.response.session_id, link.response.timeout_ms, len(link.response.password)) == (100, 4_000, 16)
    assert (await here.connect(timeout_ms=10**9)).response.timeout_ms == 40_000
    await here.ask(link, create("/e", mode=CreateMode.EPHEMERAL))
    assert await here.ask(link, CloseSession()) == Done()
    assert link.ended is None  # the listener closes behind the answer
    assert world.store.image.znodes.sessions.get(100) is None
    assert world.store.image.znodes.get("/e") is None


@pytest.mark.parametrize(
    "request_", [{"last_zxid_seen": 10**9}, {"session_id": 5, "last_zxid_seen": 10**9}], ids=["new", "old"]
)
async def test_who_has_seen_more_than_this_node_is_sent_elsewhere(port, request_):
    here = await port()
    assert (await here.connect(**request_)).response is None


async def test_a_node_without_contact_to_the_controller_serves_nobody(port, world):
    here = await port()
    link = await here.connect()
    here.lease = False
    assert (await here.connect()).response is None
    await world.until(lambda: link.ended)
    assert here.service.status().serving is False


async def test_sessions_are_bounded(port):
    here = await port(sessions_max=1)
    await here.connect()
    assert (await here.connect()).response is None


@pytest.mark.parametrize(
    "request_", [{"session_id": 5}, {"session_id": -5}, {"session_id": 100, "password": b"x" * 16}]
)
async def test_a_session_that_is_over_or_somebody_elses_is_refused(port, request_):
    here = await port()
    await here.connect()
    assert (await here.connect(**request_)).response == EXPIRED


async def test_a_session_is_taken_up_by_another_connection(port):
    here = await port()
    first = await here.connect()
    await here.ask(first, create("/e", mode=CreateMode.EPHEMERAL))
    second = await here.connect(session_id=100)
    assert second.response.session_id == 100
    assert first.ended == "its client has connected again"
    here.send(first, create("/late"))
    here.service.gone(first)
    assert (await here.ask(second, Exists(path="/e"))).stat.ephemeral_owner == 100
    assert await here.ask(second, Exists(path="/late")) == refused(ZkErrorCode.NONODE)


async def test_a_session_that_moves_to_another_node_leaves_this_one(port, world):
    here = await port()
    link = await here.connect()
    request = AlterZkSession(
        broker_id=NodeId(2), session_id=100, password=bytes(16), timeout_ms=10_000, step=SessionStep.MOVE
    )
    await world.controller.handle(request)
    assert link.ended == "its client has connected to node 2"


async def test_a_silent_client_expires_and_one_that_is_heard_does_not(port, world):
    here = await port()
    silent, alive = await here.connect(), await here.connect()

    async def beat() -> None:
        while True:
            await asyncio.sleep(1)
            here.service.heard(alive)

    beating = asyncio.create_task(beat())
    await world.until(lambda: silent.ended)
    assert silent.ended == "its session has expired"
    await asyncio.sleep(20)
    beating.cancel()
    assert alive.ended is None
    assert set(world.store.image.znodes.sessions) == {101}


async def test_changes_are_answered_in_order_with_what_came_of_them(port, world):
    here = await port()
    link = await here.connect()
    for request in (create("/a"), create("/a"), SetData(path="/a", data=b"xy"), Delete(path="/a"), Delete(path="/a")):
        here.send(link, request)
    await world.until(lambda: len(link.told) == 5)
    assert link.told[0] == CreateResult(path="/a")
    assert link.told[1] == refused(ZkErrorCode.NODEEXISTS)
    assert isinstance(link.told[2], SetDataResult)
    assert link.told[2].stat.data_length == 2
    assert link.told[3:] == [DeleteResult(), refused(ZkErrorCode.NONODE)]
    assert link.zxid == world.store.applied_index


async def test_what_no_entry_holds_is_refused_and_the_session_goes_on(port):
    here = await port()
    link = await here.connect()
    assert await here.ask(link, create("/a", data=bytes(1 << 20))) == refused(ZkErrorCode.BADARGUMENTS)
    assert await here.ask(link, create("/a")) == CreateResult(path="/a")


async def test_a_change_of_unknown_outcome_ends_the_connection_and_none_behind_it_takes_effect(port, world):
    here = await port()
    link = await here.connect()
    world.consensus.failures = [OutcomeUnknownError("who knows")]
    here.send(link, create("/a"))
    here.send(link, create("/b"))
    await world.until(lambda: link.ended)
    await asyncio.sleep(5)
    assert link.told == []
    assert world.store.image.znodes.get("/b") is None


async def test_a_sync_is_answered_behind_what_was_committed(port):
    here = await port()
    link = await here.connect()
    assert await here.ask(link, Sync(path="/any")) == SyncResult(path="/any")


async def test_an_event_comes_before_the_answer_that_shows_the_change(port, world):
    here = await port()
    link = await here.connect()
    assert await here.ask(link, Exists(path="/a", watch=True)) == refused(ZkErrorCode.NONODE)
    here.send(link, create("/a"))
    await world.until(lambda: len(link.told) == 3)
    assert link.told[1:] == [(EventType.NODE_CREATED, "/a"), CreateResult(path="/a")]


async def test_watches_of_topics_hear_of_them(port, world):
    here = await port()
    link = await here.connect()
    await here.ask(link, GetChildren(path="/brokers/topics", watch=True))
    world.create("orders", 1)
    assert (EventType.NODE_CHILDREN_CHANGED, "/brokers/topics") in link.told
    assert (await here.ask(link, GetChildren(path="/brokers/topics"))).children == ("orders",)


async def test_persistent_watches_are_added_found_and_removed(port):
    here = await port()
    link = await here.connect()
    assert await here.ask(link, AddWatch(path="/", mode=AddWatchMode.PERSISTENT_RECURSIVE)) == Done()
    await here.ask(link, create("/a"))
    await here.ask(link, create("/a/b"))
    assert [each for each in link.told if isinstance(each, tuple)] == [
        (EventType.NODE_CREATED, "/a"),
        (EventType.NODE_CREATED, "/a/b"),
    ]
    kind = WatcherType.PERSISTENT_RECURSIVE
    assert await here.ask(link, CheckWatches(path="/", kind=kind)) == Done()
    assert await here.ask(link, CheckWatches(path="/", kind=WatcherType.DATA)) == refused(ZkErrorCode.NOWATCHER)
    assert await here.ask(link, RemoveWatches(path="/", kind=kind)) == Done()
    assert await here.ask(link, RemoveWatches(path="/", kind=kind)) == refused(ZkErrorCode.NOWATCHER)


async def test_watches_are_bounded_and_go_with_their_connection(port):
    here = await port(watches_max=2)
    link, other = await here.connect(), await here.connect()
    for path in ("/a", "/b"):
        await here.ask(link, Exists(path=path, watch=True))
    assert await here.ask(other, Exists(path="/c", watch=True)) == refused(ZkErrorCode.QUOTAEXCEEDED)
    many = SetWatches(relative_zxid=0, exist=("/c",))
    assert await here.ask(other, many) == refused(ZkErrorCode.QUOTAEXCEEDED)
    assert here.service.status().watches == 2
    assert here.service.sessions()[0].watches == ("/a", "/b")
    here.service.gone(link)
    assert await here.ask(other, many) == Done()


async def test_who_was_away_hears_what_happened_meanwhile(port, world):
    here = await port()
    link = await here.connect()
    for path in ("/same", "/changed", "/parent", "/gone"):
        await here.ask(link, create(path))
    since = world.store.applied_index
    await here.ask(link, SetData(path="/changed", data=b"x"))
    await here.ask(link, create("/parent/child"))
    await here.ask(link, Delete(path="/gone"))
    await here.ask(link, create("/came"))
    del link.told[:]
    every = ("/same", "/changed", "/parent", "/gone")
    request = SetWatches(relative_zxid=since, data=every, child=every, exist=("/came", "/never"), persistent=("/p",))
    assert await here.ask(link, request) == Done()
    assert link.told[:-1] == [
        (EventType.NODE_DATA_CHANGED, "/changed"),
        (EventType.NODE_DELETED, "/gone"),
        (EventType.NODE_CREATED, "/came"),
        (EventType.NODE_CHILDREN_CHANGED, "/parent"),
        (EventType.NODE_DELETED, "/gone"),
    ]
    del link.told[:]
    await here.ask(link, SetData(path="/same", data=b"x"))
    await here.ask(link, create("/never"))
    await here.ask(link, create("/p"))
    assert [each for each in link.told if isinstance(each, tuple)] == [
        (EventType.NODE_DATA_CHANGED, "/same"),
        (EventType.NODE_CREATED, "/never"),
        (EventType.NODE_CREATED, "/p"),
    ]


async def test_reads_see_the_tree(port):
    here = await port()
    link = await here.connect()
    await here.ask(link, create("/a", data=b"data"))
    await here.ask(link, create("/a/b", data=None))
    await here.ask(link, create("/a/b/c", mode=CreateMode.EPHEMERAL))
    assert (await here.ask(link, GetData(path="/a"))).data == b"data"
    assert (await here.ask(link, GetData(path="/a/b"))).data is None
    assert (await here.ask(link, GetChildren(path="/a", with_stat=True))).stat.num_children == 1
    assert (await here.ask(link, GetChildren(path="/a"))).stat is None
    assert (await here.ask(link, GetAllChildrenNumber(path="/a"))).count == 2
    for prefix, found in (("/", ("/a/b/c",)), ("", ("/a/b/c",)), ("/a/b", ("/a/b/c",)), ("/x", ())):
        assert (await here.ask(link, GetEphemerals(prefix=prefix))).paths == found
    many = await here.ask(link, MultiRead(reads=(GetData(path="/a"), GetChildren(path="/x"))))
    assert many.results[0].data == b"data"
    assert many.results[1] == refused(ZkErrorCode.NONODE)


async def test_an_answer_to_many_reads_is_bounded(port):
    here = await port()
    link = await here.connect()
    await here.ask(link, create("/a", data=bytes(1 << 19)))
    few = await here.ask(link, MultiRead(reads=(GetData(path="/a"),) * 7))
    assert len(few.results) == 7
    assert await here.ask(link, MultiRead(reads=(GetData(path="/a"),) * 9)) == refused(ZkErrorCode.QUOTAEXCEEDED)
    many = (GetChildren(path="/"), GetChildren(path="/x"), GetData(path="/")) * 100_000
    assert await here.ask(link, MultiRead(reads=many)) == refused(ZkErrorCode.QUOTAEXCEEDED)


@pytest.mark.parametrize("path", ["", "a", "/a/", "//", "/x"])
async def test_what_is_no_node_is_none(port, path):
    here = await port()
    link = await here.connect()
    for request in (Exists(path=path), GetData(path=path), GetChildren(path=path), GetAcl(path=path)):
        assert await here.ask(link, request) == refused(ZkErrorCode.NONODE)
    assert await here.ask(link, Exists(path="/\0")) == refused(ZkErrorCode.BADARGUMENTS)


async def test_rights_are_those_that_a_client_has_proved(port):
    here = await port()
    owner, stranger = await here.connect(), await here.connect(Link("10.0.0.7"))
    assert await here.ask(owner, Auth(scheme="digest", auth=b"bob:secret")) == Done()
    own = (Acl(perms=acl.ALL, scheme="auth", id=""),)
    assert await here.ask(owner, create("/own", acl=own)) == CreateResult(path="/own")
    hashed = (await here.ask(owner, GetAcl(path="/own"))).acl
    assert hashed == (Acl(perms=acl.ALL, scheme="digest", id=make_digest_acl_credential("bob", "secret")),)
    for request in (GetData(path="/own"), GetAcl(path="/own"), GetChildren(path="/own")):
        assert await here.ask(stranger, request) == refused(ZkErrorCode.NOAUTH)
    assert isinstance(await here.ask(stranger, Exists(path="/own")), ExistsResult), (
        "that it is there may be seen by all"
    )
    assert await here.ask(stranger, SetData(path="/own", data=b"")) == refused(ZkErrorCode.NOAUTH)
    shown = (Acl(perms=acl.READ, scheme="ip", id="10.0.0.0/24"), *hashed)
    await here.ask(owner, create("/shown", acl=shown))
    assert (await here.ask(stranger, GetAcl(path="/shown"))).acl[1].id == "bob:x"
    assert isinstance(await here.ask(stranger, Exists(path="/shown")), ExistsResult)
    assert (await here.ask(owner, WhoAmI())).identities == (
        Identity(scheme="ip", id="10.0.0.9"),
        Identity(scheme="digest", id="bob"),
    )
    for scheme, proof in (("kerberos", b"x"), ("digest", b"\xff"), ("super", b"x")):
        assert await here.ask(stranger, Auth(scheme=scheme, auth=proof)) == refused(ZkErrorCode.AUTHFAILED)


async def test_nobody_hears_of_what_he_may_not_read(port):
    # CVE-2024-23944: a watch on what is open told of what is closed below it.
    here = await port()
    owner, stranger = await here.connect(), await here.connect()
    await here.ask(owner, Auth(scheme="digest", auth=b"bob:secret"))
    own = (Acl(perms=acl.ALL, scheme="auth", id=""),)
    await here.ask(owner, create("/open"))
    await here.ask(stranger, AddWatch(path="/open", mode=AddWatchMode.PERSISTENT_RECURSIVE))
    await here.ask(owner, AddWatch(path="/open", mode=AddWatchMode.PERSISTENT_RECURSIVE))
    stranger.told.clear()
    owner.told.clear()
    await here.ask(owner, create("/open/own", acl=own))
    await here.ask(stranger, Exists(path="/open/own", watch=True))
    await here.ask(owner, SetData(path="/open/own", data=b"1"))
    await here.ask(owner, create("/open/own/below"))
    await here.ask(owner, Delete(path="/open/own/below"))
    await here.ask(owner, Delete(path="/open/own"))
    events = [each for each in owner.told if isinstance(each, tuple)]
    assert [kind for kind, _ in events] == [
        EventType.NODE_CREATED,
        EventType.NODE_DATA_CHANGED,
        EventType.NODE_CREATED,
        EventType.NODE_DELETED,
        EventType.NODE_DELETED,
    ]
    heard = [each for each in stranger.told if isinstance(each, tuple)]
    assert heard == [(EventType.NODE_CREATED, "/open/own/below"), (EventType.NODE_DELETED, "/open/own/below")]


async def test_what_is_not_there_says_so(port):
    here = await port()
    link = await here.connect()
    reconfig = Reconfig(joining="", leaving="", new_members="", config_id=0)
    assert await here.ask(link, reconfig) == refused(ZkErrorCode.RECONFIGDISABLED)
    assert await here.ask(link, Sasl(token=b"")) == refused(ZkErrorCode.AUTHFAILED)
    assert await here.ask(link, Ping()) == Done()


async def test_who_leaves_while_his_session_is_made_is_forgotten(port, world):
    here = await port()
    link = Link()
    here.service.connect(link, ConnectRequest(timeout_ms=4_000), lambda response: setattr(link, "response", response))
    here.service.gone(link)
    await world.until(lambda: len(world.store.image.znodes.sessions))
    await world.until(lambda: not len(world.store.image.znodes.sessions))
    assert link.response is NOT_ASKED
    assert here.service.status().sessions == 0
