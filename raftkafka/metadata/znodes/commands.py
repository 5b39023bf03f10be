"""What the cluster agrees on about ZooKeeper's clients, and its bytes: a part of `metadata.commands`.

Floor 1, pure. What comes of an operation is known when it is applied and not before: every node works it out alike, and the broker that
holds the session reads it there (`Applied.outcomes`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from raftkafka.model import cbor
from raftkafka.model.ids import NO_NODE, NodeId, RaftIndex
from raftkafka.model.zookeeper.acl import Acl, Identity
from raftkafka.model.zookeeper.modes import CreateMode
from raftkafka.model.zookeeper.ops import Check, Create, Delete, Multi, Operation, SetAcl, SetData, SingleOp
from raftkafka.model.zookeeper.sessions import NO_SESSION

OPERATION_BYTES_MAX: Final = (1 << 20) - 1_024
"""Of the bytes of a ChangeZnodes: it fits into a Raft entry with the time in front. ZooKeeper's `jute.maxbuffer`, 0xfffff bytes of a
whole request, is as large but for this margin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateZkSession:
    """A client has connected to the broker `node_id`; `password` are 16 random bytes, `timeout_ms` has been negotiated."""

    session_id: int
    password: bytes = field(repr=False)
    timeout_ms: int
    node_id: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveZkSession:
    """A client has connected again, perhaps to another broker. Refused unless it knows the password."""

    session_id: int
    password: bytes = field(repr=False)
    timeout_ms: int
    node_id: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class EndZkSession:
    """A session was closed or has expired: its ephemeral nodes go with it. Refused unless `attached` is still the entry that has
    connected it last: who came back in time lives on."""

    session_id: int
    attached: RaftIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeZnodes:
    """An operation of a client whose session is connected to the broker `node_id`, `cxid` its number there; or, with NO_SESSION, of
    the cluster itself, which may change everything. What the client has proved to be, `identities`, was seen by its broker."""

    session_id: int = NO_SESSION
    cxid: int = 0
    node_id: NodeId = NO_NODE
    identities: tuple[Identity, ...] = ()
    operation: Operation


ZnodeCommand = CreateZkSession | MoveZkSession | EndZkSession | ChangeZnodes


def bytes_of(command: ChangeZnodes) -> int:
    """How many it takes in an entry."""
    return len(cbor.encode(pack_change(command)))


def pack_change(each: ChangeZnodes) -> tuple[object, ...]:
    identities = [(who.scheme, who.id) for who in each.identities]
    operation = each.operation
    singles = [_packed(single) for single in operation.operations] if isinstance(operation, Multi) else None
    packed = singles if isinstance(operation, Multi) else _packed(operation)
    return each.session_id, each.cxid, each.node_id, identities, isinstance(operation, Multi), packed


def unpack_change(*fields: Any) -> ChangeZnodes:
    session_id, cxid, node_id, identities, multi, packed = fields
    operation: Operation
    if _typed(bool, multi):
        operation = Multi(operations=tuple([_operation(*each) for each in packed]))
    else:
        operation = _operation(*packed)
    return ChangeZnodes(
        session_id=session_of(session_id, none=True),
        cxid=_typed(int, cxid),
        node_id=_typed(int, node_id),
        identities=tuple([Identity(scheme=_typed(str, scheme), id=_typed(str, who)) for scheme, who in identities]),
        operation=operation,
    )


def unpack_session(kind: type[Any], session_id: Any, password: Any, timeout_ms: Any, node_id: Any) -> Any:
    """A CreateZkSession or MoveZkSession."""
    return kind(
        session_id=session_of(session_id),
        password=_typed(bytes, password),
        timeout_ms=_typed(int, timeout_ms),
        node_id=_typed(int, node_id),
    )


def session_of(value: Any, *, none: bool = False) -> int:
    """Positive: the negative ones are the marks of containers and of times to live, see `model.zookeeper.modes`."""
    least = NO_SESSION if none else 1
    if not least <= _typed(int, value) < 1 << 63:
        raise ValueError("a session id has 63 bits and is not 0")
    return int(value)


def pack_acl(acl: tuple[Acl, ...]) -> list[tuple[int, str, str]]:
    return [(each.perms, each.scheme, each.id) for each in acl]


def unpack_acl(packed: Any) -> tuple[Acl, ...]:
    return tuple(
        [
            Acl(perms=_typed(int, perms), scheme=_typed(str, scheme), id=_typed(str, who))
            for perms, scheme, who in packed
        ]
    )


_CREATE, _DELETE, _SET_DATA, _SET_ACL, _CHECK = range(5)


def _packed(operation: SingleOp) -> tuple[object, ...]:
    match operation:
        case Create():
            return (
                _CREATE,
                operation.path,
                operation.data,
                pack_acl(operation.acl),
                operation.mode.value,
                operation.ttl_ms,
                operation.with_stat,
            )
        case Delete():
            return (_DELETE, operation.path, operation.version)
        case SetData():
            return (_SET_DATA, operation.path, operation.data, operation.version)
        case SetAcl():
            return (_SET_ACL, operation.path, pack_acl(operation.acl), operation.version)
        case Check():
            return (_CHECK, operation.path, operation.version)


def _operation(kind: Any, path: Any, *fields: Any) -> SingleOp:
    _typed(str, path)
    if kind == _CREATE:
        data, acl, mode, ttl_ms, with_stat = fields
        return Create(
            path=path,
            data=_data(data),
            acl=unpack_acl(acl),
            mode=CreateMode(_typed(int, mode)),
            ttl_ms=_typed(int, ttl_ms),
            with_stat=_typed(bool, with_stat),
        )
    if kind == _SET_DATA:
        data, version = fields
        return SetData(path=path, data=_data(data), version=_typed(int, version))
    if kind == _SET_ACL:
        acl, version = fields
        return SetAcl(path=path, acl=unpack_acl(acl), version=_typed(int, version))
    (version,) = fields
    if kind == _DELETE:
        return Delete(path=path, version=_typed(int, version))
    if kind == _CHECK:
        return Check(path=path, version=_typed(int, version))
    raise ValueError(f"there is no operation {kind}")


def _data(value: Any) -> bytes | None:
    return None if value is None else bytes(_typed(bytes, value))


def _typed(kind: type[Any], value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{kind.__name__} wanted, {type(value).__name__} found")
    return value
