"""The tree and its sessions as bytes: a part of a metadata snapshot.

Floor 1, pure. `[[session...], [access control list...], [node...]]`: lists that nodes share are written once. What follows from the nodes
(ephemerals, sizes) is worked out again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from raftkafka.metadata.znodes.commands import pack_acl, unpack_acl
from raftkafka.metadata.znodes.sorted_map import SortedMap
from raftkafka.metadata.znodes.tree import Session, Znode, Znodes, indexed, key_of, path_of
from raftkafka.model import cbor
from raftkafka.model.zookeeper.acl import OPEN_ACL, Acl

BYTES_PER_PIECE: Final = 64 << 10


def pieces(znodes: Znodes, array_header: Callable[[int], bytes]) -> Iterator[bytes]:
    """The bytes, a piece of about BYTES_PER_PIECE at a time; a node with more data makes a larger one."""
    lists = dict.fromkeys(node.acl for node in znodes.nodes.values())
    numbers = {acl: number for number, acl in enumerate(lists)}
    yield array_header(3) + cbor.encode([_packed_session(each) for each in znodes.sessions.values()])
    yield cbor.encode([pack_acl(acl) for acl in lists])
    gathered, size = [array_header(len(znodes.nodes))], 0
    for key, node in znodes.nodes.items():
        gathered.append(cbor.encode(_packed_node(path_of(key), node, numbers[node.acl])))
        size += len(gathered[-1])
        if size >= BYTES_PER_PIECE:
            yield b"".join(gathered)
            gathered, size = [], 0
    yield b"".join(gathered)


def unpacked(packed: Any) -> Znodes:
    """What `pieces` was given, from the decoded value; raises ValueError or TypeError for anything else."""
    sessions, lists, nodes = packed
    acls = [_shared(unpack_acl(acl)) for acl in lists]
    return indexed(
        SortedMap(_nodes(nodes, acls)),
        SortedMap([(session.session_id, session) for session in [_session(*each) for each in sessions]]),
    )


def _packed_session(session: Session) -> tuple[object, ...]:
    return (session.session_id, session.password, session.timeout_ms, session.node_id, session.attached)


def _session(session_id: Any, password: Any, timeout_ms: Any, node_id: Any, attached: Any) -> Session:
    return Session(session_id=session_id, password=password, timeout_ms=timeout_ms, node_id=node_id, attached=attached)


def _packed_node(path: str, node: Znode, acl: int) -> tuple[object, ...]:
    return (
        path,
        node.data,
        acl,
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


def _nodes(packed: Iterable[Any], acls: list[tuple[Acl, ...]]) -> Iterator[tuple[str, Znode]]:
    for path, data, acl, czxid, mzxid, pzxid, ctime_ms, mtime_ms, version, aversion, *rest in packed:
        creations, child_count, owner = rest
        yield (
            key_of(path),
            Znode(
                data=data,
                acl=acls[acl],
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


def _shared(acl: tuple[Acl, ...]) -> tuple[Acl, ...]:
    return OPEN_ACL if acl == OPEN_ACL else acl
