"""kazoo, a ZooKeeper client that others wrote, works with real nodes."""

from __future__ import annotations

import asyncio
import queue
import threading

import pytest
from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import (
    AuthFailedError,
    BadVersionError,
    NoAuthError,
    NoChildrenForEphemeralsError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    RolledBackError,
)
from kazoo.protocol.states import EventType
from kazoo.security import make_digest_acl

from raftkafka.client import Admin
from raftkafka.model.zookeeper.acl import OPEN_ACL
from raftkafka.model.zookeeper.modes import CreateMode
from raftkafka.model.zookeeper.ops import Create, CreateResult
from raftkafka.model.zookeeper.sessions import ConnectRequest
from raftkafka.wire.zookeeper.session import ClientSession
from tests.clusters import PATIENCE_S, Cluster, _free_port

pytestmark = pytest.mark.integration


@pytest.fixture
async def served(new_cluster):
    """`await served(nodes)`: a cluster that is ready, whose nodes have ZooKeeper ports; `ports` by node."""

    async def start(nodes: int = 1, **properties: str) -> tuple[Cluster, dict[int, int]]:
        cluster = new_cluster(nodes, properties)
        ports = {node_id: _free_port() for node_id in cluster.node_ids}
        for node_id, port in ports.items():
            cluster.configure(node_id, {"zookeeper.listener": f"127.0.0.1:{port}"})
        cluster.start()
        await cluster.ready()
        return cluster, ports

    return start


@pytest.fixture
def client():
    """`client(*ports)`: a kazoo client that is connected; use it in a thread, it waits."""
    made: list[KazooClient] = []

    def connect(*ports: int, timeout: float = 10.0, start: bool = True, **options) -> KazooClient:
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        found = KazooClient(hosts=hosts, timeout=timeout, randomize_hosts=False, **options)
        made.append(found)
        if start:
            found.start(timeout=PATIENCE_S)
        return found

    yield connect
    for each in made:
        each.stop()
        each.close()


async def test_nodes_are_created_read_changed_and_deleted(served, client):
    _, ports = await served()

    def use() -> None:
        zk = client(ports[1])
        assert zk.server_version() >= (3, 5, 7)
        assert zk.create("/app", b"one") == "/app"
        path, stat = zk.create("/app/x", b"", include_data=True)
        assert (path, stat.version, stat.dataLength) == ("/app/x", 0, 0)
        data, stat = zk.get("/app")
        assert (data, stat.version, stat.numChildren) == (b"one", 0, 1)
        assert zk.set("/app", b"two", version=0).version == 1
        with pytest.raises(BadVersionError):
            zk.set("/app", b"three", version=0)
        with pytest.raises(NodeExistsError):
            zk.create("/app", b"")
        with pytest.raises(NoNodeError):
            zk.get("/none")
        with pytest.raises(NotEmptyError):
            zk.delete("/app")
        assert zk.exists("/none") is None
        assert zk.get_children("/app") == ["x"]
        assert zk.sync("/app") == "/app"
        assert [zk.create("/app/n-", sequence=True) for _ in range(2)] == ["/app/n-0000000001", "/app/n-0000000002"]
        zk.delete("/app", recursive=True)
        assert zk.exists("/app") is None
        zk.ensure_path("/deep/er/and/deeper")
        assert zk.get_children("/deep/er/and") == ["deeper"]

    await asyncio.to_thread(use)


async def test_transactions_are_whole_or_nothing(served, client):
    _, ports = await served()

    def use() -> None:
        zk = client(ports[1])
        zk.create("/t", b"")
        transaction = zk.transaction()
        transaction.create("/t/a", b"1")
        transaction.check("/t", 0)
        transaction.set_data("/t", b"2")
        results = transaction.commit()
        assert results[0] == "/t/a"
        assert results[1] is True
        transaction = zk.transaction()
        transaction.create("/t/b")
        transaction.delete("/t/none")
        transaction.create("/t/c")
        before, failed, _ = transaction.commit()
        assert isinstance(before, RolledBackError)
        assert isinstance(failed, NoNodeError)
        assert zk.get_children("/t") == ["a"]

    await asyncio.to_thread(use)


async def test_watches_of_one_client_hear_what_another_does(served, client):
    _, ports = await served(3)

    def use() -> None:
        here, there = client(ports[1]), client(ports[2])
        events: queue.Queue = queue.Queue()

        def heard():
            event = events.get(timeout=PATIENCE_S)
            return event.type, event.path

        assert here.exists("/w", watch=events.put) is None
        there.create("/w", b"")
        assert heard() == (EventType.CREATED, "/w")
        here.get("/w", watch=events.put)
        there.set("/w", b"new")
        assert heard() == (EventType.CHANGED, "/w")
        assert here.get("/w")[0] == b"new"  # whoever has heard of a change sees it
        here.get_children("/w", watch=events.put)
        there.create("/w/c")
        assert heard() == (EventType.CHILD, "/w")
        here.get("/w/c", watch=events.put)
        there.delete("/w/c")
        assert heard() == (EventType.DELETED, "/w/c")
        assert events.empty()

    await asyncio.to_thread(use)


