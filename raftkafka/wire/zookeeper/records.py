"""The records that others are made of: Stat, access control lists, connect requests and responses, events. Floor 2."""

from __future__ import annotations

import struct
from typing import Final

from raftkafka.model.zookeeper.acl import Acl, Identity
from raftkafka.model.zookeeper.events import EventType, KeeperState, WatchedEvent
from raftkafka.model.zookeeper.sessions import ConnectRequest, ConnectResponse
from raftkafka.model.zookeeper.stat import Stat
from raftkafka.wire.zookeeper.jute import INT32, MarshallingError, Reader, boolean, buffer, string, vector

_STAT: Final = struct.Struct(">qqqqiiiqiiq")
_CONNECT_REQUEST: Final = struct.Struct(">iqiq")
_CONNECT_RESPONSE: Final = struct.Struct(">iiq")
_EVENT: Final = struct.Struct(">ii")
_PASSWORD_MAX_BYTES: Final = 1_024
_ACL_MIN_BYTES: Final = 12
_ID_MIN_BYTES: Final = 8


def read_stat(reader: Reader) -> Stat:
    czxid, mzxid, ctime_ms, mtime_ms, version, cversion, aversion, owner, length, children, pzxid = reader.fields(_STAT)
    return Stat(
        czxid=czxid,
        mzxid=mzxid,
        ctime_ms=ctime_ms,
        mtime_ms=mtime_ms,
        version=version,
        cversion=cversion,
        aversion=aversion,
        ephemeral_owner=owner,
        data_length=length,
        num_children=children,
        pzxid=pzxid,
    )


def write_stat(stat: Stat) -> bytes:
    return _STAT.pack(
        stat.czxid,
        stat.mzxid,
        stat.ctime_ms,
        stat.mtime_ms,
        stat.version,
        stat.cversion,
        stat.aversion,
        stat.ephemeral_owner,
        stat.data_length,
        stat.num_children,
        stat.pzxid,
    )


def _read_acl_entry(reader: Reader) -> Acl:
    return Acl(perms=reader.int32(), scheme=reader.string(), id=reader.string())


def read_acl(reader: Reader) -> tuple[Acl, ...]:
    return reader.vector(_read_acl_entry, element_min_bytes=_ACL_MIN_BYTES)


def _write_acl_entry(acl: Acl) -> bytes:
    return INT32.pack(acl.perms) + string(acl.scheme) + string(acl.id)


def write_acl(acl: tuple[Acl, ...]) -> bytes:
    return vector(acl, _write_acl_entry)


def _read_identity(reader: Reader) -> Identity:
    return Identity(scheme=reader.string(), id=reader.string())


def read_identities(reader: Reader) -> tuple[Identity, ...]:
    return reader.vector(_read_identity, element_min_bytes=_ID_MIN_BYTES)


def write_identities(identities: tuple[Identity, ...]) -> bytes:
    return vector(identities, lambda identity: string(identity.scheme) + string(identity.id))


def _password(reader: Reader) -> bytes:
    password = reader.buffer() or b""
    if len(password) > _PASSWORD_MAX_BYTES:
        raise MarshallingError(f"a session's password of {len(password)} bytes")
    return password


def read_connect_request(reader: Reader) -> tuple[ConnectRequest, bool]:
    """The request, and whether it ends in the readOnly byte, which clients before 3.4 do not send and do not expect."""
    protocol_version, last_zxid_seen, timeout_ms, session_id = reader.fields(_CONNECT_REQUEST)
    password = _password(reader)
    knows_read_only = reader.left > 0
    request = ConnectRequest(
        protocol_version=protocol_version,
        last_zxid_seen=last_zxid_seen,
        timeout_ms=timeout_ms,
        session_id=session_id,
        password=password,
        read_only=knows_read_only and reader.boolean(),
    )
    return request, knows_read_only


def write_connect_request(request: ConnectRequest, *, knows_read_only: bool = True) -> bytes:
    fields = (request.protocol_version, request.last_zxid_seen, request.timeout_ms, request.session_id)
    tail = boolean(request.read_only) if knows_read_only else b""
    return _CONNECT_REQUEST.pack(*fields) + buffer(request.password) + tail


def read_connect_response(reader: Reader) -> ConnectResponse:
    protocol_version, timeout_ms, session_id = reader.fields(_CONNECT_RESPONSE)
    return ConnectResponse(
        protocol_version=protocol_version,
        timeout_ms=timeout_ms,
        session_id=session_id,
        password=_password(reader),
        read_only=reader.left > 0 and reader.boolean(),
    )


def write_connect_response(response: ConnectResponse, *, knows_read_only: bool) -> bytes:
    head = _CONNECT_RESPONSE.pack(response.protocol_version, response.timeout_ms, response.session_id)
    return head + buffer(response.password) + (boolean(response.read_only) if knows_read_only else b"")


def read_event(reader: Reader, zxid: int) -> WatchedEvent:
    kind, state = reader.fields(_EVENT)
    try:
        return WatchedEvent(kind=EventType(kind), state=KeeperState(state), path=reader.string(), zxid=zxid)
    except ValueError as error:
        raise MarshallingError(f"an event of no kind: {error}") from None


def write_event(event: WatchedEvent) -> bytes:
    return _EVENT.pack(event.kind, event.state) + string(event.path)
