"""The socket of the ZooKeeper port: limits, stopping, four-letter words, and a client that others wrote."""

from __future__ import annotations

import asyncio
import re
import socket

import pytest
from kazoo.client import KazooClient

from raftkafka.adapters.clock import SystemClock
from raftkafka.listeners.zookeeper.server import HARMLESS_WORDS, ZooKeeperLimits, ZooKeeperServer
from raftkafka.model.errors import StartupError
from raftkafka.model.settings.values import Listener
from raftkafka.model.zookeeper.acl import OPEN_ACL
from raftkafka.model.zookeeper.errors import ZkErrorCode
from raftkafka.model.zookeeper.events import EventType, WatchedEvent
from raftkafka.model.zookeeper.ops import Check, Create, Delete, ErrorResult, Multi, failed_multi
from raftkafka.model.zookeeper.requests import (
    Done,
    Exists,
    GetChildren,
    GetChildrenResult,
    GetData,
    GetDataResult,
    Ping,
    Reply,
)
from raftkafka.model.zookeeper.stat import Stat
from raftkafka.ports.probe import NullProbe
from raftkafka.wire.zookeeper.words import Word

GO_CLIENT = re.compile(
    r"^ /((?:\d+\.){3}\d+:(?:\d+))\[\d+\]\(queued=(\d+),recved=(\d+),sent=(\d+),sid=(0x[A-Za-z0-9]+),lop=(\w+),est=(\d+),to=(\d+),"
    r"lcxid=(0x[A-Za-z0-9]+),lzxid=(0x[A-Za-z0-9]+),lresp=(\d+),llat=(\d+),minlat=(\d+),avglat=(\d+),maxlat=(\d+)\)"
)
"""How github.com/go-zookeeper/zk reads a line of `cons`."""


async def say(port, word: bytes) -> str:
    client = await port.connect(raw=True)
    client.writer.write(word)
    async with asyncio.timeout(10):
        return (await client.reader.read()).decode()


async def test_words_are_answered_and_close(port, service):
    await port.start()
    assert await say(port, b"ruok") == "imok"
    assert await say(port, b"isro") == "rw"
    assert "Zookeeper version: 3.8.4-raftkafka" in await say(port, b"srvr\n")
    await port.connect()
    assert "Mode: follower\nNode count: 12\n" in await say(port, b"stat")
    assert "zk_znode_count\t12\n" in await say(port, b"mntr")
    assert await say(port, b"conf") == "clientPort=2181\nmaxSessionTimeout=40000\n"
    assert GO_CLIENT.match((await say(port, b"cons")).splitlines()[0])
    assert "0x77\t10000ms\n" in await say(port, b"dump")
    assert (await say(port, b"envi")).splitlines()[1].startswith("zookeeper.version=3.8.4")
    assert await say(port, b"wchs") == "1 connections watching 2 paths\nTotal watches:3\n"
    assert await say(port, b"wchc") == "0x77\n\t/a\n\t/b\n"
    assert await say(port, b"wchp") == "/a\n\t0x77\n/b\n\t0x77\n"
    assert service.connects
    assert not service.asked


async def test_metrics_and_words_tell_the_same(port, service, probe, until):
    server = await port.start()
    client = await port.connect()
    service.held = True
    client.send(Create(path="/a", data=b"", acl=OPEN_ACL), Delete(path="/a"))
    await until(lambda: server.statistics().outstanding == 2)
    told = dict(line.split("\t") for line in (await say(port, b"mntr")).splitlines())
    statistics = server.statistics()
    assert {
        "zk_outstanding_requests": statistics.outstanding,
        "zk_watch_count": statistics.watches,
        "zk_global_sessions": statistics.sessions,
        "zk_znode_count": statistics.nodes,
        "zk_ephemerals_count": statistics.ephemerals,
        "zk_approximate_data_size": statistics.data_bytes,
    }.items() <= {key: int(value) for key, value in told.items() if value.isdecimal()}.items()
    assert "Outstanding: 2\n" in await say(port, b"stat")
    assert "(queued=2," in await say(port, b"cons")
    assert probe.zookeeper == []
    for answer in service.waiting:
        answer(Reply(answer=ErrorResult(code=ZkErrorCode.NONODE)))
    multi = Multi(operations=(Check(path="/"), Check(path="/none")))
    service.answers = {Multi: lambda _: Reply(answer=failed_multi(2, 1, ZkErrorCode.NONODE))}
    client.send(multi, Ping(), first_xid=3)
    assert len(await client.answers(4)) == 4
    assert probe.zookeeper == [
        ("CREATE", ZkErrorCode.NONODE),
        ("DELETE", ZkErrorCode.NONODE),
        ("MULTI", ZkErrorCode.NONODE),
        ("PING", ZkErrorCode.OK),
    ]
    assert server.statistics().outstanding == 0


