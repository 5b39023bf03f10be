"""Whatever is done to a tree, the port answers what a real ZooKeeper answers.

Both get the same random operations, through the same client. Numbers that count something of their own (zxids, times, session ids) are
compared by what they say: which nodes were changed later than which, and who owns what.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from kazoo.client import KazooClient, TransactionRequest
from kazoo.exceptions import KazooException, NoAuthError
from kazoo.protocol.states import ZnodeStat
from kazoo.security import ACL, OPEN_ACL_UNSAFE, Id

from raftkafka.model.zookeeper.events import AddWatchMode, EventType, WatchedEvent, WatcherType
from raftkafka.model.zookeeper.requests import AddWatch, RemoveWatches, Request, Sync
from raftkafka.model.zookeeper.sessions import ConnectRequest
from raftkafka.wire.zookeeper.session import ClientSession
from tests.clusters import PATIENCE_S, Cluster, _free_port
from tests.conformance.zookeeper.real import MISSING, real_zookeeper

pytestmark = [pytest.mark.skipif(MISSING is not None, reason=MISSING or ""), pytest.mark.timeout(600)]

Operation = tuple[Any, ...]

PATHS = st.sampled_from(["a", "a", "b", "a/a", "a/b", "b/a", "a/a/a"])
STRANGE = st.sampled_from(["a/", "a//b", ".", "a/..", "a/\x00b", "a/\x1fb", "\ud7ffx"])
PLACES = st.one_of(PATHS, PATHS, PATHS, PATHS, STRANGE)
DATA = st.sampled_from([b"", b"x", b"\x00\xff", b"longer than the others"])
VERSIONS = st.sampled_from([-1, -1, -1, 0, 0, 1, 2])
OWN = [ACL(perms=31, id=Id("auth", ""))]
BAD = [ACL(perms=31, id=Id("bad", "x"))]
FORBIDDING = [ACL(perms=17, id=Id("world", "anyone"))]
"""All may read it and change its list, and nothing else."""
CLOSED = [ACL(perms=30, id=Id("world", "anyone"))]
"""Nobody may read it."""
ACLS = st.sampled_from([OPEN_ACL_UNSAFE, OPEN_ACL_UNSAFE, OPEN_ACL_UNSAFE, OWN, FORBIDDING, CLOSED, BAD, []])
FLAGS = st.sampled_from([False, False, True])
CREATE = st.tuples(st.just("create"), PLACES, DATA, ACLS, FLAGS, FLAGS)
DELETE = st.tuples(st.just("delete"), PLACES, VERSIONS)
SET = st.tuples(st.just("set"), PLACES, DATA, VERSIONS)
CHECK = st.tuples(st.just("check"), PATHS, VERSIONS)
OPERATIONS = st.lists(
    st.one_of(
        CREATE,
        CREATE,
        CREATE,
        CREATE,
        DELETE,
        SET,
        st.tuples(st.just("get"), PATHS),
        st.tuples(st.just("exists"), PATHS),
        st.tuples(st.just("children"), PATHS),
        st.tuples(st.just("get_acls"), PATHS),
        st.tuples(st.just("set_acls"), PATHS, ACLS, VERSIONS),
        st.tuples(st.just("multi"), st.lists(st.one_of(CREATE, DELETE, SET, CHECK), max_size=5)),
        st.tuples(st.just("reconnect")),
    ),
    min_size=5,
    max_size=40,
)


class Stranger:
    """Another client, which has proved nothing and watches everything. Kazoo has no such watches, our own codec has."""

    def __init__(self, address: str) -> None:
        host, _, port = address.partition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
        self._session = ClientSession()
        self._received = b""
        self._events: list[tuple[EventType, str]] = []
        self._socket.sendall(self._session.encode_connect(ConnectRequest(timeout_ms=40_000)))
        self._next()

    def _next(self) -> None:
        """Up to the next thing that is no event."""
        while True:
            found, consumed = self._session.receive(memoryview(self._received))
            self._received = self._received[consumed:]
            self._events += [(each.kind, each.path) for each in found if isinstance(each, WatchedEvent)]
            if any(not isinstance(each, WatchedEvent) for each in found):
                return
            received = self._socket.recv(1 << 16)
            assert received, "the connection is closed"
            self._received += received

    def _ask(self, request: Request) -> None:
        self._socket.sendall(self._session.encode_request(1, request))
        self._next()

    def watch(self, root: str) -> None:
        """From now on all that happens there; no longer what happens elsewhere."""
        self._ask(AddWatch(path=root, mode=AddWatchMode.PERSISTENT_RECURSIVE))
        self._events.clear()

    def heard(self, root: str) -> list[tuple[EventType, str]]:
        """Sorted: in which order a session's nodes go with it is nobody's business."""
        self._ask(Sync(path=root))
        self._ask(RemoveWatches(path=root, kind=WatcherType.ANY))
        return sorted(self._events)

    def close(self) -> None:
        self._socket.close()


class Side:
    """One server, and what it has answered so far."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.client = self._connected()
        self.stranger = Stranger(address)
        self.root = "/"
        self._first_zxid = 0

    def _connected(self) -> KazooClient:
        client = KazooClient(hosts=self.address, timeout=30)
        client.start(timeout=PATIENCE_S)
        client.add_auth("digest", "user:password")
        return client

    def begin(self, root: str) -> None:
        self.root = root
        for path in ("", "/a", "/b", "/a/b"):
            self.client.create(root + path)
        self.stranger.watch(root)

    def close(self) -> None:
        self.stranger.close()
        self.client.stop()
        self.client.close()

    def end(self) -> list[Any]:
        """All that is left, with everything that can be compared."""
        heard = self.stranger.heard(self.root)
        left = list(self._walk(self.root))
        order = {zxid: rank for rank, zxid in enumerate(sorted({zxid for _, zxids, _ in left for zxid in zxids}))}
        return [heard, *[(path, tuple(order[zxid] for zxid in zxids), rest) for path, zxids, rest in left]]

    def _walk(self, path: str) -> Iterator[tuple[str, tuple[int, ...], Any]]:
        stat = self.client.exists(path)
        assert stat is not None
        yield path, (stat.czxid, stat.mzxid, stat.pzxid), self._plain(stat)
        with contextlib.suppress(NoAuthError):
            for name in sorted(self.client.get_children(path)):
                yield from self._walk(f"{path}/{name}")

    def do(self, operation: Operation) -> Any:
        try:
            return self._shown(self._do(operation))
        except (KazooException, ValueError, TypeError) as error:
            return type(error).__name__

    def _do(self, operation: Operation) -> Any:
        name, *arguments = operation
        client = self.client
        if name == "reconnect":
            client.stop()
            client.close()
            self.client = self._connected()
            return None
        if name == "multi":
            transaction = client.transaction()
            for each in arguments[0]:
                self._add(transaction, each)
            return [self._shown(each) for each in transaction.commit()]
        path = f"{self.root}/{arguments[0]}"
        if name == "create":
            data, acl, ephemeral, sequence = arguments[1:]
            return client.create(path, data, acl=acl, ephemeral=ephemeral, sequence=sequence, include_data=True)
        calls: dict[str, Callable[..., Any]] = {
            "delete": client.delete,
            "set": client.set,
            "get": client.get,
            "exists": client.exists,
            "children": lambda where: client.get_children(where, include_data=True),
            "get_acls": client.get_acls,
            "set_acls": client.set_acls,
        }
        return calls[name](path, *arguments[1:])

    def _add(self, transaction: TransactionRequest, operation: Operation) -> None:
        name, place, *rest = operation
        path = f"{self.root}/{place}"
        if name == "create":
            data, acl, ephemeral, sequence = rest
            transaction.create(path, data, acl=acl, ephemeral=ephemeral, sequence=sequence)
        elif name == "delete":
            transaction.delete(path, *rest)
        elif name == "set":
            transaction.set_data(path, *rest)
        else:
            transaction.check(path, *rest)

    def _shown(self, value: Any) -> Any:
        if isinstance(value, ZnodeStat):
            return self._plain(value)
        if isinstance(value, KazooException):
            return type(value).__name__
        if isinstance(value, list):
            shown = [self._shown(each) for each in value]
            return sorted(shown) if all(isinstance(each, str) for each in shown) else shown
        if isinstance(value, tuple) and type(value) is tuple:
            first, *rest = value
            first = sorted(first) if isinstance(first, list) and all(isinstance(each, str) for each in first) else first
            return (first, *[self._shown(each) for each in rest])
        return value

    @staticmethod
    def _plain(stat: ZnodeStat) -> tuple[Any, ...]:
        own = (stat.version, stat.cversion, stat.aversion, bool(stat.ephemeralOwner), stat.dataLength, stat.numChildren)
        return (*own, stat.mzxid == stat.czxid, stat.mtime >= stat.ctime)


async def test_random_operations_are_answered_alike(new_cluster: Callable[..., Cluster], tmp_path: Any) -> None:
    cluster = new_cluster(1)
    port = _free_port()
    cluster.configure(1, {"zookeeper.listener": f"127.0.0.1:{port}"})
    cluster.start()
    await cluster.ready()
    with real_zookeeper(tmp_path / "real") as address:
        await asyncio.to_thread(compare, f"127.0.0.1:{port}", address)


def compare(ours: str, real: str) -> None:
    sides = [Side(ours), Side(real)]
    roots = itertools.count()

    @settings(
        max_examples=100,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(OPERATIONS)
    def alike(operations: list[Operation]) -> None:
        root = f"/r{next(roots)}"
        for side in sides:
            side.begin(root)
        for number, operation in enumerate(operations):
            mine, theirs = [side.do(operation) for side in sides]
            assert mine == theirs, f"operation {number}: {operation}"
        mine, theirs = [side.end() for side in sides]
        assert mine == theirs

    try:
        alike()
    finally:
        for side in sides:
            side.close()
