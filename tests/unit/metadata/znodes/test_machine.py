"""The tree against a model: a dict of nodes, changed in place and copied for a Multi, with ZooKeeper's rules written down plainly.

Two replicas run beside it. One applies each entry alone, the other some at a time and with a snapshot now and then: they stay equal.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from raftkafka.metadata import snapshot
from raftkafka.metadata.apply import apply_all
from raftkafka.metadata.commands import NoteTime, decode, encode
from raftkafka.metadata.image import Image
from raftkafka.metadata.znodes.commands import ChangeZnodes, CreateZkSession, EndZkSession, MoveZkSession
from raftkafka.metadata.znodes.tree import path_of
from raftkafka.model.ids import NodeId, RaftIndex, TimestampMs
from raftkafka.model.zookeeper.acl import OPEN_ACL, READ_ACL
from raftkafka.model.zookeeper.events import EventType
from raftkafka.model.zookeeper.modes import CONTAINER_OWNER, CreateMode, ttl_owner
from raftkafka.model.zookeeper.ops import Check, Create, Delete, ErrorResult, Multi, MultiResult, SetData
from raftkafka.model.zookeeper.stat import Stat
from tests.unit.metadata.soundness import check_tree

NAMES = ["a", "b", "c-"]


@dataclass
class Node:
    data: bytes | None
    czxid: int
    ctime: int
    owner: int
    writable: bool = True
    mzxid: int = 0
    mtime: int = 0
    pzxid: int = 0
    version: int = 0
    creations: int = 0
    changes: int = 0  # of children: what a Stat shows as cversion
    children: set[str] = field(default_factory=set)

    def stat(self) -> Stat:
        return Stat(
            czxid=self.czxid,
            mzxid=self.mzxid,
            ctime_ms=self.ctime,
            mtime_ms=self.mtime,
            version=self.version,
            cversion=self.changes,
            aversion=0,
            ephemeral_owner=max(self.owner, 0),
            data_length=len(self.data or b""),
            num_children=len(self.children),
            pzxid=self.pzxid,
        )


class Refused(Exception):
    pass


class Model:
    """Below /t, which is there from the beginning."""

    def __init__(self, zxid: int, now: int) -> None:
        self.nodes = {"/t": Node(b"", zxid, now, 0, mzxid=zxid, mtime=now, pzxid=zxid)}
        self.sessions: dict[int, int] = {}

    def do(self, operation, session: int, node_id: int, zxid: int, now: int):
        """ "ok" or the error's name, for each single operation."""
        singles = operation.operations if isinstance(operation, Multi) else (operation,)
        if not singles:
            return []
        saved = copy.deepcopy(self.nodes)
        outcomes: list[str] = []
        for single in singles:
            try:
                if session not in self.sessions:
                    raise Refused("SESSIONEXPIRED")
                if self.sessions[session] != node_id:
                    raise Refused("SESSIONMOVED")
                self.single(single, session, zxid, now)
            except Refused as refusal:
                self.nodes = saved
                rest = ["RUNTIMEINCONSISTENCY"] * (len(singles) - len(outcomes) - 1)
                return ["OK"] * len(outcomes) + [str(refusal)] + rest
            outcomes.append("ok")
        return outcomes

    def single(self, wanted, session: int, zxid: int, now: int) -> None:
        path = wanted.path
        if isinstance(wanted, Create):
            if wanted.mode.ttl != (wanted.ttl_ms > 0):
                raise Refused("BADARGUMENTS")
            above = self.existing(path.rpartition("/")[0])
            if not above.writable:
                raise Refused("NOAUTH")
            if wanted.mode.sequential:
                path += str(above.creations).zfill(10)
            if path in self.nodes:
                raise Refused("NODEEXISTS")
            if above.owner > 0:
                raise Refused("NOCHILDRENFOREPHEMERALS")
            owner = session if wanted.mode.ephemeral else 0
            owner = CONTAINER_OWNER if wanted.mode.container else owner
            owner = ttl_owner(wanted.ttl_ms) if wanted.mode.ttl else owner
            self.nodes[path] = Node(
                wanted.data, zxid, now, owner, writable=wanted.acl == OPEN_ACL, mzxid=zxid, mtime=now, pzxid=zxid
            )
            above.children.add(path)
            above.creations += 1
            above.changes += 1
            above.pzxid = zxid
        elif isinstance(wanted, Delete):
            if not self.existing(path.rpartition("/")[0]).writable:
                raise Refused("NOAUTH")
            self.versioned(path, wanted.version)
            if self.nodes[path].children:
                raise Refused("NOTEMPTY")
            self.drop(path, zxid)
        elif isinstance(wanted, SetData):
            if not self.existing(path).writable:
                raise Refused("NOAUTH")
            node = self.versioned(path, wanted.version)
            node.data, node.mzxid, node.mtime, node.version = wanted.data, zxid, now, node.version + 1
        else:
            self.versioned(path, wanted.version)

    def drop(self, path: str, zxid: int) -> None:
        del self.nodes[path]
        above = self.nodes[path.rpartition("/")[0]]
        above.children.discard(path)
        above.changes += 1
        above.pzxid = zxid

    def existing(self, path: str) -> Node:
        if path not in self.nodes:
            raise Refused("NONODE")
        return self.nodes[path]

    def versioned(self, path: str, version: int) -> Node:
        node = self.existing(path)
        if version not in (-1, node.version):
            raise Refused("BADVERSION")
        return node


PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(lambda names: "/t/" + "/".join(names))
SINGLES = st.one_of(
    st.builds(
        Create,
        path=PATHS,
        data=st.none() | st.binary(max_size=3),
        acl=st.sampled_from([OPEN_ACL, OPEN_ACL, OPEN_ACL, READ_ACL]),
        mode=st.sampled_from(CreateMode),
        ttl_ms=st.sampled_from([-1, -1, -1, 7]),
    ),
    st.builds(Delete, path=PATHS, version=st.sampled_from([-1, 0, 1])),
    st.builds(SetData, path=PATHS, data=st.none() | st.binary(max_size=3), version=st.sampled_from([-1, 0, 1])),
    st.builds(Check, path=PATHS, version=st.sampled_from([-1, 0, 1])),
)
SESSIONS = st.integers(1, 3)
BROKERS = st.sampled_from([1, 1, 1, 2]).map(NodeId)


class TreeAndModel(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.image = self.other = Image.empty()
        self.index, self.now = 50, 1_000
        self.waiting: list[tuple[int, bytes]] = []
        self.apply(ChangeZnodes(operation=Create(path="/t", data=b"", acl=OPEN_ACL)))
        self.model = Model(self.index, self.now)
        for session_id in (1, 2):
            self.open(session_id, NodeId(1))

    def apply(self, command):
        self.index += 1
        self.now += 7
        entry = encode([NoteTime(time_ms=TimestampMs(self.now)), command])
        self.waiting.append((self.index, entry))
        applied = apply_all(self.image, RaftIndex(self.index), decode(entry))
        self.image = applied.image
        return applied

    @rule(session_id=SESSIONS, node_id=BROKERS)
    def open(self, session_id, node_id):
        self.apply(CreateZkSession(session_id=session_id, password=bytes(16), timeout_ms=5, node_id=node_id))
        self.model.sessions.setdefault(session_id, node_id)

    @rule(session_id=SESSIONS, node_id=BROKERS)
    def move(self, session_id, node_id):
        self.apply(MoveZkSession(session_id=session_id, password=bytes(16), timeout_ms=5, node_id=node_id))
        if session_id in self.model.sessions:
            self.model.sessions[session_id] = node_id

    @rule(session_id=SESSIONS)
    def end(self, session_id):
        session = self.image.znodes.sessions.get(session_id)
        attached = RaftIndex(0) if session is None else session.attached
        applied = self.apply(EndZkSession(session_id=session_id, attached=attached))
        if self.model.sessions.pop(session_id, None) is None:
            return
        owned = [path for path, node in self.model.nodes.items() if node.owner == session_id]
        for path in owned:
            self.model.drop(path, self.index)
        events = applied.changes.znode_events
        # The model's dict remembers the order of creation.
        assert [event.path for event in events if event.kind is EventType.NODE_DELETED] == owned

    @rule(session_id=SESSIONS, node_id=BROKERS, operation=SINGLES | st.lists(SINGLES, max_size=4).map(tuple))
    def change(self, session_id, node_id, operation):
        wanted = Multi(operations=operation) if isinstance(operation, tuple) else operation
        before = set(self.model.nodes)
        applied = self.apply(ChangeZnodes(session_id=session_id, cxid=1, node_id=node_id, operation=wanted))
        expected = self.model.do(wanted, session_id, node_id, self.index, self.now)
        ((_, _, result),) = applied.outcomes
        results = result.results if isinstance(result, MultiResult) else (result,)
        # An empty Multi of a session that has moved is a success that changes nothing; nobody can tell.
        got = [each.code.name if isinstance(each, ErrorResult) else "ok" for each in results]
        assert got == expected or not expected
        created = {event.path for event in applied.changes.znode_events if event.kind is EventType.NODE_CREATED}
        assert set(self.model.nodes) - before <= created

    @rule(restart=st.booleans())
    def catch_up(self, restart):
        for index, entry in self.waiting:
            self.other = apply_all(self.other, RaftIndex(index), decode(entry)).image
        self.waiting.clear()
        if restart:
            self.other = snapshot.decode(snapshot.encode(self.other))
        assert self.other.znodes == self.image.znodes

    @invariant()
    def they_are_equal(self):
        if not hasattr(self, "model"):
            return
        tree = self.image.znodes
        check_tree(tree)
        below = {path_of(key): node for key, node in tree.nodes.items() if path_of(key).startswith("/t")}
        assert {path: node.stat() for path, node in below.items()} == {
            path: node.stat() for path, node in self.model.nodes.items()
        }
        assert {path: node.data for path, node in below.items()} == {
            path: node.data for path, node in self.model.nodes.items()
        }
        assert {each.session_id: each.node_id for each in tree.sessions.values()} == self.model.sessions


TestTreeAndModel = TreeAndModel.TestCase
TestTreeAndModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
