"""The tree and its sessions as bytes: a part of a metadata snapshot.

Floor 1, pure. `[[session...], [node...]]`; an access control list that is open to everybody, as almost all are, is null. What follows from
the nodes (ephemerals, sizes) is worked out again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from raftkafka.metadata.znodes.commands import pack_acl, unpack_acl
from raftkafka.metadata.znodes.sorted_map import SortedMap
from raftkafka.metadata.znodes.tree import Session, Znode, Znodes, indexed, key_of, path_of
from raftkafka.model import cbor
from raftkafka.model.zookeeper.acl import OPEN_ACL

BYTES_PER_PIECE: Final = 64 << 10


def pieces(znodes: Znodes, array_header: Callable[[int], bytes]) -> Iterator[bytes]:
    """The bytes, a piece of about BYTES_PER_PIECE at a time; a node with more data makes a larger one."""
    yield array_header(2) + cbor.encode([_packed_session(each) for each in znodes.sessions.values()])
    gathered, size = [array_header(len(znodes.nodes))], 0
    for key, node in znodes.nodes.items():
        gathered.append(cbor.encode(_packed_node(path_of(key), node)))
        size += len(gathered[-1])
        if size >= BYTES_PER_PIECE:
            yield b"".join(gathered)
            gathered, size = [], 0
    yield b"".join(gathered)


def unpacked(packed: Any) -> Znodes:
    """What `pieces` was given, from the decoded value; raises ValueError or TypeError for anything else."""
    sessions, nodes = packed
    return indexed(
        SortedMap(_nodes(nodes)),
        SortedMap([(session.session_id, session) for session in [_session(*each) for each in sessions]]),
    )


def _packed_session(session: Session) -> tuple[object, ...]:
    return (session.session_id, session.password, session.timeout_ms, session.node_id, session.attached)


def _session(session_id: Any, password: Any, timeout_ms: Any, node_id: Any, attached: Any) -> Session:
    return Session(session_id=session_id, password=password, timeout_ms=timeout_ms, node_id=node_id, attached=attached)


def _packed_node(path: str, node: Znode) -> tuple[object, ...]:
    return (
        path,
        node.data,
        None if node.acl == OPEN_ACL else pack_acl(node.acl),
        node.czxid,
        node.mzxid,
        node.pzxid,
        node.ctime_ms,
        node.mtime_ms,
        node.version,
        node.aversion,
        node.creations,
        node.child_count,
        node.owner,
    )


def _nodes(packed: Iterable[Any]) -> Iterator[tuple[str, Znode]]:
    for path, data, acl, czxid, mzxid, pzxid, ctime_ms, mtime_ms, version, aversion, *rest in packed:
        creations, child_count, owner = rest
        yield (
            key_of(path),
            Znode(
                data=data,
                acl=OPEN_ACL if acl is None else unpack_acl(acl),
                czxid=czxid,
                mzxid=mzxid,
                pzxid=pzxid,
                ctime_ms=ctime_ms,
                mtime_ms=mtime_ms,
                version=version,
                aversion=aversion,
                creations=creations,
                child_count=child_count,
                owner=owner,
            ),
        )
