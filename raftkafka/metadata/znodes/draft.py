"""A tree in the making, and what a watch has to hear of it.

Floor 1, pure. `mark` and `back_to` make an operation that fails half way leave nothing behind: the maps are persistent, so both cost
nothing. Events are noted in ZooKeeper's order (`DataTree`): of the node itself before those of its parent.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from raftkafka.metadata.znodes.sorted_map import SortedMap
from raftkafka.metadata.znodes.tree import (
    Session,
    Znode,
    Znodes,
    int32,
    is_reapable,
    key_of,
    size_of,
)
from raftkafka.model.ids import RaftIndex
from raftkafka.model.zookeeper import paths
from raftkafka.model.zookeeper.acl import OPEN_ACL, Acl
from raftkafka.model.zookeeper.events import EventType
from raftkafka.model.zookeeper.ops import OperationResult, SingleOp, SingleResult
from raftkafka.model.zookeeper.sessions import NO_SESSION


class WatchEvent(NamedTuple):
    """What has happened to a node; its zxid is the index of the entry.

    `acl` is that of the node: who may not read it does not hear of it either (CVE-2024-23944).
    """

    kind: EventType
    path: str
    acl: tuple[Acl, ...] = OPEN_ACL


class Noted(NamedTuple):
    """An outcome before the entry is applied as a whole: in place of a result it may hold the operation that was granted.

    Of a Multi with such an operation it is the sequence of its results."""

    session_id: int
    cxid: int
    result: OperationResult | SingleOp | tuple[SingleResult | SingleOp, ...]


class Outcome(NamedTuple):
    """What has come of an operation of a session; `cxid` is the number that the client gave it."""

    session_id: int
    cxid: int
    result: OperationResult


class Mark(NamedTuple):
    """Where to go back to."""

    nodes: SortedMap[str, Znode]
    ephemerals: SortedMap[tuple[int, str], None]
    reapable: SortedMap[str, None]
    bytes: int
    events: int


class TreeDraft:
    """One use: made from a tree, written to, frozen. Its methods trust their callers, see `operations` for the rules."""

    __slots__ = (
        "_base",
        "bytes",
        "ephemerals",
        "events",
        "nodes",
        "outcomes",
        "reapable",
        "sessions",
        "touched_sessions",
    )

    def __init__(self, base: Znodes) -> None:
        self._base = base
        self.nodes = base.nodes
        self.sessions = base.sessions
        self.ephemerals = base.ephemerals
        self.reapable = base.reapable
        self.bytes = base.bytes
        self.events: list[WatchEvent] = []
        self.outcomes: list[Noted] = []
        self.touched_sessions: set[int] = set()

    def get(self, path: str) -> Znode | None:
        return self.nodes.get(key_of(path))

    def set_acl(self, path: str, before: Znode, after: Znode) -> None:
        """Nobody watches access control lists."""
        self.nodes = self.nodes.put(key_of(path), after)
        self.bytes += size_of(path, None, after.acl) - size_of(path, None, before.acl)

    def create(self, path: str, node: Znode) -> None:
        """Add a node below an existing one."""
        self.nodes = self.nodes.put(key_of(path), node)
        self.bytes += size_of(path, node.data, node.acl)
        if node.ephemeral:
            self.ephemerals = self.ephemerals.put((node.owner, path), None)
        elif is_reapable(node.owner):
            self.reapable = self.reapable.put(path, None)
        above = paths.parent(path)
        directory = self._children_of(above, node.czxid, created=1, count=1)
        self.events += (
            WatchEvent(EventType.NODE_CREATED, path, node.acl),
            WatchEvent(EventType.NODE_CHILDREN_CHANGED, above, directory.acl),
        )

    def write(self, path: str, data: bytes | None, zxid: RaftIndex, time_ms: int) -> None:
        """Let a node have this data, whoever may change it; it and what is missing above it are created."""
        node = self.get(path)
        if node is not None:
            after = replace(node, data=data, version=int32(node.version + 1), mzxid=zxid, mtime_ms=time_ms)
            self.set_data(path, node, after)
            return
        if self.get(paths.parent(path)) is None:
            self.write(paths.parent(path), None, zxid, time_ms)
        made = Znode(data=data, acl=OPEN_ACL, czxid=zxid, mzxid=zxid, pzxid=zxid, ctime_ms=time_ms, mtime_ms=time_ms)
        self.create(path, made)

    def set_data(self, path: str, before: Znode, after: Znode) -> None:
        self.nodes = self.nodes.put(key_of(path), after)
        self.bytes += len(after.data or b"") - len(before.data or b"")
        self.events.append(WatchEvent(EventType.NODE_DATA_CHANGED, path, after.acl))

    def delete(self, path: str, node: Znode, zxid: RaftIndex) -> None:
        """Remove a node without children."""
        self.nodes = self.nodes.without(key_of(path))
        self.bytes -= size_of(path, node.data, node.acl)
        if node.ephemeral:
            self.ephemerals = self.ephemerals.without((node.owner, path))
        elif is_reapable(node.owner):
            self.reapable = self.reapable.without(path)
        above = paths.parent(path)
        directory = self._children_of(above, zxid, created=0, count=-1)
        self.events += (
            WatchEvent(EventType.NODE_DELETED, path, node.acl),
            WatchEvent(EventType.NODE_CHILDREN_CHANGED, above, directory.acl),
        )

    def forget(self, path: str) -> None:
        """Remove a node, if there is one, whose place is taken by one that is rendered: for clients it is still there."""
        node = self.get(path)
        if node is not None:
            events = len(self.events)
            self.delete(path, node, node.czxid)
            del self.events[events:]

    def _children_of(self, path: str, zxid: RaftIndex, *, created: int, count: int) -> Znode:
        node = self.nodes[key_of(path)]
        after = replace(
            node,
            creations=int32(node.creations + created),
            child_count=node.child_count + count,
            pzxid=max(node.pzxid, zxid),
        )
        self.nodes = self.nodes.put(key_of(path), after)
        return after

    def count_children(self, path: str, zxid: RaftIndex, *, created: int) -> None:
        """Children that are rendered from the image have come, so many, or gone."""
        self._children_of(path, zxid, created=created, count=0)

    def put_session(self, session: Session) -> None:
        self.sessions = self.sessions.put(session.session_id, session)
        self.touched_sessions.add(session.session_id)

    def end_session(self, session_id: int, zxid: RaftIndex) -> None:
        """Remove a session and, in the same step, its ephemeral nodes, in the order in which they were created."""
        self.sessions = self.sessions.without(session_id)
        self.touched_sessions.add(session_id)
        owned = [path for (_, path), _ in self.ephemerals.between((session_id, ""), (session_id + 1, ""))]
        every = [(node.czxid, path, node) for path in owned if (node := self.get(path)) is not None]
        for _, path, node in sorted(every, key=lambda each: each[:2]):
            self.delete(path, node, zxid)

    def mark(self) -> Mark:
        return Mark(self.nodes, self.ephemerals, self.reapable, self.bytes, len(self.events))

    def back_to(self, mark: Mark) -> None:
        """Forget all that was done to nodes since `mark`."""
        self.nodes, self.ephemerals, self.reapable, self.bytes = mark[:4]
        del self.events[mark.events :]

    def is_there(self, session_id: int) -> bool:
        """True for the cluster itself and for a session that lives."""
        return session_id == NO_SESSION or session_id in self.sessions

    def freeze(self) -> Znodes:
        """The base itself where nothing differs."""
        if self.nodes is self._base.nodes and self.sessions is self._base.sessions:
            return self._base
        return Znodes(
            nodes=self.nodes,
            sessions=self.sessions,
            ephemerals=self.ephemerals,
            reapable=self.reapable,
            bytes=self.bytes,
        )
