"""The tree and its sessions as one immutable value; part of the image.

Floor 1, pure. Invariants that every tree reachable by `apply` keeps:
- every node but the root has a parent in the tree, and `child_count` of a node is the number of its children;
- an ephemeral node has no children, its owner is a session of the tree, and `ephemerals` names exactly these;
- `reapable` names exactly the containers and the nodes with a time to live;
- `bytes` is what the nodes take by `size_of`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from raftkafka.metadata.znodes.sorted_map import SortedMap
from raftkafka.model.ids import NodeId, RaftIndex
from raftkafka.model.zookeeper import paths
from raftkafka.model.zookeeper.acl import OPEN_ACL, READ_ACL, Acl
from raftkafka.model.zookeeper.modes import CONTAINER_OWNER
from raftkafka.model.zookeeper.sessions import NO_SESSION
from raftkafka.model.zookeeper.stat import Stat

NODES_MAX: Final = 250_000
BYTES_MAX: Final = 64 << 20
"""Of all nodes by `size_of`: the tree is in memory and in every snapshot."""
CHILDREN_MAX: Final = 50_000
"""Of one node: an answer to getChildren is one frame."""
DEPTH_MAX: Final = 64
PATH_CHARS_MAX: Final = 4_096
SESSIONS_MAX: Final = 10_000
NODE_BYTES: Final = 100
"""What a node counts for beside its path and data."""
ACL_BYTES: Final = 50
"""What an entry of its access control list counts for beside its texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Znode:
    """A stored node. `creations` counts the children that were ever created: ZooKeeper's own cversion, of which a Stat shows
    another (`DataNode.copyStat`), and the number that the next sequential child gets."""

    data: bytes | None
    acl: tuple[Acl, ...]
    czxid: RaftIndex
    mzxid: RaftIndex
    pzxid: RaftIndex
    ctime_ms: int
    mtime_ms: int
    version: int = 0
    aversion: int = 0
    creations: int = 0
    child_count: int = 0
    owner: int = NO_SESSION
    """A session, or the mark of a container or of a time to live, see `model.zookeeper.modes`; a Stat shows sessions only."""

    @property
    def ephemeral(self) -> bool:
        return self.owner > NO_SESSION

    def stat(self) -> Stat:
        return Stat(
            czxid=self.czxid,
            mzxid=self.mzxid,
            ctime_ms=self.ctime_ms,
            mtime_ms=self.mtime_ms,
            version=self.version,
            cversion=int32(self.creations * 2 - self.child_count),
            aversion=self.aversion,
            ephemeral_owner=self.owner if self.ephemeral else NO_SESSION,
            data_length=len(self.data or b""),
            num_children=self.child_count,
            pzxid=self.pzxid,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """`node_id` is the broker that its client is connected to, `attached` the entry that has put it there."""

    session_id: int
    password: bytes = field(repr=False)
    timeout_ms: int
    node_id: NodeId
    attached: RaftIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class Znodes:
    """`nodes` by `key_of`, so that the children of a node are neighbours; `ephemerals` by session and path."""

    nodes: SortedMap[str, Znode]
    sessions: SortedMap[int, Session]
    ephemerals: SortedMap[tuple[int, str], None]
    reapable: SortedMap[str, None]
    bytes: int

    def get(self, path: str) -> Znode | None:
        return self.nodes.get(key_of(path))

    def children(self, path: str) -> Iterator[str]:
        """The names of the children, sorted; none for a node that is not there."""
        prefix = path + _BELOW
        for key, _ in self.nodes.between(prefix, path + _BEHIND):
            yield key[len(prefix) :]

    def ephemerals_of(self, session_id: int) -> Iterator[str]:
        """The paths of the ephemeral nodes of a session, sorted."""
        for (_, path), _ in self.ephemerals.between((session_id, ""), (session_id + 1, "")):
            yield path

    def below(self, path: str) -> int:
        """How many nodes there are below this one, at any depth (getAllChildrenNumber)."""
        if path == paths.ROOT:
            return len(self.nodes) - 1
        deeper = self.nodes.count_between(path + "/", path + chr(ord("/") + 1))
        return deeper + self.nodes.count_between(path + _BELOW, path + _BEHIND)


_BELOW: Final = "\0"
_BEHIND: Final = "\1"
_ROOT_KEY: Final = ""


def key_of(path: str) -> str:
    """Where a node lies in the map: its parent's path, a character that no path has, its name."""
    if path == paths.ROOT:
        return _ROOT_KEY
    cut = path.rfind("/")
    return f"{path[:cut] or paths.ROOT}{_BELOW}{path[cut + 1 :]}"


def path_of(key: str) -> str:
    """The path of a node that lies at `key`."""
    if key == _ROOT_KEY:
        return paths.ROOT
    directory, _, name = key.partition(_BELOW)
    return paths.join(directory, name)


def size_of(path: str, data: bytes | None, acl: tuple[Acl, ...]) -> int:
    """What a node counts for in `Znodes.bytes`. The list that almost all nodes have is there once."""
    own = 0 if acl == OPEN_ACL else sum(ACL_BYTES + len(each.scheme) + len(each.id) for each in acl)
    return NODE_BYTES + len(path.encode()) + len(data or b"") + own


def int32(number: int) -> int:
    """As Java counts: behind 2**31 - 1 comes -2**31."""
    return (number + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000


def is_reapable(owner: int) -> bool:
    """A container or a node with a time to live."""
    return owner < NO_SESSION


def is_container(owner: int) -> bool:
    return owner == CONTAINER_OWNER


def indexed(nodes: SortedMap[str, Znode], sessions: SortedMap[int, Session]) -> Znodes:
    """The tree of these nodes: what follows from them is worked out."""
    ephemerals: list[tuple[tuple[int, str], None]] = []
    reapable: list[tuple[str, None]] = []
    size = 0
    for key, node in nodes.items():
        path = path_of(key)
        size += size_of(path, node.data, node.acl)
        if node.ephemeral:
            ephemerals.append(((node.owner, path), None))
        elif is_reapable(node.owner):
            reapable.append((path, None))
    return Znodes(
        nodes=nodes,
        sessions=sessions,
        ephemerals=SortedMap(ephemerals),
        reapable=SortedMap(reapable),
        bytes=size,
    )


def _founded(*every: str) -> Znodes:
    """A tree in which these nodes have always been, as ZooKeeper's own ones are: created by nobody, at zxid 0."""
    nodes = {}
    for path in (paths.ROOT, *every):
        own = path == "/zookeeper" or path.startswith("/zookeeper/")
        below = [each for each in every if paths.parent(each) == path]
        nodes[key_of(path)] = Znode(
            data=b"" if own or path == paths.ROOT else None,
            acl=READ_ACL if path == "/zookeeper/config" else OPEN_ACL,
            czxid=RaftIndex(0),
            mzxid=RaftIndex(0),
            pzxid=RaftIndex(0),
            ctime_ms=0,
            mtime_ms=0,
            creations=0 if own else len([each for each in below if each != "/zookeeper"]),
            child_count=len(below),
        )
    return indexed(SortedMap(nodes.items()), SortedMap())


SPECIAL: Final = frozenset(("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"))
"""Nobody may delete them (`DataTree.isSpecialPath`)."""

KAFKA_PARENTS: Final = (
    "/admin",
    "/admin/delete_topics",
    "/brokers",
    "/brokers/ids",
    "/brokers/seqid",
    "/brokers/topics",
    "/cluster",
    "/config",
    "/config/brokers",
    "/config/changes",
    "/config/clients",
    "/config/topics",
    "/config/users",
    "/consumers",
    "/isr_change_notification",
    "/latest_producer_id_block",
    "/log_dir_event_notification",
)
"""What a broker of the ZooKeeper era creates at its start (`ZkData.PersistentZkPaths`)."""

INITIAL: Final = _founded("/zookeeper", "/zookeeper/config", "/zookeeper/quota", *KAFKA_PARENTS)