async def test_counts_are_reset_by_words(port):
    server = await port.start()
    client = await port.connect()
    client.send(Ping(), Ping())
    await client.answers(2)
    assert server._traffic.received == 3
    assert await say(port, b"srst") == "Server stats reset.\n"
    assert server._traffic.received == 0
    assert "recved=3,sent=3" in await say(port, b"cons")
    assert await say(port, b"crst") == "Connection stats reset.\n"
    assert "recved=0,sent=0" in await say(port, b"cons")


@pytest.mark.parametrize("word", Word)
async def test_beyond_loopback_words_tell_of_nobody(port, word):
    await port.start(host="")
    await port.connect()
    said = await say(port, word.value)
    assert ("not in the whitelist" in said) == (word not in HARMLESS_WORDS)
    assert "127.0.0.1" not in said
    assert "0x77" not in said
    if word is Word.ISRO:
        assert said == "ro"


async def test_connections_above_the_limit_are_closed_at_once(port, until):
    server = await port.start(connections_max=1)
    first = await port.connect()
    second = await port.connect(raw=True)
    assert await second.next() is None
    assert server.connections == 1
    await first.close()
    await until(lambda: server.connections == 0)
    third = await port.connect()
    third.send(Ping())
    assert await third.answers(1) == [Done()]


async def test_stop_closes_connections_and_the_port_is_free_again(port, service, until):
    server = await port.start()
    client = await port.connect()
    number = server.port
    await server.stop()
    assert await client.next() is None
    assert service.gone_links == service.links
    again = ZooKeeperServer(
        listener=Listener(name="ZOOKEEPER", host="127.0.0.1", port=number),
        service=service,
        limits=ZooKeeperLimits(),
        probe=NullProbe(),
        clock=SystemClock(),
    )
    await again.start()
    await again.stop()


async def test_a_port_in_use_is_named(service):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = ZooKeeperServer(
            listener=Listener(name="ZOOKEEPER", host="127.0.0.1", port=taken.getsockname()[1]),
            service=service,
            limits=ZooKeeperLimits(),
            probe=NullProbe(),
            clock=SystemClock(),
        )
        with pytest.raises(StartupError, match=r"zookeeper\.listener: port \d+ on .* is in use"):
            await server.start()


async def test_kazoo_works_with_the_port(port, service):
    """Its threads speak to our loop; what the service answers is what its callers get."""
    await port.start()
    stat = Stat(czxid=1, mzxid=2, version=3, data_length=2, num_children=1)
    service.answers = {
        GetData: lambda request: Reply(answer=GetDataResult(data=b"me", stat=stat), zxid=7),
        Exists: lambda request: Reply(answer=ErrorResult(code=ZkErrorCode.NONODE), zxid=7),
        GetChildren: lambda request: Reply(answer=GetChildrenResult(children=("x", "y")), zxid=7),
    }
    loop, seen = asyncio.get_running_loop(), asyncio.Event()

    def use() -> None:
        client = KazooClient(hosts=f"127.0.0.1:{port.server.port}", timeout=10)
        client.start(timeout=20)
        try:
            assert client.client_id == (0x77, b"0123456789abcdef")
            assert client.server_version() == (3, 8, 4)
            assert client.create("/a", b"x", include_data=False) == "/a"
            assert client.get("/a")[0] == b"me"
            assert client.get("/a")[1].version == 3
            assert client.exists("/none") is None
            assert client.get_children("/a", watch=lambda event: loop.call_soon_threadsafe(seen.set)) == ["x", "y"]
            event = WatchedEvent(kind=EventType.NODE_CHILDREN_CHANGED, path="/a", zxid=8)
            loop.call_soon_threadsafe(service.links[0].deliver, event)
            asyncio.run_coroutine_threadsafe(seen.wait(), loop).result(20)
        finally:
            client.stop()
            client.close()

    await asyncio.to_thread(use)
    assert any(isinstance(request, Create) for request in service.asked)
    assert GetChildren(path="/a", watch=True) in service.asked