async def test_ephemeral_nodes_go_with_their_session(served, client):
    _, ports = await served(3)

    def use() -> None:
        owner, other = client(ports[1]), client(ports[2])
        owner.create("/e", ephemeral=True)
        assert other.sync("/") == "/"
        assert other.exists("/e").ephemeralOwner == owner.client_id[0]
        with pytest.raises(NoChildrenForEphemeralsError):
            owner.create("/e/child")
        gone = threading.Event()
        other.exists("/e", watch=lambda event: gone.set())
        owner.stop()
        assert gone.wait(PATIENCE_S)
        assert other.exists("/e") is None

    await asyncio.to_thread(use)


async def test_a_session_survives_the_death_of_its_node(served, client):
    cluster, ports = await served(3)

    def begin():
        zk = client(ports[1], ports[2], ports[3], timeout=20.0)
        states: list[KazooState] = []
        zk.add_listener(states.append)
        zk.create("/mine", b"1", ephemeral=True)
        return zk, states

    zk, states = await asyncio.to_thread(begin)
    session = zk.client_id[0]
    cluster.kill(1)

    def go_on() -> None:
        assert zk.retry(zk.set, "/mine", b"2").version == 1
        assert zk.retry(zk.get, "/mine")[1].ephemeralOwner == session == zk.client_id[0]

    await asyncio.to_thread(go_on)
    assert KazooState.LOST not in states


async def test_a_client_that_is_gone_without_a_word_loses_its_session_in_time(served, client):
    _, ports = await served(1, **{"zookeeper.min.session.timeout.ms": "1000"})

    reader, writer = await asyncio.open_connection("127.0.0.1", ports[1])
    session = ClientSession()
    writer.write(session.encode_connect(ConnectRequest(timeout_ms=2_000)))
    create = Create(path="/s", data=None, acl=OPEN_ACL, mode=CreateMode.EPHEMERAL)
    writer.write(session.encode_request(1, create))
    received, answers = b"", []
    while len(answers) < 2:
        received += await reader.read(4_096)
        found, consumed = session.receive(memoryview(received))
        received = received[consumed:]
        answers += found
    assert answers[1].reply.answer == CreateResult(path="/s")

    def use() -> None:
        other = client(ports[1])
        gone = threading.Event()
        assert other.exists("/s", watch=lambda event: gone.set()).ephemeralOwner == answers[0].session_id
        assert gone.wait(PATIENCE_S)

    await asyncio.to_thread(use)
    assert await reader.read() == b""  # the node has closed a connection whose session is over
    writer.close()


async def test_access_control_lists_are_kept(served, client):
    _, ports = await served()

    def use() -> None:
        owner, stranger = client(ports[1]), client(ports[1])
        owner.add_auth("digest", "user:secret")
        owner.create("/p", b"private", acl=[make_digest_acl("user", "secret", all=True)])
        assert owner.get("/p")[0] == b"private"
        with pytest.raises(NoAuthError):
            stranger.get("/p")
        with pytest.raises(NoAuthError):
            stranger.set("/p", b"")
        stranger.add_auth("digest", "user:secret")
        assert stranger.get("/p")[0] == b"private"
        with pytest.raises(AuthFailedError):
            client(ports[1]).add_auth("kerberos", "x")

    await asyncio.to_thread(use)


async def test_topics_and_brokers_are_seen(served, client):
    cluster, ports = await served(3)
    await cluster.create_topic("orders", partitions=2, replicas=3)

    def use() -> None:
        zk = client(ports[2])
        zk.sync("/")
        assert sorted(zk.get_children("/brokers/ids")) == ["1", "2", "3"]
        assert "orders" in zk.get_children("/brokers/topics")
        assert sorted(zk.get_children("/brokers/topics/orders/partitions")) == ["0", "1"]
        assert b'"leader"' in zk.get("/brokers/topics/orders/partitions/0/state")[0]

    await asyncio.to_thread(use)


async def test_tools_change_topics_by_writing_nodes(served, client):
    cluster, ports = await served(3)

    def create() -> None:
        zk = client(ports[1])
        zk.create("/config/topics/made", b'{"version":1,"config":{"retention.ms":"123456"}}')
        zk.create("/brokers/topics/made", b'{"version":1,"partitions":{"0":[1,2],"1":[2,3]}}')
        with pytest.raises(NodeExistsError):
            zk.create("/brokers/topics/made", b'{"version":1,"partitions":{"0":[1,2]}}')
        with pytest.raises(NoAuthError):
            zk.create("/brokers/ids/9", b"{}")

    await asyncio.to_thread(create)
    async with Admin(cluster.bootstrap) as admin:
        (topic,) = await admin.describe_topics(["made"])
        assert [list(each.replica_nodes) for each in topic.partitions] == [[1, 2], [2, 3]]

    def delete() -> None:
        zk = client(ports[2])
        zk.sync("/")
        gone = threading.Event()
        assert zk.exists("/brokers/topics/made", watch=lambda event: gone.set()) is not None
        zk.create("/admin/delete_topics/made")
        assert gone.wait(PATIENCE_S)
        assert zk.exists("/brokers/topics/made") is None

    await asyncio.to_thread(delete)
